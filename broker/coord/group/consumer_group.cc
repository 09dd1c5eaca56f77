#include "broker/coord/group/consumer_group.h"

#include <algorithm>

#include "base/assert.h"

namespace millrace::broker::coord {

std::string_view name_of(consumer_group_state s) {
  switch (s) {
    case consumer_group_state::empty:
      return "Empty";
    case consumer_group_state::assigning:
      return "Assigning";
    case consumer_group_state::reconciling:
      return "Reconciling";
    case consumer_group_state::stable:
      return "Stable";
  }
  return "Dead";
}

consumer_member& consumer_group::member_named(const std::string& member_id) {
  const auto [found, is_new] = members_.try_emplace(member_id);
  if (is_new) found->second.id = member_id;
  return found->second;
}

void consumer_group::set_subscription(const std::string& member_id, consumer_subscription subscription) {
  consumer_member& m = member_named(member_id);
  const auto release = [&] {
    const auto held =
        m.subscription.instance_id ? static_ids_.find(*m.subscription.instance_id) : static_ids_.end();
    if (held != static_ids_.end() && held->second == member_id) static_ids_.erase(held);
  };
  release();
  m.subscription = std::move(subscription);
  if (m.subscription.instance_id) static_ids_.insert_or_assign(*m.subscription.instance_id, member_id);
}

void consumer_group::remove_member(std::string_view member_id) {
  const auto found = members_.find(member_id);
  if (found == members_.end()) return;
  const consumer_member& m = found->second;
  disown(m, m.current.assigned);
  disown(m, m.current.revoking);
  if (m.subscription.instance_id) {
    const auto held = static_ids_.find(*m.subscription.instance_id);
    if (held != static_ids_.end() && held->second == member_id) static_ids_.erase(held);
  }
  members_.erase(found);
}

void consumer_group::set_target(const std::string& member_id, std::optional<topic_partitions> target) {
  if (target) {
    targets_.insert_or_assign(member_id, std::move(*target));
  } else {
    targets_.erase(member_id);
  }
}

void consumer_group::set_current(const std::string& member_id, std::optional<consumer_assignment> current) {
  if (!current && !members_.contains(member_id)) return;
  consumer_member& m = member_named(member_id);
  disown(m, m.current.assigned);
  disown(m, m.current.revoking);
  m.current = current ? std::move(*current) : consumer_assignment{};
  own(m, m.current.assigned);
  own(m, m.current.revoking);
}

void consumer_group::set_pattern(const std::string& text, std::optional<resolved_pattern> resolved) {
  if (resolved) {
    patterns_.insert_or_assign(text, std::move(*resolved));
  } else {
    patterns_.erase(text);
  }
}

consumer_group_state consumer_group::state() const {
  if (members_.empty()) return consumer_group_state::empty;
  if (epoch() > assignment_epoch()) return consumer_group_state::assigning;
  const bool have_arrived = std::ranges::all_of(members_, [this](const auto& entry) {
    const consumer_assignment& now = entry.second.current;
    return now.state == member_state::stable && now.epoch == assignment_epoch();
  });
  return have_arrived ? consumer_group_state::stable : consumer_group_state::reconciling;
}

consumer_member* consumer_group::find(std::string_view member_id) {
  const auto found = members_.find(member_id);
  return found == members_.end() ? nullptr : &found->second;
}

const consumer_member* consumer_group::find(std::string_view member_id) const {
  const auto found = members_.find(member_id);
  return found == members_.end() ? nullptr : &found->second;
}

consumer_member* consumer_group::static_member(std::string_view instance_id) {
  const auto found = static_ids_.find(instance_id);
  return found == static_ids_.end() ? nullptr : find(found->second);
}

const topic_partitions& consumer_group::target_of(std::string_view member_id) const {
  static const topic_partitions none;
  const auto found = targets_.find(member_id);
  return found == targets_.end() ? none : found->second;
}

bool consumer_group::is_free_for(const consumer_member& member, const uuid& topic, int32_t partition) const {
  const auto owners = owners_.find(topic);
  if (owners == owners_.end()) return true;
  const auto owner = owners->second.find(partition);
  return owner == owners->second.end() || owner->second == &member;
}

void consumer_group::own(const consumer_member& m, const topic_partitions& partitions) {
  for (const auto& [topic, list] : partitions) {
    auto& owners = owners_[topic];
    for (const int32_t p : list) owners.insert_or_assign(p, &m);
  }
}

void consumer_group::disown(const consumer_member& m, const topic_partitions& partitions) {
  for (const auto& [topic, list] : partitions) {
    const auto owners = owners_.find(topic);
    if (owners == owners_.end()) continue;
    for (const int32_t p : list) {
      const auto owner = owners->second.find(p);
      if (owner != owners->second.end() && owner->second == &m) owners->second.erase(owner);
    }
    if (owners->second.empty()) owners_.erase(owners);
  }
}

void consumer_group::look_again() {
  is_stale = true;
  for (const auto& [text, resolved] : patterns_) stale_patterns.insert(text);
}

bool consumer_group::has_subscriber_of_pattern(std::string_view text) const {
  return std::ranges::any_of(members_,
                             [&](const auto& entry) { return entry.second.subscription.pattern == text; });
}

consumer_group::topic_names consumer_group::topics_of(const consumer_member& m) const {
  topic_names names(m.subscription.topics.begin(), m.subscription.topics.end());
  if (const auto found = patterns_.find(m.subscription.pattern); found != patterns_.end()) {
    names.insert(found->second.topics.begin(), found->second.topics.end());
  }
  return names;
}

consumer_group::topic_names consumer_group::subscribed_topics() const {
  topic_names names;
  std::set<std::string_view> patterns;
  for (const auto& [member_id, m] : members_) {
    names.insert(m.subscription.topics.begin(), m.subscription.topics.end());
    if (!m.subscription.pattern.empty()) patterns.insert(m.subscription.pattern);
  }
  for (const std::string_view text : patterns) {
    const auto found = patterns_.find(text);
    if (found != patterns_.end()) names.insert(found->second.topics.begin(), found->second.topics.end());
  }
  return names;
}

std::string_view consumer_group::preferred_assignor(std::string_view otherwise) const {
  std::map<std::string_view, size_t> votes;
  for (const auto& [member_id, m] : members_) {
    if (m.subscription.assignor) ++votes[*m.subscription.assignor];
  }
  const auto most =
      std::ranges::max_element(votes, [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == votes.end() ? otherwise : most->first;
}

bool consumer_group::is_consistent() const {
  size_t owned = 0;
  size_t held = 0;
  size_t statics = 0;
  for (const auto& [topic, owners] : owners_) owned += owners.size();
  for (const auto& [member_id, m] : members_) {
    if (m.id != member_id) return false;
    held += count_of(m.current.assigned) + count_of(m.current.revoking);
    if (m.current.epoch > assignment_epoch()) return false;
    if (!m.subscription.instance_id) continue;
    ++statics;
    const auto holder = static_ids_.find(*m.subscription.instance_id);
    if (holder == static_ids_.end() || holder->second != member_id) return false;
  }
  return owned == held && statics == static_ids_.size() && assignment_epoch() <= epoch();
}

}  // namespace millrace::broker::coord
