// disk: what import and export need of the file system: whole small files, copies that are durable, locks.
//
// Nothing here is a broker's: plain calls, one thread. Errors name the path.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace millrace::tools {

// A piece of a file.
struct byte_range {
  uint64_t begin = 0;
  uint64_t bytes = 0;
};

// The whole file; errc::not_found if there is none, limit_exceeded if it is absurdly large.
result<std::string> read_small_file(const std::string& path);
// Writes a new file and syncs it; an old one of that name is replaced in one step.
result<void> write_durably(const std::string& path, bytes_view bytes);
// Puts these pieces of `from`, one behind the other, into the new file `to`, and syncs it. `from` must not
// change meanwhile.
result<void> copy_durably(const std::string& from, const std::vector<byte_range>& pieces,
                          const std::string& to);
// A new file, written from its beginning; durable when finish() has returned.
class file_writer {
 public:
  static result<file_writer> create(const std::string& path);
  file_writer(file_writer&& other) noexcept
      : path_(std::move(other.path_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        pending_(std::move(other.pending_)) {}
  file_writer& operator=(file_writer&&) = delete;
  ~file_writer();

  result<void> append(bytes_view bytes);
  result<void> finish();

 private:
  file_writer(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  result<void> drain();

  std::string path_;
  int descriptor_;
  std::vector<std::byte> pending_;
};

// Makes the names in a directory durable.
result<void> sync_directory(const std::string& path);
// Bytes that may be written to the file system that holds `path`.
result<uint64_t> free_bytes(const std::string& path);

// A lock as brokers take it on a file of their directory; held until this is destroyed.
class directory_lock {
 public:
  // Takes the lock on `path`, which is made if there is none and `may_create`. Without write permission there
  // is nothing to hold, and that is fine: nobody else can be kept out. errc::locked if a broker runs.
  static result<directory_lock> take(const std::string& path, bool may_create);
  directory_lock(directory_lock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  directory_lock& operator=(directory_lock&&) = delete;
  ~directory_lock();

 private:
  explicit directory_lock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace millrace::tools
