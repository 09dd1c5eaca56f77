// Any bytes as a segment file with its indexes: found batches lie inside of it, and nothing is read outside.
// covers: storage/log/segment_scan.cc storage/log/segment_index.cc
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/buffer.h"
#include "protocol/record_batch.h"
#include "runtime/sim/world.h"
#include "storage/log/segment_index.h"
#include "storage/log/segment_scan.h"

namespace {

using namespace millrace;
using namespace millrace::storage;

// Checksums of what the file holds: so that it is read as it is, all of it, or but for a block that differs.
enum class sums_kind { none, right, wrong };

runtime::task<void> read_segment(slice bytes, size_t in_file, sums_kind kind) {
  segment_view view;
  view.path = "/segment";
  view.written = in_file;
  runtime::open_options options{.create = true};
  auto file = co_await runtime::file::open(view.path, options);
  const slice written_part = bytes.sub(0, in_file);
  const auto written = co_await file->write(0, written_part.view());
  if (!written) co_return;
  view.file = std::make_shared<runtime::file>(std::move(*file));
  view.tail = bytes.sub(in_file, bytes.size() - in_file);

  view.end = offset(1000);
  view.may_have_gaps = kind == sums_kind::none || in_file % 3 == 0;
  if (kind != sums_kind::none) {
    view.sums = std::make_shared<block_sums>(offset(0));
    view.sums->begin_building({}, kind == sums_kind::right);
    view.sums->add(written_part.view());
    view.rest_sum = view.sums->rest_sum();
    view.summed = view.sums->summed();
    view.rest_end = in_file;
    if (view.may_have_gaps && in_file >= protocol::batch_header_bytes) {
      std::vector<std::byte> beside = encode_sums_header(offset(0), sums_version_with_marks);
      beside.resize(sums_header_bytes + (in_file + sum_block_bytes - 1) / sum_block_bytes * sums_entry_bytes);
      const std::vector<batch_mark> marks{{0, check_of_batch(written_part.data(), offset(0), 0)}};
      const std::vector<std::byte> section = encode_batch_marks(offset(0), marks);
      beside.insert(beside.end(), section.begin(), section.end());
      auto sums_file = co_await runtime::file::open("/segment.sums", options);
      const auto put = co_await sums_file->write(0, beside);
      if (!put) co_return;
    }
    if (in_file % 2 == 0) view.epochs = {{leader_epoch(0), offset(0)}};
  }

  segment_index index{offset(0)};
  const auto walked = co_await walk_headers(view, 0, [&](uint64_t position, bytes_view header) {
    if (header.size() < protocol::batch_header_bytes || position > bytes.size()) std::abort();
    const auto h = protocol::batch_header::load(header.data());
    index.note_batch(offset(h.last_offset()), h.max_timestamp, static_cast<uint32_t>(position),
                     static_cast<uint32_t>(h.size_bytes()), 100);
    return true;
  });
  (void)walked;
  index.finish();
  (void)index.offset_before_time(1000);
  (void)index.encode_offsets(0);
  (void)index.encode_times(0);
  for (const uint64_t bytes_max : {uint64_t{0}, uint64_t{100}, uint64_t{1} << 20}) {
    batch_range range{
        .from = offset(3), .below = offset(1000), .bytes_max = bytes_max, .at_least_one = bytes_max != 100};
    if (bytes_max == 100) range.first_ends_at = offset(bytes.size() % 4);
    const auto found = co_await read_batches(view, 0, range);
    if (found && found->bytes.size() > bytes.size()) std::abort();
    if (found && found->bytes.size() > 0) {
      const auto header = protocol::parse_batch(found->bytes.view());
      if (header) (void)protocol::plain_records(found->bytes, *header, 1 << 20);
    }
  }
  (void)co_await view.file->close();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bytes_view all(reinterpret_cast<const std::byte*>(data), size);
  segment_index loaded{offset(0)};
  const bool good_offsets = loaded.load_offsets(all, size / offset_index_entry_bytes);
  const bool good_times = loaded.load_times(all, size / time_index_entry_bytes);
  if (good_offsets && good_times) {
    loaded.restore_progress(10, 5, offset(1));
    (void)loaded.position_before(offset(data[0]));
    (void)loaded.offset_before_time(data[1]);
  }
  const slice bytes = slice::copy_of(all.subspan(1));
  runtime::sim_world world(1);
  for (const sums_kind kind : {sums_kind::none, sums_kind::right, sums_kind::wrong})
    world.run(read_segment(bytes, bytes.size() * data[0] / 255, kind));
  return 0;
}
