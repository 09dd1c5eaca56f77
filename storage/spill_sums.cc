// The part of the spill that keeps the checksums of blocks (log/block_sums.h).
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/limits.h"
#include "runtime/fs.h"
#include "storage/fault.h"
#include "storage/layout.h"
#include "storage/spill.h"

namespace millrace::storage {

namespace fs = runtime::fs;

// A checksum that reaches into what became the tail again must not get into a checkpoint as that of the file.
bool spiller::needs_sync(const segment& s) {
  return s.is_dirty || (s.sums && s.sums->rest_end > s.written);
}

void spiller::note_sums(segment& s) {
  s.summed = s.sums->summed();
  s.rest_sum = s.sums->rest_sum();
  MR_ASSERT(s.summed + s.sums->rest_bytes() == s.written);
}

task<result<std::shared_ptr<block_sums>>> spiller::load_sums(std::string directory, segment described,
                                                             std::vector<size_t>* damaged) {
  auto sums = described.sums ? described.sums : std::make_shared<block_sums>(described.base);
  if (described.summed == 0 && !sums->is_loaded) sums->load({}, 0);
  if (sums->is_loaded) co_return sums;
  auto file =
      co_await fs::read_file(layout::sums_file(directory, described.base), limits::batch_bytes_max * 4);
  if (!file && file.error().code != errc::not_found) co_return fail(file.error());
  if (sums->is_loaded) co_return sums;
  std::vector<size_t> bad = sums->load(file ? bytes_view(*file) : bytes_view(), described.summed);
  if (damaged) *damaged = std::move(bad);
  co_return sums;
}

// Goes on summing where the active segment ends, which a restart has left on disk.
task<result<void>> spiller::need_sums(partition_log& log) {
  if (!log.segments().back().has_sums) co_return {};
  if (log.segments().back().sums && log.segments().back().sums->is_building()) co_return {};
  const std::string directory = directory_of(log);
  std::vector<size_t> damaged;
  auto loaded = co_await load_sums(directory, log.segments().back(), &damaged);
  if (!loaded) co_return fail(loaded.error());
  if (!damaged.empty() && options_.listener)
    options_.listener->sums_damaged(layout::sums_file(directory, log.segments().back().base), damaged.size());
  segment& before = log.segments().back();
  if (!before.sums) before.sums = *loaded;
  auto view = co_await view_of(directory, before);
  if (!view) co_return fail(view.error());
  auto rest = co_await read_view(*view, view->summed, view->rest_end - view->summed);
  if (!rest) co_return fail(rest.error());
  segment& active = log.segments().back();
  const bool is_intact = active.rest_sum == (rest->empty() ? 0 : xxh3(*rest));
  if (!is_intact && options_.listener)
    options_.listener->block_damaged(*view, view->summed, view->rest_end - view->summed);
  active.sums->begin_building(bytes_view(*rest).first(active.written - active.summed), is_intact);
  active.rest_sum = active.sums->rest_sum();
  co_return {};
}

// Writes entries made since the last time; `exact` also cuts off what an earlier run wrote behind them.
task<result<void>> spiller::save_sums(partition_log& log, bool exact) {
  const segment& active = log.segments().back();
  if (!active.has_sums || !active.sums || (active.sums->count() == active.sums->saved && !exact))
    co_return {};
  const std::shared_ptr<block_sums> sums = active.sums;
  const size_t from = sums->saved;
  const size_t count = sums->count();
  std::vector<std::byte> bytes;
  if (from == 0 && count > 0) bytes = encode_sums_header(active.base);
  const std::vector<std::byte> entries = sums->encode(from);
  bytes.insert(bytes.end(), entries.begin(), entries.end());
  if (!MILLRACE_FAULT(sums_not_saved)) {
    auto file =
        co_await files_.get(layout::sums_file(directory_of(log), active.base), file_use::write_buffered);
    if (!file) co_return fail(file.error());
    const uint64_t at = from == 0 ? 0 : sums_header_bytes + from * sums_entry_bytes;
    if (!bytes.empty()) {
      auto written = co_await (*file)->write(at, bytes);
      if (!written) co_return written;
    }
    if (exact) {
      auto sized = co_await (*file)->truncate(at + bytes.size());
      if (!sized) co_return sized;
    }
    if (!MILLRACE_FAULT(sums_not_synced)) {
      auto synced = co_await (*file)->sync_all();
      if (!synced) co_return synced;
    }
  }
  sums->saved = count;
  co_return {};
}

}  // namespace millrace::storage
