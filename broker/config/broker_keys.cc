// The broker keys with an effect, in the order in which --help shows them.
#include "broker/config/tables.h"

namespace millrace::broker {
namespace {

using enum value_type;

constexpr key_spec table[] = {
    // Where it listens and what it is called.
    {"listeners", list, "PLAINTEXT://127.0.0.1:9092", "",
     "Addresses to listen on, NAME://HOST:PORT. Port 0 takes a free one; an empty host or [::] means every "
     "interface."},
    {"advertised.listeners", list, std::nullopt, "",
     "Addresses that clients are told to connect to, by listener name. Default: the listeners themselves."},
    {"listener.security.protocol.map", list, "PLAINTEXT:PLAINTEXT", "",
     "Security protocol of each listener name. Only PLAINTEXT is there yet."},
    {"node.id", int32, "1", "[0,...]", "Id of this broker, as clients see it."},
    {"broker.id", int32, "-1", "[-1,...]", "Older name of node.id; used when node.id is not given."},
    {"broker.rack", text, std::nullopt, "", "Rack that clients are told this broker is in."},
    {"cluster.id", text, std::nullopt, "",
     "Refuse to start on a data directory of another cluster than this one."},

    // Where the data is.
    {"log.dirs", list, std::nullopt, "", "The data directory. Exactly one."},
    {"log.dir", list, "data", "", "The data directory when log.dirs is not given."},
    {"durability", text, "sync", "[sync, os, memory]",
     "What an acknowledgement promises, unless the topic says otherwise: sync = on disk, survives a power "
     "cut; os = written, survives the broker's death; memory = in memory, survives nothing."},

    // How it runs.
    {"shards", int32, "0", "[0,...,64]",
     "Threads that own partitions and connections. 0: one less than the cores, at least 1."},
    {"io.backend", text, "auto", "[auto, uring, epoll]",
     "How to talk to the kernel. auto: io_uring where it is allowed, else epoll."},
    {"log.level", text, "info", "[trace, debug, info, warn, error]",
     "The least important lines that are still logged."},
    {"shutdown.timeout.ms", int32, "10000", "[0,...]",
     "How long requests in progress may take to finish after SIGTERM."},
    {"storage.cache.bytes", int64, "134217728", "[8388608,...]",
     "Memory for recent batches, all shards together."},
    {"storage.wal.file.bytes", int64, "67108864", "[1048576,...,134217728]",
     "Size of one write-ahead log file."},
    {"commit.delay.max.us", int64, "200", "[0,...,500]",
     "How long a commit may wait for more requests of clients that keep several on the way, while they keep "
     "coming and waiting pays. 0: never."},
    {"storage.direct", boolean, "true", "",
     "Write the log around the page cache (O_DIRECT) where the file system can."},

    {"storage.scrub.bytes.per.second", int64, "1048576", "[0,...]",
     "How fast segments are read in the background to compare their checksums, all shards together; 0: not "
     "at all."},
    {"processor.hold.max.bytes", int64, "1073741824", "[0,...]",
     "What retention leaves of a partition, at most, because a processor has not read it yet."},
    {"processor.hold.max.ms", int64, "604800000", "[0,...]",
     "For how long beyond its time a record is kept, at most, because a processor has not read it yet."},
    {"processor.deadline.ms", int64, "30000", "[100,...]",
     "A processor whose call takes longer ends the broker, and is paused at the next start."},
    {"processor.call.memory.max.bytes", int64, "1073741824", "[0,...]",
     "A processor in whose call the broker's memory grows by more ends the broker, and is paused at the next "
     "start; 0: it may grow without end."},
    {"processor.batch.budget.us", int64, "5000", "[0,...]",
     "What one call of a processor may take of its shard's time; 0: any time. One that takes longer counts "
     "as an overrun."},
    {"processor.turn.budget.us", int64, "10000", "[0,...]",
     "What all calls of processors together may take between two looks at the clients; 0: any time. What "
     "does not fit is processed a little later."},
    {"processor.overruns.max", int32, "5", "[1,...]",
     "After so many overruns a processor goes on a thread of its own, for a while, and lags by a commit."},

    {"processor.directory", text, "plugins", "",
     "Where libraries of processors deployed at run time lie, unless their path begins with '/'. Below the "
     "data "
     "directory unless it begins with '/' itself."},
    {"processor.load.timeout.ms", int32, "10000", "[100,...]",
     "How long a library may take to load and to make a trial instance, in a process of its own, before it "
     "is "
     "refused."},
    {"admin.socket", text, "admin.sock", "",
     "Unix socket for `millrace processor ...`, usable by the broker's user only. In the data directory "
     "unless it "
     "begins with '/'. Empty: none."},

    // Connections and requests.
    {"socket.request.max.bytes", int32, "104857600", "[1024,...,104857600]",
     "Largest request; a larger one closes its connection."},
    {"socket.listen.backlog.size", int32, "512", "[1,...,65535]",
     "Connections that may wait to be accepted."},
    {"connections.max.idle.ms", int64, "600000", "",
     "A connection without traffic for so long is closed. Negative: never."},
    {"connections.stall.timeout.ms", int64, "30000", "[100,...]",
     "A connection that stops in the middle of a request, or does not read its answer, for so long is "
     "closed."},
    {"max.connections", int32, "10000", "[1,...]", "Connections at one time; more are closed at once."},
    {"max.connections.per.ip", int32, "2147483647", "[1,...]", "Connections at one time from one address."},
    {"connection.inflight.max", int32, "16", "[1,...,1024]",
     "Produce requests of one connection that may wait for the disk at one time."},
    {"queued.max.request.bytes", int64, "-1", "[1048576,...] or -1",
     "Memory for requests that are being read or answered, all connections together. -1: 256 MiB."},
    {"queued.max.response.bytes", int64, "536870912", "[1048576,...]",
     "Records in answers that are not sent yet; beyond it fetches get small answers."},
    {"max.request.partition.size.limit", int32, "2000", "[1,...]",
     "Partitions in one DescribeTopicPartitions answer."},
    {"fetch.max.bytes", int32, "57671680", "[1024,...]", "Largest answer to a Fetch."},
    {"max.incremental.fetch.session.cache.slots", int32, "1000", "[0,...]",
     "Fetch sessions kept at one time."},

    // Topics.
    {"auto.create.topics.enable", boolean, "true", "",
     "Create a topic when a client asks for the metadata of an unknown one."},
    {"delete.topic.enable", boolean, "true", "", "Let clients delete topics."},
    {"num.partitions", int32, "1", "[1,...,100000]",
     "Partitions of a topic that is created without a count."},
    {"default.replication.factor", int32, "1", "",
     "Replicas of a topic; only 1 is there on a single broker."},
    {"min.insync.replicas", int32, "1", "[1,...]",
     "Replicas that must have a record; only 1 is there on a single broker."},
    {"unclean.leader.election.enable", boolean, "false", "", "Of no consequence with one replica."},
    {"message.max.bytes", int32, "1048588", "[0,...,16777216]", "Largest record batch."},
    {"max.decompressed.message.bytes", int32, "2147483639", "[1,...,2147483639]",
     "Largest record batch after decompression."},
    {"compression.type", text, "producer", "[uncompressed, zstd, lz4, snappy, gzip, producer]",
     "Codec that batches are stored with; producer keeps what was sent."},
    {"compression.gzip.level", int32, "-1", "[1,...,9] or -1", "Level when gzip is used."},
    {"compression.lz4.level", int32, "9", "[1,...,17]", "Level when lz4 is used."},
    {"compression.zstd.level", int32, "3", "[-131072,...,22]", "Level when zstd is used."},
    {"log.cleanup.policy", list, "delete", "[compact, delete]", "What happens to old records."},
    {"log.segment.bytes", int32, "1073741824", "[1048576,...]", "Size at which a segment file is closed."},
    {"log.roll.ms", int64, std::nullopt, "[1,...]", "Age at which a segment file is closed."},
    {"log.roll.hours", int32, "168", "[1,...]", "Used when log.roll.ms is not given."},
    {"log.roll.jitter.ms", int64, std::nullopt, "[0,...]", "Random part of that age."},
    {"log.roll.jitter.hours", int32, "0", "[0,...]", "Used when log.roll.jitter.ms is not given."},
    {"log.retention.ms", int64, std::nullopt, "[-1,...]", "Age at which records are deleted; -1: never."},
    {"log.retention.minutes", int32, std::nullopt, "", "Used when log.retention.ms is not given."},
    {"log.retention.hours", int32, "168", "", "Used when neither is given."},
    {"log.retention.bytes", int64, "-1", "",
     "Size of a partition above which old segments are deleted; -1: any."},
    {"log.retention.check.interval.ms", int64, "300000", "[1,...]",
     "How often it is looked for something to delete."},
    {"log.segment.delete.delay.ms", int64, "60000", "[0,...]", "How long a deleted segment file stays."},
    {"log.index.interval.bytes", int32, "4096", "[0,...]", "Bytes between two entries of the offset index."},
    {"log.index.size.max.bytes", int32, "10485760", "[4,...]", "Largest index file."},
    {"log.message.timestamp.type", text, "CreateTime", "[CreateTime, LogAppendTime]",
     "Whose clock timestamps records."},
    {"log.message.timestamp.before.max.ms", int64, "9223372036854775807", "[0,...]",
     "How far in the past a timestamp may lie."},
    {"log.message.timestamp.after.max.ms", int64, "3600000", "[0,...]",
     "How far in the future a timestamp may lie."},
    {"log.cleaner.enable", boolean, "true", "", "Whether topics are compacted that ask for it."},
    {"log.cleaner.backoff.ms", int64, "15000", "[0,...]", "How often it is looked for something to compact."},
    {"log.cleaner.dedupe.buffer.size", int64, "134217728", "[1048576,...]",
     "Memory for the keys of what is compacted, all shards together."},
    {"log.cleaner.io.buffer.load.factor", float64, "0.9", "", "How full that memory may get."},
    {"log.cleaner.io.max.bytes.per.second", float64, "1.7976931348623157E308", "",
     "How fast compaction reads and writes, all shards together."},
    {"log.cleaner.delete.retention.ms", int64, "86400000", "[0,...]",
     "How long a compacted topic keeps tombstones."},
    {"log.cleaner.min.cleanable.ratio", float64, "0.5", "[0,...,1]",
     "Uncleaned part of a log at which it is compacted."},
    {"log.cleaner.min.compaction.lag.ms", int64, "0", "[0,...]",
     "Records younger than this are not compacted."},
    {"log.cleaner.max.compaction.lag.ms", int64, "9223372036854775807", "[1,...]",
     "Records older than this are compacted."},
    {"log.flush.interval.messages", int64, "9223372036854775807", "[1,...]",
     "Of no consequence: every commit is flushed."},
    {"log.flush.interval.ms", int64, std::nullopt, "[0,...]", "Of no consequence: every commit is flushed."},
    {"log.preallocate", boolean, "false", "",
     "Whether a segment file has its full length from the start, and its own when it is closed."},
    {"log.local.retention.bytes", int64, "-2", "[-2,...]", "Of no consequence without tiered storage."},
    {"log.local.retention.ms", int64, "-2", "[-2,...]", "Of no consequence without tiered storage."},
    {"log.remote.copy.lag.bytes", int64, "-1", "[-1,...]", "Of no consequence without tiered storage."},
    {"log.remote.copy.lag.ms", int64, "0", "[-1,...]", "Of no consequence without tiered storage."},

    // Producers.
    {"producer.id.expiration.ms", int32, "86400000", "[1,...]",
     "How long the sequence of an idle producer is remembered."},

    // Consumer groups.
    {"offsets.topic.num.partitions", int32, "50", "[1,...,1000]",
     "Partitions of __consumer_offsets, fixed at its creation."},
    {"offsets.topic.segment.bytes", int32, "104857600", "[1,...]", "Segment size of __consumer_offsets."},
    {"offsets.retention.minutes", int32, "10080", "[1,...]",
     "How long offsets of a group without members are kept."},
    {"offsets.retention.check.interval.ms", int64, "600000", "[1,...]",
     "How often it is looked for expired offsets."},
    {"offset.metadata.max.bytes", int32, "4096", "", "Largest text that may go with a committed offset."},
    {"group.initial.rebalance.delay.ms", int32, "3000", "", "How long a new group waits for more members."},
    {"group.min.session.timeout.ms", int32, "6000", "", "Shortest session timeout a member may ask for."},
    {"group.max.session.timeout.ms", int32, "1800000", "", "Longest session timeout a member may ask for."},
    {"group.max.size", int32, "2147483647", "[1,...]", "Most members of a group."},
    {"group.consumer.session.timeout.ms", int32, "45000", "[1,...]",
     "After how long without a heartbeat a member of the consumer protocol is out."},
    {"group.consumer.heartbeat.interval.ms", int32, "5000", "[1,...]",
     "How often members of the consumer protocol are told to send heartbeats."},
    {"group.consumer.assignment.interval.ms", int32, "1000", "[0,...]",
     "How long the partitions of a group are not divided anew after they were."},
    {"group.consumer.min.session.timeout.ms", int32, "45000", "[1,...]",
     "Least that group.consumer.session.timeout.ms, or a group's own, may be."},
    {"group.consumer.max.session.timeout.ms", int32, "60000", "[1,...]", "Most that it may be."},
    {"group.consumer.min.heartbeat.interval.ms", int32, "5000", "[1,...]",
     "Least that group.consumer.heartbeat.interval.ms, or a group's own, may be."},
    {"group.consumer.max.heartbeat.interval.ms", int32, "15000", "[1,...]", "Most that it may be."},
    {"group.consumer.min.assignment.interval.ms", int32, "0", "[0,...]",
     "Least that group.consumer.assignment.interval.ms, or a group's own, may be."},
    {"group.consumer.max.assignment.interval.ms", int32, "15000", "[0,...]", "Most that it may be."},
    {"group.consumer.max.size", int32, "2147483647", "[1,...]",
     "Most members of a group of the consumer protocol."},
    {"group.consumer.assignors", list, "uniform,range", "[uniform, range]",
     "Assignors that members may ask for; the first is the default."},
    {"group.consumer.migration.policy", text, "bidirectional",
     "[disabled, downgrade, upgrade, bidirectional]",
     "Whether a group may move between the classic and the consumer protocol while it has members."},
};

struct refusal {
  std::string_view name;
  std::string_view only;  // the value that is not refused
  std::string_view reason;
};

constexpr refusal refusals[] = {
    {"default.replication.factor", "1", "a single broker keeps one replica"},
    {"min.insync.replicas", "1", "a single broker keeps one replica, so no write could be acknowledged"},
    {"authorizer.class.name", "", "there is no authorizer yet"},
    {"remote.log.storage.system.enable", "false", "there is no tiered storage"},
    {"security.inter.broker.protocol", "PLAINTEXT", "there is no TLS yet"},
    {"create.topic.policy.class.name", "", "Java classes cannot be loaded"},
    {"alter.config.policy.class.name", "", "Java classes cannot be loaded"},
};

}  // namespace

std::span<const key_spec> broker_keys() {
  return table;
}

std::string_view refusal_of_broker_value(std::string_view name, std::string_view value) {
  for (const refusal& r : refusals) {
    if (r.name == name && r.only != value) return r.reason;
  }
  return {};
}

}  // namespace millrace::broker
