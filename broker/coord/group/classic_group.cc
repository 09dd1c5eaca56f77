#include "broker/coord/group/classic_group.h"

#include <algorithm>

#include "base/assert.h"

namespace millrace::broker::coord {

bytes_view group_member::metadata_for(std::string_view protocol) const {
  for (const member_protocol& p : protocols) {
    if (p.name == protocol) return p.metadata;
  }
  return {};
}

void classic_group::set_committed(std::optional<committed_generation> generation) {
  has_generation_record_ = generation.has_value();
  committed_ = generation ? std::move(*generation) : committed_generation{};
}

void classic_group::adopt_committed() {
  MR_ASSERT(members_.empty() && pending_.empty());
  generation_ = committed_.generation;
  protocol_type_ = committed_.protocol_type;
  protocol_ = committed_.protocol;
  for (const auto& [member_id, was] : committed_.members) {
    group_member m{.id = member_id,
                   .instance_id = was.instance_id,
                   .client_id = was.client_id,
                   .client_host = was.client_host,
                   .rebalance_timeout_ms =
                       was.rebalance_timeout_ms >= 0 ? was.rebalance_timeout_ms : was.session_timeout_ms,
                   .session_timeout_ms = was.session_timeout_ms,
                   .protocols = {{protocol_.value_or(""), was.subscription}},
                   .is_new = false};
    if (m.instance_id && static_ids_.contains(*m.instance_id)) m.instance_id.reset();  // no log of ours
    add(std::move(m), protocol_type_);
  }
  if (members_.empty()) {
    state_ = group_state::empty;
    return;
  }
  if (committed_.leader && members_.contains(*committed_.leader)) leader_ = *committed_.leader;
  state_ = group_state::stable;
}

void classic_group::move_to(group_state to) {
  MR_ASSERT(may_move(state_, to));
  state_ = to;
}

group_member* classic_group::find(std::string_view member_id) {
  const auto found = members_.find(member_id);
  return found == members_.end() ? nullptr : &found->second;
}

const std::string* classic_group::static_member(std::string_view instance_id) const {
  const auto found = static_ids_.find(instance_id);
  return found == static_ids_.end() ? nullptr : &found->second;
}

errc classic_group::check_member(std::string_view member_id,
                                 std::optional<std::string_view> instance_id) const {
  if (instance_id) {
    const std::string* holder = static_member(*instance_id);
    if (holder == nullptr) return errc::unknown_member_id;
    if (*holder != member_id) return errc::fenced_instance_id;
  }
  return members_.contains(member_id) ? errc::none : errc::unknown_member_id;
}

group_member& classic_group::add(group_member m, std::string_view protocol_type) {
  MR_ASSERT(!members_.contains(m.id) && !pending_.contains(m.id) && !m.is_joining() && !m.is_syncing());
  if (members_.empty()) {
    protocol_type_ = protocol_type;
    leader_ = m.id;
  }
  if (m.instance_id) {
    const bool is_added = static_ids_.emplace(*m.instance_id, m.id).second;
    MR_ASSERT(is_added);
  }
  count_protocols(m, 1);
  std::string member_id = m.id;
  return members_.emplace(std::move(member_id), std::move(m)).first->second;
}

void classic_group::remove(std::string_view member_id) {
  const auto found = members_.find(member_id);
  MR_ASSERT(found != members_.end());
  const group_member& m = found->second;
  MR_ASSERT(!m.is_joining() && !m.is_syncing());
  count_protocols(m, -1);
  if (m.instance_id) static_ids_.erase(*m.instance_id);
  unsynced_.erase(m.id);
  const bool was_leader = is_leader(m.id);
  members_.erase(found);
  if (was_leader) leader_ = members_.empty() ? std::string() : members_.begin()->first;
}

group_member& classic_group::rename(std::string_view old_id, const std::string& new_id) {
  auto node = members_.extract(members_.find(old_id));
  MR_ASSERT(!node.empty() && !members_.contains(new_id));
  MR_ASSERT(node.mapped().instance_id && !node.mapped().is_joining() && !node.mapped().is_syncing());
  static_ids_[*node.mapped().instance_id] = new_id;
  if (is_leader(old_id)) leader_ = new_id;
  unsynced_.erase(node.mapped().id);
  node.key() = new_id;
  node.mapped().id = new_id;
  node.mapped().session_timer_ms.reset();  // the timer bears the old name
  return members_.insert(std::move(node)).position->second;
}

void classic_group::set_protocols(group_member& m, std::vector<member_protocol> protocols) {
  count_protocols(m, -1);
  m.protocols = std::move(protocols);
  count_protocols(m, 1);
}

void classic_group::park_join(group_member& m, join_reply reply) {
  MR_ASSERT(!m.is_joining());
  m.join = std::move(reply);
  ++joining_;
}

join_reply classic_group::take_join(group_member& m) {
  MR_ASSERT(m.is_joining());
  --joining_;
  return std::move(m.join);
}

void classic_group::park_sync(group_member& m, sync_reply reply) {
  MR_ASSERT(!m.is_syncing());
  m.sync = std::move(reply);
  ++syncing_;
}

sync_reply classic_group::take_sync(group_member& m) {
  MR_ASSERT(m.is_syncing());
  --syncing_;
  return std::move(m.sync);
}

bool classic_group::elect_joined_leader() {
  if (const group_member* leader = find(leader_); leader != nullptr && leader->is_joining()) return true;
  for (const auto& [member_id, m] : members_) {
    if (!m.is_joining()) continue;
    leader_ = member_id;
    return true;
  }
  return false;
}

bool classic_group::supports(std::string_view protocol_type,
                             const std::vector<member_protocol>& protocols) const {
  if (protocol_type.empty() || protocols.empty()) return false;
  if (members_.empty()) return true;
  if (protocol_type != protocol_type_) return false;
  return std::ranges::any_of(protocols, [this](const member_protocol& p) {
    const auto count = protocol_counts_.find(p.name);
    return count != protocol_counts_.end() && count->second == members_.size();
  });
}

std::string classic_group::select_protocol() const {
  MR_ASSERT(!members_.empty());
  std::map<std::string_view, size_t> votes;
  for (const auto& [member_id, m] : members_) {
    const auto wanted = std::ranges::find_if(m.protocols, [this](const member_protocol& p) {
      return protocol_counts_.find(p.name)->second == members_.size();
    });
    MR_ASSERT(wanted != m.protocols.end());  // supports() let it in
    ++votes[wanted->name];
  }
  const auto winner =
      std::ranges::max_element(votes, [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(winner->first);
}

int32_t classic_group::rebalance_timeout_ms() const {
  int32_t longest = 0;
  for (const auto& [member_id, m] : members_) longest = std::max(longest, m.rebalance_timeout_ms);
  return longest;
}

void classic_group::next_generation() {
  generation_ = generation_ == INT32_MAX ? 1 : generation_ + 1;
  unsynced_.clear();
  initial_.reset();
  if (members_.empty()) {
    protocol_.reset();
    move_to(group_state::empty);
  } else {
    protocol_ = select_protocol();
    move_to(group_state::completing_rebalance);
  }
}

void classic_group::count_protocols(const group_member& m, int by) {
  std::set<std::string_view> seen;  // a name given twice counts once
  for (const member_protocol& p : m.protocols) {
    metadata_bytes_ += static_cast<size_t>(by) * (p.name.size() + p.metadata.size());
    if (!seen.insert(p.name).second) continue;
    size_t& count = protocol_counts_[p.name];
    count += static_cast<size_t>(by);
    if (count == 0) protocol_counts_.erase(p.name);
  }
}

bool classic_group::is_consistent() const {
  const group_state_row& row = row_of(state_);
  size_t joining = 0;
  size_t syncing = 0;
  size_t statics = 0;
  for (const auto& [member_id, m] : members_) {
    joining += m.is_joining() ? 1 : 0;
    syncing += m.is_syncing() ? 1 : 0;
    if (pending_.contains(member_id) || m.id != member_id) return false;
    if (!m.instance_id) continue;
    ++statics;
    const std::string* holder = static_member(*m.instance_id);
    if (holder == nullptr || *holder != member_id) return false;
  }
  if (joining != joining_ || syncing != syncing_ || statics != static_ids_.size()) return false;
  if (row.has_members == members_.empty()) return false;
  if (joining > 0 && !row.may_keep_joins_waiting) return false;
  if (syncing > 0 && !row.may_keep_syncs_waiting) return false;
  if (members_.empty() != leader_.empty() || (!leader_.empty() && !members_.contains(leader_))) return false;
  if (state_ == group_state::completing_rebalance && generation_ == committed_.generation) return false;
  if (state_ == group_state::stable) {
    if (generation_ != committed_.generation || committed_.members.size() != members_.size()) return false;
    for (const auto& [member_id, m] : members_) {
      if (!committed_.members.contains(member_id)) return false;
    }
  }
  return true;
}

}  // namespace millrace::broker::coord
