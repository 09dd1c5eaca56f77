#include "storage/log/producer_state.h"

#include <algorithm>

namespace millrace::storage {

void producer_entry::push(const producer_batch& batch) noexcept {
  if (count == producer_batches_kept) {
    std::copy(batches.begin() + 1, batches.end(), batches.begin());
    --count;
  }
  batches[count++] = batch;
}

result<std::optional<producer_batch>> producer_state::check(producer_id id, producer_epoch epoch,
                                                            int32_t first_sequence,
                                                            int32_t record_count) const {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return std::nullopt;
  const producer_entry& entry = found->second;
  const int32_t last_sequence = sequence_plus(first_sequence, record_count - 1);

  if (epoch.value() == entry.epoch) {
    for (int i = 0; i < entry.count; ++i) {
      const producer_batch& kept = entry.batches[static_cast<size_t>(i)];
      if (kept.first_sequence == first_sequence && kept.last_sequence == last_sequence) return kept;
    }
  }
  if (epoch.value() < entry.epoch)
    return fail(errc::invalid_producer_epoch, "producer {} has epoch {}, not {}", id, entry.epoch, epoch);
  if (epoch.value() > entry.epoch) {
    if (first_sequence != 0)
      return fail(errc::out_of_order_sequence_number, "producer {} begins epoch {} at sequence {}, not 0", id,
                  epoch, first_sequence);
    return std::nullopt;
  }
  if (entry.count == 0) return std::nullopt;
  const int32_t expected = sequence_plus(entry.newest().last_sequence, 1);
  if (first_sequence != expected)
    return fail(errc::out_of_order_sequence_number, "producer {} sent sequence {}, expected {}", id,
                first_sequence, expected);
  return std::nullopt;
}

void producer_state::update(producer_id id, producer_epoch epoch, const producer_batch& batch,
                            int64_t now_ms) {
  producer_entry& entry = entries_[id];
  if (entry.epoch != epoch.value()) {
    entry = producer_entry{};
    entry.epoch = epoch.value();
  }
  entry.push(batch);
  entry.last_written_ms = now_ms;
}

void producer_state::expire(int64_t before_ms) {
  std::erase_if(entries_, [before_ms](const auto& item) { return item.second.last_written_ms < before_ms; });
}

}  // namespace millrace::storage
