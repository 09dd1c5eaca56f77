// The keys of a topic, by name, as DescribeConfigs lists them.
#include "broker/config/tables.h"

namespace millrace::broker {
namespace {

using enum value_type;

// The defaults stand with the broker keys (last column) where there is one.
constexpr key_spec table[] = {
    {"cleanup.policy", list, "delete", "[compact, delete]", "What happens to old records.",
     "log.cleanup.policy"},
    {"compression.gzip.level", int32, "-1", "[1,...,9] or -1", "Level when gzip is used.",
     "compression.gzip.level"},
    {"compression.lz4.level", int32, "9", "[1,...,17]", "Level when lz4 is used.", "compression.lz4.level"},
    {"compression.type", text, "producer", "[uncompressed, zstd, lz4, snappy, gzip, producer]",
     "Codec that batches are stored with; producer keeps what was sent.", "compression.type"},
    {"compression.zstd.level", int32, "3", "[-131072,...,22]", "Level when zstd is used.",
     "compression.zstd.level"},
    {"delete.retention.ms", int64, "86400000", "[0,...]", "How long a compacted topic keeps tombstones.",
     "log.cleaner.delete.retention.ms"},
    {"durability", text, "sync", "[sync, os, memory]",
     "What an acknowledgement promises: sync = on disk, survives a power cut; os = written, survives the "
     "broker's death; memory = in memory, survives nothing.",
     "durability"},
    {"file.delete.delay.ms", int64, "60000", "[0,...]", "How long a deleted segment file stays.",
     "log.segment.delete.delay.ms"},
    {"flush.messages", int64, "9223372036854775807", "[1,...]", "Of no consequence: every commit is flushed.",
     "log.flush.interval.messages"},
    {"flush.ms", int64, "9223372036854775807", "[0,...]", "Of no consequence: every commit is flushed.",
     "log.flush.interval.ms"},
    {"follower.replication.throttled.replicas", list, "", "", "Of no consequence on a single broker.", ""},
    {"index.interval.bytes", int32, "4096", "[0,...]", "Bytes between two entries of the offset index.",
     "log.index.interval.bytes"},
    {"leader.replication.throttled.replicas", list, "", "", "Of no consequence on a single broker.", ""},
    {"local.retention.bytes", int64, "-2", "[-2,...]", "Of no consequence without tiered storage.",
     "log.local.retention.bytes"},
    {"local.retention.ms", int64, "-2", "[-2,...]", "Of no consequence without tiered storage.",
     "log.local.retention.ms"},
    {"max.compaction.lag.ms", int64, "9223372036854775807", "[1,...]",
     "Records older than this are compacted.", "log.cleaner.max.compaction.lag.ms"},
    {"max.decompressed.message.bytes", int32, "2147483639", "[1,...,2147483639]",
     "Largest record batch after decompression.", "max.decompressed.message.bytes"},
    {"max.message.bytes", int32, "1048588", "[0,...,16777216]", "Largest record batch.", "message.max.bytes"},
    {"message.timestamp.after.max.ms", int64, "3600000", "[0,...]",
     "How far in the future a timestamp may lie.", "log.message.timestamp.after.max.ms"},
    {"message.timestamp.before.max.ms", int64, "9223372036854775807", "[0,...]",
     "How far in the past a timestamp may lie.", "log.message.timestamp.before.max.ms"},
    {"message.timestamp.type", text, "CreateTime", "[CreateTime, LogAppendTime]",
     "Whose clock timestamps records.", "log.message.timestamp.type"},
    {"min.cleanable.dirty.ratio", float64, "0.5", "[0,...,1]",
     "Uncleaned part of a log at which it is compacted.", "log.cleaner.min.cleanable.ratio"},
    {"min.compaction.lag.ms", int64, "0", "[0,...]", "Records younger than this are not compacted.",
     "log.cleaner.min.compaction.lag.ms"},
    {"min.insync.replicas", int32, "1", "[1,...]", "Replicas that must have a record.",
     "min.insync.replicas"},
    {"preallocate", boolean, "false", "",
     "Whether a segment file has its full length from the start, and its own when it is closed.",
     "log.preallocate"},
    {"remote.copy.lag.bytes", int64, "-1", "[-1,...]", "Of no consequence without tiered storage.",
     "log.remote.copy.lag.bytes"},
    {"remote.copy.lag.ms", int64, "0", "[-1,...]", "Of no consequence without tiered storage.",
     "log.remote.copy.lag.ms"},
    {"remote.log.copy.disable", boolean, "false", "", "Of no consequence without tiered storage.", ""},
    {"remote.log.delete.on.disable", boolean, "false", "", "Of no consequence without tiered storage.", ""},
    {"remote.storage.enable", boolean, "false", "", "Tiered storage; not there.", ""},
    {"retention.bytes", int64, "-1", "", "Size of a partition above which old segments are deleted; -1: any.",
     "log.retention.bytes"},
    {"retention.ms", int64, "604800000", "[-1,...]", "Age at which records are deleted; -1: never.",
     "log.retention.ms"},
    {"segment.bytes", int32, "1073741824", "[1048576,...]", "Size at which a segment file is closed.",
     "log.segment.bytes"},
    {"segment.index.bytes", int32, "10485760", "[4,...]", "Largest index file.", "log.index.size.max.bytes"},
    {"segment.jitter.ms", int64, "0", "[0,...]", "Random part of the age at which a segment file is closed.",
     "log.roll.jitter.ms"},
    {"segment.ms", int64, "604800000", "[1,...]", "Age at which a segment file is closed.", "log.roll.ms"},
    {"unclean.leader.election.enable", boolean, "false", "", "Of no consequence with one replica.",
     "unclean.leader.election.enable"},
    // Gone from Kafka 4; older tools still set them, and they never changed what was stored.
    {"message.downconversion.enable", boolean, "true", "", "Of no consequence: there is no down-conversion.",
     ""},
    {"message.format.version", text, "3.0-IV1", "", "Of no consequence: the format is always the newest.",
     ""},
    {"message.timestamp.difference.max.ms", int64, "9223372036854775807", "[0,...]",
     "Of no consequence; see the two keys above.", ""},
};

}  // namespace

std::span<const key_spec> topic_keys() {
  return table;
}

std::string_view refusal_of_topic_value(std::string_view name, std::string_view value) {
  if (name == "min.insync.replicas" && value != "1")
    return "a single broker keeps one replica, so no write could be acknowledged";
  if (name == "remote.storage.enable" && value != "false") return "there is no tiered storage";
  return {};
}

}  // namespace millrace::broker
