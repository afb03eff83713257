"""A slow twin of the core's sheet over the bed, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.bed import BedModel

__all__ = ["cover_of"]

EDGE_M = 0.15
INWARD_M = 0.25
LEAST_EDGE, FEWEST = 0.05, 30
FASTENED_M = 0.05
FASTENED_PER_FALL = 0.15
SAGGING, RAISED, LIKELY = 0.7, 0.9, 0.8
LIKELY_SPREAD_M = 0.1
LEAST_BOW_M = 0.025
STEEPEST, LIKELY_STEEPEST = 0.62, 0.75
COARSEST_M = 0.025

Floats = NDArray[np.float64]


def cover_of(bed: BedModel, height: NDArray[np.float32], seen: NDArray[np.bool_]) -> str:
    """Whether a height map (ny, nx) [m] of which these cells have returns is a sheet from wall to wall."""
    layout = bed.layout
    x, y = np.meshgrid(*(layout.centres_m(cells) for cells in layout.shape))
    top = bed.rim[0] + bed.rim[1] * x + bed.rim[2] * y
    inside = (np.stack([x, y, top], axis=-1) @ bed.walls[:, :3].T - bed.walls[:, 3]) / layout.scale
    nearest = inside.min(axis=-1)
    iy, ix = np.nonzero((nearest > 0.0) & (nearest < EDGE_M))
    cell = layout.cell_m / layout.scale
    step = np.rint(INWARD_M * bed.walls[inside[iy, ix].argmin(axis=-1), :2] / cell).astype(int)
    ny, nx = top.shape
    further = np.clip(iy + step[:, 1], 0, ny - 1), np.clip(ix + step[:, 0], 0, nx - 1)
    over = np.where(seen, (height - top) / layout.scale, np.nan)
    slope = (over[further] - over[iy, ix]) / (np.abs(step).max(axis=-1) * cell)
    met = over[iy, ix] - slope * nearest[iy, ix]
    slope, met = slope[~np.isnan(met)], met[~np.isnan(met)]
    if len(met) < max(FEWEST, LEAST_EDGE * len(iy)):
        return "none"
    fastened = np.count_nonzero(np.abs(met) < FASTENED_M - FASTENED_PER_FALL * np.minimum(slope, 0.0)) / len(met)
    if fastened <= min(SAGGING, RAISED, LIKELY):
        return "none"
    middle = over[nearest > 0.5 * nearest.max()]
    middle = middle[~np.isnan(middle)]
    if len(middle) == 0:
        return "none"
    bow = float(np.median(middle) - np.median(met))
    if abs(bow) < LEAST_BOW_M or _bend(over) > COARSEST_M:
        return "none"
    steepness = float(np.median(slope))
    if bow < 0.0 or (fastened > RAISED and steepness < STEEPEST):
        return "sure"
    spread = float(np.subtract(*np.quantile(met, (0.9, 0.1))))
    is_likely = fastened > LIKELY and spread < LIKELY_SPREAD_M and steepness < LIKELY_STEEPEST
    return "likely" if is_likely else "none"


def _bend(over: Floats) -> float:
    """How far surfaces depart from straight lines of four cells, in the median; infinite where none is seen."""
    down = np.abs(over[4:] + over[:-4] - 2.0 * over[2:-2]) / 2.0
    across = np.abs(over[:, 4:] + over[:, :-4] - 2.0 * over[:, 2:-2]) / 2.0
    known = np.concatenate([bend[~np.isnan(bend)] for bend in (down, across)])
    return float(np.median(known)) if len(known) else float("inf")
