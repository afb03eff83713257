"""The solids that a bed is made of: leaning walls, and prisms on the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.simulate.mesh import sheet

__all__ = ["FOOT_M", "Prism", "Wall"]

Floats = NDArray[np.float64]
FOOT_M = -0.3  # faces go down to here, below the deepest floor


@dataclass(frozen=True, slots=True)
class Wall:
    """The inner face of one wall: leaves its foot line upwards and outwards by u = B z - A z^2.

    Bulge adds 4 b (z / top) (1 - z / top), b = bulge cos(pi s / span), s along the wall from its middle.
    """

    axis: int  # across the wall: 0 for front and rear, 1 for left and right
    sign: float  # outwards along that axis
    foot_m: float  # distance of the foot line from the origin
    lean: float  # tan of the lean
    top_m: float
    bulge_m: float
    span_m: float

    def _coefficients(self, s: Floats) -> tuple[Floats, Floats]:
        if self.bulge_m == 0.0:
            return np.zeros(1), np.full(1, self.lean)
        b = 4.0 * self.bulge_m * np.cos(np.pi * np.clip(s / self.span_m, -0.5, 0.5))
        return b / self.top_m**2, self.lean + b / self.top_m

    def outward_m(self, z: Floats, s: Floats) -> Floats:
        """How far outside of its foot line the face is at height z."""
        a, b = self._coefficients(s)
        return np.where(z > 0.0, b * z - a * z * z, 0.0)

    def height_m(self, u: Floats, s: Floats) -> Floats:
        """Height of the wall at u outside of its foot line: -inf inside of it, never above its top."""
        a, b = self._coefficients(s)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = 2.0 * u / (b + np.sqrt(np.maximum(b * b - 4.0 * a * u, 0.0)))
        return np.where(u > 0.0, np.minimum(np.where(np.isnan(z), np.inf, z), self.top_m), -np.inf)

    def across(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """(u, s) of points."""
        along, over = (y, x) if self.axis == 0 else (x, y)
        return self.sign * over - self.foot_m, along

    def point(self, u: Floats, s: Floats, z: Floats) -> Floats:
        """Points (..., 3) from wall coordinates."""
        over = self.sign * (self.foot_m + u)
        xy = (over, s) if self.axis == 0 else (s, over)
        return np.stack(np.broadcast_arrays(*xy, z), axis=-1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Prism:
    """A solid under a polyline (x, z), pulled along y."""

    x_m: tuple[float, ...]
    z_m: tuple[float, ...]
    y_m: tuple[float, float]

    def height_m(self, x: Floats, y: Floats) -> Floats:
        """Height of the top; -inf beside it."""
        z = np.interp(x, self.x_m, self.z_m, left=-np.inf, right=-np.inf)
        return np.where((y >= self.y_m[0]) & (y <= self.y_m[1]), z, -np.inf)

    def triangles(self) -> Floats:
        """Top, flanks and ends."""
        x = np.array([self.x_m[0], *self.x_m, self.x_m[-1]])
        z = np.array([FOOT_M, *self.z_m, FOOT_M])
        rows = [np.column_stack([x, np.full(len(x), y), z]) for y in self.y_m]
        flanks = [sheet(np.stack([row, row * [1.0, 1.0, 0.0] + [0.0, 0.0, FOOT_M]])) for row in rows]
        return np.concatenate([sheet(np.stack(rows)), *flanks])
