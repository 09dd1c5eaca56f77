// admin: what every request of librdkafka's admin interface shares.
#pragma once

#include <string_view>

#include "base/result.h"
#include "tools/kafka/handle.h"
#include "tools/kafka/raii.h"

namespace millrace::tools {

// Options with the handle's timeout.
admin_options_ptr admin_options(handle& client);

// Waits for the answer to an admin request that was just put on its way to `answers`. `what` completes
// "cannot …".
result<event_ptr> await_answer(handle& client, rd_kafka_queue_t* answers, std::string_view what);

}  // namespace millrace::tools
