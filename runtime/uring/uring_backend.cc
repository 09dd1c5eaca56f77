#include "runtime/uring/uring_backend.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "runtime/errno_error.h"

// Newer than the kernel headers of Debian 12; the feature bit tells whether the flag is understood.
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

namespace millrace::runtime {

namespace {

constexpr unsigned submission_entries = 512;
constexpr unsigned completion_entries = 8192;

// Best first. What an older kernel does not know it answers with EINVAL.
constexpr std::array<unsigned, 4> setup_attempts = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SUBMIT_ALL,
    0,
};

constexpr std::array used_operations = {
    IORING_OP_NOP,          IORING_OP_READV,   IORING_OP_WRITEV,  IORING_OP_FSYNC,
    IORING_OP_POLL_ADD,     IORING_OP_SENDMSG, IORING_OP_RECVMSG, IORING_OP_CONNECT,
    IORING_OP_ASYNC_CANCEL, IORING_OP_ACCEPT,  IORING_OP_RECV,    IORING_OP_SEND,
};

// user_data of entries that are not an io_op. Operations are aligned, so these are no address of one.
constexpr uint64_t wake_tag = 1;
constexpr uint64_t ignored_tag = 2;
constexpr uint64_t nop_tag = 3;

// File helpers, started when needed. Usually one is enough: the operations that go there are rare. A clean
// stop syncs thousands of directories, and side by side those share the file system's commits.
constexpr size_t file_threads = 8;
// One commit of the log is in flight at a time, and nothing may hold it up.
constexpr size_t commit_threads = 1;

}  // namespace

uring_backend::uring_backend(dsync_by dsync)
    : kernel_backend(file_threads, commit_threads, 0), dsync_(dsync) {}

result<std::unique_ptr<uring_backend>> uring_backend::create(dsync_by dsync) {
  std::unique_ptr<uring_backend> made(new uring_backend(dsync));
  int outcome = 0;
  for (const unsigned flags : setup_attempts) {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_CQSIZE;
    params.cq_entries = completion_entries;
    outcome = io_uring_queue_init_params(submission_entries, &made->ring_, &params);
    if (outcome != 0 && outcome != -EINVAL) break;
    if (outcome == 0) {
      // Timeouts as an argument of enter (5.11) and no lost completions (5.5) are taken for granted.
      made->ring_ready_ = true;
      if ((params.features & IORING_FEAT_EXT_ARG) == 0 || (params.features & IORING_FEAT_NODROP) == 0)
        return fail(errc::not_supported, "the kernel's io_uring is too old");
      made->enter_flags_ = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
      if (params.features & IORING_FEAT_NO_IOWAIT) made->enter_flags_ |= IORING_ENTER_NO_IOWAIT;
      // Entry i of the queue is slot i for good; flush() relies on it.
      for (unsigned i = 0; i < params.sq_entries; ++i) made->ring_.sq.array[i] = i;
      return made;
    }
  }
  return fail_errno("set up", "io_uring", outcome);
}

uring_backend::~uring_backend() {
  if (ring_ready_) io_uring_queue_exit(&ring_);
}

result<void> uring_backend::check_operations() {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  if (!probe) return fail(errc::not_supported, "the kernel does not list its io_uring operations");
  const bool all_there = std::all_of(used_operations.begin(), used_operations.end(),
                                     [&](int op) { return io_uring_opcode_supported(probe, op) != 0; });
  io_uring_free_probe(probe);
  if (!all_there) return fail(errc::not_supported, "the kernel's io_uring lacks an operation we need");

  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_nop(&sqe);
  io_uring_sqe_set_data64(&sqe, nop_tag);
  io_uring_cqe* cqe = nullptr;
  const int outcome = io_uring_submit_and_wait(&ring_, 1);
  if (outcome < 0) return fail_errno("use", "io_uring", outcome);
  if (io_uring_peek_cqe(&ring_, &cqe) != 0) return fail(errc::io_error, "io_uring did not answer a NOP");
  const int answer = cqe->res;
  io_uring_cqe_seen(&ring_, cqe);
  if (answer < 0) return fail_errno("use", "io_uring", answer);
  return {};
}

unsigned uring_backend::flush() noexcept {
  // What liburing does in its submit calls; it has none that takes the flags we want to enter with.
  io_uring_sq& sq = ring_.sq;
  if (sq.sqe_head != sq.sqe_tail) {
    sq.sqe_head = sq.sqe_tail;
    io_uring_smp_store_release(sq.ktail, sq.sqe_tail);
  }
  return sq.sqe_tail - io_uring_smp_load_acquire(sq.khead);
}

io_uring_sqe& uring_backend::next_sqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (!sqe) {
    enter(0, nanoseconds(0));
    sqe = io_uring_get_sqe(&ring_);
  }
  return *sqe;
}

void uring_backend::enter(unsigned wait_count, std::optional<nanoseconds> wait) {
  const unsigned pending = flush();
  __kernel_timespec limit{};
  io_uring_getevents_arg argument{};
  if (wait && wait_count > 0) {
    limit.tv_sec = wait->count() / 1'000'000'000;
    limit.tv_nsec = wait->count() % 1'000'000'000;
    argument.ts = reinterpret_cast<uint64_t>(&limit);
  }
  const long outcome = ::syscall(__NR_io_uring_enter, ring_.ring_fd, pending, wait_count, enter_flags_,
                                 &argument, sizeof(argument));
  if (outcome >= 0 || errno == ETIME || errno == EINTR || errno == EAGAIN || errno == EBUSY) return;
  log::error("io_uring_enter failed reason={}", std::strerror(errno));
  MR_ASSERT(!"io_uring_enter failed");
}

void uring_backend::watch_wake_fd() {
  if (watching_wake_fd_) return;
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_poll_add(&sqe, wake_fd(), POLLIN);
  io_uring_sqe_set_data64(&sqe, wake_tag);
  watching_wake_fd_ = true;
}

void uring_backend::submit(io_op& op) {
  switch (op.kind) {
    case io_kind::read: {
      io_uring_sqe& sqe = next_sqe();
      io_uring_prep_readv(&sqe, op.fd, op.vectors, op.vector_count, op.at);
      io_uring_sqe_set_data(&sqe, &op);
      return;
    }
    case io_kind::write: {
      const bool is_durable = (op.flags & write_dsync) != 0;
      if (is_durable && dsync_ == dsync_by::thread) return submit_to_commit_pool(op);
      io_uring_sqe& sqe = next_sqe();
      io_uring_prep_writev2(&sqe, op.fd, op.vectors, op.vector_count, op.at, is_durable ? RWF_DSYNC : 0);
      io_uring_sqe_set_data(&sqe, &op);
      return;
    }
    case io_kind::sync_data:
      return prepare_sync(op, true);
    case io_kind::sync_all:
      return prepare_sync(op, false);
    case io_kind::accept: {
      io_uring_sqe& sqe = next_sqe();
      auto* peer = static_cast<socket_address*>(op.out);
      if (peer) peer->length = sizeof(peer->storage);
      io_uring_prep_accept(&sqe, op.fd, peer ? reinterpret_cast<sockaddr*>(&peer->storage) : nullptr,
                           peer ? &peer->length : nullptr, SOCK_CLOEXEC);
      io_uring_sqe_set_data(&sqe, &op);
      return;
    }
    case io_kind::connect:
      prepare_connect(op);
      return;
    case io_kind::receive: {
      io_uring_sqe& sqe = next_sqe();
      if (op.vector_count == 1) {
        io_uring_prep_recv(&sqe, op.fd, op.vectors->iov_base, op.vectors->iov_len, 0);
      } else {
        op.message.msg_iov = const_cast<iovec*>(op.vectors);
        op.message.msg_iovlen = op.vector_count;
        io_uring_prep_recvmsg(&sqe, op.fd, &op.message, 0);
      }
      io_uring_sqe_set_data(&sqe, &op);
      return;
    }
    case io_kind::send: {
      io_uring_sqe& sqe = next_sqe();
      // MSG_WAITALL lets the kernel finish a send that fills the socket buffer, without a turn for each part.
      if (op.vector_count == 1) {
        io_uring_prep_send(&sqe, op.fd, op.vectors->iov_base, op.vectors->iov_len,
                           MSG_NOSIGNAL | MSG_WAITALL);
      } else {
        op.message.msg_iov = const_cast<iovec*>(op.vectors);
        op.message.msg_iovlen = op.vector_count;
        io_uring_prep_sendmsg(&sqe, op.fd, &op.message, MSG_NOSIGNAL | MSG_WAITALL);
      }
      io_uring_sqe_set_data(&sqe, &op);
      return;
    }
    case io_kind::poll_readable: {
      io_uring_sqe& sqe = next_sqe();
      io_uring_prep_poll_add(&sqe, op.fd, POLLIN);
      io_uring_sqe_set_data(&sqe, &op);
      return;
    }
    case io_kind::open:
    case io_kind::close:
    case io_kind::allocate:
    case io_kind::truncate:
    case io_kind::stat:
    case io_kind::rename:
    case io_kind::unlink:
    case io_kind::make_directory:
    case io_kind::remove_directory:
    case io_kind::sync_directory:
    case io_kind::list_directory:
    case io_kind::disk_free:
    case io_kind::call:
      submit_to_pool(op);
      return;
  }
}

void uring_backend::prepare_sync(io_op& op, bool data_only) {
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_fsync(&sqe, op.fd, data_only ? IORING_FSYNC_DATASYNC : 0);
  io_uring_sqe_set_data(&sqe, &op);
}

void uring_backend::prepare_connect(io_op& op) {
  const auto& to = *static_cast<const socket_address*>(op.out);
  op.fd = make_socket(to);
  if (op.fd < 0) {
    op.result = op.fd;
    failed_early_.push(op);
    return;
  }
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_connect(&sqe, op.fd, reinterpret_cast<const sockaddr*>(&to.storage), to.length);
  io_uring_sqe_set_data(&sqe, &op);
}

void uring_backend::cancel(io_op& op) {
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_cancel(&sqe, &op, 0);
  io_uring_sqe_set_data64(&sqe, ignored_tag);
}

void uring_backend::finish(io_op& op, int64_t result, op_list& done) noexcept {
  if (op.kind == io_kind::connect) {
    if (result < 0) {
      close_now(op.fd);
    } else {
      result = op.fd;
    }
  }
  if (result >= 0 && (op.kind == io_kind::accept || op.kind == io_kind::connect))
    prepare_connection(static_cast<int>(result));
  op.result = result;
  done.push(op);
}

void uring_backend::reap(op_list& done) {
  unsigned head = 0;
  unsigned seen = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++seen;
    if (cqe->user_data == wake_tag) {
      watching_wake_fd_ = false;
      clear_wake();
    } else if (cqe->user_data != ignored_tag) {
      finish(*reinterpret_cast<io_op*>(cqe->user_data), cqe->res, done);
    }
  }
  io_uring_cq_advance(&ring_, seen);
}

void uring_backend::turn(std::optional<nanoseconds> wait, op_list& done) {
  watch_wake_fd();
  while (io_op* op = failed_early_.pop()) done.push(*op);
  take_from_pool(done);
  const bool may_wait = done.empty() && (!wait || wait->count() > 0);
  enter(may_wait ? 1 : 0, wait);
  reap(done);
  take_from_pool(done);
}

}  // namespace millrace::runtime
