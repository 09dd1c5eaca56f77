"""What Apache Kafka's administration tools are asked, and what may differ in their answers."""
import json
import os
import re

CONFIGS, TOPICS = "kafka.admin.ConfigCommand", "org.apache.kafka.tools.TopicCommand"
LOG_DIRS, OFFSETS = "org.apache.kafka.tools.LogDirsCommand", "org.apache.kafka.tools.GetOffsetShell"
RECORDS, FEATURES = "org.apache.kafka.tools.DeleteRecordsCommand", "org.apache.kafka.tools.FeatureCommand"
QUORUM, CLUSTER = "org.apache.kafka.tools.MetadataQuorumCommand", "org.apache.kafka.tools.ClusterTool"
ELECTION = "org.apache.kafka.tools.LeaderElectionCommand"
REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
METRICS, PRODUCERS = "org.apache.kafka.tools.ClientMetricsCommand", "org.apache.kafka.tools.TransactionsCommand"
SHORT = {CONFIGS: "kafka-configs", TOPICS: "kafka-topics", LOG_DIRS: "kafka-log-dirs", OFFSETS: "kafka-get-offsets",
         RECORDS: "kafka-delete-records", FEATURES: "kafka-features", QUORUM: "kafka-metadata-quorum", CLUSTER: "kafka-cluster",
         ELECTION: "kafka-leader-election", REASSIGN: "kafka-reassign-partitions", METRICS: "kafka-client-metrics",
         PRODUCERS: "kafka-transactions"}

# Keys that only one of the two has: our own, Kafka 3's that old tools still set, Kafka 4.4's, and those of groups that are
# not here.
ONLY_HERE = ("durability", "max.decompressed.message.bytes", "remote.copy.lag.", "message.downconversion.enable", "message.format.version", "message.timestamp.difference.max.ms",
             "share.", "streams.", "errors.")


def write_files(directory):
    def write(name, partitions):
        with open(os.path.join(directory, name), "w") as f:
            json.dump({"version": 1, "partitions": partitions}, f)
    write("records.json", [{"topic": "orders", "partition": 0, "offset": 4}, {"topic": "orders", "partition": 1, "offset": -1},
                           {"topic": "orders", "partition": 2, "offset": 99}])
    write("move.json", [{"topic": "orders", "partition": 0, "replicas": [1], "log_dirs": ["any"]}])


def plain(text, directory):
    """Without what differs between any two clusters, and without what Kafka has set for itself (its ELR feature)."""
    text = re.sub(re.escape(os.path.join(directory, "data")) + r"\b", "DATA", text)
    text = re.sub(r"(Cluster ID|TopicId|ClusterId): *\S+", r"\1: ID", text)
    text = re.sub(r"(LeaderEpoch|HighWatermark|Epoch): *\d+", r"\1: N", text)
    text = re.sub(r'"endpoints": \[.*?\]', '"endpoints": []', text)
    text = re.sub(r"^(1\s+A{22}\s+)\d+(\s+0\s+)\d+(\s+)\d+", r"\1N\2N\3N", text, flags=re.M)
    text = re.sub(r'"size":[1-9]\d*', '"size":1', text)
    text = re.sub(r"(DYNAMIC_DEFAULT_BROKER_CONFIG:)?min\.insync\.replicas=1(, ?|,|$|(?=\s))", "", text, flags=re.M)
    text = re.sub(r" or some brokers have all their log directories cordoned", "", text)
    text = re.sub(r"\d+\s+\d+\s+-1\s+\d+\s+\d+\s+None", "PRODUCER", text)
    lines = []
    for line in text.splitlines():
        if line.startswith("{"):
            line = json.dumps(in_order(json.loads(line)))
        is_foreign = line.strip().startswith(ONLY_HERE + ("sensitive=false synonyms={",)) or re.match(r"Feature: (?!group\.)", line)
        if not is_foreign and "/bin/" not in line:
            lines.append(line)
    return "\n".join(lines)


def in_order(value):
    if isinstance(value, dict):
        return {key: in_order(v) for key, v in sorted(value.items())}
    return sorted(map(in_order, value), key=str) if isinstance(value, list) else value


def topics():
    yield "create", "--create", "--topic", "made", "--partitions", "2", "--config", "retention.ms=5000"
    yield "create with an assignment", "--create", "--topic", "assigned", "--replica-assignment", "1,1"
    yield "create on a broker that is not there", "--create", "--topic", "wrong", "--replica-assignment", "1,7"
    yield "create with too many replicas", "--create", "--topic", "wrong", "--replication-factor", "3"
    yield "create with an unknown config", "--create", "--topic", "wrong", "--config", "retention.seconds=1"
    yield "create with a wrong config", "--create", "--topic", "wrong", "--config", "retention.ms=soon"
    yield "create what there is", "--create", "--topic", "made"
    yield "create what collides", "--create", "--topic", "a.b"
    yield "create what collides then", "--create", "--topic", "a_b"
    yield "list", "--list", "--exclude-internal"
    yield "describe", "--describe", "--topic", "made"
    yield "describe another", "--describe", "--topic", "assigned"
    yield "describe what is not there", "--describe", "--topic", "nothing"
    yield "describe what lacks a leader", "--describe", "--unavailable-partitions"
    yield "describe what lacks replicas", "--describe", "--under-replicated-partitions"
    yield "add partitions", "--alter", "--topic", "made", "--partitions", "4"
    yield "add none", "--alter", "--topic", "made", "--partitions", "4"
    yield "take some", "--alter", "--topic", "made", "--partitions", "3"
    yield "delete", "--delete", "--topic", "assigned"
    yield "delete what is not there", "--delete", "--topic", "assigned"


def configs():
    topic = ("--entity-type", "topics", "--entity-name", "made")
    yield "all of a topic", *topic, "--describe", "--all"
    for value in ("retention.ms=9000,segment.ms=8000", "retention.ms=soon", "retention.ms=-2", "retention.seconds=1",
                  "segment.bytes=99999999999", "min.cleanable.dirty.ratio=2.5", "compression.gzip.level=0", "preallocate=perhaps",
                  "compression.type=best", "cleanup.policy=forget", "message.timestamp.type=now", "max.message.bytes=2000",
                  "leader.replication.throttled.replicas=x", "remote.storage.enable=perhaps",
                  "min.compaction.lag.ms=10,max.compaction.lag.ms=5"):
        yield f"set {value}", *topic, "--alter", "--add-config", value
    yield "what a topic sets", *topic, "--describe"
    yield "unset", *topic, "--alter", "--delete-config", "segment.ms,retention.ms"
    yield "what is left", *topic, "--describe"
    yield "what every topic sets", "--entity-type", "topics", "--describe"
    yield "a topic that is not there", "--entity-type", "topics", "--entity-name", "nothing", "--describe"
    broker, cluster = ("--entity-type", "brokers", "--entity-name", "1"), ("--entity-type", "brokers", "--entity-default")
    yield "set on all brokers", *cluster, "--alter", "--add-config", "message.max.bytes=900000,max.connections.per.ip=5000"
    yield "set on the broker", *broker, "--alter", "--add-config", "message.max.bytes=800000,num.io.threads=5"
    yield "what all brokers set", *cluster, "--describe"
    yield "what the broker sets", *broker, "--describe"
    yield "what a topic has from it", *topic, "--describe", "--all"
    for value in ("node.id=7", "log.retention.hours=1", "message.max.bytes=much", "max.connections.per.ip=x"):
        yield f"set {value} on the broker", *broker, "--alter", "--add-config", value
    yield "set node.id on all brokers", *cluster, "--alter", "--add-config", "node.id=7"
    yield "unset on the broker", *broker, "--alter", "--delete-config", "message.max.bytes,num.io.threads"
    yield "unset on all brokers", *cluster, "--alter", "--delete-config", "message.max.bytes,max.connections.per.ip"
    group = ("--entity-type", "groups", "--entity-name", "billing")
    for value in ("consumer.session.timeout.ms=50000", "consumer.session.timeout.ms=1000", "consumer.session.timeout.ms=90000",
                  "consumer.heartbeat.interval.ms=16000", "consumer.assignment.interval.ms=20000", "retention.ms=1"):
        yield f"set {value} of a group", *group, "--alter", "--add-config", value
    yield "what a group sets", *group, "--describe"
    yield "all of a group", *group, "--describe", "--all"
    yield "unset of a group", *group, "--alter", "--delete-config", "consumer.session.timeout.ms"
    metrics = ("--entity-type", "client-metrics", "--entity-name", "slow")
    for value in ("interval.ms=1000,metrics=[a,b],match=[client_id=x]", "interval.ms=1", "match=[colour=x]", "retention.ms=1"):
        yield f"set {value} of client metrics", *metrics, "--alter", "--add-config", value
    yield "what client metrics set", *metrics, "--describe"
    yield "quotas of users", "--entity-type", "clients", "--describe"


def commands():
    """(what it shows, class, arguments), in order."""
    yield from ((what, TOPICS, *words) for what, *words in topics())
    yield from ((what, CONFIGS, *words) for what, *words in configs())
    yield "list", METRICS, "--list"
    yield "describe some", LOG_DIRS, "--describe", "--topic-list", "orders,made,nothing"
    yield "ends", OFFSETS, "--topic-partitions", "orders,made"
    yield "of the greatest timestamp", OFFSETS, "--topic", "orders", "--time", "-3"
    yield "delete", RECORDS, "--offset-json-file", "DIR/records.json"
    yield "starts after that", OFFSETS, "--topic", "orders", "--time", "-2"
    yield "describe", FEATURES, "describe"
    yield "upgrade to where it is", FEATURES, "upgrade", "--feature", "group.version=1"
    yield "upgrade too far", FEATURES, "upgrade", "--feature", "group.version=7"
    yield "upgrade of an unknown one", FEATURES, "upgrade", "--feature", "colour.version=1"
    yield "status", QUORUM, "describe", "--status"
    yield "replication", QUORUM, "describe", "--replication"
    yield "cluster-id", CLUSTER, "cluster-id"
    yield "list-endpoints", CLUSTER, "list-endpoints"
    yield "of everything", ELECTION, "--election-type", "preferred", "--all-topic-partitions"
    for name, partition in (("orders", "0"), ("orders", "9"), ("nothing", "0")):
        yield f"of {name}-{partition}", ELECTION, "--election-type", "preferred", "--topic", name, "--partition", partition
    yield "list", REASSIGN, "--list"
    for verb in ("--execute", "--verify", "--cancel"):
        yield verb[2:], REASSIGN, "--reassignment-json-file", "DIR/move.json", verb
    yield "describe producers", PRODUCERS, "describe-producers", "--topic", "events", "--partition", "0"
