// io_op: one operation handed to the kernel (or to the simulator), and where its result arrives.
//
// An io_op is a plain record that lives in the frame of the coroutine that awaits it:
//
//   io_op op;
//   op.kind = io_kind::sync_data;
//   op.fd = fd;
//   const int64_t outcome = co_await op;   // >= 0, or a negative errno
//
// From submission to completion the backend owns it and everything it points to (buffers, paths,
// vectors); the frame cannot go away meanwhile, because tasks are never destroyed half-way. Nobody but
// file, fs and net fills one in.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>
#include <vector>

namespace millrace::runtime {

enum class io_kind : uint8_t {
  // Files by descriptor.
  open,       // path, flags (open_*)                -> descriptor
  close,      // fd
  read,       // fd, at, vectors                     -> bytes, short only at the end of file
  write,      // fd, at, vectors, flags (write_*)    -> bytes
  sync_data,  // fd: data and the size needed to read it back
  sync_all,   // fd: and all metadata
  allocate,   // fd, at, length, flags (allocate_*)
  truncate,   // fd, length = the new size
  stat,       // fd, or path if fd < 0; out = file_facts*
  // Names.
  rename,            // path, path_to
  unlink,            // path
  make_directory,    // path
  remove_directory,  // path
  sync_directory,    // path
  list_directory,    // path; out = std::vector<directory_entry>*
  disk_free,         // path; out = disk_space*
  // Sockets.
  accept,         // fd; out = socket_address* or null -> descriptor
  connect,        // out = socket_address*             -> descriptor
  receive,        // fd, vectors                       -> bytes, 0 at the end of the stream
  send,           // fd, vectors                       -> bytes, may be short
  poll_readable,  // fd
  // Anything else that blocks: runs `*static_cast<std::move_only_function<int64_t()>*>(out)` on a helper
  // thread.
  call,
};

// Flags of io_kind::open.
inline constexpr uint32_t open_create = 1;
inline constexpr uint32_t open_exclusive = 2;
inline constexpr uint32_t open_truncate = 4;
inline constexpr uint32_t open_read_only = 8;
inline constexpr uint32_t open_direct = 16;
// Flags of io_kind::write: completes only when the bytes survive a power cut.
inline constexpr uint32_t write_dsync = 1;
// Flags of io_kind::allocate: reserve blocks without moving the end of the file.
inline constexpr uint32_t allocate_keep_size = 1;

struct file_facts {
  uint64_t size_bytes = 0;
  bool is_directory = false;
  // What offsets, lengths and memory addresses must be multiples of on a descriptor opened direct;
  // 0 where direct I/O is not possible.
  uint32_t direct_alignment = 0;
};

struct directory_entry {
  std::string name;
  bool is_directory = false;
  bool operator==(const directory_entry&) const = default;
};

struct disk_space {
  uint64_t free_bytes = 0;  // what we may still write
  uint64_t total_bytes = 0;
};

struct socket_address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

struct io_op {
  io_kind kind{};
  int fd = -1;
  uint32_t flags = 0;
  uint64_t at = 0;
  uint64_t length = 0;
  const iovec* vectors = nullptr;
  uint32_t vector_count = 0;
  const char* path = nullptr;
  const char* path_to = nullptr;
  void* out = nullptr;

  // >= 0, or a negative errno.
  int64_t result = 0;
  std::coroutine_handle<> waiter;

  // From here on the backend's own: links and scratch that must live as long as the operation.
  io_op* next = nullptr;
  io_op* previous = nullptr;
  uint64_t cookie = 0;  // of the recording
  msghdr message{};

  io_op() = default;
  explicit io_op(io_kind k, int descriptor = -1) : kind(k), fd(descriptor) {}
  io_op(const io_op&) = delete;
  io_op& operator=(const io_op&) = delete;

  // Submits to the current reactor's backend and waits. Yields `result`.
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting);
  int64_t await_resume() const noexcept { return result; }
};

// First-in first-out chain of finished operations, linked through io_op::next.
class op_list {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  void push(io_op& op) noexcept {
    op.next = nullptr;
    (last_ ? last_->next : first_) = &op;
    last_ = &op;
  }
  io_op* pop() noexcept {
    io_op* op = first_;
    if (op) {
      first_ = op->next;
      if (!first_) last_ = nullptr;
    }
    return op;
  }
  io_op* first() const noexcept { return first_; }

 private:
  io_op* first_ = nullptr;
  io_op* last_ = nullptr;
};

}  // namespace millrace::runtime
