// answer: what the broker says to one request on the admin socket.
#pragma once

#include "broker/admin/http_server.h"
#include "broker/node.h"
#include "runtime/task.h"

namespace millrace::broker::admin {

// Runs on: shard 0. `whole` outlives the task.
runtime::task<http_response> answer(node& whole, http_request request);

}  // namespace millrace::broker::admin
