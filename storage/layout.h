// layout: the names of everything in a data directory, and Kafka's small text files.
//
//   meta.properties                    who wrote this, in which format, with how many shards
//   metadata.log                       topics and their configuration
//   checkpoint.<shard>                 see checkpoint.h
//   wal.<shard>/NN.wal                 see wal/frame.h
//   wal-unsynced.<shard>/NN.wal        the same for durability `os` and `memory`
//   <topic>-<partition>/               as Kafka's, byte for byte:
//     partition.metadata               the topic's id
//     leader-epoch-checkpoint          where each leader epoch began
//     <base offset>.log|.index|.timeindex
//     <base offset>.sums             checksums of its blocks (log/block_sums.h); not Kafka's
//     *.deleted                      of segments that are gone, until file.delete.delay.ms is over
//     *.swap                         of compacted segments, until they take the place of what they were made
//     of
//   import.manifest, <topic>-<partition>-import/
//                                      what waits to be adopted, see import_manifest.h
//
// Every directory of Kafka's ends in -<number>, so ours must not: a topic may be called "wal".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/uuid.h"
#include "storage/log/epoch_cache.h"
#include "storage/types.h"

namespace millrace::storage::layout {

std::string meta_properties(const std::string& data_dir);
std::string metadata_log(const std::string& data_dir);
std::string wal_directory(const std::string& data_dir, uint32_t shard, lane which = lane::synced);
std::string checkpoint_file(const std::string& data_dir, uint32_t shard);
std::string partition_directory(const std::string& data_dir, std::string_view topic, int32_t partition);
std::string partition_metadata(const std::string& directory);
std::string leader_epoch_checkpoint(const std::string& directory);
std::string log_file(const std::string& directory, offset base);
std::string index_file(const std::string& directory, offset base);
std::string time_index_file(const std::string& directory, offset base);
std::string sums_file(const std::string& directory, offset base);
// All four.
std::array<std::string, 4> files_of_segment(const std::string& directory, offset base);
// What the names of a segment's files end with from the moment that it is gone until they are removed.
inline constexpr std::string_view deleted_suffix = ".deleted";
// Of a compacted segment's files until they take the place of those that it was made of.
inline constexpr std::string_view swap_suffix = ".swap";
std::string swap_name(const std::string& path);

// "orders-7" -> orders, 7. Nothing if the name has not that form.
struct partition_name {
  std::string_view topic;
  int32_t partition = 0;
};
std::optional<partition_name> parse_partition_directory(std::string_view name);

// "version: 0\ntopic_id: <22 characters>\n"
std::string format_partition_metadata(const uuid& topic_id);
std::optional<uuid> parse_partition_metadata(std::string_view text);

// "0\n<count>\n<epoch> <start offset>\n..."
std::string format_leader_epochs(const std::vector<epoch_start>& starts);

}  // namespace millrace::storage::layout
