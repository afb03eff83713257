"""A result as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from volest.quantity import Quantity
from volest.result import Result

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["BUDGET", "FLAG_MEANING", "SUMMARY_COLUMNS", "figures", "print_result", "print_summary", "summary_row"]

FLAG_MEANING = {
    "carry_back": "What lies in the bed is little enough to be what stuck to it after the last tip.",
    "dirty_window": "A part of a sensor's view shows nothing, or only what lies on its window.",
    "dust": "Many points hang in the air: dust, rain or insects; they were left out.",
    "empty": "The bed is empty within the uncertainty.",
    "load_moved": "The load moved between frames of one sensor, or something was added or taken.",
    "no_bed": "The walls of the bed are not where the truck file says they are.",
    "no_points": "The scan holds no points, or none inside the bed.",
    "occluded": "A good part of the bed lies in shadow of every sensor.",
    "overhang": "Material hangs over outside the walls; it counts in the mass and not in the volume.",
    "overload": "The load exceeds what the truck may carry.",
    "sensor_moved": "The sensor does not sit where the truck file says it does.",
    "sparse": "The scan has too few points for the usual accuracy.",
    "tarp": "A sheet seems to lie over the bed: what is under it cannot be seen.",
    "time_skew": "Scans or weights were not taken at the same time.",
    "unfamiliar": "Bed, load or sensor is unlike those that the interval was learned from; it is wider.",
    "unreadable": "A scan cannot be read.",
    "upside_down": "The scan seems to be upside down.",
    "weight_missing": "No weight was given, or it holds no usable sample.",
    "weight_unstable": "The weight drifts, jumps, sticks, is cut off, too short, or has large gaps.",
    "weight_volume_mismatch": "No waste of the truck's profile has this mass in this volume.",
    "wrong_truck": "The bed in the scan is not the bed of the truck file.",
    "wrong_unit": "The scan is not in metres.",
}

BUDGET = {
    "hidden": "What no sensor saw",
    "pose": "Where the sensors are",
    "reference": "The empty bed",
    "range": "Range noise",
    "surface": "Shape between the points",
}


def _with_interval(quantity: Quantity | None, digits: int, unit: str) -> tuple[str, str]:
    """A quantity as "value ± std unit" and as its 95 % interval, for a table's two columns."""
    if quantity is None:
        return "not known", ""
    value = f"{quantity.value:,.{digits}f} ± {quantity.std:,.{digits}f} {unit}".rstrip()
    return value, f"{quantity.lower95:,.{digits}f} to {quantity.upper95:,.{digits}f}"


def figures(result: Result) -> list[tuple[str, str, str]]:
    """The figures of a result: name, value with unit, 95 % interval."""

    def number(value: float | None, digits: int, unit: str) -> tuple[str, str]:
        return ("not known" if value is None else f"{value:,.{digits}f} {unit}".rstrip(), "")

    def share(value: float | None) -> tuple[str, str]:
        return ("not known" if value is None else f"{100.0 * value:.0f} %", "")

    wet = result.wet_mass_fraction
    percent = None if wet is None else Quantity(*(100.0 * x for x in (wet.value, wet.std, wet.lower95, wet.upper95)))
    return [
        ("Volume", *_with_interval(result.volume_m3, 3, "m³")),
        ("Net mass", *_with_interval(result.net_mass_kg, 0, "kg")),
        ("Bulk density", *_with_interval(result.bulk_density_kg_m3, 0, "kg/m³")),
        ("Wet by mass", *_with_interval(percent, 0, "%")),
        ("Waste class", result.waste_class or "not decided", ""),
        ("Struck capacity", *number(result.struck_capacity_m3, 2, "m³")),
        ("Filled", *share(result.fill_ratio)),
        ("Above the walls", *number(result.heaped_volume_m3, 3, "m³")),
        ("Seen of the bed", *share(result.seen_fraction)),
        ("Returns that are no surface", *share(result.rejected_fraction)),
    ]


def print_result(result: Result, console: Console) -> None:
    """Print one result as a table, with its budget and its flags in a sentence each."""
    from rich.table import Table
    from rich.text import Text

    colour = {"ok": "green", "degraded": "yellow", "rejected": "red"}[result.status]
    console.print(
        Text.assemble(
            ("Load ", "bold"), result.load_id, ("  truck ", "bold"), result.truck_id, "  ", (result.status, colour)
        )
    )
    if result.status != "rejected":
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("")
        table.add_column("", justify="right")
        table.add_column("95 % interval", justify="right")
        for name, value, spread in figures(result):
            table.add_row(name, Text(value), spread)
        for name, std in sorted((result.volume_budget_m3 or {}).items(), key=lambda item: -item[1]):
            table.add_row(Text(f"  {BUDGET.get(name, name)}", "dim"), Text(f"± {std:.3f} m³", "dim"), "")
        console.print(table)
    for flag in result.flags:
        console.print(Text.assemble((flag, colour), ": ", FLAG_MEANING.get(flag, "")), soft_wrap=True)
    for reason in result.reasons:
        console.print(Text(f"  {reason}"), soft_wrap=True)
    if result.timing_ms:
        spent = ", ".join(f"{name} {ms:.1f} ms" for name, ms in result.timing_ms.items())
        console.print(Text(f"Time: {spent}", "dim"))


SUMMARY_COLUMNS = (
    "Load",
    "Volume m³",
    "95 %",
    "Truth m³",
    "Error % of struck",
    "Net mass kg",
    "Density kg/m³",
    "Wet %",
    "Class",
    "Seen %",
    "Status",
)


def summary_row(result: Result, truth: dict[str, Any] | None) -> tuple[str, ...]:
    """A result on one line, under SUMMARY_COLUMNS, against the `truth` of a truth.json."""

    def cell(value: float | None, digits: int, scale: float = 1.0) -> str:
        return "" if value is None else f"{scale * value:,.{digits}f}"

    def spread(quantity: Quantity | None, digits: int, scale: float = 1.0) -> str:
        return (
            "" if quantity is None else f"{cell(quantity.value, digits, scale)} ± {cell(quantity.std, digits, scale)}"
        )

    volume, true_volume = result.volume_m3, None if truth is None else truth["volume_m3"]
    error = None
    if truth is not None and volume is not None:
        error = (volume.value - truth["volume_m3"]) / truth["struck_capacity_m3"]
    return (
        result.load_id,
        spread(volume, 3),
        "" if volume is None else f"{volume.lower95:.3f} to {volume.upper95:.3f}",
        cell(true_volume, 3),
        "" if error is None else f"{100.0 * error:+.2f}",
        spread(result.net_mass_kg, 0),
        spread(result.bulk_density_kg_m3, 0),
        spread(result.wet_mass_fraction, 0, 100.0),
        result.waste_class or "",
        cell(result.seen_fraction, 0, 100.0),
        result.status,
    )


def print_summary(loads: Sequence[tuple[Result, dict[str, Any] | None]], note: str) -> None:
    """Print a line for each load and its truth to standard output, then a note."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in SUMMARY_COLUMNS:
        left = name in ("Load", "Class", "Status")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for result, truth in loads:
        table.add_row(*(Text(cell) for cell in summary_row(result, truth)))
    console.print(table)
    console.print(Text(note), soft_wrap=True)
