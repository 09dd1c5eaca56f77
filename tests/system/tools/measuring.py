"""What measures and watches: `bench`, `top`, `consume --follow`, `produce --rate`. Each test takes a broker."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time

from tool_kit import MILLRACE, expect, golden, millrace, same, same_soon


def test_bench(b):
    run = lambda *a, **k: millrace("bench", *a, bootstrap=b.bootstrap, **k)
    own = lambda: [t["name"] for t in millrace("topic", "list", "--json", bootstrap=b.bootstrap).json()
                   if t["name"].startswith("millrace-bench-")]  # noqa: E731
    ordered = lambda l: l["p50"] <= l["p90"] <= l["p99"] <= l["p99_9"] <= l["max"]  # noqa: E731
    made = run("produce", "-n", 2000, "--size", 200, "--warm-up", 100, "--clients", 2, "--codec", "lz4", "--keys", 5, "--json").json()
    same((made["records"], made["failed"], made["bytes"], made["warm_up_records"], made["clients"], made["end_to_end_latency_us"]),
         (2000, 0, 400_000, 100, 2, None), "produce")
    expect(ordered(made["ack_latency_us"]) and made["ack_latency_us"]["p50"] > 0, f"{made}")
    same_soon(own, [], "topics left behind")
    millrace("topic", "create", "measured", "-p", 3, bootstrap=b.bootstrap)
    paced = run("produce", "measured", "-n", 500, "--rate", 400, "--size", 50, "--batch-records", 1, "--linger", 0, "--json").json()
    # The last is due 499 / 400 s after the first.
    expect(paced["seconds"] >= 499 / 400 and paced["records"] == 500, f"{paced}")
    read = run("consume", "measured", "--clients", 2, "--json").json()
    same((read["records"], read["bytes"], read["topic"]), (500, 25_000, "measured"), "consume")
    same(run("consume", "-n", 3000, "-s", 100, "--json").json()["bytes"], 300_000, "consume of its own")
    there_and_back = run("latency", "-n", 20, "--warm-up", 5, "--json").json()
    same((there_and_back["records"], there_and_back["bytes"]), (20, 2000), "latency")
    expect(ordered(there_and_back["end_to_end_latency_us"]), f"{there_and_back}")
    paced = run("latency", "measured", "-n", 150, "--rate", 300, "--json").json()
    expect(paced["records"] == 150 and paced["seconds"] >= 149 / 300, f"{paced}")
    text = run("produce", "measured", "-n", 10).out + run("consume", "measured", "-n", 10).out + \
        run("latency", "measured", "-n", 3, "--rate", 100).out
    golden("bench", re.sub(r"\d[\d,.]*", "N", re.sub(r"N [kMG]?B\b|[\d.,]+ [kMG]?B\b", "N B", text)))
    expect("ended after" in run("consume", "measured", "-n", 99_999, code=1).err, "more than there is")
    millrace("topic", "create", "nothing-yet", bootstrap=b.bootstrap)
    expect("no records" in run("consume", "nothing-yet", code=2).err, "an empty topic")
    expect("no topic 'measurd'; did you mean 'measured'?" in run("consume", "measurd", code=1).err, "a typo")
    kept = run("produce", "-n", 10, "--keep", "-p", 1).err
    same([f"Topic {name} stays.\n" for name in own()], [kept], "kept")
    millrace("topic", "delete", *own(), "--yes", bootstrap=b.bootstrap)

    # Ctrl-C: what there was is told, and the topic goes.
    child = subprocess.Popen([MILLRACE, "bench", "produce", "-n", "1000000", "--rate", "200", "--json", "-b", b.bootstrap],
                             stdout=subprocess.PIPE)
    end = time.monotonic() + 30
    while not own() and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out = child.stdout.read()
    same(child.wait(30), 130, "exit code after Ctrl-C")
    expect(not out or json.loads(out)["records"] < 1_000_000, out)
    same_soon(own, [], "topics left behind after Ctrl-C")


def test_rate(b):
    run = lambda *a, **k: millrace(*a, bootstrap=b.bootstrap, **k)
    run("topic", "create", "paced")
    told = run("produce", "paced", "--rate", 200, "--json", stdin="".join(f"{i}\n" for i in range(301))).json()
    expect(told["seconds"] >= 1.5, f"{told}")
    times = list(map(int, run("consume", "paced", "-e", "-f", "%T\n").lines()))
    same(len(times), 301, "records")
    # Record i is due i / 200 s after the first; what comes late may be caught up with by a tenth of a second, 20 records.
    for i in range(len(times)):
        for j in (i + 50, i + 200):
            if j < len(times):
                expect(times[j] - times[i] >= (j - i - 21) * 5 - 1, f"records {i} to {j} within {times[j] - times[i]} ms")
    run("produce", "paced", "--partitioner", "consistent", "--key", "k", stdin="x\n")


class Terminal:
    """A program on a terminal of its own: standard output and input, or only standard error."""

    def __init__(self, *arguments, size=(24, 80), only_errors=False, stdout=None):
        self.parent, self.child = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.child)
        streams = {"stderr": self.child, "stdout": stdout} if only_errors else {"stdout": self.child, "stdin": self.child, "stderr": self.child}
        self.process = subprocess.Popen([MILLRACE, *arguments], env=dict(os.environ, TERM="xterm"), start_new_session=True, **streams)
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.parent, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, wanted, seconds=30):
        """What came, up to and with `wanted`."""
        end = time.monotonic() + seconds
        while wanted not in self.seen:
            expect(time.monotonic() < end, f"no {wanted!r} on the terminal, but {self.seen[-500:]!r}")
            if select.select([self.parent], [], [], 0.2)[0]:
                self.seen += os.read(self.parent, 65536)
        before, _, self.seen = self.seen.partition(wanted)
        return before + wanted

    def type(self, text):
        os.write(self.parent, text)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.parent)
        os.close(self.child)


def test_top(b):
    run = lambda *a, **k: millrace(*a, bootstrap=b.bootstrap, **k)
    run("topic", "create", "watched", "-p", 2)
    run("produce", "watched", "-p", 0, stdin="".join(f"{i}\n" for i in range(30)))
    run("consume", "watched", "-g", "watchers", "-n", 20)
    once = run("top", "--once", "--interval", 0.2, "--json", "--socket", "/none").json()
    same([(t["partitions"], t["end"]) for t in once["topics"] if t["name"] == "watched"], [(2, 30)], "topic")
    same([(g["topic"], g["lag"], g["state"]) for g in once["groups"] if g["group"] == "watchers"], [("watched", 10, "Empty")], "group")
    same((once["processors"], once["shards"], once["brokers"]), (None, None, 1), "no admin socket")
    text = run("top", "--once", "--interval", 0.2, "--socket", "/none").out
    expect(re.search(r"^watched +2 +0 +30$", text, re.M) and re.search(r"^watchers +Empty +watched +10 +0$", text, re.M), text)
    if b.name == "millrace":
        own = run("top", "--once", "-i", 0.2, "--json", "--data", b.data).json()
        same((own["processors"], own["shards"][0]["shard"]), ([], 0), "of the admin socket")
        expect(sum(s["partitions"] for s in own["shards"]) >= 2 and re.search(r"^ +0 +\d+% ", run(
            "top", "--once", "-i", 0.2, "--data", b.data).out, re.M), "shards")

    writer = subprocess.Popen([MILLRACE, "produce", "watched", "--rate", "100", "-q", "-b", b.bootstrap], stdin=subprocess.PIPE)
    try:
        feeding = threading.Thread(target=lambda: feed(writer.stdin), daemon=True)
        feeding.start()
        stream = subprocess.Popen([MILLRACE, "top", "--json", "-i", "0.3", "-b", b.bootstrap], stdout=subprocess.PIPE)
        rates = []
        end = time.monotonic() + 30
        while not any(rates) and time.monotonic() < end:
            rates += [t["records_per_second"] for t in json.loads(stream.stdout.readline())["topics"] if t["name"] == "watched"]
        stream.stdout.close()  # nobody reads any more: no failure
        same(stream.wait(30), 0, "exit code when its reader goes")
        expect(any(rates), "a topic that is written to has no rate")
    finally:
        writer.send_signal(signal.SIGTERM)
        writer.wait(30)

    for last, code in ((b"q", 0), (None, 130)):
        terminal = Terminal("top", "-b", b.bootstrap, "-i", "0.5", size=(12, 70))
        try:
            terminal.read_until(b"\x1b[?1049h")
            # Lines never wrap, and all fit.
            page = terminal.read_until(b"watched", 30)
            expect(b"TOPIC" in page, page)
            terminal.resize(30, 30)
            terminal.process.send_signal(signal.SIGWINCH)
            end = time.monotonic() + 30
            while True:  # a page may be under way that is as wide as the terminal was
                lines = terminal.read_until(b"\x1b[H")[:-3].split(b"\x1b[K\r\r\n")  # the terminal makes \r\n of \n
                shown = [re.sub(rb"\x1b\[[\d;]*[a-zA-Z]", b"", line).decode() for line in lines]
                if any(line.startswith("TOPIC ") for line in shown) and max(map(len, shown)) <= 30:
                    break
                expect(time.monotonic() < end, f"not as wide as the terminal: {shown}")
            expect(termios.tcgetattr(terminal.child) != terminal.before, "keys are echoed")
            terminal.type(last) if last else terminal.process.send_signal(signal.SIGINT)
            same(terminal.process.wait(30), code, "exit code")
            terminal.read_until(b"\x1b[?25h\x1b[?1049l")
            same(termios.tcgetattr(terminal.child), terminal.before, "the terminal afterwards")
        finally:
            terminal.close()


def feed(pipe):
    try:
        while True:
            pipe.write(b"x\n")
            pipe.flush()
    except (OSError, ValueError):
        pass


def test_follow(b):
    run = lambda *a, **k: millrace(*a, bootstrap=b.bootstrap, **k)
    run("topic", "create", "followed")
    run("produce", "followed", stdin="a\nb\nc\n")
    with tempfile.TemporaryFile() as out:
        terminal = Terminal("consume", "followed", "--follow", "-b", b.bootstrap, only_errors=True, stdout=out)
        try:
            terminal.read_until(b"3 records, ")
            run("produce", "followed", stdin="d\n")
            terminal.read_until(b"4 records, ")
            terminal.process.send_signal(signal.SIGINT)
            same(terminal.process.wait(30), 130, "exit code")
            terminal.read_until(b"\r\x1b[K")
        finally:
            terminal.close()
        out.seek(0)
        same(out.read(), b"a\nb\nc\nd\n", "records")
    expect("excludes --exit" in run("consume", "followed", "--follow", "-e", code=2).err, "--follow and --exit")
    same(run("consume", "followed", "-e", "--isolation", "read_uncommitted").lines(), list("abcd"), "read_uncommitted")


def open_transaction(kafka, bootstrap):
    """A producer of Kafka's own that writes within a transaction and does not end it; the topic is `undecided`."""
    return subprocess.Popen([kafka, "run", "org.apache.kafka.tools.ProducerPerformance", "--topic", "undecided", "--num-records", "1000000",
                             "--throughput", "20", "--record-size", "10", "--transactional-id", "tools", "--transaction-duration-ms", "600000",
                             "--producer-props", f"bootstrap.servers={bootstrap}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_isolation(b):
    run = lambda *a, **k: millrace(*a, bootstrap=b.bootstrap, **k)
    end = time.monotonic() + 60
    while not (seen := run("consume", "undecided", "-e", "--isolation", "read_uncommitted", "-f", "%S\n").lines()):
        expect(time.monotonic() < end, "nothing was written in the transaction")
        time.sleep(0.2)
    same(set(seen), {"10"}, "records of the open transaction")
    same(run("consume", "undecided", "-e").out, "", "what is committed")


TESTS = [test_bench, test_rate, test_top, test_follow]
