"""Rays taken 64 at a time: what none of them can meet is set aside for all of them at once.

The loops over a bundle have no branches, so that the compiler makes vector instructions of them. They do the same
arithmetic in the same order as one ray alone would (`volest.simulate.raycast`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.jit import kernel

__all__ = ["BUNDLE", "advance", "box", "clip", "cones", "gather", "meet", "within_reach"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
BUNDLE = 64
SLACK = 1e-9
TINY = 1e-30
MOST_STEPS = 200
LEAST_STEP_M = 1e-4


@kernel
def gather(vectors: Floats, first: int, count: int, x: Floats, y: Floats, z: Floats) -> None:
    """The components of `count` vectors of (N, 3), or of the only one; the last repeated to fill the bundle."""
    if len(vectors) == 1:
        x[:], y[:], z[:] = vectors[0, 0], vectors[0, 1], vectors[0, 2]
        return
    for r in range(count):
        x[r], y[r], z[r] = vectors[first + r, 0], vectors[first + r, 1], vectors[first + r, 2]
    x[count:], y[count:], z[count:] = x[count - 1], y[count - 1], z[count - 1]


@kernel
def box(x: Floats, y: Floats, z: Floats, low: Floats, high: Floats) -> float:
    """The least and the greatest of a bundle's components, into low (3,) and high (3,); its greatest width."""
    ax, ay, az = x[0], y[0], z[0]
    bx, by, bz = ax, ay, az
    for r in range(1, BUNDLE):
        ax, ay, az = min(ax, x[r]), min(ay, y[r]), min(az, z[r])
        bx, by, bz = max(bx, x[r]), max(by, y[r]), max(bz, z[r])
    low[0], low[1], low[2], high[0], high[1], high[2] = ax, ay, az, bx, by, bz
    return float(max(bx - ax, by - ay, bz - az))


@kernel
def cones(triangles: Floats, origin: Floats) -> Floats:
    """(14, T): each triangle seen from an origin, as e1, e2, s, q, c and the length of its normal.

    What in Moeller and Trumbore (1997) does not depend on the ray: edges e1 and e2, s from
    their corner to the origin, q = s x e1, c = e2 q.
    """
    seen = np.empty((14, len(triangles)))
    for k in range(len(triangles)):
        corner = triangles[k]
        for axis in range(3):
            seen[axis, k], seen[3 + axis, k] = corner[1, axis] - corner[0, axis], corner[2, axis] - corner[0, axis]
            seen[6 + axis, k] = origin[axis] - corner[0, axis]
        e1x, e1y, e1z, e2x, e2y, e2z, sx, sy, sz = seen[:9, k]
        qx, qy, qz = sy * e1z - sz * e1y, sz * e1x - sx * e1z, sx * e1y - sy * e1x
        nx, ny, nz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
        seen[9, k], seen[10, k], seen[11, k] = qx, qy, qz
        seen[12, k] = e2x * qx + e2y * qy + e2z * qz
        seen[13, k] = np.sqrt(nx * nx + ny * ny + nz * nz)
    return seen


@kernel
def within_reach(seen: Floats, low: Floats, high: Floats, margin: Floats, found: Ints) -> int:
    """How many triangles some ray with a direction within a box may meet; their numbers in `found`.

    A ray d meets one only if N d, U d, V d and (N - U - V) d have the sign of c, for N = e2 x e1, U = e2 x s, V = q.
    """
    ax, ay, az, bx, by, bz = low[0], low[1], low[2], high[0], high[1], high[2]
    for k in range(seen.shape[1]):
        sign = 1.0 if seen[12, k] > 0.0 else -1.0
        e1x, e1y, e1z = sign * seen[0, k], sign * seen[1, k], sign * seen[2, k]
        e2x, e2y, e2z, sx, sy, sz = seen[3, k], seen[4, k], seen[5, k], seen[6, k], seen[7, k], seen[8, k]
        nx, ny, nz = e2y * e1z - e2z * e1y, e2z * e1x - e2x * e1z, e2x * e1y - e2y * e1x
        ux, uy, uz = sign * (e2y * sz - e2z * sy), sign * (e2z * sx - e2x * sz), sign * (e2x * sy - e2y * sx)
        vx, vy, vz = sign * seen[9, k], sign * seen[10, k], sign * seen[11, k]
        wx, wy, wz = nx - ux - vx, ny - uy - vy, nz - uz - vz
        n = max(nx * ax, nx * bx) + max(ny * ay, ny * by) + max(nz * az, nz * bz)
        u = max(ux * ax, ux * bx) + max(uy * ay, uy * by) + max(uz * az, uz * bz)
        v = max(vx * ax, vx * bx) + max(vy * ay, vy * by) + max(vz * az, vz * bz)
        w = max(wx * ax, wx * bx) + max(wy * ay, wy * by) + max(wz * az, wz * bz)
        margin[k] = min(min(n, u), min(v, w)) + SLACK * seen[13, k]
    count = 0
    for k in range(seen.shape[1]):
        found[count] = k
        count += margin[k] >= 0.0
    return count


@kernel
def meet(seen: Floats, k: int, x: Floats, y: Floats, z: Floats, best: Floats, cosine: Floats, met: Ints) -> None:
    """Let the rays of a bundle that meet a triangle before all others remember it."""
    e1x, e1y, e1z, e2x, e2y, e2z = seen[0, k], seen[1, k], seen[2, k], seen[3, k], seen[4, k], seen[5, k]
    sx, sy, sz, qx, qy, qz = seen[6, k], seen[7, k], seen[8, k], seen[9, k], seen[10, k], seen[11, k]
    c, norm, slack = seen[12, k], seen[13, k], 1e-12
    for r in range(BUNDLE):
        dx, dy, dz = x[r], y[r], z[r]
        px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
        det = e1x * px + e1y * py + e1z * pz
        u, v = (sx * px + sy * py + sz * pz) / det, (dx * qx + dy * qy + dz * qz) / det
        t = c / det
        inside = (u >= -slack) & (v >= -slack) & (u + v <= 1.0 + slack)
        nearer = inside & (t > 0.0) & (t < best[r])  # false where det is 0: NaN, or inf < inf
        best[r] = t if nearer else best[r]
        cosine[r] = abs(det) / norm if nearer else cosine[r]
        met[r] = k if nearer else met[r]


@kernel
def clip(
    low: tuple[float, float, float], high: tuple[float, float, float], origin: tuple[Floats, Floats, Floats],
    way: tuple[Floats, Floats, Floats], near: Floats, far: Floats,
) -> int:  # fmt: skip
    """Between which ranges the rays of a bundle are in an upright box, `far` bounding them before; how many are."""
    (ox, oy, oz), (x, y, z) = origin, way
    (lx, ly, lz), (hx, hy, hz) = low, high
    count = 0
    for r in range(BUNDLE):
        ix = 1.0 / (x[r] if abs(x[r]) > TINY else TINY)
        iy = 1.0 / (y[r] if abs(y[r]) > TINY else TINY)
        iz = 1.0 / (z[r] if abs(z[r]) > TINY else TINY)
        ax, bx = (lx - ox[r]) * ix, (hx - ox[r]) * ix
        ay, by = (ly - oy[r]) * iy, (hy - oy[r]) * iy
        az, bz = (lz - oz[r]) * iz, (hz - oz[r]) * iz
        begin = max(max(min(ax, bx), min(ay, by)), min(az, bz)) - SLACK
        end = min(min(max(ax, bx), max(ay, by)), max(az, bz)) + SLACK
        near[r] = begin if begin > 0.0 else 0.0
        far[r] = min(end, far[r])
        count += near[r] <= far[r]
    return count


@kernel
def advance(
    tops: Floats, size: int, grid: tuple[float, float, float, float], origin: tuple[Floats, Floats, Floats],
    way: tuple[Floats, Floats, Floats], near: Floats, far: Floats,
) -> None:  # fmt: skip
    """Move the rays' beginnings on to where they may come down to the peaks around them.

    tops (ny, nx): the greatest height in each block of size x size cells and its eight neighbours.
    """
    (ox, oy, oz), (x, y, z) = origin, way
    x0, y0, dx, dy = grid
    ny, nx = tops.shape
    wx, wy = 1.0 / (dx * size), 1.0 / (dy * size)
    for r in range(BUNDLE):
        if near[r] > far[r]:
            continue
        kx, ky, kz = x[r] * wx, y[r] * wy, z[r]
        u, v, above, t, end = (ox[r] - x0) * wx, (oy[r] - y0) * wy, oz[r], near[r], far[r]
        step = (1.0 - 1e-6) / max(abs(kx), abs(ky), TINY)  # a block at most: its neighbours' peaks count
        fall = 1.0 / min(kz, -TINY)
        for _ in range(MOST_STEPS):
            if t > end:
                break
            top = tops[min(max(int(v + ky * t), 0), ny - 1), min(max(int(u + kx * t), 0), nx - 1)]
            down = (top - above) * fall - SLACK if kz < 0.0 else (np.inf if above + kz * t > top else -np.inf)
            moved = min(t + step, down)
            if moved <= t + LEAST_STEP_M:
                break
            t = moved
        near[r] = t
