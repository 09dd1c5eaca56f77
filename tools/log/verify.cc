#include "tools/log/verify.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"
#include "tools/log/file_window.h"
#include "tools/log/index_check.h"
#include "tools/log/segment_scan.h"
#include "tools/log/sums_check.h"
#include "tools/log/wal_scan.h"

namespace millrace::tools {

namespace {

void append(std::vector<finding>& to, std::vector<finding> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

void count_batch(file_report& report, const protocol::batch_header& header) {
  ++report.batches;
  report.records += static_cast<uint64_t>(header.record_count);
}

result<file_report> verify_segment(const std::string& path, const verify_options& options) {
  // Indexes first: a broker that is still writing appends to the segment before it appends to them, so what
  // they name is then in the part of the segment that is seen here.
  auto indexes = index_check::open(path);
  if (!indexes) return fail(indexes.error());
  auto window = file_window::open(path);
  if (!window) return fail(window.error());
  file_window& file = *window;
  file_report report{.path = path, .kind = "segment", .bytes = file.size()};
  segment_scan scan(file);
  while (true) {
    const auto batch = scan.next();
    if (!batch) return fail(batch.error());
    if (!*batch) break;
    const located_batch& b = **batch;
    if (report.first < 0) report.first = b.header.base_offset;
    report.last = b.header.last_offset();
    count_batch(report, b.header);
    indexes->on_batch(b);
    if (options.is_deep && b.is_intact) {
      if (const auto good = check_records(b); !good) {
        report.findings.push_back(
            {.how_bad = severity::corrupt,
             .file = file.path(),
             .position = b.position,
             .what = fmt::format("batch at offset {}: {}", b.header.base_offset, good.error().message)});
      }
    }
    if (options.on_progress) options.on_progress(scan.position());
  }
  append(report.findings, scan.findings());
  const bool is_torn =
      std::ranges::any_of(scan.findings(), [](const finding& f) { return f.how_bad == severity::torn; });
  append(report.findings, std::move(*indexes).finish(is_torn));
  auto blocks = check_sums(file);
  if (!blocks) return fail(blocks.error());
  append(report.findings, std::move(*blocks));
  const auto base = base_offset_of(file.path());
  if (base && report.first >= 0 && report.first < *base) {
    report.findings.push_back(
        {.how_bad = severity::corrupt,
         .file = file.path(),
         .position = 0,
         .what = fmt::format("begins at offset {}, before the one in its name", report.first)});
  }
  return report;
}

void verify_wal_batch(file_report& report, const located_frame& frame, const storage::wal::entry& entry,
                      const verify_options& options) {
  const auto problem = [&](std::string what) {
    report.findings.push_back({.how_bad = severity::corrupt,
                               .file = report.path,
                               .position = frame.position,
                               .what = fmt::format("frame {}: {}", frame.header.lsn.value(), what)});
  };
  const auto decoded = storage::wal::decode_batch(entry.body);
  if (!decoded) return problem("a batch entry is too short");
  const auto header = protocol::parse_batch(decoded->batch);
  if (!header) return problem(header.error().message);
  count_batch(report, *header);
  const bytes_view batch = decoded->batch.first(header->size_bytes());
  if (!protocol::has_valid_crc(batch))
    return problem(fmt::format("the crc of the batch at offset {} is wrong", header->base_offset));
  if (!options.is_deep) return;
  const located_batch located{.position = frame.position, .header = *header, .bytes = frame.bytes.sub(batch)};
  if (const auto good = check_records(located); !good) problem(good.error().message);
}

result<file_report> verify_wal(const std::string& path, const verify_options& options) {
  auto window = file_window::open(path);
  if (!window) return fail(window.error());
  file_window& file = *window;
  file_report report{.path = path, .kind = "wal", .bytes = file.size()};
  wal_scan scan(file);
  const auto is_used = scan.open();
  if (!is_used) return fail(is_used.error());
  while (*is_used) {
    const auto frame = scan.next();
    if (!frame) return fail(frame.error());
    if (!*frame) break;
    const auto lsn = static_cast<int64_t>((*frame)->header.lsn.value());
    if (report.first < 0) report.first = lsn;
    report.last = lsn;
    ++report.frames;
    storage::wal::entry_cursor entries((*frame)->bytes, (*frame)->header);
    while (const auto entry = entries.next()) {
      if (entry->kind == storage::wal::entry_kind::batch) verify_wal_batch(report, **frame, *entry, options);
    }
    if (entries.is_malformed()) {
      report.findings.push_back(
          {.how_bad = severity::corrupt,
           .file = file.path(),
           .position = (*frame)->position,
           .what = fmt::format("frame {} verifies, but its entries do not fit it", lsn)});
    }
    if (options.on_progress) options.on_progress(scan.position());
  }
  append(report.findings, scan.findings());
  return report;
}

}  // namespace

result<file_report> verify_file(const log_file& file, const verify_options& options) {
  MR_ASSERT(file.kind == log_file_kind::segment || file.kind == log_file_kind::wal);
  return file.kind == log_file_kind::wal ? verify_wal(file.path, options)
                                         : verify_segment(file.path, options);
}

}  // namespace millrace::tools
