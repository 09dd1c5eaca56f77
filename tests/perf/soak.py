"""./dev bench soak: 100 producers and 100 consumers at 70 % of the rate they reach, through three processors, while retention
and compaction run. Writes docs/performance-soak.md and its plot; says whether memory and latency stayed flat and every
record came through once.
"""
import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import plots
import report
from peers import ROOT, Millrace
from stream_works import BUILT, TEMP_MIN, processor
from works import let_disk_rest, machine_seconds, tool

PARTITIONS = 40
CLIENTS = 100
SETTINGS = ["log.retention.check.interval.ms=5000", "log.cleaner.backoff.ms=5000"]
RETAINED = ("cleanup.policy=delete", "retention.bytes=33554432", "segment.bytes=8388608", "file.delete.delay.ms=1000")
# Readers get a minute before what they have not read yet may be compacted away.
COMPACTED = ("cleanup.policy=compact", "segment.bytes=4194304", "segment.ms=20000", "min.compaction.lag.ms=60000",
             "min.cleanable.dirty.ratio=0.3")
TOPICS = {"soak": RETAINED, "soak-mapped": RETAINED, "soak-apart": RETAINED, "soak-counted": COMPACTED}
PROCESSORS = (("mapper", "soak-mapped", "inline"), ("apart", "soak-apart", "process"), ("counter", "soak-counted", "inline"))

# The second quarter of the time against the last: what grows with time shows; what only fills up at first does not.
MEMORY_MORE = 1.05    # and MEMORY_SPARE MiB, which allocators and page tables need
MEMORY_SPARE = 8
CACHES_FILL_S = 600   # until then memory says nothing
LATENCY_MORE = 1.5    # and LATENCY_SPARE ms, the unrest of a shared machine
LATENCY_SPARE = 2


def arguments(words):
    parser = argparse.ArgumentParser(prog="./dev bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long (default 30)")
    parser.add_argument("--quick", action="store_true", help="one minute, a sample every second: does it work at all")
    parser.add_argument("--share", type=float, default=0.7, help="of the peak rate (default 0.7)")
    parser.add_argument("--dry", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args(words)
    if options.quick:
        options.minutes = 1
    if options.minutes <= 0 or not 0.01 <= options.share <= 1:
        parser.error("--minutes wants a positive number, --share one between 0.01 and 1")
    return options


def config():
    return "".join(processor(name, "counter" if name == "counter" else "mapper", "soak", output, isolation)
                   for name, output, isolation in PROCESSORS)


def start(directory):
    """A broker whose topics are there before the processors that write to them."""
    path = os.path.join(directory, "millrace.toml")
    open(path, "w").close()
    broker = Millrace(directory, SETTINGS, path)
    broker.start()
    for topic, settings in TOPICS.items():
        tool(broker, "topic", "create", topic, "-p", PARTITIONS, *(word for s in settings for word in ("-c", s)))
    broker.stop()
    with open(path, "w") as f:
        f.write(config())
    broker.start()
    return broker


def log_mib(broker):
    """{topic: MiB of its segments}"""
    sizes = dict.fromkeys(TOPICS, 0)
    for partition in os.listdir(os.path.join(broker.directory, "data")):
        topic = partition.rpartition("-")[0]
        if topic not in sizes:
            continue
        try:
            with os.scandir(os.path.join(broker.directory, "data", partition)) as files:
                sizes[topic] += sum(f.stat().st_size for f in files if f.name.endswith(".log"))
        except FileNotFoundError:  # files go while this looks
            continue
    return {topic: size / 2**20 for topic, size in sizes.items()}


def run_load(broker, options, every, peak_seconds, say):
    """(what was found as the peak, the samples, the end) of one run of soak_load."""
    command = [os.path.join(BUILT, "soak_load"), "soak", "-b", broker.bootstrap, "--passing", TEMP_MIN, "--producers", CLIENTS,
               "--consumers", CLIENTS, "--peak-seconds", peak_seconds, "--share", options.share, "--seconds",
               options.minutes * 60, "--every", every, "--mapped", "soak-mapped", "--mapped", "soak-apart", "--counted", "soak-counted"]
    peak, end, samples, before = None, None, [], None
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        for line in child.stdout:
            seen = json.loads(line)
            if seen["phase"] == "peak":
                peak = seen
                say(f"  peak {peak['records_per_second']:,.0f} records/s; soaking at {peak['soak_records_per_second']:,}")
                before = (0, broker.cpu_seconds(), seen["client_cpu_seconds"], *machine_seconds())
            elif seen["phase"] == "end":
                end = seen
            else:
                now = (seen["at"], broker.cpu_seconds(), seen["client_cpu_seconds"], *machine_seconds())
                wall, own, load, busy, steal = (after - then for after, then in zip(now, before))
                before = now
                seen |= {"memory_mib": broker.memory_mib(), "cpus": own / wall, "load_cpus": load / wall, "steal": steal / wall,
                         "others_cpu": max(0.0, busy - own - load) / wall, "log_mib": log_mib(broker)}
                samples.append(seen)
                say(f"  {seen['at']:6.0f} s  {seen['memory_mib']:6.1f} MiB  {seen['cpus']:.2f} CPUs (load {seen['load_cpus']:.2f}, others {seen['others_cpu']:.2f})  ack p99 {seen.get('ack_p99', 0):.2f} ms"
                    f"  read p99 {seen.get('e2e_p99', 0):.2f} ms  derived p99 {seen.get('derived_p99', 0):.2f} ms"
                    f"  {seen['failed']} failed")
    finally:
        if child.poll() is None and end is None:
            child.terminate()
        child.wait(60)
    return peak, samples, end


VERDICTS = {True: "yes", False: "**no**", None: f"not judged before {CACHES_FILL_S // 60} minutes, while caches fill"}


def quarter(samples, number, key):
    """The median of a figure in a quarter (1 to 4) of the time; None where there is none."""
    values = [s[key] for s in samples[len(samples) * (number - 1) // 4:len(samples) * number // 4] if key in s]
    return statistics.median(values) if values else None


def verdicts(samples, end):
    """[(what, figure, whether it is as it should be; None: too early to tell)]"""
    found = []
    for title, key, more, spare, unit in (("memory", "memory_mib", MEMORY_MORE, MEMORY_SPARE, "MiB"),
                                          ("ack p99", "ack_p99", LATENCY_MORE, LATENCY_SPARE, "ms"),
                                          ("read p99", "e2e_p99", LATENCY_MORE, LATENCY_SPARE, "ms"),
                                          ("derived p99", "derived_p99", LATENCY_MORE, LATENCY_SPARE, "ms")):
        early, late = quarter(samples, 2, key), quarter(samples, 4, key)
        flat = early is not None and late is not None and late <= early * more + spare
        figure = "–" if early is None or late is None else f"{early:.1f} {unit} in the second quarter, {late:.1f} in the last"
        if key == "memory_mib" and samples and samples[-1]["at"] < CACHES_FILL_S:
            flat = None
        found.append((f"{title} flat", figure, flat))
    if end is None:
        return [*found, ("every record read once", "the load did not come to its end", False)]
    counts = "; ".join(f"{topic} {c['read']:,} of {c['expected']:,}" for topic, c in end["topics"].items())
    failed = f"{end['failed']} failed" + (f" ({end['first_failure']})" if end["first_failure"] else "")
    return [*found, ("every record read once, derived ones included", counts, end["exact"]), ("no error", failed, end["failed"] == 0)]


def draw(path, samples):
    def line(key):
        return [(s["at"] / 60, s[key]) for s in samples if key in s]
    panels = [
        {"unit": "MiB", "lines": {"resident memory": line("memory_mib")}},
        {"unit": "p99, ms", "lines": {"acknowledged": line("ack_p99"), "read": line("e2e_p99"), "derived, read": line("derived_p99")},
         "log": True},
        {"unit": "CPUs", "lines": {"broker": line("cpus")}},
        {"unit": "MiB of segments", "lines": {topic: [(s["at"] / 60, s["log_mib"][topic]) for s in samples] for topic in TOPICS}},
    ]
    plots.draw_over_time(path, "Soak", "minutes", panels)


def write(path, command, peak, samples, found):
    image = os.path.splitext(path)[0] + ".svg"
    draw(image, samples)
    lines = "\n".join(f"| {what} | {figure} | {VERDICTS[good]} |" for what, figure, good in found)
    spread = [(title, [s[key] for s in samples if key in s], digits) for title, key, digits in (
        ("resident memory, MiB", "memory_mib", 1), ("CPUs of the broker", "cpus", 2), ("CPUs of the load", "load_cpus", 2),
        ("CPUs of other processes", "others_cpu", 2), ("CPUs that the hypervisor withheld", "steal", 2), ("ack p50, ms", "ack_p50", 2),
        ("ack p99, ms", "ack_p99", 2), ("read p50, ms", "e2e_p50", 2), ("read p99, ms", "e2e_p99", 2),
        ("derived p50, ms", "derived_p50", 2), ("derived p99, ms", "derived_p99", 2))]
    table = "\n".join(f"| {title} | {report.cell(values, digits)} |" for title, values, digits in spread)
    text = f"""# Soak

Written by `{command}`; not edited by hand. Commit {report.commit()}, {datetime.date.today().isoformat()}.

{CLIENTS} producers and {CLIENTS} consumers (librdkafka, `tests/perf/soak`), each with connections of its own; {PARTITIONS} partitions
a topic, records of 200 B with keys, acks=all, idempotent, on disk when acknowledged. The consumers are four groups: of the input,
which retention shortens; of what two mappers pass on, one inline and one in a process of its own; and of a count by key,
which is compacted. Host: {report.host()}.

The peak is what all of it together reaches: records divided by the time until the last derived one was read. It was
{peak['records_per_second']:,.0f} records/s; the soak sends {peak['soak_records_per_second']:,} on a fixed schedule, whatever
becomes of them, each producer 20 bursts a second. Latency counts from the moment a record was due, to a quarter of a millisecond.
The load generator shares the machine.

| | | |
|---|---|---|
{lines}

Flat: the median of the last quarter of the time is at most {MEMORY_MORE:g}× that of the second plus {MEMORY_SPARE} MiB (memory),
{LATENCY_MORE:g}× plus {LATENCY_SPARE} ms (latency).

| of {len(samples)} samples | median (lowest–highest) |
|---|---:|
{table}

![Soak]({os.path.basename(image)})
"""
    with open(path, "w") as f:
        f.write(text)


def main(words, say):
    options = arguments(words)
    dev = os.path.join(ROOT, "dev")
    subprocess.run([dev, "build", "release"], check=True)
    subprocess.run(["ninja", "-C", os.path.join(ROOT, "build/release"),
                    *(f"tests/perf/{name}" for name in ("soak_load", "mapper.so", "counter.so"))], check=True, stdout=subprocess.DEVNULL)
    if not options.dry:
        subprocess.run([dev, "needs", "plots"], check=True)
    directory = tempfile.mkdtemp(prefix="millrace-soak-")
    broker = None
    try:
        let_disk_rest()
        broker = start(directory)
        say(f"soak of {options.minutes:g} min; first the peak")
        peak, samples, end = run_load(broker, options, 1 if options.quick else 5, 5 if options.quick else 20, say)
    finally:
        if broker:
            broker.stop()
        shutil.rmtree(directory, ignore_errors=True)
    if not peak or len(samples) < 4:
        print("the soak did not come far enough to be judged", file=sys.stderr)
        return 1
    found = verdicts(samples, end)
    for what, figure, good in found:
        say(f"{what}: {figure}: {VERDICTS[good].strip('*')}")
    os.makedirs(os.path.join(ROOT, "build/bench"), exist_ok=True)
    with open(os.path.join(ROOT, "build/bench/soak.json"), "w") as f:
        json.dump({"peak": peak, "samples": samples, "end": end}, f, indent=1)
    if not options.dry:
        path = report.path_of(["soak"])
        write(path, "./dev bench soak" + "".join(f" {word}" for word in words), peak, samples, found)
        say(f"wrote {os.path.relpath(path, ROOT)}")
    return 1 if any(good is False for _, _, good in found) else 0
