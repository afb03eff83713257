"""A result as a picture: plan, shadow, section, figures and budget of one load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from volest.errors import InputError, MissingExtraError
from volest.result import Result, Surface
from volest.table import BUDGET, figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "draw", "figure"]

FORMATS = (".png", ".svg", ".pdf")

# Okabe and Ito's colours, told apart with any kind of colour vision.
LOAD, SEEN, HIDDEN, BOUND, STEEL, INK = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#555555", "#222222"
STATUS_COLOUR = {"ok": "#009E73", "degraded": "#B07400", "rejected": "#D55E00"}


def draw(result: Result, path: Path) -> None:
    """Write the picture of a result to a .png, .svg or .pdf file."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: found the ending {path.suffix!r}, expected one of {', '.join(FORMATS)}")
    picture = figure(result)
    try:
        picture.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); expected a place for the picture") from error


def figure(result: Result) -> Figure:
    """The picture as a Matplotlib figure."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingExtraError("drawing a picture", "server") from error

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.02, hspace=0.02)
    picture = Figure(figsize=(13.0, 7.2), layout=layout, facecolor="white")
    picture.suptitle(_title(result), x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    if result.surface is None:
        _say(picture.subplots(), ["No estimate: " + ", ".join(result.flags), *result.reasons])
        return picture
    halves = picture.add_gridspec(2, 2, width_ratios=(2.1, 1.0), height_ratios=(1.8, 1.0))
    left = picture.add_subfigure(halves[:, 0])
    maps = left.add_gridspec(2, 2, height_ratios=(1.0, 1.05))
    _plan(picture, left.add_subplot(maps[0, 0]), result.surface)
    _shadow(left.add_subplot(maps[0, 1]), result)
    _section(left.add_subplot(maps[1, :]), result)
    _figures(picture.add_subfigure(halves[0, 1]).subplots(), result)
    _budget(picture.add_subfigure(halves[1, 1]).subplots(), result)
    return picture


def _title(result: Result) -> str:
    flags = f" ({', '.join(result.flags)})" if result.flags else ""
    return _plain(f"Truck {result.truck_id}, load {result.load_id or 'without id'}: {result.status}{flags}")


def _plain(text: str) -> str:
    """Text in which Matplotlib finds no formula."""
    return text.replace("$", r"\$")


def _plan(picture: Figure, axes: Axes, surface: Surface) -> None:
    """Height of the load over the bed's nominal floor, from above."""
    low, high = np.nanpercentile(surface.load_m, (1.0, 99.0))  # a few cells of hoops or ropes must not dull the rest
    image = axes.imshow(surface.load_m, origin="lower", extent=_extent(surface), vmin=low, vmax=high)
    _bed_axes(axes, surface, "Height of the load over the floor, from above")
    bar = picture.colorbar(image, cax=axes.inset_axes((0.05, -0.24, 0.9, 0.05)), orientation="horizontal")
    bar.set_label("m", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def _shadow(axes: Axes, result: Result) -> None:
    """Which cells a sensor saw directly, from above."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    surface = result.surface
    assert surface is not None
    inside = np.isfinite(surface.load_m)
    shown = np.where(inside, surface.seen.astype(float), np.nan)
    colours = ListedColormap([HIDDEN, SEEN])
    axes.imshow(shown, origin="lower", extent=_extent(surface), cmap=colours, vmin=0, vmax=1)
    seen = result.seen_fraction if result.seen_fraction is not None else float(surface.seen[inside].mean())
    _bed_axes(axes, surface, f"Seen by a sensor: {100.0 * seen:.0f} % of the bed")
    legend = [Patch(color=SEEN, label="seen"), Patch(color=HIDDEN, label="hidden, inferred")]
    axes.legend(handles=legend, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=9)


def _section(axes: Axes, result: Result) -> None:
    """A cut along the bed through the middle of the load."""
    surface = result.surface
    assert surface is not None
    middle = result.centroid_m[1] if result.centroid_m is not None else 0.0
    row = int(np.argmin(np.abs(surface.y_m - middle)))
    x, load, empty, seen = surface.x_m, surface.load_m[row], surface.empty_m[row], surface.seen[row]
    axes.fill_between(x, empty, load, color=LOAD, alpha=0.15, linewidth=0)
    inside = np.flatnonzero(np.isfinite(empty))
    walls = np.concatenate(([surface.wall_top_m], empty[inside], [surface.wall_top_m]))
    axes.plot(x[[inside[0], *inside, inside[-1]]], walls, color=STEEL, linewidth=1.6, label="empty bed")
    axes.plot(x, np.where(seen, load, np.nan), color=LOAD, linewidth=1.8, label="load, seen")
    if not seen[np.isfinite(load)].all():
        hidden = _with_neighbours(~seen)
        axes.plot(
            x,
            np.where(hidden, load, np.nan),
            color=HIDDEN,
            linewidth=1.8,
            linestyle=(0, (3, 1.5)),
            label="load, inferred",
        )
        bound = np.where(hidden & np.isfinite(load), surface.bound_m[row], np.nan)
        axes.plot(x, bound, color=BOUND, linewidth=1.0, linestyle=":", label="bound by the rays")
    axes.axhline(surface.wall_top_m, color=INK, linewidth=0.8, linestyle=(0, (6, 3)), label="wall tops")
    left, right = _extent(surface)[:2]
    axes.set_xlim(left, right)
    highest = max(surface.wall_top_m, float(np.nanpercentile(surface.load_m, 99.5)))
    axes.set_ylim(min(float(np.nanmin(empty)), 0.0) - 0.08, highest + 0.22)
    axes.set_aspect("equal", adjustable="box")
    _style(axes, f"Section along the bed at y = {surface.y_m[row]:+.2f} m", "x, m (towards the cab)", "z, m")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=5, frameon=False, fontsize=9)


def _figures(axes: Axes, result: Result) -> None:
    """The result's figures with their intervals."""
    axes.set_axis_off()
    axes.set_title("What is in it", loc="left", fontsize=11, color=INK)
    rows = figures(result)
    for i, (name, value, spread) in enumerate(rows):
        y = 1.0 - (i + 0.6) / (len(rows) + 0.3)
        big = i == 0
        axes.text(0.0, y, name, transform=axes.transAxes, fontsize=10, va="center", color=STEEL)
        weight = "bold" if big else "normal"
        axes.text(
            1.0,
            y,
            value,
            transform=axes.transAxes,
            fontsize=13 if big else 11,
            va="center",
            ha="right",
            fontweight=weight,
            color=INK,
        )
        if spread:
            note = f"95 %: {spread}"
            axes.text(1.0, y - 0.037, note, transform=axes.transAxes, fontsize=8, va="center", ha="right", color=STEEL)
        if i:
            axes.plot(
                [0, 1],
                [y + 0.5 / (len(rows) + 0.3)] * 2,
                transform=axes.transAxes,
                color="#dddddd",
                linewidth=0.7,
                clip_on=False,
            )


def _budget(axes: Axes, result: Result) -> None:
    """What each source adds to the standard uncertainty of the volume."""
    budget = sorted((result.volume_budget_m3 or {}).items(), key=lambda item: item[1])
    if not budget:
        _say(axes, ["no uncertainty budget"])
        return
    litres = [1e3 * std for _, std in budget]
    bars = axes.barh([BUDGET.get(name, name) for name, _ in budget], litres, color=SEEN, height=0.62)
    axes.bar_label(
        bars, labels=[f"{value:.0f}" if value >= 9.5 else f"{value:.1f}" for value in litres], padding=3, fontsize=9
    )
    axes.set_xlim(0.0, 1.15 * max(*litres, 1e-3))
    _style(axes, "Uncertainty by source", "standard uncertainty, litres", "")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _say(axes: Any, lines: list[str]) -> None:
    axes.set_axis_off()
    text = _plain("\n".join(lines))
    axes.text(0.0, 0.5, text, transform=axes.transAxes, fontsize=11, va="center", color=INK, wrap=True)


def _bed_axes(axes: Axes, surface: Surface, title: str) -> None:
    """Outline of the bed's opening, aspect and labels of a map from above."""
    inside = np.isfinite(surface.load_m).astype(float)
    framed = np.pad(inside, 1)
    dx, dy = _step(surface.x_m), _step(surface.y_m)
    x = np.concatenate(([surface.x_m[0] - dx], surface.x_m, [surface.x_m[-1] + dx]))
    y = np.concatenate(([surface.y_m[0] - dy], surface.y_m, [surface.y_m[-1] + dy]))
    axes.contour(x, y, framed, levels=[0.5], colors=INK, linewidths=1.2)
    left, right, bottom, top = _extent(surface)
    axes.set_xlim(left - dx, right + dx)
    axes.set_ylim(bottom - dy, top + dy)
    _style(axes, title, "", "y, m")
    axes.text(
        right + 1.5 * dx, (bottom + top) / 2.0, "cab", rotation=270, ha="left", va="center", fontsize=9, color=STEEL
    )


def _style(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.tick_params(labelsize=8, color=STEEL)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _with_neighbours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and the cells beside it, so that a dashed line meets the solid one."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    return grown


def _step(centres: NDArray[np.float64]) -> float:
    return float(centres[1] - centres[0]) if len(centres) > 1 else 1.0


def _extent(surface: Surface) -> tuple[float, float, float, float]:
    """Left, right, bottom and top edge of the maps."""
    dx, dy = _step(surface.x_m) / 2.0, _step(surface.y_m) / 2.0
    x, y = surface.x_m, surface.y_m
    return float(x[0] - dx), float(x[-1] + dx), float(y[0] - dy), float(y[-1] + dy)
