"""Bodies with flat tops and upright sides: boxes and crates, and sheets and boards that lie aslant."""

from __future__ import annotations

import numpy as np

from volest.simulate.heightfield import HeightField
from volest.simulate.pile import Floats, window

__all__ = ["boards", "lay_boards"]

MOST_SLOPE = 0.5  # of a board that leans on what lies below


def boards(rng: np.random.Generator, field: HeightField, greatest_m: float, cover: float, thin: bool) -> Floats:
    """Bodies (K, 7): x, y, half length, half width, height, turn, slope; their areas add up to `cover` of the field.

    Thin ones are sheets and boards of 3 to 40 mm; the others boxes, 0.4 to 1 times as high as they are wide.
    """
    ny, nx = field.z_m.shape
    length_m, width_m = (nx - 1) * field.dx_m, (ny - 1) * field.dy_m
    count = int(cover * length_m * width_m / (0.35 * greatest_m**2)) + 1
    length = greatest_m * rng.uniform(0.5, 1.0, count)
    width = length * rng.uniform(0.4, 1.0, count)
    height = rng.uniform(0.003, 0.04, count) if thin else width * rng.uniform(0.4, 1.0, count)
    x = field.x0_m + rng.uniform(0.0, 1.0, count) * length_m
    y = field.y0_m + rng.uniform(0.0, 1.0, count) * width_m
    slope = rng.uniform(-MOST_SLOPE, MOST_SLOPE, count) * (1.0 if thin else 0.3)
    return np.column_stack([x, y, length / 2.0, width / 2.0, height, rng.uniform(0.0, np.pi, count), slope])


def lay_boards(z: Floats, field: HeightField, bodies: Floats, rng: np.random.Generator) -> None:
    """Lay bodies one after the other on the surface z (ny, nx), in place.

    Each rests on the highest place under it and leans along its length by its own slope; what is under it counts as the
    load's, for a load is what lies below its surface seen from above.
    """
    rests = rng.uniform(0.6, 1.0, len(bodies))  # of the ground's heights below; the rest has given way
    for (cx, cy, a, b, height, turn, slope), rest in zip(bodies, rests, strict=True):
        rows, columns = window(z.shape, field, cx, cy, float(np.hypot(a, b)))
        x = field.x0_m + field.dx_m * np.arange(columns.start, columns.stop)[None, :] - cx
        y = field.y0_m + field.dy_m * np.arange(rows.start, rows.stop)[:, None] - cy
        along, aside = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        inside = (np.abs(along) <= a) & (np.abs(aside) <= b)
        if inside.any():
            bottom = slope * along
            under = z[rows, columns]
            bottom += np.quantile((under - bottom)[inside], rest)
            z[rows, columns] = np.where(inside, np.maximum(under, bottom + height), under)
