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
from volest.simulate.scene import Scene, SensorScene
from volest.simulate.sensor import in_view

__all__ = ["World", "reflectance", "visible_fraction"]

Floats = NDArray[np.float64]
VISIBLE_CELL_M = 0.05


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


def reflectance(world: World, scene: Scene, hits: Hits, places: Floats) -> Floats:
    """Share of light that each hit place sends back: painted steel; waste in dark and bright patches, darker if wet."""
    of_part = np.zeros(len(Part))
    for part, value in ((Part.FLOOR, 0.35), (Part.WALL, 0.35), (Part.RIM, 0.4), (Part.OUTSIDE, 0.4)):
        of_part[part] = value
    of_part[Part.CAB], of_part[Part.GROUND], of_part[Part.FITTING] = 0.5, 0.2, 0.3
    of_part[Part.TARP], of_part[Part.BRANCH] = 0.4, 0.25
    values: Floats = of_part[hits.part]
    if world.load is None:
        return values
    patch_rng = np.random.default_rng([scene.seed, 9])
    patches = world.load.with_heights(0.25 * np.exp(0.6 * correlated_noise(patch_rng, world.load, 0.2)))
    on_load = hits.part == Part.LOAD
    values[on_load] = np.nan_to_num(patches.at(places[on_load, 0], places[on_load, 1]), nan=0.25)
    values[on_load] *= 1.0 - 0.6 * scene.material.wet_mass_fraction
    return values


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
        sight = cells - pose.translation
        distance = np.linalg.norm(sight, axis=1)
        sight /= distance[:, None]
        met = world.cast(pose.translation, sight).range_m
        seen |= in_view(sensor, sight @ pose.rotation) & (met > distance - 0.01)
    return float(seen.mean())
