"""Where rays first meet height fields and triangles.

A height field is walked cell by cell along the ray's track in the plane, from where the ray may come down to the peaks
around it; the triangles of the bed's shell hang in a bounding-volume tree, or are sifted for 64 rays at a time where
these begin at one place (volest.simulate.bundle). All in float64; a ray that meets nothing has range inf and part 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.jit import kernel
from volest.simulate.bundle import BUNDLE, advance, boxes, clip, cones, gather, meet, passes_by, width, within_reach
from volest.simulate.heightfield import COARSE, FINE, HeightField

__all__ = ["Hits", "Mesh", "cast"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
LEAF_SIZE = 4
WIDE = 0.7  # a bundle whose directions differ by more has nothing in common


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What N rays met first."""

    range_m: Floats  # (N,), inf where nothing was met
    part: Ints  # (N,) number of the part that was met, 0 for none
    cosine: Floats  # (N,) |cos| of the angle between ray and surface normal, 0 for none


class Mesh:
    """Triangles (T, 3, 3) with a part number each (T,), in a bounding-volume tree."""

    def __init__(self, triangles: Floats, part: Ints) -> None:
        order, self.bounds, self.links = _tree(triangles)
        self.triangles = np.ascontiguousarray(triangles[order])
        self.part = np.ascontiguousarray(part[order], dtype=np.int32)


def cast(fields: list[tuple[HeightField, int]], mesh: Mesh, origins: Floats, directions: Floats) -> Hits:
    """First hits of rays with origins (N, 3) or (3,) and unit directions (N, 3) on height fields, each with its part
    number, and on a mesh. Rays that follow each other and begin at one place are quickest."""
    directions = np.ascontiguousarray(directions, dtype=np.float64)
    origins = np.ascontiguousarray(np.atleast_2d(origins), dtype=np.float64)
    count = len(directions)
    hits = Hits(np.full(count, np.inf), np.zeros(count, dtype=np.int32), np.zeros(count))
    found, met, cosine = hits.range_m, hits.part, hits.cosine
    bundles = boxes(directions)
    if len(mesh.triangles):
        tree = (mesh.bounds, mesh.links)
        _cast_mesh(mesh.triangles, mesh.part, tree, origins, directions, bundles, found, met, cosine)
    for field, part in reversed(fields):  # what lies above first: it hides what lies below
        if field.z_range_m is not None:
            grid = (field.x0_m, field.y0_m, field.dx_m, field.dy_m, *field.z_range_m)
            _cast_field(field.z_m, grid, *field.peaks_m, part, origins, directions, bundles, found, met, cosine)
    return hits


def _tree(triangles: Floats) -> tuple[NDArray[np.intp], Floats, Ints]:
    """Split at the widest axis' median. bounds (K, 2, 3); links (K, 2): two children, or a leaf's first and -count."""
    low, high = triangles.min(axis=1), triangles.max(axis=1)
    middle = (low + high) / 2.0
    order: list[int] = []
    bounds: list[Floats] = []
    links: list[list[int]] = []

    def build(members: NDArray[np.intp]) -> int:
        node = len(links)
        bounds.append(np.stack([low[members].min(axis=0), high[members].max(axis=0)]))
        links.append([len(order), -len(members)])
        if len(members) <= LEAF_SIZE:
            order.extend(members.tolist())
            return node
        axis = int(np.argmax(np.ptp(middle[members], axis=0)))
        ranked = members[np.argsort(middle[members, axis], kind="stable")]
        half = len(ranked) // 2
        second = build(
            ranked[half:]
        )  # first in order as it is first off the stack: of faces at one range the first counts
        links[node] = [build(ranked[:half]), second]
        return node

    if len(triangles):
        build(np.arange(len(triangles)))
    return (
        np.array(order, dtype=np.intp),
        np.array(bounds).reshape(-1, 2, 3),
        np.array(links, dtype=np.int32).reshape(-1, 2),
    )


@kernel
def _slab(origin: float, direction: float, low: float, high: float) -> tuple[float, float]:
    """Between which ranges a ray is inside [low, high] along one axis."""
    if direction == 0.0:
        return (-np.inf, np.inf) if low <= origin <= high else (np.inf, -np.inf)
    a, b = (low - origin) / direction, (high - origin) / direction
    return (a, b) if a <= b else (b, a)


@kernel
def _box_entry(origin: Floats, direction: Floats, bounds: Floats, limit: float) -> float:
    """Range at which a ray enters a box before `limit`, or inf."""
    near, far = 0.0, limit
    for axis in range(3):
        a, b = _slab(origin[axis], direction[axis], bounds[0, axis], bounds[1, axis])
        near, far = max(near, a), min(far, b)
    return near if near <= far else np.inf


@kernel
def _meet_triangle(origin: Floats, direction: Floats, corner: Floats) -> tuple[float, float]:
    """Range and |cosine| at which a ray meets a triangle from either side, or inf (Moeller and Trumbore, 1997)."""
    e1x, e1y, e1z = corner[1, 0] - corner[0, 0], corner[1, 1] - corner[0, 1], corner[1, 2] - corner[0, 2]
    e2x, e2y, e2z = corner[2, 0] - corner[0, 0], corner[2, 1] - corner[0, 1], corner[2, 2] - corner[0, 2]
    dx, dy, dz = direction[0], direction[1], direction[2]
    px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
    det = e1x * px + e1y * py + e1z * pz
    if det == 0.0:
        return np.inf, 0.0
    sx, sy, sz = origin[0] - corner[0, 0], origin[1] - corner[0, 1], origin[2] - corner[0, 2]
    u = (sx * px + sy * py + sz * pz) / det
    qx, qy, qz = sy * e1z - sz * e1y, sz * e1x - sx * e1z, sx * e1y - sy * e1x
    v = (dx * qx + dy * qy + dz * qz) / det
    slack = 1e-12  # so that no ray slips between two neighbours
    if u < -slack or v < -slack or u + v > 1.0 + slack:
        return np.inf, 0.0
    t = (e2x * qx + e2y * qy + e2z * qz) / det
    nx, ny, nz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
    cosine = abs(det) / np.sqrt(nx * nx + ny * ny + nz * nz)
    return (t, cosine) if t > 0.0 else (np.inf, 0.0)


@kernel
def _cast_mesh(
    triangles: Floats, parts: Ints, tree: tuple[Floats, Ints], origins: Floats, directions: Floats, bundles: Floats,
    out_range: Floats, out_part: Ints, out_cosine: Floats,
) -> None:  # fmt: skip
    bounds, links = tree
    seen = cones(triangles, origins[0])
    found, margin = np.empty(len(triangles) + 1, dtype=np.int32), np.empty(len(triangles))
    x, y, z, best, cosine = np.empty((5, BUNDLE))
    met = np.empty(BUNDLE, dtype=np.int32)
    for k in range(len(bundles)):
        first = k * BUNDLE
        count = min(BUNDLE, len(directions) - first)
        if len(origins) > 1 or width(bundles[k]) > WIDE:
            for ray in range(first, first + count):
                origin = origins[ray if len(origins) > 1 else 0]
                _descend(triangles, parts, bounds, links, origin, directions[ray], ray, out_range, out_part, out_cosine)
            continue
        near = within_reach(seen, bundles[k], margin, found)
        if near == 0:
            continue
        gather(directions, first, count, x, y, z)
        best[:], met[:] = np.inf, -1
        for index in range(near):
            meet(seen, found[index], x, y, z, best, cosine, met)
        for r in range(count):
            if met[r] >= 0:
                ray = first + r
                out_range[ray], out_part[ray], out_cosine[ray] = best[r], parts[met[r]], cosine[r]


@kernel
def _descend(
    triangles: Floats, parts: Ints, bounds: Floats, links: Ints, origin: Floats, direction: Floats, ray: int,
    out_range: Floats, out_part: Ints, out_cosine: Floats,
) -> None:  # fmt: skip
    """The nearest triangle that one ray meets, by the tree."""
    stack = np.empty(64, dtype=np.int32)
    best = out_range[ray]
    stack[0], depth = 0, 1
    while depth > 0:
        depth -= 1
        node = stack[depth]
        if _box_entry(origin, direction, bounds[node], best) == np.inf:
            continue
        first, second = links[node, 0], links[node, 1]
        if second > 0:
            stack[depth], stack[depth + 1] = first, second
            depth += 2
            continue
        for index in range(first, first - second):
            t, cosine = _meet_triangle(origin, direction, triangles[index])
            if t < best:
                best = t
                out_range[ray], out_part[ray], out_cosine[ray] = t, parts[index], cosine


@kernel
def _cell_hit(
    heights: tuple[float, float, float, float],
    ray: tuple[float, float, float, float, float, float], t_in: float, t_out: float, side: int,
) -> tuple[float, bool, int]:  # fmt: skip
    """Where within [t_in, t_out] a ray meets the triangles of a cell, inf if nowhere; whether below the diagonal; side.

    ray: x, y in cells from the cell's corner, z in metres, and their change per metre. In each triangle the height
    over its plane is linear, so a change of sign between the ends is a hit. `side`: 1 if the ray comes from above the
    surface, -1 if from below, 0 if not known; kept from piece to piece, lest rounding let a ray slip between two.
    """
    z00, z10, z01, z11 = heights
    u0, v0, w0, du, dv, dw = ray
    lean = du - dv
    t_diagonal = -(u0 - v0) / lean if lean != 0.0 else np.inf
    t = t_in
    while True:
        end = t_diagonal if t < t_diagonal < t_out else t_out
        middle = 0.5 * (t + end)
        below = (u0 + du * middle) >= (v0 + dv * middle)
        slope_u, slope_v = (z10 - z00, z11 - z10) if below else (z11 - z01, z01 - z00)
        f0 = (w0 + dw * t) - (z00 + slope_u * (u0 + du * t) + slope_v * (v0 + dv * t))
        f1 = (w0 + dw * end) - (z00 + slope_u * (u0 + du * end) + slope_v * (v0 + dv * end))
        begin, side_end = (1 if f0 >= 0.0 else -1), (1 if f1 >= 0.0 else -1)
        if f0 == 0.0 or begin * side < 0:
            return t, below, side_end
        if begin != side_end:
            return t + (end - t) * f0 / (f0 - f1), below, side_end
        if end >= t_out:
            return np.inf, below, side_end
        t, side = end, side_end


@kernel
def _walk_field(
    z: Floats, grid: tuple[float, float, float, float, float, float], origin: Floats, direction: Floats, limit: float,
    start: float,
) -> tuple[float, float]:  # fmt: skip
    """Range before `limit` and |cosine| at which a ray meets a height field, or inf; up to `start` it is above it."""
    x0, y0, dx, dy, z_low, z_high = grid
    ny, nx = z.shape
    ox, oy, oz = origin[0], origin[1], origin[2]
    kx, ky, kz = direction[0], direction[1], direction[2]
    near_x, far_x = _slab(ox, kx, x0, x0 + (nx - 1) * dx)
    near_y, far_y = _slab(oy, ky, y0, y0 + (ny - 1) * dy)
    near_z, far_z = _slab(oz, kz, z_low - 1e-9, z_high + 1e-9)
    t, t_end = max(0.0, near_x, near_y, near_z), min(far_x, far_y, far_z, limit)
    u, v, du, dv = (ox - x0) / dx, (oy - y0) / dy, kx / dx, ky / dy  # in cells from the grid's corner
    begin = max(t, start)
    i = min(max(int(np.floor(u + du * begin)), 0), nx - 2) if begin <= t_end else -1
    j = min(max(int(np.floor(v + dv * begin)), 0), ny - 2)
    if begin > t:  # the cell is walked from where the ray enters it, as if it had come cell by cell
        t_i = (i + (0 if du > 0.0 else 1) - u) / du if du != 0.0 else -np.inf
        t_j = (j + (0 if dv > 0.0 else 1) - v) / dv if dv != 0.0 else -np.inf
        t = max(t, t_i, t_j)
    side = 0
    while 0 <= i <= nx - 2 and 0 <= j <= ny - 2:
        t_i = (i + (1 if du > 0.0 else 0) - u) / du if du != 0.0 else np.inf
        t_j = (j + (1 if dv > 0.0 else 0) - v) / dv if dv != 0.0 else np.inf
        t_next = max(t, min(t_i, t_j, t_end))
        z00, z10, z01, z11 = z[j, i], z[j, i + 1], z[j + 1, i], z[j + 1, i + 1]
        if np.isnan(z00 + z10 + z01 + z11):
            side = 0
        elif min(oz + kz * t, oz + kz * t_next) > max(z00, z10, z01, z11):
            side = 1
        else:
            hit, below, side = _cell_hit((z00, z10, z01, z11), (u - i, v - j, oz, du, dv, kz), t, t_next, side)
            if hit < limit:
                gx, gy = ((z10 - z00) / dx, (z11 - z10) / dy) if below else ((z11 - z01) / dx, (z01 - z00) / dy)
                return hit, abs(kz - gx * kx - gy * ky) / np.sqrt(1.0 + gx * gx + gy * gy)
        if t_next >= t_end:
            break
        i, j = (i + (1 if du > 0.0 else -1), j) if t_i <= t_j else (i, j + (1 if dv > 0.0 else -1))
        t = t_next
    return np.inf, 0.0


@kernel
def _cast_field(
    z: Floats, grid: tuple[float, float, float, float, float, float], coarse: Floats, fine: Floats, part: int,
    origins: Floats, directions: Floats, bundles: Floats, out_range: Floats, out_part: Ints, out_cosine: Floats,
) -> None:  # fmt: skip
    x0, y0, dx, dy, z_low, z_high = grid
    low, high = (x0, y0, z_low), (x0 + (z.shape[1] - 1) * dx, y0 + (z.shape[0] - 1) * dy, z_high)
    ox, oy, oz, kx, ky, kz, near, far = np.empty((8, BUNDLE))
    origin, way = (ox, oy, oz), (kx, ky, kz)
    for k in range(len(bundles)):
        if len(origins) == 1 and passes_by(origins[0], bundles[k], low, high):
            continue
        first = k * BUNDLE
        count = min(BUNDLE, len(directions) - first)
        gather(origins, first, count, ox, oy, oz)
        gather(directions, first, count, kx, ky, kz)
        far[:count], far[count:] = out_range[first : first + count], -np.inf
        if clip(low, high, origin, way, near, far) == 0:
            continue
        advance(coarse, COARSE, grid[:4], origin, way, near, far)
        advance(fine, FINE, grid[:4], origin, way, near, far)
        for r in range(count):
            if near[r] <= far[r]:
                ray = first + r
                start = origins[ray if len(origins) > 1 else 0]
                hit, cosine = _walk_field(z, grid, start, directions[ray], out_range[ray], near[r])
                if hit < out_range[ray]:
                    out_range[ray], out_part[ray], out_cosine[ray] = hit, part, cosine
