// classic_group: one consumer group of the classic protocol: members that wait for one another, a leader
// among them that assigns, a generation that fences.
//
// Two halves:
//   committed   the last finished generation. Changed by replay alone.
//   session     who is a member now, who waits for an answer, when sessions end. Changed by handlers,
//               rebuilt from the committed half after a restart: the group is then Stable in its last
//               generation, or Empty.
// A rebalance changes the session only; it becomes a committed generation when the leader hands in the
// assignment. A crash in the middle therefore falls back to the generation before it, whose members find
// the group as they knew it, and all others are told that they are unknown and join anew.
//
// Invariants (is_consistent)
//   1. state and members, parked joins, parked syncs agree with the table in state.h
//   2. stable: the committed generation is this generation, with exactly these members
//   3. completing: generation is beyond the committed one
//   4. there is a leader if and only if there are members, and it is one of them
//   5. an instance id names one member; an id is never both pending and a member
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/errc.h"
#include "broker/coord/group/records.h"
#include "broker/coord/group/state.h"
#include "broker/coord/reply.h"
#include "protocol/generated/join_group_response.h"
#include "protocol/generated/sync_group_response.h"

namespace millrace::broker::coord {

using join_reply = reply_to<protocol::join_group_response>;
using sync_reply = reply_to<protocol::sync_group_response>;

struct group_member {
  std::string id;
  std::optional<std::string> instance_id;  // static member (KIP-345)
  std::string client_id;
  std::string client_host;
  int32_t rebalance_timeout_ms = 0;
  int32_t session_timeout_ms = 0;
  std::vector<member_protocol> protocols;  // most wanted first
  bool is_new = true;                      // was in no generation yet

  int64_t session_ends_ms = 0;              // monotonic clock
  std::optional<int64_t> session_timer_ms;  // when its timer goes off; never after session_ends_ms

  bool is_joining() const noexcept { return static_cast<bool>(join); }
  bool is_syncing() const noexcept { return static_cast<bool>(sync); }
  // Its metadata for `protocol`; empty if it does not support it.
  bytes_view metadata_for(std::string_view protocol) const;

  // Parked requests; through classic_group only, which counts them.
  join_reply join;
  sync_reply sync;
};

class classic_group {
 public:
  using member_map = std::map<std::string, group_member, std::less<>>;

  explicit classic_group(std::string id) : id_(std::move(id)) {}

  const std::string& id() const noexcept { return id_; }

  // --- committed half: for replay ---
  const committed_generation& committed() const noexcept { return committed_; }
  bool has_committed_generation() const noexcept { return has_generation_record_; }
  void set_committed(std::optional<committed_generation> generation);

  // --- session half ---
  // After a restart: become the committed generation.
  void adopt_committed();

  group_state state() const noexcept { return state_; }
  bool is(group_state s) const noexcept { return state_ == s; }
  // Requires: may_move(state(), to).
  void move_to(group_state to);

  int32_t generation() const noexcept { return generation_; }
  const std::string& protocol_type() const noexcept { return protocol_type_; }
  const std::optional<std::string>& protocol() const noexcept { return protocol_; }
  const std::string& leader() const noexcept { return leader_; }
  bool is_leader(std::string_view member_id) const noexcept {
    return !leader_.empty() && leader_ == member_id;
  }

  member_map& members() noexcept { return members_; }
  const member_map& members() const noexcept { return members_; }
  group_member* find(std::string_view member_id);
  // The member behind an instance id.
  const std::string* static_member(std::string_view instance_id) const;
  // None if `member_id` may act for this group: UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID otherwise.
  errc check_member(std::string_view member_id, std::optional<std::string_view> instance_id) const;

  // Requires: its id and instance id are new here. The first member brings the protocol type and leads.
  group_member& add(group_member m, std::string_view protocol_type);
  // Requires: a member without parked requests. The lead goes to another one.
  void remove(std::string_view member_id);
  // The member comes back under a new id; it keeps everything else, the lead included. Requires: no parked
  // requests.
  group_member& rename(std::string_view old_id, const std::string& new_id);
  void set_protocols(group_member& m, std::vector<member_protocol> protocols);

  void park_join(group_member& m, join_reply reply);
  join_reply take_join(group_member& m);
  void park_sync(group_member& m, sync_reply reply);
  sync_reply take_sync(group_member& m);

  size_t joining() const noexcept { return joining_; }
  bool have_all_joined() const noexcept { return joining_ == members_.size() && pending_.empty(); }
  // Makes sure that the leader is among those who joined. False if nobody did.
  bool elect_joined_leader();

  // Ids given out (KIP-394) that have not joined with them yet.
  std::set<std::string, std::less<>>& pending() noexcept { return pending_; }
  // Members of this generation that have not asked for their assignment yet.
  std::set<std::string, std::less<>>& unsynced() noexcept { return unsynced_; }

  // Whether a member of this type with these protocols can work with all members there are.
  bool supports(std::string_view protocol_type, const std::vector<member_protocol>& protocols) const;
  // Each member votes for the first of its protocols that all support. Requires: members.
  std::string select_protocol() const;
  int32_t rebalance_timeout_ms() const;  // the longest of any member
  size_t metadata_bytes() const noexcept { return metadata_bytes_; }

  // Enters the next generation: completing_rebalance with members, empty without.
  void next_generation();

  // A first rebalance waits for more members to come, a while longer with each.
  struct initial_delay {
    int64_t left_ms = 0;
    bool has_newcomer = false;
  };
  std::optional<initial_delay>& initial() noexcept { return initial_; }

  bool is_consistent() const;

 private:
  void count_protocols(const group_member& m, int by);

  const std::string id_;

  bool has_generation_record_ = false;
  committed_generation committed_;

  group_state state_ = group_state::empty;
  int32_t generation_ = 0;
  std::string protocol_type_;
  std::optional<std::string> protocol_;
  std::string leader_;
  member_map members_;
  std::map<std::string, std::string, std::less<>> static_ids_;  // instance id -> member id
  std::map<std::string, size_t, std::less<>> protocol_counts_;  // protocol -> members that support it
  size_t metadata_bytes_ = 0;
  size_t joining_ = 0;
  size_t syncing_ = 0;
  std::set<std::string, std::less<>> pending_;
  std::set<std::string, std::less<>> unsynced_;
  std::optional<initial_delay> initial_;
};

}  // namespace millrace::broker::coord
