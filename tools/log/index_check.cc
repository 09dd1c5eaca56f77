#include "tools/log/index_check.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/bytes.h"

namespace millrace::tools {

namespace {

constexpr size_t offset_entry_bytes = 8;
constexpr size_t time_entry_bytes = 12;
// segment.index.bytes is at most an int; nobody's index is larger than that.
constexpr uint64_t index_bytes_max = uint64_t{1} << 31;

result<slice> read_index(const std::string& path, size_t entry_bytes, std::vector<finding>& findings) {
  auto file = file_window::open(path);
  if (!file) return fail(file.error());
  if (file->size() > index_bytes_max) return fail(errc::corruption, "{} is too large to be an index", path);
  if (const uint64_t rest = file->size() % entry_bytes; rest != 0) {
    findings.push_back({.how_bad = severity::torn,
                        .file = path,
                        .position = file->size() - rest,
                        .what = fmt::format("{} bytes after the last whole entry", rest)});
  }
  return file->read(0, file->size());
}

// A broker that is running, or was killed, keeps zeros in reserve behind an index's entries. An entry of
// zeros is a true one only as the first of the file, and then no second one follows.
bool is_reserve(bytes_view index, size_t at, size_t entry_bytes) {
  const auto is_zero = [&](size_t from) {
    return std::ranges::all_of(index.subspan(from, entry_bytes),
                               [](std::byte b) { return b == std::byte{0}; });
  };
  if (!is_zero(at)) return false;
  return at > 0 || (index.size() >= 2 * entry_bytes && is_zero(entry_bytes));
}

std::string beside(const std::string& segment_path, const char* extension) {
  return std::filesystem::path(segment_path).replace_extension(extension).string();
}

}  // namespace

std::optional<int64_t> base_offset_of(const std::string& path) {
  const std::string stem = std::filesystem::path(path).stem().string();
  int64_t base = 0;
  const auto [end, code] = std::from_chars(stem.data(), stem.data() + stem.size(), base);
  if (stem.size() != 20 || code != std::errc() || end != stem.data() + stem.size() || base < 0)
    return std::nullopt;
  return base;
}

result<std::vector<offset_entry>> load_offset_index(const std::string& path, int64_t base,
                                                    std::vector<finding>& findings) {
  const auto bytes = read_index(path, offset_entry_bytes, findings);
  if (!bytes) return fail(bytes.error());
  std::vector<offset_entry> entries;
  for (size_t at = 0; at + offset_entry_bytes <= bytes->size(); at += offset_entry_bytes) {
    if (is_reserve(bytes->view(), at, offset_entry_bytes)) break;
    const offset_entry entry{.offset = base + load_be<uint32_t>(bytes->data() + at),
                             .position = load_be<uint32_t>(bytes->data() + at + 4)};
    if (!entries.empty() &&
        (entry.offset <= entries.back().offset || entry.position <= entries.back().position)) {
      findings.push_back(
          {.how_bad = severity::corrupt,
           .file = path,
           .position = at,
           .what = fmt::format("entry for offset {} at {} does not lie behind the one before it",
                               entry.offset, entry.position)});
      break;
    }
    entries.push_back(entry);
  }
  return entries;
}

result<std::vector<time_entry>> load_time_index(const std::string& path, int64_t base,
                                                std::vector<finding>& findings) {
  const auto bytes = read_index(path, time_entry_bytes, findings);
  if (!bytes) return fail(bytes.error());
  std::vector<time_entry> entries;
  for (size_t at = 0; at + time_entry_bytes <= bytes->size(); at += time_entry_bytes) {
    if (is_reserve(bytes->view(), at, time_entry_bytes)) break;
    const time_entry entry{.timestamp_ms = load_be<int64_t>(bytes->data() + at),
                           .offset = base + load_be<uint32_t>(bytes->data() + at + 8)};
    if (!entries.empty() &&
        (entry.timestamp_ms <= entries.back().timestamp_ms || entry.offset < entries.back().offset)) {
      findings.push_back(
          {.how_bad = severity::corrupt,
           .file = path,
           .position = at,
           .what = fmt::format("entry for time {} and offset {} does not lie behind the one before it",
                               entry.timestamp_ms, entry.offset)});
      break;
    }
    entries.push_back(entry);
  }
  return entries;
}

result<index_check> index_check::open(const std::string& segment_path) {
  index_check check;
  const auto base = base_offset_of(segment_path);
  if (!base) return check;
  check.offset_path_ = beside(segment_path, ".index");
  check.time_path_ = beside(segment_path, ".timeindex");
  std::error_code ignored;
  if (std::filesystem::exists(check.offset_path_, ignored)) {
    auto entries = load_offset_index(check.offset_path_, *base, check.findings_);
    if (!entries) return fail(entries.error());
    check.offsets_ = *std::move(entries);
  }
  if (std::filesystem::exists(check.time_path_, ignored)) {
    auto entries = load_time_index(check.time_path_, *base, check.findings_);
    if (!entries) return fail(entries.error());
    check.times_ = *std::move(entries);
    // A roll in an empty segment leaves one entry of time -1 or 0; it says nothing about any batch.
    if (check.times_.size() == 1 && check.times_[0].timestamp_ms <= 0) check.times_.clear();
  }
  return check;
}

void index_check::on_batch(const located_batch& batch) {
  const int64_t last = batch.header.last_offset();
  for (; next_offset_entry_ < offsets_.size() && offsets_[next_offset_entry_].position <= batch.position;
       ++next_offset_entry_) {
    const offset_entry& entry = offsets_[next_offset_entry_];
    if (entry.position == batch.position && entry.offset == last) continue;
    findings_.push_back(
        {.how_bad = severity::corrupt,
         .file = offset_path_,
         .position = next_offset_entry_ * offset_entry_bytes,
         .what = fmt::format("entry for offset {} points at {}, but {}", entry.offset, entry.position,
                             entry.position == batch.position
                                 ? fmt::format("the batch there ends at offset {}", last)
                                 : "no batch begins there")});
  }
  for (; next_time_entry_ < times_.size() && times_[next_time_entry_].offset <= last; ++next_time_entry_) {
    const time_entry& entry = times_[next_time_entry_];
    if (entry.offset == last && entry.timestamp_ms == batch.header.max_timestamp) continue;
    findings_.push_back(
        {.how_bad = severity::corrupt,
         .file = time_path_,
         .position = next_time_entry_ * time_entry_bytes,
         .what = fmt::format("entry for time {} names offset {}, but {}", entry.timestamp_ms, entry.offset,
                             entry.offset == last ? fmt::format("the largest time in that batch is {}",
                                                                batch.header.max_timestamp)
                                                  : "no batch ends there")});
  }
}

std::vector<finding> index_check::finish(bool is_segment_torn) && {
  const severity how_bad = is_segment_torn ? severity::torn : severity::corrupt;
  if (next_offset_entry_ < offsets_.size()) {
    findings_.push_back({.how_bad = how_bad,
                         .file = offset_path_,
                         .position = next_offset_entry_ * offset_entry_bytes,
                         .what = fmt::format("{} entries point behind the last batch",
                                             offsets_.size() - next_offset_entry_)});
  }
  if (next_time_entry_ < times_.size()) {
    findings_.push_back({.how_bad = how_bad,
                         .file = time_path_,
                         .position = next_time_entry_ * time_entry_bytes,
                         .what = fmt::format("{} entries name offsets behind the last batch",
                                             times_.size() - next_time_entry_)});
  }
  return std::move(findings_);
}

}  // namespace millrace::tools
