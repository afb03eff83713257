"""A surface z(x, y) over a regular grid, two triangles a cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from volest.jit import kernel

__all__ = ["HeightField"]

Floats = NDArray[np.float64]


COARSE, FINE = 8, 2  # cells across the blocks of which the peaks are known


@dataclass(frozen=True, eq=False)
class HeightField:
    """Heights z_m (ny, nx) at the nodes x = x0 + i dx, y = y0 + j dy, bed frame; NaN = no surface.

    Each cell is cut along the diagonal from its (x, y) corner to its (x + dx, y + dy) corner. A cell with a NaN
    corner is a hole.
    """

    x0_m: float
    y0_m: float
    dx_m: float
    dy_m: float
    z_m: Floats

    @classmethod
    def over(cls, rect_m: tuple[float, float, float, float], cell_m: float) -> HeightField:
        """A field of zeros whose outer nodes lie exactly on the rectangle (x0, x1, y0, y1)."""
        x0, x1, y0, y1 = rect_m
        nx, ny = (max(2, round((b - a) / cell_m) + 1) for a, b in ((x0, x1), (y0, y1)))
        return cls(x0, y0, (x1 - x0) / (nx - 1), (y1 - y0) / (ny - 1), np.zeros((ny, nx)))

    def with_heights(self, z_m: Floats) -> HeightField:
        """The same grid with other heights."""
        return HeightField(self.x0_m, self.y0_m, self.dx_m, self.dy_m, np.ascontiguousarray(z_m, dtype=np.float64))

    def nodes(self) -> tuple[Floats, Floats]:
        """The nodes' x and y, each (ny, nx)."""
        ny, nx = self.z_m.shape
        x, y = np.meshgrid(self.x0_m + self.dx_m * np.arange(nx), self.y0_m + self.dy_m * np.arange(ny))
        return x, y

    def at(self, x: Floats, y: Floats) -> Floats:
        """Height of the triangulated surface at points; NaN outside of the grid and in holes."""
        x, y = np.broadcast_arrays(x, y)
        heights = np.empty(x.shape)
        _interpolate(self.z_m, (self.x0_m, self.y0_m, self.dx_m, self.dy_m), x.ravel(), y.ravel(), heights.reshape(-1))
        return heights

    def triangles(self) -> Floats:
        """The surface as triangles (T, 3, 3), holes left out."""
        x, y = self.nodes()
        p = np.stack([x, y, self.z_m], axis=-1)
        p00, p10, p01, p11 = p[:-1, :-1], p[:-1, 1:], p[1:, :-1], p[1:, 1:]
        cells = np.stack([np.stack([p00, p10, p11], axis=-2), np.stack([p00, p11, p01], axis=-2)], axis=2)
        whole = np.isfinite(cells).all(axis=(2, 3, 4))
        return np.ascontiguousarray(cells[whole].reshape(-1, 3, 3))

    @cached_property
    def peaks_m(self) -> tuple[Floats, Floats]:
        """The greatest height in each block of COARSE and of FINE cells and in its neighbours; -inf: none."""
        return _peaks(self.z_m, COARSE), _peaks(self.z_m, FINE)

    @cached_property
    def z_range_m(self) -> tuple[float, float] | None:
        """The lowest and the highest node; None where there is no surface."""
        if not np.isfinite(self.z_m).any():
            return None
        return float(np.nanmin(self.z_m)), float(np.nanmax(self.z_m))


@kernel
def _peaks(z: Floats, size: int) -> Floats:
    ny, nx = (z.shape[0] - 2) // size + 1, (z.shape[1] - 2) // size + 1
    own = np.full((ny + 2, nx + 2), -np.inf)
    for j in range(z.shape[0] - 1):
        for i in range(z.shape[1] - 1):
            top = max(max(z[j, i], z[j, i + 1]), max(z[j + 1, i], z[j + 1, i + 1]))
            b, a = j // size + 1, i // size + 1
            if top > own[b, a]:
                own[b, a] = top
    around = np.empty((ny, nx))
    for j in range(ny):
        for i in range(nx):
            around[j, i] = own[j : j + 3, i : i + 3].max()
    return around


@kernel
def _interpolate(z: Floats, grid: tuple[float, float, float, float], x: Floats, y: Floats, heights: Floats) -> None:
    x0, y0, dx, dy = grid
    ny, nx = z.shape
    slack = 1e-9  # points on the outer edge belong to the grid
    for k in range(len(x)):
        u, v = (x[k] - x0) / dx, (y[k] - y0) / dy
        if not (-slack <= u <= nx - 1 + slack and -slack <= v <= ny - 1 + slack):
            heights[k] = np.nan
            continue
        i, j = min(max(int(u), 0), nx - 2), min(max(int(v), 0), ny - 2)
        s, t = u - i, v - j
        z00, z10, z01, z11 = z[j, i], z[j, i + 1], z[j + 1, i], z[j + 1, i + 1]
        if np.isnan(z10) or np.isnan(z01):  # a NaN at any corner makes a hole of the cell
            heights[k] = np.nan
        elif s >= t:
            heights[k] = z00 + s * (z10 - z00) + t * (z11 - z10)
        else:
            heights[k] = z00 + t * (z01 - z00) + s * (z11 - z01)
