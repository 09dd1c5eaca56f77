#include "tools/migrate/kafka_logs.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <set>

#include "storage/layout.h"
#include "tools/migrate/disk.h"

namespace millrace::tools {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view metadata_topic = "__cluster_metadata";

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

template <class T>
std::optional<T> number_of(std::string_view text) {
  T number{};
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

// The number of lines that follow, from the two first lines of Kafka's small files.
std::optional<size_t> take_count(std::string_view& text) {
  if (take_line(text) != "0") return std::nullopt;
  return number_of<size_t>(take_line(text));
}

}  // namespace

bool is_kafka_internal(std::string_view topic) {
  constexpr std::string_view names[] = {metadata_topic, "__transaction_state", "__share_group_state",
                                        "__remote_log_metadata"};
  return std::ranges::find(names, topic) != std::end(names);
}

result<offset_checkpoint> parse_offset_checkpoint(std::string_view text, const std::string& path) {
  offset_checkpoint offsets;
  if (text.empty()) return offsets;  // made, and never written to
  const auto count = take_count(text);
  if (!count) return fail(errc::corruption, "{} is no offset checkpoint of Kafka's", path);
  for (size_t n = 0; n < *count; ++n) {
    const std::string_view line = take_line(text);
    const size_t last = line.rfind(' ');
    const size_t middle = last == 0 || last == line.npos ? line.npos : line.rfind(' ', last - 1);
    if (middle == line.npos)
      return fail(errc::corruption, "{} is cut off or damaged in line {}", path, n + 3);
    const auto partition = number_of<int32_t>(line.substr(middle + 1, last - middle - 1));
    const auto at = number_of<int64_t>(line.substr(last + 1));
    if (!partition || !at) return fail(errc::corruption, "{} is damaged in line {}", path, n + 3);
    offsets[{std::string(line.substr(0, middle)), *partition}] = *at;
  }
  return offsets;
}

std::string format_offset_checkpoint(const offset_checkpoint& offsets) {
  std::string text = fmt::format("0\n{}\n", offsets.size());
  for (const auto& [key, at] : offsets) text += fmt::format("{} {} {}\n", key.first, key.second, at);
  return text;
}

result<offset_checkpoint> load_offset_checkpoint(const std::string& path) {
  const auto text = read_small_file(path);
  if (!text && text.error().code == errc::not_found) return offset_checkpoint();
  if (!text) return fail(text.error());
  return parse_offset_checkpoint(*text, path);
}

std::optional<std::vector<storage::epoch_start>> parse_leader_epochs(std::string_view text) {
  const auto count = take_count(text);
  if (!count) return std::nullopt;
  std::vector<storage::epoch_start> starts;
  for (size_t n = 0; n < *count; ++n) {
    const std::string_view line = take_line(text);
    const size_t space = line.find(' ');
    if (space == line.npos) return std::nullopt;
    const auto epoch = number_of<int32_t>(line.substr(0, space));
    const auto start = number_of<int64_t>(line.substr(space + 1));
    if (!epoch || !start || *epoch < 0 || *start < 0) return std::nullopt;
    if (!starts.empty() && (*epoch <= starts.back().epoch.value() || *start <= starts.back().start.value()))
      return std::nullopt;
    starts.push_back({leader_epoch(*epoch), offset(*start)});
  }
  return starts;
}

result<kafka_logs> find_kafka_logs(const std::vector<std::string>& log_dirs) {
  kafka_logs logs;
  std::set<std::pair<std::string, int32_t>> seen;
  for (const std::string& log_dir : log_dirs) {
    std::error_code code;
    if (!fs::is_directory(log_dir, code)) return fail(errc::not_found, "there is no directory {}", log_dir);
    if (fs::exists(fs::path(log_dir) / "metadata.log", code))
      return fail(errc::invalid_argument, "{} is a data directory of Millrace's, not of Kafka's", log_dir);
    const auto starts = load_offset_checkpoint(log_dir + "/log-start-offset-checkpoint");
    if (!starts) return fail(starts.error());
    size_t found = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(log_dir, code)) {
      const std::string name = entry.path().filename().string();
      // What Kafka is about to delete or to move does not end in a number.
      const auto named = storage::layout::parse_partition_directory(name);
      if (!named || !entry.is_directory(code)) continue;
      ++found;
      if (named->topic == metadata_topic) {
        logs.metadata_logs.push_back(entry.path().string());
        continue;
      }
      kafka_partition p{.topic = std::string(named->topic),
                        .partition = named->partition,
                        .directory = entry.path().string(),
                        .log_dir = log_dir,
                        .topic_id = std::nullopt};
      if (!seen.insert({p.topic, p.partition}).second)
        return fail(errc::invalid_argument, "{} lies in more than one of the directories", name);
      const auto id = read_small_file(storage::layout::partition_metadata(p.directory));
      if (id) p.topic_id = storage::layout::parse_partition_metadata(*id);
      if (const auto start = starts->find({p.topic, p.partition}); start != starts->end())
        p.log_start = start->second;
      logs.partitions.push_back(std::move(p));
    }
    if (code) return fail(errc::io_error, "cannot list {}: {}", log_dir, code.message());
    if (found == 0 && !fs::exists(fs::path(log_dir) / "meta.properties", code))
      return fail(errc::invalid_argument,
                  "{} is no log directory of Kafka's: it holds no meta.properties and no <topic>-<partition>",
                  log_dir);
    if (!fs::exists(fs::path(log_dir) / ".kafka_cleanshutdown", code))
      logs.unclean_log_dirs.push_back(log_dir);
  }
  std::ranges::sort(logs.partitions, {},
                    [](const kafka_partition& p) { return std::pair(p.topic, p.partition); });
  return logs;
}

}  // namespace millrace::tools
