#include "tools/migrate/partition_scan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "base/limits.h"
#include "protocol/record.h"
#include "storage/layout.h"
#include "storage/log/producer_state.h"
#include "tools/log/file_window.h"
#include "tools/log/index_check.h"
#include "tools/log/segment_scan.h"

namespace millrace::tools {

namespace {

namespace fs = std::filesystem;
using storage::segment;
using storage::segment_index;

// Kafka's index.interval.bytes where nobody changes it.
constexpr uint32_t index_interval_bytes = 4096;
constexpr uint32_t smallest_message_bytes = 14;

// A message of the formats before record batches: it has the same magic byte at the same place.
bool is_old_message(bytes_view at) {
  if (at.size() < protocol::batch_at::magic + 1) return false;
  const auto magic = static_cast<int8_t>(at[protocol::batch_at::magic]);
  const auto size = load_be<uint32_t>(at.data() + protocol::batch_at::batch_length);
  return (magic == 0 || magic == 1) && size >= smallest_message_bytes && size <= limits::batch_bytes_max;
}

enum class marker : int16_t { abort = 0, commit = 1 };

result<std::optional<marker>> marker_of(const located_batch& batch) {
  const auto plain = protocol::plain_records(batch.bytes, batch.header, limits::batch_bytes_max);
  if (!plain) return fail(plain.error());
  protocol::record_iterator records(*plain, batch.header.record_count);
  protocol::record_view record;
  if (!records.next(record) || !record.key || record.key->size() < 4) return std::nullopt;
  const auto type = load_be<int16_t>(record.key->data() + 2);
  if (type != 0 && type != 1) return std::nullopt;
  return static_cast<marker>(type);
}

class scanner {
 public:
  scanner(const kafka_partition& from, const scan_request& request, std::set<int64_t> left_out)
      : from_(from), request_(request), left_out_(std::move(left_out)) {}

  result<partition_plan> run();
  // Base offsets of the batches of aborted transactions.
  const std::set<int64_t>& aborted_batches() const noexcept { return aborted_batches_; }

 private:
  struct transaction {
    int64_t first_offset = -1;
    std::vector<int64_t> batches;
  };

  result<std::vector<std::string>> list_segments() const;
  result<void> scan_segment(const std::string& path, bool is_last);
  result<void> on_batch(const located_batch& batch, const std::string& path, segment& s, segment_index& index,
                        std::vector<byte_range>& pieces);
  result<void> on_marker(const located_batch& batch, const std::string& path, int64_t segment_base);
  result<void> judge(const std::vector<finding>& findings, file_window& file, bool is_last);
  void finish_epochs();

  const kafka_partition& from_;
  const scan_request& request_;
  std::set<int64_t> left_out_;
  std::set<int64_t> aborted_batches_;
  partition_plan plan_;
  int64_t next_offset_min_ = 0;
  uint64_t bytes_before_ = 0;  // of the segments before the present one
  std::map<int64_t, transaction> open_;
  storage::producer_state producers_;
  storage::epoch_cache epochs_;
};

result<std::vector<std::string>> scanner::list_segments() const {
  std::vector<std::string> paths;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(from_.directory, code)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".swap")
      return fail(
          errc::invalid_argument,
          "{} shows that Kafka was stopped while it exchanged segments: start it and stop it cleanly first",
          path.string());
    if (path.extension() == ".log" && base_offset_of(path.string())) paths.push_back(path.string());
  }
  if (code) return fail(errc::io_error, "cannot list {}: {}", from_.directory, code.message());
  if (paths.empty()) return fail(errc::not_found, "{} holds no segment", from_.directory);
  std::ranges::sort(paths);
  return paths;
}

result<void> scanner::judge(const std::vector<finding>& findings, file_window& file, bool is_last) {
  for (const finding& f : findings) {
    if (f.how_bad == severity::note) continue;
    const auto there = file.read(f.position, protocol::batch_header_bytes);
    if (there && is_old_message(there->view()))
      return fail(
          errc::not_supported,
          "{} holds messages of a format older than Kafka 0.11 (magic 0 or 1) at byte {}, which cannot be "
          "taken over: let Kafka copy the topic into a new one (consume and produce it), and import that",
          f.file, f.position);
    if (f.how_bad == severity::torn && is_last) {
      plan_.torn_bytes = file.size() - f.position;
      plan_.torn_file = f.file;
      continue;
    }
    return fail(errc::corruption, "{} is damaged at byte {}: {}", f.file, f.position, f.what);
  }
  return {};
}

result<void> scanner::scan_segment(const std::string& path, bool is_last) {
  auto window = file_window::open(path);
  if (!window) return fail(window.error());
  segment s;
  s.base = s.end = offset(*base_offset_of(path));
  s.may_have_gaps = true;
  if (s.base.value() < next_offset_min_)
    return fail(errc::corruption, "{} begins at offset {}, but the segment before it goes to {}", path,
                s.base.value(), next_offset_min_ - 1);
  auto index = std::make_shared<segment_index>(s.base);
  partition_plan::source source{.path = path, .pieces = {}};
  segment_scan scan(*window);
  for (;;) {
    const auto batch = scan.next();
    if (!batch) return fail(batch.error());
    MR_TRY(judge(scan.findings(), *window, is_last));
    if (!*batch) break;
    MR_TRY(on_batch(**batch, path, s, *index, source.pieces));
    if (request_.on_progress) request_.on_progress(bytes_before_ + scan.position());
  }
  bytes_before_ += window->size();
  next_offset_min_ = std::max(next_offset_min_, s.end.value());
  if (s.written == 0 && !is_last) return {};
  index->finish();
  s.max_timestamp_ms = index->max_timestamp_ms();
  s.max_timestamp_offset = index->max_timestamp_offset();
  s.bytes_since_index_entry = index->bytes_since_entry();
  s.offset_entries_saved = static_cast<uint32_t>(index->offsets().size());
  s.time_entries_saved = static_cast<uint32_t>(index->times().size());
  s.index = std::move(index);
  plan_.bytes += s.written;
  plan_.described.segments.push_back(std::move(s));
  plan_.sources.push_back(std::move(source));
  return {};
}

result<void> scanner::on_batch(const located_batch& batch, const std::string& path, segment& s,
                               segment_index& index, std::vector<byte_range>& pieces) {
  const protocol::batch_header& h = batch.header;
  if (h.base_offset < next_offset_min_ || h.base_offset < s.base.value())
    return fail(errc::corruption, "{} is damaged at byte {}: a batch begins at offset {}, not behind {}",
                path, batch.position, h.base_offset, std::max(next_offset_min_, s.base.value()) - 1);
  if (h.last_offset() - s.base.value() > std::numeric_limits<int32_t>::max())
    return fail(errc::corruption,
                "{} is damaged at byte {}: offset {} does not fit a segment that begins at {}", path,
                batch.position, h.last_offset(), s.base.value());
  if (h.size_bytes() > limits::batch_bytes_max)
    return fail(errc::not_supported, "{} holds a batch of {} bytes at byte {}; batches here have at most {}",
                path, h.size_bytes(), batch.position, limits::batch_bytes_max);
  next_offset_min_ = h.next_offset();
  plan_.epoch_max = std::max(plan_.epoch_max, h.leader_epoch);
  plan_.producer_id_max = std::max(plan_.producer_id_max, h.producer_id);
  if (h.leader_epoch >= 0) epochs_.note(leader_epoch(h.leader_epoch), offset(h.base_offset));

  if (h.is_control()) {
    MR_TRY(on_marker(batch, path, s.base.value()));
  } else if (h.has_producer()) {
    storage::producer_batch accepted;
    accepted.first_sequence = h.base_sequence;
    accepted.last_sequence = h.last_sequence();
    accepted.base_offset = offset(h.base_offset);
    accepted.last_offset = offset(h.last_offset());
    accepted.timestamp_ms = h.max_timestamp;
    producers_.update(producer_id(h.producer_id), producer_epoch(h.producer_epoch), accepted,
                      h.max_timestamp);
    if (h.is_transactional()) {
      transaction& t = open_[h.producer_id];
      if (t.batches.empty()) t.first_offset = h.base_offset;
      t.batches.push_back(h.base_offset);
    }
  }
  if (left_out_.contains(h.base_offset)) {
    plan_.records_left_out += static_cast<uint64_t>(h.record_count);
    return {};
  }
  ++plan_.batches;
  if (!h.is_control()) plan_.records += static_cast<uint64_t>(h.record_count);
  index.note_batch(offset(h.last_offset()), h.max_timestamp, static_cast<uint32_t>(s.written),
                   static_cast<uint32_t>(h.size_bytes()), index_interval_bytes);
  if (!pieces.empty() && pieces.back().begin + pieces.back().bytes == batch.position) {
    pieces.back().bytes += h.size_bytes();
  } else {
    pieces.push_back({batch.position, h.size_bytes()});
  }
  if (s.written == 0) s.first_timestamp_ms = h.max_timestamp;
  s.written += h.size_bytes();
  s.end = offset(h.next_offset());
  return {};
}

result<void> scanner::on_marker(const located_batch& batch, const std::string& path, int64_t segment_base) {
  const auto decided = marker_of(batch);
  if (!decided)
    return fail(errc::corruption, "{} is damaged at byte {}: {}", path, batch.position,
                decided.error().message);
  const auto found = open_.find(batch.header.producer_id);
  if (!*decided || found == open_.end()) return {};
  const transaction ended = std::move(found->second);
  open_.erase(found);
  if (**decided == marker::commit) return {};
  int64_t stable = batch.header.next_offset();
  for (const auto& [id, t] : open_) stable = std::min(stable, t.first_offset);
  plan_.aborted.push_back({.producer_id = batch.header.producer_id,
                           .first_offset = ended.first_offset,
                           .last_offset = batch.header.last_offset(),
                           .stable_offset = stable,
                           .segment_base = segment_base});
  aborted_batches_.insert(ended.batches.begin(), ended.batches.end());
  return {};
}

// Kafka's own file knows where an epoch began even if compaction took its first batch.
void scanner::finish_epochs() {
  std::vector<storage::epoch_start> starts = epochs_.starts();
  if (const auto text = read_small_file(storage::layout::leader_epoch_checkpoint(from_.directory))) {
    if (auto known = parse_leader_epochs(*text)) {
      std::erase_if(*known,
                    [this](const storage::epoch_start& e) { return e.start.value() >= next_offset_min_; });
      storage::epoch_cache joined;
      joined.restore(std::move(*known));
      for (const storage::epoch_start& e : starts) joined.note(e.epoch, e.start);
      starts = joined.starts();
    }
  }
  for (const storage::epoch_start& e : starts) plan_.epoch_max = std::max(plan_.epoch_max, e.epoch.value());
  plan_.described.epochs = std::move(starts);
}

result<partition_plan> scanner::run() {
  const auto paths = list_segments();
  if (!paths) return fail(paths.error());
  const int64_t first_base = *base_offset_of(paths->front());
  for (const std::string& path : *paths) MR_TRY(scan_segment(path, path == paths->back()));

  storage::checkpoint_partition& d = plan_.described;
  d.id.partition = from_.partition;
  d.topic_name = from_.topic;
  d.spilled_end = d.producers_end = d.segments.back().end;
  d.log_start = offset(std::max(from_.log_start, first_base));
  if (d.log_start > d.spilled_end)
    return fail(errc::corruption, "{}: its log start {} lies behind its end {}", from_.directory,
                d.log_start.value(), d.spilled_end.value());
  // Kafka has not come round to deleting these.
  while (d.segments.size() > 1 && d.segments.front().end <= d.log_start) {
    plan_.bytes -= d.segments.front().written;
    d.segments.erase(d.segments.begin());
    plan_.sources.erase(plan_.sources.begin());
  }
  for (const auto& [id, entry] : producers_.entries()) d.producers.emplace_back(id, entry);
  std::ranges::sort(d.producers, {}, [](const auto& item) { return item.first; });
  for (const auto& [id, t] : open_) plan_.open.push_back({id, t.first_offset});
  std::ranges::sort(plan_.open, {}, &open_transaction::first_offset);
  finish_epochs();
  return std::move(plan_);
}

}  // namespace

result<partition_plan> scan_partition(const kafka_partition& from, const scan_request& request) {
  scanner first(from, request, {});
  auto plan = first.run();
  if (!plan || !request.leave_aborted_out || first.aborted_batches().empty()) return plan;
  // Only the marker tells what came before it: once more, without those.
  return scanner(from, request, first.aborted_batches()).run();
}

uint64_t bytes_of_segments(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, code)) {
    if (entry.path().extension() != ".log") continue;
    const uint64_t size = entry.file_size(code);
    if (!code) bytes += size;
  }
  return bytes;
}

result<void> write_indexes(const std::string& directory, const segment& s) {
  MR_TRY(write_durably(storage::layout::index_file(directory, s.base), s.index->encode_offsets(0)));
  return write_durably(storage::layout::time_index_file(directory, s.base), s.index->encode_times(0));
}

}  // namespace millrace::tools
