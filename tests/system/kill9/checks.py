"""The invariants: what was seen, what was acknowledged, and what must follow from it."""
import json
import mmap
import struct
import time

TOPICS = ["lines", "lines.clean", "lines.rejected", "lines.loud", "lines.counted"]
# Made by a processor with state, which lags after a start until it has its state again.
MAY_LAG = {"lines.counted"}


class violation(Exception):
    """The broker has broken a promise."""


class witnesses:
    """The pages on which each shard notes what it has appended and what it has committed; they outlive the process."""

    def __init__(self, data, shards):
        self.pages = []
        for shard in range(shards):
            with open(data / f"witness-{shard}", "rb") as f:
                self.pages.append(mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ))

    def is_uncommitted(self):
        """Whether some shard has appended more than it has committed."""
        return any(appended > committed for appended, committed in (struct.unpack_from("<QQ", p) for p in self.pages))

    def wait_for_uncommitted(self, seconds):
        """Returns at once when there is uncommitted work, or after so long."""
        end = time.monotonic() + seconds
        while not self.is_uncommitted() and time.monotonic() < end:
            pass


def line(source, number):
    """The record that a source writes: every seventh is malformed."""
    return f"{source}-{number}, {'x' if number % 7 == 0 else number}"


def identity(text):
    """(source, number) of a record of `lines`."""
    source, number = text.split(",")[0].split("-")
    return source, int(number)


def derive(text, counts):
    """What the processors make of a record of `lines`: (topic, value) pairs. `counts` is the counter's state."""
    identifier, number = text.split(", ")
    if number == "x":
        made = [("lines.rejected", text)]
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
            made.append(("lines.counted", str(counts[word])))
        return made
    clean = json.dumps({"id": identifier, "n": int(number)}, separators=(",", ":"))
    return [("lines.clean", clean), ("lines.loud", clean.upper())]


class view:
    """All records that the connected consumer has seen, by topic and partition, with what follows from them."""

    def __init__(self, partitions):
        self.partitions = partitions
        self.seen = {(t, p): [] for t in TOPICS for p in range(partitions)}
        self.checked = dict.fromkeys(self.seen, 0)
        # What the records of `lines` seen so far imply, in order.
        self.expected = {(t, p): [] for t in TOPICS[1:] for p in range(partitions)}
        self.expected_after = {p: [] for p in range(partitions)}  # counts of `expected` after each input offset
        self.last_number = {}  # by source and partition
        self.counts = {p: {} for p in range(partitions)}

    def count(self):
        return sum(len(records) for records in self.seen.values())

    def add(self, topic, partition, offset, value):
        records = self.seen[topic, partition]
        if offset != len(records):
            raise violation(f"{topic}-{partition}: offset {offset} follows {len(records) - 1}")
        records.append(value)

    def check_input(self, partition, is_idempotent, step):
        """Order and multiplicity of what is new in one partition of `lines`; extends what is expected of it."""
        records = self.seen["lines", partition]
        end = len(records)  # it grows meanwhile
        for offset in range(self.checked["lines", partition], end):
            source, number = identity(records[offset])
            last = self.last_number.get((source, partition))
            wanted = partition if last is None else last + step
            if number == wanted:
                self.last_number[source, partition] = number
            elif is_idempotent(source) or number > wanted:
                raise violation(f"lines-{partition}: offset {offset} holds {source}-{number}, not {source}-{wanted}")
            for topic, value in derive(records[offset], self.counts[partition]):
                self.expected[topic, partition].append(value)
            self.expected_after[partition].append(tuple(len(self.expected[t, partition]) for t in TOPICS[1:]))
        self.checked["lines", partition] = end

    def check_derived(self, partition):
        """What is new in the derived partitions is what the input implies, as far as both are seen."""
        for topic in TOPICS[1:]:
            key = topic, partition
            both = min(len(self.seen[key]), len(self.expected[key]))
            first = self.checked[key]
            if self.seen[key][first:both] != self.expected[key][first:both]:
                at = next(i for i in range(first, both) if self.seen[key][i] != self.expected[key][i])
                raise violation(f"{topic}-{partition}: offset {at} holds {self.seen[key][at]!r}, "
                                f"its input implies {self.expected[key][at]!r}")
            self.checked[key] = both

    def check_visible_together(self, partition, input_end, derived_ends):
        """Ends of derived partitions, asked for after that of their input, cover what it implies."""
        if input_end == 0:
            return
        for topic, wanted, end in zip(TOPICS[1:], self.expected_after[partition][input_end - 1], derived_ends):
            if end < wanted and topic not in MAY_LAG:
                raise violation(f"{topic}-{partition} ends at {end} while lines-{partition}, visible up to {input_end}, "
                                f"implies {wanted} records")

    def is_complete(self):
        return all(len(self.seen[key]) >= len(expected) for key, expected in self.expected.items())

    def check_complete(self):
        for key, expected in self.expected.items():
            if len(self.seen[key]) != len(expected):
                raise violation(f"{key[0]}-{key[1]} has {len(self.seen[key])} records, its input implies {len(expected)}")

    def check_acknowledged(self, partition, offset, text):
        records = self.seen["lines", partition]
        if offset >= len(records):
            raise violation(f"lines-{partition}: acknowledged {text!r} at offset {offset}, but it ends at {len(records)}")
        if records[offset] != text:
            raise violation(f"lines-{partition}: acknowledged {text!r} at offset {offset}, which holds {records[offset]!r}")
