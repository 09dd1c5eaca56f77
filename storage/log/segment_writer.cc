#include "storage/log/segment_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/limits.h"
#include "protocol/record_batch.h"
#include "runtime/fs.h"
#include "storage/fault.h"
#include "storage/layout.h"

namespace millrace::storage {

namespace {

using runtime::task;

// Large enough for the disk, small enough not to delay a commit.
constexpr uint64_t write_bytes = 1 * limits::MiB;

}  // namespace

segment_writer::segment_writer(segment_writer_options options)
    : options_(std::move(options)), block_(buffer::allocate(write_bytes)) {
  described_.base = described_.end = options_.base;
  described_.may_have_gaps = true;
  described_.has_sums = true;
  described_.index = std::make_shared<segment_index>(options_.base);
  described_.sums = std::make_shared<block_sums>(options_.base);
  described_.sums->is_loaded = true;
  described_.sums->begin_building({}, true);
}

task<result<void>> segment_writer::open() {
  runtime::open_options how{.create = true, .truncate = true};
  how.direct = options_.direct;
  auto opened = co_await runtime::file::open(
      layout::swap_name(layout::log_file(options_.directory, options_.base)), how);
  if (!opened) co_return fail(opened.error());
  file_ = std::move(*opened);
  co_return {};
}

// Tells the index of batches that are about to be added.
void segment_writer::note(bytes_view batches) {
  for (size_t at = 0; at < batches.size();) {
    const auto h = protocol::batch_header::load(batches.data() + at);
    const uint64_t position = written() + at;
    if (position == 0) described_.first_timestamp_ms = h.max_timestamp;
    described_.index->note_batch(offset(h.last_offset()), timestamp_of_index(h),
                                 static_cast<uint32_t>(position), static_cast<uint32_t>(h.size_bytes()),
                                 options_.index_interval_bytes);
    marks_.push_back({static_cast<uint32_t>(position),
                      check_of_batch(batches.data() + at, options_.base, static_cast<uint32_t>(position))});
    at += h.size_bytes();
  }
}

task<result<void>> segment_writer::add(bytes_view batches) {
  note(batches);
  while (!batches.empty()) {
    const uint64_t step = std::min<uint64_t>(batches.size(), write_bytes - filled_);
    std::memcpy(block_.data() + filled_, batches.data(), step);
    filled_ += step;
    batches = batches.subspan(step);
    if (filled_ < write_bytes) break;
    auto flushed = co_await flush(write_bytes);
    if (!flushed) co_return flushed;
  }
  co_return {};
}

// Writes the block; the first `bytes` of it belong to the segment.
task<result<void>> segment_writer::flush(uint64_t bytes) {
  const uint64_t whole = align_up(bytes, limits::block_bytes);
  std::memset(block_.data() + bytes, 0, whole - bytes);
  auto written = co_await file_.write(described_.written, bytes_view(block_.data(), whole));
  if (!written) co_return written;
  described_.sums->add(bytes_view(block_.data(), bytes));
  described_.written += bytes;
  filled_ = 0;
  co_return {};
}

task<result<void>> segment_writer::write_file(std::string path, std::vector<std::byte> bytes) {
  const runtime::open_options how{.create = true, .truncate = true};
  auto file = co_await runtime::file::open(layout::swap_name(path), how);
  if (!file) co_return fail(file.error());
  if (!bytes.empty()) {
    auto written = co_await file->write(0, bytes);
    if (!written) co_return written;
  }
  if (!MILLRACE_FAULT(compacted_not_synced)) {
    auto synced = co_await file->sync_all();
    if (!synced) co_return synced;
  }
  co_return co_await file->close();
}

task<result<segment>> segment_writer::finish() {
  if (filled_ > 0) {
    auto flushed = co_await flush(filled_);
    if (!flushed) co_return fail(flushed.error());
  }
  auto done = co_await file_.truncate(described_.written);
  if (done && !MILLRACE_FAULT(compacted_not_synced)) done = co_await file_.sync_all();
  if (done) done = co_await file_.close();
  if (!done) co_return fail(done.error());
  described_.index->finish();
  described_.sums->finish();
  described_.sums->stop_building();

  const std::string& directory = options_.directory;
  const offset base = options_.base;
  std::vector<std::byte> sums = encode_sums_header(base, sums_version_with_marks);
  const std::vector<std::byte> entries = described_.sums->encode(0);
  const std::vector<std::byte> marks = encode_batch_marks(base, marks_);
  sums.insert(sums.end(), entries.begin(), entries.end());
  sums.insert(sums.end(), marks.begin(), marks.end());
  done = co_await write_file(layout::index_file(directory, base), described_.index->encode_offsets(0));
  if (done)
    done = co_await write_file(layout::time_index_file(directory, base), described_.index->encode_times(0));
  if (done) done = co_await write_file(layout::sums_file(directory, base), std::move(sums));
  if (!done) co_return fail(done.error());

  described_.sums->saved = described_.sums->count();
  described_.summed = described_.written;
  described_.offset_entries_saved = static_cast<uint32_t>(described_.index->offsets().size());
  described_.time_entries_saved = static_cast<uint32_t>(described_.index->times().size());
  described_.bytes_since_index_entry = described_.index->bytes_since_entry();
  described_.max_timestamp_ms = described_.index->max_timestamp_ms();
  described_.max_timestamp_offset = described_.index->max_timestamp_offset();
  co_return std::move(described_);
}

task<void> segment_writer::give_up() {
  file_ = runtime::file();
  for (const std::string& path : layout::files_of_segment(options_.directory, options_.base)) {
    auto removed = co_await runtime::fs::unlink(layout::swap_name(path));
    (void)removed;
  }
}

}  // namespace millrace::storage
