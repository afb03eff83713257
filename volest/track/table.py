"""A ledger as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from volest.quantity import Quantity
from volest.track.entry import Entry
from volest.track.uncertain import Uncertain

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["clock", "print_entries", "row"]

COLUMNS = (
    "Time",
    "Event",
    "Volume m³",
    "Mass kg",
    "Density kg/m³",
    "Wet %",
    "On truck m³",
    "On truck kg",
    "Tare kg",
    "Flags",
)
WIDTH = 150
COLOURS = {"load": "green", "tip": "yellow", "settle": "dim", "stand": "dim", "adjust": "dim"}


def clock(time_s: float) -> str:
    """The time of day."""
    minutes, seconds = divmod(int(time_s) % 86_400, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def row(entry: Entry) -> tuple[str, ...]:
    """An entry under COLUMNS; values with 1.96 standard uncertainties, wetness with its interval."""

    def told(value: Uncertain | None, digits: int) -> str:
        return "" if value is None else f"{value.value:,.{digits}f} ± {1.96 * value.std:,.{digits}f}"

    def between(quantity: Quantity | None, digits: int, scale: float = 1.0) -> str:
        if quantity is None:
            return ""
        return f"{scale * quantity.lower95:.{digits}f} to {scale * quantity.upper95:.{digits}f}"

    return (
        clock(entry.end_s),
        entry.kind,
        told(entry.volume_m3, 3),
        told(entry.mass_kg, 0),
        between(entry.fused.bulk_density_kg_m3, 0),
        between(entry.fused.wet_mass_fraction, 0, 100.0),
        told(entry.on_truck_m3, 2),
        told(entry.on_truck_kg, 0),
        told(entry.tare_kg, 0),
        " ".join(entry.flags),
    )


def print_entries(entries: Sequence[Entry], console: Console) -> None:
    """Print a line for each entry, all with 95 % intervals, and the reasons below."""
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        console.width = WIDTH
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("Time", "Event", "Flags") else "right", overflow="fold")
    for entry in entries:
        table.add_row(*(Text(cell) for cell in row(entry)), style=COLOURS.get(entry.kind, ""))
    console.print(table)
    for entry in entries:
        for reason in entry.reasons:
            console.print(Text(f"  {clock(entry.end_s)} {reason}"), soft_wrap=True)
