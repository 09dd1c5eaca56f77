#include "runtime/file.h"

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "runtime/backend.h"
#include "runtime/errno_error.h"
#include "runtime/io_op.h"
#include "runtime/reactor.h"

namespace millrace::runtime {

namespace {

// The kernel's bounds on one call, kept well inside: 1024 vectors, 2 GiB.
constexpr uint32_t vectors_per_call = 1024;
constexpr uint64_t bytes_per_call = uint64_t{1} << 30;

// One buffered write stays at 64 KiB: larger ones make the kernel take large folios from memory that
// a virtual machine may have given back to its host, at many times the cost (docs/runtime.md).
constexpr uint64_t buffered_write_bytes = 64 * 1024;

// Between two tries at a lock that somebody has.
constexpr auto busy_interval = std::chrono::milliseconds(20);

// A part of a vector list that one call may carry. `from` advances over what was handed out.
class vector_cursor {
 public:
  explicit vector_cursor(std::vector<iovec> vectors) : vectors_(std::move(vectors)) { skip_empty(); }

  bool at_end() const noexcept { return index_ == vectors_.size(); }

  // The next at most `limit` bytes as a list that is valid until the next call.
  const std::vector<iovec>& window(uint64_t limit) {
    window_.clear();
    for (size_t i = index_; i < vectors_.size() && limit > 0 && window_.size() < vectors_per_call; ++i) {
      iovec v = vectors_[i];
      v.iov_len = std::min<uint64_t>(v.iov_len, limit);
      if (v.iov_len == 0) continue;
      limit -= v.iov_len;
      window_.push_back(v);
    }
    return window_;
  }
  uint64_t window_bytes() const noexcept {
    uint64_t sum = 0;
    for (const iovec& v : window_) sum += v.iov_len;
    return sum;
  }

  void advance(uint64_t bytes) {
    while (bytes > 0) {
      iovec& v = vectors_[index_];
      const size_t step = std::min<uint64_t>(bytes, v.iov_len);
      v.iov_base = static_cast<std::byte*>(v.iov_base) + step;
      v.iov_len -= step;
      bytes -= step;
      skip_empty();
    }
  }

 private:
  void skip_empty() {
    while (index_ < vectors_.size() && vectors_[index_].iov_len == 0) ++index_;
  }

  std::vector<iovec> vectors_;
  std::vector<iovec> window_;
  size_t index_ = 0;
};

}  // namespace

file::~file() {
  if (fd_ >= 0) io_->close_now(fd_);
}

std::unexpected<error> file::failed(const char* doing, int64_t outcome) const {
  return fail_errno(doing, path_, outcome);
}

task<result<file>> file::open(std::string path, open_options options) {
  uint32_t flags = 0;
  if (options.create) flags |= open_create;
  if (options.exclusive) flags |= open_exclusive;
  if (options.truncate) flags |= open_truncate;
  if (options.read_only) flags |= open_read_only;
  if (options.direct) flags |= open_direct;

  file opened;
  opened.io_ = &reactor::current().io();
  opened.path_ = std::move(path);

  io_op op(io_kind::open);
  op.path = opened.path_.c_str();
  op.flags = flags;
  int64_t outcome = co_await op;
  if (outcome == -EINVAL && options.direct) {
    // This file system refuses O_DIRECT altogether. The first attempt may have created the file.
    io_op again(io_kind::open);
    again.path = opened.path_.c_str();
    again.flags = flags & ~(open_direct | open_exclusive);
    outcome = co_await again;
  } else {
    opened.direct_ = options.direct;
  }
  if (outcome < 0) co_return opened.failed("open", outcome);
  opened.fd_ = static_cast<int>(outcome);

  if (opened.direct_) {
    file_facts facts;
    io_op stat(io_kind::stat, opened.fd_);
    stat.out = &facts;
    outcome = co_await stat;
    if (outcome < 0) co_return opened.failed("inspect", outcome);
    if (facts.direct_alignment == 0) {
      io_op again(io_kind::open);
      again.path = opened.path_.c_str();
      again.flags = flags & ~(open_direct | open_exclusive | open_truncate);
      outcome = co_await again;
      if (outcome < 0) co_return opened.failed("open", outcome);
      opened.io_->close_now(opened.fd_);
      opened.fd_ = static_cast<int>(outcome);
      opened.direct_ = false;
    } else {
      opened.alignment_ = facts.direct_alignment;
    }
  }
  co_return std::move(opened);
}

task<result<size_t>> file::read(uint64_t at, mutable_bytes into) {
  std::vector<iovec> vectors{{into.data(), into.size()}};
  return read(at, std::move(vectors));
}

task<result<size_t>> file::read(uint64_t at, std::vector<iovec> into) {
  MR_ASSERT(is_open());
  vector_cursor rest(std::move(into));
  uint64_t total = 0;
  while (!rest.at_end()) {
    const std::vector<iovec>& window = rest.window(bytes_per_call);
    io_op op(io_kind::read, fd_);
    op.at = at + total;
    op.vectors = window.data();
    op.vector_count = static_cast<uint32_t>(window.size());
    const int64_t outcome = co_await op;
    if (outcome == -EINTR || outcome == -EAGAIN) continue;
    if (outcome < 0) co_return failed("read", outcome);
    if (outcome == 0) break;
    total += static_cast<uint64_t>(outcome);
    rest.advance(static_cast<uint64_t>(outcome));
    // A direct read that ends off the alignment has met the end of the file, and cannot go on.
    if (direct_ && static_cast<uint64_t>(outcome) % alignment_ != 0) break;
  }
  co_return total;
}

task<result<void>> file::write(uint64_t at, bytes_view from, write_options options) {
  std::vector<iovec> vectors{{const_cast<std::byte*>(from.data()), from.size()}};
  return write(at, std::move(vectors), options);
}

task<result<void>> file::write(uint64_t at, std::vector<iovec> from, write_options options) {
  MR_ASSERT(is_open());
  const uint64_t limit = direct_ || options.dsync ? bytes_per_call : buffered_write_bytes;
  vector_cursor rest(std::move(from));
  while (!rest.at_end()) {
    const std::vector<iovec>& window = rest.window(limit);
    const uint64_t wanted = rest.window_bytes();
    io_op op(io_kind::write, fd_);
    op.at = at;
    op.vectors = window.data();
    op.vector_count = static_cast<uint32_t>(window.size());
    op.flags = options.dsync ? write_dsync : 0;
    const int64_t outcome = co_await op;
    if (outcome < 0) co_return failed("write", outcome);
    const auto written = static_cast<uint64_t>(outcome);
    if (written < wanted && options.dsync)
      co_return fail(errc::io_error, "short write to {}: {} of {} bytes at {}", path_, written, wanted, at);
    // Without dsync a short write is finished, which shows the reason if there is one.
    if (written == 0) co_return failed("write", -ENOSPC);
    at += written;
    rest.advance(written);
  }
  co_return {};
}

task<result<void>> file::sync_data() {
  MR_ASSERT(is_open());
  io_op op(io_kind::sync_data, fd_);
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return failed("sync", outcome);
  co_return {};
}

task<result<void>> file::sync_all() {
  MR_ASSERT(is_open());
  io_op op(io_kind::sync_all, fd_);
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return failed("sync", outcome);
  co_return {};
}

task<result<void>> file::allocate(uint64_t at, uint64_t length, allocate_mode mode) {
  MR_ASSERT(is_open());
  io_op op(io_kind::allocate, fd_);
  op.at = at;
  op.length = length;
  op.flags = mode == allocate_mode::keep_size ? allocate_keep_size : 0;
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return failed("allocate space for", outcome);
  co_return {};
}

task<result<void>> file::truncate(uint64_t size) {
  MR_ASSERT(is_open());
  io_op op(io_kind::truncate, fd_);
  op.length = size;
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return failed("truncate", outcome);
  co_return {};
}

task<result<uint64_t>> file::size() {
  MR_ASSERT(is_open());
  file_facts facts;
  io_op op(io_kind::stat, fd_);
  op.out = &facts;
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return failed("inspect", outcome);
  co_return facts.size_bytes;
}

void file::close_behind() noexcept {
  if (fd_ >= 0) io_->close_behind(std::exchange(fd_, -1));
}

task<result<void>> file::close() {
  MR_ASSERT(is_open());
  io_op op(io_kind::close, std::exchange(fd_, -1));
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return failed("close", outcome);
  co_return {};
}

task<result<void>> file::lock(nanoseconds patience) {
  MR_ASSERT(is_open());
  const time_point give_up = reactor::current().now() + patience;
  for (;;) {
    const int outcome = io_->lock_file(fd_);
    if (outcome != -EAGAIN && outcome != -EACCES) {
      if (outcome < 0) co_return failed("lock", outcome);
      co_return {};
    }
    if (reactor::current().now() >= give_up)
      co_return fail(errc::locked, "{} is in use by another process", path_);
    co_await reactor::current().sleep(busy_interval);
  }
}

}  // namespace millrace::runtime
