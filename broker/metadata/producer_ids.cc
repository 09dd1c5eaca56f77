#include "broker/metadata/producer_ids.h"

#include <vector>

namespace millrace::broker {

runtime::task<result<producer_id>> producer_ids::next() {
  co_await writing_.acquire(1);
  const runtime::semaphore_units held(writing_, 1);
  if (next_ == end_) {
    std::vector<storage::metadata_entry> entries;
    entries.emplace_back(storage::producer_ids_allocated{.next_producer_id = end_ + block});
    const result<void> logged = co_await log_.append(std::move(entries));
    if (!logged) co_return fail(logged.error());
    end_ += block;
  }
  co_return producer_id(next_++);
}

}  // namespace millrace::broker
