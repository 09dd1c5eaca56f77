// file: one open file, read and written at explicit positions, with several operations in flight.
//
// A file belongs to the shard that opened it. Reads and writes may overlap each other freely; the file
// must not be moved, closed or destroyed while one of them is pending. The destructor closes; close()
// also reports what the file system says about it.
//
// Direct files (open_options::direct) bypass the page cache: position, length and every piece of memory
// must be multiples of direct_alignment(). Where the file system cannot do that the file is opened
// buffered instead and is_direct() is false; code that aligns anyway works on both. Buffered and direct
// access to one live page are never mixed.
//
// Writes are whole or an error, and an error is not retried: after a failed write or sync the state of
// those bytes on disk is unknown, and only the layer that can rebuild them may decide what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/uio.h>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace millrace::runtime {

class backend;

struct open_options {
  bool create = false;     // make the file if it is missing (its name is durable after sync_directory)
  bool exclusive = false;  // with create: fail with already_exists if it is there
  bool truncate = false;
  bool read_only = false;
  bool direct = false;
};

struct write_options {
  bool dsync = false;  // completes only when the bytes would survive a power cut
};

enum class allocate_mode { keep_size, extend };

class file {
 public:
  // Closed; to be assigned to.
  file() = default;
  file(file&& other) noexcept { swap(other); }
  file& operator=(file&& other) noexcept {
    file taken = std::move(other);
    swap(taken);
    return *this;
  }
  ~file();

  static task<result<file>> open(std::string path, open_options options);

  // Fills `into` from `at`; fewer bytes only at the end of the file.
  task<result<size_t>> read(uint64_t at, mutable_bytes into);
  task<result<size_t>> read(uint64_t at, std::vector<iovec> into);

  // Writes all of it. The memory must stay as it is until the task is done.
  task<result<void>> write(uint64_t at, bytes_view from, write_options options = {});
  task<result<void>> write(uint64_t at, std::vector<iovec> from, write_options options = {});

  // All writes that completed before this call survive a power cut when it returns.
  task<result<void>> sync_data();
  task<result<void>> sync_all();
  // Reserves blocks, so that later writes into the range cannot run out of space.
  task<result<void>> allocate(uint64_t at, uint64_t length, allocate_mode mode = allocate_mode::keep_size);
  task<result<void>> truncate(uint64_t size);
  task<result<uint64_t>> size();
  task<result<void>> close();
  // Closes without waiting for it, and without holding up the shard where the file was removed meanwhile.
  // What the file system would say about it is lost.
  void close_behind() noexcept;

  // Exclusive lock owned by this open file description: it lasts until the last request in flight of
  // the last holder is gone, even if the process was killed. errc::locked if somebody has it for longer than
  // `patience`.
  task<result<void>> lock(nanoseconds patience = nanoseconds{0});

  bool is_open() const noexcept { return fd_ >= 0; }
  bool is_direct() const noexcept { return direct_; }
  // What direct reads and writes must be aligned to; 1 for a buffered file.
  uint32_t direct_alignment() const noexcept { return alignment_; }
  const std::string& path() const noexcept { return path_; }

 private:
  void swap(file& other) noexcept {
    std::swap(io_, other.io_);
    std::swap(fd_, other.fd_);
    std::swap(direct_, other.direct_);
    std::swap(alignment_, other.alignment_);
    std::swap(path_, other.path_);
  }
  std::unexpected<error> failed(const char* doing, int64_t outcome) const;

  backend* io_ = nullptr;
  int fd_ = -1;
  bool direct_ = false;
  uint32_t alignment_ = 1;
  std::string path_;
};

}  // namespace millrace::runtime
