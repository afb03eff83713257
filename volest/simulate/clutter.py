"""What hides a load or sticks out of it: a tarp over the bed, branches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.simulate.bedshape import BedShape
from volest.simulate.heightfield import HeightField
from volest.simulate.mesh import tube
from volest.simulate.pile import correlated_noise
from volest.simulate.scene import BranchScene, TarpScene

__all__ = ["branches", "tarp"]

Floats = NDArray[np.float64]
CELL_M = 0.03
CLEAR_M = 0.01  # of a sheet over what it lies on
WRINKLE_M = 0.25  # from one to the next
ROOT_M = 0.05  # of a branch, in the load


def tarp(scene: TarpScene, bed: BedShape, load: HeightField | None, rng: np.random.Generator) -> HeightField:
    """The sheet, from outer edge to outer edge of the walls."""
    x0, x1, y0, y1 = bed.footprint_m
    wall = bed.scene.wall_m
    field = HeightField.over((x0 - wall, x1 + wall, y0 - wall, y1 + wall), CELL_M)
    x, y = field.nodes()
    u = np.clip(np.abs(2.0 * x - x0 - x1) / (x1 - x0), 0.0, 1.0)
    v = np.clip(np.abs(2.0 * y - y0 - y1) / (y1 - y0), 0.0, 1.0)
    across = 1.0 - v if scene.shape == "ridge" else 1.0 - v * v
    raised = scene.rise_m * across * (1.0 - u**6)
    wrinkles = (
        scene.wrinkle_m * correlated_noise(rng, field, WRINKLE_M) * np.sqrt(np.clip(across * (1.0 - u), 0.0, 1.0))
    )
    z = bed.wall_top_m + CLEAR_M + raised + wrinkles
    below = bed.empty_m(x, y) if load is None else np.fmax(load.at(x, y), bed.empty_m(x, y))
    return field.with_heights(np.fmax(z, below + CLEAR_M))


def branches(scene: BranchScene, bed: BedShape, load: HeightField | None, rng: np.random.Generator) -> Floats:
    """Straight rods as triangles (T, 3, 3), rooted anywhere in the opening and leaning to any side."""
    x0, x1, y0, y1 = bed.footprint_m
    x, y, part, lean, turn = rng.uniform((x0, y0, 0.3, 0.0, 0.0), (x1, y1, 1.0, 1.2, 6.28), (scene.count, 5)).T
    empty = bed.empty_m(x, y)
    foot = np.column_stack([x, y, empty if load is None else np.fmax(load.at(x, y), empty)])
    way = np.column_stack([np.sin(lean) * np.cos(turn), np.sin(lean) * np.sin(turn), np.cos(lean)])
    ends = np.stack([foot - ROOT_M * way, foot + (part * scene.length_m)[:, None] * way], axis=1)
    return np.concatenate([np.zeros((0, 3, 3)), *(tube(path, scene.radius_m) for path in ends)])
