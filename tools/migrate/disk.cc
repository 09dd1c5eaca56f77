#include "tools/migrate/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <filesystem>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace millrace::tools {

namespace {

constexpr uint64_t small_file_bytes_max = uint64_t{1} << 30;

class descriptor {
 public:
  explicit descriptor(int number) : number_(number) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const noexcept { return number_; }
  bool is_open() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

std::unexpected<error> failed(std::string_view what, const std::string& path) {
  const errc code = errno == ENOSPC || errno == EDQUOT ? errc::disk_full
                    : errno == ENOENT                  ? errc::not_found
                                                       : errc::io_error;
  return fail(code, "cannot {} {}: {}", what, path, strerror(errno));
}

result<void> write_all(int to, bytes_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(to, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed("write", path);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

// Where the kernel cannot copy from file to file by itself.
result<void> copy_by_hand(int in, byte_range piece, int out, const std::string& from, const std::string& to) {
  std::vector<std::byte> memory(1 << 20);
  while (piece.bytes > 0) {
    const size_t wanted = std::min<uint64_t>(memory.size(), piece.bytes);
    const ssize_t got = ::pread(in, memory.data(), wanted, static_cast<off_t>(piece.begin));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", from);
    if (got == 0) return fail(errc::io_error, "{} became shorter while it was copied", from);
    MR_TRY(write_all(out, bytes_view(memory).first(static_cast<size_t>(got)), to));
    piece.begin += static_cast<uint64_t>(got);
    piece.bytes -= static_cast<uint64_t>(got);
  }
  return {};
}

result<void> copy_piece(int in, byte_range piece, int out, const std::string& from, const std::string& to) {
  while (piece.bytes > 0) {
    auto position = static_cast<loff_t>(piece.begin);
    const ssize_t copied = ::copy_file_range(in, &position, out, nullptr, piece.bytes, 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0 && (errno == ENOSPC || errno == EDQUOT)) return failed("write", to);
    if (copied <= 0) return copy_by_hand(in, piece, out, from, to);
    piece.begin += static_cast<uint64_t>(copied);
    piece.bytes -= static_cast<uint64_t>(copied);
  }
  return {};
}

}  // namespace

result<std::string> read_small_file(const std::string& path) {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return failed("open", path);
  std::string text;
  char piece[16384];
  for (;;) {
    const ssize_t got = ::read(file.number(), piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path);
    if (got == 0) return text;
    text.append(piece, static_cast<size_t>(got));
    if (text.size() > small_file_bytes_max) return fail(errc::limit_exceeded, "{} is too large", path);
  }
}

result<void> write_durably(const std::string& path, bytes_view bytes) {
  const std::string temporary = path + ".tmp";
  {
    const descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.is_open()) return failed("create", temporary);
    MR_TRY(write_all(file.number(), bytes, temporary));
    if (fsync(file.number()) != 0) return failed("sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("rename", temporary);
  return sync_directory(std::filesystem::path(path).parent_path().string());
}

result<void> copy_durably(const std::string& from, const std::vector<byte_range>& pieces,
                          const std::string& to) {
  const descriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.is_open()) return failed("open", from);
  const descriptor out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out.is_open()) return failed("create", to);
  for (const byte_range& piece : pieces) MR_TRY(copy_piece(in.number(), piece, out.number(), from, to));
  if (fsync(out.number()) != 0) return failed("sync", to);
  return {};
}

result<file_writer> file_writer::create(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return failed("create", path);
  return file_writer(path, file);
}

file_writer::~file_writer() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

result<void> file_writer::append(bytes_view bytes) {
  constexpr size_t drain_above_bytes = 1 << 20;
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  return pending_.size() < drain_above_bytes ? result<void>() : drain();
}

result<void> file_writer::drain() {
  MR_TRY(write_all(descriptor_, pending_, path_));
  pending_.clear();
  return {};
}

result<void> file_writer::finish() {
  MR_TRY(drain());
  if (fsync(descriptor_) != 0) return failed("sync", path_);
  return {};
}

result<void> sync_directory(const std::string& path) {
  const descriptor directory(::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open()) return failed("open", path);
  if (fsync(directory.number()) != 0) return failed("sync", path);
  return {};
}

result<uint64_t> free_bytes(const std::string& path) {
  struct statvfs status = {};
  if (statvfs(path.c_str(), &status) != 0) return failed("look at", path);
  return uint64_t{status.f_bavail} * status.f_frsize;
}

result<directory_lock> directory_lock::take(const std::string& path, bool may_create) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (may_create ? O_CREAT : 0), 0644);
  if (file < 0 && !may_create) return directory_lock(-1);
  if (file < 0) return failed("open", path);
  struct flock wanted = {};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_SET;
  if (fcntl(file, F_OFD_SETLK, &wanted) == 0) return directory_lock(file);
  ::close(file);
  return fail(errc::locked, "a running broker, or another import or export, holds {}", path);
}

directory_lock::~directory_lock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace millrace::tools
