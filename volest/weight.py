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

BOUNCE_HZ = 1.0  # the slowest bounce of a loaded truck on its springs
BLOCK_S = 2.5  # a few periods of it
MAX_BLOCKS = 4096
OUTLIER_MADS = 4.0  # a pure sine reaches 1.4 of its scaled median absolute deviations
UNSTABLE_SIGMAS = 3.1  # one sound series in 1000 is called unstable


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


def settle(time_s: NDArray[np.float64], gross_kg: NDArray[np.float64], resolution_kg: float) -> GrossMass:
    """The level of a series (N,), (N,) that bounces about it; samples that are no mass are dropouts.

    The series is cut into blocks of a few bounces. In each, spikes are dropped by their distance from the median, and a
    Hann-weighted mean is taken, to which whole and broken periods of the bounce add next to nothing. The block means
    are weighted by what bounce and noise leave in them (the quiet end of a decaying bounce counts most) under the
    random-effects model of DerSimonian and Laird (1986): what they scatter beyond that is drift, which widens the
    result.
    """
    sound = (np.abs(time_s) < LATEST_S) & (gross_kg > 0.0) & (gross_kg < MAX_GROSS_KG)
    if not sound.any():
        return GrossMass(None, flags=("weight_missing",), reasons=("the weight series holds no usable sample",))
    order = np.argsort(time_s[sound], kind="stable")
    means, stds, used = _block_means(time_s[sound][order], gross_kg[sound][order], resolution_kg)
    level, std, drift = _random_effects(means, stds)
    flags, reasons = [], []
    if drift > resolution_kg:
        flags.append("weight_unstable")
        reasons.append(f"the weight drifts or jumps by {drift:.0f} kg (1 sigma) beyond its bounce")
    elif 2 * used < len(gross_kg):
        flags.append("weight_unstable")
        reasons.append(f"only {used} of {len(gross_kg)} samples of the weight are usable")
    return GrossMass(level, math.hypot(std, _rounding(resolution_kg)), tuple(flags), tuple(reasons))


def _rounding(resolution_kg: float) -> float:
    """The standard uncertainty of a reading rounded to `resolution_kg` (GUM F.2.2.1)."""
    return resolution_kg / math.sqrt(12.0)


def _block_means(
    time_s: NDArray[np.float64], kg: NDArray[np.float64], resolution_kg: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Means and standard uncertainties (B,) of the blocks of a sorted series, and how many samples are no outliers."""
    span = float(time_s[-1] - time_s[0])
    blocks = int(min(max(span / BLOCK_S, 1.0), MAX_BLOCKS, max(len(kg) / 8, 1)))
    phase = (time_s - time_s[0]) / max(span, 1e-9) * blocks
    edges = np.searchsorted(phase, np.arange(1, blocks))
    rows = [
        _block_mean(p, x, span / blocks, resolution_kg)
        for p, x in zip(np.split(phase % 1.0, edges), np.split(kg, edges), strict=True)
        if len(x) >= min(8, len(kg))  # what lies in a gap
    ]
    means, stds, used = zip(*rows, strict=True)
    return np.array(means), np.array(stds), sum(used)


def _block_mean(
    phase: NDArray[np.float64], kg: NDArray[np.float64], duration_s: float, resolution_kg: float
) -> tuple[float, float, int]:
    """Mean and standard uncertainty of one block, and how many samples went into them."""
    median = np.median(kg)
    spread = max(1.4826 * float(np.median(np.abs(kg - median))), resolution_kg, 1e-6)
    kept = np.abs(kg - median) <= OUTLIER_MADS * spread
    phase, kg = phase[kept], kg[kept]
    taper = np.sin(np.pi * phase) ** 2 + 1e-6
    mean = float(np.average(kg, weights=taper))
    scatter = math.hypot(math.sqrt(float(np.average((kg - mean) ** 2, weights=taper))), _rounding(resolution_kg), 1e-6)
    # A sine of unit variance leaves at most sqrt(2) / (pi f T) in a plain mean; white noise leaves sqrt(1.5 / n), the
    # 1.5 being the Hann taper's noise bandwidth.
    periods = math.pi * BOUNCE_HZ * duration_s
    leak = min(math.sqrt(2.0) / periods, 1.0) if periods > 0.0 else 1.0
    return mean, scatter * min(math.hypot(leak, math.sqrt(1.5 / len(kg))), 1.0), len(kg)


def _random_effects(means: NDArray[np.float64], stds: NDArray[np.float64]) -> tuple[float, float, float]:
    """Weighted mean, its standard uncertainty, and the significant part of the scatter between blocks, the drift."""
    weights = stds**-2.0
    drift = 0.0
    freedom = len(means) - 1
    if freedom:
        mean = float(np.average(means, weights=weights))
        q = float(np.sum(weights * (means - mean) ** 2))
        # Wilson and Hilferty (1931): the cube root of chi-square over its degrees of freedom is close to normal.
        bound = freedom * (1.0 - 2.0 / (9.0 * freedom) + UNSTABLE_SIGMAS * math.sqrt(2.0 / (9.0 * freedom))) ** 3
        if q > bound:
            total = float(np.sum(weights))
            drift = math.sqrt((q - freedom) / (total - float(np.sum(weights**2)) / total))
    weights = 1.0 / (stds**2 + drift**2)
    mean = float(np.average(means, weights=weights))
    # Which of the levels is the load's is not known: the drift is not averaged out.
    return mean, math.hypot(1.0 / math.sqrt(float(np.sum(weights))), drift), drift


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
