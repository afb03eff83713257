"""A bed with its surroundings and a load, ready for rays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.pose import Pose
from volest.simulate import surroundings
from volest.simulate.bedshape import BedShape
from volest.simulate.heightfield import HeightField
from volest.simulate.parts import Part
from volest.simulate.pile import correlated_noise
from volest.simulate.raycast import Hits, Mesh, cast
from volest.simulate.scene import MaterialScene, Scene, SensorScene
from volest.simulate.sensor import in_view

__all__ = ["World", "reflectance", "visible_fraction"]

Floats = NDArray[np.float64]
VISIBLE_CELL_M = 0.05
DARKENING = 0.6  # of what is wet: light stays longer in it (Lekner and Dorf, Applied Optics 27, 1988: 0.3 to 0.7)
WATER_INDEX = 1.328


class World:
    """A bed with its surroundings and a load, ready for rays."""

    def __init__(
        self,
        bed: BedShape,
        load: HeightField | None,
        tarp: HeightField | None = None,
        branches: Floats | None = None,
        shell: Mesh | None = None,
    ) -> None:
        self.bed, self.load = bed, load
        self._patches: dict[tuple[int, MaterialScene], tuple[HeightField, HeightField | None]] = {}
        self._bare = shell or (_shell(bed) if branches is None else None)
        self.mesh = self._bare or _shell(bed, branches)
        above = [(load, int(Part.LOAD)), (tarp, int(Part.TARP))]
        self.fields = [(bed.floor, int(Part.FLOOR)), *((field, part) for field, part in above if field is not None)]

    def unloaded(self) -> World:
        """The same without its load, and without what covers it or sticks out of it."""
        return World(self.bed, None, shell=self._bare)

    def loaded(self, load: HeightField | None) -> World:
        """The same bed with another load, and nothing that covers it or sticks out of it."""
        return World(self.bed, load, shell=self._bare)

    def patches(self, seed: int, material: MaterialScene) -> tuple[HeightField, HeightField | None]:
        """The load's reflectance while dry, and where it is wet (> 0), each over its places; None: evenly."""
        assert self.load is not None
        key = (seed, material)
        if key not in self._patches:
            rng = np.random.default_rng([seed, 9])
            light = self.load.with_heights(0.25 * np.exp(0.6 * correlated_noise(rng, self.load, 0.2)))
            wet = None
            if material.wet_patch_m > 0.0:
                depth = correlated_noise(rng, self.load, material.wet_patch_m)
                wet = self.load.with_heights(depth - np.quantile(depth, 1.0 - material.wet_mass_fraction))
            self._patches = {key: (light, wet)}
        return self._patches[key]

    def cast(self, origins: Floats, directions: Floats) -> Hits:
        """First hits of rays in the bed frame."""
        return cast(self.fields, self.mesh, origins, directions)


def _shell(bed: BedShape, branches: Floats | None = None) -> Mesh:
    """All that is made of triangles."""
    cab, ground = surroundings.cab_and_ground(bed)
    pieces = [
        (bed.inner_triangles(), Part.WALL),
        (surroundings.rims(bed), Part.RIM),
        (surroundings.outside(bed), Part.OUTSIDE),
        (surroundings.fittings(bed), Part.FITTING),
        (cab, Part.CAB),
        (ground, Part.GROUND),
        *([] if branches is None else [(branches, Part.BRANCH)]),
    ]
    numbers = [np.full(len(triangles), part, dtype=np.int32) for triangles, part in pieces]
    return Mesh(np.concatenate([triangles for triangles, _ in pieces]), np.concatenate(numbers))


def reflectance(world: World, scene: Scene, hits: Hits, origins: Floats, directions: Floats) -> Floats:
    """The share of light that what rays (N, 3) met sends back: painted steel; waste in patches, darker where wet."""
    of_part = np.zeros(len(Part))
    for part, value in ((Part.FLOOR, 0.35), (Part.WALL, 0.35), (Part.RIM, 0.4), (Part.OUTSIDE, 0.4)):
        of_part[part] = value
    of_part[Part.CAB], of_part[Part.GROUND], of_part[Part.FITTING] = 0.5, 0.2, 0.3
    of_part[Part.TARP], of_part[Part.BRANCH] = 0.4, 0.25
    values: Floats = of_part[hits.part]
    rained = scene.weather is not None and scene.weather.rain_mm_h > 0.0
    if world.load is not None:
        on_load = np.flatnonzero(hits.part == Part.LOAD)
        begin = origins if origins.ndim == 1 else origins[on_load]
        x, y, _ = (begin + directions[on_load] * hits.range_m[on_load, None]).T
        light, wet_patches = world.patches(scene.seed, scene.material)
        values[on_load] = np.nan_to_num(light.at(x, y), nan=0.25)
        if wet_patches is None:
            values[on_load] *= 1.0 - DARKENING * (1.0 if rained else scene.material.wet_mass_fraction)
        else:
            wet = rained | (np.nan_to_num(wet_patches.at(x, y), nan=-1.0) > 0.0)
            values[on_load] *= np.where(wet, (1.0 - DARKENING) * _through_film(hits.cosine[on_load]), 1.0)
        if scene.material.facets_deg > 0.0:
            values[on_load] *= from_facets(hits.cosine[on_load], scene.material.facets_deg)
    if rained:
        values *= _through_film(hits.cosine)
    return values


def from_facets(cosine: Floats, facets_deg: float) -> Floats:
    """What a surface of facets sends back the way it came, over what Lambert's law has at that angle of incidence.

    Oren and Nayar, *Generalization of Lambert's reflectance model*, SIGGRAPH 1994 (their qualitative model): at a
    glance the facets that face the sensor shine, and hide those that do not. They find 30 degrees for plaster and 35
    for sand.
    """
    slant = np.sqrt(np.clip(1.0 - cosine * cosine, 0.0, 1.0))
    variance = np.radians(facets_deg) ** 2
    facing, glancing = 1.0 - 0.5 * variance / (variance + 0.33), 0.45 * variance / (variance + 0.09)
    factor: Floats = facing + glancing * slant * slant / np.maximum(cosine, 1e-3)
    return factor


def _through_film(cosine: Floats) -> Floats:
    """What a film of water lets through of light that comes in and goes out at this angle, over what it does upright.

    Fresnel's equations, unpolarised, for an index of 1.328 (Hale and Querry, Applied Optics 12, 1973, at 0.9 um).
    """

    def passed(c: Floats) -> Floats:
        within = np.sqrt(1.0 - (1.0 - c * c) / WATER_INDEX**2)
        across = ((c - WATER_INDEX * within) / (c + WATER_INDEX * within)) ** 2
        along = ((WATER_INDEX * c - within) / (WATER_INDEX * c + within)) ** 2
        return 1.0 - 0.5 * (across + along)

    upright: Floats = passed(np.ones(1))
    return (passed(np.clip(cosine, 0.0, 1.0)) / upright) ** 2


def visible_fraction(world: World, sensors: tuple[SensorScene, ...], poses: dict[str, Pose]) -> float:
    """Part of the opening, in 5 cm cells, whose upper surface some sensor has in view and in line of sight."""
    x0, x1, y0, y1 = world.bed.footprint_m
    nx, ny = max(1, round((x1 - x0) / VISIBLE_CELL_M)), max(1, round((y1 - y0) / VISIBLE_CELL_M))
    x, y = np.meshgrid(x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx, y0 + (np.arange(ny) + 0.5) * (y1 - y0) / ny)
    empty = world.bed.empty_m(x, y)
    top = empty if world.load is None else np.fmax(world.load.at(x, y), empty)
    cells = np.column_stack([x.ravel(), y.ravel(), top.ravel()])
    seen = np.zeros(len(cells), dtype=bool)
    for sensor in sensors:
        pose = poses[sensor.id]
        start = _seen_from(sensor, pose, cells)
        sight = cells - start
        distance = np.linalg.norm(sight, axis=1)
        sight /= distance[:, None]
        met = world.cast(start, sight).range_m
        seen |= in_view(sensor, sight @ pose.rotation) & (met > distance - 0.01)
    return float(seen.mean())


def _seen_from(sensor: SensorScene, pose: Pose, cells: Floats) -> Floats:
    """Where a sensor is (3,), or a moving line (N, 3), when it sees cells (N, 3)."""
    if sensor.pattern != "line" or sensor.motion is None:
        return pose.translation
    velocity, across = pose.rotation @ np.array(sensor.motion.velocity_m_s), pose.rotation[:, 2]
    if velocity @ across == 0.0:
        return pose.translation
    half_s = sensor.frames / (2.0 * sensor.rate_hz)
    when = np.clip((cells - pose.translation) @ across / (velocity @ across), -half_s, half_s)
    start: Floats = pose.translation + when[:, None] * velocity
    return start
