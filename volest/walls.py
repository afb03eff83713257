"""Planes of a bed's walls, wall tops and floor, fitted to the points (N, 3) [m] of an empty bed, bed frame.

A wall is a plane (n, d) with the unit normal n into the bed: n p = d on it. Walls are front, rear, left and right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from volest.bed import LEAST_SKIN_CELLS, Layout

__all__ = [
    "covered_walls",
    "fit_floor",
    "fit_rim",
    "fit_wall",
    "refine_wall",
    "relief_of",
    "usual_lean",
    "wall_below_rim",
]

LEAST_SPAN, LEAST_RISE = 0.45, 0.12  # of a wall's length and height: where a face must be seen to be told from an arch
MOST_LEAN = 0.14  # tangent of the angle at which walls lean outwards at most
USUAL_LEAN, LEAN_STD = 0.02, 0.03  # what is thought of a wall before it is seen
TOP_M, MOST_COVER_M = 0.03, 0.25  # how far above a wall's top returns are of it, and of what lies on it
USUAL_SAG_M = 0.006  # of a floor's mean below its edges
OFFSET_STD_M, SLOPE_STD = 0.01, 0.004  # of a wall from its nominal place, and along it
NOMINAL_M, NOMINAL_SLOPE, NOMINAL_LEAN = 0.01, 0.002, 0.01  # the same of a bed that nobody scanned, and its lean
NOTABLE_M = 0.012  # off its nominal place: nearer, ribs and bulges tell more of the points than the wall does
KEPT = 60  # points that a wall's place rests on at most

Points = NDArray[np.floating]


def fit_wall(layout: Layout, wall: int, points: Points, std_m: float, both_faces: bool) -> NDArray[np.float64] | None:
    """The plane of one wall: the densest sheet of points near the nominal one; None where no face was seen.

    With `both_faces` the points may show the outer face, too, from sensors behind the wall.
    """
    beyond, along, z = _near_wall(layout, wall, points)
    face = (z > 0.3 * layout.height_m) & (z < 0.95 * layout.height_m)
    beyond, along, z = beyond[face], along[face], z[face]
    noise = 0.01 * layout.scale
    edges = np.arange(-layout.margin_m, layout.margin_m + noise, noise)
    likely = np.exp(-0.5 * (edges[1:-1] / np.hypot(2.0 * noise, std_m)) ** 2)
    leans = np.arange(-0.01, MOST_LEAN, 0.01)
    histograms = [np.histogram(beyond - lean * z, bins=edges)[0] for lean in leans]
    scores = np.array([(counts[:-1] + counts[1:]) * likely for counts in histograms])
    row, column = divmod(int(np.argmax(scores)), scores.shape[1])
    if both_faces:
        thickness = int(0.1 * layout.scale / noise)
        inner = scores[:, max(column - thickness, 0) : column + 1]
        first = int(np.argmax(inner.max(axis=0) > 0.35 * scores[row, column]))
        column = max(column - thickness, 0) + min(first + 1, inner.shape[1] - 1)
        row = int(np.argmax(scores[:, column]))
    start = np.array([edges[column + 1], 0.0, leans[row]])
    on_it = np.abs(beyond - start[0] - start[2] * z) < 3.0 * noise
    if on_it.sum() < 20 or not _spans_wall(layout, wall, along[on_it], z[on_it]):
        return None
    design = np.column_stack([np.ones_like(z), along, z])
    prior_std = np.array([np.hypot(OFFSET_STD_M * layout.scale, std_m), np.hypot(SLOPE_STD, 0.3 * std_m), LEAN_STD])
    fitted = _robust_fit(design, beyond, start, np.array([0, 0, USUAL_LEAN]), prior_std, noise)
    return _outward_plane(layout, wall, fitted)


def refine_wall(layout: Layout, wall: int, points: Points) -> NDArray[np.float64] | None:
    """The plane of a wall that stands notably off its nominal place, from points that may lie on it; else None.

    They hold it no better than KEPT of them would, for a bulge or a rib puts all off that lie on it.
    """
    beyond, along, z = _near_wall(layout, wall, points)
    if len(z) < KEPT:
        return None
    design = np.column_stack([np.ones_like(z), along, z])
    usual, std = np.zeros(3), np.array([NOMINAL_M * layout.scale, NOMINAL_SLOPE, NOMINAL_LEAN])
    fitted = usual
    for noise in (0.03 * layout.scale, 0.01 * layout.scale):
        fitted = _robust_fit(design, beyond, fitted, usual, std * np.sqrt(KEPT / len(z)), noise)
    on_it = np.abs(beyond - design @ fitted) < 0.02 * layout.scale
    off = abs(float(np.mean(design[on_it] @ fitted))) if on_it.sum() >= KEPT else 0.0
    return _outward_plane(layout, wall, fitted) if off > NOTABLE_M * layout.scale else None


def wall_below_rim(layout: Layout, wall: int, points: Points, lean: float) -> NDArray[np.float64]:
    """A wall whose face no sensor saw: from the nominal floor's edge to the inner edge of its top, if seen.

    Where the top was not seen, too, the wall has the given lean (a tangent).
    """
    beyond, _, z = _near_wall(layout, wall, points)
    over = (z - layout.height_m) / (0.04 * layout.scale)
    farthest = MOST_LEAN * layout.height_m + 0.02 * layout.scale
    bins = np.arange(-0.03 * layout.scale, farthest + 0.01 * layout.scale, 0.01 * layout.scale)
    # A top ends where it is; a face goes on above or below.
    level, above, below = (np.histogram(beyond[np.abs(over - at) < 1.0], bins=bins)[0] for at in (0.0, 3.0, -3.0))
    top = level - np.maximum(above, below)
    if np.clip(top, 0, None).sum() >= 20:
        inner = int(np.argmax(top >= 0.3 * top.max()))
        lean = max(0.0, float(bins[inner]) / layout.height_m)
    return _outward_plane(layout, wall, np.array([0.0, 0.0, lean]))


def usual_lean(fits: Sequence[NDArray[np.float64] | None]) -> float:
    """How far a wall leans that was not seen: as those that were, for they are made alike."""
    leans = [float(fit[2] / np.linalg.norm(fit[:2])) for fit in fits if fit is not None]
    return (USUAL_LEAN + sum(leans)) / (1 + len(leans))


def relief_of(layout: Layout, walls: NDArray[np.float64], wall: int, points: Points) -> tuple[float, float]:
    """How far ribs and bulges of a wall reach into the bed at most, and on average over its face."""
    least = LEAST_SKIN_CELLS * layout.cell_m
    inside = points @ walls[:, :3].T - walls[:, 3]
    others = np.delete(inside, wall, axis=1).min(axis=1) if len(points) else np.zeros(0)
    tall = (points[:, 2] > 0.35 * layout.height_m) & (points[:, 2] < 0.9 * layout.height_m)
    depth = inside[tall & (np.abs(inside[:, wall]) < 0.12 * layout.scale) & (others > 0.15 * layout.scale), wall]
    if len(depth) < 50:
        return least, 0.0
    deepest = float(np.quantile(depth, 0.98)) + 0.01 * layout.scale
    return float(np.clip(deepest, least, 0.1 * layout.scale)), float(np.clip(depth.mean(), 0.0, 0.03 * layout.scale))


def covered_walls(
    layout: Layout, walls: NDArray[np.float64], rim: NDArray[np.float64], points: Points
) -> NDArray[np.bool_]:
    """Which walls (4,) have most of the returns over their tops above them: of a rolled-up tarp, say."""
    inside = points @ walls[:, :3].T - walls[:, 3]
    over = points[:, 2] - rim[0] - points[:, :2] @ rim[1:]
    wall = inside.argmin(axis=1)
    behind = inside.min(axis=1)
    about = (behind < 0.0) & (behind > -0.06 * layout.scale) & (over > -TOP_M * layout.scale)
    about &= over < MOST_COVER_M * layout.scale
    above = np.bincount(wall[about & (over > TOP_M * layout.scale)], minlength=4)
    covered: NDArray[np.bool_] = above > np.maximum(10, 0.5 * np.bincount(wall[about], minlength=4))
    return covered


def fit_rim(
    layout: Layout, walls: NDArray[np.float64], points: Points, std_m: float, floor: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The plane of the wall tops from the returns just behind the inner faces; thought to be level with the floor."""
    distance = (points @ walls[:, :3].T - walls[:, 3]).min(axis=1)
    noise = 0.01 * layout.scale
    expected, prior_std = np.zeros(3), np.array([np.hypot(0.8 * noise, std_m), *[np.hypot(0.003, 0.3 * std_m)] * 2])
    if floor is not None:
        expected, prior_std = _merged(expected, prior_std, floor, np.array([1.2 * noise, 0.004, 0.004]))
    design = np.column_stack([np.ones(len(points)), points[:, :2]])
    over = points[:, 2] - layout.height_m - design @ expected
    near = (distance < -0.005 * layout.scale) & (distance > -0.05 * layout.scale) & (np.abs(over) < 0.12 * layout.scale)
    design, over = design[near], over[near]
    edges = np.arange(-0.12, 0.13, 0.01) * layout.scale
    middles = edges[:-1] + noise / 2
    likely = np.histogram(over, bins=edges)[0] * np.exp(-0.5 * (middles / max(1.5 * noise, 1.5 * prior_std[0])) ** 2)
    start = np.array([middles[int(np.argmax(likely))] if len(over) else 0.0, 0.0, 0.0])
    off = _robust_fit(design, over, start, np.zeros(3), prior_std, noise)
    rim: NDArray[np.float64] = expected + off + np.array([layout.height_m, 0.0, 0.0])
    return rim


def fit_floor(layout: Layout, walls: NDArray[np.float64], points: Points, std_m: float) -> NDArray[np.float64] | None:
    """The floor's height and slopes along x and y, its sag taken off; None where little of it was seen."""
    reach = 0.06 * layout.scale + 2.0 * std_m
    inside = (points @ walls[:, :3].T - walls[:, 3]).min(axis=1) > 0.15 * layout.scale
    x, y, z = points[inside & (np.abs(points[:, 2]) < 3.0 * reach)].T
    sides = ((x, layout.length_m), (y, layout.width_m))
    bins = [np.histogram(along, 12, (-side / 2, side / 2))[0] > 0 for along, side in sides]
    if len(z) < 200 or min(filled.mean() for filled in bins) < LEAST_SPAN:
        return None
    design = np.column_stack([np.ones_like(z), x, y])
    fitted = np.zeros(3)
    for noise in (reach, 0.5 * reach, 0.02 * layout.scale):
        prior_std = np.array([std_m, std_m, std_m]) + 0.01
        fitted = _robust_fit(design, z, fitted, np.zeros(3), prior_std, noise)
    fitted[0] += USUAL_SAG_M * layout.scale
    return fitted


def _near_wall(layout: Layout, wall: int, points: Points) -> tuple[Points, Points, Points]:
    """How far beyond the nominal wall, along it and how high the points are that may belong to it."""
    outward, along, z = _wall_coordinates(wall, points)
    side, across = (layout.length_m, layout.width_m) if wall < 2 else (layout.width_m, layout.length_m)
    near = (np.abs(outward - side / 2) < layout.margin_m) & (np.abs(along) < across / 2 - 0.15 * layout.scale)
    return outward[near] - side / 2, along[near], z[near]


def _spans_wall(layout: Layout, wall: int, along: Points, z: Points) -> bool:
    """Whether points lie all over a wall's face, and not only on a wheel arch or on what else stands there."""
    across = layout.width_m if wall < 2 else layout.length_m
    bins = max(4, int(across / (0.15 * layout.scale)))
    filled = np.histogram(along, bins=bins, range=(-across / 2, across / 2))[0] > 0
    low, high = np.quantile(z, (0.05, 0.95))
    return bool(filled.mean() >= LEAST_SPAN and high - low >= LEAST_RISE * layout.height_m)


def _wall_coordinates(wall: int, points: Points) -> tuple[Points, Points, Points]:
    """Outward, along and z of points, so that all four walls are fitted alike."""
    sign = 1.0 if wall % 2 == 0 else -1.0
    outward, along = (0, 1) if wall < 2 else (1, 0)
    return sign * points[:, outward], points[:, along], points[:, 2]


def _outward_plane(layout: Layout, wall: int, beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """The plane of a wall given how far it lies beyond its nominal place: a + b along + c z."""
    side = layout.length_m if wall < 2 else layout.width_m
    return _plane(wall, beyond + np.array([side / 2, 0.0, 0.0]))


def _plane(wall: int, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Plane (n, d) with n into the bed, of the wall outward = a + b along + c z; outward is +x, -x, +y, -y."""
    a, b, c = coefficients
    sign = 1.0 if wall % 2 == 0 else -1.0
    outward, along = (0, 1) if wall < 2 else (1, 0)
    plane = np.zeros(4)
    plane[outward] = -sign
    plane[along] = b
    plane[2] = c
    plane[3] = -a
    unit: NDArray[np.float64] = plane / np.linalg.norm(plane[:3])
    return unit


def _robust_fit(
    design: Points, values: Points, start: Points, prior: Points, prior_std: Points, noise: float
) -> NDArray[np.float64]:
    """Most probable coefficients with Tukey's biweight, from a start; a prior std of inf says nothing."""
    solution = np.array(start, dtype=np.float64)
    information = np.diag((noise / prior_std) ** 2)
    for _ in range(12):
        residual = values - design @ solution
        weight = np.clip(1.0 - (residual / (3.0 * noise)) ** 2, 0.0, None) ** 2
        weighted = design * weight[:, None]
        solution[:] = np.linalg.solve(weighted.T @ design + information, weighted.T @ values + information @ prior)
    return solution


def _merged(a: Points, a_std: Points, b: Points, b_std: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two independent opinions as one, with its standard deviation."""
    weight = 1.0 / a_std**2 + 1.0 / b_std**2
    return (a / a_std**2 + b / b_std**2) / weight, 1.0 / np.sqrt(weight)
