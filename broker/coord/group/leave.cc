// LeaveGroup: members go, at once and without waiting for their sessions to end.
//
//   v3  several members, each with an answer of its own; an instance id without a member id is an
//       administrator who removes a static member (KIP-345)
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {

void group_machine::leave(const protocol::leave_group_request& request, step& s,
                          reply_to<protocol::leave_group_response> reply) {
  protocol::leave_group_response response;
  if (request.group_id.empty()) {
    response.error_code = kafka_code(errc::invalid_group_id);
    return s.answer(std::move(reply), std::move(response));
  }

  if (consumer_group* consumers = find_consumer(request.group_id)) {
    leave_consumer_group(*consumers, request, response, s);
    return s.answer(std::move(reply), std::move(response));
  }
  classic_group* g = find(request.group_id);
  bool has_removed = false;
  for (const auto& leaving : request.members) {
    const auto instance_id = leaving.group_instance_id;
    errc code = errc::none;
    if (g == nullptr) {
      code = errc::unknown_member_id;
    } else if (leaving.member_id.empty()) {
      const std::string* holder = instance_id ? g->static_member(*instance_id) : nullptr;
      if (holder == nullptr) {
        code = errc::unknown_member_id;
      } else {
        drop_member(*g, std::string(*holder), errc::unknown_member_id, s);
        has_removed = true;
      }
    } else if (const auto pending = g->pending().find(leaving.member_id); pending != g->pending().end()) {
      s.cancel_timer({static_cast<uint8_t>(timer::session), g->id(), *pending});
      g->pending().erase(pending);
      has_removed = true;
    } else if (code = g->check_member(leaving.member_id, instance_id); code == errc::none) {
      drop_member(*g, std::string(leaving.member_id), errc::unknown_member_id, s);
      has_removed = true;
    }
    auto& entry = response.members.emplace_back();
    entry.member_id = leaving.member_id;
    entry.group_instance_id = instance_id ? std::optional(std::string(*instance_id)) : std::nullopt;
    entry.error_code = kafka_code(code);
  }

  if (has_removed) {
    if (g->is(group_state::stable) || g->is(group_state::completing_rebalance)) {
      // Nothing to rebalance if it was only an id that had never joined.
      if (g->members().size() != g->committed().members.size() || g->is(group_state::completing_rebalance)) {
        prepare_rebalance(*g, s);
      }
    } else {
      complete_if_all_joined(*g, s);
    }
  }
  s.answer(std::move(reply), std::move(response));
  if (g != nullptr) check(*g);
}

}  // namespace millrace::broker::coord
