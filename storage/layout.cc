#include "storage/layout.h"

#include <charconv>
#include <fmt/format.h>

#include "storage/log/segment.h"

namespace millrace::storage::layout {

std::string meta_properties(const std::string& data_dir) {
  return data_dir + "/meta.properties";
}
std::string metadata_log(const std::string& data_dir) {
  return data_dir + "/metadata.log";
}
std::string wal_directory(const std::string& data_dir, uint32_t shard, lane which) {
  return fmt::format("{}/{}.{}", data_dir, which == lane::synced ? "wal" : "wal-unsynced", shard);
}
std::string checkpoint_file(const std::string& data_dir, uint32_t shard) {
  return fmt::format("{}/checkpoint.{}", data_dir, shard);
}
std::string partition_directory(const std::string& data_dir, std::string_view topic, int32_t partition) {
  return fmt::format("{}/{}-{}", data_dir, topic, partition);
}
std::string partition_metadata(const std::string& directory) {
  return directory + "/partition.metadata";
}
std::string leader_epoch_checkpoint(const std::string& directory) {
  return directory + "/leader-epoch-checkpoint";
}
std::string log_file(const std::string& directory, offset base) {
  return directory + "/" + segment_stem(base) + ".log";
}
std::string index_file(const std::string& directory, offset base) {
  return directory + "/" + segment_stem(base) + ".index";
}
std::string time_index_file(const std::string& directory, offset base) {
  return directory + "/" + segment_stem(base) + ".timeindex";
}

std::string sums_file(const std::string& directory, offset base) {
  return directory + "/" + segment_stem(base) + ".sums";
}

std::array<std::string, 4> files_of_segment(const std::string& directory, offset base) {
  return {log_file(directory, base), index_file(directory, base), time_index_file(directory, base),
          sums_file(directory, base)};
}

std::string swap_name(const std::string& path) {
  return path + std::string(swap_suffix);
}

std::optional<partition_name> parse_partition_directory(std::string_view name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == name.size()) return std::nullopt;
  partition_name parsed{name.substr(0, dash), 0};
  const char* end = name.data() + name.size();
  const auto [stop, failure] = std::from_chars(name.data() + dash + 1, end, parsed.partition);
  if (failure != std::errc() || stop != end || parsed.partition < 0) return std::nullopt;
  return parsed;
}

std::string format_partition_metadata(const uuid& topic_id) {
  return fmt::format("version: 0\ntopic_id: {}\n", topic_id.to_string());
}

std::optional<uuid> parse_partition_metadata(std::string_view text) {
  constexpr std::string_view key = "topic_id: ";
  const size_t at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view value = text.substr(at + key.size());
  value = value.substr(0, value.find('\n'));
  return uuid::parse(value);
}

std::string format_leader_epochs(const std::vector<epoch_start>& starts) {
  std::string text = fmt::format("0\n{}\n", starts.size());
  for (const epoch_start& s : starts) text += fmt::format("{} {}\n", s.epoch, s.start);
  return text;
}

}  // namespace millrace::storage::layout
