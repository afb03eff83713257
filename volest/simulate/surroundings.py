"""What stands around the bed's inside: rims, outer walls, headboard, cab, hoops, tarp roll, stakes and the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.simulate.bedshape import BedShape
from volest.simulate.mesh import box, quad, sheet, tube

__all__ = ["cab_and_ground", "fittings", "outside", "rims"]

Floats = NDArray[np.float64]
CAB_ROOF_ABOVE_GROUND_M = 2.45
GROUND_REACH_M = 25.0


def rims(bed: BedShape) -> Floats:
    """The flat tops of the four walls and, where there is one, the headboard."""
    x0, x1, y0, y1 = bed.footprint_m
    t, z = bed.scene.wall_m, bed.wall_top_m
    strips = [(x0 - t, x0, y0 - t, y1 + t), (x1, x1 + t, y0 - t, y1 + t), (x0, x1, y0 - t, y0), (x0, x1, y1, y1 + t)]
    parts = [quad((a, c, z), (b, c, z), (b, d, z), (a, d, z)) for a, b, c, d in strips]
    if bed.scene.headboard_m > 0.0:
        parts.append(box((x1, y0 - t, z - 0.1), (x1 + t, y1 + t, z + bed.scene.headboard_m)))
    return np.concatenate(parts)


def outside(bed: BedShape) -> Floats:
    """Outer faces of the walls and the underside."""
    x0, x1, y0, y1 = bed.footprint_m
    a, b, t = bed.half_x_m, bed.half_y_m, bed.scene.wall_m
    levels = [((-a, a, -b, b), -0.15), ((-a, a, -b, b), 0.0), ((x0, x1, y0, y1), bed.wall_top_m)]
    rings = []
    for (xa, xb, ya, yb), z in levels:
        corners = [(xa - t, ya - t), (xb + t, ya - t), (xb + t, yb + t), (xa - t, yb + t), (xa - t, ya - t)]
        rings.append([(x, y, z) for x, y in corners])
    return np.concatenate([sheet(np.array(rings)), quad(*rings[0][:4])])


def cab_and_ground(bed: BedShape) -> tuple[Floats, Floats]:
    """The cab in front of the bed, and the ground."""
    ground = -bed.scene.floor_above_ground_m
    r = GROUND_REACH_M
    plane = quad((-r, -r, ground), (r, -r, ground), (r, r, ground), (-r, r, ground))
    if not bed.scene.cab:
        return np.zeros((0, 3, 3)), plane
    x = bed.footprint_m[1] + bed.scene.wall_m + 0.15
    roof = ground + CAB_ROOF_ABOVE_GROUND_M
    return box((x, -bed.half_y_m, ground + 0.5), (x + 1.7, bed.half_y_m, roof)), plane


def fittings(bed: BedShape) -> Floats:
    """Hoops across the top, a rolled tarp on a rim, stakes on the side rims."""
    x0, x1, y0, y1 = bed.footprint_m
    scene, top, half_rim = bed.scene, bed.wall_top_m, bed.scene.wall_m / 2.0
    parts: list[Floats] = [np.zeros((0, 3, 3))]
    angles = np.linspace(0.0, np.pi, 15)
    for x in np.linspace(x0, x1, scene.bows + 2)[1:-1]:
        y = (y0 + y1) / 2.0 - ((y1 - y0) / 2.0 + half_rim) * np.cos(angles)
        z = top + scene.bow_rise_m * np.sin(angles) ** 0.6
        parts.append(tube(np.column_stack([np.full(15, x), y, z]), 0.017))
    if scene.tarp_roll:
        fixed = {"front": x1 + half_rim, "rear": x0 - half_rim, "left": y1 + half_rim, "right": y0 - half_rim}[
            scene.tarp_roll
        ]
        height = top + 0.08 + (scene.headboard_m if scene.tarp_roll == "front" else 0.0)
        ends = [(fixed, y0), (fixed, y1)] if scene.tarp_roll in ("front", "rear") else [(x0, fixed), (x1, fixed)]
        parts.append(tube(np.array([(x, y, height) for x, y in ends]), 0.08, sides=10))
    for k in range(scene.stakes):
        at_x = x0 + (x1 - x0) * (k // 2 + 0.5) / ((scene.stakes + 1) // 2)
        at_y = y1 + half_rim if k % 2 == 0 else y0 - half_rim
        w = min(0.03, half_rim)
        parts.append(box((at_x - w, at_y - w, top - 0.1), (at_x + w, at_y + w, top + 0.35)))
    return np.concatenate(parts)
