#include "runtime/sim/backend.h"

#include <cerrno>

#include "base/assert.h"

namespace millrace::runtime {

void sim_environment::note(uint64_t what) noexcept {
  trace = (trace ^ what) * 0x9e3779b97f4a7c15ULL;
  trace ^= trace >> 29;
}

int64_t sim_backend::wall_clock_ms() noexcept {
  return world_.wall_clock_offset_ms + world_.now.time_since_epoch().count() / 1'000'000;
}

nanoseconds sim_backend::delay_of(const io_op& op) {
  // Roughly a fast disk's times. One in fifty takes much longer, as a busy one's do.
  int64_t typical_us = 0;
  switch (op.kind) {
    case io_kind::write:
      typical_us = op.flags & write_dsync ? 100 : 30;
      break;
    case io_kind::sync_data:
    case io_kind::sync_all:
    case io_kind::sync_directory:
      typical_us = 200;
      break;
    case io_kind::read:
      typical_us = 20;
      break;
    default:
      typical_us = 10;
  }
  const int64_t us = random_.one_in(50) ? random_.between(typical_us, typical_us * 50)
                                        : random_.between(typical_us / 4, typical_us * 2);
  return nanoseconds(us * 1000 + random_.between(0, 999));
}

void sim_backend::schedule(io_op& op, bool is_disk) {
  queue_.push({world_.now + delay_of(op), ++order_, &op, is_disk});
}

void sim_backend::submit(io_op& op) {
  switch (op.kind) {
    case io_kind::accept:
    case io_kind::connect:
    case io_kind::receive:
    case io_kind::send:
      world_.network->submit(op, *this);
      return;
    case io_kind::call:
      complete_later(op, (*static_cast<std::move_only_function<int64_t()>*>(op.out))());
      return;
    case io_kind::poll_readable:
      // Descriptors of the real world never become ready in this one.
      return;
    default:
      world_.disk->start(op);
      schedule(op, true);
  }
}

void sim_backend::cancel(io_op& op) {
  if (world_.network->cancel(op)) complete_later(op, -ECANCELED);
}

void sim_backend::complete_later(io_op& op, int64_t result) {
  op.result = result;
  schedule(op, false);
}

void sim_backend::turn(std::optional<nanoseconds> wait, op_list& done) {
  MR_ASSERT(wait && wait->count() == 0);  // the world does the waiting
  while (!queue_.empty() && queue_.top().at <= world_.now) {
    const event e = queue_.top();
    queue_.pop();
    if (e.is_disk) e.op->result = world_.disk->finish(*e.op);
    world_.note(static_cast<uint64_t>(e.op->kind) << 56 ^ static_cast<uint64_t>(e.op->result));
    done.push(*e.op);
  }
}

int sim_backend::listen(const socket_address& address, const listen_options&, socket_address& bound) {
  return world_.network->listen(address, bound);
}

void sim_backend::close_now(int fd) noexcept {
  if (world_.network->owns(fd)) {
    world_.network->close(fd);
  } else {
    world_.disk->close(fd);
  }
}

}  // namespace millrace::runtime
