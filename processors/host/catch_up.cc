// The part of shard_host that brings lagging flows up to the end of their input.
#include <algorithm>
#include <chrono>

#include "base/assert.h"
#include "base/log.h"
#include "processors/host/shard_host.h"
#include "runtime/reactor.h"

namespace millrace::processors {
namespace {

constexpr auto retry_after = std::chrono::milliseconds(200);
constexpr auto next_turn = std::chrono::microseconds(1);

}  // namespace

result<void> cut_into_batches(const iobuf& records, std::deque<slice>& out) {
  for (const slice& piece : records.slices()) {
    for (size_t at = 0; at < piece.size();) {
      const bytes_view rest = piece.view().subspan(at);
      const auto header = protocol::parse_batch(rest);
      if (!header) return fail(header.error());
      out.push_back(piece.sub(at, header->size_bytes()));
      at += header->size_bytes();
    }
  }
  return {};
}

// Rounds over the flows that lag: a portion of each, then the frame with it must be durable. So catching up
// fills about a quarter of each frame while there is other work, and as much as the disk takes otherwise.
runtime::task<void> shard_host::catch_up_loop() {
  while (!is_stopping_) {
    if (queue_.empty()) {
      co_await work_.wait();
      continue;
    }
    uint64_t done = 0;
    storage::commit_mark touched;
    for (size_t left = queue_.size(); left > 0 && done < round_bytes && !is_stopping_; --left) {
      const flow_ptr f = queue_.front();
      queue_.pop_front();
      if (f->is_apart) {
        f->is_queued = false;
        if (f->health == flow_state::lagging) lag(f);
        continue;
      }
      if (is_turn_over()) co_await runtime::reactor::current().sleep(next_turn);
      if (const uint64_t portion = co_await catch_up(f); portion > 0) {
        done += portion;
        if (const storage::partition_log* input = store_.find(f->key.input))
          touched.include(store_.open_lsn(*input));
      }
      if (f->health == flow_state::lagging) {
        queue_.push_back(f);
      } else {
        f->is_queued = false;
      }
    }
    if (done == 0) {
      // Nothing could be done: no room, an error that may pass, or a failed record whose time has not come.
      auto pause = std::chrono::milliseconds(1);
      const auto now = runtime::reactor::current().now();
      const bool all_wait = std::ranges::all_of(queue_, [&](const flow_ptr& f) { return f->retry_at > now; });
      if (all_wait) pause = std::chrono::milliseconds(20);
      co_await runtime::reactor::current().sleep(pause);
      continue;
    }
    const auto durable = co_await store_.wait_durable(touched);
    if (!durable) co_return;  // read-only until restart
  }
}

// Processes a portion; returns about how many bytes went in.
runtime::task<uint64_t> shard_host::catch_up(flow_ptr f) {
  if (f->health != flow_state::lagging || f->retry_at > runtime::reactor::current().now()) co_return 0;
  const bool has_more = co_await has_records(f);
  if (!has_more) co_return 0;
  const auto admitted = co_await store_.admit(portion_bytes);
  if (!admitted) {
    co_await runtime::reactor::current().sleep(retry_after);
    co_return 0;
  }
  if (f->health != flow_state::lagging) co_return 0;

  // From here to the end: the append section.
  is_draining_ = true;
  const uint64_t done = advance_from_backlog(*f);
  drain();
  if (f->health == flow_state::lagging && f->has_no_backlog()) settle(*f);
  co_return done;
}

// Whether there are records to process now: reads them, of all inputs that hold more. What comes to one that
// holds nothing waits for the next look.
runtime::task<bool> shard_host::has_records(flow_ptr f) {
  bool has_any = false;
  for (size_t i = 0; i < f->inputs.size(); ++i) {
    f->at_work = i;
    bool has_some = !f->input().backlog.empty();
    if (!has_some) has_some = co_await refill(f);
    f->inputs[i].was_at_end = !has_some;
    if (f->health != flow_state::lagging) co_return false;
    has_any |= has_some;
  }
  co_return has_any;
}

// Decodes the first batch of the backlog, if that is to do. False, and the flow has paused, if it cannot be.
// A call apart costs some wake-ups whatever it carries, so it gets several small batches; a replay is called
// for each as its original would be, and which of several inputs is next is asked for each.
bool shard_host::has_next_block(flow& f) {
  if (f.input().has_block) return true;
  if (const auto filled = f.input().block.fill(f.input().backlog.front()); !filled) {
    pause(f, fmt::format("its input cannot be read: {}", to_string(filled.error())));
    return false;
  }
  f.input().has_block = true;
  if (!f.is_apart || f.until() || f.has_several_inputs()) return true;
  record_block& block = f.input().block;
  const std::deque<slice>& backlog = f.input().backlog;
  while (block.batch_count() < backlog.size() && block.plain_bytes() < portion_bytes &&
         block.add(backlog[block.batch_count()])) {
  }
  return true;
}

uint64_t shard_host::advance_from_backlog(flow& f) {
  uint64_t done = 0;
  while (done < portion_bytes && f.health == flow_state::lagging && !f.is_apart && turn_to_oldest(f)) {
    const uint64_t bytes_before = f.counters.bytes_in;
    const uint64_t plain =
        std::min(f.input().block.plain_bytes() + protocol::batch_header_bytes, portion_bytes);
    switch (advance(f, f.input().block, f.until() ? UINT64_MAX : portion_bytes - done, true)) {
      case progress::all:
        f.input().drop_block();
        done += plain;
        break;
      case progress::turn:
        done += f.counters.bytes_in - bytes_before + protocol::batch_header_bytes;
        break;
      case progress::some:
        done += plain;
        return done;
      case progress::no_room:
        return done;
      case progress::stopped:
        return done;
    }
  }
  return done;
}

// Reads on from the cursor. False if there is nothing to do with the flow now.
runtime::task<bool> shard_host::refill(flow_ptr f) {
  storage::partition_log* log = store_.find(f->input().id);
  if (!log) co_return false;
  if (f->input().cursor == log->log_end().value()) {
    settle(*f);
    co_return false;
  }
  if (const int64_t start = log->log_start().value(); f->input().cursor < start) {
    f->counters.records_missed += static_cast<uint64_t>(start - f->input().cursor);
    log::warn(
        "processor missed records that were deleted before it read them processor={} partition={} from={} "
        "to={}",
        f->processor.spec.name, f->partition(), f->input().cursor, start);
    move_cursor(*f, start);
    if (start == log->log_end().value()) {
      settle(*f);
      co_return false;
    }
  }
  storage::read_request request;
  request.from = offset(f->input().cursor);
  request.bytes_max = portion_bytes;
  request.bound = storage::read_bound::log_end;
  const auto got = co_await store_.read(*log, request);
  if (f->health != flow_state::lagging) co_return false;
  if (!got) {
    // Records deleted meanwhile are dealt with on the next attempt; an error of the disk may pass.
    if (got.error().code != errc::offset_out_of_range)
      log::warn("processor cannot read its input processor={} partition={} offset={} why=\"{}\"",
                f->processor.spec.name, f->partition(), f->input().cursor, to_string(got.error()));
    co_await runtime::reactor::current().sleep(retry_after);
    co_return false;
  }
  if (const auto cut = cut_into_batches(got->records, f->input().backlog); !cut) {
    pause(*f, fmt::format("its input cannot be read: {}", to_string(cut.error())));
    co_return false;
  }
  co_return !f->input().backlog.empty();
}

}  // namespace millrace::processors
