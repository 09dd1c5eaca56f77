"""How cost grows: with the size of records, the load, the number of partitions, the number of connections. Each is a row
of points, measured on both brokers in alternation, and drawn."""
import contextlib
import resource
import socket

import works
from report import Series
from works import Skipped, Work

BULK = ("--batch-bytes", 131072, "--linger", 10)
SINGLE = ("--batch-records", 1, "--linger", 0)
TITLES = {"sizes": "Throughput by size of records", "load": "Latency by load", "spread": "Cost by number of partitions",
          "connections": "Cost by number of connections"}
NAMES = tuple(TITLES)
VOLUME = {False: 256 << 20, True: 48 << 20}  # bytes a run of `sizes`, by --quick
SECONDS = {False: 8, True: 3}                # of a run of `load`
API_VERSIONS = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff"  # v0, no client id


def each_round(brokers, rounds, measure, skipped, title):
    """{contestant: [figures]}, every second round in the other order."""
    results = {name: [] for name in brokers}
    for number in range(rounds):
        for name in list(brokers) if number % 2 == 0 else list(brokers)[::-1]:
            if results[name] is None:
                continue
            try:
                results[name].append(measure(brokers[name], number))
            except Skipped as why:
                skipped.append(f"{title}, {name}: {why}")
                results[name] = None
    return {name: runs for name, runs in results.items() if runs}


def once(broker, work, records, topic):
    """One run on a topic of its own."""
    works.make_topic(broker, topic, work, "millrace")
    try:
        return works.measure(broker, topic, work, records)
    finally:
        works.tool(broker, "topic", "delete", topic, "--yes")


@contextlib.contextmanager
def idle_connections(broker, count):
    """So many connections that have asked for one thing, as a client does, and stay."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as open_ones:
        for _ in range(count):
            one = open_ones.enter_context(socket.create_connection(("127.0.0.1", broker.port), timeout=60))
            one.sendall(API_VERSIONS)
            if not one.recv(4096):
                raise Skipped("a connection was closed")
        yield


def with_connections(broker, count, work, records, topic):
    before = broker.memory_mib()
    try:
        with idle_connections(broker, count):
            added = broker.memory_mib() - before
            figures = once(broker, work, records, topic)
    except OSError as why:
        raise Skipped(f"{count:,} connections: {why}") from why
    if count:
        figures["kib_per_connection"] = max(added, 0) * 1024 / count
    return figures


def run(only, brokers, rounds, quick, say, skipped, show):
    sections = []

    def series(name, axis, points, keys, plotted, measure):
        if name not in only:
            return
        title = TITLES[name]
        say(title)
        rows = []
        for point in points:
            results = each_round(brokers, rounds, lambda broker, n, p=point: measure(broker, n, p), skipped, f"{title}, {point:,}")
            for contestant, runs in results.items():
                say(f"  {point:>9,} {contestant:10} {show([k for k in keys if k in runs[-1]], runs[-1])}")
            rows.append((point, results))
        sections.append(Series(name, title, axis, keys, plotted, rows))

    def sized(broker, n, size):
        work = Work("", "", "produce", 0, 0, (), size=size, options=BULK)
        return once(broker, work, min(VOLUME[quick] // size, 2_000_000), f"size-{size}-{n}")

    def loaded(broker, n, rate):
        work = Work("", "", "produce", 0, 0, (), size=100, options=(*SINGLE, "--rate", rate))
        return once(broker, work, rate * SECONDS[quick], f"load-{rate}-{n}")

    def spread(broker, n, partitions):
        work = Work("", "", "produce", 0, 0, (), size=100, partitions=partitions, options=BULK)
        return once(broker, work, 300_000 if quick else 1_500_000, f"spread-{partitions}-{n}")

    def connected(broker, n, count):
        work = Work("", "", "produce", 0, 0, (), size=100, options=(*SINGLE, "--rate", 1000))
        return with_connections(broker, count, work, 1000 * SECONDS[quick], f"connected-{count}-{n}")

    series("sizes", "bytes a record", (100, 1_000, 10_000, 100_000), ("mib_per_second", "records_per_second", "cpu_s_per_gib"),
           "mib_per_second", sized)
    series("load", "requests/s of one 100 B record", (500, 1_000, 2_000, 5_000, 10_000), ("ack_p50", "ack_p99", "cpu_us_per_record"),
           "ack_p99", loaded)
    series("spread", "partitions", (1, 10, 100, 1_000) if quick else (1, 10, 100, 1_000, 10_000),
           ("cpu_s_per_million", "records_per_second"), "cpu_s_per_million", spread)
    series("connections", "connections that rest while 1,000 single records/s are written", (0, 100, 1_000) if quick else
           (0, 100, 1_000, 10_000), ("cpu_us_per_record", "ack_p99", "kib_per_connection"), "cpu_us_per_record", connected)
    return sections
