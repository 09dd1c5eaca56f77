#include "tools/log/wal_scan.h"

#include <algorithm>

namespace millrace::tools {

namespace wal = storage::wal;

result<bool> wal_scan::open() {
  const auto block = file_.read(0, wal::block_bytes);
  if (!block) return fail(block.error());
  if (block->size() < wal::file_header_bytes) return false;
  if (const auto header = wal::load_file_header(*block)) {
    file_header_ = *header;
    return true;
  }
  const bool is_blank = std::ranges::all_of(block->view(), [](std::byte b) { return b == std::byte{0}; });
  if (!is_blank) {
    findings_.push_back(
        {.how_bad = severity::torn,
         .file = file_.path(),
         .position = 0,
         .what = "the first block does not verify: a new use of the file was not begun whole"});
  }
  return false;
}

result<std::optional<located_frame>> wal_scan::frame_at(uint64_t position) {
  const auto block = file_.read(position, wal::block_bytes);
  if (!block) return fail(block.error());
  const auto header = wal::load_header(*block);
  if (!header || header->generation != file_header_.generation) return std::nullopt;
  const auto bytes = file_.read(position, header->padded_bytes());
  if (!bytes) return fail(bytes.error());
  if (bytes->size() < header->padded_bytes() || !wal::verifies(*bytes, *header)) return std::nullopt;
  return located_frame{.position = position, .header = *header, .bytes = *bytes};
}

result<std::optional<located_frame>> wal_scan::next() {
  while (position_ < file_.size()) {
    auto frame = frame_at(position_);
    if (!frame) return frame;
    if (*frame && (last_.value() == 0 || (*frame)->header.lsn.value() > last_.value())) {
      if (last_.value() != 0 && (*frame)->header.lsn.value() != last_.value() + 1) {
        findings_.push_back(
            {.how_bad = severity::corrupt,
             .file = file_.path(),
             .position = position_,
             .what = fmt::format("frame {} follows frame {}", (*frame)->header.lsn.value(), last_.value())});
      }
      last_ = (*frame)->header.lsn;
      position_ += (*frame)->header.padded_bytes();
      return frame;
    }
    const auto later = find_later(position_ + wal::block_bytes);
    if (!later) return fail(later.error());
    if (!*later) {
      const auto block = file_.read(position_, wal::frame_header_bytes);
      if (!block) return fail(block.error());
      const auto header = wal::load_header(*block);
      if (header && header->generation == file_header_.generation && header->lsn.value() > last_.value()) {
        findings_.push_back({.how_bad = severity::torn,
                             .file = file_.path(),
                             .position = position_,
                             .what = fmt::format("frame {} was not written whole", header->lsn.value())});
      }
      return std::nullopt;
    }
    findings_.push_back({.how_bad = severity::corrupt,
                         .file = file_.path(),
                         .position = position_,
                         .what = fmt::format("no frame verifies here, but one does at {}", **later)});
    position_ = **later;
  }
  return std::nullopt;
}

result<std::optional<uint64_t>> wal_scan::find_later(uint64_t from) {
  for (uint64_t at = from; at < file_.size(); at += wal::block_bytes) {
    const auto frame = frame_at(at);
    if (!frame) return fail(frame.error());
    if (*frame && (*frame)->header.lsn.value() > last_.value()) return at;
  }
  return std::nullopt;
}

}  // namespace millrace::tools
