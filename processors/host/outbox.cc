#include "processors/host/outbox.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <deque>

#include "base/assert.h"
#include "base/log.h"
#include "processors/host/derived_batches.h"
#include "processors/host/shard_host.h"
#include "processors/host/spec.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"
#include "runtime/when_all.h"
#include "storage/fault.h"

namespace millrace::processors {
namespace {

constexpr auto retry_after = std::chrono::milliseconds(50);

// Where "everything below has arrived" is stored: beside the outbox itself.
storage::cursor_key key_of(const storage::topic_partition_id& outbox) {
  return {processor_id("outbox"), outbox};
}

std::optional<bytes_view> view_of(const millrace_bytes& bytes) {
  if (bytes.size < 0) return std::nullopt;
  return bytes_view(reinterpret_cast<const std::byte*>(bytes.data), static_cast<size_t>(bytes.size));
}

std::string_view text_of(const millrace_bytes& bytes) {
  return {bytes.data, static_cast<size_t>(std::max<int64_t>(bytes.size, 0))};
}

// On the target's shard.
runtime::task<result<void>> hand_over(const neighbours& others, storage::topic_partition_id outbox,
                                      std::vector<parcel> parcels) {
  inbox* there = others.here();
  if (!there) co_return fail(errc::cancelled, "the shard's processors do not run");
  co_return co_await there->take(outbox, std::move(parcels));
}

bool is_final(errc code) {
  return code == errc::message_too_large || code == errc::record_list_too_large || code == errc::corruption;
}

}  // namespace

outbox::outbox(outbox_options options, storage::shard_store& store, const neighbours& others)
    : options_(std::move(options)), store_(store), others_(others) {
  storage::partition_log* log = store_.find(options_.id);
  MR_ASSERT(log);
  watch_.link(*log, *this);
  end_at_start_ = log->log_end().value();
  next_ = store_.cursor(key_of(options_.id)).value_or(0);
  // An upper bound; send_portion() sets it right when all has arrived.
  waiting_bytes_ = next_ < end_at_start_ ? log->size_bytes() : 0;
}

void outbox::stop(std::string why) {
  if (!is_stopped()) why_stopped_ = std::move(why);
  stopping_.request_abort();
  news_.set();
}

void outbox::log_advanced(storage::partition_log&) {
  news_.set();
}

void outbox::log_removed(storage::partition_log&) {
  stop("its outbox was deleted");
}

void outbox::give_up(std::string why) {
  if (is_stopped()) return;
  log::error("outbox stops processor={} outbox_of={} partition={} offset={} why=\"{}\"", options_.processor,
             options_.topic, options_.id.partition, next_, why);
  stop(why);
  options_.on_trouble(why);
}

runtime::task<bool> outbox::wait_a_little() {
  co_await runtime::reactor::current().sleep(retry_after, &stopping_);
  co_return !is_stopped();
}

runtime::task<void> outbox::run(std::shared_ptr<outbox> self) {
  co_await self->send_all();
  self->watch_.unlink();
}

runtime::task<void> outbox::send_all() {
  const bool has_positions = co_await find_positions();
  if (!has_positions) co_return;
  while (!is_stopped()) {
    const storage::partition_log* log = store_.find(options_.id);
    if (!log) co_return;
    // (The mistake: as if what is not durable could not be lost.)
    const bool is_hasty = MILLRACE_FAULT(undurable_sent);
    const int64_t end = (is_hasty ? log->log_end() : log->high_watermark()).value();
    if (next_ == end) {
      if (log->log_end().value() == end) waiting_bytes_ = 0;
      news_.reset();
      if (is_hasty) {
        co_await runtime::reactor::current().sleep(std::chrono::microseconds(20));
      } else {
        co_await news_.wait();
      }
      continue;
    }
    const bool is_sent = co_await send_portion();
    if (!is_sent) co_return;
  }
}

// Looks up what has arrived, and whether that fits what there is.
runtime::task<bool> outbox::find_positions() {
  const storage::partition_log* log = store_.find(options_.id);
  if (!log) co_return false;
  if (log->log_start().value() > next_) {
    give_up(fmt::format("its outbox begins at offset {}: records from {} on were deleted before they arrived",
                        log->log_start(), next_));
    co_return false;
  }
  const uint32_t shards = others_.shard_count();
  for (uint32_t shard = 0; shard < shards; ++shard) {
    for (;;) {
      const auto look = [this, shard, shards] {
        std::optional<std::map<int32_t, int64_t>> found;
        const inbox* there = others_.here();
        if (!there) return found;
        found.emplace();
        for (int32_t p = 0; p < options_.target.partitions; ++p)
          if (storage::shard_of(options_.target.placement_seed, p, shards) == shard_id(shard))
            (*found)[p] = there->position(options_.id, {options_.target.id, p});
        return found;
      };
      auto found = co_await runtime::call_on(shard_id(shard), look);
      if (found) {
        positions_.merge(*found);
        break;
      }
      const bool goes_on = co_await wait_a_little();
      if (!goes_on) co_return false;
    }
  }
  int64_t furthest = next_;
  for (const auto& [partition, at] : positions_) furthest = std::max(furthest, at);
  if (furthest > end_at_start_) {
    give_up(
        fmt::format("its outbox ends at offset {}, but records up to {} have arrived: part of it was lost",
                    end_at_start_, furthest));
    co_return false;
  }
  co_return !is_stopped();
}

// Reads some, and returns when it has arrived. False at the end of all sending.
runtime::task<bool> outbox::send_portion() {
  storage::partition_log* log = store_.find(options_.id);
  if (!log) co_return false;
  if (log->log_start().value() > next_) {
    give_up(fmt::format("records from offset {} on were deleted from its outbox before they arrived", next_));
    co_return false;
  }
  storage::read_request request;
  request.from = offset(next_);
  request.bytes_max = portion_bytes;
  if (MILLRACE_FAULT(undurable_sent)) request.bound = storage::read_bound::log_end;
  const auto got = co_await store_.read(*log, request);
  if (is_stopped()) co_return false;
  if (!got) {
    log::warn("outbox cannot be read processor={} outbox_of={} partition={} offset={} why=\"{}\"",
              options_.processor, options_.topic, options_.id.partition, next_, to_string(got.error()));
    co_return co_await wait_a_little();
  }
  std::deque<slice> batches;
  if (const auto cut = cut_into_batches(got->records, batches); !cut) {
    give_up(fmt::format("its outbox cannot be read: {}", to_string(cut.error())));
    co_return false;
  }
  by_partition shares;
  uint64_t bytes = 0;
  for (const slice& batch : batches) {
    bytes += batch.size();
    if (!sort(batch, shares)) co_return false;
  }
  const int64_t behind = got->next.value();
  if (MILLRACE_FAULT(outbox_trimmed_early)) {
    const bool is_trimmed = co_await trim(behind);
    if (!is_trimmed) co_return false;
  }
  const bool has_arrived = co_await send(std::move(shares));
  if (!has_arrived) co_return false;
  next_ = behind;
  waiting_bytes_ -= std::min(waiting_bytes_, bytes);
  untrimmed_bytes_ += bytes;
  if (untrimmed_bytes_ < options_.trim_after_bytes) co_return true;
  untrimmed_bytes_ = 0;
  co_return co_await trim(next_);
}

// What the last header of a record in an outbox says; nothing if it is not one.
std::optional<outbox::way> outbox::way_of(const millrace_record& record) const {
  if (record.header_count == 0) return std::nullopt;
  const millrace_header& last = record.headers[record.header_count - 1];
  if (text_of(last.key) != outbox_header) return std::nullopt;
  const std::string_view text = text_of(last.value);
  way found{-1, record.header_count - 1};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), found.partition);
  if (code != std::errc() || end == text.data() + text.size() || *end != ' ' || found.partition < 0)
    return std::nullopt;
  return found;
}

// Adds the records of a batch to the shares of those they are for, except those that have arrived.
bool outbox::sort(const slice& batch, by_partition& into) {
  if (const auto filled = block_.fill(batch); !filled) {
    give_up(fmt::format("its outbox cannot be read: {}", to_string(filled.error())));
    return false;
  }
  for (const millrace_record& r : block_.from(next_, true)) {
    const std::optional<way> to = way_of(r);
    if (!to) {
      give_up(fmt::format("the record at offset {} of its outbox was not written by it", r.offset));
      return false;
    }
    if (to->partition >= options_.target.partitions) {
      give_up(fmt::format("the record at offset {} of its outbox is for partition {}, and topic {} has {}",
                          r.offset, to->partition, options_.topic, options_.target.partitions));
      return false;
    }
    if (r.offset >= positions_[to->partition]) add(r, *to, into);
  }
  return true;
}

void outbox::add(const millrace_record& record, const way& to, by_partition& into) {
  const bool is_new = !into.contains(to.partition);
  share& s = into[to.partition];
  if (is_new) {
    s.made.to = {options_.target.id, to.partition};
    s.made.first = record.offset;
  }
  std::vector<protocol::record_header_view> headers;
  size_t bytes = text_of(record.key).size() + text_of(record.value).size();
  for (const millrace_header& h : std::span(record.headers, to.header_count)) {
    headers.push_back({text_of(h.key), view_of(h.value)});
    bytes += text_of(h.key).size() + text_of(h.value).size();
  }
  if (!s.builder.empty() && s.builder.plain_size_bytes() + bytes > batch_assembler::batch_bytes_target)
    finish(s);
  s.builder.add(record.timestamp_ms, view_of(record.key), view_of(record.value), headers);
  s.made.next = record.offset + 1;
}

void outbox::finish(share& s) {
  s.made.batches.push_back(finished_batch(s.builder, options_.compression));
}

runtime::task<bool> outbox::send(by_partition shares) {
  std::map<shard_id, std::vector<parcel>> by_shard;
  std::vector<std::pair<int32_t, int64_t>> reached;
  for (auto& [partition, s] : shares) {
    finish(s);
    reached.emplace_back(partition, s.made.next);
    const shard_id owner =
        storage::shard_of(options_.target.placement_seed, partition, others_.shard_count());
    by_shard[owner].push_back(std::move(s.made));
  }
  std::vector<runtime::task<bool>> ways;
  for (auto& [owner, parcels] : by_shard) ways.push_back(deliver(owner, std::move(parcels)));
  const std::vector<bool> arrived = co_await runtime::when_all(std::move(ways));
  if (!std::ranges::all_of(arrived, [](bool has_arrived) { return has_arrived; })) co_return false;
  for (const auto& [partition, at] : reached) positions_[partition] = at;
  co_return true;
}

// Tries until all of them have arrived; false if that will not be.
runtime::task<bool> outbox::deliver(shard_id to, std::vector<parcel> parcels) {
  while (!is_stopped()) {
    const auto there = [this, &parcels] { return hand_over(others_, options_.id, parcels); };
    const result<void> done = co_await runtime::call_on(to, there);
    if (done) {
      failures_ = 0;
      co_return true;
    }
    if (is_final(done.error().code)) {
      give_up(fmt::format("topic {} cannot take its records: {}", options_.topic, to_string(done.error())));
      co_return false;
    }
    if (std::has_single_bit(++failures_) && done.error().code != errc::cancelled)
      log::warn("outbox tries again processor={} outbox_of={} partition={} attempts={} why=\"{}\"",
                options_.processor, options_.topic, options_.id.partition, failures_,
                to_string(done.error()));
    const bool goes_on = co_await wait_a_little();
    if (!goes_on) co_return false;
  }
  co_return false;
}

// Forgets what has arrived: first that it has, then the records.
runtime::task<bool> outbox::trim(int64_t to) {
  const storage::partition_log* log = store_.find(options_.id);
  if (!log) co_return false;
  store_.set_cursor(key_of(options_.id), to);
  const auto durable = co_await store_.wait_durable(store_.open_lsn(*log));
  if (!durable) co_return false;  // read-only until restart
  const auto trimmed = co_await store_.advance_log_start(options_.id, offset(to));
  if (!trimmed && !is_stopped())
    log::warn("outbox cannot be trimmed processor={} outbox_of={} partition={} why=\"{}\"",
              options_.processor, options_.topic, options_.id.partition, to_string(trimmed.error()));
  co_return !is_stopped();
}

}  // namespace millrace::processors
