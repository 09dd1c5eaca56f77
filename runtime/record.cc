#include "runtime/record.h"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/errno_error.h"
#include "runtime/io_change.h"
#include "runtime/record_format.h"

namespace millrace::runtime {

namespace {

// The file, shared by all shards of the process.
class recorder {
 public:
  static result<std::shared_ptr<recorder>> open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return fail_errno("open the recording", path, -errno);
    auto made = std::make_shared<recorder>(fd);
    std::error_code ignored;
    const std::string here = std::filesystem::current_path(ignored).string();
    const auto length = static_cast<uint32_t>(here.size());
    std::string start(record_magic);
    start.append(reinterpret_cast<const char*>(&length), sizeof(length));
    start += here;
    const iovec whole{start.data(), start.size()};
    made->put({whole});
    return made;
  }

  explicit recorder(int fd) : fd_(fd) {}
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;
  ~recorder() { ::close(fd_); }

  void write(record_header header, const io_op* op) {
    std::vector<iovec> parts(1);
    if (op && header.what == record_what::started) {
      if (op->path) header.path_size = static_cast<uint32_t>(add(parts, op->path, std::strlen(op->path)));
      if (op->path_to)
        header.path_to_size = static_cast<uint32_t>(add(parts, op->path_to, std::strlen(op->path_to)));
      if (op->kind == io_kind::write)
        for (uint32_t i = 0; i < op->vector_count; ++i)
          header.data_size += add(parts, op->vectors[i].iov_base, op->vectors[i].iov_len);
    }
    const std::lock_guard lock(mutex_);
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    header.time_ns = static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
    parts[0] = {&header, sizeof(header)};
    put(std::move(parts));
  }

  uint64_t next_operation() {
    const std::lock_guard lock(mutex_);
    return ++operations_;
  }

 private:
  static size_t add(std::vector<iovec>& parts, const void* data, size_t size) {
    parts.push_back({const_cast<void*>(data), size});
    return size;
  }

  // A recording with a hole would prove nothing, so failing to write it ends the process.
  void put(std::vector<iovec> parts) {
    constexpr size_t parts_per_call = 1024;
    for (size_t first = 0; first < parts.size();) {
      const size_t count = std::min(parts.size() - first, parts_per_call);
      const ssize_t written = ::writev(fd_, parts.data() + first, static_cast<int>(count));
      MR_ASSERT(written > 0);
      auto rest = static_cast<size_t>(written);
      while (first < parts.size() && rest >= parts[first].iov_len) rest -= parts[first++].iov_len;
      if (rest > 0) {
        parts[first].iov_base = static_cast<std::byte*>(parts[first].iov_base) + rest;
        parts[first].iov_len -= rest;
      }
    }
  }

  const int fd_;
  std::mutex mutex_;
  uint64_t operations_ = 0;
};

class recording_backend final : public backend {
 public:
  recording_backend(std::shared_ptr<recorder> log, std::unique_ptr<backend> inner)
      : log_(std::move(log)), inner_(std::move(inner)) {}

  std::string_view name() const noexcept override { return inner_->name(); }

  void submit(io_op& op) override {
    if (op.kind == io_kind::close) {
      note_closed(op.fd);  // before the kernel may give the number to somebody else
    } else if (is_file_change(op.kind)) {
      op.cookie = log_->next_operation();
      log_->write(header_of(record_what::started, op), &op);
    }
    inner_->submit(op);
  }

  void turn(std::optional<nanoseconds> wait, op_list& done) override {
    inner_->turn(wait, done);
    for (io_op* op = done.first(); op; op = op->next)
      if (is_file_change(op->kind)) log_->write(header_of(record_what::finished, *op), nullptr);
  }

  void cancel(io_op& op) override { inner_->cancel(op); }
  void wake() noexcept override { inner_->wake(); }
  time_point monotonic_now() noexcept override { return inner_->monotonic_now(); }
  int64_t wall_clock_ms() noexcept override { return inner_->wall_clock_ms(); }
  int listen(const socket_address& address, const listen_options& options, socket_address& bound) override {
    return inner_->listen(address, options, bound);
  }
  void shutdown(int fd) noexcept override { inner_->shutdown(fd); }
  void close_now(int fd) noexcept override {
    note_closed(fd);
    inner_->close_now(fd);
  }
  void close_behind(int fd) noexcept override {
    note_closed(fd);
    inner_->close_behind(fd);
  }
  int lock_file(int fd) noexcept override { return inner_->lock_file(fd); }

 private:
  static record_header header_of(record_what what, const io_op& op) {
    record_header header;
    header.what = what;
    header.kind = static_cast<uint8_t>(op.kind);
    header.flags = op.flags;
    header.operation = op.cookie;
    header.fd = op.fd;
    header.result = what == record_what::finished ? op.result : 0;
    header.at = op.at;
    header.length = op.length;
    return header;
  }

  void note_closed(int fd) {
    record_header header;
    header.what = record_what::closed;
    header.fd = fd;
    log_->write(header, nullptr);
  }

  std::shared_ptr<recorder> log_;
  std::unique_ptr<backend> inner_;
};

}  // namespace

result<std::unique_ptr<backend>> record_to(const std::string& path, std::unique_ptr<backend> inner) {
  auto log = recorder::open(path);
  if (!log) return fail(log.error());
  return std::make_unique<recording_backend>(std::move(*log), std::move(inner));
}

result<std::unique_ptr<backend>> record_if_asked(std::unique_ptr<backend> inner) {
  const char* path = std::getenv("MILLRACE_RECORD_IO");
  if (!path || !*path) return inner;
  static const result<std::shared_ptr<recorder>> log = recorder::open(path);
  if (!log) return fail(log.error());
  return std::make_unique<recording_backend>(*log, std::move(inner));
}

}  // namespace millrace::runtime
