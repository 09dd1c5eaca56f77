#include "storage/log/segment_scan.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checksum.h"
#include "base/limits.h"
#include "protocol/batch_header_check.h"
#include "protocol/record_batch.h"
#include "runtime/fs.h"
#include "storage/fault.h"

namespace millrace::storage {

namespace {

using protocol::batch_header;
using protocol::batch_header_bytes;

// Beyond what the caller asks: the distance between index entries, so that one read is most often enough.
constexpr uint64_t read_slack_bytes = 16 * limits::KiB;
constexpr uint64_t walk_window_bytes = 256 * limits::KiB;
constexpr size_t magic_at = 16;
// Of the smallest batches in the largest segment.
constexpr uint64_t marks_bytes_max = 512 * limits::MiB;

bool is_batch(const batch_header& h) {
  return protocol::problem_of(h) == protocol::header_problem::none;
}

// Whether a batch at `base` can follow what ends before `expected`.
bool goes_on(const segment_view& view, int64_t base, int64_t expected) {
  return view.may_have_gaps ? base >= expected : base == expected;
}

// Where there are gaps the batch before it does not tell a batch's offset, but its mark does.
bool has_its_mark(const segment_view& view, bytes_view batch, uint64_t position) {
  if (!view.sums || !view.sums->marks) return true;
  const std::vector<batch_mark>& marks = *view.sums->marks;
  const auto mark = std::ranges::lower_bound(marks, position, {}, &batch_mark::position);
  return mark != marks.end() && mark->position == position &&
         mark->check == check_of_batch(batch.data(), view.base, mark->position);
}

task<result<void>> load_marks(const segment_view& view) {
  if (!view.may_have_gaps || !view.sums || view.sums->are_marks_loaded) co_return {};
  const std::string path = view.path.substr(0, view.path.rfind('.')) + ".sums";
  auto file = co_await runtime::fs::read_file(path, marks_bytes_max);
  if (!file && file.error().code != errc::not_found) co_return fail(file.error());
  if (file) view.sums->marks = decode_batch_marks(*file, view.base, view.written);
  view.sums->are_marks_loaded = true;
  co_return {};
}

// Whether nothing of the batch at `position` can have changed: all that its CRC does not cover is compared
// with what is known.
bool is_intact(const segment_view& view, uint64_t position, bytes_view batch, const batch_header& h,
               offset expected) {
  if (!has_its_mark(view, batch, position)) return false;
  if (expected != no_offset && !goes_on(view, h.base_offset, expected.value())) return false;
  if (h.last_offset() >= view.end.value() && view.end.value() > 0) return false;
  if (!view.epochs.empty()) {
    leader_epoch epoch(-1);
    for (const epoch_start& e : view.epochs)
      if (e.start.value() <= h.base_offset) epoch = e.epoch;
    if (epoch.value() >= 0 && h.leader_epoch != epoch.value()) return false;
  }
  return protocol::has_valid_crc(batch);
}

// Where in `bytes`, which lie at `position`, from `begin` on, a batch is that can only be one of ours; size()
// if there is none. The last 60 bytes are not looked at.
uint64_t next_intact(const segment_view& view, uint64_t position, bytes_view bytes, uint64_t begin,
                     offset at_least) {
  for (uint64_t p = begin; p + batch_header_bytes <= bytes.size(); ++p) {
    if (bytes[p + magic_at] != static_cast<std::byte>(protocol::batch_magic)) continue;
    const batch_header h = batch_header::load(bytes.data() + p);
    if (!is_batch(h) || h.base_offset < at_least.value() || h.size_bytes() > bytes.size() - p) continue;
    if (!is_intact(view, position + p, bytes.subspan(p, h.size_bytes()), h, no_offset)) continue;
    // A record may hold whole batches: those do not go on as the log does.
    const uint64_t after = p + h.size_bytes();
    if (after + batch_header_bytes <= bytes.size()) {
      const batch_header following = batch_header::load(bytes.data() + after);
      if (!is_batch(following) || !goes_on(view, following.base_offset, h.next_offset())) continue;
    }
    return p;
  }
  return bytes.size();
}

// Where to look on when nothing of the segment lies at `from` or behind.
offset end_of(const segment_view& view, offset from) {
  return view.may_have_gaps ? std::max(view.end, from) : from;
}

std::unexpected<error> damaged(const segment_view& view, uint64_t position, offset from) {
  return fail(errc::corruption, "{} is damaged at byte {}: the record at offset {} is not what was written",
              view.path, position, from);
}

std::unexpected<error> not_a_batch(const segment_view& view, uint64_t position) {
  return fail(errc::corruption, "{} holds no record batch at {}", view.path, position);
}

}  // namespace

task<result<slice>> read_view(const segment_view& view, uint64_t at, uint64_t bytes) {
  const uint64_t size = view.size_bytes();
  if (at >= size) co_return slice();
  bytes = std::min(bytes, size - at);
  if (at >= view.written) co_return view.tail.sub(at - view.written, bytes);
  buffer memory = buffer::allocate(bytes);
  const uint64_t from_file = std::min(bytes, view.written - at);
  const mutable_bytes into(memory.data(), from_file);
  auto got = co_await view.file->read(at, into);
  if (!got) co_return fail(got.error());
  if (*got != from_file)
    co_return fail(errc::corruption, "{} ends at {} where {} bytes were written", view.path, at + *got,
                   view.written);
  if (bytes > from_file) std::memcpy(memory.data() + from_file, view.tail.data(), bytes - from_file);
  co_return slice(std::move(memory), 0, bytes);
}

task<result<checked_bytes>> read_checked(const segment_view& view, uint64_t at, uint64_t bytes) {
  const uint64_t end = std::min(view.size_bytes(), at + bytes);
  if (!view.sums || at >= end || MILLRACE_FAULT(sums_not_compared)) {
    auto plain = co_await read_view(view, at, bytes);
    if (!plain) co_return fail(plain.error());
    co_return checked_bytes{std::move(*plain), !view.sums && !MILLRACE_FAULT(sums_not_compared)};
  }
  block_sums& sums = *view.sums;
  const uint64_t end_of_blocks = std::min(end, view.summed);
  const uint64_t first = at / sum_block_bytes;
  uint64_t low = at;
  uint64_t high = end;
  for (uint64_t n = first; n * sum_block_bytes < end_of_blocks; ++n) {
    if (sums.state(n) != block_state::unread) continue;
    low = std::min(low, n * sum_block_bytes);
    high = std::max(high, n * sum_block_bytes + sums.entry(n).length);
  }
  // The tail is made of what was read together with the rest, if it was not just appended.
  const bool has_rest = view.summed < view.rest_end;
  const bool compares_rest = end > view.summed && has_rest && sums.rest_compared_to < view.rest_end;
  if (compares_rest) {
    low = std::min(low, view.summed);
    high = std::max(high, view.rest_end);
  }
  auto got = co_await read_view(view, low, high - low);
  if (!got) co_return fail(got.error());
  const bytes_view all = *got;
  checked_bytes checked;
  checked.is_suspect = end > view.summed && !has_rest && view.rest_sum != 0;
  for (uint64_t n = first; n * sum_block_bytes < end_of_blocks; ++n) {
    const uint64_t begin = n * sum_block_bytes;
    const uint64_t length = sums.entry(n).length;
    // What another reader has compared meanwhile need not be in the window.
    if (begin >= low && begin - low + length <= all.size() &&
        sums.compare(n, all.subspan(begin - low, length)) && view.listener)
      view.listener->block_damaged(view, begin, length);
    if (sums.state(n) != block_state::intact) checked.is_suspect = true;
  }
  if (compares_rest) {
    const uint64_t length = view.rest_end - view.summed;
    if (xxh3(all.subspan(view.summed - low, length)) == view.rest_sum) {
      sums.rest_compared_to = std::max(sums.rest_compared_to, view.rest_end);
    } else {
      checked.is_suspect = true;
      if (view.listener) view.listener->block_damaged(view, view.summed, length);
    }
  }
  checked.bytes = got->sub(at - low, end - at);
  co_return checked;
}

// Judges each batch by itself.
task<result<found_batches>> read_suspect(const segment_view& view, uint64_t position, batch_range range) {
  auto marked = co_await load_marks(view);
  if (!marked) co_return fail(marked.error());
  offset expected = position == 0 ? view.base : no_offset;
  offset first_ends_at = range.first_ends_at.value_or(no_offset);
  uint64_t wanted = std::max(range.bytes_max + read_slack_bytes, walk_window_bytes);
  found_batches found;
  found.next = range.from;
  while (position < view.size_bytes()) {
    auto window = co_await read_view(view, position, wanted);
    if (!window) co_return fail(window.error());
    const bytes_view bytes = *window;
    const bool is_last = position + bytes.size() >= view.size_bytes();
    uint64_t at = 0;
    uint64_t begin = 0;  // of what is found
    bool is_cut = false;
    while (at + batch_header_bytes <= bytes.size()) {
      const batch_header h = batch_header::load(bytes.data() + at);
      const bool is_sane = is_batch(h) && h.size_bytes() <= limits::batch_bytes_max &&
                           (first_ends_at == no_offset || h.last_offset() == first_ends_at.value());
      if (is_sane && h.size_bytes() > bytes.size() - at && !is_last) {
        is_cut = true;
        break;
      }
      if (is_sane && h.size_bytes() <= bytes.size() - at &&
          is_intact(view, position + at, bytes.subspan(at, h.size_bytes()), h, expected)) {
        const uint64_t after = at + h.size_bytes();
        first_ends_at = no_offset;
        expected = offset(h.next_offset());
        if (h.last_offset() >= range.from.value()) {
          if (h.last_offset() >= range.below.value()) break;
          const bool is_first = found.bytes.empty();
          if (is_first) begin = at;
          if (after - begin > range.bytes_max && !(is_first && range.at_least_one)) break;
          found.bytes = window->sub(begin, after - begin);
          found.next = expected;
        }
        at = after;
        continue;
      }
      // Damage, up to the next batch that is as it was.
      if (!found.bytes.empty()) co_return found;
      const offset bad_from = expected != no_offset        ? expected
                              : first_ends_at != no_offset ? first_ends_at
                                                           : view.base;
      const uint64_t next = next_intact(view, position, bytes, at + 1, bad_from);
      const bool is_found = next < bytes.size();
      const offset bad_below =
          is_found ? offset(batch_header::load(bytes.data() + next).base_offset) : view.end;
      if (view.listener && (is_found || is_last))
        view.listener->records_damaged(view, position + at, next - at, bad_from, bad_below);
      if (is_found && bad_below <= range.from) {
        at = next;
        expected = bad_below;
        first_ends_at = no_offset;
        continue;
      }
      if (is_found || is_last) co_return damaged(view, position + at, range.from);
      // No batch in the whole window: on behind it.
      at = bytes.size() - batch_header_bytes + 1;
      expected = no_offset;
      first_ends_at = no_offset;
      is_cut = true;
      break;
    }
    if (!found.bytes.empty()) co_return found;
    if (!is_cut && at + batch_header_bytes <= bytes.size()) co_return found;  // refused by the range
    if (is_last) break;
    if (at == 0) {
      wanted = std::max(2 * wanted, batch_header::load(bytes.data()).size_bytes());
    } else {
      wanted = std::max(range.bytes_max + read_slack_bytes, walk_window_bytes);
    }
    position += at;
  }
  found.next = end_of(view, range.from);
  co_return found;
}

task<result<found_batches>> read_batches(const segment_view& view, uint64_t position, batch_range range) {
  uint64_t wanted = range.bytes_max + read_slack_bytes;
  uint64_t first_position = position;
  for (;;) {
    auto checked = co_await read_checked(view, position, wanted);
    if (!checked) co_return fail(checked.error());
    if (checked->is_suspect) co_return co_await read_suspect(view, first_position, range);
    const slice* window = &checked->bytes;
    const bytes_view bytes = *window;
    if (position == first_position && range.first_ends_at) {
      // The index may be damaged, too: then it is not asked.
      const bool is_there = bytes.size() >= batch_header_bytes;
      const batch_header h = is_there ? batch_header::load(bytes.data()) : batch_header{};
      if (!is_there || !is_batch(h) || h.last_offset() != range.first_ends_at->value()) {
        range.first_ends_at.reset();
        first_position = position = 0;
        continue;
      }
    }
    // Skip to the batch that holds `from`.
    uint64_t begin = 0;
    while (begin + batch_header_bytes <= bytes.size()) {
      const batch_header h = batch_header::load(bytes.data() + begin);
      if (!is_batch(h)) co_return not_a_batch(view, position + begin);
      if (h.last_offset() >= range.from.value()) break;
      begin += h.size_bytes();
    }
    // Take whole batches.
    uint64_t end = begin;
    found_batches found;
    found.next = range.from;
    while (end + batch_header_bytes <= bytes.size()) {
      const batch_header h = batch_header::load(bytes.data() + end);
      if (!is_batch(h)) co_return not_a_batch(view, position + end);
      const uint64_t after = end + h.size_bytes();
      const bool is_first = end == begin;
      if (h.last_offset() >= range.below.value() || after > bytes.size()) break;
      if (after - begin > range.bytes_max && !(is_first && range.at_least_one)) break;
      found.next = offset(h.next_offset());
      end = after;
    }
    if (end > begin) {
      found.bytes = window->sub(begin, end - begin);
      co_return found;
    }
    const bool at_end = position + bytes.size() >= view.size_bytes();
    if (begin + batch_header_bytes <= bytes.size()) {
      // The batch is here in part, or is refused by the bounds.
      const batch_header h = batch_header::load(bytes.data() + begin);
      const uint64_t size = h.size_bytes();
      if (h.last_offset() >= range.below.value()) co_return found;
      if (size > range.bytes_max && !range.at_least_one) co_return found;
      if (at_end && begin + size > bytes.size()) co_return not_a_batch(view, position + begin);
      position += begin;
      wanted = std::max<uint64_t>(size, range.bytes_max);
    } else {
      if (at_end || bytes.empty()) {
        found.next = end_of(view, range.from);
        co_return found;
      }
      position += begin;
      wanted = range.bytes_max + read_slack_bytes;
    }
  }
}

task<result<void>> walk_headers(const segment_view& view, uint64_t position,
                                const std::function<bool(uint64_t, bytes_view)>& visit) {
  slice window;
  uint64_t window_at = 0;
  while (position + batch_header_bytes <= view.size_bytes()) {
    if (window.empty() || position < window_at || position + batch_header_bytes > window_at + window.size()) {
      auto read = co_await read_view(view, position, walk_window_bytes);
      if (!read) co_return fail(read.error());
      window = std::move(*read);
      window_at = position;
    }
    const bytes_view here = window.view().subspan(position - window_at);
    const batch_header h = batch_header::load(here.data());
    if (!is_batch(h)) co_return not_a_batch(view, position);
    if (!visit(position, here)) co_return {};
    position += h.size_bytes();
  }
  co_return {};
}

}  // namespace millrace::storage
