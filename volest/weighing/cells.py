"""Raw counts of load cells to the gross mass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from volest.scale import Cell, Scale

__all__ = ["gross_of_cells"]

STUCK_SAMPLES = 50  # as many equal counts in a row, while other cells move, are a dead cell's
MOVING_VALUES = 8  # as many different counts in that time are a cell that moves

Array = NDArray[np.float64]


def gross_of_cells(
    counts: Mapping[str, Array], temperature_c: Array | None, scale: Scale
) -> tuple[Array, tuple[str, ...]]:
    """The gross mass (N,) [kg] as the sum over the cells, and notes on what was refused.

    `counts` (N,) by cell id; kg = (counts - zero_counts) kg_per_count, less the cell's own drift with temperature.
    Where a cell has no reading, is saturated or stuck, the sum is NaN: a missing cell is a gap, not a lighter truck.
    """
    notes = [f"gross mass: sum of {len(scale.cell)} load cells ({', '.join(cell.id for cell in scale.cell)})"]
    total = np.zeros(len(next(iter(counts.values()))))
    for cell in scale.cell:
        values = counts[cell.id]
        saturated = _saturated(cell, values)
        stuck = _stuck(values, [other for name, other in counts.items() if name != cell.id])
        for what, refused in (("at the end of its range", saturated), ("stuck while others move", stuck)):
            if refused.any():
                notes.append(f"load cell {cell.id}: {what} in {int(refused.sum())} of {len(values)} samples, refused")
        kg = (values - cell.zero_counts) * cell.kg_per_count
        if cell.temperature_kg_per_c and temperature_c is not None:
            kg = kg - cell.temperature_kg_per_c * (temperature_c - scale.reference_temperature_c)
        total += np.where(saturated | stuck, np.nan, kg)
    if temperature_c is None and any(cell.temperature_kg_per_c for cell in scale.cell):
        notes.append("no temperature_c in the weights: the cells' temperature is not corrected")
    return total, tuple(notes)


def _saturated(cell: Cell, values: Array) -> NDArray[np.bool_]:
    beyond = np.zeros(len(values), dtype=bool)
    if cell.max_counts is not None:
        beyond |= values >= cell.max_counts
    if cell.min_counts is not None:
        beyond |= values <= cell.min_counts
    return beyond


def _stuck(values: Array, others: list[Array]) -> NDArray[np.bool_]:
    """Samples (N,) in long runs of one and the same count, in which at least half of the other cells move."""
    stuck = np.zeros(len(values), dtype=bool)
    ends = np.append(np.flatnonzero(np.diff(values) != 0.0) + 1, len(values))  # NaN differs from all
    starts = np.append(0, ends[:-1])
    for start, end in zip(starts, ends, strict=True):
        if end - start >= STUCK_SAMPLES and others:
            moving = sum(len(np.unique(other[start:end])) >= MOVING_VALUES for other in others)
            stuck[start:end] = 2 * moving >= len(others)
    return stuck
