"""Processors inside the broker beside a Kafka Streams application on a Kafka broker: the same pieces of work, and how what they
cost grows with the number of keys."""
import dataclasses
import itertools
import os
import queue
import subprocess
import threading
import time

from peers import ROOT, Millrace, cpu_seconds_of, memory_mib_of
from report import Series
from works import ACK, Skipped, Work, bench, measure, tool

HERE = os.path.join(ROOT, "tests/perf/streams")
BUILT = os.path.join(ROOT, "build/release/tests/perf")
PARTITIONS = 6
TEMP_MIN = 20  # three quarters of the records are as warm
KEYS = 1000    # in each partition
FLOW = ("records_per_second", "cpu_s_per_million", "both_mib")
LATENCY = ("e2e_p50", "e2e_p99", "cpu_us_per_record")
PLAIN = "own-plain"
TABLE = "own-table"
APART = "millrace, isolation = process"
STREAMS = "kafka + streams"
# What each library does, from a topic of that name to NAME-out.
LIBRARIES = {"mapped": "mapper", "counted": "counter", "windowed": "windower", "joined": "joiner"}
NOT_APART = ("joined",)  # several inputs: inline only

BATCHES = ("--batch-bytes", 16384, "--linger", 5)
# `title` begins what the report says; `topic` is the end of the input's name.
WORKS = [
    (Work("map", "Filter and map", "derive", 1_500_000, 300_000, FLOW, size=200, options=BATCHES), "mapped"),
    (Work("count", "Count by key", "derive", 600_000, 150_000, FLOW, size=200, options=BATCHES), "counted"),
    (Work("map-latency", "Filter and map at 2,000/s (open loop), produced until the derived record is read", "latency", 20_000,
          8_000, LATENCY, size=200, options=("--rate", 2000, "--warm-up", 2000)), "mapped"),
    (Work("windows", "Windowed count by key, a minute each", "derive", 600_000, 150_000, FLOW, size=200, options=BATCHES), "windowed"),
    (Work("join", "Join with a table by key", "derive", 600_000, 150_000, FLOW, size=200, options=BATCHES), "joined"),
    (Work("count-latency", "Count by key at 2,000/s (open loop), produced until the derived record is read", "latency", 20_000,
          8_000, LATENCY, size=200, options=("--rate", 2000, "--warm-up", 2000)), "counted"),
]
OVERHEAD = Work("overhead", "What an inline processor adds to produce: one 100 B record a request, 3,000/s (open loop), acks=all",
                "produce", 24_000, 9_000, ACK, size=100, options=("--batch-records", 1, "--linger", 0, "--rate", 3000))


# How it grows: counts by so many keys. What is counted there once more has been counted before.
BY_KEYS = "Count by key, by number of keys"
GROWTH = ("cpu_s_per_million", "records_per_second", "bytes_per_key")
POINTS = {False: (1_000, 10_000, 100_000, 1_000_000, 10_000_000), True: (1_000, 10_000, 100_000, 1_000_000)}  # by --quick
COUNTED = Work("keys", BY_KEYS, "derive", 600_000, 150_000, GROWTH, size=100, options=BATCHES)
MANY_KEYS = 100_000  # from so many on their memory stands out of what else grows


def build():
    targets = [f"tests/perf/{name}" for name in ("millrace_bench", *(f"{library}.so" for library in LIBRARIES.values()))]
    subprocess.run(["ninja", "-C", os.path.join(ROOT, "build/release"), *targets], check=True, stdout=subprocess.DEVNULL)


def processor(name, library, source, output, isolation):
    """One of them in a broker's configuration."""
    return f"""
[[processor]]
name = "{name}"
library = "{BUILT}/{library}.so"
{f'inputs = {{ records = "{source}", table = "{TABLE}" }}' if library == "joiner" else f'input = "{source}"'}
outputs = {{ out = "{output}" }}
isolation = "{isolation}"
state_bytes_max = {4 << 30}
{f'config = {{ temp_min = "{TEMP_MIN}" }}' if library == "mapper" else ""}
"""


def config(topics, isolation):
    """The processors of the broker that runs them, with Streams' topic names."""
    return "".join(processor(topic, LIBRARIES[topic.partition("-")[0]], f"own-{topic}", f"own-{topic}-out", isolation)
                   for topic in topics)


class Pipeline:
    """A broker and whatever else takes part in the work; what works.measure() asks of a broker."""

    def __init__(self, broker, prefix, application=None, is_apart=False):
        self.broker, self.prefix, self.application, self.is_apart = broker, prefix, application, is_apart

    @property
    def bootstrap(self):
        return self.broker.bootstrap

    def does(self, topic):
        return not self.is_apart or topic not in NOT_APART

    def cpu_seconds(self):
        return self.broker.cpu_seconds() + (cpu_seconds_of(self.application.pid) if self.application else 0)

    def memory_mib(self):
        return self.broker.memory_mib() + (memory_mib_of(self.application.pid) if self.application else 0)

    def stop(self):
        if self.application:
            self.application.terminate()
            try:
                self.application.wait(30)
            except subprocess.TimeoutExpired:
                self.application.kill()
                self.application.wait()


def make_table(broker, topic):
    """A topic that has each key of the works."""
    tool(broker, "topic", "create", topic, "-p", PARTITIONS)
    work = Work("table", "", "produce", 0, 0, (), size=200, options=(*BATCHES, "--keys", KEYS))
    # Whole batches go round the partitions; the last round need not be complete.
    bench(broker, "produce", topic, 2 * PARTITIONS * KEYS, work, work.options)


def start_own(directory, name, topics, isolation="inline"):
    """A Millrace with the processors, and its topics."""
    directory = os.path.join(directory, name)
    os.makedirs(directory)
    path = os.path.join(directory, "millrace.toml")
    with open(path, "w") as f:
        f.write(config(topics, isolation))
    own = Millrace(directory, config=path)
    own.start()
    for topic in topics:
        tool(own, "topic", "create", f"own-{topic}", "-p", PARTITIONS)
    if "joined" in topics:
        make_table(own, TABLE)
    return own


def start_streams(broker, directory, classpath, prefix, guarantee, topics):
    for topic in topics:
        for name in (f"{prefix}-{topic}", f"{prefix}-{topic}-out"):
            tool(broker, "topic", "create", name, "-p", PARTITIONS)
    if "joined" in topics:
        make_table(broker, f"{prefix}-table")
    with open(os.path.join(directory, f"{prefix}.log"), "wb") as log:
        application = subprocess.Popen(
            ["java", "-Xmx1g", "-cp", f"{directory}:{classpath}", "StreamsApp", broker.bootstrap, guarantee, prefix, str(TEMP_MIN),
             os.path.join(directory, prefix), *topics], stdout=subprocess.PIPE, stderr=log, text=True)
    lines = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in itertools.chain(application.stdout, [""])], daemon=True).start()
    running = Pipeline(broker, prefix, application)
    # `running` is printed on its own line; a library may print others before it.
    for line in iter(lambda: next_line(lines), ""):
        if line.strip() == "running":
            return running
    running.stop()
    raise Skipped(f"the Streams application did not start; see {directory}/{prefix}.log")


def next_line(lines):
    try:
        return lines.get(timeout=90)
    except queue.Empty:
        return ""


def run_one(work, topic, pipeline, records, keys=KEYS):
    options = work.options + ("--derived", f"{pipeline.prefix}-{topic}-out")
    options += ("--passing", TEMP_MIN) if topic == "mapped" else ("--keys", keys)
    figures = measure(pipeline, f"{pipeline.prefix}-{topic}", dataclasses.replace(work, options=options), records)
    return {**figures, "both_mib": pipeline.memory_mib()}


def compare(work, contestants, rounds, say, skipped, show, run_round):
    """{contestant: [figures, …]}, in alternation."""
    say(work.title)
    results = {name: [] for name in contestants}
    for number in range(rounds):
        for name in list(contestants) if number % 2 == 0 else list(contestants)[::-1]:
            try:
                figures = run_round(name)
            except Skipped as why:
                skipped.append(f"{work.title}, {name}: {why}")
                continue
            results[name].append(figures)
            say(f"  {name:36} {show(work.figures, figures)}")
    return work.title, work.figures, results


def run(directory, kafka, rounds, quick, warm_up_s, say, skipped, show):
    """[(title, figures, results) or Series] for the report."""
    build()
    directory = os.path.join(directory, "streams")
    os.makedirs(directory)
    script = os.path.join(ROOT, "tests/peers/kafka/kafka")
    classpath = subprocess.run([script, "streams-classpath"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["javac", "-cp", classpath, "-d", directory, os.path.join(HERE, "StreamsApp.java")], check=True)
    return [*side_by_side(directory, classpath, kafka, rounds, quick, warm_up_s, say, skipped, show),
            *by_keys(directory, classpath, kafka, rounds, quick, say, skipped, show)]


def side_by_side(directory, classpath, kafka, rounds, quick, warm_up_s, say, skipped, show):
    """The works, with each of the ways to do them."""
    brokers = {}
    pipelines = {}
    try:
        brokers["millrace"] = own = start_own(directory, "inline", LIBRARIES)
        tool(own, "topic", "create", PLAIN, "-p", PARTITIONS)
        brokers[APART] = start_own(directory, "process", [topic for topic in LIBRARIES if topic not in NOT_APART], "process")
        pipelines["millrace"] = Pipeline(own, "own")
        for name, prefix, guarantee in ((STREAMS, "alo", "at_least_once"),
                                        (f"{STREAMS}, exactly_once_v2", "eos", "exactly_once_v2")):
            try:
                pipelines[name] = start_streams(kafka, directory, classpath, prefix, guarantee, LIBRARIES)
            except Skipped as why:
                skipped.append(f"{name}: {why}")
        pipelines[APART] = Pipeline(brokers[APART], "own", is_apart=True)  # last: the report compares the first two
        for name, pipeline in pipelines.items():
            seconds = min(warm_up_s, 10) if name in brokers else warm_up_s
            say(f"warming {name} for {seconds} s")
            warm_up(pipeline, seconds)
        sections = []
        for work, topic in WORKS:
            records = work.quick_records if quick else work.records
            able = {name: one for name, one in pipelines.items() if one.does(topic)}
            sections.append(compare(work, able, rounds, say, skipped, show,
                                    lambda name: run_one(work, topic, pipelines[name], records)))
        topics = {"millrace": "own-mapped", "no processor": PLAIN}
        sections.append(compare(OVERHEAD, topics, rounds, say, skipped, show, lambda name: measure(
            own, topics[name], OVERHEAD, OVERHEAD.quick_records if quick else OVERHEAD.records)))
        return sections
    finally:
        for pipeline in pipelines.values():
            pipeline.stop()
        for broker in brokers.values():
            broker.stop()


def warm_up(pipeline, seconds):
    until = time.monotonic() + seconds
    able = [(work, topic) for work, topic in WORKS if pipeline.does(topic)]
    while time.monotonic() < until:
        for work, topic in able:
            if time.monotonic() < until:
                run_one(work, topic, pipeline, 50_000 if work.kind == "derive" else 2_000)


def by_keys(directory, classpath, kafka, rounds, quick, say, skipped, show):
    """[Series]: a topic for each number of keys, all of which come once before anything is measured."""
    say(BY_KEYS)
    points = POINTS[quick]
    topics = [f"counted-{keys}" for keys in points]
    own = start_own(directory, "keys", topics)
    pipelines = {"millrace": Pipeline(own, "own")}
    rows = []
    try:
        try:
            pipelines[STREAMS] = start_streams(kafka, directory, classpath, "keys", "at_least_once", topics)
        except Skipped as why:
            skipped.append(f"{BY_KEYS}, {STREAMS}: {why}")
        for name, pipeline in pipelines.items():  # caches and compilers have what they need before memory counts
            run_one(COUNTED, topics[0], pipeline, MANY_KEYS, points[0] // PARTITIONS)
        for keys, topic in zip(points, topics):
            results = {}
            for name, pipeline in pipelines.items():
                try:
                    results[name] = count_keys(pipeline, topic, keys, rounds, quick)
                except Skipped as why:
                    skipped.append(f"{BY_KEYS}, {keys:,}, {name}: {why}")
                    continue
                say(f"  {keys:>10,} {name:16} {show(GROWTH, results[name][-1])}")
            rows.append((keys, results))
    finally:
        for pipeline in pipelines.values():
            pipeline.stop()
        own.stop()
    return [Series("keys", BY_KEYS, "keys", GROWTH, "cpu_s_per_million", rows)]


def count_keys(pipeline, topic, keys, rounds, quick):
    each = keys // PARTITIONS
    before = pipeline.memory_mib()
    run_one(COUNTED, topic, pipeline, keys, each)
    added = {"bytes_per_key": max(pipeline.memory_mib() - before, 0) * 2**20 / keys} if keys >= MANY_KEYS else {}
    records = COUNTED.quick_records if quick else COUNTED.records
    return [{**run_one(COUNTED, topic, pipeline, records, each), **added} for _ in range(rounds)]
