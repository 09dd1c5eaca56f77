// 46 ListPartitionReassignments, v0. With one broker no partition ever moves, so none is listed.
#include "broker/api/all.h"
#include "protocol/generated/list_partition_reassignments_request.h"
#include "protocol/generated/list_partition_reassignments_response.h"

namespace millrace::broker {
namespace {

task<result<protocol::list_partition_reassignments_response>> handle(
    request_context&, protocol::list_partition_reassignments_request) {
  protocol::list_partition_reassignments_response response;
  response.error_message = std::nullopt;
  co_return response;
}

}  // namespace

const api list_partition_reassignments_api = make_api<handle>(0, 0);

}  // namespace millrace::broker
