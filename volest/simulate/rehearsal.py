"""Loads scanned in a bed that was measured, by the rays that measured it.

A scan of the empty bed tells where each ray of the sensor goes and what it meets there: walls, ribs, cab, ground. A
load only shortens the rays that it stands in, so that is all that has to be simulated; the surroundings are as they
really are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from volest.bed import BedModel, PlacedScan
from volest.errors import SceneError
from volest.pointcloud import is_return
from volest.pose import Pose, rotation_from_rpy
from volest.schema import convert
from volest.simulate.heightfield import HeightField
from volest.simulate.load import load_surface
from volest.simulate.raycast import Mesh, cast
from volest.simulate.scene import LoadScene
from volest.simulate.variety import LOADS, choose, random_load

__all__ = ["MeasuredBed", "Rehearsal", "View", "rehearse"]

Floats = NDArray[np.float64]
NOTHING = Mesh(np.zeros((0, 3, 3)), np.zeros(0, dtype=np.int32))
EDGE_STEP_M = 0.05  # neighbours further apart than this stand on two sides of an edge
REFLECTANCE, REFERENCE_RANGE_M = 0.25, 5.0
TRUTH_STEP_M = 0.01
MOST_TRIES = 20  # to draw a load that can lie in the bed


class MeasuredBed:
    """The inner surface of a bed model as the generator of loads and the integral of the truth see it."""

    def __init__(self, bed: BedModel) -> None:
        self.model = bed
        layout = bed.layout
        self.wall_top_m = float(bed.rim[0])
        self.headboard_m = 0.0
        # Ribs and bulges are taken off as the integral of an estimate does: on average.
        self._offsets = bed.walls[:, 3] + bed.liner
        feet = np.abs(self._crossings(0.0))
        self.half_x_m, self.half_y_m = float(feet[:2].mean()), float(feet[2:].mean())
        nx, ny = layout.shape
        x, y = layout.centres_m(nx), layout.centres_m(ny)
        self._floor = HeightField(
            float(x[0]), float(y[0]), layout.cell_m, layout.cell_m, np.ascontiguousarray(bed.floor, dtype=np.float64)
        )

    def _crossings(self, z_m: float) -> Floats:
        """Where each wall's middle stands at a height: x of front and rear, y of left and right."""
        walls = self.model.walls
        axis = np.array([0, 0, 1, 1])
        crossings: Floats = (self._offsets - walls[:, 2] * z_m) / walls[(0, 1, 2, 3), axis]
        return crossings

    @cached_property
    def footprint_m(self) -> tuple[float, float, float, float]:
        """The opening at the wall tops: x0, x1, y0, y1."""
        front, rear, left, right = (float(v) for v in self._crossings(self.wall_top_m))
        return rear, front, right, left

    def ground_m(self, x: Floats, y: Floats) -> Floats:
        """Height of the floor, arches included."""
        return np.nan_to_num(self._floor.at(x, y), nan=self.model.layout.lowest_m)

    def empty_m(self, x: Floats, y: Floats) -> Floats:
        """Height of floor and walls, never above the wall tops."""
        z = self.ground_m(x, y)
        for wall, offset in zip(self.model.walls, self._offsets, strict=True):
            outside = offset - wall[0] * x - wall[1] * y  # > 0 where the wall stands, at height 0
            lean = max(float(wall[2]), 1e-3)
            z = np.maximum(z, np.where(outside > 0.0, outside / lean, -np.inf))
        return np.minimum(z, self.wall_top_m)

    @cached_property
    def _midpoints(self) -> tuple[Floats, Floats, Floats, float]:
        """Places (ny, nx) over the opening, the empty bed's height there, and the area of each."""
        x0, x1, y0, y1 = self.footprint_m
        nx, ny = (int(np.ceil((b - a) / TRUTH_STEP_M)) for a, b in ((x0, x1), (y0, y1)))
        x, y = np.meshgrid(x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx, y0 + (np.arange(ny) + 0.5) * (y1 - y0) / ny)
        return x, y, self.empty_m(x, y), (x1 - x0) / nx * (y1 - y0) / ny

    @property
    def struck_m3(self) -> float:
        """Capacity up to the wall tops."""
        _, _, empty, area = self._midpoints
        return float(np.sum(self.wall_top_m - empty) * area)

    def volume_m3(self, load: HeightField) -> float:
        """Between a load's surface and the empty bed."""
        x, y, empty, area = self._midpoints
        return float(np.sum(np.fmax(load.at(x, y) - empty, 0.0)) * area)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one sensor saw of the empty bed: where its rays go, and how far."""

    pose: Floats  # (4, 4) T_bed_sensor, as found in the bed
    directions: Floats  # (N, 3) unit vectors, sensor frame
    range_m: Floats  # (N,)
    range_noise_m: float
    pose_std: tuple[float, float]  # m along and rad about each of the sensor's axes: how well the pose is told

    @classmethod
    def of(cls, scan: PlacedScan, range_noise_m: float, pose_std: tuple[float, float]) -> View:
        """The view of a scan of the empty bed whose points are rays from its sensor."""
        xyz = scan.xyz[is_return(scan.xyz)].astype(np.float64)
        range_m = np.linalg.norm(xyz, axis=1)
        return cls(scan.pose, xyz / range_m[:, None], range_m, range_noise_m, pose_std)


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """One simulated load in the measured bed: a scan and a told pose a view, and the truth."""

    kind: str
    scans: tuple[NDArray[np.float32], ...]  # (N, 3) m, sensor frame
    told: tuple[Pose, ...]
    load: HeightField | None
    volume_m3: float


def rehearse(bed: MeasuredBed, views: tuple[View, ...], rng: np.random.Generator) -> Rehearsal:
    """A load drawn at random, scanned from each view with fresh noise; the told poses err as the truck file says.

    Raises SceneError when no load that was drawn can lie in this bed.
    """
    kind, load = _draw_load(bed, rng)
    wet = rng.uniform(0.4, 1.0)
    scans = tuple(_scan(view, load, wet, rng) for view in views)
    told = tuple(_told(view, rng) for view in views)
    return Rehearsal(kind, scans, told, load, 0.0 if load is None else bed.volume_m3(load))


def _draw_load(bed: MeasuredBed, rng: np.random.Generator) -> tuple[str, HeightField | None]:
    layout = bed.model.layout
    for _ in range(MOST_TRIES):
        kind = choose(rng, LOADS)
        table = random_load(rng, kind, layout.length_m, layout.width_m, layout.height_m)
        scene = convert({**table, "cell_m": 0.02 * layout.scale, "overhang_m": 0.0}, LoadScene)
        try:
            return kind, load_surface(scene, bed, rng)
        except SceneError:  # too steep a heap for its volume
            continue
    raise SceneError(f"bed {layout.length_m:g} x {layout.width_m:g} x {layout.height_m:g} m: no load can lie in it")


def _scan(view: View, load: HeightField | None, wet: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """What the view's sensor returns over a load."""
    range_m = view.range_m.copy()
    if load is not None:
        _shorten(range_m, view, load, wet, rng)
    noise = rng.standard_normal(len(range_m)) * view.range_noise_m
    kept = rng.random(len(range_m)) >= rng.uniform(0.0, 0.02)
    range_m = range_m + noise
    dust = rng.random(len(range_m)) < (rng.uniform(0.0, 0.004) if rng.random() < 0.85 else rng.uniform(0.004, 0.02))
    range_m[dust] *= rng.uniform(0.15, 1.0, int(dust.sum()))
    kept &= range_m > 0.0
    return (view.directions[kept] * range_m[kept, None]).astype(np.float32)


def _shorten(range_m: Floats, view: View, load: HeightField, wet: float, rng: np.random.Generator) -> None:
    """Let rays end at the load, in place; 0 where too little light comes back."""
    rotation, origin = view.pose[:3, :3], view.pose[:3, 3]
    centre = cast([(load, 1)], NOTHING, origin, view.directions @ rotation.T)
    beam = np.radians(rng.uniform(0.05, 0.4))
    # Where a beam has some width, a part of it may meet another surface.
    aside = view.directions + rng.uniform(-0.5, 0.5, view.directions.shape) * beam
    aside /= np.linalg.norm(aside, axis=1)[:, None]
    other = cast([(load, 1)], NOTHING, origin, aside @ rotation.T)
    met, beside = np.minimum(centre.range_m, range_m), np.minimum(other.range_m, range_m)
    straddles = (np.abs(met - beside) > EDGE_STEP_M) & (np.abs(met - beside) < rng.uniform(0.4, 3.0))
    share = rng.uniform(0.0, 0.5, len(met))
    on_load = centre.range_m < range_m
    signal = REFLECTANCE * wet * centre.cosine * (REFERENCE_RANGE_M / np.maximum(met, 0.5)) ** 2
    faint = rng.uniform(0.003, 0.03)
    lost = on_load & (rng.random(len(met)) < 1.0 / (1.0 + (signal / faint) ** 2))
    range_m[:] = np.where(lost, 0.0, np.where(straddles, met + share * (beside - met), met))


def _told(view: View, rng: np.random.Generator) -> Pose:
    """The pose that a truck file might tell of a sensor that is where the view's is."""
    true = Pose(view.pose[:3, :3], view.pose[:3, 3])
    turn = rotation_from_rpy(*(rng.standard_normal(3) * view.pose_std[1]).tolist())
    return Pose(true.rotation @ turn, true.translation + rng.standard_normal(3) * view.pose_std[0])
