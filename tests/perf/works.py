"""What is measured: one entry a kind of work, and one run of it against one broker."""
import dataclasses
import json
import math
import os
import subprocess
import time

from peers import ROOT, TICKS

MILLRACE = os.path.join(ROOT, "build/release/millrace")
DERIVED = os.path.join(ROOT, "build/release/tests/perf/millrace_bench")

# How a topic is made for each contestant. Millrace's own default is durable; Kafka's is not.
VARIANTS = {
    "millrace": {},
    "millrace, os": {"durability": "os"},
    "kafka": {},
    "kafka, flush": {"flush.messages": "1"},
}
TWO = ("millrace", "kafka")
ALL = ("millrace", "kafka", "millrace, os", "kafka, flush")


@dataclasses.dataclass
class Work:
    name: str
    title: str
    kind: str                  # of `millrace bench`: produce, consume, latency; derive: of millrace_bench
    records: int
    quick_records: int
    figures: tuple             # columns of the report
    size: int = 1024
    partitions: int = 6
    options: tuple = ()
    variants: tuple = TWO


RATE = ("records_per_second", "mib_per_second", "cpu_s_per_gib", "cpu_s_per_million")
ACK = ("ack_p50", "ack_p99", "ack_p99_9", "cpu_us_per_record")
ECHO = ("e2e_p50", "e2e_p99", "e2e_p99_9", "cpu_us_per_record")

WORKS = [
    Work("produce-1k", "Produce, 1 KiB records in 16 KiB batches, acks=all, 6 partitions", "produce", 400_000, 100_000, RATE,
         options=("--batch-bytes", 16384, "--linger", 5), variants=ALL),
    Work("produce-large", "Produce, 1 KiB records in 128 KiB batches, acks=all, 6 partitions", "produce", 600_000, 150_000, RATE,
         options=("--batch-bytes", 131072, "--linger", 10), variants=ALL),
    Work("produce-100", "Produce, 100 B records in 128 KiB batches, acks=all, 6 partitions", "produce", 3_000_000, 800_000,
         RATE, size=100, options=("--batch-bytes", 131072, "--linger", 10)),
    Work("produce-zstd", "Produce, 1 KiB records in 128 KiB batches, zstd, acks=all, 6 partitions", "produce", 400_000,
         100_000, RATE, options=("--batch-bytes", 131072, "--linger", 10, "--codec", "zstd")),
    Work("produce-acks1", "Produce, 1 KiB records in 16 KiB batches, acks=1, 1 partition", "produce", 400_000, 100_000, RATE,
         partitions=1, options=("--batch-bytes", 16384, "--linger", 5, "--acks", "1")),
    Work("single", "One 100 B record a request, 5,000 requests/s (open loop), acks=all", "produce", 40_000, 15_000, ACK,
         size=100, options=("--batch-records", 1, "--linger", 0, "--rate", 5000), variants=ALL),
    Work("ping", "A 100 B record produced and consumed, one at a time, acks=all", "latency", 3_000, 1_000, ECHO, size=100,
         partitions=1, options=("--warm-up", 200), variants=ALL),
    Work("stream", "100 B records at 2,000/s (open loop) to a consumer, acks=all, 6 partitions", "latency", 16_000, 8_000, ECHO,
         size=100, options=("--rate", 2000, "--warm-up", 1600)),
    Work("consume-1k", "Consume 1 KiB records from the beginning, 6 partitions", "consume", 400_000, 100_000, RATE),
    Work("consume-100", "Consume 100 B records from the beginning, 6 partitions", "consume", 3_000_000, 800_000, RATE,
         size=100),
]


class Skipped(Exception):
    """This contestant cannot do this work, or failed at it, and why."""


def tool(broker, *arguments):
    done = subprocess.run([MILLRACE, *map(str, arguments), "-b", broker.bootstrap], capture_output=True, text=True)
    if done.returncode:
        raise Skipped(done.stderr.strip().splitlines()[0] if done.stderr else f"exit code {done.returncode}")


def make_topic(broker, topic, work, variant):
    configs = [a for key, value in VARIANTS[variant].items() for a in ("-c", f"{key}={value}")]
    tool(broker, "topic", "create", topic, "-p", work.partitions, *configs)


def bench(broker, kind, topic, records, work, options=()):
    program, form = ([DERIVED], []) if "--derived" in options else ([MILLRACE, "bench"], ["--json"])
    if kind != "consume":
        options = ("--size", work.size, *options)
    command = [*program, kind, topic, "-b", broker.bootstrap, "-n", records, *options, *form]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Skipped(f"{' '.join(map(str, command[1:]))}: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout)


def fill(broker, topic, work, variant, records):
    """Makes a topic with something to consume."""
    make_topic(broker, topic, work, variant)
    bench(broker, "produce", topic, records, work, ("--batch-bytes", 131072, "--linger", 10))


def machine_seconds():
    with open("/proc/stat") as f:
        fields = list(map(int, f.readline().split()[1:9]))
    idle, steal = fields[3] + fields[4], fields[7]
    return (sum(fields) - idle - steal) / TICKS, steal / TICKS


def let_disk_rest():
    """What was written before, by whichever broker, goes to disk now and not beside what is measured next."""
    os.sync()


class Watched:
    """What the broker and the machine do while a client's program runs: `with Watched(broker) as seen: …`. The CPU of a
    broker that runs elsewhere is not a number."""

    def __init__(self, broker):
        self.broker = broker

    def __enter__(self):
        let_disk_rest()
        self.children = os.times()
        self.cpu, (self.busy, self.steal), self.wall = self.broker.cpu_seconds(), machine_seconds(), time.monotonic()
        return self

    def __exit__(self, *_):
        time.sleep(0.3)  # what the broker still does for these records is theirs
        self.cpu = self.broker.cpu_seconds() - self.cpu
        self.wall = time.monotonic() - self.wall
        busy, steal = machine_seconds()
        self.busy, self.steal = busy - self.busy, steal - self.steal
        after = os.times()
        self.client = (after.children_user + after.children_system - self.children.children_user - self.children.children_system)

    def figures(self, seen):
        """With the machine's own, and without those that could not be had."""
        others = max(0.0, self.busy - (0 if math.isnan(self.cpu) else self.cpu) - self.client) / self.wall
        figures = {**seen, "others_cpu": others, "steal": self.steal / self.wall}
        return {key: value for key, value in figures.items() if not math.isnan(value)}


def measure(broker, topic, work, records):
    """One run; the figures of works.RATE and so on, and what else went on on the machine."""
    with Watched(broker) as watched:
        seen = bench(broker, work.kind, topic, records, work, work.options)
    cpu = watched.cpu
    # The broker worked for the warm-up, too.
    records = seen["records"] + seen["warm_up_records"]
    gib = seen["bytes"] / seen["records"] * records / 2**30
    figures = {
        "records_per_second": seen["records_per_second"],
        "mib_per_second": seen["mib_per_second"],
        "cpu_s_per_gib": cpu / gib,
        "cpu_s_per_million": cpu / records * 1e6,
        "cpu_us_per_record": cpu / records * 1e6,
    }
    for prefix, latency in (("ack", seen.get("ack_latency_us")), ("e2e", seen.get("end_to_end_latency_us"))):
        if latency:
            figures.update({f"{prefix}_{q}": latency[q] / 1000 for q in ("p50", "p99", "p99_9")})
    return watched.figures(figures)
