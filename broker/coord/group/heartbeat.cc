// Heartbeat: a member is alive, and learns whether a rebalance waits for it.
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {

void group_machine::heartbeat(const protocol::heartbeat_request& request, step& s,
                              reply_to<protocol::heartbeat_response> reply) {
  const auto answer = [&](errc code) {
    protocol::heartbeat_response response;
    response.error_code = kafka_code(code);
    s.answer(std::move(reply), std::move(response));
  };
  if (request.group_id.empty()) return answer(errc::invalid_group_id);
  if (consumer_group* consumers = find_consumer(request.group_id)) {
    return answer(heartbeat_consumer(*consumers, request, s));
  }
  classic_group* g = find(request.group_id);
  if (g == nullptr) return answer(errc::unknown_member_id);
  if (const errc code = g->check_member(request.member_id, request.group_instance_id); code != errc::none) {
    return answer(code);
  }
  if (request.generation_id != g->generation()) return answer(errc::illegal_generation);

  touch(*g, *g->find(request.member_id), s);
  // In CompletingRebalance members wait for the leader, and some send heartbeats while they do.
  answer(g->is(group_state::preparing_rebalance) ? errc::rebalance_in_progress : errc::none);
}

}  // namespace millrace::broker::coord
