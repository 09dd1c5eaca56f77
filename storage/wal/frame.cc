#include "storage/wal/frame.h"

#include <cstring>

namespace millrace::storage::wal {

namespace {

uuid load_uuid(const std::byte* from) noexcept {
  uuid id;
  std::memcpy(id.bytes.data(), from, id.bytes.size());
  return id;
}

topic_partition_id load_partition(const std::byte* from) noexcept {
  return {load_uuid(from), load_le<int32_t>(from + 16)};
}

}  // namespace

void store_file_header(std::byte* to, const file_header& h) noexcept {
  std::memset(to, 0, block_bytes);
  store_le<uint64_t>(to, file_magic);
  store_le<uint64_t>(to + 16, h.generation);
  store_le<uint32_t>(to + 24, h.shard);
  store_le<int64_t>(to + 32, h.wall_clock_ms);
  store_le<uint64_t>(to + 8, xxh3({to + 16, file_header_bytes - 16}));
}

std::optional<file_header> load_file_header(bytes_view from) noexcept {
  if (from.size() < file_header_bytes || load_le<uint64_t>(from.data()) != file_magic) return std::nullopt;
  if (load_le<uint64_t>(from.data() + 8) != xxh3(from.subspan(16, file_header_bytes - 16)))
    return std::nullopt;
  file_header h;
  h.generation = load_le<uint64_t>(from.data() + 16);
  h.shard = load_le<uint32_t>(from.data() + 24);
  h.wall_clock_ms = load_le<int64_t>(from.data() + 32);
  return h;
}

std::optional<entry> entry_cursor::next() noexcept {
  while (left_ > 0 && !is_malformed_) {
    position_ = align_up(position_, entry_alignment);
    if (position_ + entry_header_bytes > frame_.size()) break;
    const std::byte* header = frame_.data() + position_;
    entry e;
    e.kind = static_cast<entry_kind>(load_le<uint8_t>(header));
    e.flags = load_le<uint8_t>(header + 1);
    const size_t body_bytes = load_le<uint32_t>(header + 4);
    position_ += entry_header_bytes;
    if (body_bytes > frame_.size() - position_) break;
    e.body = frame_.subspan(position_, body_bytes);
    position_ += body_bytes;
    --left_;
    if (e.kind != entry_kind::skip) return e;
  }
  if (left_ > 0) is_malformed_ = true;
  return std::nullopt;
}

std::optional<batch_entry> decode_batch(bytes_view body) noexcept {
  if (body.size() < batch_prefix_bytes) return std::nullopt;
  return batch_entry{load_partition(body.data()), body.subspan(batch_prefix_bytes)};
}

std::optional<cursor_entry> decode_cursor(bytes_view body) noexcept {
  if (body.size() != cursor_body_bytes) return std::nullopt;
  return cursor_entry{{load_uuid(body.data()), load_partition(body.data() + 16)},
                      load_le<int64_t>(body.data() + 40)};
}

std::optional<log_start_entry> decode_log_start(bytes_view body) noexcept {
  if (body.size() != log_start_body_bytes) return std::nullopt;
  return log_start_entry{load_partition(body.data()), offset(load_le<int64_t>(body.data() + 24))};
}

std::optional<tail_entry> decode_tail(bytes_view body) noexcept {
  if (body.size() < tail_prefix_bytes) return std::nullopt;
  return tail_entry{load_partition(body.data()), offset(load_le<int64_t>(body.data() + 24)),
                    load_le<uint64_t>(body.data() + 32), body.subspan(tail_prefix_bytes)};
}

void encode_partition(std::byte* to, const topic_partition_id& id) noexcept {
  std::memcpy(to, id.topic.bytes.data(), id.topic.bytes.size());
  store_le<int32_t>(to + 16, id.partition);
  store_le<uint32_t>(to + 20, 0);
}

void encode_cursor(std::byte* to, const cursor_key& key, int64_t next_offset) noexcept {
  std::memcpy(to, key.processor.bytes.data(), key.processor.bytes.size());
  encode_partition(to + 16, key.input);
  store_le<int64_t>(to + 40, next_offset);
}

void encode_log_start(std::byte* to, const topic_partition_id& id, offset start) noexcept {
  encode_partition(to, id);
  store_le<int64_t>(to + 24, start.value());
}

void encode_tail_prefix(std::byte* to, const topic_partition_id& id, offset segment_base,
                        uint64_t position) noexcept {
  encode_partition(to, id);
  store_le<int64_t>(to + 24, segment_base.value());
  store_le<uint64_t>(to + 32, position);
}

}  // namespace millrace::storage::wal
