"""Weights from a CSV file: `time_s,gross_kg`, or the raw counts of load cells."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volest.errors import InputError, WeightError
from volest.scale import Scale
from volest.weighing.cells import gross_of_cells
from volest.weighing.series import WeightSeries

__all__ = ["number", "read_csv"]

MAX_BYTES = 50_000_000
EXPECTED = "a gross weight in kg or a CSV file"

Array = NDArray[np.float64]


def read_csv(path: Path, scale: Scale) -> WeightSeries:
    """The series of a CSV file; blank, `nan` and infinite entries are NaN.

    Columns: `time_s` and `gross_kg`, or, with [[scale.cell]] in the truck file, `time_s` and one column of raw counts
    for each cell's id; `speed_m_s`, `pitch_deg`, `roll_deg` and `temperature_c` where they are there. Raises
    WeightError naming the file and the line.
    """
    columns = _columns(path, scale)
    temperature_c = columns.get("temperature_c")
    gross_kg = columns.get("gross_kg")
    notes: tuple[str, ...] = ()
    if gross_kg is None:
        counts = {cell.id: columns[cell.id] for cell in scale.cell}
        gross_kg, notes = gross_of_cells(counts, temperature_c, scale)
    pitch, roll = columns.get("pitch_deg"), columns.get("roll_deg")
    return WeightSeries(
        columns["time_s"],
        gross_kg,
        speed_m_s=columns.get("speed_m_s"),
        pitch_rad=None if pitch is None else np.radians(pitch),
        roll_rad=None if roll is None else np.radians(roll),
        temperature_c=temperature_c,
        notes=notes,
    )


def _columns(path: Path, scale: Scale) -> dict[str, Array]:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise WeightError(f"{path}: not a file; expected {EXPECTED}")
        if size > MAX_BYTES:
            raise WeightError(f"{path}: found {size} bytes, expected at most {MAX_BYTES}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(file, path, scale)
    except (OSError, ValueError, csv.Error) as exc:
        if isinstance(exc, WeightError):
            raise
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise WeightError(f"{path}: cannot be read ({reason}); expected {EXPECTED}") from exc


def _parse(lines: Iterable[str], path: Path, scale: Scale) -> dict[str, Array]:
    rows = csv.reader(lines, strict=True)
    header = [name.strip() for name in next(rows, [])]
    names = _wanted(header, path, scale)
    columns = [(header.index(name), name, array("d")) for name in names]
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise WeightError(f"{path}: line {rows.line_num}: found {len(row)} columns, expected {len(header)}")
        for index, name, values in columns:
            values.append(number(row[index], f"{path}: line {rows.line_num}: {name}"))
    return {name: np.array(values, dtype=np.float64) for _, name, values in columns}


def _wanted(header: list[str], path: Path, scale: Scale) -> list[str]:
    """The columns to read: what there must be, once each, and what there may be."""
    must = ["time_s", *(cell.id for cell in scale.cell)]
    if not scale.cell or ("gross_kg" in header and not any(cell.id in header for cell in scale.cell)):
        must = ["time_s", "gross_kg"]
    may = [name for name in ("speed_m_s", "pitch_deg", "roll_deg", "temperature_c") if name in header]
    if any(header.count(name) != 1 for name in must + may):
        found = ",".join(header)[:80]
        raise WeightError(f"{path}: line 1: found {found!r}, expected a header with the columns {','.join(must)}")
    return must + may


def number(text: str, where: str, error: type[InputError] = WeightError) -> float:
    """The number of a cell; NaN where it is blank or not finite, `error` naming the place where it is none."""
    text = text.strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise error(f"{where}: found {text[:40]!r}, expected a number") from None
    return value if math.isfinite(value) else math.nan
