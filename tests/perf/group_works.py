"""What a group coordinator bears, measured: one entry a kind of crowd, one run of it against one broker."""
import dataclasses
import json
import os
import subprocess
import time

from peers import ROOT
from works import Skipped, let_disk_rest, machine_seconds, tool

BENCH = os.path.join(ROOT, "build/release/tests/perf/group_bench")
PARTITIONS = 100
FIGURES = ("stable_ms", "rebalance_ms", "commits_per_second", "cpu_us_per_commit", "commit_p50", "commit_p99", "added_mib", "total_mib")


@dataclasses.dataclass
class Crowd:
    name: str
    title: str
    groups: int
    members: int  # of each
    quick: tuple  # groups and members of a rough look


CROWDS = [
    Crowd("one-group", "A group of 1,000 members", 1, 1000, (1, 1000)),
    Crowd("many-groups", "2,000 groups of one member", 2000, 1, (2000, 1)),
]


def build_client():
    subprocess.run(["ninja", "-C", os.path.join(ROOT, "build/release"), "tests/perf/group_bench"], check=True,
                   stdout=subprocess.DEVNULL)


def measure(broker, crowd, prefix, seconds):
    """Memory is looked at while the members are still there; CPU is counted over the whole run, joining included."""
    let_disk_rest()
    memory, cpu, (busy, steal), began = broker.memory_mib(), broker.cpu_seconds(), machine_seconds(), time.monotonic()
    child = subprocess.Popen(
        [BENCH, "127.0.0.1", str(broker.port), "group-bench", str(PARTITIONS), "--groups", str(crowd.groups), "--members",
         str(crowd.members), "--seconds", str(seconds), "--prefix", prefix],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline()
        if not line:
            raise Skipped(child.stderr.read().strip() or "group_bench ended")
        seen = json.loads(line)
        spent, wall = broker.cpu_seconds() - cpu, time.monotonic() - began
        busy_after, steal_after = machine_seconds()
        total = broker.memory_mib()
        return {**{key: seen[key] for key in ("stable_ms", "rebalance_ms", "commits_per_second", "commit_p50", "commit_p99")},
                "cpu_us_per_commit": spent / max(1, seen["commits"]) * 1e6, "added_mib": total - memory, "total_mib": total,
                "others_cpu": max(0.0, busy_after - busy - spent - seen["client_cpu_seconds"]) / wall,
                "steal": (steal_after - steal) / wall}
    finally:
        child.stdin.close()
        child.wait(60)


def run(brokers, rounds, quick, say, skipped, show):
    """[(title, figures, results)] for the report."""
    build_client()
    sections = []
    for broker in brokers.values():
        tool(broker, "topic", "create", "group-bench", "-p", PARTITIONS, "--if-not-exists")
        # The coordinator's own topic, and a JVM that has joined groups before.
        measure(broker, Crowd("warm-up", "", 1, 200, (1, 200)), f"warm-{time.time()}", 1 if quick else 10)
    for crowd in CROWDS:
        say(crowd.title)
        results = {name: [] for name in brokers}
        for number in range(rounds):
            order = list(brokers) if number % 2 == 0 else list(brokers)[::-1]
            for name in order:
                try:
                    figures = measure(brokers[name], crowd, f"{crowd.name}-{number}", 3 if quick else 10)
                except Skipped as why:
                    skipped.append(f"{crowd.title}, {name}: {why}")
                    continue
                results[name].append(figures)
                say(f"  {name:14} {show(FIGURES, figures)}")
        sections.append((crowd.title, FIGURES, results))
    return sections
