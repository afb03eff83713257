"""A day as a picture: what was on the truck, and what each stop added, with intervals, against truth where known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from volest.errors import InputError, MissingExtraError
from volest.picture import BOUND, FORMATS, HIDDEN, INK, LOAD, SEEN, STEEL
from volest.quantity import Quantity
from volest.track.entry import Entry
from volest.track.table import clock
from volest.track.uncertain import Uncertain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["day_figure", "draw_day"]

Truth = list[dict[str, Any]]
MOST_TRUTH_BYTES = 10_000_000


def draw_day(entries: Sequence[Entry], path: Path, truth: Path | None = None) -> None:
    """Write the picture of a day to a .png, .svg or .pdf file; `truth`: the truth.json of a simulated day, if any."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: found the ending {path.suffix!r}, expected one of {', '.join(FORMATS)}")
    picture = day_figure(entries, [] if truth is None else _true_ledger(truth))
    try:
        picture.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); expected a place for the picture") from error


def day_figure(entries: Sequence[Entry], truth: Truth) -> Figure:
    """The picture as a Matplotlib figure."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingExtraError("drawing a picture", "server") from error

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, wspace=0.04, hspace=0.04)
    picture = Figure(figsize=(13.0, 8.2), layout=layout, facecolor="white")
    if not entries:
        picture.suptitle("A day without an event", fontsize=13, color=INK)
        return picture
    first, last = entries[0], entries[-1]
    title = f"Truck {first.truck_id}, {clock(first.begin_s)} to {clock(last.end_s)}".replace("$", r"\$")
    picture.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    axes = picture.subplots(2, 2, width_ratios=(1.5, 1.0))
    _on_truck(axes[0][0], entries, truth, "m3", "Volume on the truck, m³")
    _on_truck(axes[1][0], entries, truth, "kg", "Net mass on the truck, kg")
    loads = [(entry, _true(entry, truth)) for entry in entries if entry.kind == "load"]
    if truth:
        _errors(axes[0][1], loads)
    else:
        _added(
            axes[0][1], loads, lambda entry: _quantity(entry.volume_m3), "volume_m3", "Volume added at each stop, m³"
        )
    _added(
        axes[1][1],
        loads,
        lambda e: e.fused.wet_mass_fraction,
        "wet_mass_fraction",
        "Wet mass fraction of what was added",
    )
    axes[1][1].set_ylim(-0.03, 1.03)
    return picture


def _on_truck(axes: Axes, entries: Sequence[Entry], truth: Truth, unit: str, title: str) -> None:
    """What lies on the truck, event by event, with tips shaded."""
    points = [
        (time, value)
        for entry in entries
        for time, value in _course(
            entry, entry.on_truck_m3 if unit == "m3" else entry.on_truck_kg, _change(entry, unit)
        )
    ]
    hours = [time / 3600.0 for time, _ in points]
    value, half = [v.value for _, v in points], [1.96 * v.std for _, v in points]
    low, high = [v - h for v, h in zip(value, half, strict=True)], [v + h for v, h in zip(value, half, strict=True)]
    for number, entry in enumerate(entry for entry in entries if entry.kind == "tip"):
        span, name = (entry.begin_s / 3600.0, entry.end_s / 3600.0), "_tip" if number else "tip"
        axes.axvspan(*span, color=HIDDEN, alpha=0.25, linewidth=0, label=name)
    axes.fill_between(hours, low, high, color=SEEN, alpha=0.5, linewidth=0, label="95 % interval")
    axes.plot(hours, value, color=LOAD, linewidth=1.5, label="estimate")
    if truth:
        name = f"on_truck_{unit}"
        at = [entry["end_s"] / 3600.0 for entry in truth]
        axes.plot(at, [entry[name] for entry in truth], linestyle="", marker=".", color=BOUND, label="truth")
    for entry in entries:
        if set(entry.flags) & {"overload", "over_height", "overhang"} and points:
            flags = ", ".join(f for f in entry.flags if f in ("overload", "over_height", "overhang"))
            now = entry.on_truck_m3 if unit == "m3" else entry.on_truck_kg
            if now is not None:
                axes.annotate(
                    flags, (entry.end_s / 3600.0, now.value), xytext=(4, 6), textcoords="offset points", fontsize=8
                )
    _plain(axes, title)
    axes.xaxis.set_major_formatter(lambda hour, _: clock(3600.0 * hour)[:5])
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _change(entry: Entry, unit: str) -> Uncertain | None:
    """What an entry did to the volume or the mass."""
    return entry.volume_m3 if unit == "m3" else entry.mass_kg


def _course(entry: Entry, after: Uncertain | None, change: Uncertain | None) -> list[tuple[float, Uncertain]]:
    """What was there before an entry and after it."""
    if after is None:
        return []
    before = after if change is None or entry.kind == "start" else after - change
    return [(entry.begin_s, before), (entry.end_s, after)]


def _errors(axes: Axes, loads: Sequence[tuple[Entry, dict[str, Any] | None]]) -> None:
    """By how much each added volume is off, with its interval."""
    known = [(e.volume_m3, t, e) for e, t in loads if t is not None and e.volume_m3 is not None]
    for place, (volume, true, _) in enumerate(known, start=1):
        error = volume.value - true["volume_m3"]
        axes.errorbar(place, 1e3 * error, 1.96e3 * volume.std, color=LOAD, marker="o", markersize=4, capsize=3)
    axes.axhline(0.0, color=BOUND, linewidth=1.0)
    _plain(axes, "Volume added at each stop less the truth, litres (95 % intervals)")
    axes.set_xticks(range(1, len(known) + 1), [_label(volume) for volume, _, _ in known], fontsize=8)
    axes.set_xlabel("stop: m³ added", fontsize=9)


def _added(
    axes: Axes,
    loads: Sequence[tuple[Entry, dict[str, Any] | None]],
    of: Callable[[Entry], Quantity | None],
    name: str,
    title: str,
) -> None:
    """A quantity of each load with its interval, and its truth."""
    for place, (entry, true) in enumerate(loads, start=1):
        quantity = of(entry)
        if quantity is not None:
            axes.plot(
                [place, place], [quantity.lower95, quantity.upper95], color=SEEN, linewidth=5, solid_capstyle="butt"
            )
            axes.plot(place, quantity.value, color=LOAD, marker="o", markersize=4)
        if true is not None and name in true:
            axes.plot(place, true[name], color=BOUND, marker=".", linestyle="")
    _plain(axes, title)
    axes.set_xticks(range(1, len(loads) + 1), [clock(entry.end_s)[:5] for entry, _ in loads], fontsize=8)
    axes.set_xlabel("stop: time of leaving", fontsize=9)


def _label(volume: Uncertain) -> str:
    return f"{volume.value:.2f}"


def _quantity(value: Uncertain | None) -> Quantity | None:
    return None if value is None else value.quantity()


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.tick_params(labelsize=8, colors=STEEL)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _true(entry: Entry, truth: Truth) -> dict[str, Any] | None:
    """The true entry of the same kind about the same time."""
    near = [true for true in truth if true["kind"] == entry.kind and abs(true["end_s"] - entry.end_s) < 15.0]
    return near[0] if near else None


def _true_ledger(path: Path) -> Truth:
    """The true ledger of a simulated day; nothing where there is none."""
    try:
        if path.stat().st_size > MOST_TRUTH_BYTES:
            return []
        case = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        ledger: Truth = case["truth"]["ledger"]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return []
    return ledger
