"""What a scene's true volume is: the integral between the load's triangles and the empty bed, over the opening."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from volest.simulate.bedshape import BedShape
from volest.simulate.heightfield import HeightField

__all__ = ["Gauge", "Volume", "integrate"]

Floats = NDArray[np.float64]
STEP_M = 0.005
LEAST_STEPS = 16  # between two steps or kinks of the bed, however near


@dataclass(frozen=True, slots=True)
class Volume:
    """Volumes as the contract defines them, and how far the integral moves on a grid 1.5 times as coarse."""

    volume_m3: float
    struck_capacity_m3: float
    heaped_m3: float
    overhang_m3: float
    centroid_m: tuple[float, float, float] | None
    numeric_error_m3: float = 0.0


class Gauge:
    """Measures loads in one bed, whose own heights are taken once."""

    def __init__(self, bed: BedShape, step_m: float = STEP_M) -> None:
        breaks_x, breaks_y = bed.breaks_m()
        x, wx = _midpoints(breaks_x, step_m)
        y, wy = _midpoints(breaks_y, step_m)
        self._bed, self._step_m = bed, step_m
        self._x, self._y = np.meshgrid(x, y)
        self._area = wy[:, None] * wx[None, :]
        self._empty = bed.empty_m(self._x, self._y)
        self.struck_m3 = float(np.sum((bed.wall_top_m - self._empty) * self._area))

    def measure(self, load: HeightField | None) -> Volume:
        """The load's volumes, without a numeric error."""
        if load is None:
            return Volume(0.0, self.struck_m3, 0.0, 0.0, None)
        top = np.fmax(load.at(self._x, self._y), self._empty)
        part = (top - self._empty) * self._area
        volume = float(part.sum())
        heaped = float(np.sum(np.maximum(top - self._bed.wall_top_m, 0.0) * self._area))
        moments = [float(np.sum(part * q)) for q in (self._x, self._y, 0.5 * (top + self._empty))]
        centroid = (moments[0] / volume, moments[1] / volume, moments[2] / volume) if volume > 0.0 else None
        return Volume(volume, self.struck_m3, heaped, _overhang(self._bed, load, self._step_m), centroid)


def integrate(bed: BedShape, load: HeightField | None, step_m: float = STEP_M) -> Volume:
    """Volumes on a grid of about `step_m` (midpoint rule), denser between near steps of the bed."""
    fine, coarse = (Gauge(bed, step).measure(load) for step in (step_m, 1.5 * step_m))
    return Volume(
        fine.volume_m3,
        fine.struck_capacity_m3,
        fine.heaped_m3,
        fine.overhang_m3,
        fine.centroid_m,
        abs(fine.volume_m3 - coarse.volume_m3),
    )


def _overhang(bed: BedShape, load: HeightField, step_m: float) -> float:
    """Volume over the wall tops outside of the opening; the load's field reaches over the side walls only."""
    x0, x1, y0, y1 = bed.footprint_m
    total = 0.0
    for low, high in ((load.y0_m, y0), (y1, load.y0_m + load.dy_m * (load.z_m.shape[0] - 1))):
        if high - low > 1e-9:
            x, wx = _midpoints([x0, x1], step_m)
            y, wy = _midpoints([low, high], step_m)
            z = load.at(*np.meshgrid(x, y))
            total += float(np.sum(np.fmax(z - bed.wall_top_m, 0.0) * wy[:, None] * wx[None, :]))
    return total


def _midpoints(breaks: list[float], step_m: float) -> tuple[Floats, Floats]:
    """Middles and lengths of the pieces between breaks, none longer than the step."""
    middles, lengths = [], []
    for a, b in pairwise(breaks):
        if b - a < 1e-9:
            continue
        count = max(int(np.ceil((b - a) / step_m)), round(LEAST_STEPS * STEP_M / step_m))
        edges = np.linspace(a, b, count + 1)
        middles.append(0.5 * (edges[:-1] + edges[1:]))
        lengths.append(np.diff(edges))
    return np.concatenate(middles), np.concatenate(lengths)
