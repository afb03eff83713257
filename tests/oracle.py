"""A slow twin of the core's raster, integral and fusion, in plain NumPy and float64."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from volest.bed import LEVELS, BedModel
from volest.truck import WasteProfile

__all__ = ["Raster", "Sums", "integrate", "rasterise", "wet_fraction"]

Floats = NDArray[np.float64]

FARTHEST_M = 1e4
SHY = 2.0  # cells before its end where a ray stops to bound
STEPS = 1024  # a height is kept in this many parts of a voxel
PLACES = 5  # a cell at the border is looked at in so many places along each axis
OUTSIDE, HIDDEN, BETWEEN, SEEN = range(4)


# --- the bed ----------------------------------------------------------------------------------------------------------


def distances(bed: BedModel, x: Floats, y: Floats, z: Floats) -> Floats:
    """Distances (4, ...) of points to the walls, positive inside."""
    n, d = bed.walls[:, :3], bed.walls[:, 3]
    return np.stack([n[i, 0] * x + n[i, 1] * y + n[i, 2] * z - d[i] for i in range(4)])


def rim_height(bed: BedModel, x: Floats, y: Floats) -> Floats:
    """Height of the plane of the wall tops over (x, y)."""
    height: Floats = bed.rim[0] + bed.rim[1] * x + bed.rim[2] * y
    return height


def inside_opening(bed: BedModel, x: Floats, y: Floats) -> Floats:
    """How far (x, y) lies inside the opening."""
    inside: Floats = distances(bed, x, y, rim_height(bed, x, y)).min(axis=0)
    return inside


def wall_height(bed: BedModel, x: Floats, y: Floats) -> Floats:
    """Height of the walls with their liners over (x, y), at most that of their tops."""
    top = rim_height(bed, x, y)
    height = np.full_like(top, -1e9)
    for (nx, ny, nz, d), liner in zip(bed.walls, bed.liner, strict=True):
        if nz > 1e-4:
            height = np.maximum(height, (d + liner - nx * x - ny * y) / nz)
        else:
            height = np.where(nx * x + ny * y + nz * top - d < liner, top, height)
    return np.minimum(height, top)


# --- raster -----------------------------------------------------------------------------------------------------------


@dataclass
class Raster:
    """What the points of some scans leave in the columns over a bed."""

    bed: BedModel
    bound: NDArray[np.float32] = field(init=False)  # (ny, nx)
    points: NDArray[np.int64] = field(init=False)  # (ny, nx, LEVELS)
    height_sum: Floats = field(init=False)  # (ny, nx, LEVELS) m
    counts: dict[str, int] = field(init=False)  # of the last scan

    def __post_init__(self) -> None:
        nx, ny = self.bed.layout.shape
        self.bound = np.full((ny, nx), self.ceiling_m, np.float32)
        self.points = np.zeros((ny, nx, LEVELS), np.int64)
        self.height_sum = np.zeros((ny, nx, LEVELS))

    @property
    def ceiling_m(self) -> float:
        """Where the voxels end."""
        return self.bed.layout.lowest_m + LEVELS * self.bed.layout.level_m

    @property
    def occupied(self) -> NDArray[np.uint64]:
        """A mask of the levels that hold points, for each cell."""
        bits = (self.points > 0).astype(np.uint64) << np.arange(LEVELS, dtype=np.uint64)
        return np.bitwise_or.reduce(bits, axis=2)

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell that holds (x, y)."""
        nx, ny = self.bed.layout.shape
        cell = self.bed.layout.cell_m
        u, v = (x + 0.5 * nx * cell) / cell, (y + 0.5 * ny * cell) / cell
        return (int(v), int(u)) if 0 <= u < nx and 0 <= v < ny else None


def rasterise(raster: Raster, xyz: NDArray[np.float32], pose: Floats, rays: bool) -> None:
    """Add a scan (N, 3) [m], sensor frame, seen from the pose (4, 4) T_bed_sensor."""
    counts = dict.fromkeys(("load", "wall", "fixture", "stray"), 0)
    sensor = pose[:3, 3]
    for point in xyz.astype(np.float64):
        if not (np.abs(point) < FARTHEST_M).all() or not point.any():
            continue
        p = np.array([r[0] * point[0] + r[1] * point[1] + r[2] * point[2] for r in pose[:3, :3]]) + sensor
        if rays and sensor[2] > p[2]:
            _bound_along(raster, sensor, p)
        kind = _drop(raster, p)
        if kind:
            counts[kind] += 1
    raster.counts = counts


def _drop(raster: Raster, p: Floats) -> str:
    """Let a point (3,) fall into its voxel; what it was counted as."""
    bed, layout = raster.bed, raster.bed.layout
    cell = raster.cell(p[0], p[1])
    if cell is None or inside_opening(bed, p[0], p[1]) < 0.0:
        return ""
    near = distances(bed, *p) < bed.skin
    if (near & (p[2] < rim_height(bed, p[0], p[1]) + bed.skin)).any():
        return "wall"
    level = (p[2] - layout.lowest_m) / layout.level_m
    if not 0.0 <= level < LEVELS:
        return "stray"
    k = int(level)
    if int(bed.fixtures[cell]) >> k & 1:
        return "fixture"
    raster.points[cell][k] += 1
    part = int((level - k) * STEPS) / STEPS
    raster.height_sum[cell][k] += layout.lowest_m + (k + part) * layout.level_m
    return "load"


def _bound_along(raster: Raster, sensor: Floats, hit: Floats) -> None:
    """Lower the bound of the cells under the ray, a cell's length at a time, from two cells before its end."""
    layout = raster.bed.layout
    nx, ny = layout.shape
    back = sensor - hit
    flat = float(np.sqrt(back[0] * back[0] + back[1] * back[1]))
    if flat <= SHY * layout.cell_m:
        return
    begin, end = SHY * layout.cell_m / flat, min(1.0, (raster.ceiling_m - hit[2]) / back[2])
    for axis, cells in ((0, nx), (1, ny)):
        low = -0.5 * cells * layout.cell_m
        high = low + cells * layout.cell_m
        if abs(back[axis]) < 1e-12:
            if not low <= hit[axis] <= high:
                return
            continue
        ways = sorted(((low - hit[axis]) / back[axis], (high - hit[axis]) / back[axis]))
        begin, end = max(begin, ways[0]), min(end, ways[1])
    for at_hit, at_sensor in zip(distances(raster.bed, *hit), distances(raster.bed, *sensor), strict=True):
        if at_sensor > at_hit:
            begin = max(begin, at_hit / (at_hit - at_sensor))
        elif at_sensor < at_hit:
            end = min(end, at_hit / (at_hit - at_sensor))
        elif at_hit < 0.0:
            return
    t = begin
    while t < end:
        cell = raster.cell(hit[0] + t * back[0], hit[1] + t * back[1])
        if cell is not None:
            raster.bound[cell] = min(raster.bound[cell], np.float32(hit[2] + t * back[2]))
        t += layout.cell_m / flat


# --- integral ---------------------------------------------------------------------------------------------------------


@dataclass
class Sums:
    """What the core's Integral holds, but for what it says of roughness and scatter."""

    volume: float
    heaped: float
    struck_capacity: float
    footprint: float
    moment: Floats
    area: Floats
    hidden_distance: float


def integrate(bed: BedModel, height: Floats, state: NDArray[np.uint8], distance: Floats) -> Sums:
    """Volumes between a surface (ny, nx) and the empty bed; whole cells inside, places of them at the border."""
    layout = bed.layout
    nx, ny = layout.shape
    x, y = np.meshgrid(layout.centres_m(nx), layout.centres_m(ny))
    height, floor, cell = height.astype(np.float64), bed.floor.astype(np.float64), layout.cell_m
    known = state != OUTSIDE
    gx, gy = _slope(height, known, cell, 1), _slope(height, known, cell, 0)
    interior = known & _is_interior(bed, x, y, floor)
    sums, area = np.zeros(7), np.where(interior, cell**2, 0.0)
    sums += _add(x, y, area, height, floor, rim_height(bed, x, y), np.zeros_like(known))
    edge = cell / PLACES
    steps = (np.arange(PLACES) + 0.5) * edge - 0.5 * cell
    for dy in steps:
        for dx in steps:
            px, py, share = _clip(bed, x + dx, y + dy, edge)
            part = np.where(known & ~interior, share * edge**2, 0.0)
            wall = wall_height(bed, px, py)
            load = height + gx * (px - x) + gy * (py - y)
            sums += _add(px, py, part, load, np.maximum(floor, wall), rim_height(bed, px, py), wall > floor)
            area += part
    hidden = np.where(state == HIDDEN, area, 0.0)
    return Sums(
        *(float(s) for s in sums[:4]),
        moment=sums[4:],
        area=np.array([area[state == kind].sum() for kind in range(4)]),
        hidden_distance=float((hidden * distance).sum()),
    )


def _slope(height: Floats, known: NDArray[np.bool_], cell: float, axis: int) -> Floats:
    """Half the difference between the neighbours along an axis; a neighbour that is not known is as the cell."""
    padded, there = np.pad(height, 1), np.pad(known, 1)
    rows, columns = height.shape

    def neighbour(step: int) -> Floats:
        dy, dx = (step, 0) if axis == 0 else (0, step)
        window = np.s_[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns]
        return np.where(there[window], padded[window], height)

    return (neighbour(1) - neighbour(-1)) / (2.0 * cell)


def _is_interior(bed: BedModel, x: Floats, y: Floats, floor: Floats) -> NDArray[np.bool_]:
    """Whether all corners of the cell lie inside the opening and over the floor."""
    half = 0.5 * bed.layout.cell_m
    corners = [(x + dx, y + dy) for dx in (-half, half) for dy in (-half, half)]
    return np.all(
        [(inside_opening(bed, u, v) >= -1e-12) & (wall_height(bed, u, v) <= floor) for u, v in corners], axis=0
    )


def _clip(bed: BedModel, x: Floats, y: Floats, edge: float) -> tuple[Floats, Floats, Floats]:
    """The share of square places that lies in the opening, and its middle."""
    all_distances = distances(bed, x, y, rim_height(bed, x, y))
    nearest = all_distances.argmin(axis=0)
    share = np.clip(all_distances.min(axis=0) / edge + 0.5, 0.0, 1.0)
    shift = 0.5 * (1.0 - share) * edge
    return x + shift * bed.walls[nearest, 0], y + shift * bed.walls[nearest, 1], share


def _add(
    x: Floats, y: Floats, area: Floats, load: Floats, empty: Floats, top: Floats, on_wall: NDArray[np.bool_]
) -> Floats:
    """Volume, heaped part, struck capacity, footprint and the three moments of places with an area."""
    depth = np.where(on_wall, np.maximum(0.0, load - empty), load - empty)
    volume = depth * area
    parts = [
        volume,
        np.maximum(0.0, load - np.maximum(top, empty)) * area,
        np.maximum(0.0, top - empty) * area,
        area,
        volume * x,
        volume * y,
        volume * 0.5 * (load + empty),
    ]
    return np.array([float(part.sum()) for part in parts])


# --- fusion -----------------------------------------------------------------------------------------------------------

CELLS = 2000  # of the wet mass fraction, between 0 and 1
NODES = 600  # of the log density
REACH = 8.0  # standard deviations beyond which there is nothing


def log_density_moments(fraction: Floats, profile: WasteProfile) -> tuple[Floats, Floats]:
    """Mean and standard deviation (N,) of ln(density [kg/m3]) of loads of wet mass fractions (N,), after Fenton."""
    mean, variance = np.zeros_like(fraction), np.zeros_like(fraction)
    parts = (fraction, profile.wet_kg_m3, profile.wet_log_std), (1 - fraction, profile.dry_kg_m3, profile.dry_log_std)
    for share, median, log_std in parts:
        expected = share / median * np.exp(log_std**2 / 2)
        mean += expected
        variance += expected**2 * np.expm1(log_std**2)
    log_variance = np.log1p(variance / mean**2)
    return log_variance / 2 - np.log(mean), np.sqrt(log_variance)


def wet_fraction(
    volume: float, volume_std: float, mass: float, mass_std: float, profile: WasteProfile
) -> tuple[Floats, Floats]:
    """The wet mass fraction's posterior under a uniform prior: (4,) value, std, lower95, upper95; (3,) of the classes.

    What is possible in density: all rho at which |mass - rho volume| is within REACH of its standard deviations, found
    by trial, and within REACH of a profile's.
    """
    edges = np.linspace(0, 1, CELLS + 1)
    fraction = (edges[:-1] + edges[1:]) / 2
    mean, std = log_density_moments(fraction, profile)
    x = np.linspace((mean - REACH * std).min(), (mean + REACH * std).max(), 200_001)
    possible = np.abs(mass - np.exp(x) * volume) <= REACH * np.hypot(mass_std, np.exp(x) * volume_std)
    x = np.linspace(x[possible][0], x[possible][-1], NODES)
    rho_std = np.hypot(mass_std, np.exp(x) * volume_std)
    likelihood = np.exp(-0.5 * ((mass - np.exp(x) * volume) / rho_std) ** 2) / rho_std
    weights = (np.exp(-0.5 * ((x - mean[:, None]) / std[:, None]) ** 2) / std[:, None]) @ likelihood
    weights /= weights.sum()
    cumulative = np.concatenate(([0], np.cumsum(weights)))
    value = weights @ fraction
    lower, upper = np.interp((0.025, 0.975), cumulative, edges)
    dry, not_wet = np.interp((0.4, 0.6), edges, cumulative)
    moments = np.array([value, np.sqrt(weights @ (fraction - value) ** 2), lower, upper])
    return moments, np.array([dry, not_wet - dry, 1 - not_wet])
