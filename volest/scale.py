"""The truck's scale: the [scale] table of a truck.toml and what its weights are read from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

__all__ = ["CanScale", "Cell", "IndicatorScale", "Scale", "contradiction", "resolved", "scale_table"]

NAME = r"^[A-Za-z0-9_-]{1,64}\Z"
TEXT = r"^[^\x00-\x1f\x7f-\x9f]{1,200}\Z"
MOST_COUNTS = 2.0**40
BUILT_IN_SIGNALS = ("auto", "axles", "powered_vehicle", "gross_combination", "cargo")

_Name = Annotated[str, Meta(pattern=TEXT, description="1 to 200 printable characters")]
_FileName = Annotated[str, Meta(pattern=TEXT, description="a file name")]
_Counts = Annotated[float, Meta(ge=-MOST_COUNTS, le=MOST_COUNTS, description="counts, -2^40 to 2^40")]
_PerDegree = Annotated[float, Meta(ge=-1_000, le=1_000, description="kilograms per degree, -1000 to 1000")]
_Signals = Annotated[list[_Name], Meta(min_length=1, max_length=64, description="a list of those")]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Cell(_Table, frozen=True):
    """One load cell, whose raw counts stand in the column of its id."""

    id: Annotated[str, Meta(pattern=NAME, description="1 to 64 of A-Z a-z 0-9 _ -")]
    zero_counts: _Counts  # with nothing on the scale, not even the truck
    kg_per_count: Annotated[float, Meta(ge=-1e6, le=1e6, description="kilograms per count, -1e6 to 1e6, not 0")]
    max_counts: _Counts | None = None  # at and beyond them the cell or its converter is saturated
    min_counts: _Counts | None = None
    temperature_kg_per_c: _PerDegree = 0.0


class CanScale(_Table, frozen=True):
    """What is read from a CAN bus: the J1939 weights of volest/data/j1939.dbc or signals of the user's own DBC."""

    dbc: _FileName | None = None
    signal: Annotated[str, Meta(pattern=TEXT, description="a weight's name, or MESSAGE.SIGNAL")] | _Signals = "auto"
    quantity: Annotated[Literal["gross", "net"], Meta(description='"gross" or "net"')] = "gross"  # of own signals
    source_address: Annotated[int, Meta(ge=0, le=253, description="a J1939 address, 0 to 253")] | None = None
    axles: Annotated[int, Meta(ge=1, le=15, description="how many axles the bus weighs, 1 to 15")] | None = None


class IndicatorScale(_Table, frozen=True):
    """The weighing indicator whose lines are read."""

    format: _Name
    file: _FileName | None = None  # of the user's own formats; else those of volest/data/indicators.toml
    rate_hz: Annotated[float, Meta(ge=0.01, le=1_000, description="lines per second, 0.01 to 1000")] = 10.0
    tare_kg: Annotated[float, Meta(ge=0, le=200_000, description="kilograms, 0 to 200000")] | None = None


_Cells = Annotated[tuple[Cell, ...], Meta(max_length=64, description="an array of tables")]


class Scale(_Table, frozen=True):
    """The truck's scale, zeroed with the empty truck; the [scale] table as it stands in the file."""

    tare_kg: Annotated[float, Meta(ge=0, le=200_000, description="kilograms, 0 to 200000")]
    tare_std_kg: Annotated[float, Meta(ge=0, le=20_000, description="kilograms, 0 to 20000")] = 20.0
    gain_std: Annotated[float, Meta(ge=0, le=0.5, description="a relative standard deviation, 0 to 0.5")] = 0.01
    resolution_kg: Annotated[float, Meta(ge=0, le=1_000, description="kilograms, 0 to 1000")] = 10.0
    slope_correction: Annotated[bool, Meta(description="true or false")] = False
    temperature_kg_per_c: _PerDegree = 0.0
    reference_temperature_c: Annotated[float, Meta(ge=-60, le=100, description="degrees Celsius, -60 to 100")] = 20.0
    can: CanScale | None = None
    indicator: IndicatorScale | None = None
    cell: _Cells = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The user's own files that tell how a weight is read."""
        named = (self.can and self.can.dbc, self.indicator and self.indicator.file)
        return tuple(Path(name) for name in named if name)


def resolved(scale: Scale, directory: Path) -> Scale:
    """The scale with its files' names, relative to the truck file's folder, made paths from the working folder."""
    can, indicator = scale.can, scale.indicator
    if can is not None and can.dbc is not None:
        can = msgspec.structs.replace(can, dbc=str(directory / can.dbc))
    if indicator is not None and indicator.file is not None:
        indicator = msgspec.structs.replace(indicator, file=str(directory / indicator.file))
    return msgspec.structs.replace(scale, can=can, indicator=indicator)


def contradiction(scale: Scale) -> str | None:
    """What the [scale] table says against itself, as KEY: FOUND, EXPECTED; None when nothing."""
    ids = [cell.id for cell in scale.cell]
    for i, cell in enumerate(scale.cell):
        where = f"scale.cell[{i}]"
        if cell.id in ids[:i] or cell.id in (
            "time_s",
            "gross_kg",
            "speed_m_s",
            "pitch_deg",
            "roll_deg",
            "temperature_c",
        ):
            return f"{where}.id: found {cell.id!r}, which names another column, expected unique ids"
        if cell.kg_per_count == 0.0:
            return f"{where}.kg_per_count: found 0, expected another number"
        least, most = cell.min_counts, cell.max_counts
        if least is not None and most is not None and least >= most:
            return f"{where}.min_counts: found {least:g}, expected less than max_counts ({most:g})"
    can = scale.can
    if can is not None:
        names = [can.signal] if isinstance(can.signal, str) else can.signal
        if can.dbc is None and (names[0] not in BUILT_IN_SIGNALS or len(names) > 1):
            known = ", ".join(BUILT_IN_SIGNALS)
            return f"scale.can.signal: found {', '.join(names)!r}, expected one of {known}, or a dbc that has it"
        if can.dbc is not None and not all("." in name.strip(".") for name in names):
            return (
                f"scale.can.signal: found {', '.join(names)!r}, expected MESSAGE.SIGNAL of the dbc, or a list of those"
            )
    return None


def scale_table(scale: Scale, directory: Path) -> dict[str, Any]:
    """The [scale] table of a scale; its files' names relative to `directory` again, where they lie below it."""
    table: dict[str, Any] = _told(msgspec.to_builtins(scale))
    for key, name in (("can", "dbc"), ("indicator", "file")):
        path = table.get(key, {}).get(name)
        if path is not None and Path(path).is_relative_to(directory):
            table[key][name] = str(Path(path).relative_to(directory))
    return table


def _told(value: Any) -> Any:
    """Without what is not told: a TOML file knows no null."""
    if isinstance(value, dict):
        return {key: _told(entry) for key, entry in value.items() if entry is not None and entry != ()}
    return [_told(entry) for entry in value] if isinstance(value, list | tuple) else value
