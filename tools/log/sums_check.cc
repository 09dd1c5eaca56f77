#include "tools/log/sums_check.h"

#include <filesystem>
#include <utility>

#include "base/checksum.h"
#include "storage/log/block_sums.h"
#include "tools/log/index_check.h"

namespace millrace::tools {

namespace {

// Of the largest segment there may be.
constexpr uint64_t sums_bytes_max =
    storage::sums_header_bytes + (uint64_t{1} << 31) / storage::sum_block_bytes * storage::sums_entry_bytes;

}  // namespace

result<std::vector<finding>> check_sums(file_window& segment) {
  std::vector<finding> findings;
  const std::string path = std::filesystem::path(segment.path()).replace_extension(".sums").string();
  const auto base_offset = base_offset_of(segment.path());
  std::error_code ignored;
  if (!base_offset || !std::filesystem::exists(path, ignored)) return findings;
  auto opened = file_window::open(path);
  if (!opened) return fail(opened.error());
  if (opened->size() > sums_bytes_max)
    return fail(errc::corruption, "{} is too large to be of a segment", path);
  // None yet: the segment has not filled a block.
  if (opened->size() == 0) return findings;
  auto file = opened->read(0, opened->size());
  if (!file) return fail(file.error());
  const offset base(*base_offset);
  int version = 0;
  if (!storage::is_sums_header(*file, base, &version)) {
    findings.push_back(
        {.how_bad = version > 1 ? severity::note : severity::corrupt,
         .file = path,
         .position = 0,
         .what = version > 1
                     ? fmt::format("checksums of format {}, which this version does not know", version)
                     : std::string("its header is damaged, or of another segment")});
    return findings;
  }
  for (uint64_t n = 0;; ++n) {
    const uint64_t at = storage::sums_header_bytes + n * storage::sums_entry_bytes;
    if (at >= file->size()) break;
    const bool is_whole = at + storage::sums_entry_bytes <= file->size();
    const auto entry = is_whole ? storage::decode_sums_entry(file->data() + at, base, n) : std::nullopt;
    if (!entry) {
      findings.push_back({.how_bad = is_whole ? severity::corrupt : severity::torn,
                          .file = path,
                          .position = at,
                          .what = is_whole ? "the entry is damaged" : "the last entry is not whole"});
      continue;
    }
    const uint64_t begin = n * storage::sum_block_bytes;
    auto block = segment.read(begin, entry->length);
    if (!block) return fail(block.error());
    if (block->size() == entry->length && xxh3(*block) == entry->sum) continue;
    findings.push_back(
        {.how_bad = severity::corrupt,
         .file = segment.path(),
         .position = begin,
         .what = fmt::format("the {} bytes from here are not what was written: their checksum in {} "
                             "differs",
                             entry->length, path)});
  }
  return findings;
}

}  // namespace millrace::tools
