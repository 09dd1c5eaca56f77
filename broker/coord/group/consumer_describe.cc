// ConsumerGroupDescribe: a consumer group as an administrator sees it.
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord {
namespace {

enum class shown_type : int8_t { classic = 0, consumer = 1 };

template <class Assignment>
void put_assignment(const topic_partitions& set, const topic_source& topics, Assignment& out) {
  for (const auto& [id, partitions] : set) {
    const auto t = topics.find(id);
    if (!t) continue;  // deleted; the next heartbeat takes it away
    auto& entry = out.topic_partitions.emplace_back();
    entry.topic_id = id;
    entry.topic_name = t->name;
    entry.partitions = partitions;
  }
}

}  // namespace

void group_machine::consumer_describe(std::string_view group, step& s,
                                      reply_to<consumer_describe_result> reply) const {
  const consumer_group* g = find_consumer(group);
  if (g == nullptr) {
    return s.answer(std::move(reply),
                    find(group) == nullptr
                        ? fail(errc::group_id_not_found, "Group {} not found.", group)
                        : fail(errc::group_id_not_found, "Group {} is not a consumer group.", group));
  }
  consumer_describe_result entry;
  entry.group_id = group;
  entry.group_state = name_of(g->state());
  entry.group_epoch = g->epoch();
  entry.assignment_epoch = g->assignment_epoch();
  entry.assignor_name = g->preferred_assignor(config_.assignors.front());
  for (const auto& [member_id, m] : g->members()) {
    auto& out = entry.members.emplace_back();
    out.member_id = member_id;
    out.instance_id = m.subscription.instance_id;
    out.rack_id = m.subscription.rack_id;
    out.member_epoch = m.current.epoch;
    out.client_id = m.subscription.client_id;
    out.client_host = m.subscription.client_host;
    out.subscribed_topic_names = m.subscription.topics;
    out.subscribed_topic_regex = m.subscription.pattern;
    put_assignment(m.current.assigned, topics_, out.assignment);
    put_assignment(g->target_of(member_id), topics_, out.target_assignment);
    out.member_type = static_cast<int8_t>(m.is_classic() ? shown_type::classic : shown_type::consumer);
  }
  s.answer(std::move(reply), std::move(entry));
}

}  // namespace millrace::broker::coord
