// group_machine: all groups of one partition of __consumer_offsets, as a state machine.
//
// One handler per request, one file per handler: join.cc, sync.cc, heartbeat.cc, leave.cc, commit.cc,
// fetch.cc, admin.cc; the rebalance of classic groups is rebalance.cc, that of consumer groups refresh.cc;
// migrate.cc turns one kind into the other and mixed.cc serves classic members of consumer groups; time is
// sessions.cc and expiry.cc, and replay.cc alone touches what is durable. Behaviour is Kafka's (KIP-62, 134,
// 345, 389, 394, 559, 814, 848); where a clause surprises, the comment beside it says who relies on it.
//
// Topics of offsets are the caller's affair: it resolves ids and refuses what does not exist before it comes
// here. Only the consumer protocol looks at them itself, through topic_source.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"
#include "broker/coord/group/classic_group.h"
#include "broker/coord/group/config.h"
#include "broker/coord/group/consumer_group.h"
#include "broker/coord/group/topics.h"
#include "broker/coord/machine.h"
#include "protocol/generated/consumer_group_describe_response.h"
#include "protocol/generated/consumer_group_heartbeat_request.h"
#include "protocol/generated/consumer_group_heartbeat_response.h"
#include "protocol/generated/delete_groups_response.h"
#include "protocol/generated/describe_groups_response.h"
#include "protocol/generated/heartbeat_request.h"
#include "protocol/generated/heartbeat_response.h"
#include "protocol/generated/join_group_request.h"
#include "protocol/generated/leave_group_request.h"
#include "protocol/generated/leave_group_response.h"
#include "protocol/generated/list_groups_response.h"
#include "protocol/generated/sync_group_request.h"

namespace millrace::broker::coord {

// Who asks, and in which version of the API.
struct caller {
  std::string client_id;
  std::string client_host;  // "/127.0.0.1", as Kafka writes it
  int16_t version = 0;
};

// OffsetCommit, whatever its version.
struct commit_item {
  std::string topic;
  uuid topic_id;
  int32_t partition = 0;
  int64_t offset = 0;
  int32_t leader_epoch = -1;
  std::string metadata;
  std::optional<int64_t> committed_at_ms;  // version 1 brings its own time
};
struct commit_request {
  std::string group;
  std::string member_id;
  std::optional<std::string> instance_id;
  int32_t generation = -1;
  std::optional<int64_t> retention_ms;
  std::vector<commit_item> items;
  int16_t version = 0;  // of the API: only from 9 on members of the consumer protocol may commit
};
using commit_result = std::vector<errc>;  // in the order of the items

// OffsetFetch of one group, whatever its version.
struct fetch_topic {
  std::string topic;
  uuid topic_id;  // zero: not known
  std::vector<int32_t> partitions;
};
struct fetch_request {
  std::string group;
  std::optional<std::vector<fetch_topic>> topics;  // none: all that have offsets
  std::optional<std::string> member_id;            // of a consumer group; version 9 and later
  int32_t member_epoch = -1;
};
struct fetched_partition {
  int32_t partition = 0;
  int64_t offset = -1;
  int32_t leader_epoch = -1;
  std::string metadata;
};
struct fetched_topic {
  std::string topic;
  uuid topic_id;
  std::vector<fetched_partition> partitions;
};
using fetch_result = std::vector<fetched_topic>;

// OffsetDelete: the group, and the partitions of each topic.
struct offset_delete_item {
  std::string topic;
  int32_t partition = 0;
};
using offset_delete_result = std::vector<errc>;  // in the order of the items

using describe_result = decltype(protocol::describe_groups_response::groups)::value_type;
using list_result = decltype(protocol::list_groups_response::groups);
using consumer_describe_result = decltype(protocol::consumer_group_describe_response::groups)::value_type;
using offset_map = std::map<std::string, std::map<int32_t, committed_offset>, std::less<>>;

class group_machine final : public machine {
 public:
  // `make_uuid`: where member ids get their random part.
  group_machine(const group_config& config, const topic_source& topics, std::function<uuid()> make_uuid)
      : config_(config), topics_(topics), make_uuid_(std::move(make_uuid)) {}

  // Holds for what happens from now on.
  void set_config(const group_config& config) { config_ = config; }

  // --- requests ---
  void join(const protocol::join_group_request& request, const caller& who, step& s, join_reply reply);
  void sync(const protocol::sync_group_request& request, step& s, sync_reply reply);
  void heartbeat(const protocol::heartbeat_request& request, step& s,
                 reply_to<protocol::heartbeat_response> reply);
  // A version below 3 names one member; the caller puts it into `members`.
  void leave(const protocol::leave_group_request& request, step& s,
             reply_to<protocol::leave_group_response> reply);
  void consumer_heartbeat(const protocol::consumer_group_heartbeat_request& request, const caller& who,
                          step& s, reply_to<protocol::consumer_group_heartbeat_response> reply);
  void consumer_describe(std::string_view group, step& s, reply_to<consumer_describe_result> reply) const;
  void commit(const commit_request& request, step& s, reply_to<commit_result> reply);
  void fetch(const fetch_request& request, step& s, reply_to<fetch_result> reply) const;
  // A group that does not exist is GROUP_ID_NOT_FOUND.
  void describe(std::string_view group, step& s, reply_to<describe_result> reply) const;
  void list(step& s, reply_to<list_result> reply) const;
  void remove_group(std::string_view group, step& s, reply_to<errc> reply);
  void delete_offsets(std::string_view group, std::span<const offset_delete_item> items, step& s,
                      reply_to<offset_delete_result> reply);
  // A topic is gone: so are all positions in it.
  void forget_topic(std::string_view topic, step& s);
  // Topics were made, changed or deleted: consumer groups look at them again with their next heartbeat.
  void topics_changed();

  // --- machine ---
  result<void> replay(bytes_view key, std::optional<bytes_view> value) override;
  void on_loaded(step& s) override;
  void on_timer(const timer_key& key, step& s) override;
  std::optional<std::string> rewrite(const std::string& from, step& s) override;
  void clear() override;

  // --- for tests ---
  const classic_group* group_named(std::string_view group) const { return find(group); }
  const consumer_group* consumer_group_named(std::string_view group) const { return find_consumer(group); }
  const offset_map& offsets_of(std::string_view group) const;
  size_t group_count() const noexcept { return groups_.size(); }

 private:
  enum class timer : uint8_t {
    session,  // of a member, or of an id that was given out
    join,     // the rebalance ends, whoever is there; of one member of a consumer group: it joins again
    sync,     // members have asked for their assignment by then
    expiry,   // look for offsets and groups past their retention
    revoke,   // a member of a consumer group has given up what it must
  };

  // One group id: its positions, and the group of either kind. One of the two is there.
  struct entry {
    offset_map offsets;
    std::unique_ptr<classic_group> classic;
    std::unique_ptr<consumer_group> consumer;
  };

  const entry* find_entry(std::string_view group) const;
  classic_group* find(std::string_view group);
  const classic_group* find(std::string_view group) const;
  consumer_group* find_consumer(std::string_view group);
  const consumer_group* find_consumer(std::string_view group) const;

  // replay.cc
  entry& entry_for(const std::string& group);
  void apply(group_change&& change);
  void apply(offset_change&& change);
  void apply(consumer_change&& change);

  // join.cc
  void join_new(classic_group& g, group_member m, const protocol::join_group_request& request,
                const caller& who, step& s, join_reply reply);
  void join_known(classic_group& g, const protocol::join_group_request& request,
                  std::vector<member_protocol> protocols, step& s, join_reply reply);
  void add_and_rebalance(classic_group& g, group_member m, const protocol::join_group_request& request,
                         step& s, join_reply reply);
  void update_and_rebalance(classic_group& g, group_member& m, std::vector<member_protocol> protocols,
                            const protocol::join_group_request& request, step& s, join_reply reply);
  void replace_static(classic_group& g, const std::string& old_id, group_member fresh, const caller& who,
                      step& s, join_reply reply);
  bool accepts(const classic_group& g, std::string_view member_id) const;

  // rebalance.cc
  void prepare_rebalance(classic_group& g, step& s);
  void rebalance_or_complete(classic_group& g, step& s);
  void complete_if_all_joined(classic_group& g, step& s);
  void complete_join(classic_group& g, step& s);
  void on_join_timer(classic_group& g, step& s);
  void on_sync_timer(classic_group& g, step& s);
  void cancel_syncs(classic_group& g, errc code, step& s);
  // Takes a member out, answering what it has parked with `code`. The caller sees to the rebalance.
  void drop_member(classic_group& g, const std::string& member_id, errc code, step& s);

  // sync.cc
  committed_generation generation_now(const classic_group& g, instant now) const;

  // sessions.cc
  template <class Member>
  void touch(const std::string& group_id, Member& m, int64_t for_ms, step& s);
  void touch(classic_group& g, group_member& m, int64_t for_ms, step& s);
  void touch(classic_group& g, group_member& m, step& s) { touch(g, m, m.session_timeout_ms, s); }
  void touch(consumer_group& g, consumer_member& m, step& s);
  void on_session_timer(classic_group& g, const std::string& member_id, step& s);
  void on_consumer_timer(consumer_group& g, timer kind, const std::string& member_id, step& s);

  // consumer_heartbeat.cc
  using heartbeat_result = result<protocol::consumer_group_heartbeat_response>;
  heartbeat_result beat(const protocol::consumer_group_heartbeat_request& request, const caller& who,
                        step& s);
  heartbeat_result leave_consumer(const protocol::consumer_group_heartbeat_request& request, step& s);
  result<consumer_group*> consumer_group_for(const protocol::consumer_group_heartbeat_request& request,
                                             step& s);
  result<void> check_beat(const protocol::consumer_group_heartbeat_request& request, const caller& who) const;
  static result<void> check_epoch(const consumer_member& m,
                                  const protocol::consumer_group_heartbeat_request& request,
                                  const topic_partitions* owned);
  // The id of the member that beats, which is there or may come.
  result<std::string> member_for(consumer_group& g, const protocol::consumer_group_heartbeat_request& request,
                                 const topic_partitions* owned, step& s);

  // refresh.cc
  // Takes over what a member says of itself, divides anew if that or the topics have changed, and brings the
  // member as far towards its target as it can go. Requires: room for the member's record.
  void refresh(consumer_group& g, const std::string& member_id, const consumer_subscription& wanted,
               const topic_partitions* owned, step& s);
  bool refresh_patterns(consumer_group& g, std::string_view wanted, step& s);
  void drop_unused_patterns(consumer_group& g, step& s);
  void divide(consumer_group& g, step& s);
  // How long until the partitions may be divided anew; 0: now.
  int64_t assignment_pause_ms(const consumer_group& g, instant now) const;
  uint64_t topics_hash(const consumer_group& g) const;
  static bool has_room_to_take_over(const consumer_group& g, const consumer_member& old, const step& s);
  // Replaces a static member's former self: `fresh` takes its place with what it had.
  void take_over(consumer_group& g, const std::string& old_id, const std::string& fresh_id, int32_t epoch,
                 step& s);
  // Takes members out and, if that leaves only classic ones, makes the group classic: `g` is gone then.
  void remove_members(consumer_group& g, std::span<const std::string> member_ids, step& s);
  void cancel_timers(const consumer_group& g, const std::string& member_id, step& s);

  // migrate.cc
  // Fails if the group cannot become one of the consumer protocol; `g` is gone otherwise.
  result<consumer_group*> upgrade(classic_group& g, step& s);
  bool may_downgrade(const consumer_group& g, std::span<const std::string> without, const step& s) const;
  committed_generation as_generation(const consumer_group& g, std::span<const std::string> without,
                                     instant now) const;
  // Makes a group with classic members only a classic one; `g` is gone. Requires: may_downgrade.
  classic_group& downgrade(consumer_group& g, step& s);
  // A group without members changes its kind under any policy.
  void empty_to_classic(consumer_group& g, step& s);
  consumer_group* empty_to_consumer(classic_group& g, step& s);
  static size_t bytes_to_bury(const consumer_group& g);
  void bury(const consumer_group& g, step& s);

  // mixed.cc: classic requests to a consumer group
  void join_consumer(consumer_group& g, const protocol::join_group_request& request, const caller& who,
                     step& s, join_reply reply);
  void sync_consumer(consumer_group& g, const protocol::sync_group_request& request, step& s,
                     sync_reply reply);
  errc heartbeat_consumer(consumer_group& g, const protocol::heartbeat_request& request, step& s);
  void leave_consumer_group(consumer_group& g, const protocol::leave_group_request& request,
                            protocol::leave_group_response& response, step& s);
  errc check_classic_member(consumer_group& g, std::string_view member_id,
                            std::optional<std::string_view> instance_id);

  // commit.cc
  errc check_commit(const commit_request& request) const;

  // expiry.cc
  void on_expiry_timer(step& s);
  bool has_expired(const classic_group& g, std::string_view topic, const committed_offset& o,
                   int64_t now_ms) const;
  std::vector<record> expired_of(const std::string& group_id, const entry& e, int64_t now_ms) const;

  // Asserts that what a step has left behind is sound.
  void check(const classic_group& g) const;

  group_config config_;
  const topic_source& topics_;
  const std::function<uuid()> make_uuid_;
  std::map<std::string, entry, std::less<>> groups_;
};

}  // namespace millrace::broker::coord
