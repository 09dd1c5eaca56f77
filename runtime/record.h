// record: keeps every change a process makes to its files, so that a power cut at any moment can be
// acted out afterwards.
//
// MILLRACE_RECORD_IO=<file> in the environment makes every shard's backend write down what it is asked
// to change and when that was done. A test then copies the data directory as it was at the start, runs
// the program against a real disk, and afterwards builds, for any moment of that run and any seed, the
// directory as the machine might have found it after a power cut then: writes that no completed sync
// covers are dropped, torn or kept, names that were not synced may be missing. The rules are those of
// sim_disk, which does the work.
//
// A recording costs a write(2) of the data for each write, under a lock shared by all shards; nothing
// when it is off. It survives kill -9 of the recorded process (it lies in the page cache).
//
// The file, little-endian. "MRREC001", u32 length, working directory; then events, each:
//
//   u8  what        1 started, 2 finished, 3 closed
//   u8  kind        an io_kind
//   u16 zero
//   u32 flags       as in io_op
//   u64 operation   number that joins started and finished
//   u64 time_ns     CLOCK_MONOTONIC, for comparing with what a client saw and when
//   i64 fd          as the kernel gave it
//   i64 result      of what finished
//   u64 at
//   u64 length
//   u32 path_size, u32 path_to_size, u64 data_size
//   path, path_to, data
//
// Events are in an order that the process itself could have observed: a start is written before the
// kernel is asked, a finish after it has answered. An incomplete event at the end is ignored.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/backend.h"
#include "runtime/sim/disk.h"

namespace millrace::runtime {

// Wraps `inner` so that its changes go to the file named by MILLRACE_RECORD_IO; `inner` itself if the
// variable is not set. All backends of a process share one recording.
result<std::unique_ptr<backend>> record_if_asked(std::unique_ptr<backend> inner);

// Wraps `inner` in any case. Used by record_if_asked and by tests.
result<std::unique_ptr<backend>> record_to(const std::string& path, std::unique_ptr<backend> inner);

// Reads a recording back and acts out power cuts. For test programs; blocks the calling thread.
class recorded_run {
 public:
  // `root`: the recorded data directory, absolute or relative to the recorded process's directory; what
  // happened elsewhere is left out. `initial`: a copy of it as it was at the start; empty = there was none.
  static result<recorded_run> load(const std::string& recording, const std::string& root,
                                   const std::string& initial);

  // Events applied so far. A cut at n is a cut between event n and the next.
  uint64_t position() const noexcept { return position_; }
  // When the next event happened; nothing at the end of the recording. What a client saw acknowledged
  // before that moment must survive a cut here.
  std::optional<uint64_t> next_time_ns() const noexcept;
  // Applies one event. False at the end.
  result<bool> advance();
  // Passes over one event without applying it, for counting. False at the end.
  bool skip();

  // Writes the directory that `seed` leaves of a power cut at this position to `out` (which must not exist).
  result<void> write_directory(uint64_t seed, const std::string& out) const;

 private:
  struct event;

  recorded_run() = default;
  void read_next();
  // `path` below root, with a slash in front; nothing if it lies elsewhere.
  std::optional<std::string> inside(const std::string& path) const;
  result<void> apply(const event& e);
  result<void> start(const event& e);
  result<void> finish(const event& e);

  // An operation between its two events; owns what the io_op points to.
  struct operation {
    io_op op;
    std::string path;
    std::string path_to;
    std::vector<std::byte> data;
    iovec vector{};
  };

  std::ifstream in_;
  std::string working_directory_;
  std::string root_;
  std::shared_ptr<sim_disk> disk_;
  std::shared_ptr<event> next_;
  std::map<uint64_t, std::unique_ptr<operation>> operations_;
  std::map<int64_t, int> descriptors_;  // the kernel's -> the simulated disk's
  uint64_t position_ = 0;
};

}  // namespace millrace::runtime
