"""What Millrace wants to reach beside Kafka, and whether a run of the benchmark shows it."""
import statistics

# (beginning of a section's title, figure, whether at least, bound, ours, theirs; theirs None: the bound is absolute)
TARGETS = (
    ("Produce, 1 KiB records in 16 KiB batches, acks=all", "records_per_second", True, 3, "millrace", "kafka"),
    ("Produce, 1 KiB records in 16 KiB batches, acks=all", "cpu_s_per_gib", False, 1 / 8, "millrace", "kafka"),
    ("Produce, 1 KiB records in 16 KiB batches, acks=all", "records_per_second", True, 4, "millrace", "kafka, flush"),
    ("Produce, 1 KiB records in 16 KiB batches, acks=all", "cpu_s_per_gib", False, 1 / 10, "millrace", "kafka, flush"),
    ("Produce, 100 B records in 128 KiB batches", "cpu_s_per_million", False, 1 / 5, "millrace", "kafka"),
    ("One 100 B record a request", "cpu_us_per_record", False, 1 / 12, "millrace", "kafka"),
    ("One 100 B record a request", "ack_p99", False, 2, "millrace", None),
    ("A 100 B record produced and consumed", "e2e_p50", False, 1, "millrace", "kafka"),
    ("A 100 B record produced and consumed", "e2e_p99", False, 1 / 3, "millrace", "kafka"),
    ("Consume 1 KiB records", "cpu_s_per_gib", False, 0.8, "millrace", "kafka"),
    ("Consume 1 KiB records", "records_per_second", True, 1.1, "millrace", "kafka"),
    ("Starting, resting", "start_ms", False, 10, "millrace", None),
    ("Starting, resting", "idle_mib", False, 10, "millrace", None),
    ("Restart after kill -9", "restart_ms", False, 300, "millrace", None),
    ("Filter and map", "cpu_s_per_million", False, 1 / 15, "millrace", "kafka"),
    ("Count by key", "cpu_s_per_million", False, 1 / 15, "millrace", "kafka"),
)


def fraction(value):
    return f"{value:g}×" if value >= 1 or value in (0.8,) else f"1/{1 / value:g}"


def lines(sections, title_of, number):
    """A line of a table for each target that the sections (title, keys, results) say something about. `title_of(figure)`
    and `number(value)` write a figure's name and a value."""
    for beginning, key, at_least, bound, ours, theirs in TARGETS:
        for title, _, results in sections:
            values = {c: [run[key] for run in results.get(c, []) if key in run] for c in (ours, theirs)}
            if not title.startswith(beginning) or not values[ours] or (theirs and not values[theirs]):
                continue
            reached = statistics.median(values[ours])
            wanted = f"{'at least' if at_least else 'at most'} {fraction(bound) if theirs else number(bound)}"
            if theirs:
                reached /= statistics.median(values[theirs])
                wanted += f" of {theirs}"
            shown = number(reached) if not theirs else f"{reached:.1f}×" if reached >= 1 else f"1/{1 / reached:.1f}"
            met = reached >= bound if at_least else reached <= bound
            yield f"| {beginning}: {title_of(key)} | {wanted} | {shown} | {'met' if met else '**not met**'} |"
            break
