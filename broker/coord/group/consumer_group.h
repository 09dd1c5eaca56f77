// consumer_group: one group of the consumer protocol (KIP-848): members say what they read, the coordinator
// divides it.
//
// Three epochs carry it:
//   epoch             grows whenever members, what they subscribe to or the topics themselves change
//   assignment epoch  which epoch the target assignment was made for
//   member's epoch    which target the member has reached; what it must show to commit
// A member walks from target to target by itself, one heartbeat at a time (reconcile.h); nobody waits for
// anybody but for the partitions that another one still holds.
//
// Members may also come with the classic protocol (mixed.cc): they are members like the others, and carry
// their own protocols and session timeout.
//
// Everything but the deadlines is durable and changed by replay alone.
//
// Invariants (is_consistent)
//   1. a partition is assigned to, or being revoked from, one member only
//   2. no member's epoch is beyond the assignment epoch, which is not beyond the group's
//   3. an instance id names one member
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/coord/group/classic_group.h"
#include "broker/coord/group/consumer_records.h"
#include "broker/coord/group/partitions.h"

namespace millrace::broker::coord {

struct consumer_member {
  std::string id;
  consumer_subscription subscription;
  consumer_assignment current;

  // --- not durable ---
  int64_t session_ends_ms = 0;              // monotonic clock
  std::optional<int64_t> session_timer_ms;  // as of group_member
  int32_t revoking_epoch = -1;              // the epoch whose revocation the timer waits for
  bool awaits_join = false;                 // a classic member was told to join again
  bool awaits_sync = false;                 // a classic member has joined and must ask for its assignment

  bool is_classic() const noexcept { return subscription.classic.has_value(); }
  // A static member that has gone for a while.
  bool is_away() const noexcept { return current.epoch == leaving_static_epoch; }

  static constexpr int32_t leaving_epoch = -1;
  static constexpr int32_t leaving_static_epoch = -2;
};

enum class consumer_group_state : uint8_t { empty, assigning, reconciling, stable };
std::string_view name_of(consumer_group_state s);

class consumer_group {
 public:
  using member_map = std::map<std::string, consumer_member, std::less<>>;
  using topic_names = std::set<std::string, std::less<>>;

  explicit consumer_group(std::string id) : id_(std::move(id)) {}
  consumer_group(const consumer_group&) = delete;
  consumer_group& operator=(const consumer_group&) = delete;

  const std::string& id() const noexcept { return id_; }

  // --- for replay ---
  void set_epoch(const group_epoch& epoch) { epoch_ = epoch; }
  void set_target_epoch(const target_epoch& epoch) { target_epoch_ = epoch; }
  void set_subscription(const std::string& member_id, consumer_subscription subscription);
  void remove_member(std::string_view member_id);
  void set_target(const std::string& member_id, std::optional<topic_partitions> target);
  void set_current(const std::string& member_id, std::optional<consumer_assignment> current);
  void set_pattern(const std::string& text, std::optional<resolved_pattern> resolved);

  // --- what it is ---
  int32_t epoch() const noexcept { return epoch_.epoch; }
  uint64_t topics_hash() const noexcept { return epoch_.topics_hash; }
  int32_t assignment_epoch() const noexcept { return target_epoch_.epoch; }
  const target_epoch& assignment_made() const noexcept { return target_epoch_; }
  consumer_group_state state() const;

  const member_map& members() const noexcept { return members_; }
  // For what is not durable of them.
  member_map& members() noexcept { return members_; }
  consumer_member* find(std::string_view member_id);
  const consumer_member* find(std::string_view member_id) const;
  // The member behind an instance id; null if there is none.
  consumer_member* static_member(std::string_view instance_id);

  const topic_partitions& target_of(std::string_view member_id) const;
  const std::map<std::string, topic_partitions, std::less<>>& targets() const noexcept { return targets_; }
  // Whether nobody but `member` has it or is giving it up.
  bool is_free_for(const consumer_member& member, const uuid& topic, int32_t partition) const;

  const std::map<std::string, resolved_pattern, std::less<>>& patterns() const noexcept { return patterns_; }
  bool has_subscriber_of_pattern(std::string_view text) const;
  // Names and what its pattern stands for.
  topic_names topics_of(const consumer_member& m) const;
  topic_names subscribed_topics() const;

  // The assignor that most members ask for; `otherwise` if none does.
  std::string_view preferred_assignor(std::string_view otherwise) const;

  // Topics may have changed since they were looked at; for patterns one by one, as each takes its time.
  void look_again();
  bool is_stale = true;
  std::set<std::string, std::less<>> stale_patterns;

  bool is_consistent() const;

 private:
  consumer_member& member_named(const std::string& member_id);
  void own(const consumer_member& m, const topic_partitions& partitions);
  void disown(const consumer_member& m, const topic_partitions& partitions);

  const std::string id_;
  group_epoch epoch_;
  target_epoch target_epoch_;
  member_map members_;
  std::map<std::string, std::string, std::less<>> static_ids_;  // instance id -> member id
  std::map<std::string, topic_partitions, std::less<>> targets_;
  std::map<std::string, resolved_pattern, std::less<>> patterns_;
  std::unordered_map<uuid, std::unordered_map<int32_t, const consumer_member*>> owners_;
};

}  // namespace millrace::broker::coord
