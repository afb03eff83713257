"""A sheet over the bed, told from a load by what no load does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from volest._core import EdgePairs
from volest.bed import BedModel

__all__ = ["Cover", "Edge", "cover_of"]

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


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """What of a bed a sheet is told by, the same for every load: its edge, and the cells in its middle."""

    pairs: EdgePairs  # cells near the walls, and each with one further in
    middle: NDArray[np.intp]  # (M,) cells far from all walls
    top: Floats  # (ny, nx) m, the plane of the wall tops over all
    places: tuple[NDArray[np.float32], NDArray[np.float32]]  # (ny, nx) each, x and y of the cells' middles, m

    @classmethod
    def of(cls, bed: BedModel) -> Edge:
        """The edge of a bed."""
        layout = bed.layout
        x, y = np.meshgrid(*(layout.centres_m(cells) for cells in layout.shape))
        top = bed.rim[0] + bed.rim[1] * x + bed.rim[2] * y
        inside = (np.stack([x, y, top], axis=-1) @ bed.walls[:, :3].T - bed.walls[:, 3]) / layout.scale
        nearest = inside.min(axis=-1)
        iy, ix = np.nonzero((nearest > 0.0) & (nearest < EDGE_M))
        wall = inside[iy, ix].argmin(axis=-1)
        cell = layout.cell_m / layout.scale
        step = np.rint(INWARD_M * bed.walls[wall, :2] / cell).astype(int)
        ny, nx = top.shape
        further = np.clip(iy + step[:, 1], 0, ny - 1) * nx + np.clip(ix + step[:, 0], 0, nx - 1)
        cells = np.stack([iy * nx + ix, further], dtype=np.int64)
        run = np.abs(step).max(axis=-1) * cell
        middle = np.flatnonzero(nearest > 0.5 * nearest.max())
        places = (x.astype(np.float32), y.astype(np.float32))
        return cls(EdgePairs(cells, top, nearest[iy, ix], run), middle, top, places)


def cover_of(edge: Edge, scale: float, height: NDArray[np.float32], seen: NDArray[np.bool_]) -> Cover:
    """Whether a height map (ny, nx) [m] of which these cells have returns is a sheet from wall to wall.

    A sheet is smooth, meets the wall tops all around, and sags or rises gently between them. Heaps that reach the wall
    tops all around rise from them as steeply as they can stand; those that do not, meet walls at many heights.
    """
    slope, met = edge.pairs.lines(height, seen, scale)
    if len(met) < max(FEWEST, LEAST_EDGE * len(edge.pairs)):
        return "none"
    fastened = np.count_nonzero(np.abs(met) < FASTENED_M - FASTENED_PER_FALL * np.minimum(slope, 0.0)) / len(met)
    if fastened <= min(SAGGING, RAISED, LIKELY):
        return "none"
    # Most loads are told by now; what follows looks at all cells.
    over = np.where(seen, (height - edge.top) / scale, np.nan)
    middle = over.take(edge.middle)
    middle = middle[~np.isnan(middle)]
    if len(middle) == 0:
        return "none"
    bow = float(np.median(middle) - np.median(met))
    if abs(bow) < LEAST_BOW_M or _bend(over) > COARSEST_M:
        return "none"
    steepness = float(np.median(slope))
    if bow < 0.0:
        return "sure"
    if fastened > RAISED and steepness < STEEPEST:
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
