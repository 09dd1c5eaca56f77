// 33 AlterConfigs, v0-2. v2 flexible. Gives each resource exactly the values named: what it has and is not
// named goes back to its default. Deprecated, but sarama, kafkajs, kafka-python and older tools send it.
#include "broker/api/all.h"
#include "broker/api/alter_resources.h"
#include "protocol/generated/alter_configs_request.h"
#include "protocol/generated/alter_configs_response.h"

namespace millrace::broker {

const api alter_configs_api =
    make_api<alter_as_asked<protocol::alter_configs_request, protocol::alter_configs_response>>(0, 2);

}  // namespace millrace::broker
