"""What Millrace wants to reach beside Kafka, and whether a run of the benchmark shows it."""
import dataclasses
import statistics


@dataclasses.dataclass
class Target:
    section: str  # the beginning of its title
    figure: str
    bound: float
    at_least: bool = False
    ours: str = "millrace"
    theirs: str = "kafka"      # what our figure is divided by; "": the bound is absolute
    their_section: str = ""    # where that is another one


SMALL = "Produce, 1 KiB records in 16 KiB batches, acks=all"
LARGE = "Produce, 1 KiB records in 128 KiB batches, acks=all"
SINGLE = "One 100 B record a request"
PING = "A 100 B record produced and consumed, one at a time"
PACED = "100 B records at 2,000/s (open loop) to a consumer"
CONSUME = "Consume 1 KiB records"
FLUSH = "kafka, flush"
STREAMS = "kafka + streams"

TARGETS = (
    Target(SMALL, "records_per_second", 3, at_least=True),
    Target(SMALL, "cpu_s_per_gib", 1 / 8),
    Target(SMALL, "records_per_second", 4, at_least=True, theirs=FLUSH),
    Target(SMALL, "cpu_s_per_gib", 1 / 10, theirs=FLUSH),
    # Twice what receiving, checking and appending such requests cost on the machine that the targets were set on.
    Target(LARGE, "cpu_s_per_gib", 0.9, ours="millrace, os", theirs=""),
    Target("Produce, 100 B records in 128 KiB batches", "cpu_s_per_million", 1 / 5),
    Target(SINGLE, "cpu_us_per_record", 1 / 12),
    Target(SINGLE, "ack_p99", 2, theirs=""),
    Target(PING, "e2e_p50", 1),
    Target(PING, "e2e_p99", 1 / 3),
    Target(CONSUME, "cpu_s_per_gib", 0.8),
    Target(CONSUME, "records_per_second", 1.1, at_least=True),
    Target("Catch-up, warm", "cpu_s_per_gib", 0.7),
    Target("Catch-up, cold", "cpu_s_per_gib", 0.7),
    Target("Starting, resting", "start_ms", 10, theirs=""),
    Target("Starting, resting", "idle_mib", 10, theirs=""),
    Target("5,000 partitions", "restart_ms", 100, theirs=""),
    Target("5,000 partitions", "restarted_mib", 40, theirs=""),
    Target("Restart after kill -9", "restart_ms", 300, theirs=""),
    Target("Cost by number of connections: 1,000", "kib_per_connection", 3, theirs=""),
    Target("Filter and map", "cpu_s_per_million", 1 / 15, theirs=STREAMS),
    Target("Windowed count by key", "cpu_s_per_million", 1 / 15, theirs=STREAMS),
    Target("Filter and map at", "e2e_p50", 1.3, theirs="millrace", their_section=PACED),
)


UNKNOWN = "not measured in this run"


def times(ratio):
    """Three digits of it, or all before the point; less than half as a fraction."""
    shown = ratio if ratio >= 0.5 else 1 / ratio
    text = f"{shown:.3g}" if shown < 999.5 else f"{shown:,.0f}"
    return f"{text}×" if ratio >= 0.5 else f"1/{text}"


def median_of(tables, section, figure, contestant):
    """The first table whose title begins so and that has the figure; None without one."""
    for title, results in tables:
        values = [run[figure] for run in results.get(contestant, []) if figure in run]
        if title.startswith(section) and values:
            return statistics.median(values)
    return None


def lines(tables, title_of, number):
    """A line of a table for each target. `tables`: [(title, {contestant: [figures of a run, …]})]; `title_of(figure)` and
    `number(value)` write a figure's name and a value."""
    for t in TARGETS:
        reached = median_of(tables, t.section, t.figure, t.ours)
        peer = median_of(tables, t.their_section or t.section, t.figure, t.theirs) if t.theirs else 1
        write = times if t.theirs else number
        wanted = f"{'at least' if t.at_least else 'at most'} {write(t.bound)}"
        wanted += f" of {t.theirs}" if t.theirs else ""
        wanted += f" in {t.their_section}" if t.their_section else ""
        name = f"{t.section}: {title_of(t.figure)}" + (f", {t.ours}" if t.ours != "millrace" else "")
        if reached is None or not peer:
            yield f"| {name} | {wanted} | – | {UNKNOWN} |"
            continue
        reached /= peer
        met = reached >= t.bound if t.at_least else reached <= t.bound
        yield f"| {name} | {wanted} | {write(reached)} | {'met' if met else '**not met**'} |"
