"""A bench as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from volest.catalogue import load_sensor, sensor_names
from volest.sensorbench.outcome import Bench
from volest.sensorbench.summary import Entry, Interval

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["COLUMNS", "entry_row", "print_bench", "print_catalogue"]

COLUMNS = (
    *("rank", "sensor", "mount", "loads", "RMS", "bias", "repeat", "95 % limits"),
    *("cover", "width", "hidden", "rejected", "ms", "M points/s"),
)
NOTE = """\
RMS error (with its 95 % confidence interval), bias, repeatability, 95 % limits of the error and full width of the 95 %
interval: in % of struck capacity. cover, hidden, rejected: in %. A rank from a to b: no sure order among these."""


def entry_row(entry: Entry) -> tuple[str, ...]:
    """An entry under COLUMNS."""
    order = f"{entry.rank_best}-{entry.rank_worst}"
    limits = entry.limits_percent
    return (
        f"{entry.rank}" if entry.rank_best == entry.rank_worst else f"{entry.rank} ({order})",
        entry.sensor,
        entry.mount,
        str(entry.loads),
        _with_interval(entry.rms_percent),
        _value(entry.bias_percent, "+.2f"),
        _value(entry.repeatability_percent, ".2f"),
        "" if limits is None else f"{limits[0]:+.1f} to {limits[1]:+.1f}",
        _value(entry.coverage, ".0f", 100.0),
        _value(entry.width_percent, ".2f"),
        "" if entry.hidden is None else f"{100.0 * entry.hidden:.0f}",
        _value(entry.rejected, ".0f", 100.0),
        "" if entry.ms is None else f"{entry.ms:.2f}",
        "" if entry.points_per_s is None else f"{entry.points_per_s / 1e6:.0f}",
    )


def _value(interval: Interval | None, form: str, times: float = 1.0) -> str:
    return "" if interval is None else format(times * interval.value, form)


def _with_interval(interval: Interval | None) -> str:
    if interval is None or interval.low is None:
        return "" if interval is None else f"{interval.value:.2f}"
    return f"{interval.value:.2f} ({interval.low:.2f}-{interval.high:.2f})"


def print_bench(done: Bench, console: Console) -> None:
    """Print the ranked table, what each sensor's budget says, and where the search would put it."""
    from rich.text import Text

    _print(COLUMNS, [entry_row(entry) for entry in done.summary.entries], console, left={"rank", "sensor", "mount"})
    console.print(Text(NOTE, "dim"), soft_wrap=True)
    for entry in done.summary.sensors:
        console.print(Text(f"{entry.name}: {entry.advice}"), soft_wrap=True)
    for found in done.maps:
        xyz, rpy = (", ".join(f"{v:g}" for v in each) for each in (found.xyz_m, found.rpy_deg))
        words = f"xyz_m = [{xyz}], rpy_deg = [{rpy}]: 95 % intervals {found.width_percent:.2f} % wide"
        console.print(Text(f"{found.sensor}: best pose {words}"), soft_wrap=True)


def print_catalogue(console: Console) -> None:
    """Print what the catalogue holds."""
    rows = []
    for name in sensor_names():
        model = load_sensor(name)
        scan, (low, high) = model.scan, model.scan.vertical_fov_deg
        wavelength = "" if model.wavelength_nm is None else f"{model.wavelength_nm:.0f}"
        view = f"{scan.horizontal_fov_deg:g} x {high - low:g}"
        noise = f"{1e3 * model.bed_std_m:.0f}"
        rows.append((name, model.name, scan.pattern, view, f"{scan.points:,}", f"{scan.rate_hz:g}", noise, wavelength))
    columns = ("name", "sensor", "pattern", "view, deg", "rays", "Hz", "noise, mm", "nm")
    _print(columns, rows, console, left={"name", "sensor", "pattern"})


def _print(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], console: Console, left: set[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        console.width = 200
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
