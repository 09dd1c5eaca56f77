#!/usr/bin/env python3
"""Makes records.jsonl, a feed of six roads in one partition, and expected.jsonl, what `aggregate` has to make of it by
minute: computed from the definitions with Python's own `statistics`, in whole, not record by record.

    make.py      writes both beside itself
"""
import json
import math
import pathlib
import random
import statistics

HERE = pathlib.Path(__file__).resolve().parent
SIZE, GRACE = 60_000, 10_000


def make_records():
    """Records of which a third are out of order, some by more than the grace; speeds from 1e-3 to 1e6 with both signs."""
    roll = random.Random(20231114)
    now = 1_700_000_000_000
    records = []
    for number in range(3000):
        now += roll.choice([0, 0, 40, 300, 800]) + (90_000 if roll.random() < 0.002 else 0)
        at = now
        if roll.random() < 0.3:
            at -= roll.randrange(8_000)
        if roll.random() < 0.03:
            at -= roll.randrange(200_000)
        road = roll.choice("ABCDEF")
        value = {"road": road, "vehicle": f"v{roll.randrange(40)}"}
        kind = roll.random()
        if kind < 0.5:
            value["speed"] = roll.randrange(20, 200)
        elif kind < 0.9:
            value["speed"] = round(roll.gauss(90, 25), 3)
        elif kind < 0.95:
            value["speed"] = round(math.copysign(10 ** roll.uniform(-3, 6), roll.random() - 0.5), 6)
        records.append({"key": f"k{number % 7}", "value": value, "timestamp": at})
    return records


def expected(records):
    windows, order, late, stream_time = {}, [], 0, 0
    for record in records:
        stream_time = max(stream_time, record["timestamp"])
        # Closed windows in the order of their start, then road, before the record that closes them.
        for start, road in sorted(w for w in windows if w not in order and w[0] + SIZE + GRACE <= stream_time):
            order.append((start, road))
        start = record["timestamp"] // SIZE * SIZE
        if start + SIZE + GRACE <= stream_time:
            late += 1
            continue
        windows.setdefault((start, record["value"]["road"]), []).append(record)
    rows = []
    for start, road in order:
        inside = windows[start, road]
        speeds = [r["value"]["speed"] for r in inside if "speed" in r["value"]]
        ordered = sorted(speeds)
        row = {"road": road, "window_start": start, "window_end": start + SIZE, "records": len(inside), "speeds": len(speeds),
               "vehicles": len({r["value"]["vehicle"] for r in inside})}
        if speeds:
            row |= {"sum": math.fsum(speeds), "mean": statistics.fmean(speeds), "min": ordered[0], "max": ordered[-1],
                    "median": ordered[(len(ordered) - 1) // 2], "p90": ordered[int(0.9 * (len(ordered) - 1))]}
        if len(speeds) > 1:
            row |= {"variance": statistics.variance(speeds)}
        rows.append(row | {"timestamp": max(r["timestamp"] for r in inside)})
    return rows, late


def main():
    records = make_records()
    rows, late = expected(records)
    (HERE / "records.jsonl").write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records))
    (HERE / "expected.jsonl").write_text(json.dumps({"late": late}) + "\n" + "".join(json.dumps(r) + "\n" for r in rows))


if __name__ == "__main__":
    main()
