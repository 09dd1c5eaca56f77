#include "processors/host/snapshot.h"

#include <cstring>
#include <fmt/format.h>
#include <iterator>

#include "base/checksum.h"

namespace millrace::processors {
namespace {

constexpr char magic[8] = {'M', 'R', 'S', 'T', 'A', 'T', 'E', 1};
enum : uint32_t { kind_header = 1, kind_entries = 2, kind_end = 3 };

void put_piece(std::vector<std::byte>& to, uint32_t kind, bytes_view payload) {
  storage::field_writer w;
  w.put(static_cast<uint32_t>(payload.size()));
  w.put(kind);
  w.put(static_cast<uint64_t>(xxh3(payload, kind)));
  w.put_raw(payload);
  to.insert(to.end(), w.out().begin(), w.out().end());
}

struct piece {
  uint32_t kind = 0;
  bytes_view payload;
};

result<piece> take_piece(storage::field_reader& from) {
  const auto length = from.get<uint32_t>();
  piece p;
  p.kind = from.get<uint32_t>();
  const auto sum = from.get<uint64_t>();
  p.payload = from.get_raw(length);
  if (!from.ok() || xxh3(p.payload, p.kind) != sum)
    return fail(errc::corruption, "a piece is damaged or cut off");
  return p;
}

result<snapshot_header> parse_header(bytes_view payload) {
  storage::field_reader r(payload);
  snapshot_header h;
  h.owner.processor = r.get_uuid();
  h.owner.input = r.get_partition();
  for (uint32_t n = r.get_count(28); n > 0 && r.ok(); --n) {
    changelog_mark mark;
    mark.id = r.get_partition();
    mark.next = offset(r.get<int64_t>());
    h.changelogs.push_back(mark);
  }
  if (!r.ok() || !r.at_end()) return fail(errc::corruption, "its header does not fit");
  return h;
}

}  // namespace

snapshot_writer::snapshot_writer(const snapshot_header& header, const partition_state& from) : from_(from) {
  header_.put(header.owner.processor);
  header_.put(header.owner.input);
  header_.put(static_cast<uint32_t>(header.changelogs.size()));
  for (const changelog_mark& mark : header.changelogs) {
    header_.put(mark.id);
    header_.put(mark.next.value());
  }
}

std::optional<std::vector<std::byte>> snapshot_writer::next() {
  std::vector<std::byte> out;
  storage::field_writer w;
  switch (stage_) {
    case stage::header:
      for (const char c : magic) out.push_back(static_cast<std::byte>(c));
      put_piece(out, kind_header, header_.out());
      stage_ = stage::entries;
      return out;
    case stage::entries:
      while (store_ < from_.store_count() && w.size() < snapshot_piece_bytes) {
        const auto& entries = from_.entries_of(store_);
        auto at = has_last_key_ ? entries.upper_bound(last_key_) : entries.begin();
        if (at == entries.end()) {
          ++store_;
          has_last_key_ = false;
          continue;
        }
        for (; at != entries.end() && w.size() < snapshot_piece_bytes; ++at, ++entries_) {
          w.put(store_);
          w.put_text(at->first);
          w.put_text(at->second);
        }
        last_key_ = std::prev(at)->first;
        has_last_key_ = true;
      }
      if (store_ == from_.store_count()) stage_ = stage::end;
      put_piece(out, kind_entries, w.out());
      return out;
    case stage::end:
      w.put(entries_);
      put_piece(out, kind_end, w.out());
      stage_ = stage::done;
      return out;
    case stage::done:
      break;
  }
  return std::nullopt;
}

namespace {

// `into` may be null.
result<snapshot_header> walk_snapshot(bytes_view file, size_t stores, partition_state* into) {
  if (file.size() < sizeof(magic) || std::memcmp(file.data(), magic, sizeof(magic)) != 0)
    return fail(errc::corruption, "it does not begin as a snapshot of this version");
  storage::field_reader r(file.subspan(sizeof(magic)));
  auto first = take_piece(r);
  if (!first) return fail(first.error());
  if (first->kind != kind_header) return fail(errc::corruption, "it has no header");
  auto header = parse_header(first->payload);
  if (!header) return header;
  uint64_t entries = 0;
  for (;;) {
    const auto next = take_piece(r);
    if (!next) return fail(next.error());
    storage::field_reader fields(next->payload);
    if (next->kind == kind_end) {
      if (fields.get<uint64_t>() != entries || !fields.ok() || !r.at_end())
        return fail(errc::corruption, "its end does not fit");
      return header;
    }
    if (next->kind != kind_entries) return fail(errc::corruption, "it holds a piece of kind {}", next->kind);
    while (fields.ok() && !fields.at_end()) {
      const auto store = fields.get<uint32_t>();
      const std::string key = fields.get_text();
      const std::string value = fields.get_text();
      if (!fields.ok() || store >= stores) return fail(errc::corruption, "an entry does not fit");
      if (into && !into->restore(store, key, value))
        return fail(errc::limit_exceeded, "its entries take more memory than the processor may have");
      ++entries;
    }
  }
}

}  // namespace

result<snapshot_header> check_snapshot(bytes_view file, size_t stores) {
  return walk_snapshot(file, stores, nullptr);
}

result<snapshot_header> load_snapshot(bytes_view file, partition_state& into) {
  return walk_snapshot(file, into.store_count(), &into);
}

std::string snapshot_path(const std::string& directory, const storage::cursor_key& owner) {
  return fmt::format("{}/{}-{}-{}.state", directory, owner.processor.to_string(),
                     owner.input.topic.to_string(), owner.input.partition);
}

}  // namespace millrace::processors
