"""The pictures of a report, as SVG that stands in its page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from volest.picture import BOUND, HIDDEN, INK, LOAD, SEEN, STEEL
from volest.sensorbench.optimum import AXES, MountMap
from volest.sensorbench.row import SOURCES, Row
from volest.sensorbench.summary import Entry, Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["budget_plot", "errors_plot", "interval_plot", "map_plot", "rms_plot"]

WIDTH_IN = 5.6
BUDGET_COLOURS = dict(zip(SOURCES, (HIDDEN, LOAD, STEEL, SEEN, "#009E73"), strict=True))
GOLDEN = 0.618034  # spreads points evenly
RECORDED, SIMULATED = "s", "o"


def rms_plot(entries: Sequence[Entry]) -> str:
    """The expected RMS error of each contender with its confidence interval."""
    picture, axes = _rows_of(entries, "Expected RMS error, with its 95 % confidence interval", "% of struck capacity")
    for y, entry in enumerate(entries):
        if entry.rms_percent is not None:
            _whisker(axes, y, entry.rms_percent, LOAD, RECORDED if entry.recorded else SIMULATED)
    _scaled(axes, [entry.rms_percent for entry in entries])
    return _svg(picture, "rms")


def errors_plot(entries: Sequence[Entry], rows: Sequence[Row]) -> str:
    """The error of each estimate, the bias and the 95 % limits of each contender."""
    from matplotlib.ticker import NullLocator

    title = "Estimate less truth: each estimate, bias and 95 % limits"
    picture, axes = _rows_of(entries, title, "% of struck capacity")
    axes.axvline(0.0, color=INK, linewidth=0.8)
    widest = max((abs(end) for entry in entries for end in entry.limits_percent or ()), default=1.0)
    reach, out = 1.6 * widest, 0
    if widest > 8.0:
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xticks([t for t in (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100) if abs(t) <= reach])
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    for y, entry in enumerate(entries):
        mine = [row for row in rows if (row.sensor, row.mount) == (entry.sensor, entry.mount)]
        errors = np.array([row.error_percent for row in mine if row.error_percent is not None], dtype=np.float64)
        out += int(np.count_nonzero(np.abs(errors) > reach))
        aside = 0.56 * ((np.arange(len(errors)) * GOLDEN) % 1.0 - 0.5)
        axes.plot(np.clip(errors, -reach, reach), y + aside, "o", color=SEEN, markersize=2.8, alpha=0.8, mew=0)
        if entry.limits_percent is not None and entry.bias_percent is not None:
            axes.plot(entry.limits_percent, (y, y), color=LOAD, linewidth=2.2, solid_capstyle="butt")
            axes.plot([entry.bias_percent.value], [y], "|", color=BOUND, markersize=13, markeredgewidth=2.2)
    axes.set_xlim(-1.04 * reach, 1.04 * reach)
    if out:
        axes.set_xlabel(f"% of struck capacity ({out} further out, at the edges)", fontsize=9)
    return _svg(picture, "errors")


def interval_plot(entries: Sequence[Entry]) -> str:
    """How often the 95 % intervals hold the truth, and how wide they are."""
    picture, (left, right) = _figure(entries, 2)
    _style(left, entries, "95 % intervals that hold", "% of all")
    _style(right, entries, "Their width", "% of struck capacity", names=False)
    left.axvline(95.0, color=BOUND, linewidth=1.2, linestyle=(0, (4, 2)))
    for y, entry in enumerate(entries):
        marker = RECORDED if entry.recorded else SIMULATED
        if entry.coverage is not None:
            _whisker(left, y, _percent(entry.coverage), LOAD, marker)
        if entry.width_percent is not None:
            _whisker(right, y, entry.width_percent, LOAD, marker)
    left.set_xlim(right=101.0)
    _scaled(right, [entry.width_percent for entry in entries])
    return _svg(picture, "interval")


def _percent(share: Interval) -> Interval:
    value, low, high = (None if end is None else 100.0 * end for end in (share.value, share.low, share.high))
    return Interval(value or 0.0, low, high)


def budget_plot(entries: Sequence[Entry]) -> str:
    """What makes the estimates uncertain: the parts of their variance; beside it the standard uncertainty."""
    picture, axes = _rows_of(entries, "Where the uncertainty comes from", "% of the variance")
    for y, entry in enumerate(entries):
        squares = {source: value**2 for source, value in entry.budget_percent.items()}
        total, left = sum(squares.values()), 0.0
        for source in SOURCES:
            if total > 0.0 and source in squares:
                length = 100.0 * squares[source] / total
                axes.barh(y, length, left=left, height=0.56, color=BUDGET_COLOURS[source], linewidth=0)
                left += length
        axes.annotate(f"{np.sqrt(total):.2f} %", (102.0, y), va="center", fontsize=8, color=INK, annotation_clip=False)
    for source in SOURCES:
        axes.plot([], [], "s", color=BUDGET_COLOURS[source], markersize=8, label=source)
    axes.set_xlim(0.0, 100.0)
    picture.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9, handletextpad=0.2, columnspacing=1.0)
    return _svg(picture, "budget")


def map_plot(found: MountMap) -> str:
    """The width of the interval against the position, and the best pose."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(WIDTH_IN, 3.8), layout="constrained", facecolor="none")
    axes = picture.subplots()
    names = [f"{name}, {AXES[name]}" for name in found.axes]
    best = dict(zip(AXES, (*found.xyz_m, *found.rpy_deg), strict=True))
    widths = np.array(found.widths)
    title = f"{found.sensor}: width of the 95 % interval"
    if len(found.axes) == 1:
        axes.plot(found.values[0], widths[0], "o-", color=LOAD)
        axes.plot([best[found.axes[0]]], [found.width_percent], "*", color=BOUND, markersize=15)
        axes.set_ylabel("% of struck capacity", fontsize=9)
        axes.set_ylim(bottom=0.0)
    else:
        mesh = axes.pcolormesh(*found.values, widths, cmap="viridis_r", shading="nearest", rasterized=False)
        for (j, i), width in np.ndenumerate(widths):
            light = width > widths.min() + 0.55 * (np.ptp(widths) or 1.0)
            colour = "white" if light else INK
            place = (found.values[0][i], found.values[1][j])
            axes.annotate(f"{width:.1f}", place, ha="center", va="center", fontsize=9, color=colour)
        place = (best[found.axes[0]], best[found.axes[1]])
        axes.plot(*[[v] for v in place], "*", color=BOUND, markersize=17, markeredgecolor="white")
        bar = picture.colorbar(mesh, ax=axes)
        bar.set_label("full width, % of struck capacity", fontsize=9)
        bar.ax.tick_params(labelsize=8, color=STEEL)
        bar.outline.set_visible(False)
        axes.set_ylabel(names[1], fontsize=9)
    picture.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    axes.set_xlabel(names[0], fontsize=9)
    axes.tick_params(labelsize=8, color=STEEL)
    axes.spines[["top", "right"]].set_visible(False)
    return _svg(picture, "map" + re.sub(r"\W", "", found.sensor))


def _rows_of(entries: Sequence[Entry], title: str, label: str) -> tuple[Figure, Axes]:
    picture, (axes,) = _figure(entries, 1)
    _style(axes, entries, "", label)
    picture.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return picture, axes


def _figure(entries: Sequence[Entry], columns: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure as high as there are contenders."""
    from matplotlib.figure import Figure

    size = (WIDTH_IN, 1.15 + 0.31 * len(entries))
    picture = Figure(figsize=size, layout="constrained", facecolor="none")
    return picture, list(np.atleast_1d(picture.subplots(1, columns)))


def _style(axes: Axes, entries: Sequence[Entry], title: str, label: str, names: bool = True) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(label, fontsize=9)
    axes.set_yticks(range(len(entries)), [entry.name if names else "" for entry in entries])
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.tick_params(labelsize=8, color=STEEL)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_facecolor("none")


def _scaled(axes: Axes, shown: Sequence[Interval | None]) -> None:
    """From 0 on; in steps of factors where the contenders differ by some."""
    from matplotlib.ticker import LogLocator, NullLocator

    values = [each.value for each in shown if each is not None and each.value > 0.0]
    if not values or max(values) < 8.0 * min(values):
        axes.set_xlim(left=0.0)
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _whisker(axes: Axes, y: float, interval: Interval, colour: str, marker: str) -> None:
    if interval.low is not None and interval.high is not None:
        axes.plot((interval.low, interval.high), (y, y), color=colour, linewidth=1.6, alpha=0.7)
    axes.plot([interval.value], [y], marker, color=colour, markersize=6, mew=0)


def _svg(picture: Figure, name: str) -> str:
    """The figure as an svg element whose ids are its own, and which refers to nothing outside."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "volest", "svg.fonttype": "path"}):
        picture.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'xlink:href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    return text.replace("<svg ", '<svg role="img" ', 1)
