"""A sheet over the bed, told from a load by what no load does."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from volest.bed import BedModel

__all__ = ["Cover", "cover_of"]

EDGE_M = 0.15  # from the walls: where a sheet is nearly as high as their tops
INWARD_M = 0.25  # how much further in the slope from the wall is taken
LEAST_EDGE, FEWEST = 0.05, 30  # part of the edge's cells, and how many, that must be seen
FASTENED_M = 0.05  # a sheet meets the wall tops within this,
FASTENED_PER_FALL = 0.15  # and so much more where it falls from them in a curve,
SAGGING, RAISED, LIKELY = 0.7, 0.9, 0.8  # along so much of them; heaps rise from them, too
LIKELY_SPREAD_M = 0.1  # between the lowest and the highest tenth of where it meets them
LEAST_BOW_M = 0.025  # of its middle over or under its edges: a level surface may be a level load
STEEPEST, LIKELY_STEEPEST = 0.62, 0.75  # m per m; what rises steeper from the wall tops is a heap
COARSEST_M = 0.025  # bend within four cells

Floats = NDArray[np.float64]
Cover = Literal["none", "likely", "sure"]


def cover_of(bed: BedModel, height: NDArray[np.floating], seen: NDArray[np.bool_]) -> Cover:
    """Whether a height map (ny, nx) [m] of which these cells have returns is a sheet from wall to wall.

    A sheet is smooth, meets the wall tops all around, and sags or rises gently between them. Heaps that reach the wall
    tops all around rise from them as steeply as they can stand; those that do not, meet walls at many heights.
    """
    layout = bed.layout
    x, y = np.meshgrid(*(layout.centres_m(cells) for cells in layout.shape))
    top = bed.rim[0] + bed.rim[1] * x + bed.rim[2] * y
    inside = (np.stack([x, y, top], axis=-1) @ bed.walls[:, :3].T - bed.walls[:, 3]) / layout.scale
    over = np.where(seen, (height - top) / layout.scale, np.nan)
    nearest = inside.min(axis=-1)
    edge = (nearest > 0.0) & (nearest < EDGE_M)
    met, slope = _met(bed, over, inside, edge)
    middle = over[(nearest > 0.5 * nearest.max()) & seen]
    if len(met) < max(FEWEST, LEAST_EDGE * edge.sum()) or len(middle) == 0 or _bend(over) > COARSEST_M:
        return "none"
    bow = float(np.median(middle) - np.median(met))
    fastened = float(np.mean(np.abs(met) < FASTENED_M + FASTENED_PER_FALL * np.maximum(0.0, -slope)))
    steepness = float(np.median(slope))
    if bow < -LEAST_BOW_M:
        return "sure" if fastened > SAGGING else "none"
    if bow < LEAST_BOW_M:
        return "none"
    if fastened > RAISED and steepness < STEEPEST:
        return "sure"
    spread = float(np.subtract(*np.quantile(met, (0.9, 0.1))))
    is_likely = fastened > LIKELY and spread < LIKELY_SPREAD_M and steepness < LIKELY_STEEPEST
    return "likely" if is_likely else "none"


def _met(bed: BedModel, over: Floats, inside: Floats, edge: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """How far over the wall tops the surface meets the walls, and how it rises from there, at each seen edge cell."""
    iy, ix = np.nonzero(edge & ~np.isnan(over))
    wall = inside[iy, ix].argmin(axis=-1)
    cell = bed.layout.cell_m / bed.layout.scale
    step = np.rint(INWARD_M * bed.walls[wall, :2] / cell).astype(int)
    further = over[np.clip(iy + step[:, 1], 0, over.shape[0] - 1), np.clip(ix + step[:, 0], 0, over.shape[1] - 1)]
    slope = (further - over[iy, ix]) / (np.abs(step).max(axis=-1) * cell)
    met = over[iy, ix] - slope * inside[iy, ix].min(axis=-1)
    return met[~np.isnan(met)], slope[~np.isnan(met)]


def _bend(over: Floats) -> float:
    """How far surfaces depart from straight lines of four cells, in the median; infinite where none is seen."""
    down = np.abs(over[4:] + over[:-4] - 2.0 * over[2:-2]) / 2.0
    across = np.abs(over[:, 4:] + over[:, :-4] - 2.0 * over[:, 2:-2]) / 2.0
    known = np.concatenate([bend[~np.isnan(bend)] for bend in (down, across)])
    return float(np.median(known)) if len(known) else float("inf")
