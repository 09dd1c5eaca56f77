// witness: what a dead process had appended, and what it had committed.
//
// Two numbers per shard in memory that outlives the process (a page of a mapped file that the broker
// provides). They promise nothing and recovery does not read them; they let a person, or a test that kills
// brokers, tell whether a process died between an append and its commit.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace::storage {

struct commit_witness {
  std::atomic<uint64_t> appended_lsn;   // the newest frame that got a batch
  std::atomic<uint64_t> committed_lsn;  // the newest frame that is durable

  void on_append(uint64_t lsn) noexcept { appended_lsn.store(lsn, std::memory_order_relaxed); }
  void on_commit(uint64_t lsn) noexcept { committed_lsn.store(lsn, std::memory_order_relaxed); }
};

static_assert(sizeof(commit_witness) == 16 && std::atomic<uint64_t>::is_always_lock_free);

}  // namespace millrace::storage
