"""Readings of weighing indicators from their text lines on a serial port, by a description of the format."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from volest.errors import WeightError
from volest.scale import IndicatorScale, Scale
from volest.schema import check, nearest, read_toml
from volest.weighing.pattern import compiled
from volest.weighing.series import WeightSeries
from volest.weighing.source import bytes_of

__all__ = ["Format", "Reading", "find_format", "read_indicator", "readings_of", "text_of"]

FORMATS = Path(__file__).parents[1] / "data" / "indicators.toml"
MAX_BYTES = 50_000_000
MAX_READINGS = 1_000_000
MAX_LINE = 256
MAX_FRAME = 2048
KG = {"kg": 1.0, "t": 1000.0, "g": 0.001, "mg": 1e-6, "lb": 0.45359237}
GROUPS = {"value", "gross", "net", "tare", "unit", "gross_unit", "net_unit", "tare_unit", "status", "kind"}

_Text = Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 characters")]
_Texts = Annotated[list[_Text], Meta(max_length=32, description="a list of 1 to 64 characters each")]
_Kind = Annotated[Literal["gross", "net", "tare"], Meta(description='"gross", "net" or "tare"')]
_Unit = Annotated[Literal["kg", "t", "g", "mg", "lb"], Meta(description='"kg", "t", "g", "mg" or "lb"')]
_Kinds = Annotated[dict[str, _Kind], Meta(max_length=32, description='a table of marks, each "gross", "net" or "tare"')]


class FormatTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A format as it stands in a file; see volest/data/indicators.toml."""

    match: Annotated[str, Meta(min_length=1, max_length=512, description="a regular expression of 1 to 512 characters")]
    begin: _Text | None = None
    stable: _Texts = []
    unstable: _Texts = []
    kinds: _Kinds = msgspec.field(default_factory=dict)
    unit: _Unit = "kg"
    adds_up: Annotated[float, Meta(ge=0, le=1e6, description="a difference, 0 to 1000000")] | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A format whose expression is ready."""

    table: FormatTable
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one line or frame shows; None where it does not."""

    line: int  # from 1 on; of a frame its first
    gross_kg: float | None
    net_kg: float | None
    tare_kg: float | None
    stable: bool | None
    shown: dict[str, tuple[float, str]] = field(default_factory=dict)  # value and unit by gross, net, tare

    @property
    def best_gross_kg(self) -> float | None:
        """The gross mass shown or, where there is none, net and tare together."""
        if self.gross_kg is None and self.net_kg is not None and self.tare_kg is not None:
            return self.net_kg + self.tare_kg
        return self.gross_kg


def find_format(indicator: IndicatorScale) -> Format:
    """The format that the truck file names; raises WeightError naming the file and what is wrong in it."""
    path = FORMATS if indicator.file is None else Path(indicator.file)
    document = read_toml(path, WeightError)
    if indicator.format not in document:
        raise WeightError(
            f"{path}: found no format {indicator.format!r}, expected {nearest(indicator.format, document)}"
        )
    where = f"{path}: {indicator.format}"
    table = check(document[indicator.format], FormatTable, where, WeightError)
    try:
        pattern = compiled(table.match)
    except ValueError as error:
        raise WeightError(f"{where}.match: {error}") from error
    groups = set(pattern.groupindex)
    if groups - GROUPS or not groups & {"value", "gross", "net"}:
        found = ", ".join(sorted(groups)) or "no group"
        raise WeightError(
            f"{where}.match: found {found}, expected value, gross or net among {', '.join(sorted(GROUPS))}"
        )
    return Format(table, pattern)


def read_indicator(path: Path, scale: Scale) -> WeightSeries:
    """The series of a file of indicator lines, as they came or as a hex dump; [scale.indicator] names the format.

    Lines carry no time: they are `rate_hz` apart. A line that is no reading is NaN and counted.
    """
    indicator = scale.indicator
    if indicator is None:
        raise WeightError(f"{path}: expected [scale.indicator] with a format in the truck file")
    found = list(islice(readings_of(text_of(path), find_format(indicator)), MAX_READINGS + 1))
    if len(found) > MAX_READINGS:
        raise WeightError(f"{path}: found more than {MAX_READINGS} lines, expected at most that")
    if not any(found):
        raise WeightError(
            f"{path}: found no line of the format {indicator.format!r} in {len(found)} lines, expected some"
        )
    gross_kg = np.array([_gross_kg(reading, indicator) for reading in found])
    stable = np.array([reading is not None and reading.stable is True for reading in found])
    marked = any(reading is not None and reading.stable is not None for reading in found)
    notes = [f"lines carry no time: taken as {indicator.rate_hz:g} a second"]
    noise = sum(reading is None for reading in found)
    net_only = int(np.isnan(gross_kg).sum()) - noise
    if noise:
        notes.append(f"{noise} of {len(found)} lines or frames are no reading: line noise")
    if net_only:
        notes.append(f"{net_only} readings are net, their tare not shown: refused; tell scale.indicator.tare_kg")
    time_s = np.arange(len(found)) / indicator.rate_hz
    return WeightSeries(time_s, gross_kg, stable=stable if marked else None, notes=tuple(notes))


def _gross_kg(reading: Reading | None, indicator: IndicatorScale) -> float:
    if reading is None:
        return math.nan
    if reading.best_gross_kg is not None:
        return reading.best_gross_kg
    if reading.net_kg is None or indicator.tare_kg is None:
        return math.nan
    return reading.net_kg + indicator.tare_kg


# --- lines and frames -------------------------------------------------------------------------------------------------


def readings_of(text: str, told: Format) -> Iterator[Reading | None]:
    """The reading of each line or frame that is not empty, None for one that is no reading.

    `text` holds a character a byte. Bytes that an idle or waking line leaves before a line are no part of it.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if told.table.begin is None:
        for number, line in enumerate(lines.split("\n"), 1):
            line = line.lstrip("".join(map(chr, (*range(32), 127))))
            if line.strip():
                match = told.pattern.fullmatch(line) if len(line) <= MAX_LINE else None
                yield _reading(match, number, told.table)
        return
    at, number = 0, 1
    while at < len(lines):
        end = lines.find(told.table.begin, at + 1)
        frame = lines[at : end if end >= 0 else len(lines)]
        if frame.strip():
            yield _reading(told.pattern.search(frame[:MAX_FRAME]), number, told.table)
        at, number = at + len(frame), number + frame.count("\n")


def _reading(match: re.Match[str] | None, line: int, table: FormatTable) -> Reading | None:
    if match is None:
        return None
    found = match.groupdict()
    kind = table.kinds.get(found.get("kind") or "", found.get("kind") or "gross")
    texts = {name: found.get(name) for name in ("gross", "net", "tare")}
    if found.get("value") is not None:
        texts[kind] = found["value"]
    shown: dict[str, tuple[float, str]] = {}
    for name, text in texts.items():
        if text is None:
            continue
        value, unit = _number(text), found.get(f"{name}_unit") or found.get("unit") or table.unit
        if value is None or unit not in KG or name not in ("gross", "net", "tare"):
            return None
        shown[name] = (value, unit)
    kg = {name: value * KG[unit] for name, (value, unit) in shown.items()}
    if table.adds_up is not None and len(shown) == 3:
        values = {name: value for name, (value, _) in shown.items()}
        if abs(values["gross"] - values["net"] - values["tare"]) > table.adds_up + 1e-9 * abs(values["gross"]):
            return None
    status = found.get("status")
    stable = True if status in table.stable else False if status in table.unstable else None
    return Reading(line, kg.get("gross"), kg.get("net"), kg.get("tare"), stable, shown)


_NUMBER = re.compile(r" *([-+]?) *(\d+(?:\.\d+)?) *", re.ASCII)


def _number(text: str) -> float | None:
    """A number whose sign may stand apart from its digits."""
    match = _NUMBER.fullmatch(text)
    return None if match is None else float(match[1] + match[2])


# --- the file ---------------------------------------------------------------------------------------------------------

_DUMP = re.compile(rb"(?:[0-9A-F]{2}(?: |$)){1,64}(?=\s|$)")


def text_of(path: Path) -> str:
    """The bytes of a capture, a character each; a hex dump (pairs of digits, then the text) is turned back to bytes."""
    content = bytes_of(path, MAX_BYTES, "lines of a weighing indicator")
    lines = [line for line in content.splitlines() if line.strip()]
    dumped = [_DUMP.match(line) for line in lines]
    if lines and all(dumped):
        content = b"".join(bytes.fromhex(match[0].decode("ascii")) for match in dumped if match)
    return content.decode("latin-1")
