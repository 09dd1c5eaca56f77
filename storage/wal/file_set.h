// file_set: the files of one shard's write-ahead log, and their reuse.
//
//   wal.<shard>/00.wal 01.wal ...      (wal-unsynced.<shard> for the lane that is not synced)
//
// A file is free, or live (it holds frames that a restart would need), or the current one (the youngest
// live file, being written). begin_next() turns a free file into the current one under a new generation;
// recycle() frees live files whose frames a checkpoint has made unnecessary. Files are written over
// blocks that exist already, which makes a durable write about twice as fast as into fresh space: a new
// file is filled with zeros first. They start small and double, so that an idle broker stays small.
//
// Each file is locked through its own open file description: a request still in flight of a killed
// process keeps the lock, so its successor cannot read a file that is still being written.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "base/result.h"
#include "base/types.h"
#include "runtime/file.h"
#include "runtime/task.h"

namespace millrace::storage::wal {

using runtime::task;

struct wal_file {
  runtime::file handle;
  uint32_t slot = 0;
  uint64_t capacity_bytes = 0;  // allocated
  uint64_t position = 0;        // where the next frame goes
  uint64_t generation = 0;      // 0: free, or left from an earlier run
  lsn first{0};                 // frames it holds; 0 = none
  lsn last{0};
  bool is_name_durable = false;

  bool holds_frames() const noexcept { return first.value() != 0; }
};

struct file_set_options {
  std::string directory;
  uint64_t file_bytes_min = 0;
  uint64_t file_bytes_max = 0;
  uint32_t shard = 0;  // written into the files
  bool direct = true;
  uint64_t random_seed = 1;  // for the random half of generations
};

class file_set {
 public:
  // Opens and locks what is in the directory, which is made with its first file. All files are free at
  // first: recovery reads them and puts those it needs into adopt().
  static task<result<std::unique_ptr<file_set>>> open(file_set_options options);
  file_set(const file_set&) = delete;
  file_set& operator=(const file_set&) = delete;

  // Start-up: every file.
  std::vector<wal_file*> all();
  // Start-up: `file` holds frames first..last that are still needed. Call in the order of lsns.
  void adopt(wal_file& file, lsn first, lsn last);
  // No generation up to this one is used again.
  void raise_generation(uint64_t seen) { counter_ = std::max(counter_, static_cast<uint32_t>(seen >> 32)); }

  // Null before the first begin_next().
  wal_file* current() noexcept { return current_; }
  // Makes a file with room for a frame of `bytes_min` the current one. disk_full leaves all as it was.
  task<result<void>> begin_next(uint64_t bytes_min);
  // Live files all of whose frames are below `trim` become free; true if there were any.
  bool recycle(lsn trim);
  // Live files except the current one, oldest first.
  size_t closed_count() const noexcept { return live_.size() - (current_ ? 1 : 0); }
  const wal_file& closed(size_t i) const noexcept { return *live_[i]; }
  uint64_t live_bytes() const noexcept;
  uint64_t allocated_bytes() const noexcept;
  // Sees to it that a free file of the size wanted by now stands ready; in steps, giving way between.
  task<result<void>> prepare_spare();
  // What live files hold so far, durable even if the writes were not.
  task<result<void>> sync_live();
  // Start-up: makes sure that no frame of the file is ever found again.
  task<result<void>> forget_frames(wal_file& file);
  task<result<void>> close();

 private:
  explicit file_set(file_set_options options) : options_(std::move(options)), random_(options_.random_seed) {}
  task<result<void>> make_directory();
  task<result<wal_file*>> create_file();
  task<result<void>> make_ready(wal_file& file, uint64_t bytes);

  file_set_options options_;
  prng random_;
  std::vector<std::unique_ptr<wal_file>> files_;
  std::deque<wal_file*> live_;  // oldest first; the last one is current_, if any
  std::vector<wal_file*> free_;
  wal_file* current_ = nullptr;
  uint32_t counter_ = 0;  // of generations
  uint32_t next_slot_ = 0;
  uint64_t wanted_bytes_ = 0;
  bool has_directory_ = false;
  bool is_preparing_ = false;
};

}  // namespace millrace::storage::wal
