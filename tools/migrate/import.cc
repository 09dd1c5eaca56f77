#include "tools/migrate/import.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>
#include <utility>

#include "base/limits.h"
#include "storage/import_manifest.h"
#include "storage/layout.h"
#include "tools/migrate/cluster_metadata.h"
#include "tools/migrate/data_directory.h"
#include "tools/migrate/disk.h"
#include "tools/migrate/partition_scan.h"

namespace millrace::tools {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view offsets_topic = "__consumer_offsets";

// Why a key of Kafka's does nothing here, or nothing if it does something.
std::string_view why_without_effect(std::string_view key, std::string_view value) {
  if (key.starts_with("remote.") || key.starts_with("local.retention."))
    return "there is no tiered storage here";
  if (key.ends_with("replication.throttled.replicas") || key == "unclean.leader.election.enable")
    return "there is one replica here";
  if (key == "min.insync.replicas" && value != "1") return "there is one replica here";
  if (key == "message.format.version" || key == "message.downconversion.enable")
    return "the format is always the newest";
  return {};
}

// Kafka's rule: '.' and '_' are the same in names of metrics, so of two such names only one may exist.
std::string collision_key(std::string name) {
  std::ranges::replace(name, '.', '_');
  return name;
}

bool is_legal_name(std::string_view name) {
  return !name.empty() && name.size() <= 249 && name != "." && name != ".." &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

uuid random_id() {
  std::random_device device;
  return uuid::make([&device] { return (uint64_t{device()} << 32) | device(); });
}

// The metadata of the newest directory that has any; nothing if there is none (a broker without controller).
result<kafka_topics> topics_of(const kafka_logs& logs, std::vector<std::string>& remarks) {
  if (logs.metadata_logs.empty()) {
    remarks.push_back(
        "no __cluster_metadata-0 in these directories: topic configurations are not known; give what matters "
        "with "
        "--config");
    return kafka_topics();
  }
  return read_cluster_metadata(logs.metadata_logs.front());
}

class planner {
 public:
  explicit planner(const import_request& request) : request_(request) {}
  result<import_report> plan();

 private:
  result<void> choose();
  result<void> add_topic(const std::string& name_there, const std::string& name_here);
  result<void> check_partitions(imported_topic& topic, int32_t expected);
  void configure(imported_topic& topic, const kafka_topic* known);

  const import_request& request_;
  kafka_logs logs_;
  kafka_topics known_;
  data_directory target_;
  std::set<uuid> ids_;
  std::map<std::string, std::string> names_;  // by collision key
  import_report report_;
};

result<import_report> planner::plan() {
  auto logs = find_kafka_logs(request_.log_dirs);
  if (!logs) return fail(logs.error());
  logs_ = std::move(*logs);
  for (const std::string& log_dir : logs_.unclean_log_dirs)
    report_.remarks.push_back(
        fmt::format("Kafka was not stopped cleanly in {}: a write that was cut short is cut off", log_dir));
  auto known = topics_of(logs_, report_.remarks);
  if (!known) return fail(known.error());
  known_ = std::move(*known);
  auto target = read_data_directory(request_.data_dir);
  if (!target) return fail(target.error());
  target_ = std::move(*target);
  std::error_code code;
  if (fs::exists(storage::layout::import_manifest(request_.data_dir), code))
    return fail(errc::already_exists, "an import waits in {} to be adopted: start millraced on it once first",
                request_.data_dir);
  for (const auto& [id, topic] : target_.state.topics) {
    ids_.insert(id);
    names_[collision_key(topic.name)] = topic.name;
  }
  MR_TRY(choose());
  if (report_.topics.empty())
    return fail(errc::not_found, "there is no topic to import in these directories");
  return std::move(report_);
}

result<void> planner::choose() {
  std::set<std::string> there;
  for (const kafka_partition& p : logs_.partitions) there.insert(p.topic);
  for (const auto& [name_there, name_here] : request_.topics) {
    if (is_kafka_internal(name_there))
      return fail(errc::invalid_argument, "{} is Kafka's own and means nothing here", name_there);
    if (!there.contains(name_there))
      return fail(errc::not_found, "there is no topic {} in these directories", name_there);
    MR_TRY(add_topic(name_there, name_here));
  }
  if (!request_.topics.empty()) return {};
  for (const std::string& name : there) {
    if (is_kafka_internal(name)) continue;
    if (name == offsets_topic && target_.state.find(name)) {
      report_.remarks.push_back(
          "committed offsets are not taken over: consumer groups have committed here before "
          "(__consumer_offsets "
          "exists)");
      continue;
    }
    if (!known_.empty() && !known_.contains(name)) {
      report_.remarks.push_back(fmt::format("{} was deleted in Kafka and is passed over", name));
      continue;
    }
    MR_TRY(add_topic(name, name));
  }
  return {};
}

result<void> planner::add_topic(const std::string& name_there, const std::string& name_here) {
  if (!is_legal_name(name_here)) return fail(errc::invalid_argument, "{} is no name for a topic", name_here);
  const auto [other, is_free] = names_.try_emplace(collision_key(name_here), name_here);
  if (!is_free)
    return fail(errc::already_exists,
                "topic {} collides with {}: import it under another name (--topic {}=NAME)", name_here,
                other->second, name_there);
  imported_topic topic;
  topic.name_there = name_there;
  topic.created.name = name_here;
  for (const kafka_partition& p : logs_.partitions)
    if (p.topic == name_there) topic.partitions.push_back(p);
  const auto found = known_.find(name_there);
  const kafka_topic* known = found == known_.end() ? nullptr : &found->second;
  MR_TRY(check_partitions(topic, known ? known->partitions : 0));

  uuid id = known ? known->id : topic.partitions.front().topic_id.value_or(uuid{});
  topic.is_id_kept = !id.is_zero() && !ids_.contains(id);
  while (!topic.is_id_kept && (id.is_zero() || ids_.contains(id))) id = random_id();
  ids_.insert(id);
  topic.created.id = id;
  configure(topic, known);
  report_.topics.push_back(std::move(topic));
  return {};
}

// `expected` 0: as many as there are.
result<void> planner::check_partitions(imported_topic& topic, int32_t expected) {
  const int32_t count = std::max(expected, topic.partitions.back().partition + 1);
  if (count > limits::partitions_per_topic_max)
    return fail(errc::invalid_argument, "topic {} has {} partitions; here there are at most {}",
                topic.name_there, count, limits::partitions_per_topic_max);
  if (topic.partitions.size() != static_cast<size_t>(count)) {
    std::string missing;
    size_t next = 0;
    for (int32_t p = 0; p < count; ++p) {
      if (next < topic.partitions.size() && topic.partitions[next].partition == p) {
        ++next;
      } else if (missing.size() < 60) {
        missing += fmt::format("{}{}", missing.empty() ? "" : ", ", p);
      }
    }
    return fail(
        errc::not_found,
        "topic {} has {} partitions, but these directories do not hold {}: name all log directories (of "
        "other brokers, too)",
        topic.name_there, count, missing);
  }
  for (const kafka_partition& p : topic.partitions)
    if (p.topic_id != topic.partitions.front().topic_id)
      return fail(errc::corruption, "{} belongs to another topic {} than {}", p.directory, topic.name_there,
                  topic.partitions.front().directory);
  topic.created.partitions = count;
  return {};
}

void planner::configure(imported_topic& topic, const kafka_topic* known) {
  topic.is_configuration_known = known != nullptr;
  storage::config_map wanted;
  if (known) wanted = known->config;
  if (topic.name_there != offsets_topic)
    for (const auto& [key, value] : request_.configs) wanted[key] = value;
  // Kafka keeps them in its compacted topic's own configuration; without its metadata they would be deleted
  // by age.
  if (topic.name_there == offsets_topic && !known) wanted["cleanup.policy"] = "compact";
  for (const auto& [key, value] : wanted) {
    const std::string_view why = why_without_effect(key, value);
    if (why.empty()) {
      topic.created.config[key] = value;
    } else {
      topic.without_effect.push_back({key, value, std::string(why)});
    }
  }
}

class importer {
 public:
  importer(const import_request& request, import_report& plan, const import_progress& on_progress)
      : request_(request), plan_(plan), on_progress_(on_progress) {}

  result<void> run();

 private:
  result<void> copy_everything();
  result<void> take_partition(imported_topic& topic, const kafka_partition& from);
  result<void> put_down(const imported_topic& topic, partition_plan& scanned);
  void remove_copies();

  const import_request& request_;
  import_report& plan_;
  const import_progress& on_progress_;
  storage::import_manifest manifest_;
  uint64_t total_bytes_ = 0;
  uint64_t done_bytes_ = 0;
};

result<void> importer::run() {
  for (const imported_topic& topic : plan_.topics)
    for (const kafka_partition& p : topic.partitions) total_bytes_ += bytes_of_segments(p.directory);
  if (!request_.is_dry_run) {
    const auto room = free_bytes(request_.data_dir);
    if (!room) return fail(room.error());
    if (*room < total_bytes_)
      return fail(errc::disk_full, "{} has room for {} bytes, but {} are to be copied", request_.data_dir,
                  *room, total_bytes_);
  }
  remove_copies();  // of an attempt that was killed
  const auto done = copy_everything();
  if (!done) remove_copies();
  return done;
}

result<void> importer::copy_everything() {
  for (imported_topic& topic : plan_.topics) {
    for (const kafka_partition& p : topic.partitions) MR_TRY(take_partition(topic, p));
    manifest_.topics.push_back(topic.created);
  }
  if (request_.is_dry_run) return {};
  MR_TRY(sync_directory(request_.data_dir));
  return write_durably(storage::layout::import_manifest(request_.data_dir), storage::encode(manifest_));
}

result<void> importer::take_partition(imported_topic& topic, const kafka_partition& from) {
  scan_request how;
  how.leave_aborted_out = !request_.keeps_aborted;
  how.on_progress = [this](uint64_t bytes) { on_progress_(done_bytes_ + bytes, total_bytes_); };
  auto scanned = scan_partition(from, how);
  if (!scanned) return fail(scanned.error());
  done_bytes_ += bytes_of_segments(from.directory);
  const std::string name = fmt::format("{}-{}", from.topic, from.partition);
  if (!scanned->open.empty()) {
    const open_transaction& first = scanned->open.front();
    if (!request_.keeps_aborted)
      return fail(errc::invalid_txn_state,
                  "{}: a transaction of producer {} is open since offset {}: let it end in Kafka first "
                  "(kafka-transactions abort), or take its records as they are with --keep-aborted",
                  name, first.producer_id, first.first_offset);
    topic.remarks.push_back(
        fmt::format("{}: an open transaction of producer {} since offset {} will never end; its "
                    "records are visible to everybody",
                    name, first.producer_id, first.first_offset));
  }
  if (scanned->torn_bytes > 0)
    topic.remarks.push_back(
        fmt::format("{}: the last {} bytes are a write that was cut short, and are left out",
                    scanned->torn_file, scanned->torn_bytes));
  topic.batches += scanned->batches;
  topic.records += scanned->records;
  topic.bytes += scanned->bytes;
  topic.aborted_transactions += scanned->aborted.size();
  topic.records_left_out += scanned->records_left_out;
  topic.torn_bytes += scanned->torn_bytes;

  scanned->described.id.topic = topic.created.id;
  scanned->described.topic_name = topic.created.name;
  manifest_.next_producer_id = std::max(manifest_.next_producer_id, scanned->producer_id_max + 1);
  manifest_.newest_epoch = std::max(manifest_.newest_epoch, scanned->epoch_max);
  if (!request_.is_dry_run) MR_TRY(put_down(topic, *scanned));
  for (storage::segment& s : scanned->described.segments) s.index.reset();
  manifest_.partitions.push_back(std::move(scanned->described));
  return {};
}

result<void> importer::put_down(const imported_topic& topic, partition_plan& scanned) {
  const storage::checkpoint_partition& d = scanned.described;
  const std::string directory =
      storage::layout::import_directory(request_.data_dir, topic.created.name, d.id.partition);
  std::error_code code;
  fs::create_directory(directory, code);
  if (code) return fail(errc::io_error, "cannot create {}: {}", directory, code.message());
  for (size_t i = 0; i < d.segments.size(); ++i) {
    const storage::segment& s = d.segments[i];
    MR_TRY(copy_durably(scanned.sources[i].path, scanned.sources[i].pieces,
                        storage::layout::log_file(directory, s.base)));
    MR_TRY(write_indexes(directory, s));
  }
  const std::string id = storage::layout::format_partition_metadata(d.id.topic);
  MR_TRY(write_durably(storage::layout::partition_metadata(directory), as_bytes(id)));
  const std::string epochs = storage::layout::format_leader_epochs(d.epochs);
  MR_TRY(write_durably(storage::layout::leader_epoch_checkpoint(directory), as_bytes(epochs)));
  return sync_directory(directory);
}

void importer::remove_copies() {
  std::error_code code;
  std::vector<fs::path> copies;
  for (const fs::directory_entry& entry : fs::directory_iterator(request_.data_dir, code))
    if (storage::layout::is_import_directory(entry.path().filename().string()))
      copies.push_back(entry.path());
  for (const fs::path& copy : copies) fs::remove_all(copy, code);
}

}  // namespace

result<import_report> plan_import(const import_request& request) {
  return planner(request).plan();
}

result<void> run_import(const import_request& request, import_report& plan,
                        const import_progress& on_progress) {
  return importer(request, plan, on_progress).run();
}

}  // namespace millrace::tools
