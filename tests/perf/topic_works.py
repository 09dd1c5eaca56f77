"""What many partitions, much data, compaction and more shards cost, measured: a kind of work a function, each on brokers of
its own."""
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import works
from peers import Kafka, Millrace
from report import Series
from works import Skipped, Work, tool

TITLES = {"partitions": "1,000 and 10,000 partitions", "restart": "Restart after kill -9 with 1, 10 and 50 GiB in 5,000 partitions",
          "catch-up": "Reading 1, 10 and 50 GiB from the beginning, out of the page cache and from the disk",
          "compaction": "Compaction, and produce meanwhile", "shards": "Produce by number of shards"}
NAMES = tuple(TITLES)
LOG_MIB = (10 * 1024, 1024, 50 * 1024)  # what a log holds when it is restarted on or read; targets are about the first
QUICK_MIB = (512, 64)
TOPIC_PARTITIONS = 1000  # of each topic, where there are several
BULK = ("--batch-bytes", 131072, "--linger", 10)
MANY = ("create_ms", "created_mib", "produced_mib", "stop_ms", "restart_ms", "restarted_mib")
RESTART = ("fill_mib_per_second", "restart_ms", "served_ms", "restart_cpu_s", "restarted_mib")
COMPACTION = ("compacted_mib_per_second", "compaction_cpu_s_per_gib", "alone_p50", "alone_p99", "meanwhile_p50", "meanwhile_p99")
# Soon after it is due, on both; everything else is their own default.
CLEANER = ["log.cleaner.backoff.ms=100"]
BROKERS = {"millrace": Millrace, "kafka": Kafka}


@contextlib.contextmanager
def running(name, directory, settings=()):
    """A broker of its own, gone with its data afterwards."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="topics-") as own:
        broker = BROKERS[name](own, list(settings))
        works.let_disk_rest()
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


def create(broker, partitions):
    """Topics that have so many partitions together; their names."""
    names = []
    while partitions > 0:
        size = min(partitions, TOPIC_PARTITIONS)
        names.append(f"many-{len(names)}")
        tool(broker, "topic", "create", names[-1], "-p", size)
        partitions -= size
    return names


def fill(broker, topics, records, size):
    """So many records into each."""
    for topic in topics:
        works.bench(broker, "produce", topic, records, Work("", "", "produce", 0, 0, (), size=size), BULK)


def milliseconds(step, *arguments):
    began = time.monotonic()
    step(*arguments)
    return (time.monotonic() - began) * 1000


def many_partitions(name, directory, partitions):
    with running(name, directory) as broker:
        began = time.monotonic()
        topics = create(broker, partitions)
        figures = {"create_ms": (time.monotonic() - began) * 1000, "created_mib": broker.memory_mib()}
        fill(broker, topics, 100_000, 100)
        figures["produced_mib"] = broker.memory_mib()
        figures["stop_ms"] = milliseconds(broker.stop)
        figures["restart_ms"] = broker.start() * 1000
        figures["restarted_mib"] = broker.memory_mib()
        return figures


def restarts(name, directory, partitions, mib, rounds):
    """Fills it once; each round then adds a little, kills it, and counts until it answers, and until it serves every topic."""
    runs = []
    with running(name, directory) as broker:
        topics = create(broker, partitions)
        began = time.monotonic()
        fill(broker, topics, mib * 1024 // len(topics), 1024)
        rate = mib / (time.monotonic() - began)
        for _ in range(rounds):
            works.let_disk_rest()
            fill(broker, topics, 20_000, 1024)
            broker.kill()
            began = time.monotonic()
            broker.start()
            answered = time.monotonic()
            for topic in topics:
                tool(broker, "topic", "describe", topic)
            runs.append({"fill_mib_per_second": rate, "restart_ms": (answered - began) * 1000,
                         "served_ms": (time.monotonic() - began) * 1000, "restart_cpu_s": broker.cpu_seconds(),
                         "restarted_mib": broker.memory_mib()})
    return runs


def log_sizes(directory, quick, skipped):
    """In MiB, as far as the disk has room: the data, a log that is written ahead of it, and what others need."""
    free_mib = shutil.disk_usage(directory).free >> 20
    sizes = QUICK_MIB if quick else LOG_MIB
    for mib in sizes:
        if mib * 1.2 > free_mib:
            skipped.append(f"a log of {mib / 1024:g} GiB: the disk under {directory} has {free_mib / 1024:.0f} GiB left")
    return [mib for mib in sizes if mib * 1.2 <= free_mib]


def drop_page_cache():
    works.let_disk_rest()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("1")
    except OSError as why:
        raise Skipped(f"a cold read needs the right to empty the page cache: {why}") from why


def catch_up(name, directory, mib, rounds, prepare):
    """Readers of a whole topic, one after another; `prepare` is called before each."""
    work = Work("", "", "consume", 0, 0, ())
    with running(name, directory) as broker:
        works.fill(broker, "history", work, name, mib * 1024)
        runs = []
        for _ in range(rounds):
            prepare()
            runs.append(works.measure(broker, "history", work, mib * 1024))
        return runs


def log_bytes(broker, topic):
    total = 0
    for partition in os.listdir(os.path.join(broker.directory, "data")):
        if partition.rsplit("-", 1)[0] != topic:
            continue
        with contextlib.suppress(FileNotFoundError):  # files go while this looks
            with os.scandir(os.path.join(broker.directory, "data", partition)) as files:
                total += sum(f.stat().st_size for f in files if f.name.endswith(".log"))
    return total


def wait_for_compaction(broker, topic, before):
    """Seconds until the log has become smaller and then not changed for three seconds; that wait is not counted."""
    began = changed = time.monotonic()
    last = before
    while time.monotonic() - changed < 3 or last >= before:
        if time.monotonic() - began > 900:
            raise Skipped("it was not compacted in 15 minutes")
        time.sleep(0.02)
        now = log_bytes(broker, topic)
        if now != last:
            last, changed = now, time.monotonic()
    return changed - began


def compaction(name, directory, mib):
    """A log that is all dirty becomes due at once, while another topic is written to at a steady rate."""
    steady = Work("", "", "produce", 0, 0, (), size=100)
    pace = ("--batch-records", 1, "--linger", 0, "--rate", 1000)
    with running(name, directory, CLEANER) as broker:
        tool(broker, "topic", "create", "steady", "-p", 1)
        tool(broker, "topic", "create", "dirty", "-p", 1, "-c", "cleanup.policy=compact", "-c", "segment.bytes=16777216",
             "-c", "min.compaction.lag.ms=86400000")
        works.bench(broker, "produce", "steady", 5_000, steady, pace)
        works.bench(broker, "produce", "dirty", mib * 1024, Work("", "", "produce", 0, 0, (), size=1000),
                    (*BULK, "--keys", 20_000))
        works.let_disk_rest()
        alone = works.bench(broker, "produce", "steady", 10_000, steady, pace)["ack_latency_us"]
        before, cpu, seen = log_bytes(broker, "dirty"), broker.cpu_seconds(), {}

        def load():  # goes on for as long as compaction does, at least
            with contextlib.suppress(Skipped):
                seen.update(works.bench(broker, "produce", "steady", 10_000, steady, pace)["ack_latency_us"])
        tool(broker, "config", "set", "topic:dirty", "min.compaction.lag.ms=0", "min.cleanable.dirty.ratio=0.01")
        thread = threading.Thread(target=load)
        thread.start()
        try:
            seconds = wait_for_compaction(broker, "dirty", before)
        finally:
            thread.join()
        return {"compacted_mib_per_second": before / 2**20 / seconds,
                "compaction_cpu_s_per_gib": (broker.cpu_seconds() - cpu) / (before / 2**30),
                **{f"alone_{q}": alone[q] / 1000 for q in ("p50", "p99")},
                **{f"meanwhile_{q}": seen[q] / 1000 for q in ("p50", "p99") if q in seen}}


def by_shards(directory, rounds, quick, say, skipped, show):
    """Series: as many shards as there are cores, by powers of two; clients enough for all of them."""
    keys = ("records_per_second", "cpu_s_per_gib")
    work = Work("", "", "produce", 0, 0, (), options=("--batch-bytes", 16384, "--linger", 5, "--clients", 4))
    most = len(os.sched_getaffinity(0))
    points = sorted({*(2**n for n in range(most.bit_length()) if 2**n <= most), most})
    say(TITLES["shards"])
    rows = []
    for shards in points:
        runs = []
        for _ in range(rounds):
            with running("millrace", directory, [f"shards={shards}"]) as broker:
                works.make_topic(broker, "spread", work, "millrace")
                try:
                    runs.append(works.measure(broker, "spread", work, 100_000 if quick else 400_000))
                except Skipped as why:
                    skipped.append(f"{shards} shards: {why}")
                    continue
                say(f"  {shards:>9,} {show(keys, runs[-1])}")
        rows.append((shards, {"millrace": runs}))
    return Series("shards", TITLES["shards"], "shards", keys, "records_per_second", rows)


def run(only, directory, rounds, quick, say, skipped, show):
    """[(title, figures, results) or Series] for the report."""
    sections = []

    def section(title, keys, measure):
        say(title)
        results = {}
        for name in BROKERS:
            try:
                results[name] = measure(name)
            except (Skipped, RuntimeError, subprocess.SubprocessError) as why:
                skipped.append(f"{title}, {name}: {why}")
                continue
            for figures in results[name]:
                say(f"  {name:14} {show([k for k in keys if k in figures], figures)}")
        sections.append((title, keys, results))

    if "partitions" in only:
        for count in (100, 1000) if quick else (1000, 5000, 10_000):
            section(f"{count:,} partitions: made, 100,000 records of 100 B for every {TOPIC_PARTITIONS:,} of them, stopped, started", MANY,
                    lambda name, n=count: [many_partitions(name, directory, n) for _ in range(1 if n == 10_000 else rounds)])
    if "restart" in only:
        partitions = 200 if quick else 5000
        for mib in log_sizes(directory, quick, skipped):
            section(f"Restart after kill -9: {mib / 1024:g} GiB in {partitions:,} partitions, records of 1 KiB", RESTART,
                    lambda name, m=mib: restarts(name, directory, partitions, m, rounds))
    if "catch-up" in only:
        for mib, (how, prepare) in itertools.product(log_sizes(directory, quick, skipped),
                                                     (("warm", lambda: None), ("cold", drop_page_cache))):
            section(f"Catch-up, {how}: {mib / 1024:g} GiB of 1 KiB records read from the beginning, 6 partitions", works.RATE,
                    lambda name, m=mib, p=prepare: catch_up(name, directory, m, rounds, p))
    if "compaction" in only:
        mib = 128 if quick else 2048
        section(f"Compaction of {mib:,} MiB with 20,000 keys; acknowledgements of 1,000 single records/s to another topic", COMPACTION,
                lambda name: [compaction(name, directory, mib) for _ in range(rounds)])
    if "shards" in only:
        sections.append(by_shards(directory, rounds, quick, say, skipped, show))
    return sections
