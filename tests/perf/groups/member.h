// member: one consumer of a group, as the broker sees it: a connection that joins, syncs, beats and commits.
//
// Speaks the classic protocol directly (JoinGroup 5, SyncGroup 3, Heartbeat 3, OffsetCommit 7, as librdkafka
// does), so that one thread can be thousands of members. One request is in flight at a time. Runs on: one
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "protocol/generated/join_group_response.h"

namespace millrace::perf {

enum class doing { nothing, finding, joining, syncing, beating, committing };

struct group_place {
  std::string address;  // numeric IPv4
  uint16_t port = 0;
  std::string topic;
  int32_t partitions = 1;
  int32_t session_timeout_ms = 60'000;
};

class member {
 public:
  member(const group_place& place, std::string group, int32_t partition)
      : place_(place), group_(std::move(group)), partition_(partition) {}
  ~member();
  member(const member&) = delete;
  member& operator=(const member&) = delete;

  // Connects; throws std::runtime_error if it cannot. The descriptor does not block from then on.
  void connect();
  int descriptor() const noexcept { return fd_; }

  void join();
  // Requires: is_stable() and nothing under way.
  void beat();
  void commit();

  // Takes what has arrived, and goes on by itself from join to sync and back. Throws on an error that no
  // consumer meets.
  void on_readable();

  doing now() const noexcept { return doing_; }
  bool is_stable() const noexcept { return is_stable_; }
  int32_t generation() const noexcept { return generation_; }
  int64_t stable_since_ns() const noexcept { return stable_since_ns_; }
  int64_t last_sent_ns() const noexcept { return sent_ns_; }
  uint64_t commits() const noexcept { return commits_; }
  // How long each commit took; the caller may clear it.
  std::vector<int64_t>& commit_ns() noexcept { return commit_ns_; }

 private:
  template <class Request>
  void send(const Request& request, int16_t version, doing what);
  void sync(const protocol::join_group_response* as_leader);
  void on_answer(const slice& bytes);
  void on_join(const protocol::join_group_response& answer);
  // Makes the coordinator come into being, on a broker that has none yet.
  void find_coordinator();
  void on_state(int16_t code, const char* what);

  const group_place& place_;
  std::string group_;
  int32_t partition_;
  int fd_ = -1;
  std::string id_;
  int32_t generation_ = -1;
  doing doing_ = doing::nothing;
  bool is_stable_ = false;
  int32_t correlation_id_ = 0;
  int64_t sent_ns_ = 0;
  int64_t stable_since_ns_ = 0;
  uint64_t commits_ = 0;
  std::vector<int64_t> commit_ns_;
  std::vector<std::byte> received_;
};

}  // namespace millrace::perf
