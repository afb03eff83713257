"""The empty bed as scans of it show it: where they lie, its walls and their tops, its floor and its fixtures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from volest._core import Engine
from volest.bed import LEVELS, SEEN_STD_M, UNSEEN_STD_M, BedModel, Layout, PlacedScan
from volest.pointcloud import is_return
from volest.pose import Pose, rotation_from_rpy
from volest.walls import covered_walls, fit_floor, fit_rim, fit_wall, refine_wall, relief_of, usual_lean, wall_below_rim

__all__ = ["bed_from_scans", "refined_bed"]

FLOOR_STD_M = 0.003  # of a floor that was seen, as a whole
COMPANY = 4  # of the 27 voxels about one, itself too, that hold something where a thing stands
LEAST_RELIEF_M = 0.1  # over the nominal floor
EDGE_M = 0.12  # how far below the wall tops their edges still return
INWARD_M, CLEAR_M = 0.15, 0.05  # points of a wall lie so far above the load that far before it


def bed_from_scans(layout: Layout, scans: Sequence[PlacedScan]) -> tuple[BedModel, Sequence[PlacedScan]]:
    """The bed that scans of the empty truck show, and the scans as they lie in it; the rest is nominal."""
    for _ in range(2):
        scans = _levelled(_with_walls(layout, scans), scans)
        if len(scans) > 1:
            scans = _aligned(_with_walls(layout, scans), scans)
    bed = _with_walls(layout, scans)
    # Loads will be put where they fit these walls best: so are the scans that show the floor.
    scans = _aligned(bed, scans)
    occupied = _filled(bed, scans).occupied
    fixtures = _fixtures(bed, occupied, bed.rim[0] + 0.03 * layout.scale)
    # What the edges of the wall tops return is no floor, though load may well lie there later.
    edges = _fixtures(bed, occupied, bed.rim[0] - EDGE_M * layout.scale)
    aloft = _voxels_above(layout, bed.rim[0] + 0.03 * layout.scale)
    dust = _lonely(bed, occupied, LEAST_RELIEF_M * layout.scale)
    floor_bed = replace(bed, fixtures=np.where(_beside_walls(bed), edges, fixtures) | aloft | dust)
    engine = _filled(floor_bed, scans)
    engine.finish(prior_height=0.0, prior_reach=0.15 * layout.scale)
    return replace(bed, floor=engine.height, fixtures=fixtures), scans


def refined_bed(bed: BedModel, scans: Sequence[PlacedScan], height: NDArray[np.floating]) -> BedModel:
    """A nominal bed with its walls where scans of a load show them above its surface (ny, nx) [m].

    Wall tops and floor stay nominal: the scans were put where they fit these tops, and a floor looks like a load.
    """
    layout = bed.layout
    walls, stds, moved = bed.walls.copy(), bed.wall_std_m.copy(), False
    placed = [(scan, _near_walls(layout, _in_bed(scan))) for scan in scans]
    for wall in range(4):
        facing = [points for scan, points in placed if _faces(scan, bed.walls[wall])]
        points = np.concatenate(facing) if facing else np.zeros((0, 3))
        before = points[:, :2] + INWARD_M * layout.scale * bed.walls[wall, :2]
        ix, iy = (np.floor(before / layout.cell_m + np.array(layout.shape) / 2.0)).astype(int).T
        inside = (ix >= 0) & (iy >= 0) & (ix < layout.shape[0]) & (iy < layout.shape[1])
        load = np.where(inside, height[np.where(inside, iy, 0), np.where(inside, ix, 0)], np.inf)
        clear = (points[:, 2] > load + CLEAR_M * layout.scale) & (points[:, 2] < 0.97 * layout.height_m)
        found = refine_wall(layout, wall, points[clear])
        if found is not None:
            walls[wall], stds[wall], moved = found, SEEN_STD_M * layout.scale, True
    return replace(bed, walls=walls, wall_std_m=stds) if moved else bed


def _with_walls(layout: Layout, scans: Sequence[PlacedScan]) -> BedModel:
    """Walls and wall tops as the scans show them, over a floor far below."""
    nominal = BedModel.nominal(layout)
    points = np.concatenate([_in_bed(scan) for scan in scans])
    std_m = max(scan.std_m for scan in scans)
    together = not all(scan.rays for scan in scans)
    facing = [_facing(scans, nominal.walls[wall]) for wall in range(4)]
    fits = [fit_wall(layout, wall, facing[wall], std_m, together) for wall in range(4)]
    likely = np.array([nominal.walls[i] if fit is None else fit for i, fit in enumerate(fits)])
    floor = fit_floor(layout, likely, points, std_m)
    rim = fit_rim(layout, likely, points, std_m, floor)
    lean = usual_lean(fits)
    walls = [wall_below_rim(layout, i, points, lean) if fit is None else fit for i, fit in enumerate(fits)]
    relief = np.array([relief_of(layout, np.array(walls), wall, facing[wall]) for wall in range(4)])
    return replace(
        nominal,
        walls=np.array(walls),
        rim=rim,
        skin=relief[:, 0],
        liner=relief[:, 1],
        covered=covered_walls(layout, np.array(walls), rim, points),
        floor=np.full_like(nominal.floor, layout.lowest_m),
        floor_std_m=FLOOR_STD_M * layout.scale,
        wall_std_m=np.array([UNSEEN_STD_M if fit is None else SEEN_STD_M for fit in fits]) * layout.scale,
    )


def _aligned(bed: BedModel, scans: Sequence[PlacedScan]) -> list[PlacedScan]:
    """Each scan on this bed: sensors err apart from each other, and the bed that they show together is smeared."""
    engine, moved = bed.engine(), []
    for scan in scans:
        std = np.array([scan.std_m] * 3 + [0.3 * scan.std_m] * 3)
        found = engine.find_bed(scan.xyz, scan.pose, std, scan.rays, min(3.0 * scan.std_m, bed.layout.margin_m))
        moved.append(replace(scan, pose=found.pose))
    return moved


def _filled(bed: BedModel, scans: Sequence[PlacedScan]) -> Engine:
    """An engine over this bed that holds the points of the scans."""
    engine = bed.engine()
    for scan in scans:
        engine.add(scan.xyz, scan.pose, scan.rays)
    return engine


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
    bits = _bits(occupied)
    bits[:, :, _levels_m(bed.layout) < above_m] = 0
    return _packed((_around(bits * (_around(bits) >= COMPANY)) > 0).astype(np.uint8))


def _lonely(bed: BedModel, occupied: NDArray[np.uint64], above_m: float) -> NDArray[np.uint64]:
    """Voxels above a height that hold something next to which there is nothing: where no floor was seen, dust is."""
    bits = _bits(occupied)
    bits *= _around(bits) < COMPANY
    bits[:, :, _levels_m(bed.layout) < above_m] = 0
    return _packed(bits)


def _bits(masks: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The bits (ny, nx, 64) of masks (ny, nx)."""
    whole = masks.astype("<u8").view(np.uint8).reshape(*masks.shape, 8)
    return np.unpackbits(whole, axis=2, bitorder="little")


def _packed(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The masks (ny, nx) of bits (ny, nx, 64)."""
    return np.packbits(bits, axis=2, bitorder="little").view("<u8")[:, :, 0].astype(np.uint64)


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


def _in_bed(scan: PlacedScan) -> NDArray[np.float64]:
    """The returns (N, 3) of a scan in the bed frame."""
    returns: NDArray[np.float64] = (
        scan.xyz[is_return(scan.xyz)].astype(np.float64) @ scan.pose[:3, :3].T + scan.pose[:3, 3]
    )
    return returns


def _near_walls(layout: Layout, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of the points (N, 3) that lie near the nominal walls."""
    size = np.abs(points[:, :2]) - np.array([layout.length_m, layout.width_m]) / 2.0
    near: NDArray[np.float64] = points[np.abs(size.max(axis=1)) < layout.margin_m]
    return near


def _facing(scans: Sequence[PlacedScan], wall: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points (N, 3) of the scans that look at the wall's inner face; from behind a sensor sees the outer one."""
    facing = [_in_bed(s) for s in scans if _faces(s, wall)]
    return np.concatenate(facing) if facing else np.zeros((0, 3))


def _faces(scan: PlacedScan, wall: NDArray[np.float64]) -> bool:
    """Whether a scan may show the inner face of a wall."""
    return not scan.rays or bool(wall[:3] @ scan.pose[:3, 3] > wall[3])
