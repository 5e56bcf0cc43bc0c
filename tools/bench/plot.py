# SPDX-License-Identifier: GPL-2.0
"""Draws the figures of tools/bench/run: plot.py JSON FOLDER."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# The same figures give the same file.
matplotlib.rcParams.update({"svg.hashsalt": "ckpt", "font.size": 9, "axes.grid": True,
                            "grid.alpha": 0.3, "axes.axisbelow": True})
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = {"ckpt": "#0072b2", "CRIU": "#d55e00"}


def save(figure, path):
    """Writes a drawing, without the time at which it was made."""
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    print(f"drawn: {path}")


def spread(line):
    """How far the lowest and the highest run are from the median, in milliseconds."""
    median = line["median"]
    return (median - line["low"]) / 1e6, (line["high"] - median) / 1e6


def compared(part, folder):
    """Bars of both tools, for each workload."""
    workloads = part["workloads"]
    for name, title in (("stop", "Time that the process stands still"),
                        ("save", "Command that saves"),
                        ("restart", "Command that brings back, until the process goes on")):
        figure, axes = plt.subplots(figsize=(7, 0.5 * len(workloads) + 1))
        for shift, tool in ((-0.2, "ckpt"), (0.2, "CRIU")):
            found = [(place, line) for place, workload in enumerate(workloads)
                     for line in workload["figures"]
                     if (line["tool"], line["name"]) == (tool, name)]
            if not found:
                continue
            places = [place + shift for place, _ in found]
            low, high = zip(*(spread(line) for _, line in found))
            bars = axes.barh(places, [line["median"] / 1e6 for _, line in found], 0.38,
                             xerr=[low, high], color=COLOURS[tool], label=tool,
                             error_kw={"lw": 0.8})
            axes.bar_label(bars, [f" {line['median'] / 1e6:.3g}" for _, line in found],
                           fontsize=7)
        axes.set_xscale("log")
        axes.set_xlabel(f"ms in the VM ({part['machine']}), median of {part['runs']} runs, "
                        "lowest and highest")
        axes.set_yticks(range(len(workloads)), [w["name"] for w in workloads])
        axes.invert_yaxis()
        axes.set_title(title, fontsize=10)
        axes.margins(x=0.1)
        axes.legend(loc="best")
        save(figure, folder / f"bench-criu-{name}.svg")


def by_tasks(part, folder):
    """Lines over the number of tasks, with what it costs to make and unmake them."""
    for tasks in ("threads", "processes"):
        lines = [line for line in part["series"] if line["tasks"] == tasks
                 and line["name"] in ("stop", "checkpoint(2)", "restart(2)")]
        if not lines:
            continue
        figure, axes = plt.subplots(figsize=(6, 4))
        for line in lines:
            points = line["points"]
            low, high = zip(*(spread(point) for point in points))
            axes.errorbar([p["count"] for p in points], [p["median"] / 1e6 for p in points],
                          yerr=[low, high], marker="o", ms=3, lw=1.2, capsize=2,
                          label=line["name"])
        most = max(point["count"] for line in lines for point in line["points"])
        cost = lines[0]["cost"]["median"] / 1e6
        axes.plot([0, most], [0, most * cost], "k--", lw=0.8, label=f"{lines[0]['base']} of all")
        axes.set_xlabel(tasks)
        axes.set_ylabel(f"ms in the VM ({part['machine']})")
        axes.set_title(f"Median of {part['runs']} runs, lowest and highest", fontsize=10)
        axes.legend(loc="best")
        save(figure, folder / f"bench-tasks-{tasks}.svg")


def main():
    """Draws what there is."""
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if results.get("criu", {}).get("workloads"):
        compared(results["criu"], folder)
    if results.get("tasks", {}).get("series"):
        by_tasks(results["tasks"], folder)


if __name__ == "__main__":
    main()
