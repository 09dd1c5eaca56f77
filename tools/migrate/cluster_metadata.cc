#include "tools/migrate/cluster_metadata.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "base/limits.h"
#include "base/varint.h"
#include "protocol/reader.h"
#include "protocol/record.h"
#include "tools/log/file_window.h"
#include "tools/log/segment_scan.h"

namespace millrace::tools {

namespace {

namespace fs = std::filesystem;

constexpr uint32_t topic_record = 2;
constexpr uint32_t partition_record = 3;
constexpr uint32_t config_record = 4;
constexpr uint32_t remove_topic_record = 9;
constexpr int8_t topic_resource = 2;

class fold {
 public:
  // Applies every record of the file from `from` on.
  result<void> apply_file(const std::string& path, int64_t from);
  kafka_topics finish() &&;

 private:
  result<void> apply(bytes_view value, const slice& owner);

  std::map<uuid, kafka_topic> topics_;
  std::map<std::string, storage::config_map, std::less<>> configs_;
};

result<void> fold::apply_file(const std::string& path, int64_t from) {
  auto window = file_window::open(path);
  if (!window) return fail(window.error());
  segment_scan scan(*window);
  for (;;) {
    const auto batch = scan.next();
    if (!batch) return fail(batch.error());
    if (!*batch) break;
    const protocol::batch_header& h = (*batch)->header;
    if (h.is_control() || h.last_offset() < from) continue;
    const auto plain = protocol::plain_records((*batch)->bytes, h, limits::batch_bytes_max * 8);
    if (!plain) return fail(plain.error());
    protocol::record_iterator records(*plain, h.record_count);
    for (protocol::record_view record; records.next(record);) {
      if (!record.value || h.base_offset + record.offset_delta < from) continue;
      MR_TRY(apply(*record.value, *plain));
    }
    MR_TRY(records.status());
  }
  for (const finding& f : scan.findings())
    if (f.how_bad == severity::corrupt)
      return fail(errc::corruption, "{} is damaged at byte {}: {}", f.file, f.position, f.what);
  return {};
}

result<void> fold::apply(bytes_view value, const slice& owner) {
  const auto frame = get_uvarint32(value);
  const auto type = get_uvarint32(value);
  const auto version = get_uvarint32(value);
  if (!frame || !type || !version) return fail(errc::corruption, "a metadata record is cut off");
  protocol::reader in(owner.sub(value));
  in.set_flexible(true);
  uuid id;
  switch (*type) {
    case topic_record: {
      std::string name;
      in.get(name, "name");
      in.get(id, "topic id");
      topics_[id].id = id;
      topics_[id].name = std::move(name);
      break;
    }
    case partition_record: {
      int32_t partition = 0;
      in.get(partition, "partition id");
      in.get(id, "topic id");
      const auto found = topics_.find(id);
      if (found != topics_.end() && partition >= 0 && partition < limits::partitions_per_topic_max)
        found->second.partitions = std::max(found->second.partitions, partition + 1);
      break;
    }
    case config_record: {
      int8_t resource = 0;
      std::string name, key;
      std::optional<std::string> set_to;
      in.get(resource, "resource type");
      in.get(name, "resource name");
      in.get(key, "name");
      in.get(set_to, "value");
      if (resource != topic_resource) break;
      if (set_to) {
        configs_[name][key] = *std::move(set_to);
      } else {
        configs_[name].erase(key);
      }
      break;
    }
    case remove_topic_record: {
      in.get(id, "topic id");
      if (const auto found = topics_.find(id); found != topics_.end()) {
        configs_.erase(found->second.name);
        topics_.erase(found);
      }
      break;
    }
    default:
      break;
  }
  return in.status("metadata record", static_cast<int16_t>(*version));
}

kafka_topics fold::finish() && {
  kafka_topics by_name;
  for (auto& [id, topic] : topics_) {
    if (const auto found = configs_.find(topic.name); found != configs_.end())
      topic.config = std::move(found->second);
    by_name.insert_or_assign(topic.name, std::move(topic));
  }
  return by_name;
}

std::optional<int64_t> leading_number(const std::string& name) {
  int64_t number = 0;
  const auto [stop, code] =
      std::from_chars(name.data(), name.data() + std::min<size_t>(20, name.size()), number);
  if (name.size() < 20 || code != std::errc() || stop != name.data() + 20) return std::nullopt;
  return number;
}

}  // namespace

result<kafka_topics> read_cluster_metadata(const std::string& directory) {
  std::vector<std::string> snapshots, segments;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, code)) {
    if (!leading_number(entry.path().filename().string())) continue;
    if (entry.path().extension() == ".checkpoint") snapshots.push_back(entry.path().string());
    if (entry.path().extension() == ".log") segments.push_back(entry.path().string());
  }
  if (snapshots.empty() && segments.empty())
    return fail(errc::not_found, "{} holds neither a snapshot nor a segment", directory);
  std::ranges::sort(snapshots);
  std::ranges::sort(segments);
  fold topics;
  int64_t from = 0;
  if (!snapshots.empty()) {
    MR_TRY(topics.apply_file(snapshots.back(), 0));
    from = *leading_number(fs::path(snapshots.back()).filename().string());
  }
  for (const std::string& segment : segments) MR_TRY(topics.apply_file(segment, from));
  return std::move(topics).finish();
}

}  // namespace millrace::tools
