"""Scores ways to make a volume of a truck-bed scan on the same loads: ours, those people use today, and yours.

    volest simulate datasets/benchmark/recipe.toml -o /tmp/bench
    python benchmarks/scoreboard.py /tmp/bench                                  all parts whose name begins with "test"
    python benchmarks/scoreboard.py datasets/benchmark --part sample            the few loads that come with volest
    python benchmarks/scoreboard.py /tmp/bench --method mine.volumes:better     your own besides

A method is a function `(points_bed, bed) -> volume_m3` (`benchmarks/truckbed.py` tells of both); it may return an
`Answer` with an interval. Where it raises an error or gives no finite number there is no estimate. `-o DIR` writes
answers.csv, a row a load and method; `--docs` writes tables and picture into docs/scoreboard.md.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import inspect
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import methods
import numpy as np
from truckbed import Answer, Method, read_load

from volest.case import Case, read_cases

DOCS = Path(__file__).parents[1] / "docs"
SIMPLE = (
    "highest_point",
    "mean_grid",
    "median_grid",
    "nearest",
    "linear",
    "delaunay_tin",
    "convex_hull",
    "alpha_shape",
)
OURS = ("volest", "volest_told_pose")
BEGIN, END = "<!-- scoreboard -->", "<!-- /scoreboard -->"
LABELS = ("part", "kind", "sensor", "mount")


@dataclass(frozen=True, slots=True)
class Row:
    """What a method says of a load; errors in % of struck capacity, NaN where there is no estimate."""

    method: str
    load: str
    part: str
    kind: str
    view: str  # SENSOR@MOUNT
    visible_fraction: float
    volume_m3: float = math.nan
    truth_m3: float = math.nan
    error_percent: float = math.nan
    width_percent: float = math.nan  # of the 95 % interval; NaN: the method gives none
    covered: float = math.nan  # 1 or 0
    seconds: float = math.nan  # of processor time
    complaint: str = ""


def known_methods(given: Sequence[str]) -> dict[str, Method]:
    """Ours, the simple ones, and what MODULE:FUNCTION names."""
    found: dict[str, Method] = {name: getattr(methods, name) for name in (*OURS, *SIMPLE)}
    sys.path.insert(0, os.getcwd())
    for text in given:
        module, _, name = text.partition(":")
        try:
            found[text] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise SystemExit(f"scoreboard: {text}: {error}; expected MODULE:FUNCTION that can be imported") from error
    return found


def score(folder: Path, part: str, chosen: dict[str, Method]) -> Iterator[Row]:
    """All methods on all loads of a part."""
    labels = read_labels(folder)
    for case in read_cases(folder / part):
        if case.kind != "load":
            continue
        points, bed = read_load(case)
        kind, view = labels.get((part, case.name), (case.load, case.sensors))
        for name, method in chosen.items():
            label = Row(name, case.name, part, kind, view, case.truth.visible_fraction or math.nan)
            yield judged(label, case, partial(method, points, bed))


def read_labels(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Kind and view by part and load, from loads.csv where there is one."""
    table = folder / "loads.csv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        return {(r["part"], r["load"]): (r["kind"], f"{r['sensor']}@{r['mount']}") for r in csv.DictReader(file)}


def judged(label: Row, case: Case, ask: Callable[[], float | Answer]) -> Row:
    """The label with the method's answer against the truth."""
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = ask()
        seconds = time.process_time() - started
        answer = told if isinstance(told, Answer) else Answer(float(told), math.nan, math.nan)
        if not math.isfinite(answer.volume_m3):
            raise ValueError(f"found {answer.volume_m3} m3, expected a volume")
    except Exception as error:  # of whatever kind: others' code, and the board goes on
        complaint = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return Row(**asdict(label) | {"complaint": complaint})
    truth, percent = case.truth.volume_m3, 100.0 / case.truth.struck_capacity_m3
    width = percent * (answer.upper95_m3 - answer.lower95_m3)
    figures = {
        "volume_m3": answer.volume_m3,
        "truth_m3": truth,
        "error_percent": percent * (answer.volume_m3 - truth),
        "width_percent": width,
        "covered": math.nan if math.isnan(width) else float(answer.lower95_m3 <= truth <= answer.upper95_m3),
        "seconds": seconds if answer.seconds is None else answer.seconds,
    }
    return Row(**asdict(label) | figures)


def rms(rows: Sequence[Row]) -> float:
    """Root mean square of the errors there are; NaN where there is none."""
    errors = [row.error_percent for row in rows if math.isfinite(row.error_percent)]
    return math.sqrt(sum(error**2 for error in errors) / len(errors)) if errors else math.nan


def figures_of(rows: Sequence[Row]) -> list[str]:
    """n, none, bias, RMS, 95th percentile, coverage, width and time as text."""
    made = [row for row in rows if math.isfinite(row.error_percent)]
    if not made:
        return ["0", str(len(rows)), "", "", "", "", "", ""]
    error = np.array([row.error_percent for row in made])
    told = [row for row in made if math.isfinite(row.covered)]
    cover = f"{100 * np.mean([row.covered for row in told]):.1f}" if told else ""
    width = f"{np.mean([row.width_percent for row in told]):.2f}" if told else ""
    return [
        str(len(made)),
        str(len(rows) - len(made)),
        f"{error.mean():+.2f}",
        f"{rms(made):.2f}",
        f"{np.quantile(np.abs(error), 0.95):.2f}",
        cover,
        width,
        f"{1e3 * np.median([row.seconds for row in made]):.3g}",
    ]


def tables(rows: Sequence[Row]) -> str:
    """The board in Markdown: all loads, then RMS errors by part, view and kind of load."""
    names = list(dict.fromkeys(row.method for row in rows))
    by_method = {name: [row for row in rows if row.method == name] for name in names}
    lost = {(row.part, row.load) for row in rows if not math.isfinite(row.error_percent)}
    shared = {name: [row for row in by_method[name] if (row.part, row.load) not in lost] for name in names}
    heads = ["method", "n", "none", "bias", "RMS", "95th", "cover", "width", "ms", "shared"]
    board = [[f"`{name}`", *figures_of(by_method[name]), number(rms(shared[name]))] for name in names]
    text = [markdown(heads, board)]
    for key, title in (("part", "part"), ("view", "sensor and mount"), ("kind", "kind of load")):
        groups = sorted({getattr(row, key) for row in rows})
        if len(groups) < 2:
            continue
        body = []
        for name in names:
            cells = [rms([row for row in by_method[name] if getattr(row, key) == group]) for group in groups]
            body.append([f"`{name}`", *map(number, cells)])
        counts = [len({(r.part, r.load) for r in rows if getattr(r, key) == group}) for group in groups]
        text.append(f"RMS error by {title}:\n")
        text.append(markdown(["", *(f"{g} ({n})" for g, n in zip(groups, counts, strict=True))], body))
    return "\n".join(text)


def number(value: float) -> str:
    """Two decimals, or nothing."""
    return "" if math.isnan(value) else f"{value:.2f}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, its numbers to the right."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Each method's errors, and its RMS error in each view."""
    import matplotlib.pyplot as plt

    ink, steel, ours = "#1f2933", "#8795a1", "#1b6ca8"
    names = list(dict.fromkeys(row.method for row in rows))
    views = sorted({row.view for row in rows})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13.0, 0.42 * len(names) + 2.0), layout="constrained", sharey=True
    )
    for place, name in enumerate(names):
        mine = [row for row in rows if row.method == name and math.isfinite(row.error_percent)]
        if not mine:
            continue
        colour = ours if name in OURS else steel
        error = np.array([row.error_percent for row in mine])
        low, high = np.quantile(error, (0.025, 0.975))
        left.plot([low, high], [place, place], color=colour, lw=5, alpha=0.45, solid_capstyle="round")
        left.plot(error.mean(), place, "o", color=colour, ms=7)
        values = [rms([row for row in mine if row.view == view]) for view in views]
        right.plot(values, [place] * len(values), "-", color=colour, lw=1, alpha=0.5)
    marks, shades = "osD^vP*X", plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(views)))
    for number, (view, shade) in enumerate(zip(views, shades, strict=True)):
        values = [rms([row for row in rows if row.method == name and row.view == view]) for name in names]
        right.plot(values, range(len(names)), marks[number % len(marks)], color=shade, ms=6, label=view)
    left.axvline(0.0, color=ink, lw=0.8)
    left.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=9)
    left.invert_yaxis()
    left.set_xscale("symlog", linthresh=2.0)
    ticks = (-50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50)
    left.set_xticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
    left.set_title("Error in % of struck capacity: mean, and 95 loads in 100", loc="left", fontsize=11, color=ink)
    right.set_xscale("log")
    ticks = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
    right.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    right.minorticks_off()
    right.set_title("RMS error in % of struck capacity, by sensor and mount", loc="left", fontsize=11, color=ink)
    right.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(labelsize=9, length=0)
    figure.savefig(path, dpi=110, facecolor="white")
    plt.close(figure)


def write_docs(rows: Sequence[Row], page: Path) -> None:
    """Tables and picture between the marks of a page."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    picture = page.parent / "images" / "scoreboard.png"
    draw(rows, picture)
    shown = f"![errors of each method](images/{picture.name})\n\n{tables(rows)}"
    page.write_text(f"{before}{BEGIN}\n{shown}{END}{after}", "utf-8")


def write_answers(rows: Sequence[Row], path: Path) -> None:
    """answers.csv."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_answers(path: Path) -> list[Row]:
    """What write_answers wrote."""
    kinds = {name: str if "str" in str(kind) else float for name, kind in inspect.get_annotations(Row).items()}
    with path.open(encoding="utf-8", newline="") as file:
        return [Row(**{name: kinds[name](value) for name, value in row.items()}) for row in csv.DictReader(file)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the parts, or an answers.csv that -o wrote")
    parser.add_argument("--part", action="append", help="by name; again for more")
    parser.add_argument("--method", action="append", default=[], metavar="MODULE:FUNCTION", help="again for more")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for answers.csv and scoreboard.png")
    parser.add_argument("--docs", action="store_true", help="write docs/scoreboard.md's tables and picture")
    arguments = parser.parse_args(argv)
    if arguments.folder.is_file():
        rows = read_answers(arguments.folder)
    else:
        parts = arguments.part or sorted(path.name for path in arguments.folder.glob("test*") if path.is_dir())
        if not parts:
            raise SystemExit(f"scoreboard: {arguments.folder}: found no part test*, expected --part")
        chosen = known_methods(arguments.method)
        rows = [row for part in parts for row in score(arguments.folder, part, chosen)]
    print(tables(rows))
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        write_answers(rows, arguments.output / "answers.csv")
        draw(rows, arguments.output / "scoreboard.png")
    if arguments.docs:
        write_docs(rows, DOCS / "scoreboard.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
