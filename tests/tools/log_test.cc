#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/prng.h"
#include "protocol/batch_builder.h"
#include "storage/log/block_sums.h"
#include "tests/temporary_directory.h"
#include "tools/log/index_check.h"
#include "tools/log/paths.h"
#include "tools/log/segment_scan.h"
#include "tools/log/verify.h"
#include "tools/log/wal_scan.h"

namespace millrace::tools {
namespace {

namespace fs = std::filesystem;
namespace wal = storage::wal;

struct scratch_directory : temporary_directory {
  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(*this / name, std::ios::binary) << bytes;
    return *this / name;
  }
};

constexpr const char* segment_name = "00000000000000000100.log";

struct built_segment {
  std::string bytes;
  std::vector<size_t> starts;  // of each batch, and the end of the file
};

// `count` batches from offset 100 on, of 1 to 4 records each, in varying codecs.
built_segment build_segment(int count) {
  built_segment segment;
  int64_t next_offset = 100;
  for (int i = 0; i < count; ++i) {
    protocol::batch_builder builder;
    for (int r = 0; r <= i % 4; ++r)
      builder.add(1000 + i, as_bytes("key"), as_bytes(std::string(50 + r, 'v')));
    const slice batch = builder.build({.compression = static_cast<protocol::codec>(i % protocol::codec_count),
                                       .base_offset = next_offset,
                                       .leader_epoch = 0});
    next_offset += i % 4 + 1;
    segment.starts.push_back(segment.bytes.size());
    segment.bytes += as_text(batch);
  }
  segment.starts.push_back(segment.bytes.size());
  return segment;
}

file_report verify(const std::string& path, log_file_kind kind = log_file_kind::segment) {
  const auto report = verify_file({.path = path, .kind = kind}, {.is_deep = true, .on_progress = {}});
  EXPECT_TRUE(report) << to_string(report.error());
  return report.value_or(file_report{});
}

TEST(log_verify, a_sound_segment_has_no_findings) {
  const scratch_directory directory;
  const file_report report = verify(directory.write(segment_name, build_segment(20).bytes));
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.batches, 20u);
  EXPECT_EQ(report.records, 50u);
  EXPECT_EQ(report.first, 100);
  EXPECT_EQ(report.last, 149);
}

TEST(log_verify, a_segment_cut_off_anywhere_is_torn_or_sound_but_never_corrupt) {
  const scratch_directory directory;
  const built_segment segment = build_segment(6);
  for (size_t size = 0; size <= segment.bytes.size(); ++size) {
    const file_report report =
        verify(directory.write(segment_name, std::string_view(segment.bytes).substr(0, size)));
    const bool is_between = std::ranges::find(segment.starts, size) != segment.starts.end();
    ASSERT_EQ(report.worst(), is_between ? severity::note : severity::torn) << size;
  }
}

TEST(log_verify, zeros_behind_the_last_batch_are_a_torn_tail) {
  const scratch_directory directory;
  const file_report report =
      verify(directory.write(segment_name, build_segment(3).bytes + std::string(5000, '\0')));
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.worst(), severity::torn);
  EXPECT_EQ(report.batches, 3u);
}

// Any changed byte is noticed; it is corruption unless it lies in the last batch, which could be a torn
// write.
TEST(log_verify, every_flipped_byte_is_told_apart) {
  constexpr uint64_t seed = 99;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  prng random(seed);
  const scratch_directory directory;
  const built_segment segment = build_segment(5);
  const size_t last_start = segment.starts[segment.starts.size() - 2];
  for (size_t at = 0; at < segment.bytes.size(); ++at) {
    // Base offset and leader epoch are covered by no crc; offsets are compared with their neighbours' below.
    const size_t batch = *std::prev(std::ranges::upper_bound(segment.starts, at));
    if (const size_t inside = at - batch; inside < 8 || (inside >= 12 && inside < 16)) continue;
    std::string damaged = segment.bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1 + random.below(255)));
    const file_report report = verify(directory.write(segment_name, damaged));
    ASSERT_EQ(report.worst(), at < last_start ? severity::corrupt : severity::torn) << "byte " << at;
    if (at < last_start) ASSERT_EQ(report.last, 110) << "the rest is not read, byte " << at;
  }
}

// Checksums cover what no crc does; damage to themselves is not blamed on the segment.
TEST(log_verify, blocks_are_compared_with_their_checksums) {
  const scratch_directory directory;
  const built_segment segment = build_segment(1200);
  ASSERT_GT(segment.bytes.size(), storage::sum_block_bytes);
  storage::block_sums sums(offset(100));
  sums.begin_building({}, true);
  sums.add(as_bytes(segment.bytes));
  sums.finish();
  std::string file(as_text(storage::encode_sums_header(offset(100))));
  file += as_text(sums.encode(0));
  const std::string path = directory.write(segment_name, segment.bytes);
  directory.write("00000000000000000100.sums", file);
  EXPECT_TRUE(verify(path).findings.empty());

  // The leader epoch of the last batch, in the second block.
  std::string damaged = segment.bytes;
  damaged[segment.starts[1199] + 15] ^= 1;
  const file_report report = verify(directory.write(segment_name, damaged));
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.worst(), severity::corrupt);
  EXPECT_EQ(report.findings[0].file, path);
  EXPECT_EQ(report.findings[0].position,
            segment.starts[1199] / storage::sum_block_bytes * storage::sum_block_bytes);

  directory.write(segment_name, segment.bytes);
  for (size_t at = 0; at < file.size(); ++at) {
    std::string other = file;
    other[at] ^= 4;
    directory.write("00000000000000000100.sums", other);
    const file_report found = verify(path);
    ASSERT_FALSE(found.findings.empty()) << at;
    EXPECT_TRUE(found.findings[0].file.ends_with(".sums")) << at;
  }
}

TEST(log_verify, offsets_that_run_backwards_are_corruption) {
  const scratch_directory directory;
  const built_segment segment = build_segment(3);
  const file_report report = verify(directory.write(segment_name, segment.bytes + segment.bytes));
  EXPECT_EQ(report.worst(), severity::corrupt);
}

std::string index_entry(uint32_t relative, uint32_t position) {
  std::byte raw[8];
  store_be<uint32_t>(raw, relative);
  store_be<uint32_t>(raw + 4, position);
  return std::string(as_text(raw));
}

std::string time_index_entry(int64_t time, uint32_t relative) {
  std::byte raw[12];
  store_be<int64_t>(raw, time);
  store_be<uint32_t>(raw + 8, relative);
  return std::string(as_text(raw));
}

TEST(log_verify, indexes_must_point_at_batches) {
  const scratch_directory directory;
  const built_segment segment = build_segment(4);  // offsets 100, 101-102, 103-105, 106-109
  const std::string path = directory.write(segment_name, segment.bytes);
  const auto position = [&](size_t batch) { return static_cast<uint32_t>(segment.starts[batch]); };
  const auto with_index = [&](const std::string& bytes) {
    directory.write("00000000000000000100.index", bytes);
    return verify(path);
  };
  EXPECT_EQ(with_index(index_entry(2, position(1)) + index_entry(9, position(3))).findings.size(), 0u);
  EXPECT_EQ(with_index(index_entry(2, position(1)) + std::string(64, '\0')).findings.size(), 0u);
  EXPECT_EQ(with_index(std::string(64, '\0')).findings.size(), 0u)
      << "zeros kept in reserve and no entry yet";
  EXPECT_EQ(with_index(index_entry(2, position(1) + 1)).worst(), severity::corrupt);
  EXPECT_EQ(with_index(index_entry(1, position(1))).worst(), severity::corrupt);
  EXPECT_EQ(with_index(index_entry(9, position(3)) + index_entry(2, position(1))).worst(), severity::corrupt);
  EXPECT_EQ(with_index(index_entry(99, position(4))).worst(), severity::corrupt);
  EXPECT_EQ(with_index(index_entry(2, position(1)) + "abc").worst(), severity::torn);
  with_index("");

  const auto with_times = [&](const std::string& bytes) {
    directory.write("00000000000000000100.timeindex", bytes);
    return verify(path);
  };
  EXPECT_EQ(with_times(time_index_entry(1001, 2) + time_index_entry(1003, 9)).findings.size(), 0u);
  EXPECT_EQ(with_times(time_index_entry(1002, 2)).worst(), severity::corrupt);
  EXPECT_EQ(with_times(time_index_entry(1001, 1)).worst(), severity::corrupt);
  EXPECT_EQ(with_times(time_index_entry(1003, 9) + time_index_entry(1001, 2)).worst(), severity::corrupt);
  EXPECT_EQ(with_times(time_index_entry(1009, 50)).worst(), severity::corrupt);
}

// --- write-ahead log ---

constexpr uint64_t generation = 0x0000000700000001;

std::string wal_file_block(uint64_t use) {
  std::string block(wal::block_bytes, '\0');
  wal::store_file_header(reinterpret_cast<std::byte*>(block.data()),
                         {.generation = use, .shard = 2, .wall_clock_ms = 1});
  return block;
}

// A frame with one batch entry (none: a seal), padded.
std::string wal_frame(uint64_t number, bool is_seal, uint64_t use = generation) {
  std::string bytes(wal::frame_header_bytes, '\0');
  if (!is_seal) {
    protocol::batch_builder builder;
    builder.add(1, std::nullopt, as_bytes("value"));
    const slice batch = builder.build({.base_offset = static_cast<int64_t>(number)});
    std::string entry(wal::entry_header_bytes + wal::batch_prefix_bytes, '\0');
    entry[0] = static_cast<char>(wal::entry_kind::batch);
    store_le<uint32_t>(reinterpret_cast<std::byte*>(entry.data()) + 4,
                       static_cast<uint32_t>(wal::batch_prefix_bytes + batch.size()));
    bytes += entry + std::string(as_text(batch));
  }
  wal::frame_header header{.generation = use,
                           .lsn = lsn(number),
                           .bytes = static_cast<uint32_t>(bytes.size()),
                           .entries = is_seal ? 0u : 1u,
                           .wall_clock_ms = 1};
  bytes.resize(header.padded_bytes(), '\0');
  auto* at = reinterpret_cast<std::byte*>(bytes.data());
  wal::store_header(at, header);
  header.checksum = wal::chain_checksum(use, {at, bytes.size()}, true);
  wal::store_header(at, header);
  return bytes;
}

std::string wal_file() {
  std::string bytes = wal_file_block(generation);
  for (uint64_t number = 5; number < 9; ++number) bytes += wal_frame(number, number == 8);
  return bytes + wal_frame(1, false, generation - 1) + std::string(3 * wal::block_bytes, '\0');
}

TEST(log_verify, reads_a_wal_up_to_what_an_older_use_left) {
  const scratch_directory directory;
  const file_report report = verify(directory.write("01.wal", wal_file()), log_file_kind::wal);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.frames, 4u);
  EXPECT_EQ(report.batches, 3u);
  EXPECT_EQ(report.first, 5);
  EXPECT_EQ(report.last, 8);
}

TEST(log_verify, a_wal_never_used_is_empty_and_sound) {
  const scratch_directory directory;
  const file_report report =
      verify(directory.write("01.wal", std::string(8 * wal::block_bytes, '\0')), log_file_kind::wal);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.frames, 0u);
}

TEST(log_verify, damage_in_the_last_frame_is_torn_and_in_any_other_corrupt) {
  const scratch_directory directory;
  const std::string good = wal_file();
  for (size_t frame = 0; frame < 4; ++frame) {
    for (const size_t inside : {size_t{9}, size_t{30}, size_t{200}, wal::block_bytes - 1}) {
      std::string damaged = good;
      damaged[wal::block_bytes * (1 + frame) + inside] ^= 0x40;
      const file_report report = verify(directory.write("01.wal", damaged), log_file_kind::wal);
      ASSERT_EQ(report.worst(), frame < 3 ? severity::corrupt : severity::torn) << frame << " " << inside;
    }
  }
}

TEST(log_paths, a_directory_gives_its_segments_and_wal_files_in_order) {
  const scratch_directory directory;
  fs::create_directories(directory.path() + "/t-0");
  fs::create_directories(directory.path() + "/wal.0");
  directory.write("t-0/00000000000000000007.log", "");
  directory.write("t-0/00000000000000000000.log", "");
  directory.write("t-0/00000000000000000000.index", "");
  directory.write("t-0/partition.metadata", "");
  directory.write("wal.0/01.wal", "");
  const auto files = find_log_files({directory.path()}, false);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 3u);
  EXPECT_TRUE((*files)[0].path.ends_with("t-0/00000000000000000000.log"));
  EXPECT_TRUE((*files)[2].path.ends_with("wal.0/01.wal"));
  EXPECT_EQ(find_log_files({directory.path()}, true)->size(), 4u);
  EXPECT_FALSE(find_log_files({directory.path() + "/nothing"}, false));
  EXPECT_FALSE(find_log_files({directory.path() + "/t-0/partition.metadata"}, false));
}

}  // namespace
}  // namespace millrace::tools
