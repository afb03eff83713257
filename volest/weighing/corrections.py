"""What slope and temperature do to a weight, taken back where the truck file tells how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from volest.scale import Scale
from volest.weighing.series import WeightSeries

__all__ = ["corrected"]

STEEPEST_RAD = np.radians(30.0)  # no truck is weighed on a steeper slope: the sensor is wrong


def corrected(series: WeightSeries, scale: Scale) -> WeightSeries:
    """The series as a level truck at the reference temperature would give it.

    Cells that stand perpendicular to the frame bear the part cos(pitch) cos(roll) of the weight: the mass is what they
    say, divided by it. Temperature moves the zero: `temperature_kg_per_c` for each degree above the reference. Where
    the slope or temperature of a sample is not known, its mass stays as it is, with a note.
    """
    gross_kg, notes = series.gross_kg, list(series.notes)
    if scale.slope_correction:
        gross_kg = gross_kg / _borne(series, notes)
    if scale.temperature_kg_per_c:
        gross_kg = gross_kg - scale.temperature_kg_per_c * _warmer(series, scale, notes)
    return replace(series, gross_kg=gross_kg, notes=tuple(notes))


def _borne(series: WeightSeries, notes: list[str]) -> NDArray[np.float64]:
    """The part (N,) of the weight that the cells bear; NaN where the slope cannot be true."""
    part = np.ones(len(series.time_s))
    if series.pitch_rad is None and series.roll_rad is None:
        notes.append("slope_correction: no pitch and no roll in the weights, not corrected")
    for name, angle in (("pitch", series.pitch_rad), ("roll", series.roll_rad)):
        if angle is None:
            continue
        unknown, absurd = np.isnan(angle), np.abs(angle) > STEEPEST_RAD
        if unknown.any():
            notes.append(f"slope_correction: {name} not known in {int(unknown.sum())} of {len(angle)} samples")
        if absurd.any():
            notes.append(f"slope_correction: {name} beyond 30 degrees in {int(absurd.sum())} samples, refused")
        part = part * np.where(unknown, 1.0, np.where(absurd, np.nan, np.cos(angle)))
    return part


def _warmer(series: WeightSeries, scale: Scale, notes: list[str]) -> NDArray[np.float64]:
    """Degrees (N,) above the reference temperature, 0 where it is not known."""
    if series.temperature_c is None:
        notes.append("temperature_kg_per_c: no temperature in the weights, not corrected")
        return np.zeros(len(series.time_s))
    unknown = np.isnan(series.temperature_c)
    if unknown.any():
        notes.append(f"temperature_kg_per_c: not known in {int(unknown.sum())} of {len(unknown)} samples")
    return np.where(unknown, 0.0, series.temperature_c - scale.reference_temperature_c)
