"""What a method of the scoreboard is given: returns in the bed frame, and the empty bed; and grids over it.

`points_bed` (N, 3) are the returns [m] in the bed frame, put there by the poses that truck.toml tells; `bed` is a
`Bed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volest import Truck, read_points
from volest.case import Case
from volest.pointcloud import is_return

Points = NDArray[np.float64]
Grid = NDArray[np.float64]
Scans = dict[str | None, list[NDArray[np.float32]]]  # frames by sensor; None: they are in the bed frame already

CELL_M = 0.05
MARGIN_M = 0.03  # returns nearer to a nominal wall than this are the wall's
NEIGHBOURS = 20
LOWEST_M = -0.3  # what lies further down is no load
STEEPEST = 1.0  # slope of the steepest heap; what lies over it is no load


@dataclass(frozen=True)
class Bed:
    """The empty bed, as truck.toml and the scan of it tell."""

    length_m: float
    width_m: float
    height_m: float
    empty_bed: Points | None = None  # (N, 3) returns of the scan of the empty bed, in the bed frame, if there is one
    case: Case | None = None  # its folder and command, for methods that want truck.toml and the scans as they are

    @property
    def area_m2(self) -> float:
        """Of the nominal floor."""
        return self.length_m * self.width_m

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and y."""
        return max(1, round(self.length_m / CELL_M)), max(1, round(self.width_m / CELL_M))

    @cached_property
    def centres_m(self) -> tuple[Grid, Grid]:
        """x and y of the cells' middles, each (nx, ny)."""
        (nx, ny), (lx, ly) = self.shape, (self.length_m, self.width_m)
        x, y = ((np.arange(nx) + 0.5) / nx - 0.5) * lx, ((np.arange(ny) + 0.5) / ny - 0.5) * ly
        gx, gy = np.meshgrid(x, y, indexing="ij")
        return gx, gy

    @cached_property
    def floor_m(self) -> Grid:
        """Heights (nx, ny) of the empty bed: medians of its scan, or the nearest; 0 where it was not scanned."""
        if self.empty_bed is None:
            return np.zeros(self.shape)
        heights = cells(self.inside(self.empty_bed), self, "median")
        return nearest_filled(heights, self) if np.isfinite(heights).any() else np.zeros(self.shape)

    def inside(self, points: Points) -> Points:
        """Those within the nominal walls, and not above the highest heap."""
        half = np.array([self.length_m, self.width_m]) / 2.0 - MARGIN_M
        z, highest = points[:, 2], self.height_m + STEEPEST * min(self.length_m, self.width_m) / 2.0
        return points[(np.abs(points[:, :2]) <= half).all(axis=1) & (z > LOWEST_M) & (z < highest)]

    def floor_under(self, points: Points) -> Grid:
        """Heights (N,) of the empty bed under points."""
        i, j = indices(points, self)
        return self.floor_m[i, j]


@dataclass(frozen=True)
class Answer:
    """A volume with its 95 % interval; `seconds` for the load alone where the call did more than that."""

    volume_m3: float
    lower95_m3: float
    upper95_m3: float
    seconds: float | None = None


Method = Callable[[Points, Bed], "float | Answer"]


def indices(points: Points, bed: Bed) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cells that points lie in."""
    sizes = np.array([bed.length_m, bed.width_m])
    at = ((points[:, :2] / sizes + 0.5) * bed.shape).astype(np.intp)
    i, j = np.clip(at, 0, np.array(bed.shape) - 1).T
    return i, j


def cells(points: Points, bed: Bed, statistic: str) -> Grid:
    """A height (nx, ny) a cell, NaN where nothing returned."""
    from scipy.stats import binned_statistic_2d

    if not len(points):
        return np.full(bed.shape, np.nan)
    x, y = bed.length_m / 2.0, bed.width_m / 2.0
    heights = binned_statistic_2d(*points.T, statistic, bed.shape, [[-x, x], [-y, y]]).statistic
    return np.asarray(np.where(cells_held(points, bed), heights, np.nan))


def cells_held(points: Points, bed: Bed) -> NDArray[np.bool_]:
    """Which cells have returns."""
    held = np.zeros(bed.shape, bool)
    held[indices(points, bed)] = True
    return held


def nearest_filled(heights: Grid, bed: Bed) -> Grid:
    """The same with its empty cells as high as the nearest others."""
    from scipy.ndimage import distance_transform_edt

    cell = [bed.length_m / bed.shape[0], bed.width_m / bed.shape[1]]
    i, j = distance_transform_edt(np.isnan(heights), cell, return_distances=False, return_indices=True)
    return heights[i, j]


def linear_filled(heights: Grid, bed: Bed, points: Points) -> Grid:
    """The same with its empty cells on triangles between the others, each at the middle of its returns.

    The bed's corners are as high as the nearest cell.
    """
    # scipy's LinearNDInterpolator needs ten times as long: it solves a small system for each triangle.
    from matplotlib.tri import LinearTriInterpolator, Triangulation

    known = np.isfinite(heights)
    x, y = (cells(np.column_stack([points[:, :2], points[:, axis]]), bed, "mean")[known] for axis in (0, 1))
    corners = [(sx * bed.length_m, sy * bed.width_m) for sx in (-0.5, 0.5) for sy in (-0.5, 0.5)]
    ends = nearest_filled(heights, bed)[np.ix_([0, -1], [0, -1])].ravel()
    mesh = Triangulation(*np.concatenate([np.stack([x, y], axis=1), corners]).T)
    whole = heights.copy()
    to = tuple(axis[~known] for axis in bed.centres_m)
    whole[~known] = LinearTriInterpolator(mesh, np.concatenate([heights[known], ends]))(*to).filled(np.nan)
    return whole


def thinned(points: Points, edge_m: float) -> Points:
    """The centroid of each voxel."""
    keys = np.floor(points / edge_m).astype(np.int64)
    _, voxel, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    return np.stack([np.bincount(voxel.ravel(), axis) / count for axis in points.T], axis=1)


def tidied(points: Points) -> Points:
    """Without those whose 20 neighbours lie further off than 2 standard deviations over the mean, as PCL and Open3D do
    it (Rusu et al., Towards 3D point cloud based object maps for household environments, 2008)."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(points).query(points, NEIGHBOURS + 1)
    apart = distances[:, 1:].mean(axis=1)
    return points[apart <= apart.mean() + 2.0 * apart.std()]


def floor_lattice(bed: Bed, step_m: float) -> Points:
    """Points of the empty bed from wall to wall."""
    x, y = (np.linspace(-s / 2.0, s / 2.0, math.ceil(s / step_m) + 1) for s in (bed.length_m, bed.width_m))
    flat = np.stack([*np.meshgrid(x, y, indexing="ij"), np.zeros((len(x), len(y)))], axis=-1).reshape(-1, 3)
    flat[:, 2] = bed.floor_under(flat)
    return flat


# --- loads as volest simulate writes them -----------------------------------------------------------------------------


def read_scans(folder: Path, arguments: list[str], truck: Truck) -> Scans:
    """The scans that a case's command names."""
    scans: Scans = {}
    for text in arguments:
        prefix, _, path = text.rpartition("=")
        sensor = prefix or next(iter(truck.sensor_ids), None)
        scans.setdefault(sensor, []).append(read_points(folder / path).xyz)
    return scans


def in_bed(scans: Scans, truck: Truck) -> Points:
    """The returns in the bed frame, by the told poses."""
    poses = {sensor.id: sensor.pose for sensor in truck.sensors}
    parts = []
    for sensor, frames in scans.items():
        for xyz in frames:
            points = xyz[is_return(xyz)].astype(np.float64)
            parts.append(points if sensor is None else poses[sensor].apply(points))
    return np.concatenate(parts)


def read_load(case: Case) -> tuple[Points, Bed]:
    """What a method is given of a case."""
    folder = Path(case.folder)
    truck = Truck.load(folder / "truck.toml")
    points = in_bed(read_scans(folder, scan_arguments(case.command), truck), truck)
    told = truck.bed
    empty: Scans = {}
    for sensor, path in told.reference:
        empty.setdefault(sensor, []).append(read_points(path).xyz)
    return points, Bed(told.length_m, told.width_m, told.height_m, in_bed(empty, truck) if empty else None, case)


def scan_arguments(command: list[str]) -> list[str]:
    """Of `estimate SCAN... --truck ...`."""
    return command[1 : command.index("--truck")]
