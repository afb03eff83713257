"""What is on the scale: the gross mass from one reading or from a series that bounces, drops out and drifts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volest import _core
from volest.errors import WeightError
from volest.truck import Scale

__all__ = ["GrossMass", "gross_mass", "mass_budget", "net_mass"]

MAX_GROSS_KG = 200_000.0
FEW_STABLE = 5  # as many samples that the indicator calls stable are enough to do without the others
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
    """The gross mass from one reading [kg] or from a file of any kind that `volest.weighing` reads.

    Raises WeightError for a reading outside of 0 to 200000 kg and for a file that is missing or malformed. A series
    without a usable sample is no error: its `kg` is None, with the flag `weight_missing`. Where an indicator marks
    enough of its readings as stable, only these count.
    """
    if isinstance(source, Path):
        from volest.weighing import read_weights

        series = read_weights(source, scale)
        columns = [series.time_s, series.gross_kg, series.speed_m_s]
        filtered = series.stable is not None and (series.stable & np.isfinite(series.gross_kg)).sum() >= FEW_STABLE
        if filtered:
            columns = [None if column is None else column[series.stable] for column in columns]
        time_s, gross_kg, speed_m_s = columns
        assert time_s is not None
        assert gross_kg is not None
        gross = settle(time_s, gross_kg, scale.resolution_kg, speed_m_s, filtered=filtered)
        return replace(gross, reasons=gross.reasons + series.notes) if gross.flags else gross
    if not 0.0 < source < MAX_GROSS_KG:
        raise WeightError(f"gross weight: found {source:g} kg, expected above 0 and below {MAX_GROSS_KG:g} kg")
    return GrossMass(float(source), _rounding(scale.resolution_kg))


def net_mass(gross: GrossMass, scale: Scale) -> tuple[float, float] | None:
    """Net mass and its standard uncertainty [kg]; None where there is no reading."""
    if gross.kg is None:
        return None
    return _core.net_mass_kg(gross.kg, gross.std_kg, scale.tare_kg, scale.tare_std_kg, scale.gain_std)


def mass_budget(gross: GrossMass, scale: Scale) -> dict[str, float]:
    """Standard uncertainty of the net mass [kg] by source; the gain acts on the net mass alone."""
    net = 0.0 if gross.kg is None else gross.kg - scale.tare_kg
    return {"reading": gross.std_kg, "tare": scale.tare_std_kg, "gain": scale.gain_std * abs(net)}


def settle(
    time_s: NDArray[np.float64],
    gross_kg: NDArray[np.float64],
    resolution_kg: float,
    speed_m_s: NDArray[np.float64] | None = None,
    *,
    filtered: bool = False,
) -> GrossMass:
    """The level of a series (N,), (N,) that bounces about it; samples that are no mass are dropouts.

    Samples faster than 0.2 m/s by `speed_m_s` (N,) are left out; one whose speed is NaN counts as at rest. Of readings
    that an indicator `filtered` and calls stable it is no wonder that they stand still. The method is told in
    docs/weights.md, and `cpp/src/weighing.cpp` is it.
    """
    moving = None if speed_m_s is None else np.abs(speed_m_s) > REST_M_S
    kg, std, drift, used, at_rest, bits = _core.settle(time_s, gross_kg, resolution_kg, moving)
    bits &= ~_core.WEIGHT_STUCK if filtered else ~0
    reasons = tuple(words.format(drift=drift, used=used, at_rest=at_rest) for bit, words in REASONS if bits & bit)
    if bits & _core.WEIGHT_MISSING:
        return GrossMass(None, flags=("weight_missing",), reasons=reasons)
    return GrossMass(kg, std, ("weight_unstable",) if reasons else (), reasons)


def _rounding(resolution_kg: float) -> float:
    """The standard uncertainty of a reading rounded to `resolution_kg` (GUM F.2.2.1)."""
    return resolution_kg / math.sqrt(12.0)
