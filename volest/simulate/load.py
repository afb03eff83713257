"""The load: shapes of heaps, bags and lumps as a height field over the bed's opening."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from volest.errors import SceneError
from volest.simulate.boards import boards, lay_boards
from volest.simulate.heaps import base_form
from volest.simulate.heightfield import HeightField
from volest.simulate.pile import Floats, correlated_noise, cover_with, scatter
from volest.simulate.scene import LoadScene

__all__ = ["Floats", "Opening", "envelope_m", "load_surface", "without_sunken"]


class Opening(Protocol):
    """What a load must know of the bed it lies in; all in metres in the bed frame."""

    @property
    def footprint_m(self) -> tuple[float, float, float, float]:
        """The opening at the wall tops: x0, x1, y0, y1."""

    wall_top_m: float
    headboard_m: float  # how far the front wall's headboard stands above the other wall tops
    half_x_m: float  # of the floor
    half_y_m: float

    def empty_m(self, x: Floats, y: Floats) -> Floats:
        """Height of the empty bed's inner surface, never above the wall tops."""

    def ground_m(self, x: Floats, y: Floats) -> Floats:
        """Height of what a thin layer lies on."""


RIM_SLOPE = math.tan(math.radians(70.0))  # bags and lumps at the rim stand no steeper


def load_surface(scene: LoadScene, bed: Opening, rng: np.random.Generator) -> HeightField | None:
    """The load's upper surface, a hole where there is none; None for an empty bed.

    The field is the load: truth is integrated over its triangles, and rays are cast at them.
    """
    if scene.kind == "none":
        return None
    x0, x1, y0, y1 = bed.footprint_m
    over = scene.overhang_m
    field = HeightField.over((x0, x1, y0 - over, y1 + over), scene.cell_m)
    x, y = field.nodes()
    if scene.kind in ("box", "wedge", "cone"):
        return field.with_heights(_closed_form(scene, bed, x, y))
    empty = np.where((y >= y0) & (y <= y1), bed.empty_m(x, y), bed.wall_top_m)
    if scene.kind == "carryback":
        layer, ground = _carryback(scene, bed, field, rng), bed.ground_m(x, y)
        z = _fit(lambda scale: np.where(layer > 0.0, ground + scale * layer, ground - 0.01), empty, field, bed, scene)
    else:
        shape = _shape(scene, field, rng)
        envelope = envelope_m(scene, bed, x, y)
        z = _fit(lambda lift: np.minimum(shape + lift, envelope), empty, field, bed, scene)
    return field.with_heights(without_sunken(z, empty))


def _fit(
    surface: Callable[[float], Floats], empty: Floats, field: HeightField, bed: Opening, scene: LoadScene
) -> Floats:
    """The surface of that parameter at which the load fills what the scene asks for, by bisection."""
    _, _, y0, y1 = bed.footprint_m
    _, y = field.nodes()
    inside = (y >= y0 - 1e-9) & (y <= y1 + 1e-9)
    struck = float(np.sum((bed.wall_top_m - empty) * inside))
    wanted = scene.fill_ratio * struck

    def filled(parameter: float) -> float:
        return float(np.sum(np.maximum(surface(parameter) - empty, 0.0) * inside))

    low, high = -10.0, 10.0
    if filled(high) < wanted:
        most = filled(high) / struck
        raise SceneError(
            f"load.fill_ratio: found {scene.fill_ratio}, expected at most {most:.2f} at this angle of repose"
        )
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if filled(middle) < wanted else (low, middle)
    return surface(high)


def without_sunken(z: Floats, empty: Floats) -> Floats:
    """NaN where the surface and all its neighbours lie inside the bed's floor and walls."""
    above = np.pad(z > empty, 2)
    near = np.zeros_like(z, dtype=bool)
    for j in range(5):
        for i in range(5):
            near |= above[j : j + z.shape[0], i : i + z.shape[1]]
    return np.where(near, z, np.nan)


def _closed_form(scene: LoadScene, bed: Opening, x: Floats, y: Floats) -> Floats:
    """Surfaces whose volume a formula gives."""
    x0, x1, y0, y1 = bed.footprint_m
    if scene.kind == "box":
        return np.full_like(x, scene.height_m)
    if scene.kind == "wedge":  # from nothing at the rear to height_m at the front
        return scene.height_m * (x - x0) / (x1 - x0)
    slope = math.tan(math.radians(scene.repose_deg))
    return scene.height_m - slope * np.hypot(x - (x0 + x1) / 2.0, y - (y0 + y1) / 2.0)


def _shape(scene: LoadScene, field: HeightField, rng: np.random.Generator) -> Floats:
    """Base form, bags (or boxes, or sheets), lumps and texture; its level is arbitrary."""
    z = base_form(scene, field, rng)
    if scene.kind in ("boxes", "sheets"):
        lay_boards(z, field, boards(rng, field, scene.bag_m or 0.6, scene.cover, thin=scene.kind == "sheets"), rng)
    elif scene.bag_m > 0.0:
        cover_with(z, field, scatter(rng, field, scene.bag_m, scene.cover, low=0.45, flat=(0.35, 0.8)), rng)
    if scene.lump_m > 0.0:
        cover_with(z, field, scatter(rng, field, scene.lump_m, scene.cover * 0.6, low=0.25, flat=(0.3, 1.0)), rng)
    if scene.roughness_m > 0.0:
        for length, share in ((0.25, 0.6), (0.08, 0.6), (0.03, 0.5)):
            z += correlated_noise(rng, field, length) * scene.roughness_m * share
    return z


def envelope_m(scene: LoadScene, bed: Opening, x: Floats, y: Floats) -> Floats:
    """The greatest height that stands: rising from the rims, and from the headboard's top where there is one."""
    x0, x1, y0, y1 = bed.footprint_m
    coarse = scene.bag_m > 0.0 or scene.lump_m > 0.0 or scene.kind in ("boxes", "sheets")
    slope = RIM_SLOPE if coarse else math.tan(math.radians(scene.repose_deg))
    front = x1 - x + bed.headboard_m / slope
    side = np.minimum(y1 - y, y - y0) + scene.overhang_m
    distance = np.minimum(np.minimum(front, x - x0), side)
    return bed.wall_top_m + slope * np.maximum(distance, 0.0)


def _carryback(scene: LoadScene, bed: Opening, field: HeightField, rng: np.random.Generator) -> Floats:
    """What stays after tipping, a thickness of arbitrary scale: patches, fillings along walls and in corners, lumps."""
    x, y = field.nodes()
    a, b = bed.half_x_m, bed.half_y_m
    patches = np.maximum(correlated_noise(rng, field, rng.uniform(0.15, 0.4)) - rng.uniform(0.0, 1.2), 0.0) * 0.04
    reach = rng.uniform(0.08, 0.3)
    to_side, to_front, to_rear = np.minimum(b - y, y + b), a - x, x + a
    fill = 0.08 * rng.uniform(0.0, 1.0, 3)
    along = sum(
        f * np.maximum(1.0 - np.maximum(d, 0.0) / reach, 0.0)
        for f, d in zip(fill, (to_side, to_front, to_rear), strict=True)
    )
    layer = patches + along * (0.7 + 0.3 * correlated_noise(rng, field, 0.2))
    lumps = np.zeros_like(x)
    cover_with(
        lumps, field, scatter(rng, field, scene.lump_m or 0.15, 0.08 * scene.cover, low=0.3, flat=(0.3, 0.9)), rng
    )
    on_floor = (np.abs(x) < a) & (np.abs(y) < b)
    layer = np.maximum(layer, 0.0) + lumps
    return np.where(on_floor & (layer > 0.002), layer, 0.0)
