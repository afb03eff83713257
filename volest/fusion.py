"""Volume and weight together: net mass, bulk density, wetness, and whether the two believe each other.

The arithmetic is the core's (`cpp/src/fusion.cpp`, `cpp/src/wetness.cpp`); the method stands in `docs/wetness.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volest import _core
from volest.errors import InputError
from volest.quantity import Quantity
from volest.truck import WasteProfile
from volest.wetness import NO_EVIDENCE, Evidence

__all__ = ["CLASSES", "MISMATCHES", "Columns", "Fused", "FusedLoads", "fuse", "fuse_many"]

CLASSES = ("dry", "mixed", "wet")
"""What the codes of FusedLoads.waste_class stand for; -1: none is probable enough."""
MISMATCHES = ("none", "too heavy", "too light")
"""What the codes of FusedLoads.mismatch stand for: the mass, for the volume."""

FEW_LOADS = 20_000  # too few for a second thread
BLUNDER_SIGMAS = 10.0  # beyond, it is no error of the size that was told
PART_OF_VOLUME = {"reference": "reference"}  # all others: the scan
PART_OF_MASS = {"tare": "tare"}  # all others: the cells

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fused:
    """What volume and weight tell together; None is what they do not."""

    net_mass_kg: Quantity | None = None
    bulk_density_kg_m3: Quantity | None = None
    wet_mass_fraction: Quantity | None = None
    waste_class: str | None = None
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def fuse(
    volume_m3: Quantity,
    net_kg: tuple[float, float] | None,
    profile: WasteProfile,
    evidence: Evidence = NO_EVIDENCE,
    *,
    volume_budget_m3: Mapping[str, float] | None = None,
    mass_budget_kg: Mapping[str, float] | None = None,
) -> Fused:
    """Fuse a volume [m3] with a net mass and its standard uncertainty [kg], which err independently of each other.

    The budgets tell how much each source adds to the two standard uncertainties: the volume's as in a result, of the
    mass `tare` and others. They are asked which is likelier wrong where volume and weight do not believe each other.
    """
    if net_kg is None:
        return Fused()
    mixture = mixture_of(evidence.of(profile))
    v = volume_m3
    told = mixture.fuse(v.value, v.std, v.lower95, v.upper95, *net_kg, evidence.wet_mass_fraction, 1.0 / evidence.std)
    reasons: tuple[str, ...] = ()
    if told.too_heavy or told.too_light:
        of_volume = _parts(volume_budget_m3, v.std, PART_OF_VOLUME, "scan")
        of_mass = _parts(mass_budget_kg, net_kg[1], PART_OF_MASS, "cells")
        mismatch = _mismatch(told, mixture, v.value, net_kg[0], profile.name)
        reasons = (mismatch, _culprit(told, mixture, v.value, net_kg[0], of_volume, of_mass))
    return Fused(
        Quantity(*told.net_mass_kg),
        _quantity(told.density_kg_m3),
        _quantity(told.wet_fraction),
        told.waste_class,
        ("weight_volume_mismatch",) if reasons else (),
        reasons,
    )


@lru_cache(maxsize=64)
def mixture_of(profile: WasteProfile) -> _core.Mixture:
    """What loads of a profile weigh at each wet mass fraction; kept, as a truck has one profile and many loads."""
    densities = (profile.dry_kg_m3, profile.dry_log_std, profile.wet_kg_m3, profile.wet_log_std)
    return _core.Mixture(*densities, profile.prior_a, profile.prior_b)


def _quantity(row: tuple[float, float, float, float] | None) -> Quantity | None:
    return None if row is None else Quantity(*row)


# --- which is wrong ---------------------------------------------------------------------------------------------------


def _mismatch(told: _core.Fused, mixture: _core.Mixture, volume: float, mass: float, profile: str) -> str:
    """Why no waste of this profile has this mass in this volume."""
    found = f"{mass:.0f} kg in {volume:.2f} m3"
    if told.too_heavy:
        return f"{found} is more than {mixture.most_kg_m3:.0f} kg/m3, the most that {profile} may have"
    return f"{found} is less than {mixture.least_kg_m3:.0f} kg/m3, the least that {profile} may have"


def _parts(budget: Mapping[str, float] | None, std: float, names: Mapping[str, str], rest: str) -> dict[str, float]:
    """The standard uncertainty of each suspect: what the budget gives it, or all of it to one."""
    if not budget:
        return {rest: std}
    parts: dict[str, float] = {}
    for source, size in budget.items():
        suspect = names.get(source, rest)
        parts[suspect] = math.hypot(parts.get(suspect, 0.0), size)
    return parts


def _culprit(
    told: _core.Fused,
    mixture: _core.Mixture,
    volume: float,
    mass: float,
    volume_parts: Mapping[str, float],
    mass_parts: Mapping[str, float],
) -> str:
    """Which of scan, reference, cells and tare would have to err by the fewest of its own standard deviations."""
    density = mixture.most_kg_m3 if told.too_heavy else mixture.least_kg_m3
    kg_off, m3_off = mass - density * volume, mass / density - volume
    suspects = [(_sigmas(m3_off, std), name, f"{abs(m3_off):.2f} m3") for name, std in volume_parts.items()]
    suspects += [(_sigmas(kg_off, std), name, f"{abs(kg_off):.0f} kg") for name, std in mass_parts.items()]
    told_of = [f"the {name} {error}{_times(sigmas)}" for sigmas, name, error in sorted(suspects)]
    text = f"likelier culprit by the errors it would take: {told_of[0]}; less likely {', '.join(told_of[1:])}"
    blunder = min(suspects)[0] > BLUNDER_SIGMAS
    return text + (": more than any error of the told size, so a blunder, or another profile" if blunder else "")


def _sigmas(off: float, std: float) -> float:
    return abs(off) / std if std > 0.0 else math.inf


def _times(sigmas: float) -> str:
    return f" ({sigmas:.1f} standard deviations)" if math.isfinite(sigmas) else " (said to be without error)"


# --- many loads -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A quantity of many loads: four arrays (N,) of float64, NaN where it cannot be had."""

    value: Doubles
    std: Doubles
    lower95: Doubles
    upper95: Doubles

    @classmethod
    def empty(cls, rows: int) -> Columns:
        """Columns of whatever the memory holds."""
        return cls(*(np.empty(rows) for _ in range(4)))


@dataclass(frozen=True, slots=True, eq=False)
class FusedLoads:
    """What volume and weight of N loads tell together; the codes of CLASSES and of MISMATCHES are (N,) int8."""

    net_mass_kg: Columns
    bulk_density_kg_m3: Columns
    wet_mass_fraction: Columns
    waste_class: NDArray[np.int8]
    mismatch: NDArray[np.int8]

    @classmethod
    def empty(cls, rows: int) -> FusedLoads:
        """Columns of whatever the memory holds, to be handed to `fuse_many` again and again."""
        codes = (np.empty(rows, np.int8) for _ in range(2))
        return cls(Columns.empty(rows), Columns.empty(rows), Columns.empty(rows), *codes)


def fuse_many(
    volume_m3: ArrayLike,
    volume_std_m3: ArrayLike,
    lower95_m3: ArrayLike,
    upper95_m3: ArrayLike,
    net_kg: ArrayLike,
    net_std_kg: ArrayLike,
    profile: WasteProfile,
    *,
    out: FusedLoads | None = None,
    workers: int = 1,
) -> FusedLoads:
    """Fuse the volumes and net masses of N loads, each array (N,), as `fuse` does one by one.

    The wet mass fraction comes from a table of the posterior, to 0.005 where the density is known to 15 %. A row with a
    NaN is a load without volume or weight and gives NaN, class -1. `workers` threads share the rows. Raises InputError
    for arrays of other shapes, and naming the first row with an infinite number or a standard uncertainty below 0.
    """
    given = (volume_m3, volume_std_m3, lower95_m3, upper95_m3, net_kg, net_std_kg)
    loads = [np.ascontiguousarray(column, dtype=np.float64) for column in given]
    rows = loads[0].size
    if any(column.shape != (rows,) for column in loads):
        raise InputError(f"loads: found arrays of {[column.shape for column in loads]}, expected one (N,) for all six")
    out = FusedLoads.empty(rows) if out is None else out
    _check(out, rows)
    wanted = max(1, min(workers, rows // FEW_LOADS))
    ends = [rows * k // wanted for k in range(wanted + 1)]
    mixture, table = mixture_of(profile), _table_of(profile)
    net, density, wet = map(_arrays, (out.net_mass_kg, out.bulk_density_kg_m3, out.wet_mass_fraction))

    def part(begin: int, end: int) -> int:
        return _core.fuse_many(mixture, table, loads, begin, end, net, density, wet, out.waste_class, out.mismatch)

    for reached, end in zip(_each(part, ends), ends[1:], strict=True):
        if reached < end:
            found = ", ".join(f"{column[reached]:g}" for column in loads)
            raise InputError(f"loads: row {reached}: found {found}, expected finite numbers, and no std below 0")
    return out


@lru_cache(maxsize=16)
def _table_of(profile: WasteProfile) -> _core.WetnessTable:
    return _core.WetnessTable(mixture_of(profile))


def _arrays(columns: Columns) -> list[Doubles]:
    return [columns.value, columns.std, columns.lower95, columns.upper95]


def _check(out: FusedLoads, rows: int) -> None:
    """What the caller gave to be written to can be."""
    columns = [*map(_arrays, (out.net_mass_kg, out.bulk_density_kg_m3, out.wet_mass_fraction))]
    for array, kind in [(a, np.float64) for c in columns for a in c] + [
        (out.waste_class, np.int8),
        (out.mismatch, np.int8),
    ]:
        if array.dtype != kind or array.shape != (rows,) or not (array.flags.c_contiguous and array.flags.writeable):
            found = f"{array.dtype}{array.shape}"
            raise InputError(f"out: found {found}, expected writable {np.dtype(kind)}({rows},), row after row")


def _each(part: Callable[[int, int], int], ends: Sequence[int]) -> list[int]:
    """What `part` gives of all parts, side by side."""
    if len(ends) == 2:
        return [part(*ends)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(ends) - 1) as pool:
        return list(pool.map(part, ends, ends[1:]))
