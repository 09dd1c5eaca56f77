#!/usr/bin/env python3
"""Makes the table client x feature in docs/clients.md from results.jsonl. The client suite calls it after a full run."""
import json
import sys

from catalogue import CLIENTS
import groups
from features import FEATURES as BASICS

FEATURES = {**BASICS, **groups.FEATURES}
HEAD = """# Clients

Made by `./dev test compat` from its results; do not edit. Each client comes unmodified from its public registry, in the
version named, and runs every feature against a fresh broker; at the end each reads what all others wrote, in every codec.

Group features run two or three members of the client at a time: after every change all partitions must have one owner,
the broker's own description must agree with what the members hold, and each record must arrive once. "Broker killed"
is `kill -9` under all clients at once: their members carry on by themselves and read nothing again that they committed.
"""
MARKS = {"pass": "yes", "fail": "**no**", "lacks": "–", "skip": "not run"}


def write(results_path, out_path):
    with open(results_path) as f:
        rows = [json.loads(line) for line in f]
    found = {(row["client"], row["feature"]): row for row in rows}
    notes = []

    def cell(client, feature):
        row = found.get((client.name, feature))
        if row is None:
            return ""
        if row["result"] == "lacks":
            if row["why"] not in notes:
                notes.append(row["why"])
            return f"{MARKS['lacks']} [{notes.index(row['why']) + 1}]"
        return MARKS[row["result"]]

    half = (len(CLIENTS) + 1) // 2
    lines = [HEAD]
    for group in (CLIENTS[:half], CLIENTS[half:]):  # two tables, so that each fits a page
        lines.append("| | " + " | ".join(c.title for c in group) + " |")
        lines.append("|---|" + "---|" * len(group))
        for name, (title, _) in FEATURES.items():
            lines.append(f"| {title} | " + " | ".join(cell(c, name) for c in group) + " |")
        lines.append("")
    lines.append("A dash is something the client itself does not offer: "
                 + "; ".join(f"[{i}] {why}" for i, why in enumerate(notes, 1)) + ".")
    failures = [f"- {row['title']}, {FEATURES[row['feature']][0]}: {row['why']}" for row in rows if row["result"] == "fail"]
    if failures:
        lines += ["", "What fails, and how:", "", *failures]
    with open(out_path, "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    write(*sys.argv[1:3])
