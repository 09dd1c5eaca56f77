// writer: group commit.
//
// At most one write is in flight. While it runs, appends gather in the open frame; its completion seals
// that frame and writes it, so batching follows the disk and nobody waits for a timer (but see pacer.h). A
// frame is one write with O_DSYNC semantics: when it completes, everything in it is durable. In the lane that
// is not synced it is a plain write, and "durable" means that it survives the process.
//
// After a write fails or comes up short nothing is tried again: what is on the disk is unknown, and only
// a restart can find out. The writer says why and refuses from then on.
//
// When commits have stopped for a while, one empty frame follows (a seal). From then on damage to the
// last real frame can no longer be mistaken for a write that the crash cut short. (Not in the unsynced lane,
// where such damage cannot be told from what a power cut leaves.)
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/histogram.h"
#include "base/result.h"
#include "base/types.h"
#include "runtime/event.h"
#include "runtime/task.h"
#include "runtime/timer.h"
#include "storage/wal/arena.h"
#include "storage/wal/file_set.h"
#include "storage/wal/frame_builder.h"
#include "storage/wal/pacer.h"

namespace millrace::storage::wal {

// Told by the writer, on its shard, in the order of lsns.
class commit_listener {
 public:
  // No more entries go into the frame.
  virtual void frame_sealed(lsn at) = 0;
  virtual void frame_durable(lsn at) = 0;
  // The writer needs a file that the disk has no room for (true), or has got it (false).
  virtual void waiting_for_space(bool is_waiting) = 0;
  // A file was filled; there may be something to spill.
  virtual void file_filled() = 0;
  virtual void failed(const error& reason) = 0;

 protected:
  ~commit_listener() = default;
};

struct writer_options {
  uint64_t frame_bytes_target = 0;
  uint64_t frame_bytes_max = 0;
  std::chrono::nanoseconds seal_after_idle{};
  bool is_synced = true;
  std::chrono::nanoseconds delay_max{};  // see pacer
};

class writer {
 public:
  // The first frame gets `next`.
  writer(file_set& files, writer_options options, commit_listener& listener, arena& memory, lsn next);
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  // The frame that is gathering. Call touched() after adding to it.
  frame_builder& open_frame() noexcept { return builder_; }
  lsn open_lsn() const noexcept { return builder_.lsn(); }
  void touched() {
    if (!work_.is_set()) work_.set();
  }
  // Ends the open frame, if it has entries, so that the next entry begins a new one.
  void seal_open();
  // The same if the frame has reached its target size.
  void seal_if_large() {
    if (builder_.bytes() >= options_.frame_bytes_target) seal_open();
  }

  bool is_durable(lsn at) const noexcept { return at <= durable_; }
  lsn durable() const noexcept { return durable_; }
  // errc::read_only once the writer has failed. Requires: at <= open_lsn().
  task<result<void>> wait_durable(lsn at);
  const std::optional<error>& failure() const noexcept { return failure_; }

  // The commit loop; the owner spawns it. Ends after stop(), with everything committed, or on failure.
  task<void> run();
  void stop();
  // From here on a lack of space is a failure, not something to wait out.
  void stop_waiting_for_space() noexcept { waits_for_space_ = false; }

  const histogram& commit_us() const noexcept { return commit_us_; }
  const histogram& commit_bytes() const noexcept { return commit_bytes_; }

 private:
  // Somebody to tell when a frame is durable, or never will be.
  struct pending_frame {
    runtime::event done;
    uint32_t waiters = 0;  // about the number of requests in it
  };

  task<result<void>> write(sealed_frame& frame);
  task<void> wait_for_company();
  task<result<void>> make_room(uint64_t bytes);
  void open_next();
  void fail_all(error reason);

  file_set& files_;
  writer_options options_;
  commit_listener& listener_;
  frame_builder builder_;
  std::deque<sealed_frame> sealed_;                     // oldest first; the front one may be in flight
  std::deque<std::shared_ptr<pending_frame>> pending_;  // frames durable_+1 .. open_lsn()
  runtime::event work_;
  runtime::timer seal_timer_;
  pacer pacer_;
  lsn durable_;
  bool seal_is_due_ = false;
  bool is_stopping_ = false;
  bool waits_for_space_ = true;
  std::optional<error> failure_;
  histogram commit_us_;
  histogram commit_bytes_;
};

}  // namespace millrace::storage::wal
