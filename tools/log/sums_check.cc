#include "tools/log/sums_check.h"

#include <filesystem>
#include <utility>

#include "base/checksum.h"
#include "storage/log/block_sums.h"
#include "tools/log/index_check.h"

namespace millrace::tools {

namespace {

// Of the largest segment with the smallest batches.
constexpr uint64_t sums_bytes_max = uint64_t{512} << 20;
constexpr uint64_t marked_bytes = 16;

// Whether each batch's offset, length and epoch are those that it was written with.
result<void> check_marks(file_window& segment, const std::string& path, bytes_view sums, offset base,
                         std::vector<finding>& findings) {
  const auto marks = storage::decode_batch_marks(sums, base, segment.size());
  if (!marks) {
    findings.push_back({.how_bad = severity::corrupt,
                        .file = path,
                        .position = 0,
                        .what = "the marks of its batches are damaged"});
    return {};
  }
  for (const storage::batch_mark& mark : *marks) {
    const auto head = segment.read(mark.position, marked_bytes);
    if (!head) return fail(head.error());
    if (head->size() == marked_bytes &&
        storage::check_of_batch(head->data(), base, mark.position) == mark.check)
      continue;
    findings.push_back({.how_bad = severity::corrupt,
                        .file = segment.path(),
                        .position = mark.position,
                        .what = "offset, length or epoch of the batch are not what was written"});
  }
  return {};
}

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
    const bool is_newer = version > storage::sums_version_with_marks;
    findings.push_back(
        {.how_bad = is_newer ? severity::note : severity::corrupt,
         .file = path,
         .position = 0,
         .what = is_newer ? fmt::format("checksums of format {}, which this version does not know", version)
                          : std::string("its header is damaged, or of another segment")});
    return findings;
  }
  const bool has_marks = version == storage::sums_version_with_marks;
  if (has_marks) MR_TRY(check_marks(segment, path, *file, base, findings));
  const uint64_t blocks = (segment.size() + storage::sum_block_bytes - 1) / storage::sum_block_bytes;
  for (uint64_t n = 0; !has_marks || n < blocks; ++n) {
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
