#!/usr/bin/python3
"""Figures as pictures: one line a contestant, its median at each point, and the spread as a band.

As a program it reads {path, title, axis, unit, lines: {contestant: [[x, [value, …]], …]}}, or {path, title, axis, panels:
[{unit, lines: {name: [[x, y], …]}, log}, …]} of a course over time, and writes an SVG. It is one since matplotlib is installed
for the system's own Python, which need not be the one that comes first.
"""
import json
import statistics
import subprocess
import sys

COLOURS = {"millrace": "#0b6e99", "kafka": "#b3541e", "kafka + streams": "#b3541e"}


def draw(path, title, axis, unit, rows, key):
    """`rows`: [(x, {contestant: [figures of a run, …]})]."""
    lines = {}
    for x, results in rows:
        for name, runs in results.items():
            values = [run[key] for run in runs if key in run]
            if values:
                lines.setdefault(name, []).append((x, values))
    run({"path": path, "title": title, "axis": axis, "unit": unit, "lines": lines})


def draw_over_time(path, title, axis, panels):
    """One panel above the other, which share their axis of time."""
    run({"path": path, "title": title, "axis": axis, "panels": panels})


def run(picture):
    subprocess.run(["/usr/bin/python3", __file__], input=json.dumps(picture), text=True, check=True)


def panels_of(picture, plt):
    figure, all_axes = plt.subplots(len(picture["panels"]), sharex=True, squeeze=False, figsize=(7.2, 1.9 * len(picture["panels"])))
    for axes, panel in zip(all_axes[:, 0], picture["panels"]):
        for name, points in panel["lines"].items():
            axes.plot([x for x, _ in points], [y for _, y in points], label=name, linewidth=1)
        if panel.get("log"):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_ylabel(panel["unit"])
        axes.grid(True, alpha=0.3)
        axes.legend(fontsize="small")
    all_axes[0, 0].set_title(picture["title"])
    all_axes[-1, 0].set_xlabel(picture["axis"])
    return figure


def growth_of(picture, plt):
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    for name, points in picture["lines"].items():
        xs = [x for x, _ in points]
        axes.plot(xs, [statistics.median(v) for _, v in points], marker="o", label=name, color=COLOURS.get(name))
        axes.fill_between(xs, [min(v) for _, v in points], [max(v) for _, v in points], alpha=0.2, color=COLOURS.get(name))
    has_zero = any(x == 0 for points in picture["lines"].values() for x, _ in points)
    axes.set_xscale("symlog" if has_zero else "log")
    axes.set_yscale("log")
    axes.set_xlabel(picture["axis"])
    axes.set_ylabel(picture["unit"])
    axes.set_title(picture["title"])
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    return figure


def main():
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "millrace"  # the same figures give the same bytes
    import matplotlib.pyplot as plt
    picture = json.load(sys.stdin)
    figure = (panels_of if "panels" in picture else growth_of)(picture, plt)
    figure.savefig(picture["path"], bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
