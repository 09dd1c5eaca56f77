// Any bytes as a write-ahead log file, as metadata, as a checkpoint and as meta.properties. Frames and
// checkpoints get right checksums, so that the bytes behind them are looked at. What is decoded must encode
// to the same bytes again.
//
// Input: a byte that says what it is: 0 a log told by its frames, 1 metadata entries (each a byte of kind,
// two of length, its body), 2 the format of a checkpoint and its body, 3 meta.properties, 4 a log file as it
// is on a disk, 5 a metadata.log.
//
// covers: storage/wal/frame.cc storage/wal/reader.cc storage/meta_properties.cc
// covers: storage/checkpoint.cc storage/metadata_codec.cc
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/checksum.h"
#include "runtime/sim/world.h"
#include "storage/checkpoint.h"
#include "storage/meta_properties.h"
#include "storage/metadata_codec.h"
#include "storage/wal/frame.h"
#include "storage/wal/reader.h"

namespace {

using namespace millrace;
using namespace millrace::storage;

constexpr uint64_t generation = (uint64_t{1} << 32) + 7;
constexpr size_t checkpoint_header_bytes = 24;

// Takes numbers from the front of the input; zeros when it is used up.
class input {
 public:
  explicit input(bytes_view rest) : rest_(rest) {}
  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto b = static_cast<uint8_t>(rest_[0]);
    rest_ = rest_.subspan(1);
    return b;
  }
  bytes_view take(size_t n) {
    n = std::min(n, rest_.size());
    const bytes_view taken = rest_.first(n);
    rest_ = rest_.subspan(n);
    return taken;
  }
  bytes_view rest() const { return rest_; }
  bool is_empty() const { return rest_.empty(); }

 private:
  bytes_view rest_;
};

// A file of frames: each is told by a byte of flags, a byte for its entry count, two for its length, and its
// entries.
std::vector<std::byte> make_file(input in) {
  std::vector<std::byte> file(wal::block_bytes);
  if (in.byte() != 1)
    wal::store_file_header(file.data(), {.generation = generation, .shard = 0, .wall_clock_ms = 1});
  uint64_t number = 1;
  while (!in.is_empty() && file.size() < 256 * 1024) {
    const uint8_t flags = in.byte();
    wal::frame_header h;
    h.generation = flags & 1 ? generation + 1 : generation;
    h.lsn = lsn(flags & 2 ? number + 5 : number);
    h.entries = in.byte();
    const size_t wanted = in.byte() | in.byte() << 8;
    const bytes_view entries = in.take(wanted);
    h.bytes = static_cast<uint32_t>(wal::frame_header_bytes + (flags & 4 ? wanted : entries.size()));
    std::vector<std::byte> frame(h.padded_bytes());
    wal::store_header(frame.data(), h);
    std::ranges::copy(entries, frame.begin() + wal::frame_header_bytes);
    h.checksum = wal::chain_checksum(h.generation, frame, true) + (flags & 8 ? 1 : 0);
    wal::store_header(frame.data(), h);
    file.insert(file.end(), frame.begin(), frame.end());
    if (flags & 16) file.resize(file.size() + wal::block_bytes);
    ++number;
  }
  return file;
}

void must_begin_as(const std::byte* again, bytes_view body, size_t n) {
  if (std::memcmp(again, body.data(), n) != 0) std::abort();
}

void look_at(const wal::found_frame& f) {
  wal::entry_cursor cursor(f.bytes, f.header);
  while (const auto e = cursor.next()) {
    (void)wal::decode_batch(e->body);
    std::array<std::byte, wal::cursor_body_bytes> again;
    if (const auto c = wal::decode_cursor(e->body)) {
      wal::encode_cursor(again.data(), c->key, c->next_offset);
      must_begin_as(again.data(), e->body, 36);
    }
    if (const auto l = wal::decode_log_start(e->body)) {
      wal::encode_log_start(again.data(), l->id, l->start);
      must_begin_as(again.data(), e->body, 20);
    }
    if (const auto t = wal::decode_tail(e->body)) {
      wal::encode_tail_prefix(again.data(), t->id, t->segment_base, t->position);
      must_begin_as(again.data(), e->body, 20);
    }
  }
}

runtime::task<void> put_file(std::string path, bytes_view bytes) {
  runtime::open_options options{.create = true};
  auto file = co_await runtime::file::open(path, options);
  auto written = co_await file->write(0, bytes);
  MR_ASSERT(written.has_value());
  (void)co_await file->close();
}

runtime::task<void> read_wal(bytes_view bytes) {
  co_await put_file("/wal", bytes);
  auto file = co_await runtime::file::open("/wal", {});
  wal::reader reader(*file, bytes.size());
  const auto first = co_await reader.open();
  if (first && *first) {
    for (;;) {
      const auto found = co_await reader.next();
      if (!found || !*found) break;
      look_at(**found);
    }
    const auto later = co_await reader.find_later(lsn(1));
    if (later && *later) look_at(**later);
  }
  (void)co_await file->close();
}

// The entries that rebuild a state do so, and there is no other state that they rebuild.
void must_rebuild(const metadata_state& state) {
  const std::vector<metadata_entry> entries = entries_of(state);
  metadata_state again;
  for (const metadata_entry& entry : entries) MR_ASSERT(again.apply(entry).has_value());
  const std::vector<metadata_entry> entries_again = entries_of(again);
  MR_ASSERT(entries_again.size() == entries.size());
  for (size_t i = 0; i < entries.size(); ++i)
    MR_ASSERT(encode(entries_again[i]).body == encode(entries[i]).body);
  for (const auto& [id, topic] : state.topics) MR_ASSERT(again.find(topic.name)->id == id);
}

void apply_metadata(metadata_state& state, uint8_t kind, bytes_view body) {
  const auto entry = decode_metadata(kind, body);
  if (!entry) return;
  const encoded_entry again = encode(*entry);
  const auto decoded_again = decode_metadata(again.kind, again.body);
  MR_ASSERT(again.kind == kind && decoded_again && encode(*decoded_again).body == again.body);
  (void)state.apply(*entry);
}

void read_metadata(input in) {
  metadata_state state;
  while (!in.is_empty()) {
    const uint8_t kind = in.byte();
    const size_t wanted = in.byte() | in.byte() << 8;
    apply_metadata(state, kind, in.take(wanted));
  }
  must_rebuild(state);
}

runtime::task<void> read_metadata_log(bytes_view bytes) {
  co_await put_file("/metadata.log", bytes);
  auto file = co_await runtime::file::open("/metadata.log", {});
  wal::reader reader(*file, bytes.size(), 0, 1);
  metadata_state state;
  for (;;) {
    const auto found = co_await reader.next();
    if (!found || !*found) break;
    wal::entry_cursor cursor((*found)->bytes, (*found)->header);
    while (const auto e = cursor.next()) apply_metadata(state, static_cast<uint8_t>(e->kind), e->body);
  }
  must_rebuild(state);
  (void)co_await file->close();
}

// A file as it is on a disk, whole blocks of it, with the checksums made right that mutations broke.
std::vector<std::byte> mended(bytes_view bytes) {
  std::vector<std::byte> file(align_up(std::min<size_t>(bytes.size(), 256 * 1024), wal::block_bytes));
  std::ranges::copy(bytes.first(std::min(bytes.size(), file.size())), file.begin());
  if (file.size() >= wal::block_bytes && load_le<uint64_t>(file.data()) == wal::file_magic)
    store_le<uint64_t>(file.data() + 8, xxh3(bytes_view(file).subspan(16, wal::file_header_bytes - 16)));
  for (size_t at = 0; at < file.size(); at += wal::block_bytes) {
    const auto h = wal::load_header(bytes_view(file).subspan(at));
    if (!h || h->padded_bytes() > file.size() - at) continue;
    const bytes_view frame = bytes_view(file).subspan(at, h->padded_bytes());
    store_le<uint64_t>(file.data() + at + wal::at::checksum, wal::chain_checksum(h->generation, frame, true));
  }
  return file;
}

runtime::task<void> read_checkpoint(uint8_t format, bytes_view body) {
  std::vector<std::byte> file = encode(checkpoint{});
  file.resize(checkpoint_header_bytes);
  file[7] = static_cast<std::byte>(format);
  file.insert(file.end(), body.begin(), body.end());
  store_le<uint64_t>(file.data() + 8, body.size());
  store_le<uint64_t>(file.data() + 16, xxh3(body));
  co_await put_file("/checkpoint", file);
  if (const auto c = co_await load_checkpoint("/checkpoint")) {
    const std::vector<std::byte> once = encode(*c);
    const auto again = decode_checkpoint(once, "again");
    MR_ASSERT(again.has_value() && encode(*again) == once);
  }
  (void)decode_checkpoint(body, "checkpoint");
}

void run_world(auto read, const auto& bytes) {
  runtime::sim_world world(1);
  world.run(read(bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  input in(bytes_view(reinterpret_cast<const std::byte*>(data), size));
  switch (in.byte() % 6) {
    case 0:
      run_world(read_wal, make_file(in));
      break;
    case 1:
      read_metadata(in);
      break;
    case 2: {
      runtime::sim_world world(1);
      const uint8_t format = in.byte();
      world.run(read_checkpoint(format, in.rest()));
      break;
    }
    case 3: {
      const std::string_view text(reinterpret_cast<const char*>(in.rest().data()), in.rest().size());
      if (const auto p = parse_meta_properties(text, "meta.properties")) {
        const auto again = parse_meta_properties(format_meta_properties(*p), "again");
        MR_ASSERT(again.has_value());
      }
      break;
    }
    case 4:
      run_world(read_wal, mended(in.rest()));
      break;
    default:
      run_world(read_metadata_log, mended(in.rest()));
  }
  return 0;
}
