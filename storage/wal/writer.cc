#include "storage/wal/writer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/reactor.h"
#include "storage/fault.h"

namespace millrace::storage::wal {

namespace {
constexpr auto space_retry_interval = std::chrono::milliseconds(100);
}  // namespace

writer::writer(file_set& files, writer_options options, commit_listener& listener, arena& memory, lsn next)
    : files_(files),
      options_(options),
      listener_(listener),
      builder_(memory),
      seal_timer_([this] {
        seal_is_due_ = true;
        touched();
      }),
      pacer_(options.delay_max),
      durable_(next.value() - 1) {
  open_next();
}

void writer::open_next() {
  builder_.open(durable_.plus(pending_.size() + 1));
  pending_.push_back(std::make_shared<pending_frame>());
}

void writer::seal_open() {
  if (builder_.entries() == 0 || failure_) return;
  listener_.frame_sealed(builder_.lsn());
  sealed_.push_back(builder_.seal());
  open_next();
  touched();
}

task<result<void>> writer::wait_durable(lsn at) {
  if (at <= durable_ || MILLRACE_FAULT(ack_before_durable)) co_return {};
  MR_ASSERT(at <= open_lsn());
  if (!failure_) {
    const std::shared_ptr<pending_frame> frame = pending_[at.value() - durable_.value() - 1];
    ++frame->waiters;
    // A commit that waits for company looks again.
    if (at == open_lsn()) touched();
    co_await frame->done.wait();
  }
  if (at <= durable_) co_return {};
  co_return fail(errc::read_only, "{}", failure_->message);
}

task<void> writer::run() {
  bool is_sealed = true;  // whether the last frame on disk is a seal, or there is none
  while (!failure_) {
    if (sealed_.empty()) {
      const bool has_entries = builder_.entries() > 0;
      if (!has_entries && !(seal_is_due_ && !is_sealed)) {
        if (is_stopping_) break;
        seal_is_due_ = false;
        if (!is_sealed) seal_timer_.arm_after(options_.seal_after_idle);
        work_.reset();
        co_await work_.wait();
        continue;
      }
      seal_timer_.cancel();
      seal_is_due_ = false;
      if (has_entries && pending_.back()->waiters < pacer_.requests_wanted()) {
        auto company = wait_for_company();
        co_await company;
        if (!sealed_.empty()) continue;  // it became large meanwhile
      }
      is_sealed = !has_entries || !options_.is_synced;
      listener_.frame_sealed(builder_.lsn());
      sealed_.push_back(builder_.seal());
      open_next();
    } else {
      is_sealed = !options_.is_synced;
    }
    sealed_frame& frame = sealed_.front();
    result<void> written = co_await write(frame);
    if (!written) {
      fail_all(written.error());
      break;
    }
    durable_ = frame.lsn;
    sealed_.pop_front();
    const std::shared_ptr<pending_frame> done = std::move(pending_.front());
    pending_.pop_front();
    // Watermarks move before anybody who waited for them runs.
    listener_.frame_durable(durable_);
    uint32_t waiting = done->waiters;
    for (const auto& frame_behind : pending_) waiting += frame_behind->waiters;
    pacer_.committed(waiting);
    done->done.set();
  }
  seal_timer_.cancel();
}

task<void> writer::wait_for_company() {
  // The request that opened the frame may not have come to wait yet; it is no company for itself.
  const uint32_t before = std::max(1U, pending_.back()->waiters);
  const runtime::time_point latest = runtime::reactor::current().now() + pacer_.delay_max();
  bool is_late = false;
  runtime::timer nobody_comes([&is_late, this] {
    is_late = true;
    touched();
  });
  uint32_t seen = before;
  nobody_comes.arm_after(std::min(pacer::gap, pacer_.delay_max()));
  while (!is_late && sealed_.empty() && !is_stopping_ &&
         pending_.back()->waiters < pacer_.requests_wanted()) {
    work_.reset();
    co_await work_.wait();
    if (pending_.back()->waiters == seen) continue;
    seen = pending_.back()->waiters;
    nobody_comes.arm(std::min(latest, runtime::reactor::current().now() + pacer::gap));
  }
  if (sealed_.empty()) pacer_.waited(std::max(before, pending_.back()->waiters) - before);
}

void writer::stop() {
  is_stopping_ = true;
  touched();
}

task<result<void>> writer::make_room(uint64_t bytes) {
  bool is_waiting = false;
  for (;;) {
    auto begun = co_await files_.begin_next(bytes);
    if (begun || begun.error().code != errc::disk_full) {
      if (is_waiting) listener_.waiting_for_space(false);
      if (begun) listener_.file_filled();
      co_return begun;
    }
    // Nothing of the frame was written yet, so this may be tried again.
    if (!is_waiting) listener_.waiting_for_space(true);
    is_waiting = true;
    if (!waits_for_space_) co_return begun;
    co_await runtime::reactor::current().sleep(space_retry_interval);
  }
}

task<result<void>> writer::write(sealed_frame& frame) {
  const wal_file* before = files_.current();
  if (!before || before->position + frame.bytes > before->capacity_bytes) {
    auto room = co_await make_room(frame.bytes);
    if (!room) co_return room;
  }
  wal_file& file = *files_.current();
  runtime::reactor& reactor = runtime::reactor::current();
  frame_builder::finish(frame, file.generation, reactor.wall_clock_ms());
  MR_ASSERT(!file.holds_frames() || frame.lsn == file.last.next());

  std::vector<iovec> vectors;
  vectors.reserve(frame.pieces.size());
  for (const slice& piece : frame.pieces)
    vectors.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  const runtime::time_point begun = reactor.now();
  const runtime::write_options durably{.dsync = options_.is_synced && !MILLRACE_FAULT(skip_wal_sync)};
  auto written = co_await file.handle.write(file.position, std::move(vectors), durably);
  if (!written) co_return written;

  commit_us_.add(static_cast<uint64_t>((reactor.now() - begun).count() / 1000));
  commit_bytes_.add(frame.bytes);
  file.position += frame.bytes;
  if (!file.holds_frames()) file.first = frame.lsn;
  file.last = frame.lsn;
  co_return {};
}

void writer::fail_all(error reason) {
  failure_ = std::move(reason);
  failure_->code = errc::read_only;
  listener_.failed(*failure_);
  for (const auto& frame : pending_) frame->done.set();
}

}  // namespace millrace::storage::wal
