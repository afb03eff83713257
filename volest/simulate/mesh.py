"""Triangles for the parts of a bed; arrays (T, 3, 3) of corners, bed frame, metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["box", "quad", "sheet", "tube"]

Floats = NDArray[np.float64]


def quad(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> Floats:
    """A four-cornered face as two triangles."""
    p = np.array([a, b, c, d], dtype=np.float64)
    return np.stack([p[[0, 1, 2]], p[[0, 2, 3]]])


def sheet(points: Floats) -> Floats:
    """A surface through an (m, n, 3) lattice of points."""
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]
    faces = np.stack([np.stack([a, b, c], axis=-2), np.stack([a, c, d], axis=-2)], axis=2)
    return np.ascontiguousarray(faces.reshape(-1, 3, 3))


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Floats:
    """The six faces of an upright box."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    ring = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
    sides = sheet(np.stack([np.column_stack([ring, np.full(5, z)]) for z in (z0, z1)]))
    caps = [quad(*[(x, y, z) for x, y in ring[:4]]) for z in (z0, z1)]
    return np.concatenate([sides, *caps])


def tube(path: Floats, radius_m: float, sides: int = 6) -> Floats:
    """A tube about a path (n, 3) that lies in a plane across the x or the y axis."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.eye(3)[np.argmin(np.abs(tangent).max(axis=0))]  # the axis that the path does not run along
    other = np.cross(tangent, across)
    angles = np.linspace(0.0, 2.0 * np.pi, sides + 1)
    rings = path[None] + radius_m * (
        np.cos(angles)[:, None, None] * across + np.sin(angles)[:, None, None] * other[None]
    )
    return sheet(rings)
