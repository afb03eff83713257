"""The empty bed: inner walls, the plane of their tops, and the floor, from reference scans or nominal dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest._core import Engine
from volest.errors import TruckError
from volest.pose import Pose, rotation_from_rpy

__all__ = ["BedModel", "Layout", "PlacedScan", "is_return"]

FINEST_CELL_M = 0.05
CELLS_ALONG_ROOT_AREA = 50
LEVELS = 64
LEAST_SKIN_CELLS = 0.8
LEAST_SPAN, LEAST_RISE = 0.45, 0.12  # of a wall's length and height: where a face must be seen to be told from an arch
EDGE_M = 0.12  # how far below the wall tops their edges still return
NOMINAL_STD_M, UNSEEN_STD_M, SEEN_STD_M = 0.006, 0.03, 0.003  # of a wall or floor: as told, unseen among seen, seen
MOST_LEAN = 0.14  # tangent of the angle at which walls lean outwards at most
USUAL_LEAN, LEAN_STD = 0.02, 0.03  # what is thought of a wall before it is seen
TOP_M, MOST_COVER_M = 0.03, 0.25  # how far above a wall's top returns are of it, and of what lies on it
USUAL_SAG_M = 0.006  # of a floor's mean below its edges
OFFSET_STD_M, SLOPE_STD = 0.01, 0.004  # of a wall from its nominal place, and along it

Points = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedScan:
    """A scan with the pose T_bed_sensor from which it was taken; `rays` when its points share that origin."""

    xyz: NDArray[np.float32]  # (N, 3) m, sensor frame
    pose: NDArray[np.float64]  # (4, 4) T_bed_sensor
    rays: bool
    std_m: float  # how far the pose may put a wall off, 1-sigma


@dataclass(frozen=True, slots=True)
class Layout:
    """Grid and voxel columns over a bed of the given nominal inside dimensions."""

    length_m: float
    width_m: float
    height_m: float

    @property
    def scale(self) -> float:
        """1 for truck beds; less for smaller boxes, whose details are smaller too."""
        return min(1.0, float(np.sqrt(self.length_m * self.width_m)) / 2.0)

    @property
    def cell_m(self) -> float:
        """Edge of a cell."""
        return min(FINEST_CELL_M, float(np.sqrt(self.length_m * self.width_m)) / CELLS_ALONG_ROOT_AREA)

    @property
    def margin_m(self) -> float:
        """How far walls that lean, and poses that are off, may carry the opening beyond the nominal rectangle."""
        return 0.3 * self.scale

    @property
    def lowest_m(self) -> float:
        """Height where the voxels begin."""
        return -0.25 * self.scale

    @property
    def highest_m(self) -> float:
        """Height where the voxels end: room for a heap as steep as waste stands."""
        return self.height_m + 0.75 * min(self.length_m, self.width_m)

    @property
    def level_m(self) -> float:
        """Depth of a voxel."""
        return (self.highest_m - self.lowest_m) / LEVELS

    def centres_m(self, cells: int) -> NDArray[np.float64]:
        """Middles of so many cells, centred on the bed."""
        centres: NDArray[np.float64] = (np.arange(cells, dtype=np.float64) + 0.5 - cells / 2) * self.cell_m
        return centres

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and along y."""
        nx, ny = (int(np.ceil((side + 2 * self.margin_m) / self.cell_m)) for side in (self.length_m, self.width_m))
        return nx, ny


@dataclass(frozen=True, slots=True, eq=False)
class BedModel:
    """The inner surface of the empty bed in the bed frame."""

    layout: Layout
    walls: NDArray[np.float64]  # (4, 4): front, rear, left, right; unit normal into the bed and distance, m
    rim: NDArray[np.float64]  # (3,): height of the wall tops = rim[0] + rim[1] x + rim[2] y
    skin: NDArray[np.float64]  # (4,) m: returns this near to a wall are of the wall or its ribs
    liner: NDArray[np.float64]  # (4,) m: what ribs and bulges add to a wall on average
    covered: NDArray[np.bool_]  # (4,): whether something lies on a wall's top, a rolled-up tarp say, and hides it
    floor: NDArray[np.float32]  # (ny, nx) m
    fixtures: NDArray[np.uint64]  # (ny, nx): bit k is set where something stands at voxel level k of the empty bed
    floor_std_m: float  # standard uncertainty of the floor's height as a whole
    wall_std_m: NDArray[np.float64]  # (4,) of each wall's place

    @classmethod
    def nominal(cls, layout: Layout) -> BedModel:
        """A box of the nominal dimensions. Real floors sag and walls lean by about a centimetre."""
        return cls(
            layout,
            walls=np.array([_outward_plane(layout, wall, np.zeros(3)) for wall in range(4)]),
            rim=np.array([layout.height_m, 0.0, 0.0]),
            skin=np.full(4, LEAST_SKIN_CELLS * layout.cell_m),
            liner=np.zeros(4),
            covered=np.zeros(4, dtype=np.bool_),
            floor=np.zeros(layout.shape[::-1], dtype=np.float32),
            fixtures=np.zeros(layout.shape[::-1], dtype=np.uint64),
            floor_std_m=NOMINAL_STD_M * layout.scale,
            wall_std_m=np.full(4, NOMINAL_STD_M * layout.scale),
        )

    @classmethod
    def stored(cls, layout: Layout, fields: Mapping[str, Any]) -> BedModel:
        """The bed of a truck.volest; raises TruckError when its maps are not those of a bed of these dimensions."""
        if fields["floor"].shape != layout.shape[::-1]:
            found = "{1} x {0}".format(*fields["floor"].shape)
            raise TruckError(f"section BEDM: found {found} cells, expected {layout.shape[0]} x {layout.shape[1]}")
        return cls(layout, **fields)

    def fields(self) -> dict[str, Any]:
        """All but the layout, as `stored` takes it."""
        return {field.name: getattr(self, field.name) for field in dataclass_fields(self) if field.name != "layout"}

    @classmethod
    def from_reference(cls, layout: Layout, scans: Sequence[PlacedScan]) -> tuple[BedModel, Sequence[PlacedScan]]:
        """The bed that scans of the empty truck show, and the scans as they lie in it; the rest is nominal."""
        for _ in range(2):
            scans = _levelled(cls._with_walls(layout, scans), scans)
            if len(scans) > 1:
                scans = cls._with_walls(layout, scans)._aligned(scans)
        bed = cls._with_walls(layout, scans)
        occupied = bed._filled(scans).occupied
        fixtures = _fixtures(bed, occupied, bed.rim[0] + 0.03 * layout.scale)
        # What the edges of the wall tops return is no floor, though load may well lie there later.
        edges = _fixtures(bed, occupied, bed.rim[0] - EDGE_M * layout.scale)
        aloft = _voxels_above(layout, bed.rim[0] + 0.03 * layout.scale)
        floor_bed = replace(bed, fixtures=np.where(_beside_walls(bed), edges, fixtures) | aloft)
        engine = floor_bed._filled(scans)
        engine.finish(prior_height=0.0, prior_reach=0.15 * layout.scale)
        return replace(bed, floor=engine.height, fixtures=fixtures), scans

    @classmethod
    def _with_walls(cls, layout: Layout, scans: Sequence[PlacedScan]) -> BedModel:
        """Walls and wall tops as the scans show them, over a floor far below."""
        nominal = cls.nominal(layout)
        points = np.concatenate([_in_bed(scan) for scan in scans])
        std_m = max(scan.std_m for scan in scans)
        together = not all(scan.rays for scan in scans)
        facing = [_facing(scans, nominal.walls[wall]) for wall in range(4)]
        fits = [_fit_wall(layout, wall, facing[wall], std_m, together) for wall in range(4)]
        likely = np.array([nominal.walls[i] if fit is None else fit for i, fit in enumerate(fits)])
        floor = _fit_floor(layout, likely, points, std_m)
        rim = _fit_rim(layout, likely, points, std_m, floor)
        lean = _usual_lean(fits)
        walls = [_wall_below_rim(layout, i, points, lean) if fit is None else fit for i, fit in enumerate(fits)]
        relief = np.array([_relief(layout, np.array(walls), wall, facing[wall]) for wall in range(4)])
        return replace(
            nominal,
            walls=np.array(walls),
            rim=rim,
            skin=relief[:, 0],
            liner=relief[:, 1],
            covered=_covered(layout, np.array(walls), rim, points),
            floor=np.full_like(nominal.floor, layout.lowest_m),
            floor_std_m=SEEN_STD_M * layout.scale,
            wall_std_m=np.array([UNSEEN_STD_M if fit is None else SEEN_STD_M for fit in fits]) * layout.scale,
        )

    def _aligned(self, scans: Sequence[PlacedScan]) -> list[PlacedScan]:
        """Each scan on this bed: sensors err apart from each other, and the bed that they show together is smeared."""
        engine, moved = self.engine(), []
        for scan in scans:
            std = np.array([scan.std_m] * 3 + [0.3 * scan.std_m] * 3)
            found = engine.find_bed(scan.xyz, scan.pose, std, scan.rays, min(3.0 * scan.std_m, self.layout.margin_m))
            moved.append(replace(scan, pose=found.pose))
        return moved

    def _filled(self, scans: Sequence[PlacedScan]) -> Engine:
        """An engine over this bed that holds the points of the scans."""
        engine = self.engine()
        for scan in scans:
            engine.add(scan.xyz, scan.pose, scan.rays)
        return engine

    def engine(self) -> Engine:
        """The C++ core over this bed."""
        layout = self.layout
        nx, ny = layout.shape
        return Engine(
            x0=-0.5 * nx * layout.cell_m,
            y0=-0.5 * ny * layout.cell_m,
            cell=layout.cell_m,
            nx=nx,
            ny=ny,
            z0=layout.lowest_m,
            dz=layout.level_m,
            nz=LEVELS,
            scale=layout.scale,
            walls=self.walls,
            rim=self.rim,
            wall_std=self.wall_std_m,
            skin=self.skin,
            liner=self.liner,
            covered=self.covered,
            floor=self.floor,
            fixtures=self.fixtures,
        )


def _levelled(bed: BedModel, scans: Sequence[PlacedScan]) -> list[PlacedScan]:
    """The scans moved so that the bed that they show stands level and centred, as far as the told pose allows.

    Wall tops tell height, roll and pitch; walls tell yaw and, at the floor, where nominal sides hold, the middle.
    """
    pose_m = max(scan.std_m for scan in scans)

    def believed(off: float, nominal_std: float, pose_std: float) -> float:
        return off * pose_std**2 / (pose_std**2 + nominal_std**2)

    seen = bed.wall_std_m < UNSEEN_STD_M * bed.layout.scale
    foot = bed.walls[:, 3] / bed.walls[(0, 1, 2, 3), (0, 0, 1, 1)]
    x, y = (float(foot[i : i + 2].mean()) if seen[i : i + 2].all() else 0.0 for i in (0, 2))
    slopes = bed.walls[(0, 1, 2, 3), (1, 1, 0, 0)] * np.array([1.0, -1.0, -1.0, 1.0])
    yaw = float(slopes[seen].mean()) if seen.any() else 0.0
    turn = rotation_from_rpy(
        -believed(float(bed.rim[2]), 0.003, 0.3 * pose_m),
        believed(float(bed.rim[1]), 0.003, 0.3 * pose_m),
        believed(yaw, 0.003, 0.3 * pose_m),
    )
    nominal_m = 0.005 * bed.layout.scale
    shift = -np.array([believed(off, nominal_m, pose_m) for off in (x, y, bed.rim[0] - bed.layout.height_m)])
    middle = np.array([x, y, bed.rim[0]])
    move = Pose(turn, middle + shift - turn @ middle).matrix()
    return [replace(scan, pose=move @ scan.pose) for scan in scans]


def _fixtures(bed: BedModel, occupied: NDArray[np.uint64], above_m: float) -> NDArray[np.uint64]:
    """Voxels where the empty bed holds something above a height, and those next to them; dust stands alone."""
    layout = bed.layout
    bits = np.unpackbits(occupied.astype("<u8").view(np.uint8).reshape(*occupied.shape, 8), axis=2, bitorder="little")
    bits[:, :, _levels_m(layout) < above_m] = 0
    company = _around(bits)
    grown = _around(bits * (company >= 4)) > 0
    packed = np.packbits(grown, axis=2, bitorder="little").view("<u8")[:, :, 0]
    return packed.astype(np.uint64)


def _levels_m(layout: Layout) -> NDArray[np.float64]:
    """Where each of the voxels in a column begins."""
    levels: NDArray[np.float64] = layout.lowest_m + layout.level_m * np.arange(LEVELS, dtype=np.float64)
    return levels


def _voxels_above(layout: Layout, above_m: float) -> np.uint64:
    """The bits of all voxels that begin above a height."""
    bits: np.uint64 = np.bitwise_or.reduce(
        np.uint64(1) << np.flatnonzero(_levels_m(layout) >= above_m).astype(np.uint64)
    )
    return bits


def _beside_walls(bed: BedModel) -> NDArray[np.bool_]:
    """The cells (ny, nx) that are near a wall at the height of its top."""
    layout = bed.layout
    x, y = np.meshgrid(*(layout.centres_m(cells) for cells in layout.shape))
    top = np.stack([x, y, np.full_like(x, bed.rim[0])], axis=-1)
    beside: NDArray[np.bool_] = (top @ bed.walls[:, :3].T - bed.walls[:, 3]).min(axis=-1) < EDGE_M * layout.scale
    return beside


def _around(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How many of the 27 voxels about each are set."""
    total = bits
    for axis in range(3):
        padded = np.pad(total, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        n = bits.shape[axis]
        total = padded.take(range(n), axis) + padded.take(range(1, n + 1), axis) + padded.take(range(2, n + 2), axis)
    return total


def is_return(xyz: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows (N,) of a scan (N, 3) are measurements, as the core counts them (cpp/src/geometry.hpp)."""
    sound: NDArray[np.bool_] = (np.abs(xyz) < 1e4).all(axis=1) & (xyz != 0).any(axis=1)
    return sound


def _in_bed(scan: PlacedScan) -> NDArray[np.float64]:
    """The returns (N, 3) of a scan in the bed frame."""
    returns: NDArray[np.float64] = (
        scan.xyz[is_return(scan.xyz)].astype(np.float64) @ scan.pose[:3, :3].T + scan.pose[:3, 3]
    )
    return returns


def _facing(scans: Sequence[PlacedScan], wall: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points (N, 3) of the scans that look at the wall's inner face; from behind a sensor sees the outer one."""
    facing = [_in_bed(s) for s in scans if not s.rays or wall[:3] @ s.pose[:3, 3] > wall[3]]
    return np.concatenate(facing) if facing else np.zeros((0, 3))


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


def _wall_coordinates(wall: int, points: Points) -> tuple[Points, Points, Points]:
    """Outward, along and z of points, so that all four walls are fitted alike."""
    sign = 1.0 if wall % 2 == 0 else -1.0
    outward, along = (0, 1) if wall < 2 else (1, 0)
    return sign * points[:, outward], points[:, along], points[:, 2]


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


def _near_wall(layout: Layout, wall: int, points: Points) -> tuple[Points, Points, Points]:
    """How far beyond the nominal wall, along it and how high the points are that may belong to it."""
    outward, along, z = _wall_coordinates(wall, points)
    side, across = (layout.length_m, layout.width_m) if wall < 2 else (layout.width_m, layout.length_m)
    near = (np.abs(outward - side / 2) < layout.margin_m) & (np.abs(along) < across / 2 - 0.15 * layout.scale)
    return outward[near] - side / 2, along[near], z[near]


def _fit_wall(layout: Layout, wall: int, points: Points, std_m: float, both_faces: bool) -> NDArray[np.float64] | None:
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


def _spans_wall(layout: Layout, wall: int, along: Points, z: Points) -> bool:
    """Whether points lie all over a wall's face, and not only on a wheel arch or on what else stands there."""
    across = layout.width_m if wall < 2 else layout.length_m
    bins = max(4, int(across / (0.15 * layout.scale)))
    filled = np.histogram(along, bins=bins, range=(-across / 2, across / 2))[0] > 0
    low, high = np.quantile(z, (0.05, 0.95))
    return bool(filled.mean() >= LEAST_SPAN and high - low >= LEAST_RISE * layout.height_m)


def _usual_lean(fits: Sequence[NDArray[np.float64] | None]) -> float:
    """How far a wall leans that was not seen: as those that were, for they are made alike."""
    leans = [float(fit[2] / np.linalg.norm(fit[:2])) for fit in fits if fit is not None]
    return (USUAL_LEAN + sum(leans)) / (1 + len(leans))


def _wall_below_rim(layout: Layout, wall: int, points: Points, lean: float) -> NDArray[np.float64]:
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


def _relief(layout: Layout, walls: NDArray[np.float64], wall: int, points: Points) -> tuple[float, float]:
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


def _outward_plane(layout: Layout, wall: int, beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """The plane of a wall given how far it lies beyond its nominal place: a + b along + c z."""
    side = layout.length_m if wall < 2 else layout.width_m
    return _plane(wall, beyond + np.array([side / 2, 0.0, 0.0]))


def _fit_floor(layout: Layout, walls: NDArray[np.float64], points: Points, std_m: float) -> NDArray[np.float64] | None:
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


def _fit_rim(
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


def _covered(layout: Layout, walls: NDArray[np.float64], rim: NDArray[np.float64], points: Points) -> NDArray[np.bool_]:
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


def _merged(a: Points, a_std: Points, b: Points, b_std: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two independent opinions as one, with its standard deviation."""
    weight = 1.0 / a_std**2 + 1.0 / b_std**2
    return (a / a_std**2 + b / b_std**2) / weight, 1.0 / np.sqrt(weight)
