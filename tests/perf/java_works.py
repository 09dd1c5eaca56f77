"""Kafka's own programs, ProducerPerformance and EndToEndLatency, with the Java client's defaults, on both brokers."""
import os
import re
import subprocess

from growth_works import each_round
from peers import ROOT
from works import Skipped, Watched, tool

SCRIPT = os.path.join(ROOT, "tests/peers/kafka/kafka")
PRODUCE = ("records_per_second", "mib_per_second", "cpu_s_per_gib", "cpu_s_per_million", "ack_p50", "ack_p99")
ECHO = ("e2e_mean", "e2e_whole_p99")
SIZE = 1024
# What ProducerPerformance does first, and leaves out of its last line.
WARM_UP = 100_000
# 99th percentile in whole milliseconds: EndToEndLatency tells no more.
ECHO_LINES = re.compile(r"Avg latency: ([\d.]+) ms\s+Percentiles: 50th = \d+, 99th = (\d+)")
PRODUCE_LINE = re.compile(r"steady state records sent, ([\d.]+) records/sec \(([\d.]+) MB/sec\).*, (\d+) ms 50th, .* (\d+) ms 99th")


def program(name, pattern, *arguments):
    """What its pattern finds in what it prints, as numbers."""
    done = subprocess.run([SCRIPT, "run", f"org.apache.kafka.tools.{name}", *map(str, arguments)], capture_output=True, text=True,
                          timeout=600)
    found = pattern.search(done.stdout)
    if done.returncode or not found:
        raise Skipped(f"{name}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]}")
    return list(map(float, found.groups()))


def produce(broker, topic, records):
    tool(broker, "topic", "create", topic, "-p", 6)
    try:
        with Watched(broker) as seen:
            rate, mib, p50, p99 = program(
                "ProducerPerformance", PRODUCE_LINE, "--bootstrap-server", broker.bootstrap, "--topic", topic, "--num-records",
                records + WARM_UP, "--warmup-records", WARM_UP, "--record-size", SIZE, "--throughput", -1, "--command-property",
                "acks=all")
    finally:
        tool(broker, "topic", "delete", topic, "--yes")
    millions = (records + WARM_UP) / 1e6
    return seen.figures({"records_per_second": rate, "mib_per_second": mib, "ack_p50": p50, "ack_p99": p99,
                         "cpu_s_per_million": seen.cpu / millions, "cpu_s_per_gib": seen.cpu / millions / SIZE * 2**30 / 1e6})


def echo(broker, topic, records):
    tool(broker, "topic", "create", topic, "-p", 1)
    try:
        with Watched(broker) as seen:
            mean, p99 = program("EndToEndLatency", ECHO_LINES, broker.bootstrap, topic, records, "all", 100)
    finally:
        tool(broker, "topic", "delete", topic, "--yes")
    return seen.figures({"e2e_mean": mean, "e2e_whole_p99": p99})


WORKS = [
    ("ProducerPerformance (Java): 1 KiB records, acks=all, 6 partitions, its client's defaults", PRODUCE, produce, (400_000, 100_000)),
    ("EndToEndLatency (Java): a 100 B record produced and consumed, one at a time, acks=all", ECHO, echo, (10_000, 3_000)),
]


def run(brokers, rounds, quick, say, skipped, show):
    """[(title, figures, results)] for the report."""
    sections = []
    for title, keys, measure, records in WORKS:
        say(title)

        def once(broker, number):
            figures = measure(broker, f"java-{measure.__name__}-{number}", records[quick])
            say(f"  {broker.name:14} {show(keys, figures)}")
            return figures
        sections.append((title, keys, each_round(brokers, rounds, once, skipped, title)))
    return sections
