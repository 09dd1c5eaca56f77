// state: the stores of one processor on one partition of its input, and its stream time and timers.
//
// All of it lives in memory; what makes it durable is the changelog: the shard_host appends the changes of a
// call to the stores' topics in the frame that holds the call's outputs and position, and reads them back
// after a restart. So this class knows two things: the entries, and which of them the current call changed,
// with what was there before. What belongs to a failed record, or to a call that could not be committed, is
// put back (drop_from); nobody else ever looks in between.
//
// Store number store_count, "meta", is the host's own. Its keys are texts:
//
//   state_version            the library's, when the state began
//   watermark                the stream time, in ms
//   timer <19 digits> <key>  a timer that waits; in the order of time, then key
//
// Every byte that comes in comes from a plugin. Memory is counted against a limit that all partitions of a
// processor share. One thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processors/abi/millrace_processor.h"
#include "processors/host/entry_map.h"

namespace millrace::processors {

// What all partitions of one processor may take together.
struct state_memory {
  explicit state_memory(uint64_t max) : bytes_max(max) {}
  std::atomic<uint64_t> bytes_max;  // a new version of the processor may change it
  std::atomic<uint64_t> bytes{0};
};

struct timer_entry {
  int64_t at_ms = 0;
  std::string key;
};

class partition_state {
 public:
  // What an entry takes besides its bytes, about.
  static constexpr uint64_t entry_overhead_bytes = 128;
  static constexpr uint64_t key_bytes_max = 64 * 1024;
  static constexpr int64_t no_time = INT64_MIN;

  // Stores 0 to `stores`-1 are the plugin's, number `stores` is meta.
  partition_state(uint32_t stores, std::shared_ptr<state_memory> memory);
  ~partition_state();
  partition_state(const partition_state&) = delete;
  partition_state& operator=(const partition_state&) = delete;

  // Whether bytes from a plugin can be a key, or a value.
  static bool is_key(const millrace_bytes& bytes);
  static bool is_value(const millrace_bytes& bytes);

  // --- what plugins ask for; statuses of the ABI. `cause` is the number of the input record. ---
  int32_t get(uint32_t store, const millrace_bytes& key, millrace_bytes& value) const;
  int32_t seek(uint32_t store, const millrace_bytes& from, bool is_behind, millrace_bytes& key,
               millrace_bytes& value) const;
  int32_t put(uint32_t cause, uint32_t store, const millrace_bytes& key, const millrace_bytes& value);
  int32_t set_timer(uint32_t cause, int64_t at_ms, const millrace_bytes& key);
  int32_t cancel_timer(uint32_t cause, int64_t at_ms, const millrace_bytes& key);

  // --- time ---
  int64_t watermark() const { return watermark_; }
  // The record `cause` carries this timestamp.
  void advance_time(uint32_t cause, int64_t timestamp_ms);
  // The timer that is due first, if any is.
  std::optional<timer_entry> due_timer() const;
  void remove_timer(uint32_t cause, const timer_entry& timer);

  // --- what the current call has changed ---
  struct change {
    uint32_t store;
    uint32_t cause;  // of the last change of the key
    std::string_view key;
    const std::string* value;  // null: removed
  };
  // Sorted by store and key, each key once; nothing for keys that are as they were. Views end with the next
  // change. Puts the stream time into meta first, if it moved.
  std::vector<change> changes();
  // Of keys and values changed since begin(), with a little for each: what the changelog will take, at most.
  uint64_t change_bytes() const { return change_bytes_; }
  // Puts back what records from number `cause` on have changed.
  void drop_from(uint32_t cause);
  // What was changed stands.
  void commit();

  // --- for the host ---
  uint32_t store_count() const { return static_cast<uint32_t>(stores_.size()); }
  uint32_t meta() const { return store_count() - 1; }
  uint64_t bytes() const { return bytes_; }
  uint64_t entries() const;
  // A put was refused for lack of memory since the last begin of a call.
  bool is_full() const { return is_full_; }
  void forget_full() { is_full_ = false; }

  // What restoring reads: not part of any call. False if the memory's limit is reached.
  bool restore(uint32_t store, std::string_view key, std::optional<std::string_view> value);
  // After the last restore().
  void restored();
  std::optional<std::string> meta_value(std::string_view key) const;
  // What is in another state, as changes of record 0; `source_of[i]` is the store there that is store i here,
  // if there is one. False if the memory's limit is reached.
  bool copy(const partition_state& other, const std::vector<std::optional<uint32_t>>& source_of);
  // The version of the library that has made it; nothing if there is no state yet.
  std::optional<uint32_t> version() const;
  // The state begins, or goes on, with this version of its layout: a change of record 0.
  void note_version(std::string_view version);
  const entry_map& entries_of(uint32_t store) const { return stores_[store]; }

 private:
  struct undo {
    uint32_t store;
    uint32_t cause;
    std::string key;
    std::optional<std::string> before;
    uint64_t change_bytes_before;
  };
  struct time_undo {
    uint32_t cause;
    int64_t before;
  };

  // Changes what is under the key, `found`, or null; false if the limit is reached. Does not note anything.
  bool write(uint32_t store, std::string_view key, std::string* found, std::optional<std::string_view> value);
  int32_t change_entry(uint32_t cause, uint32_t store, std::string_view key,
                       std::optional<std::string_view> value);

  std::vector<entry_map> stores_;
  std::shared_ptr<state_memory> memory_;
  uint64_t bytes_ = 0;
  int64_t watermark_ = no_time;
  std::vector<undo> undo_;
  std::vector<time_undo> time_undo_;
  uint64_t change_bytes_ = 0;
  bool is_full_ = false;
};

}  // namespace millrace::processors
