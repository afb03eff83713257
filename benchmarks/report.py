"""Writes docs/benchmarks.md and its pictures from what `make bench` measured.

    python benchmarks/report.py build/bench

The folder holds peers.json (pytest-benchmark), ratios.json and growth.json; of what is not there the page says nothing.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import textwrap
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from volest import __version__

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
IMAGES = DOCS / "images"
BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # of figures that a line would cross
BUDGETS = Path(__file__).with_name("instructions.json")
OURS, THEIRS, FLOOR, MISSED = "#1b6ca8", "#b8b8b8", "#e0b040", "#c8553d"
FLOORS = ("copy", "bincount", "copies", "import numpy", "import numpy and numba", "points of the image alone")
Bench = dict[str, Any]
Row = tuple[str, float, dict[str, float]]  # job, size, times

GROWTH = {
    "points": """\
A load with half of its points on walls, rim and ground. What is looked at closely is thinned to so many points a cell,
so that more of them cost only their reading.""",
    "cell, cm": """\
143,170 returns of one sensor, with parts hidden, in a bed of 4.2 x 2.1 m whose cells have another edge than the 5 cm
that it would get: the whole way, and its stages.""",
    "sensors": "Sensors of 128 x 1024 rays around one bed.",
    "workers": """\
Loads of one truck by `estimate_many`, against one after another in one thread. What the machine's cores gain at most is
measured in the same run by a job that shares nothing and holds no lock: NumPy's sine of numbers that fit into each
core's cache.""",
}

OTHERS = """\
Those who make a volume of points get only those between the walls, in the bed's frame, and give no interval; Open3D's
pipeline finds the bed itself."""

INSTRUCTIONS = """\
`make instructions` counts what fixed scans take (`benchmarks/instructions.cpp`), looks at the answers, and fails where
a count is more than 3 % over these budgets, which were made by
"""

HEAD = """\
# Benchmarks

How long volest takes, and how long others take with the same points in the same run, on one core unless it says
otherwise. Written by

```sh
make bench
```

{machine}

A median stands with its quartiles. *Copies* are multiples of C, the time in which `np.copyto` copies the points of that
question. volest is made for one job and most of its peers for many: a ratio says what the job costs, not which library
is better. *Off by* is how far the answer is from the truth: volumes in % of struck capacity, poses in mm at the worst
corner of the bed.
"""


MAPS = """\
*Maps*: NumPy's map of mean heights of the same points by `np.bincount`. C straddles caches, and shifts several-fold
from one CPU to the next while the work does not; where the claims were laid down C was 79 µs and such a map 0.82 ms,
which says what each claim amounts to in maps. A claim holds when one of its two does. Open3D's way is cropping, voxels
of 2 cm as where the claim was laid down, outlier removal, ICP and a map; what it takes with 5 cm, volest's own cells,
is told below under "bed found".
"""


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    if seconds <= 0.0:
        return "0"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds / size < 100 else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def name_of(bench: Bench) -> str:
    """What ran: the contender, or what the test's name says."""
    name = str(bench["param"] or bench["name"].partition("[")[0].removeprefix("test_"))
    return name.rpartition("-")[2].replace("_", " ")  # a reader's has its format before it


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
    python = f"Python {info['python_version']}, {info['system']}"
    return f"Measured on {peers['datetime'][:10]}: {cpu}, one core; volest {__version__}, {python}; {versions}."


def processor() -> str:
    """The CPU's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def ratios_table(ratios: list[dict[str, Any]]) -> list[str]:
    """What must hold."""
    lines = ["| what | median | ratio | must | of | maps | must | error | |", "|---|--:|--:|--:|---|--:|--:|--:|---|"]
    for one in ratios:
        must = f"{'≥' if one['faster'] else '≤'} {one['must']:g}"
        error = "" if one["error"] is None else f"{one['error']:.2g}"
        spread = f"{duration(one['job_s'])} ({duration(one['job_low_s'])} to {duration(one['job_high_s'])})"
        verdict = "holds" if one["holds"] else "**missed**"
        maps = ["", ""] if one["maps"] is None else [f"{one['maps']:.3g}", f"≤ {one['must_maps']:.3g}"]
        figures = [f"{one['ratio']:,.3g}", must, one["floor_name"], *maps]
        lines.append(f"| {' | '.join([one['what'], spread, *figures, error, verdict])} |")
    return lines


def share_taken(one: dict[str, Any]) -> float:
    """How much of what is allowed a claim takes, by the yardstick that is kinder to it."""
    first = one["must"] / one["ratio"] if one["faster"] else one["ratio"] / one["must"]
    return float(first if one["maps"] is None else min(first, one["maps"] / one["must_maps"]))


def draw_ratios(ratios: list[dict[str, Any]], path: Path) -> None:
    """How much of what is allowed each claim takes; beyond 1 it is missed."""
    figure, panel = plt.subplots(figsize=(8, 0.5 + 0.3 * len(ratios)), layout="constrained")
    names = [one["what"].replace("`", "") for one in ratios]
    parts = [share_taken(one) for one in ratios]
    panel.barh(names, parts, color=[OURS if one["holds"] else MISSED for one in ratios])
    for name, part in zip(names, parts, strict=True):
        at = {"xytext": (4, 0), "textcoords": "offset points", "bbox": BEHIND}
        panel.annotate(f"{part:.2f}", (part, name), va="center", fontsize=7, **at)
    panel.axvline(1.0, color="#404040", linewidth=1)
    panel.set(xscale="log", xlim=(min([*parts, 1.0]) / 1.5, max([*parts, 1.0]) * 1.5))
    panel.set_title("Taken, of what is allowed", loc="left", fontsize=9)
    plain(panel)
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
    save(figure, path)


def group_table(benches: list[Bench]) -> list[str]:
    """One question: from the fastest to the slowest."""
    medians = medians_of(benches)
    copy = medians.get("copy", medians.get("copies"))
    ours = fastest_of_ours(medians)
    lines = ["| | median | quartiles | rounds | copies | times volest | off by |", "|---|--:|--:|--:|--:|--:|--:|"]
    for bench in benches:
        name, stats = name_of(bench), bench["stats"]
        copies = "" if copy is None else f"{stats['median'] / copy:,.3g}"
        times = "" if ours is None else f"{stats['median'] / ours:,.3g}"
        quartiles = f"{duration(stats['q1'])} to {duration(stats['q3'])}"
        shown = f"**{name}**" if is_ours(name) else name
        figures = [duration(stats["median"]), quartiles, str(stats["rounds"]), copies, times]
        lines.append(f"| {' | '.join([shown, *figures, bench['extra_info'].get('off', '')])} |")
    return lines


def medians_of(benches: list[Bench]) -> dict[str, float]:
    return {name_of(bench): bench["stats"]["median"] for bench in benches}


def fastest_of_ours(medians: dict[str, float]) -> float | None:
    return min((seconds for name, seconds in medians.items() if is_ours(name)), default=None)


def losses(groups: dict[str, list[Bench]]) -> list[str]:
    """Who is faster than volest, or nearer to the truth, and where; floors answer nothing and do not count."""
    lines = []
    for question, benches in groups.items():
        medians = medians_of(benches)
        ours = fastest_of_ours(medians)
        errors = {name_of(bench): bench["extra_info"]["off"] for bench in benches if "off" in bench["extra_info"]}
        our_error = next((error for name, error in errors.items() if is_ours(name)), None)
        for name in medians.keys() - set(FLOORS):
            if ours is None or is_ours(name):
                continue
            if medians[name] < ours:
                lines.append(f"- {question}: {name} is faster, {duration(medians[name])} against {duration(ours)}.")
            if our_error and name in errors and number(errors[name]) < number(our_error):
                lines.append(f"- {question}: {name} is nearer to the truth, {errors[name]} against {our_error}.")
    return sorted(lines) or ["Nowhere in this run."]


def number(quantity: str) -> float:
    """Without its unit."""
    return float(quantity.partition(" ")[0])


def draw_group(question: str, benches: list[Bench], path: Path) -> None:
    """A bar for each contender."""
    figure, panel = plt.subplots(figsize=(8, 0.6 + 0.26 * len(benches)), layout="constrained")
    names = [name_of(bench) for bench in benches]
    colours = [OURS if is_ours(name) else FLOOR if name in FLOORS else THEIRS for name in names]
    medians, lows, highs = ([bench["stats"][key] for bench in benches] for key in ("median", "q1", "q3"))
    spread = [np.subtract(medians, lows), np.subtract(highs, medians)]
    panel.barh(names, medians, color=colours, xerr=spread, ecolor="#404040")
    for name, median, high in zip(names, medians, highs, strict=True):
        panel.annotate(f"  {duration(median)}", (high, name), va="center", fontsize=7)
    if max(medians) > 20 * min(medians):
        panel.set(xscale="log", xlim=(min(medians) / 2, max(highs) * 2.5))
        panel.xaxis.set_minor_formatter("")
    else:
        panel.set(xlim=(0, 1.15 * max(highs)))
    panel.xaxis.set_major_formatter(lambda seconds, _: duration(seconds))
    panel.set_title(f"{question[0].upper()}{question[1:]}", loc="left", fontsize=9)
    plain(panel)
    save(figure, path)


def plain(panel: Any) -> None:
    """Bars from above, without a frame."""
    panel.tick_params(labelsize=7)
    panel.invert_yaxis()
    panel.spines[["top", "right"]].set_visible(False)


def save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)


def growth_table(question: str, rows: list[Row], engines: dict[float, int]) -> list[str]:
    """Medians by size, a column for each job; and what an engine of that size holds, if it is known."""
    medians = {(name, size): times["median"] for name, size, times in rows}
    names = list(dict.fromkeys(name for name, _, _ in rows))
    head = [question, *names, *(["memory of an engine"] if engines else [])]
    lines = [f"| {' | '.join(head)} |", f"|{'--:|' * len(head)}"]
    for size in dict.fromkeys(size for _, size, _ in rows):
        cells = [
            f"{size:,}" if isinstance(size, int) else f"{size:g}",
            *(duration(medians[name, size]) for name in names),
        ]
        cells += [f"{1e-6 * engines[size]:.1f} MB"] if engines else []
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def memory_text(extra: list[tuple[int, int]]) -> list[str]:
    """What the points cost beside themselves."""
    if not extra:
        return []
    most = max(taken for _, taken in extra)
    text = "Memory is bounded by the grid: beside the points and the engine, an estimate of "
    text += f"{extra[0][0]:,} to {extra[-1][0]:,} points takes {most / 1024:,.0f} KiB more at its peak, at most."
    return [textwrap.fill(text, 120), ""]


def batch_rows(batch: dict[str, Any]) -> list[tuple[int, float, float, float]]:
    """For each number of workers: loads a second, how many times one thread's that is, and the same of the sine."""
    medians = {(name, workers): times["median"] for name, workers, times in batch["times"]}
    alone, sine = medians["one after another", 1], medians["NumPy's sine", 1]
    many = {workers: seconds for (name, workers), seconds in medians.items() if name == "estimate_many"}
    return [(n, batch["loads"] / s, alone / s, sine / medians["NumPy's sine", n]) for n, s in sorted(many.items())]


def batch_table(batch: dict[str, Any]) -> list[str]:
    """How many loads a second, beside what the machine's cores can do at most."""
    lines = ["| workers | loads a second | times one thread | NumPy's sine | of that |", "|--:|--:|--:|--:|--:|"]
    for workers, rate, gain, most in batch_rows(batch):
        lines.append(f"| {workers} | {rate:,.0f} | {gain:.2f} | {most:.2f} | {100 * gain / most:.0f} % |")
    return lines


def draw_growth(growth: dict[str, Any], path: Path) -> None:
    """Time over size, a panel for each kind of work, and what workers gain."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
    for panel, (question, rows) in zip(panels.flat, growth["times"].items(), strict=False):
        draw_series(panel, question, rows)
    panel = panels.flat[-1]
    counts, _, gains, most = zip(*batch_rows(growth["batch"]), strict=True)
    panel.plot(counts, most, marker="o", markersize=3, color=FLOOR, label="NumPy's sine")
    panel.plot(counts, gains, marker="o", markersize=3, label="estimate_many")
    panel.set(xlabel="workers", ylabel="times as fast as one thread", xticks=counts, ylim=(0, 1.1 * max(*counts, 1.1)))
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7, loc="lower right")
    save(figure, path)


def draw_series(panel: Any, question: str, rows: list[Row]) -> None:
    """Medians with their quartiles; finer cells are more work."""
    for name in dict.fromkeys(row[0] for row in rows):
        sizes, times = zip(*[(size, times) for job, size, times in rows if job == name], strict=True)
        low, median, high = ([1e3 * t[key] for t in times] for key in ("low", "median", "high"))
        colour = FLOOR if name == "copy" else None
        (line,) = panel.plot(sizes, median, marker="o", markersize=3, label=name, color=colour)
        panel.fill_between(sizes, low, high, alpha=0.25, color=line.get_color())
    panel.set(xlabel=question, ylabel="median time, ms", xscale="log", yscale="log")
    ticks = list(dict.fromkeys(row[1] for row in rows))
    if question != "points":
        panel.set_xticks(ticks, [f"{size:g}" for size in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
    if ticks[0] > ticks[-1]:
        panel.invert_xaxis()
    panel.yaxis.set_major_formatter("{x:g}")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7, ncols=2)


def growth_section(growth: dict[str, Any]) -> list[str]:
    """Pictures and tables of what grows."""
    draw_growth(growth, IMAGES / "growth.png")
    memory = growth["memory"]
    engines = dict(memory.get("cells", []))
    lines = ["## As the work grows", "", "![Time over points, cells, sensors and workers](images/growth.png)", ""]
    for question, rows in growth["times"].items():
        lines += [f"### {question[0].upper()}{question[1:]}", "", GROWTH[question], ""]
        lines += [*growth_table(question, rows, engines if question == "cell, cm" else {}), ""]
        lines += memory_text(memory.get("points", [])) if question == "points" else []
    return [*lines, "### Workers", "", GROWTH["workers"], "", *batch_table(growth["batch"]), ""]


def instructions_section(budgets: dict[str, Any]) -> list[str]:
    """What fixed work takes, the same on every run."""
    jobs: dict[str, int] = budgets["jobs"]
    lines = ["## Instructions", "", f"{INSTRUCTIONS}{budgets['compiler']}.", ""]
    lines += ["| work | AVX2 | any CPU |", "|---|--:|--:|"]
    for job, count in jobs.items():
        if not job.endswith("-portable"):
            portable = jobs.get(f"{job}-portable")
            lines.append(f"| {job} | {count:,} | {'' if portable is None else f'{portable:,}'} |")
    return [*lines, ""]


def peers_section(peers: dict[str, Any]) -> list[str]:
    """A table and a picture of each question."""
    benches = sorted(peers["benchmarks"], key=lambda bench: (bench["group"] or "", bench["stats"]["median"]))
    groups = {question: list(found) for question, found in groupby(benches, key=lambda one: one["group"] or "")}
    lines = ["## Beside others", "", OTHERS, "", "Where volest is beaten:", "", *losses(groups), ""]
    for question, found in groups.items():
        lines += [f"### {question[0].upper()}{question[1:]}", ""]
        if len(found) > 1:
            picture = f"bench-{re.sub(r'[^a-z0-9]+', '-', question.lower())}.png"
            draw_group(question, found, IMAGES / picture)
            lines += [f"![{question}](images/{picture})", ""]
        lines += [*group_table(found), ""]
    return lines


def main(folder: Path) -> None:
    peers, ratios, growth = (
        json.loads(path.read_text()) if (path := folder / f"{name}.json").exists() else None
        for name in ("peers", "ratios", "growth")
    )
    for picture in IMAGES.glob("bench-*.png"):
        picture.unlink()
    lines = [HEAD.format(machine=textwrap.fill(machine(peers), 120))]
    if ratios:
        draw_ratios(ratios, IMAGES / "bench-ratios.png")
        lines += [
            "## What must hold",
            "",
            "![Ratios](images/bench-ratios.png)",
            "",
            *ratios_table(ratios),
            "",
            MAPS,
            "",
        ]
    lines += growth_section(growth) if growth else []
    lines += instructions_section(json.loads(BUDGETS.read_text()))
    lines += peers_section(peers) if peers else []
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
