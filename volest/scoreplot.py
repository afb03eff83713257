"""The picture of a score: are the intervals as honest as they say?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from volest.errors import MissingExtraError
from volest.picture import BOUND, INK, LOAD, SEEN, STEEL
from volest.quantity import COVERAGE_95
from volest.score import VISIBLE, Score, Scored, part_of, reliability, statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_score", "needs_matplotlib", "score_figure"]

REACH = 4.0  # standard uncertainties shown; what is further off is counted at the edge


def needs_matplotlib() -> None:
    """Raise MissingExtraError where there is no Matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("drawing a score", "server") from error


def draw_score(score: Score, path: Path) -> None:
    """Write the picture of a score to a file; raises OSError."""
    score_figure(score).savefig(path, dpi=150)


def score_figure(score: Score) -> Figure:
    """Reliability, the error of each load, and the histogram of errors over standard uncertainties."""
    needs_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1, wspace=0.03)
    picture = Figure(figsize=(15.0, 5.6), layout=layout, facecolor="white")
    picture.suptitle(_title(score), x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    made = [load for load in score.loads if load.error_percent is not None]
    shown = [load for load in (*score.loads, *score.hard) if load.error_percent is not None]
    left, middle, right = picture.subplots(1, 3, width_ratios=(1.0, 1.7, 1.0))
    _reliability(left, made)
    _errors(middle, shown)
    _histogram(right, made)
    return picture


def _title(score: Score) -> str:
    figures = statistics(score.loads)
    text = f"{figures.n} loads"
    if figures.bias_percent is not None:
        text += (
            f": bias {figures.bias_percent:+.2f}, RMS {figures.rms_percent:.2f} % of struck capacity, "
            f"{100.0 * (figures.coverage or 0.0):.0f} % of the 95 % intervals hold the truth"
        )
    return text


def _reliability(axes: Axes, made: Sequence[Scored]) -> None:
    """Nominal against observed coverage of the central intervals."""
    _style(axes, "Do the intervals hold what they say?", "nominal coverage, %", "observed coverage, %")
    axes.set(xlim=(0, 100), ylim=(0, 102))
    axes.plot([0, 100], [0, 100], color=STEEL, linewidth=0.9, linestyle=(0, (5, 3)), label="as honest as can be")
    levels = reliability(made)
    if not levels:
        _nothing(axes)
        return
    nominal = [100.0 * level.nominal for level in levels]
    low, high = ([100.0 * getattr(level, name) for level in levels] for name in ("low", "high"))
    axes.fill_between(nominal, low, high, color=SEEN, alpha=0.25, linewidth=0, label="chance, 95 times of 100")
    axes.plot(
        nominal, [100.0 * level.observed for level in levels], "o-", color=LOAD, markersize=4, label="value ± k std"
    )
    stated = 100.0 * (statistics(made).coverage or 0.0)
    axes.plot(
        [95.0],
        [stated],
        "D",
        color=BOUND,
        markersize=7,
        markerfacecolor="none",
        markeredgewidth=1.8,
        label="stated 95 % interval",
    )
    _legend(axes)


def _errors(axes: Axes, shown: Sequence[Scored]) -> None:
    """Each load's interval about the truth, by how much of the bed is visible."""
    title = "Estimate less truth, with its 95 % interval"
    _style(axes, title, "loads, by the part of the bed that is visible", "% of struck capacity")
    if not shown:
        _nothing(axes)
        return
    places = _places(axes, shown)
    width, size = (1.6, 6.0) if len(shown) <= 120 else (0.9, 4.0)
    kinds = (
        ("holds the truth", "o", LOAD, [x for x in shown if x.volume_covered and not x.hard]),
        ("misses it", "X", BOUND, [x for x in shown if not x.volume_covered and not x.hard]),
        ("marked hard", "s", STEEL, [x for x in shown if x.hard]),
    )
    for label, marker, colour, loads in kinds:
        if loads:
            at = [places[load.case] for load in loads]
            low, error, high = (_column(loads, f"{name}_percent") for name in ("lower95", "error", "upper95"))
            axes.vlines(at, low, high, color=colour, linewidth=width, alpha=0.6)
            axes.plot(at, error, marker, color=colour, ms=size, mew=0.0, label=f"{label}: {len(loads)}")
    axes.axhline(0.0, color=INK, linewidth=0.9)
    _legend(axes)


def _places(axes: Axes, shown: Sequence[Scored]) -> dict[str, float]:
    """Where each load stands: in a strip for each part, the less visible load further left; labels the strips."""
    ordered = sorted(shown, key=lambda x: (x.visible_fraction is None, x.visible_fraction or 0.0, x.case))
    places: dict[str, float] = {}
    middles, left = {}, 0.0
    for part, group in groupby(ordered, key=lambda x: part_of(x.visible_fraction, VISIBLE)):
        loads = list(group)
        width = max(len(loads), 0.12 * len(ordered), 1.0)
        places |= {load.case: left + width * (i + 0.5) / len(loads) for i, load in enumerate(loads)}
        middles[left + width / 2.0] = "not known" if part == "other" else part
        if left:
            axes.axvline(left, color=STEEL, linewidth=0.7, linestyle=":")
        left += width
    axes.set_xlim(0.0, left)
    axes.set_xticks(list(middles), list(middles.values()))
    axes.tick_params(axis="x", length=0)
    return places


def _histogram(axes: Axes, made: Sequence[Scored]) -> None:
    """Errors over standard uncertainties against the standard normal distribution."""
    from matplotlib.ticker import MaxNLocator

    _style(axes, "Error over standard uncertainty", "standard uncertainties", "loads")
    if not made:
        _nothing(axes)
        return
    z = np.array([np.copysign(np.inf, load.error_percent or 0.0) if load.z is None else load.z for load in made])
    edges = np.linspace(-REACH, REACH, 17)
    axes.hist(np.clip(z, -REACH, REACH), bins=list(edges), color=SEEN, edgecolor="white", label="loads")
    x = np.linspace(-REACH, REACH, 161)
    expected = len(made) * (edges[1] - edges[0]) * np.array([NormalDist().pdf(value) for value in x])
    axes.plot(x, expected, color=INK, linewidth=1.5, label="normal distribution")
    for side in (-1.0, 1.0):
        axes.axvline(side * COVERAGE_95, color=BOUND, linewidth=1.2, linestyle=(0, (4, 2)))
    axes.plot([], [], color=BOUND, linewidth=1.2, linestyle=(0, (4, 2)), label="95 %")
    if far := int(np.count_nonzero(np.abs(z) > REACH)):
        axes.set_xlabel(f"standard uncertainties ({far} further out, in the last bars)", fontsize=9)
    axes.set_xlim(-REACH, REACH)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)


def _legend(axes: Axes) -> None:
    columns = 2 if len(axes.get_legend_handles_labels()[0]) == 4 else 3
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=columns, frameon=False, fontsize=9)


def _column(loads: Sequence[Scored], name: str) -> NDArray[np.float64]:
    return np.array([getattr(load, name) for load in loads], dtype=np.float64)


def _nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no estimate", transform=axes.transAxes, ha="center", va="center", fontsize=11, color=STEEL)


def _style(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.tick_params(labelsize=8, color=STEEL)
    axes.spines[["top", "right"]].set_visible(False)
