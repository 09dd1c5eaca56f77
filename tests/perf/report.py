"""docs/performance.md out of measured figures, or docs/performance-WORK.md where only some work was measured. Nothing in
those files is written by hand."""
import dataclasses
import datetime
import os
import platform
import re
import statistics
import subprocess

import plots
import targets
from peers import ROOT, Kafka


# key: (title, digits, whether more is better)
FIGURES = {
    "records_per_second": ("records/s", 0, True),
    "mib_per_second": ("MiB/s", 1, True),
    "cpu_s_per_gib": ("CPU-s per GiB", 2, False),
    "cpu_s_per_million": ("CPU-s per million records", 2, False),
    "cpu_us_per_record": ("CPU µs per record", 1, False),
    "ack_p50": ("ack p50 ms", 2, False),
    "ack_p99": ("ack p99 ms", 2, False),
    "ack_p99_9": ("ack p99.9 ms", 2, False),
    "e2e_p50": ("end to end p50 ms", 2, False),
    "e2e_p99": ("end to end p99 ms", 2, False),
    "e2e_p99_9": ("end to end p99.9 ms", 2, False),
    "e2e_mean": ("end to end mean ms", 2, False),
    "e2e_whole_p99": ("end to end p99 ms, as whole milliseconds", 0, False),
    "client_cpu_s_per_gib": ("CPU-s of the program per GiB", 2, False),
    "stable_ms": ("until every member has its assignment, ms", 0, False),
    "rebalance_ms": ("rebalance when one more joins, ms", 0, False),
    "commits_per_second": ("commits/s", 0, True),
    "cpu_us_per_commit": ("CPU µs per commit, joining included", 1, False),
    "commit_p50": ("commit p50 ms", 2, False),
    "commit_p99": ("commit p99 ms", 2, False),
    "added_mib": ("resident memory added, MiB", 1, False),
    "total_mib": ("resident memory then, MiB", 0, False),
    "both_mib": ("resident memory, application included, MiB", 0, False),
    "create_ms": ("until all are made, ms", 0, False),
    "created_mib": ("resident memory when they are made, MiB", 0, False),
    "produced_mib": ("resident memory when they were written to, MiB", 0, False),
    "stop_ms": ("orderly stop, ms", 0, False),
    "restart_ms": ("start to first answer, ms", 0, False),
    "served_ms": ("start until every topic is described with its offsets, ms", 0, False),
    "restart_cpu_s": ("CPU-s until then", 2, False),
    "restarted_mib": ("resident memory after the start, MiB", 0, False),
    "fill_mib_per_second": ("MiB/s when filled", 0, True),
    "compacted_mib_per_second": ("MiB/s, of the log as it was", 1, True),
    "compaction_cpu_s_per_gib": ("CPU-s per GiB, the other topic included", 2, False),
    "alone_p50": ("ack p50 without it, ms", 2, False),
    "alone_p99": ("ack p99 without it, ms", 2, False),
    "meanwhile_p50": ("ack p50 meanwhile, ms", 2, False),
    "meanwhile_p99": ("ack p99 meanwhile, ms", 2, False),
    "start_ms": ("start to first answer, ms", 1, False),
    "idle_mib": ("resident memory idle, MiB", 1, False),
    "idle_cpu_ms": ("CPU ms per idle second", 2, False),
    "kib_per_connection": ("memory per connection, KiB", 1, False),
    "bytes_per_key": ("memory added per key, bytes", 0, False),
    "peak_mib": ("peak resident memory in this run, MiB", 0, False),
}


def number(value, digits):
    if value < 10 ** -digits and value > 0:  # too small for its column: two significant digits
        return f"{value:.2g}"
    return f"{value:,.{digits}f}"


def cell(values, digits):
    """Median, and the spread under it."""
    if not values:
        return "–"
    text = f"**{number(statistics.median(values), digits)}**"
    if len(values) > 1:
        text += f" ({number(min(values), digits)}–{number(max(values), digits)})"
    return text


def ratio(ours, theirs, more_is_better):
    if not ours or not theirs or not statistics.median(ours) or not statistics.median(theirs):
        return "–"
    r = statistics.median(ours) / statistics.median(theirs)
    better = (r >= 1) == more_is_better
    return f"**{targets.times(r)}**" if better else targets.times(r)


def peer_of(contestants):
    """Which of them `millrace` is compared with: Kafka, or what comes second."""
    return "kafka" if "kafka" in contestants else (contestants + ["kafka"])[1]


def table(keys, results):
    """`results`: {contestant: [figures of a run, …]}; a column each, and the ratio of the first to its peer."""
    contestants = list(results)
    against = peer_of(contestants)
    lines = ["| | " + " | ".join(contestants) + f" | millrace : {against} |",
             "|---|" + "---:|" * (len(contestants) + 1)]
    for key in keys:
        title, digits, more = FIGURES[key]
        values = {c: [run[key] for run in results[c] if key in run] for c in contestants}
        if not any(values.values()):
            continue
        cells = [cell(values[c], digits) for c in contestants]
        arrow = "↑" if more else "↓"
        lines.append(f"| {title} {arrow} | " + " | ".join(cells) +
                     f" | {ratio(values.get('millrace'), values.get(against), more)} |")
    return "\n".join(lines)


@dataclasses.dataclass
class Series:
    """The same work at several points of an axis: a table with a line a point, and a plot of one figure."""
    name: str
    title: str
    axis: str
    keys: tuple
    plotted: str
    rows: list  # [(point, {contestant: [figures of a run, …]})]


def tables_of(section):
    """[(title, results)] of a section, whatever its kind."""
    if isinstance(section, Series):
        return [(f"{section.title}: {point:,}", results) for point, results in section.rows]
    return [(section[0], section[2])]


def series_table(series):
    contestants = list(dict.fromkeys(c for _, results in series.rows for c in results))
    last = ["ratio"] if len(contestants) > 1 else []
    heads = []
    for key in series.keys:
        title, _, more = FIGURES[key]
        heads += [f"{title} {'↑' if more else '↓'} {c}" for c in contestants] + last
    lines = [f"| {series.axis} | " + " | ".join(heads) + " |", "|---:|" + "---:|" * len(heads)]
    for point, results in series.rows:
        cells = []
        for key in series.keys:
            _, digits, more = FIGURES[key]
            values = {c: [run[key] for run in results.get(c, []) if key in run] for c in contestants}
            cells += [cell(values[c], digits) for c in contestants]
            if last:
                cells.append(ratio(values.get("millrace"), values.get(peer_of(contestants)), more))
        lines.append(f"| {point:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def series_text(series, path):
    """The section of a series; draws its plot beside the report."""
    image = f"{os.path.splitext(path)[0]}-{series.name}.svg"
    title, _, _ = FIGURES[series.plotted]
    plots.draw(image, series.title, series.axis, title, series.rows, series.plotted)
    return f"\n## {series.title}\n\n{series_table(series)}\n\n![{series.title}]({os.path.basename(image)})\n"


def host():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) / 2**20
    data = subprocess.run(["df", "--output=fstype", os.environ.get("TMPDIR", "/tmp")], capture_output=True, text=True)
    return (f"{os.cpu_count()} × {model[1] if model else platform.machine()}, {memory:.0f} GiB, Linux "
            f"{platform.release()}, data on {data.stdout.split()[-1]}")


def commit():
    run = lambda *a: subprocess.run(["git", "-C", ROOT, *a], capture_output=True, text=True).stdout.strip()
    dirty = run("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/performance*.md")
    return run("rev-parse", "--short=12", "HEAD") + (" with local changes" if dirty else "")


def path_of(only):
    """Where the figures of the works named go; of all, if none is."""
    return os.path.join(ROOT, "docs", "-".join(["performance", *only]) + ".md")


def write(path, command, rounds, warm_up_s, peer, outside, sections, skipped):
    """`sections`: [(title, keys, results) or a Series]; `peer`: the address of a broker that ran elsewhere, or None; `outside`: CPU of other processes and steal, per second, of every
    run."""
    others = sorted(run[0] for run in outside)
    peer = (f"the broker at {peer}, whose CPU and memory are not known here" if peer else
            f"Apache Kafka {Kafka.version()}, one node (KRaft), its own defaults, heap 1 GiB")
    steal = sorted(run[1] for run in outside)
    text = f"""# Performance

Written by `{command}`; not edited by hand. Commit {commit()}, {datetime.date.today().isoformat()}.

| | |
|---|---|
| host | {host()} |
| peer | {peer}, warmed for {warm_up_s} s before anything is counted |
| rounds | {rounds} of each work, the contestants in alternation, each round on a new topic |
| meanwhile | other processes used {statistics.median(others):.2f} CPUs in the median run ({others[-1]:.2f} in the worst); the hypervisor withheld {statistics.median(steal):.2f} ({steal[-1]:.2f}) |

Each cell is the median of the rounds and, in brackets, the lowest and highest. CPU is user and system time of the
broker's process with all its threads, the kernel's io_uring workers included; the load generator's own is in no
figure, but it competes for the same cores. The client is the same for all: librdkafka, one process
(`millrace bench`). Latency in open loops counts from the moment a record was due. Before each run the disk is let come
to rest (sync), so that none pays for what another left in the page cache. The last column divides
Millrace's median by Kafka's; bold where Millrace is ahead, ↑ where more is better, ↓ where less is.

Java (`tests/perf/java_works.py`): Kafka's own programs, as its distribution has them; latencies in whole milliseconds but
for the mean.

Groups (`tests/perf/groups`): each member is a connection that speaks the classic protocol directly, joins at the same
moment as all others, beats every half second (so it hears of a rebalance up to that much later) and then commits one
offset at a time; `group.initial.rebalance.delay.ms` is 0 on both.

Processors (`tests/perf/streams`): the same work done by a processor inside Millrace and by a Kafka Streams application
(one process, heap up to 1 GiB, its own defaults but for the cache of its store, which is off so that every count comes
out), once with its default guarantee and once with `exactly_once_v2`. Filter and map passes on three records of four, of
200 B; counting has 6,000 keys and emits each new count, with windows each new count of its key in the minute; the table of
the join has 6,000 keys, too. A record is done once it is read, derived, by a consumer that
sees committed records only. CPU and memory are those of the broker and the application together. Millrace's results
are exactly once and on disk when they are read, input included. By number of keys: 100 B records, each key has been counted
before; memory per key is what broker and application grew by when the keys came. Millrace has all of the state in memory;
Kafka Streams has it on disk (RocksDB), with what it caches of it in memory.

Partitions, restart, catch-up and compaction (`tests/perf/topic_works.py`) are measured on brokers of their own, which have
done nothing else and stay alone; `log.cleaner.backoff.ms` is 100 on both, so that compaction begins when it is due. Before
each `kill -9` a little was written, which no checkpoint had seen. A cold read begins with an empty page cache.

The tool (`tests/perf/tool_works.py`): `millrace produce` and `consume` beside kcat, both with their own defaults, on one
Millrace; the time is that of the whole program, from its start to its end. `log verify` checks every checksum of the
segments, cat only reads them; both find them in the page cache.

What an acknowledgement means differs: **millrace** has the record on disk (its default), **kafka** in the page cache
(its default). **millrace, os** is a topic with `durability=os`, comparable with Kafka's default; **kafka, flush** is
a topic with `flush.messages=1`, comparable with Millrace's.
"""
    tables = [table for section in sections for table in tables_of(section)]
    reached = list(targets.lines(tables, lambda key: FIGURES[key][0], lambda value: number(value, 1)))
    if path != path_of([]):  # some work only: its own targets
        reached = [line for line in reached if targets.UNKNOWN not in line]
    if reached:
        text += "\n## Targets\n\n| | wanted | measured | |\n|---|---:|---:|---|\n" + "\n".join(reached) + "\n"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for section in sections:
        if isinstance(section, Series):
            text += series_text(section, path)
            continue
        title, keys, results = section
        text += f"\n## {title}\n\n{table(keys, results)}\n"
        if "kafka, flush" in results and results["kafka, flush"]:
            key = keys[0]
            flush = [run[key] for run in results["kafka, flush"]]
            ours = [run[key] for run in results.get("millrace", [])]
            text += (f"\nBoth durable: millrace has {ratio(ours, flush, FIGURES[key][2])} of the "
                     f"{FIGURES[key][0]} of kafka, flush.\n")
    if skipped:
        text += "\n## Not measured\n\n" + "".join(f"- {line}\n" for line in skipped)
    with open(path, "w") as f:
        f.write(text)
