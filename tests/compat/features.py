"""What every client has to manage, one function per feature; a failed assertion is a failed feature.

A feature gets a `Scene`: the client's program, a helper (another client, known to work) and names for topics.
"""
import base64
import random
import time

PATIENCE_MS = 25000
BIG_BYTES = 10 * 1024 * 1024


def b64(data):
    return None if data is None else base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def plain(text):
    return None if text is None else base64.b64decode(text)


def record(key, value, partition=0, headers=(), timestamp=None):
    out = {"partition": partition, "key": b64(key), "value": b64(value), "headers": [[name, b64(data)] for name, data in headers]}
    if timestamp is not None:
        out["timestamp"] = timestamp
    return out


def some(count, partition=0, start=0):
    return [record(f"key-{i}", f"value {i} " + "lorem ipsum " * 20, partition) for i in range(start, start + count)]


def short(value):
    text = repr(value)
    return text if len(text) < 120 else text[:100] + f"... ({len(text)} characters)"


def same(expected, got, first_offset=0, timestamps=False):
    """What was consumed is what was produced, in order, at dense offsets."""
    assert len(got) == len(expected), f"expected {len(expected)} records, got {len(got)}"
    for i, (want, have) in enumerate(zip(expected, got)):
        assert have["offset"] == first_offset + i, f"record {i} has offset {have['offset']}, not {first_offset + i}"
        fields = ("key", "value", "timestamp") if timestamps else ("key", "value")
        for field in fields:
            assert have[field] == want.get(field), f"record {i}: {field} is {short(have[field])}, not {short(want.get(field))}"
        pairs = lambda r: [list(pair) for pair in r.get("headers", [])]  # noqa: E731
        assert pairs(have) == pairs(want), f"record {i}: headers are {short(pairs(have))}, not {short(pairs(want))}"


class Scene:
    def __init__(self, client, helper, name, strict=None, strict_helper=None, lacks=(), another=None):
        self.client, self.helper, self.name = client, helper, name
        self.strict, self.strict_helper = strict, strict_helper
        self.lacks, self.another = lacks, another  # `another()` is one more program of the same client
        self.count = 0

    def fresh_name(self):
        self.count += 1
        return f"{self.name}-{self.count}"

    def topic(self, partitions=1):
        name = self.fresh_name()
        self.helper.call("create_topics", topics=[name], partitions=partitions)
        return name

    def produce(self, topic, records, **options):
        return self.client.call("produce", topic=topic, records=records, **options)

    def consume(self, topic, count, partition=0, offset=-2, timeout_ms=PATIENCE_MS, by=None):
        return (by or self.client).call("consume", topic=topic, partition=partition, offset=offset, count=count,
                                        timeout_ms=timeout_ms)["records"]

    def round_trip(self, records, topic=None, timestamps=False, **options):
        topic = topic or self.topic()
        reply = self.produce(topic, records, **options)
        if reply.get("offsets") and options.get("acks") != 0:
            assert reply["offsets"] == list(range(len(records))), f"producer was told offsets {short(reply['offsets'])}"
        same(records, self.consume(topic, len(records)), timestamps=timestamps)
        return topic


def produce_consume(scene):
    topic = scene.round_trip(some(50))
    same(some(20, start=30), scene.consume(topic, 20, offset=30), first_offset=30)  # from the middle


def partitions(scene):
    topic = scene.topic(partitions=3)
    scene.produce(topic, [r for p in range(3) for r in some(10, p, start=100 * p)])
    for p in range(3):
        same(some(10, p, start=100 * p), scene.consume(topic, 10, partition=p))


def codec(name):
    def feature(scene):
        scene.round_trip(some(200), codec=name)
    return feature


def headers(scene):
    scene.round_trip([record("k", "v", headers=[("empty", ""), ("one", "1"), ("three", "drei")]), record("k", "no headers")])


def repeated_headers(scene):
    scene.round_trip([record("k", "v", headers=[("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")])])


def null_header(scene):
    scene.round_trip([record("k", "v", headers=[("nothing", None), ("something", "x")])])


def nulls(scene):
    scene.round_trip([record(None, "null key"), record("null value", None), record("k", "v")])


def empty(scene):
    scene.round_trip([record("", "empty key"), record("empty value", ""), record("", "")])


def all_bytes(scene):
    data = bytes(range(256)) * 3
    scene.round_trip([record(data, data[::-1], headers=[("all", data)])])


def empty_fetch(scene):
    topic = scene.topic()
    assert scene.consume(topic, 1, timeout_ms=800) == []
    scene.round_trip(some(3), topic=topic)
    assert scene.consume(topic, 1, offset=3, timeout_ms=800) == []  # at the end


def timestamps(scene):
    day_ago = int(time.time() * 1000) - 86_400_000
    scene.round_trip([record("k", f"v{i}", timestamp=day_ago + (7 * i) % 5) for i in range(10)], timestamps=True)


def offsets_for_times(scene):
    topic, first = scene.topic(), int(time.time() * 1000) - 86_400_000
    for i in range(3):  # three batches, a second apart
        scene.helper.call("produce", topic=topic, records=[record("k", f"v{i}", timestamp=first + 1000 * i)])
    for timestamp, want in ((first, [0]), (first + 500, [1]), (first + 1000, [1]), (first + 2000, [2]), (-2, [0]), (-1, [3]),
                            (first + 2001, [-1, 3])):  # none that late: some clients then answer the end
        got = scene.client.call("offset_at", topic=topic, partition=0, timestamp=timestamp)["offset"]
        assert got in want, f"offset for {timestamp - first if timestamp > 0 else timestamp} is {got}, not {want[0]}"


def ten_mib(scene):
    letters = bytes(random.Random(1).choices(range(97, 123), k=4096))
    value = letters * (BIG_BYTES // 4096)
    scene.round_trip([record("big", value), record("small", "after it")])


def too_big(scene):
    name = scene.fresh_name()
    scene.strict_helper.call("create_topics", topics=[name], partitions=1)
    reply = scene.strict.call("produce", may_fail=True, topic=name, records=[record("k", b"x" * (2 * 1024 * 1024))])
    assert "error" in reply, "a record above message.max.bytes was accepted"
    scene.strict.call("produce", topic=name, records=some(1))


def thousand_topics(scene):
    names = set(scene.client.call("list_topics")["topics"])
    missing = [name for name in MANY if name not in names]
    assert not missing, f"{len(missing)} of 1,000 topics are not listed"
    topic = random.Random(scene.name).choice(MANY)
    start = scene.helper.call("offset_at", topic=topic, partition=0, timestamp=-1)["offset"]
    scene.produce(topic, [record(scene.name, scene.name)])
    assert record(scene.name, scene.name)["value"] in [r["value"] for r in scene.consume(topic, 1, offset=start)]


MANY = [f"many-{i:04d}" for i in range(1000)]


def unknown_topic(scene):
    name = scene.fresh_name()
    reply = scene.strict.call("produce", may_fail=True, topic=name, records=some(1))
    assert "error" in reply, "producing to an unknown topic succeeded"
    assert name not in scene.strict_helper.call("list_topics")["topics"], "the topic came into being"
    scene.strict_helper.call("create_topics", topics=[name], partitions=1)
    scene.strict.call("produce", topic=name, records=some(1))


def auto_creation(scene):
    scene.round_trip(some(3), topic=scene.fresh_name())


def create_topics(scene):
    name = scene.fresh_name()
    scene.client.call("create_topics", topics=[name], partitions=2)
    assert name in scene.client.call("list_topics")["topics"]
    again = scene.client.call("create_topics", may_fail=True, topics=[name], partitions=2)
    assert "error" in again, "the same topic was created twice"
    scene.helper.call("produce", topic=name, records=some(2, 1))
    same(some(2, 1), scene.consume(name, 2, partition=1))


def configuration(scene):
    topic = scene.topic(partitions=2)
    read = lambda: scene.client.call("configs", topic=topic)["configs"]  # noqa: E731
    assert read()["retention.ms"] == "604800000"
    scene.client.call("alter", topic=topic, name="retention.ms", value="86400000")
    end = time.monotonic() + 10  # a Kafka shows a change a moment after it has taken it
    while (found := read()["retention.ms"]) != "86400000":
        assert time.monotonic() < end, f"what was set is not there, but {found}"
    refused = scene.client.call("alter", may_fail=True, topic=topic, name="retention.ms", value="soon")
    assert "error" in refused, "a value that is no number was taken"
    assert read()["retention.ms"] == "86400000"
    scene.client.call("grow", topic=topic, partitions=4)
    scene.helper.call("produce", topic=topic, records=some(3, 3))
    same(some(3, 3), scene.consume(topic, 3, partition=3))


def delete_records(scene):
    topic = scene.topic()
    scene.helper.call("produce", topic=topic, records=some(10))
    scene.client.call("delete_records", topic=topic, partition=0, before=4)
    assert scene.client.call("offset_at", topic=topic, partition=0, timestamp=-2)["offset"] == 4
    same(some(6, start=4), scene.consume(topic, 6), first_offset=4)


def group(scene):
    topic, group_name = scene.topic(), scene.fresh_name()
    scene.helper.call("produce", topic=topic, records=some(12))
    for first, count in ((0, 5), (5, 4), (9, 3)):  # each time a new member resumes where the last one committed
        got = scene.client.call("group", group=group_name, topic=topic, count=count, timeout_ms=PATIENCE_MS)["records"]
        same(some(count, start=first), got, first_offset=first)


def idempotent(scene):
    scene.round_trip(some(50), idempotent=True)


def acks(scene):
    topic = scene.topic()
    scene.produce(topic, some(5), acks=1, idempotent=False)
    scene.produce(topic, some(5, start=5), acks=0, idempotent=False)
    same(some(10), scene.consume(topic, 10))


# What each client leaves for all others to read: every codec it has, headers, nulls.
def calling_card(lacks):
    rows = [record("k", "v"), record(None, "null key"), record("null value", None),
            record("h", "with headers", headers=[("one", "1"), ("two", "zwei")])]
    return [(rows + some(5), name) for name in ("none", "gzip", "snappy", "lz4", "zstd") if name not in lacks]


def leave_card(scene, lacks):
    for records, name in calling_card(lacks):
        scene.produce(f"card-{scene.name}", records, codec=name)


def read_card(scene, other_name, other_lacks):
    expected = [r for records, _ in calling_card(other_lacks) for r in records]
    same(expected, scene.consume(f"card-{other_name}", len(expected)))


FEATURES = {  # name: (title in the table, function)
    "basic": ("produce and consume", produce_consume),
    "partitions": ("chosen partitions", partitions),
    "gzip": ("gzip", codec("gzip")),
    "snappy": ("snappy", codec("snappy")),
    "lz4": ("lz4", codec("lz4")),
    "zstd": ("zstd", codec("zstd")),
    "headers": ("headers", headers),
    "repeated-header": ("repeated header names", repeated_headers),
    "null-header": ("null header value", null_header),
    "nulls": ("null key, null value", nulls),
    "empty": ("empty key, empty value", empty),
    "bytes": ("every byte value", all_bytes),
    "empty-fetch": ("empty fetch", empty_fetch),
    "timestamps": ("timestamps", timestamps),
    "times": ("offsets for times", offsets_for_times),
    "big": ("10 MiB message", ten_mib),
    "too-big": ("too big a message refused", too_big),
    "many": ("1,000 topics", thousand_topics),
    "unknown": ("unknown topic", unknown_topic),
    "auto": ("auto creation", auto_creation),
    "create": ("create topics", create_topics),
    "configs": ("configuration read and changed", configuration),
    "delete-records": ("records deleted", delete_records),
    "group": ("group: join, commit, resume", group),
    "idempotent": ("idempotent producer", idempotent),
    "acks": ("acks 0 and 1", acks),
    "reads-others": ("reads what all others wrote", None),
}
