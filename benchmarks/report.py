"""Writes docs/benchmarks.md and its pictures from what `make bench` measured.

    python benchmarks/report.py build/bench

The folder holds peers.json (pytest-benchmark), ratios.json and growth.json; of what is not there the page says nothing.
"""

from __future__ import annotations

import json
import platform
import sys
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from volest import __version__

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
OURS, THEIRS, FLOOR = "#1b6ca8", "#b8b8b8", "#e0b040"
FLOORS = ("copy", "bincount", "copies")
Bench = dict[str, Any]

HEAD = """\
# Benchmarks

How long volest takes, and how long others take with the same points in the same run, on one core. Written by

```sh
make bench
```

{machine}

A median stands with its quartiles. *Copies* are multiples of C, the time in which `np.copyto` copies the points of that
question. volest is made for one job and most of its peers for many: a ratio says what the job costs, not which library
is better. Where a peer is faster, it says so.
"""


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds / size < 100 else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def name_of(bench: Bench) -> str:
    """What ran: the contender, or what the test's name says."""
    name = str(bench["param"] or bench["name"].partition("[")[0].removeprefix("test_"))
    return name.replace("_", " ")


def is_ours(name: str) -> bool:
    return name.startswith(("volest", "estimate many", "one after another", "whole load"))


def machine(peers: dict[str, Any] | None) -> str:
    """Where, with what and when."""
    if peers is None:
        python = f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.system()}"
        return f"Measured on {date.today()}: {processor()}, one core; volest {__version__}, {python}."
    info = peers["machine_info"]
    cpu = info["cpu"].get("brand_raw", info["cpu"].get("arch", "unknown CPU"))
    versions = ", ".join(f"{name} {version}" for name, version in info["peers"].items())
    python = f"Python {info['python_version']}, {platform.system()} {info['release']}"
    return f"Measured on {peers['datetime'][:10]}: {cpu}, one core; volest {__version__}, {python}; {versions}."


def processor() -> str:
    """The CPU's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def ratios_table(ratios: list[dict[str, Any]]) -> list[str]:
    """What must hold."""
    lines = ["| what | median | ratio | must | of | bincounts | error | |", "|---|--:|--:|--:|---|--:|--:|---|"]
    for one in ratios:
        must = f"{'≥' if one['faster'] else '≤'} {one['must']:g}"
        error = "" if one["error"] is None else f"{one['error']:.2g}"
        spread = f"{duration(one['job_s'])} ({duration(one['job_low_s'])} to {duration(one['job_high_s'])})"
        verdict = "holds" if one["holds"] else "**missed**"
        figures = [f"{one['ratio']:,.3g}", must, one["floor_name"], f"{one['bincount_ratio']:,.3g}"]
        lines.append(f"| {' | '.join([one['what'], spread, *figures, error, verdict])} |")
    return lines


def group_table(benches: list[Bench]) -> list[str]:
    """One question: from the fastest to the slowest."""
    medians = {name_of(bench): bench["stats"]["median"] for bench in benches}
    copy = medians.get("copy", medians.get("copies"))
    ours = min((seconds for name, seconds in medians.items() if is_ours(name)), default=None)
    lines = ["| | median | quartiles | rounds | copies | times volest |", "|---|--:|--:|--:|--:|--:|"]
    for bench in benches:
        name, stats = name_of(bench), bench["stats"]
        copies = "" if copy is None else f"{stats['median'] / copy:,.3g}"
        times = "" if ours is None else f"{stats['median'] / ours:,.3g}"
        quartiles = f"{duration(stats['q1'])} to {duration(stats['q3'])}"
        shown = f"**{name}**" if is_ours(name) else name
        lines.append(
            f"| {shown} | {duration(stats['median'])} | {quartiles} | {stats['rounds']} | {copies} | {times} |"
        )
    return lines


def draw_groups(groups: dict[str, list[Bench]], path: Path) -> None:
    """A bar for each contender, a panel for each question that has several."""
    shown = {question: benches for question, benches in groups.items() if len(benches) > 1}
    heights = [len(benches) + 1.6 for benches in shown.values()]
    figure, panels = plt.subplots(
        len(shown), 1, figsize=(8, 0.24 * sum(heights)), height_ratios=heights, layout="constrained"
    )
    for panel, (question, benches) in zip(panels, shown.items(), strict=True):
        names = [name_of(bench) for bench in benches]
        colours = [OURS if is_ours(name) else FLOOR if name in FLOORS else THEIRS for name in names]
        medians = [bench["stats"]["median"] for bench in benches]
        spread = [[b["stats"]["median"] - b["stats"]["q1"] for b in benches]]
        spread += [[b["stats"]["q3"] - b["stats"]["median"] for b in benches]]
        panel.barh(names, medians, color=colours, xerr=spread, ecolor="#404040")
        for name, median in zip(names, medians, strict=True):
            panel.annotate(f"  {duration(median)}", (median, name), va="center", fontsize=7)
        panel.set(xscale="log", xlim=(min(medians) / 2, max(medians) * 6))
        panel.set_title(question, loc="left", fontsize=9)
        panel.tick_params(labelsize=7)
        panel.invert_yaxis()
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_growth(growth: dict[str, list[tuple[str, float, dict[str, float]]]], path: Path) -> None:
    """Time over size, a panel for each kind of work."""
    figure, panels = plt.subplots(1, len(growth), figsize=(11, 3.6), layout="constrained")
    for panel, (question, rows) in zip(panels, growth.items(), strict=True):
        for name in dict.fromkeys(row[0] for row in rows):
            sizes, times = zip(*[(size, times) for job, size, times in rows if job == name], strict=True)
            (line,) = panel.plot(
                sizes,
                [1e3 * t["median"] for t in times],
                marker="o",
                markersize=3,
                label=name,
                color=FLOOR if name == "copy" else None,
            )
            low, high = ([1e3 * t[end] for t in times] for end in ("low", "high"))
            panel.fill_between(sizes, low, high, alpha=0.25, color=line.get_color())
        panel.set(xlabel=question, yscale="log", xscale="linear" if question == "sensors" else "log")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    panels[0].set_ylabel("median time, ms")
    panels[-1].set_xticks(sorted({row[1] for row in list(growth.values())[-1]}))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(folder: Path) -> None:
    peers, ratios, growth = (
        json.loads(path.read_text()) if (path := folder / f"{name}.json").exists() else None
        for name in ("peers", "ratios", "growth")
    )
    lines = [HEAD.format(machine=machine(peers))]
    if ratios:
        lines += ["## What must hold", "", *ratios_table(ratios), ""]
    if growth:
        lines += ["## As the work grows", "", "![Time over points, cells and sensors](images/growth.png)", ""]
        draw_growth(growth, DOCS / "images" / "growth.png")
    if peers:
        benches = sorted(peers["benchmarks"], key=lambda bench: (bench["group"] or "", bench["stats"]["median"]))
        groups = {question: list(found) for question, found in groupby(benches, key=lambda one: one["group"] or "")}
        lines += ["## Beside others", "", "![Medians by question](images/peers.png)", ""]
        for question, found in groups.items():
            lines += [f"### {question[0].upper()}{question[1:]}", "", *group_table(found), ""]
        draw_groups(groups, DOCS / "images" / "peers.png")
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
