#include "broker/fetch/fetch_plan.h"

#include <algorithm>
#include <utility>

#include "broker/shard_context.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"
#include "runtime/when_all.h"

namespace millrace::broker {

using runtime::task;

fetch_plan::fetch_plan(shard_context& shard, const std::list<fetch_target>& targets, options o)
    : shard_(shard), options_(o), token_(shard.waits.new_token(shard.id())) {
  data_.resize(targets.size());
  resolve(targets);
}

void fetch_plan::resolve(const std::list<fetch_target>& targets) {
  const image_ptr& image = shard_.image();
  std::vector<size_t> part_of_shard(shard_.whole().shard_count(), SIZE_MAX);
  size_t i = 0;
  for (const fetch_target& target : targets) {
    const size_t place = i++;
    const bool by_name = !target.topic.name.empty();
    const topic* t = by_name ? image->find(target.topic.name) : image->find(target.topic.id);
    if (t == nullptr || !t->has_partition(target.partition)) {
      data_[place].error =
          t == nullptr && !by_name ? errc::unknown_topic_id : errc::unknown_topic_or_partition;
      continue;
    }
    const shard_id owner = shard_.owner(*t, target.partition);
    size_t& index = part_of_shard[owner.value()];
    if (index == SIZE_MAX) {
      index = parts_.size();
      parts_.emplace_back().owner = owner;
    }
    parts_[index].places.push_back(place);
    parts_[index].wanted.push_back({.id = t->partition(target.partition),
                                    .offset = target.offset,
                                    .bytes_max = target.bytes_max,
                                    .leader_epoch = target.leader_epoch,
                                    .last_fetched_epoch = target.last_fetched_epoch});
  }
}

task<void> fetch_plan::run() {
  const runtime::time_point deadline = runtime::reactor::current().now() + options_.patience;
  while (true) {
    co_await read_stale();
    trim();
    if (is_enough()) break;
    const runtime::nanoseconds left = deadline - runtime::reactor::current().now();
    if (left <= runtime::nanoseconds::zero() || shard_.stopping.is_aborted()) break;
    const bool has_moved = co_await wait(left);
    if (!has_moved) break;
  }
}

bool fetch_plan::is_enough() const noexcept {
  return has_error_ || data_.empty() || bytes_ >= options_.bytes_min;
}

task<void> fetch_plan::read_stale() {
  // Most fetches concern one shard.
  if (parts_.size() == 1) {
    co_await read_part(parts_.front());
    co_return;
  }
  std::vector<task<void>> reads;
  for (part& p : parts_) {
    if (p.is_stale) reads.push_back(read_part(p));
  }
  co_await runtime::when_all(std::move(reads));
}

task<void> fetch_plan::read_part(part& p) {
  shard_context& owner = *shard_.whole().shards[p.owner.value()];
  const auto read_there = [this, &owner, &p] {
    return read_partitions(owner.store(), p.wanted, options_.bound, options_.bytes_max, true);
  };
  std::vector<partition_data> read = co_await runtime::call_on(p.owner, read_there);
  for (size_t i = 0; i < read.size(); ++i) data_[p.places[i]] = std::move(read[i]);
  p.is_stale = false;
}

void fetch_plan::trim() {
  bytes_ = 0;
  has_error_ = false;
  for (partition_data& data : data_) {
    has_error_ = has_error_ || data.error != errc::none || data.diverging;
    const auto size = static_cast<int64_t>(data.records.size());
    if (bytes_ > 0 && bytes_ + size > options_.bytes_max) {
      data.records.clear();
    } else {
      bytes_ += size;
    }
  }
}

task<bool> fetch_plan::wait(runtime::nanoseconds patience) {
  bool is_over = false;
  if (parts_.size() == 1) {
    co_await wait_part(parts_.front(), patience, is_over);
  } else {
    std::vector<task<void>> waits;
    for (part& p : parts_) waits.push_back(wait_part(p, patience, is_over));
    co_await runtime::when_all(std::move(waits));
  }
  co_return std::ranges::any_of(parts_, &part::is_stale);
}

task<void> fetch_plan::wait_part(part& p, runtime::nanoseconds patience, bool& is_over) {
  // Another shard had news before this wait began.
  if (is_over) co_return;
  std::vector<awaited_partition> awaited;
  awaited.reserve(p.places.size());
  for (size_t i = 0; i < p.places.size(); ++i) {
    awaited.push_back(
        {.id = p.wanted[i].id, .bound = options_.bound, .seen_end = data_[p.places[i]].end(options_.bound)});
  }
  shard_context& owner = *shard_.whole().shards[p.owner.value()];
  const auto wait_there = [this, &owner, &awaited, patience] {
    return owner.waits.wait(owner.store(), token_, std::move(awaited), patience, owner.stopping);
  };
  p.is_stale = co_await runtime::call_on(p.owner, wait_there);
  if (std::exchange(is_over, true)) co_return;
  // The first to end calls off the others. Messages to a shard keep their order, so each of them has begun.
  for (const part& other : parts_) {
    if (other.owner == p.owner) continue;
    shard_context& elsewhere = *shard_.whole().shards[other.owner.value()];
    const auto call_off_there = [&elsewhere, name = token_] { elsewhere.waits.call_off(name); };
    co_await runtime::call_on(other.owner, call_off_there);
  }
}

}  // namespace millrace::broker
