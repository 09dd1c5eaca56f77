#include "tools/migrate/export.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <utility>

#include "base/checksum.h"
#include "protocol/record_batch.h"
#include "storage/import_manifest.h"
#include "storage/layout.h"
#include "tools/log/file_window.h"
#include "tools/log/segment_scan.h"
#include "tools/migrate/data_directory.h"
#include "tools/migrate/disk.h"
#include "tools/migrate/kafka_logs.h"
#include "tools/migrate/partition_scan.h"

namespace millrace::tools {

namespace {

namespace fs = std::filesystem;
namespace layout = storage::layout;
using storage::segment_stem;

// Of a segment that is not in place yet; Kafka passes such files over.
constexpr std::string_view waiting = ".export";

// Kafka's .snapshot: version 2, crc of what follows 4, number of producers 4.
std::vector<std::byte> empty_producer_snapshot() {
  std::vector<std::byte> file(10);
  store_be<int16_t>(file.data(), 1);
  store_be<uint32_t>(file.data() + 2, crc32c(bytes_view(file).subspan(6)));
  return file;
}

// Kafka's .txnindex: version 2, producer id 8, first offset 8, last offset 8, last stable offset 8.
std::vector<std::byte> transaction_index(const std::vector<aborted_transaction>& aborted,
                                         int64_t segment_base) {
  std::vector<std::byte> file;
  for (const aborted_transaction& t : aborted) {
    if (t.segment_base != segment_base) continue;
    std::array<std::byte, 34> entry{};
    store_be<int64_t>(entry.data() + 2, t.producer_id);
    store_be<int64_t>(entry.data() + 10, t.first_offset);
    store_be<int64_t>(entry.data() + 18, t.last_offset);
    store_be<int64_t>(entry.data() + 26, t.stable_offset);
    file.insert(file.end(), entry.begin(), entry.end());
  }
  return file;
}

// The segment's batches with leader epoch 0, in a new file.
result<void> copy_batches(const std::string& from, const std::string& to) {
  auto window = file_window::open(from);
  if (!window) return fail(window.error());
  auto out = file_writer::create(to);
  if (!out) return fail(out.error());
  segment_scan scan(*window);
  for (;;) {
    const auto batch = scan.next();
    if (!batch) return fail(batch.error());
    if (!*batch) break;
    const bytes_view bytes = (*batch)->bytes.view();
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    protocol::set_leader_epoch(copy, 0);
    MR_TRY(out->append(copy));
  }
  if (!scan.findings().empty()) return fail(errc::corruption, "{} changed while it was copied", from);
  return out->finish();
}

bool is_log_file(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".log" || extension == ".index" || extension == ".timeindex" ||
         extension == ".txnindex" || extension == ".snapshot" || extension == waiting;
}

class exporter {
 public:
  exporter(const export_request& request, const export_progress& on_progress)
      : request_(request), on_progress_(on_progress) {}

  result<std::vector<exported_partition>> run();

 private:
  struct pair {
    kafka_partition here;  // Millrace's, described as if it were Kafka's
    kafka_partition there;
    int64_t log_end = 0;
    bool is_empty = false;  // nothing was ever written to it
  };

  result<void> match();
  result<void> match_topic(const std::string& name, const data_directory& data, const kafka_logs& logs,
                           const std::vector<storage::checkpoint_partition>& known);
  result<void> write_partition(const pair& p);
  result<void> note_offsets(const pair& p, int64_t log_start);

  const export_request& request_;
  const export_progress& on_progress_;
  std::vector<pair> pairs_;
  std::vector<exported_partition> done_;
  uint64_t total_bytes_ = 0;
  uint64_t done_bytes_ = 0;
};

result<void> exporter::match() {
  const auto data = read_data_directory(request_.data_dir);
  if (!data) return fail(data.error());
  if (data->is_new) return fail(errc::not_found, "{} is no data directory of Millrace's", request_.data_dir);
  std::error_code code;
  if (!data->meta.stopped_cleanly || fs::exists(layout::import_manifest(request_.data_dir), code))
    return fail(
        errc::invalid_argument,
        "Millrace was not stopped cleanly on {}: its newest records are not in the segments yet. Start "
        "millraced and stop it",
        request_.data_dir);
  const auto known = read_partitions(request_.data_dir, data->meta.shards);
  if (!known) return fail(known.error());
  const auto logs = find_kafka_logs(request_.log_dirs);
  if (!logs) return fail(logs.error());
  if (!logs->unclean_log_dirs.empty())
    return fail(errc::invalid_argument, "Kafka was not stopped cleanly in {}: start it and stop it first",
                logs->unclean_log_dirs.front());
  for (const std::string& name : request_.topics) MR_TRY(match_topic(name, *data, *logs, *known));
  return {};
}

result<void> exporter::match_topic(const std::string& name, const data_directory& data,
                                   const kafka_logs& logs,
                                   const std::vector<storage::checkpoint_partition>& known) {
  const storage::topic_metadata* topic = data.state.find(name);
  if (!topic) return fail(errc::not_found, "there is no topic {} in {}", name, request_.data_dir);
  std::vector<kafka_partition> there;
  for (const kafka_partition& p : logs.partitions)
    if (p.topic == name) there.push_back(p);
  if (there.size() != static_cast<size_t>(topic->partitions) ||
      there.back().partition != topic->partitions - 1)
    return fail(
        errc::invalid_partitions,
        "topic {} has {} partitions here, and {} in Kafka's directories: create it there first, with as "
        "many, and name all log directories",
        name, topic->partitions, there.size());
  for (const kafka_partition& p : there) {
    if (!p.topic_id)
      return fail(errc::corruption, "{} has no partition.metadata that names a topic", p.directory);
    if (bytes_of_segments(p.directory) > 0 && !request_.is_forced)
      return fail(errc::already_exists, "{} is not empty: --force replaces what is there", p.directory);
    pair matched{.here = {.topic = name,
                          .partition = p.partition,
                          .directory = layout::partition_directory(request_.data_dir, name, p.partition),
                          .log_dir = request_.data_dir,
                          .topic_id = topic->id},
                 .there = p};
    const storage::topic_partition_id id{topic->id, p.partition};
    const auto found = std::ranges::find(known, id, &storage::checkpoint_partition::id);
    matched.is_empty = found == known.end() || found->segments.empty();
    if (found != known.end()) {
      matched.here.log_start = found->log_start.value();
      matched.log_end = found->spilled_end.value();
    }
    if (!matched.is_empty) total_bytes_ += bytes_of_segments(matched.here.directory);
    pairs_.push_back(std::move(matched));
  }
  return {};
}

result<void> exporter::write_partition(const pair& p) {
  const std::string& directory = p.there.directory;
  partition_plan plan;
  plan.described.log_start = plan.described.spilled_end = offset(p.log_end);
  if (!p.is_empty) {
    auto scanned = scan_partition(
        p.here, {.on_progress = [this](uint64_t bytes) { on_progress_(done_bytes_ + bytes, total_bytes_); }});
    if (!scanned) return fail(scanned.error());
    plan = std::move(*scanned);
    if (plan.torn_bytes > 0 || plan.described.spilled_end.value() != p.log_end)
      return fail(errc::corruption, "{} ends at offset {}, but the broker left it at {}", p.here.directory,
                  plan.described.spilled_end.value(), p.log_end);
  } else {
    // As Kafka makes a new log.
    storage::segment only;
    only.base = only.end = offset(p.log_end);
    only.index = std::make_shared<storage::segment_index>(only.base);
    plan.described.segments.push_back(std::move(only));
    plan.sources.push_back({});
  }
  const storage::checkpoint_partition& d = plan.described;
  for (size_t i = 0; i < d.segments.size(); ++i) {
    const std::string waiting_log = layout::log_file(directory, d.segments[i].base) + std::string(waiting);
    if (plan.sources[i].path.empty()) {
      MR_TRY(write_durably(waiting_log, {}));
    } else {
      MR_TRY(copy_batches(plan.sources[i].path, waiting_log));
    }
  }
  // From here on Kafka's old log is gone; the new one is complete beside it.
  std::error_code code;
  std::vector<fs::path> old_files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, code))
    if (is_log_file(entry.path()) && entry.path().extension() != waiting) old_files.push_back(entry.path());
  for (const fs::path& old_file : old_files) fs::remove(old_file, code);
  for (const storage::segment& s : d.segments) {
    MR_TRY(write_indexes(directory, s));
    const std::vector<std::byte> aborted = transaction_index(plan.aborted, s.base.value());
    if (!aborted.empty())
      MR_TRY(write_durably(fmt::format("{}/{}.txnindex", directory, segment_stem(s.base)), aborted));
    const std::string path = layout::log_file(directory, s.base);
    fs::rename(path + std::string(waiting), path, code);
    if (code) return fail(errc::io_error, "cannot rename {}{}: {}", path, waiting, code.message());
  }
  MR_TRY(write_durably(fmt::format("{}/{}.snapshot", directory, segment_stem(d.spilled_end)),
                       empty_producer_snapshot()));
  const bool has_batches = plan.batches > 0;
  const std::string epochs = layout::format_leader_epochs(
      has_batches ? std::vector<storage::epoch_start>{{leader_epoch(0), d.segments.front().base}}
                  : std::vector<storage::epoch_start>{});
  MR_TRY(write_durably(layout::leader_epoch_checkpoint(directory), as_bytes(epochs)));
  MR_TRY(note_offsets(p, d.log_start.value()));
  done_bytes_ += plan.bytes;
  done_.push_back({.topic = p.there.topic,
                   .partition = p.there.partition,
                   .directory = directory,
                   .records = plan.records,
                   .bytes = plan.bytes,
                   .log_start = d.log_start.value(),
                   .log_end = d.spilled_end.value()});
  return {};
}

// What Kafka believes of its logs after a clean stop.
result<void> exporter::note_offsets(const pair& p, int64_t log_start) {
  struct change {
    std::string_view file;
    std::optional<int64_t> at;  // nothing: forget it
  };
  const change changes[] = {{"recovery-point-offset-checkpoint", p.log_end},
                            {"replication-offset-checkpoint", p.log_end},
                            {"log-start-offset-checkpoint", log_start},
                            {"cleaner-offset-checkpoint", std::nullopt}};
  for (const change& c : changes) {
    const std::string path = fmt::format("{}/{}", p.there.log_dir, c.file);
    auto offsets = load_offset_checkpoint(path);
    if (!offsets) return fail(offsets.error());
    const std::pair key(p.there.topic, p.there.partition);
    if (c.at) {
      (*offsets)[key] = *c.at;
    } else if (offsets->erase(key) == 0) {
      continue;
    }
    const std::string text = format_offset_checkpoint(*offsets);
    MR_TRY(write_durably(path, as_bytes(text)));
  }
  return {};
}

result<std::vector<exported_partition>> exporter::run() {
  MR_TRY(match());
  std::map<std::string, bool> dirs;
  for (const pair& p : pairs_) dirs[p.there.log_dir] = true;
  for (const auto& [log_dir, used] : dirs) {
    const auto room = free_bytes(log_dir);
    if (!room) return fail(room.error());
    if (*room < total_bytes_ / dirs.size())
      return fail(errc::disk_full, "{} has room for {} bytes, but {} are to be written", log_dir, *room,
                  total_bytes_);
  }
  for (const pair& p : pairs_) MR_TRY(write_partition(p));
  return std::move(done_);
}

}  // namespace

result<std::vector<exported_partition>> run_export(const export_request& request,
                                                   const export_progress& on_progress) {
  return exporter(request, on_progress).run();
}

}  // namespace millrace::tools
