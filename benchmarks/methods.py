"""Ways to make a volume of a truck-bed scan that people use today, and our own: what benchmarks/scoreboard.py scores.

A method is a function `(points_bed, bed) -> volume_m3`, see `benchmarks/truckbed.py` for what it is given.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from truckbed import (
    Answer,
    Bed,
    Points,
    cells,
    floor_lattice,
    linear_filled,
    nearest_filled,
    read_scans,
    scan_arguments,
    thinned,
    tidied,
)

THIN_M = 0.1  # of triangles and alpha shape, whose cost grows faster than the points
BESIDE_M = 0.2  # returns that end nearer to a wall than this are taken to reach it

# --- a height a cell, empty cells as high over the floor as the others are on average ---------------------------------


def _on_average(points: Points, bed: Bed, statistic: str) -> float:
    depth = cells(bed.inside(points), bed, statistic) - bed.floor_m
    return float(np.nanmean(depth)) * bed.area_m2


def highest_point(points: Points, bed: Bed) -> float:
    """The highest return of each cell."""
    return _on_average(points, bed, "max")


def mean_grid(points: Points, bed: Bed) -> float:
    """The mean of each cell."""
    return _on_average(points, bed, "mean")


def median_grid(points: Points, bed: Bed) -> float:
    """The median of each cell."""
    return _on_average(points, bed, "median")


# --- medians, empty cells interpolated --------------------------------------------------------------------------------


def nearest(points: Points, bed: Bed) -> float:
    """Empty cells as high as the nearest with returns."""
    whole = nearest_filled(cells(bed.inside(points), bed, "median"), bed)
    return float(np.mean(whole - bed.floor_m)) * bed.area_m2


def linear(points: Points, bed: Bed) -> float:
    """Empty cells on the triangles between the others."""
    inside = bed.inside(points)
    whole = linear_filled(cells(inside, bed, "median"), bed, inside)
    return float(np.mean(whole - bed.floor_m)) * bed.area_m2


# --- triangles and hulls ----------------------------------------------------------------------------------------------


def delaunay_tin(points: Points, bed: Bed) -> float:
    """Prisms between the triangles of the thinned returns and the floor, stretched to the whole floor."""
    from scipy.spatial import Delaunay

    top = thinned(bed.inside(points), THIN_M)
    depth = top[:, 2] - bed.floor_under(top)
    triangles = Delaunay(top[:, :2]).simplices
    a, b = (top[triangles[:, k], :2] - top[triangles[:, 0], :2] for k in (1, 2))
    area = 0.5 * np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    return float(area @ depth[triangles].mean(axis=1) / area.sum()) * bed.area_m2


def convex_hull(points: Points, bed: Bed) -> float:
    """The hull of the returns and of the floor."""
    from scipy.spatial import ConvexHull

    return float(ConvexHull(_closed(points, bed)).volume)


def alpha_shape(points: Points, bed: Bed) -> float:
    """The alpha complex of the returns and of the floor (Edelsbrunner and Muecke, 1994): tetrahedra of the Delaunay
    triangulation within a sphere of three quarters of the load's depth, so that none is hollow, at least 0.5 m."""
    from scipy.spatial import Delaunay

    cloud = _closed(points, bed)
    corners = cloud[Delaunay(cloud).simplices]  # (N, 4, 3)
    sides = corners[:, 1:] - corners[:, :1]
    sixfold = np.abs(np.linalg.det(sides))
    solid = sixfold > 1e-9
    # The centre c of the sphere through the corners: 2 sides c = the sides' squared lengths.
    centre = np.linalg.solve(2.0 * sides[solid], np.sum(sides[solid] ** 2, axis=2)[:, :, None])[:, :, 0]
    within = np.linalg.norm(centre, axis=1) <= max(0.5, 0.75 * _depth(points, bed))
    return float(sixfold[solid][within].sum() / 6.0)


def _depth(points: Points, bed: Bed) -> float:
    """What 99 returns in 100 are at most above the floor."""
    top = bed.inside(points)
    return float(np.quantile(top[:, 2] - bed.floor_under(top), 0.99))


def _closed(points: Points, bed: Bed) -> Points:
    """The returns without outliers, thinned, drawn out to the walls where they end beside them, and the floor."""
    top = thinned(tidied(bed.inside(points)), THIN_M)
    half = np.array([bed.length_m, bed.width_m]) / 2.0
    reach = np.abs(top[:, :2]).max(axis=0)
    top = top * np.append(np.where(half - reach < BESIDE_M, half / reach, 1.0), 1.0)
    return np.concatenate([top, floor_lattice(bed, THIN_M)])


# --- our own ----------------------------------------------------------------------------------------------------------


def volest(_: Points, bed: Bed) -> Answer:
    """volest with the model that comes with it, not commissioned; it finds the bed in the scan."""
    return _estimated(bed, find_bed=True)


def volest_told_pose(_: Points, bed: Bed) -> Answer:
    """The same where it believes the told pose, as the others do."""
    return _estimated(bed, find_bed=False)


def _estimated(bed: Bed, find_bed: bool) -> Answer:
    from volest import Estimator, Truck

    assert bed.case is not None
    folder = Path(bed.case.folder)
    truck = Truck.load(folder / "truck.toml")
    scans = read_scans(folder, scan_arguments(bed.case.command), truck)
    estimator = Estimator(truck, find_bed=find_bed)
    started = time.process_time()
    result = estimator.estimate(np.concatenate(scans[None]) if None in scans else scans)
    seconds = time.process_time() - started
    if result.volume_m3 is None:
        raise ValueError("; ".join((*result.flags, *result.reasons)))
    volume = result.volume_m3
    return Answer(volume.value, volume.lower95, volume.upper95, seconds)
