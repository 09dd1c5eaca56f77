#include "tools/log/segment_scan.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "protocol/batch_header_check.h"
#include "protocol/record.h"

namespace millrace::tools {

namespace {

// Nothing a broker accepts inflates beyond this.
constexpr size_t inflated_bytes_max = size_t{1} << 30;
// How far one batch's offsets can lie from the one before without the file being nonsense.
constexpr int64_t offset_gap_max = int64_t{1} << 40;

}  // namespace

void segment_scan::note(severity how_bad, uint64_t position, std::string what) {
  findings_.push_back(
      {.how_bad = how_bad, .file = file_.path(), .position = position, .what = std::move(what)});
}

result<std::optional<located_batch>> segment_scan::batch_at(uint64_t position, std::string* why_not) {
  const auto prefix = file_.read(position, protocol::batch_header_bytes);
  if (!prefix) return fail(prefix.error());
  if (prefix->size() < protocol::batch_header_bytes) {
    *why_not = fmt::format("only {} bytes are left, no batch", prefix->size());
    return std::nullopt;
  }
  const protocol::batch_header header = protocol::batch_header::load(prefix->data());
  // Of the other problems parse_batch tells below, with the whole batch at hand.
  const protocol::header_problem problem = protocol::problem_of(header);
  if (problem == protocol::header_problem::format || problem == protocol::header_problem::length) {
    *why_not = protocol::parse_batch(*prefix).error().message;
    return std::nullopt;
  }
  const auto bytes = file_.read(position, header.size_bytes());
  if (!bytes) return fail(bytes.error());
  const auto parsed = protocol::parse_batch(*bytes);
  if (!parsed) {
    *why_not = parsed.error().message;
    return std::nullopt;
  }
  return located_batch{
      .position = position, .header = *parsed, .bytes = *bytes, .is_intact = protocol::has_valid_crc(*bytes)};
}

result<std::optional<located_batch>> segment_scan::next() {
  while (position_ < file_.size()) {
    std::string why_not;
    auto batch = batch_at(position_, &why_not);
    if (!batch) return batch;
    if (*batch && (*batch)->is_intact) {
      if ((*batch)->header.base_offset < next_offset_min_) {
        note(severity::corrupt, position_,
             fmt::format("batch at offset {} follows a batch that ends at {}", (*batch)->header.base_offset,
                         next_offset_min_ - 1));
      }
      next_offset_min_ = (*batch)->header.next_offset();
      position_ += (*batch)->header.size_bytes();
      return batch;
    }
    if (*batch) why_not = "the crc of a batch does not match its bytes";
    const auto later = find_later(position_ + 1);
    if (!later) return fail(later.error());
    if (!*later) {
      const auto is_blank = is_all_zero(position_);
      if (!is_blank) return fail(is_blank.error());
      note(severity::torn, position_,
           *is_blank ? fmt::format("{} bytes of zeros to the end, never written", file_.size() - position_)
                     : fmt::format("torn tail of {} bytes: {}", file_.size() - position_, why_not));
      position_ = file_.size();
      return std::nullopt;
    }
    note(severity::corrupt, position_,
         fmt::format("{}; {} bytes are unreadable, the next good batch is at {}", why_not,
                     **later - position_, **later));
    const bool is_framed = *batch && (*batch)->position + (*batch)->header.size_bytes() == **later;
    position_ = **later;
    if (is_framed) {
      next_offset_min_ = std::max(next_offset_min_, (*batch)->header.next_offset());
      return batch;
    }
  }
  return std::nullopt;
}

result<std::optional<uint64_t>> segment_scan::find_later(uint64_t from) {
  // A batch of magic 2 has that byte at a fixed place: look for the byte, then at what surrounds it.
  constexpr uint64_t step = 1 << 20;
  for (uint64_t at = from + protocol::batch_at::magic; at < file_.size(); at += step) {
    const auto piece = file_.read(at, step);
    if (!piece) return fail(piece.error());
    const std::byte* const end = piece->data() + piece->size();
    for (const std::byte* hit = piece->data(); hit < end; ++hit) {
      hit = static_cast<const std::byte*>(memchr(hit, protocol::batch_magic, static_cast<size_t>(end - hit)));
      if (hit == nullptr) break;
      const uint64_t position = at + static_cast<uint64_t>(hit - piece->data()) - protocol::batch_at::magic;
      const auto prefix = file_.read(position, protocol::batch_header_bytes);
      if (!prefix) return fail(prefix.error());
      if (prefix->size() < protocol::batch_header_bytes) continue;
      const auto header = protocol::batch_header::load(prefix->data());
      if (header.base_offset < next_offset_min_ || header.base_offset > next_offset_min_ + offset_gap_max)
        continue;
      std::string ignored;
      const auto batch = batch_at(position, &ignored);
      if (!batch) return fail(batch.error());
      if (*batch && (*batch)->is_intact) return position;
    }
  }
  return std::nullopt;
}

result<bool> segment_scan::is_all_zero(uint64_t from) {
  constexpr uint64_t step = 1 << 20;
  for (uint64_t at = from; at < file_.size(); at += step) {
    const auto piece = file_.read(at, step);
    if (!piece) return fail(piece.error());
    if (!std::ranges::all_of(piece->view(), [](std::byte b) { return b == std::byte{0}; })) return false;
    if (piece->size() < step) break;
  }
  return true;
}

result<void> check_records(const located_batch& batch) {
  const auto plain = protocol::plain_records(batch.bytes, batch.header, inflated_bytes_max);
  if (!plain) return fail(errc::corruption, "its records do not decompress: {}", plain.error().message);
  protocol::record_iterator records(*plain, batch.header.record_count);
  int64_t last_delta = -1;
  for (protocol::record_view record; records.next(record);) {
    if (record.offset_delta <= last_delta || record.offset_delta > batch.header.last_offset_delta) {
      return fail(errc::corruption, "record {} has offset delta {} after {}, in a batch that ends at {}",
                  records.index() - 1, record.offset_delta, last_delta, batch.header.last_offset_delta);
    }
    last_delta = record.offset_delta;
  }
  return records.status();
}

}  // namespace millrace::tools
