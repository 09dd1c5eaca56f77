"""`millrace produce` and `consume` beside kcat on the same topics, each with its own defaults; `millrace log verify` beside
cat, which only reads."""
import glob
import os
import shutil
import subprocess
import tempfile
import time

import works
from peers import ROOT, Millrace

MILLRACE = os.path.join(ROOT, "build/release/millrace")
PARTITIONS = 6
FIGURES = ("mib_per_second", "client_cpu_s_per_gib")
TITLES = {
    "consume": "Consume {size} B records to /dev/null, {partitions} partitions",
    "produce": "Produce lines of {size} B from a file, {partitions} partitions",
    "verify": "Verify the segments of a topic, read before",
}


def run_timed(command, stdin=None, stdout=subprocess.DEVNULL):
    """(seconds, seconds of CPU) of a program that has to succeed."""
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        child = subprocess.Popen(list(map(str, command)), stdin=stdin or subprocess.DEVNULL, stdout=stdout, stderr=errors)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise works.Skipped(f"{command[0]}: {errors.read().decode(errors='replace').strip()[:200]}")
    return seconds, used.ru_utime + used.ru_stime


def figures(mib, seconds, cpu):
    return {"mib_per_second": mib / seconds, "client_cpu_s_per_gib": cpu / (mib / 1024)}


def in_turn(contestants, rounds, mib, say, show):
    """{name: [figures, …]} of {name: function that runs once}, in alternation."""
    results = {name: [] for name in contestants}
    for number in range(rounds):
        for name in list(contestants) if number % 2 == 0 else list(contestants)[::-1]:
            works.let_disk_rest()
            results[name].append(figures(mib, *contestants[name](number)))
            say(f"  {name:14} {show(FIGURES, results[name][-1])}")
    return results


def lines_file(directory, size, mib):
    """A file of so many lines of `size` bytes, newline included, none like another."""
    path = os.path.join(directory, f"lines-{size}")
    filler = b"abcdefghijklmnop" * (size // 16 + 1)
    with open(path, "wb") as f:
        for i in range(mib * 2**20 // size):
            f.write((b"%d " % i + filler)[:size - 1] + b"\n")
    return path


def produce(broker, directory, size, mib, rounds, say, show):
    path = lines_file(directory, size, mib)

    def topic(name, number):
        works.tool(broker, "topic", "create", f"{name}-{size}-{number}", "-p", PARTITIONS)
        return f"{name}-{size}-{number}"

    def gone(name, done):
        works.tool(broker, "topic", "delete", name, "--yes")
        return done

    def with_millrace(number):
        name = topic("millrace", number)
        return gone(name, run_timed([MILLRACE, "produce", name, path, "-b", broker.bootstrap]))

    def with_kcat(number):
        name = topic("kcat", number)
        return gone(name, run_timed(["kcat", "-P", "-b", broker.bootstrap, "-t", name, "-l", path]))
    return in_turn({"millrace": with_millrace, "kcat": with_kcat}, rounds, mib, say, show)


def consume(broker, directory, size, mib, rounds, say, show):
    name = f"read-{size}"
    works.tool(broker, "topic", "create", name, "-p", PARTITIONS)
    run_timed([MILLRACE, "produce", name, lines_file(directory, size, mib), "-b", broker.bootstrap])
    commands = {"millrace": [MILLRACE, "consume", name, "-e", "-b", broker.bootstrap],
                "kcat": ["kcat", "-C", "-q", "-e", "-o", "beginning", "-b", broker.bootstrap, "-t", name]}
    # They print the same: once, before anything is counted.
    sizes = {}
    for contestant, command in commands.items():
        with tempfile.TemporaryFile(dir=directory) as out:
            run_timed(command, stdout=out)
            sizes[contestant] = os.fstat(out.fileno()).st_size
    if len(set(sizes.values())) != 1:
        raise works.Skipped(f"what they print differs in size: {sizes}")
    return in_turn({c: lambda _, command=command: run_timed(command) for c, command in commands.items()}, rounds, mib, say, show)


def verify(broker, rounds, say, show):
    """Of the topic that consume() has left; the broker is stopped, so all of it is in segments."""
    broker.stop()
    segments = glob.glob(os.path.join(broker.directory, "data", "read-*", "*.log"))
    mib = sum(map(os.path.getsize, segments)) / 2**20
    if mib < 1:
        raise works.Skipped("there are no segments")
    run_timed(["cat", *segments])  # now it is in the page cache
    return in_turn({"millrace": lambda _: run_timed([MILLRACE, "log", "verify", *segments]),
                    "cat": lambda _: run_timed(["cat", *segments])}, rounds, mib, say, show)


def run(directory, rounds, quick, say, skipped, show):
    """[(title, figures, results)] for the report."""
    if not shutil.which("kcat"):
        skipped.append("millrace beside kcat: there is no kcat (./dev needs kcat)")
        return []
    mib = 200 if quick else 1000
    own = os.path.join(directory, "tools")
    os.makedirs(own)
    broker = Millrace(own)
    broker.start()
    sections = []
    try:
        steps = [("produce", 1024, produce), ("produce", 100, produce), ("consume", 1024, consume), ("consume", 100, consume)]
        for kind, size, step in steps:
            title = "The tool: " + TITLES[kind].format(size=size, partitions=PARTITIONS)
            say(title)
            try:
                sections.append((title, FIGURES, step(broker, own, size, mib if size > 500 else mib // 2, rounds, say, show)))
            except works.Skipped as why:
                skipped.append(f"{title}: {why}")
        say(TITLES["verify"])
        try:
            sections.append(("The tool: " + TITLES["verify"], FIGURES, verify(broker, rounds, say, show)))
        except works.Skipped as why:
            skipped.append(f"{TITLES['verify']}: {why}")
    finally:
        broker.stop()
        shutil.rmtree(own, ignore_errors=True)
    return sections
