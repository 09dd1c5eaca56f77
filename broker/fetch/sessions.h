// sessions: incremental fetches (KIP-227).
//
// A consumer of many partitions names them once; later requests carry only what changed, and answers only
// what has news. A session belongs to no connection, only to the shard that made it: a client that comes back
// over another shard is told FETCH_SESSION_ID_NOT_FOUND and starts anew, as after a restart.
//
// Invariants
//   1. ids are positive and random; epochs run 1, 2, … and wrap to 1
//   2. at most one fetch works on a session at a time
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/prng.h"
#include "base/result.h"
#include "base/uuid.h"
#include "runtime/clock.h"

namespace millrace::broker {

// A topic as a request names it: by id from Fetch 13 on, by name before.
struct topic_ref {
  uuid id;
  std::string name;

  bool operator==(const topic_ref&) const = default;
};

// A partition that a client wants, from where, and what it was last told of it.
struct fetch_target {
  topic_ref topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int32_t bytes_max = 0;
  int32_t leader_epoch = -1;
  int32_t last_fetched_epoch = -1;

  int64_t told_high_watermark = -1;
  int64_t told_log_start = -1;
};

class fetch_session {
 public:
  fetch_session(int32_t id, bool uses_ids) : id_(id), uses_ids_(uses_ids) {}

  int32_t id() const noexcept { return id_; }
  bool uses_ids() const noexcept { return uses_ids_; }
  size_t size() const noexcept { return order_.size(); }

  // Adds a partition, or changes where it is read from.
  void put(fetch_target target);
  void forget(const topic_ref& topic, int32_t partition);
  // In the order in which they are to be served.
  std::list<fetch_target>& targets() noexcept { return order_; }
  // Puts a partition that was served data behind the others, so that none starves.
  void move_to_end(std::list<fetch_target>::iterator served) { order_.splice(order_.end(), order_, served); }

 private:
  friend class fetch_sessions;
  friend class session_use;
  struct key {
    topic_ref topic;
    int32_t partition;
    bool operator==(const key&) const = default;
  };
  struct key_hash {
    size_t operator()(const key& k) const noexcept {
      return std::hash<uuid>{}(k.topic.id) ^ std::hash<std::string>{}(k.topic.name) ^
             (static_cast<size_t>(k.partition) * 0x9e3779b97f4a7c15ULL);
    }
  };

  int32_t id_;
  int32_t next_epoch_ = 1;
  bool uses_ids_;
  bool is_busy_ = false;
  runtime::time_point last_used_{};
  std::list<fetch_target> order_;
  std::unordered_map<key, std::list<fetch_target>::iterator, key_hash> places_;
};

// A session while one fetch works on it; free for the next one at the end.
class session_use {
 public:
  session_use() = default;
  explicit session_use(std::shared_ptr<fetch_session> session);
  session_use(session_use&&) noexcept = default;
  session_use& operator=(session_use&& other) noexcept;
  ~session_use();

  explicit operator bool() const noexcept { return session_ != nullptr; }
  fetch_session* operator->() const noexcept { return session_.get(); }

 private:
  friend class fetch_sessions;
  std::shared_ptr<fetch_session> session_;
};

class fetch_sessions {
 public:
  explicit fetch_sessions(size_t capacity) : capacity_(capacity) {}

  // A new session; empty if there is no room for one.
  session_use open(bool uses_ids, runtime::time_point now, prng& random);
  // The session for its next incremental fetch. Errors: fetch_session_id_not_found,
  // invalid_fetch_session_epoch, fetch_session_topic_id_error.
  result<session_use> resume(int32_t id, int32_t epoch, bool uses_ids, runtime::time_point now);
  void close(int32_t id) { by_id_.erase(id); }

  size_t size() const noexcept { return by_id_.size(); }

 private:
  bool make_room(runtime::time_point now);

  size_t capacity_;
  std::unordered_map<int32_t, std::shared_ptr<fetch_session>> by_id_;
};

}  // namespace millrace::broker
