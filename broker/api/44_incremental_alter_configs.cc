// 44 IncrementalAlterConfigs, v0-1. v1 flexible. Sets, removes, appends to and subtracts from single values;
// what is not named stays.
#include "broker/api/all.h"
#include "broker/api/alter_resources.h"
#include "protocol/generated/incremental_alter_configs_request.h"
#include "protocol/generated/incremental_alter_configs_response.h"

namespace millrace::broker {

const api incremental_alter_configs_api =
    make_api<alter_as_asked<protocol::incremental_alter_configs_request,
                            protocol::incremental_alter_configs_response>>(0, 1);

}  // namespace millrace::broker
