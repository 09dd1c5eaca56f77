#include "processors/host/inbox.h"

#include <chrono>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/log.h"
#include "processors/host/derived_batches.h"
#include "runtime/reactor.h"
#include "storage/fault.h"

namespace millrace::processors {
namespace {

// What a batch or a position takes in a frame besides its bytes, generously.
constexpr uint64_t frame_entry_overhead_bytes = 256;
// A parcel that finds no room in so many frames will never find it.
constexpr int misfits_max = 100;

// Positions of inboxes begin with this, so that they can be told from those of processors.
constexpr uint32_t position_tag = 0x786f626e;

bool is_position(const storage::cursor_key& key) {
  return std::memcmp(key.processor.bytes.data(), &position_tag, sizeof(position_tag)) == 0;
}

storage::cursor_key key_of(const storage::topic_partition_id& outbox, const storage::topic_partition_id& to) {
  std::byte name[sizeof(uuid) + sizeof(int32_t)];
  std::memcpy(name, outbox.topic.bytes.data(), sizeof(uuid));
  std::memcpy(name + sizeof(uuid), &outbox.partition, sizeof(int32_t));
  const uint64_t half[2] = {xxh3(name, 0x6d696c6c72616365), xxh3(name, 0x6f7574626f783031)};
  storage::cursor_key key;
  std::memcpy(key.processor.bytes.data(), half, sizeof(half));
  std::memcpy(key.processor.bytes.data(), &position_tag, sizeof(position_tag));
  key.input = to;
  return key;
}

uint64_t bytes_of(const parcel& p) {
  uint64_t bytes = frame_entry_overhead_bytes;
  for (const protocol::checked_batch& b : p.batches) bytes += b.size_bytes() + frame_entry_overhead_bytes;
  return bytes;
}

}  // namespace

inbox::~inbox() {
  MR_ASSERT(at_work_ == 0);
}

runtime::task<void> inbox::close() {
  is_closed_ = true;
  while (at_work_ > 0) co_await left_.wait();
}

int64_t inbox::position(const storage::topic_partition_id& outbox,
                        const storage::topic_partition_id& to) const {
  return store_.cursor(key_of(outbox, to)).value_or(0);
}

void inbox::forget(const storage::topic_partition_id& target) {
  for (const auto& [key, at] : store_.cursors())
    if (key.input == target && is_position(key)) store_.remove_cursor(key);
}

runtime::task<result<void>> inbox::take(storage::topic_partition_id outbox, std::vector<parcel> parcels) {
  if (is_closed_) co_return fail(errc::cancelled, "the shard is stopping");
  ++at_work_;
  storage::commit_mark touched;
  result<void> taken;
  for (const parcel& p : parcels) {
    taken = co_await take_one(key_of(outbox, p.to), p, touched);
    if (!taken) break;
  }
  // Of what was appended before an error, too: it will not be appended again.
  const auto durable = co_await store_.wait_durable(touched);
  if (!durable && taken) taken = fail(durable.error());
  if (MILLRACE_FAULT(position_apart_from_records))
    for (const parcel& p : parcels) store_.set_cursor(key_of(outbox, p.to), p.next);
  if (--at_work_ == 0) left_.notify_all();
  co_return taken;
}

runtime::task<result<void>> inbox::take_one(storage::cursor_key key, const parcel& p,
                                            storage::commit_mark& touched) {
  const uint64_t bytes = bytes_of(p);
  for (int attempt = 1;; ++attempt) {
    auto admitted = co_await store_.admit(bytes);
    if (!admitted) co_return admitted;
    storage::partition_log* log = store_.find(p.to);
    if (!log) co_return fail(errc::unknown_topic_or_partition, "the partition is not there");
    const int64_t known = store_.cursor(key).value_or(0);
    if (known >= p.next) co_return result<void>();  // an earlier attempt waited for it to be durable
    if (known > p.first)
      co_return fail(errc::corruption, "records of the outbox up to offset {} have arrived, not up to {}",
                     known, p.first);
    for (const protocol::checked_batch& b : p.batches)
      if (b.size_bytes() > log->config().segment_bytes)
        co_return fail(errc::record_list_too_large, "a batch of {} bytes does not fit a segment of {}",
                       b.size_bytes(), log->config().segment_bytes);
    if (bytes <= store_.open_frame_room(*log)) {
      bool is_first = true;
      for (protocol::checked_batch b : p.batches) {
        if (log->config().timestamps == storage::timestamp_type::log_append_time) stamp_append_time(b);
        const auto done = store_.append(*log, b, storage::append_origin::derived);
        // The first may be refused, say by a shard that is read-only. Later ones have no reason of their own,
        // and half a parcel must never become durable.
        MR_ASSERT(done || is_first);
        if (!done) co_return fail(done.error());
        touched.include(done->durable_at);
        is_first = false;
      }
      if (!MILLRACE_FAULT(position_apart_from_records)) store_.set_cursor(key, p.next);
      co_return result<void>();
    }
    if (attempt == misfits_max)
      co_return fail(errc::message_too_large, "{} bytes do not fit a commit", bytes);
    co_await runtime::reactor::current().sleep(std::chrono::milliseconds(1));
  }
}

}  // namespace millrace::processors
