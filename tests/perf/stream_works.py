"""Processors inside the broker beside a Kafka Streams application on a Kafka broker: the same two pieces of work."""
import dataclasses
import itertools
import os
import queue
import subprocess
import threading
import time

from peers import ROOT, Millrace, cpu_seconds_of, memory_mib_of
from works import ACK, Skipped, Work, measure, tool

HERE = os.path.join(ROOT, "tests/perf/streams")
BUILT = os.path.join(ROOT, "build/release/tests/perf")
PARTITIONS = 6
TEMP_MIN = 20  # three quarters of the records are as warm
KEYS = 1000    # in each partition
FLOW = ("records_per_second", "cpu_s_per_million", "both_mib")
LATENCY = ("e2e_p50", "e2e_p99", "cpu_us_per_record")
PLAIN = "own-plain"
APART = "millrace, isolation = process"

BATCHES = ("--batch-bytes", 16384, "--linger", 5)
# `title` begins what the report says; `topic` is the end of the input's name.
WORKS = [
    (Work("map", "Filter and map", "derive", 1_500_000, 300_000, FLOW, size=200, options=BATCHES), "mapped"),
    (Work("count", "Count by key", "derive", 600_000, 150_000, FLOW, size=200, options=BATCHES), "counted"),
    (Work("map-latency", "Filter and map at 2,000/s (open loop), produced until the derived record is read", "latency", 20_000,
          8_000, LATENCY, size=200, options=("--rate", 2000, "--warm-up", 2000)), "mapped"),
    (Work("count-latency", "Count by key at 2,000/s (open loop), produced until the derived record is read", "latency", 20_000,
          8_000, LATENCY, size=200, options=("--rate", 2000, "--warm-up", 2000)), "counted"),
]
OVERHEAD = Work("overhead", "What an inline processor adds to produce: one 100 B record a request, 3,000/s (open loop), acks=all",
                "produce", 24_000, 9_000, ACK, size=100, options=("--batch-records", 1, "--linger", 0, "--rate", 3000))


def build():
    targets = [f"tests/perf/{name}" for name in ("millrace_bench", "mapper.so", "counter.so")]
    subprocess.run(["ninja", "-C", os.path.join(ROOT, "build/release"), *targets], check=True, stdout=subprocess.DEVNULL)


def processor(name, library, source, output, isolation):
    """A mapper or a counter in a broker's configuration."""
    return f"""
[[processor]]
name = "{name}"
library = "{BUILT}/{library}.so"
input = "{source}"
outputs = {{ out = "{output}" }}
isolation = "{isolation}"
{f'config = {{ temp_min = "{TEMP_MIN}" }}' if library == "mapper" else ""}
"""


def config(isolation):
    """The processors of the broker that runs them, with Streams' topic names."""
    return "".join(processor(name, name, f"own-{topic}", f"own-{topic}-out", isolation)
                   for name, topic in (("mapper", "mapped"), ("counter", "counted")))


class Pipeline:
    """A broker and whatever else takes part in the work; what works.measure() asks of a broker."""

    def __init__(self, broker, prefix, application=None):
        self.broker, self.prefix, self.application = broker, prefix, application

    @property
    def bootstrap(self):
        return self.broker.bootstrap

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


def start_own(directory, isolation):
    """A Millrace with the processors, and its topics."""
    directory = os.path.join(directory, isolation)
    os.makedirs(directory)
    path = os.path.join(directory, "millrace.toml")
    with open(path, "w") as f:
        f.write(config(isolation))
    own = Millrace(directory, config=path)
    own.start()
    for topic in ("own-mapped", "own-counted", PLAIN):
        tool(own, "topic", "create", topic, "-p", PARTITIONS)
    return own


def start_streams(broker, directory, classpath, prefix, guarantee):
    for topic in ("mapped", "counted"):
        for name in (f"{prefix}-{topic}", f"{prefix}-{topic}-out"):
            tool(broker, "topic", "create", name, "-p", PARTITIONS)
    with open(os.path.join(directory, f"{prefix}.log"), "wb") as log:
        application = subprocess.Popen(
            ["java", "-Xmx1g", "-cp", f"{directory}:{classpath}", "StreamsApp", broker.bootstrap, guarantee, prefix, str(TEMP_MIN),
             os.path.join(directory, prefix)], stdout=subprocess.PIPE, stderr=log, text=True)
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


def for_pipeline(work, topic, pipeline):
    options = work.options + ("--derived", f"{pipeline.prefix}-{topic}-out")
    options += ("--passing", TEMP_MIN) if topic == "mapped" else ("--keys", KEYS)
    return dataclasses.replace(work, options=options)


def run_one(work, topic, pipeline, records):
    figures = measure(pipeline, f"{pipeline.prefix}-{topic}", for_pipeline(work, topic, pipeline), records)
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
    """[(title, figures, results)] for the report."""
    build()
    directory = os.path.join(directory, "streams")
    os.makedirs(directory)
    script = os.path.join(ROOT, "tests/peers/kafka/kafka")
    classpath = subprocess.run([script, "streams-classpath"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["javac", "-cp", classpath, "-d", directory, os.path.join(HERE, "StreamsApp.java")], check=True)
    brokers = {}
    pipelines = {}
    try:
        for name, isolation in (("millrace", "inline"), (APART, "process")):
            brokers[name] = start_own(directory, isolation)
        own = brokers["millrace"]
        pipelines["millrace"] = Pipeline(own, "own")
        for name, prefix, guarantee in (("kafka + streams", "alo", "at_least_once"),
                                        ("kafka + streams, exactly_once_v2", "eos", "exactly_once_v2")):
            try:
                pipelines[name] = start_streams(kafka, directory, classpath, prefix, guarantee)
            except Skipped as why:
                skipped.append(f"{name}: {why}")
        pipelines[APART] = Pipeline(brokers[APART], "own")  # last: the report compares the first two
        for name, pipeline in pipelines.items():
            seconds = min(warm_up_s, 10) if name in brokers else warm_up_s
            say(f"warming {name} for {seconds} s")
            warm_up(pipeline, seconds)
        sections = []
        for work, topic in WORKS:
            records = work.quick_records if quick else work.records
            sections.append(compare(work, pipelines, rounds, say, skipped, show,
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
    while time.monotonic() < until:
        for work, topic in WORKS:
            if time.monotonic() < until:
                run_one(work, topic, pipeline, 50_000 if work.kind == "derive" else 2_000)
