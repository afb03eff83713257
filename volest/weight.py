"""What is on the scale: the gross mass from one reading or from a series that bounces, drops out and drifts."""

from __future__ import annotations

import csv
import math
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volest import _core
from volest.errors import WeightError
from volest.truck import Scale

__all__ = ["GrossMass", "gross_mass", "net_mass"]

MAX_GROSS_KG = 200_000.0
MAX_BYTES = 50_000_000
LATEST_S = 1e12  # 30,000 years: no clock
COLUMNS = ("time_s", "gross_kg")
CAN_LOGS = (".log", ".asc", ".blf")

REST_M_S = 0.2  # below what wheel sensors see
REASONS = (
    (_core.WEIGHT_MISSING, "the weight series holds no usable sample"),
    (_core.WEIGHT_MOVING, "the truck moves in each sample of the weight"),
    (_core.WEIGHT_DRIFTS, "the weight drifts or jumps by {drift:.0f} kg (1 sigma) beyond its bounce"),
    (_core.WEIGHT_LOST, "only {used} of {at_rest} samples of the weight are usable"),
    (_core.WEIGHT_STUCK, "the weight stands still as no truck does: its scale may be stuck"),
    (_core.WEIGHT_SATURATED, "the weight is cut off at its highest: its scale may be at full scale"),
    (_core.WEIGHT_SHORT, "the weight series is shorter than a bounce of the truck"),
    (_core.WEIGHT_CLOCK, "the clock of the weight series goes back"),
    (_core.WEIGHT_SWINGS, "the weight swings as that of no truck at rest"),
    (_core.WEIGHT_WIDE, "the weight is unsure by more than 1 % of the gross mass"),
)


@dataclass(frozen=True, slots=True)
class GrossMass:
    """The gross mass over the scale's own errors (gain, tare); None when no sample could be used."""

    kg: float | None
    std_kg: float = 0.0  # of the reading: bounce, drift, resolution
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def gross_mass(source: float | Path, scale: Scale) -> GrossMass:
    """The gross mass from one reading [kg] or from a CSV file with the columns `time_s,gross_kg`.

    Raises WeightError for a reading outside of 0 to 200000 kg and for a file that is missing or malformed. A series
    without a usable sample is no error: its `kg` is None, with the flag `weight_missing`.
    """
    if isinstance(source, Path):
        return settle(*read_series(source), scale.resolution_kg)
    if not 0.0 < source < MAX_GROSS_KG:
        raise WeightError(f"gross weight: found {source:g} kg, expected above 0 and below {MAX_GROSS_KG:g} kg")
    return GrossMass(float(source), _rounding(scale.resolution_kg))


def net_mass(gross: GrossMass, scale: Scale) -> tuple[float, float] | None:
    """Net mass and its standard uncertainty [kg]: the reading's, the tare's and, on the net mass alone, the gain's."""
    if gross.kg is None:
        return None
    return _core.net_mass_kg(gross.kg, gross.std_kg, scale.tare_kg, scale.tare_std_kg, scale.gain_std)


def settle(
    time_s: NDArray[np.float64],
    gross_kg: NDArray[np.float64],
    resolution_kg: float,
    speed_m_s: NDArray[np.float64] | None = None,
) -> GrossMass:
    """The level of a series (N,), (N,) that bounces about it; samples that are no mass are dropouts.

    Samples faster than 0.2 m/s by `speed_m_s` (N,) are left out; one whose speed is NaN counts as at rest. The method
    is told in docs/weights.md, and `cpp/src/weighing.cpp` is it.
    """
    moving = None if speed_m_s is None else np.abs(speed_m_s) > REST_M_S
    kg, std, drift, used, at_rest, bits = _core.settle(time_s, gross_kg, resolution_kg, moving)
    reasons = tuple(words.format(drift=drift, used=used, at_rest=at_rest) for bit, words in REASONS if bits & bit)
    if bits & _core.WEIGHT_MISSING:
        return GrossMass(None, flags=("weight_missing",), reasons=reasons)
    return GrossMass(kg, std, ("weight_unstable",) if reasons else (), reasons)


def _rounding(resolution_kg: float) -> float:
    """The standard uncertainty of a reading rounded to `resolution_kg` (GUM F.2.2.1)."""
    return resolution_kg / math.sqrt(12.0)


def read_series(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times [s] and gross masses [kg], (N,) each, of a CSV file; blank, `nan` and infinite entries are NaN.

    Raises WeightError naming the file and the line.
    """
    if path.suffix.lower() in CAN_LOGS:
        raise WeightError(f"{path}: CAN logs are not read yet by this version; expected a number or a CSV file")
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise WeightError(f"{path}: not a file; expected a gross weight in kg or a CSV file")
        if size > MAX_BYTES:
            raise WeightError(f"{path}: found {size} bytes, expected at most {MAX_BYTES}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(file, path)
    except (OSError, ValueError, csv.Error) as exc:
        if isinstance(exc, WeightError):
            raise
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise WeightError(f"{path}: cannot be read ({reason}); expected a gross weight in kg or a CSV file") from exc


def _parse(lines: object, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = csv.reader(lines, strict=True)  # type: ignore[arg-type]
    header = [name.strip() for name in next(rows, [])]
    missing = [name for name in COLUMNS if header.count(name) != 1]
    if missing:
        found = ",".join(header)[:80]
        raise WeightError(f"{path}: line 1: found {found!r}, expected a header with the columns {','.join(COLUMNS)}")
    columns = [(header.index(name), name, array("d")) for name in COLUMNS]
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise WeightError(f"{path}: line {rows.line_num}: found {len(row)} columns, expected {len(header)}")
        for index, name, values in columns:
            values.append(_number(row[index], f"{path}: line {rows.line_num}: {name}"))
    time_s, gross_kg = (np.array(values, dtype=np.float64) for _, _, values in columns)
    return time_s, gross_kg


def _number(text: str, where: str) -> float:
    text = text.strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise WeightError(f"{where}: found {text[:40]!r}, expected a number") from None
    return value if math.isfinite(value) else math.nan
