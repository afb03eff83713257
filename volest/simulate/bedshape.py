"""The true bed: its inner surface as a function, and its shell as triangles.

The bed is a union of solids (floor, walls, ribs, arches, fillets), so its inner surface seen from above is the greatest
of their heights, and a ray's first hit is the nearest of their faces.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from volest.simulate.heightfield import HeightField
from volest.simulate.mesh import quad, sheet
from volest.simulate.scene import BedScene
from volest.simulate.solids import FOOT_M, Prism, Wall

__all__ = ["BedShape"]

Floats = NDArray[np.float64]
Rect = tuple[float, float, float, float]
FLOOR_CELL_M = 0.03


class BedShape:
    """The bed that a scene describes."""

    def __init__(self, scene: BedScene) -> None:
        self.scene = scene
        self.half_x_m = (scene.length_m + scene.d_length_m) / 2.0
        self.half_y_m = (scene.width_m + scene.d_width_m) / 2.0
        self.wall_top_m = scene.height_m + scene.d_height_m
        self.headboard_m = scene.headboard_m
        self.walls = self._walls()

    def _walls(self) -> tuple[Wall, Wall, Wall, Wall]:
        """Front, rear, left, right."""
        top, lean = self.wall_top_m, [math.tan(math.radians(angle)) for angle in self.scene.lean_deg]

        def wall(index: int, axis: int, sign: float, foot: float, bulge: float) -> Wall:
            limit = 0.22 * lean[index] * top  # 0.25 would make the wall upright at its top
            return Wall(axis, sign, foot, lean[index], top, min(bulge, limit), 2.0 * self.half_x_m)

        a, b, bulge = self.half_x_m, self.half_y_m, self.scene.bulge_m
        return wall(0, 0, 1.0, a, 0.0), wall(1, 0, -1.0, a, 0.0), wall(2, 1, 1.0, b, bulge), wall(3, 1, -1.0, b, bulge)

    @cached_property
    def footprint_m(self) -> Rect:
        """The opening at the wall tops: x0, x1, y0, y1."""
        front, rear, left, right = (wall.foot_m + wall.lean * wall.top_m for wall in self.walls)
        return -rear, front, -right, left

    @cached_property
    def floor(self) -> HeightField:
        """The floor, a little into the walls."""
        inset = self.scene.wall_m / 2.0
        a, b = self.half_x_m + inset, self.half_y_m + inset
        field = HeightField.over((-a, a, -b, b), FLOOR_CELL_M)
        x, y = field.nodes()
        z = -self.scene.sag_m * np.cos(np.pi * x / (2.0 * a)) * np.cos(np.pi * y / (2.0 * b))
        for dent in self.scene.dents:
            z -= dent.depth_m * np.exp(-((x - dent.x_m) ** 2 + (y - dent.y_m) ** 2) / (2.0 * dent.radius_m**2))
        return field.with_heights(np.maximum(z, FOOT_M + 0.05))

    @cached_property
    def prisms(self) -> tuple[Prism, ...]:
        """Wheel arches and the box over the hoist."""
        solids = []
        for arch in self.scene.arches:
            wall = self.walls[2] if arch.side == "left" else self.walls[3]
            outer = wall.foot_m + wall.lean * arch.height_m + 2.0 * wall.bulge_m + self.scene.wall_m / 2.0
            inner = wall.foot_m - arch.width_m
            share = np.linspace(-1.0, 1.0, 2 if arch.shape == "box" else 13)
            z = arch.height_m * (np.ones(2) if arch.shape == "box" else np.sqrt(1.0 - share**2))
            x = arch.x_m + share * arch.length_m / 2.0
            y = sorted((wall.sign * inner, wall.sign * outer))
            solids.append(Prism(tuple(x.tolist()), tuple(z.tolist()), (y[0], y[1])))
        lx, ly, lz = self.scene.doghouse_m
        if min(lx, ly, lz) > 0.0:
            outer = self.half_x_m + self.walls[0].lean * lz + self.scene.wall_m / 2.0
            solids.append(Prism((self.half_x_m - lx, outer), (lz, lz), (-ly / 2.0, ly / 2.0)))
        return tuple(solids)

    @cached_property
    def posts(self) -> tuple[Prism, ...]:
        """What the tailgate hangs on: upright in both rear corners, from the side walls' feet inwards."""
        deep, wide = self.scene.gate_post_m
        if min(deep, wide) == 0.0:
            return ()
        outer = [wall.foot_m + wall.lean * wall.top_m + self.scene.wall_m / 2.0 for wall in self.walls[1:]]
        left, right = self.walls[2].foot_m, self.walls[3].foot_m
        sides = (left - wide, outer[1]), (-outer[2], wide - right)
        x, top = (-outer[0], deep - self.half_x_m), self.wall_top_m
        return tuple(Prism(x, (top, top), side) for side in sides)

    @cached_property
    def rib_centres_m(self) -> tuple[float, ...]:
        """Middles of the ribs along x."""
        count = self.scene.ribs.count
        return tuple((2.0 * self.half_x_m * (k + 0.5) / count - self.half_x_m) for k in range(count))

    def empty_m(self, x: Floats, y: Floats) -> Floats:
        """Height of the empty bed's inner surface, never above the wall tops; defined over the footprint."""
        z = self._floor_and_prisms_m(x, y)
        for wall in self.walls:
            z = np.maximum(z, wall.height_m(*wall.across(x, y)))
        z = np.maximum(z, self._ribs_m(x, y))
        for post in self.posts:
            z = np.maximum(z, post.height_m(x, y))
        for wall in self._chamfered:
            z = np.maximum(z, wall.across(x, y)[0] + self.scene.chamfer_m)
        return np.where(self._in_fillet(x, y), self.wall_top_m, np.minimum(z, self.wall_top_m))

    def ground_m(self, x: Floats, y: Floats) -> Floats:
        """Height of what a thin layer lies on: floor and prisms, carried on level under the walls."""
        inset = self.scene.wall_m / 4.0
        return self._floor_and_prisms_m(
            np.clip(x, -self.half_x_m - inset, self.half_x_m + inset),
            np.clip(y, -self.half_y_m - inset, self.half_y_m + inset),
        )

    def _floor_and_prisms_m(self, x: Floats, y: Floats) -> Floats:
        z = np.nan_to_num(self.floor.at(x, y), nan=-np.inf)
        for prism in self.prisms:
            z = np.maximum(z, prism.height_m(x, y))
        return z

    def _ribs_m(self, x: Floats, y: Floats) -> Floats:
        """The ribs' height: the side walls, moved inwards by the ribs' depth."""
        near = np.zeros(np.shape(x), dtype=bool)
        for centre in self.rib_centres_m:
            near |= np.abs(x - centre) < self.scene.ribs.width_m / 2.0
        z = np.full(np.shape(x), -np.inf)
        for wall in self.walls[2:] if self.rib_centres_m else ():
            u, s = wall.across(x, y)
            z = np.maximum(z, wall.height_m(u + self.scene.ribs.depth_m, s))
        return np.where(near, z, -np.inf)

    @property
    def _chamfered(self) -> tuple[Wall, ...]:
        """The walls along whose feet a plane rises at 45 degrees; the tailgate has none."""
        return (self.walls[0], self.walls[2], self.walls[3]) if self.scene.chamfer_m > 0.0 else ()

    def _chamfer_top_m(self, wall: Wall) -> float:
        """Where a chamfer is within its wall all along, also where that bulges most; at most the wall's top."""
        lean = wall.lean + 4.0 * wall.bulge_m / wall.top_m
        return min(self.scene.chamfer_m / max(1.0 - lean, 0.1), wall.top_m)

    def _in_fillet(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Whether points lie within the fillets that round the upright corners of the opening."""
        r = self.scene.corner_m
        x0, x1, y0, y1 = self.footprint_m
        dx, dy = r - np.minimum(x - x0, x1 - x), r - np.minimum(y - y0, y1 - y)
        inside: NDArray[np.bool_] = (r > 0.0) & (dx > 0.0) & (dy > 0.0) & (dx * dx + dy * dy > r * r)
        return inside

    def breaks_m(self) -> tuple[list[float], list[float]]:
        """Where the inner surface has steps or kinks along x and along y, for exact integration."""
        x0, x1, y0, y1 = self.footprint_m
        r, ribs = self.scene.corner_m, self.scene.ribs
        xs = [x0, x1, -self.half_x_m, self.half_x_m, x0 + r, x1 - r]
        ys = [y0, y1, -self.half_y_m, self.half_y_m, y0 + r, y1 - r]
        for centre in self.rib_centres_m:
            xs += [centre - ribs.width_m / 2.0, centre + ribs.width_m / 2.0]
        if self.rib_centres_m:
            ys += [
                side + sign * ribs.depth_m
                for side, sign in ((y0, 1), (y1, -1), (-self.half_y_m, 1), (self.half_y_m, -1))
            ]
        c = self.scene.chamfer_m
        for wall in self._chamfered:
            u = (-c, self._chamfer_top_m(wall) - c)
            (xs if wall.axis == 0 else ys).extend(wall.sign * (wall.foot_m + off) for off in u)
        for prism in (*self.prisms, *self.posts):
            xs += [prism.x_m[0], prism.x_m[-1]]
            ys += list(prism.y_m)
        return sorted({x for x in xs if x0 <= x <= x1}), sorted({y for y in ys if y0 <= y <= y1})

    def inner_triangles(self) -> Floats:
        """Inner faces of the walls, ribs, prisms and fillets (the floor is a height field)."""
        parts = [self._wall_sheet(wall) for wall in self.walls]
        parts += [prism.triangles() for prism in (*self.prisms, *self.posts)]
        parts += [self._rib(wall, centre) for wall in self.walls[2:] for centre in self.rib_centres_m]
        parts += [self._chamfer(wall) for wall in self._chamfered]
        parts += self._fillets()
        return np.concatenate(parts)

    def _wall_sheet(self, wall: Wall) -> Floats:
        """The face of a wall between its neighbours, cut into strips where it bulges."""
        ns, nz = (25, 13) if wall.bulge_m > 0.0 else (2, 2)
        z = np.concatenate([[FOOT_M], np.linspace(0.0, wall.top_m, nz)])[:, None]
        high, low = (self.walls[2], self.walls[3]) if wall.axis == 0 else (self.walls[0], self.walls[1])
        rise = np.maximum(z, 0.0)
        begin, end = -(low.foot_m + low.lean * rise), high.foot_m + high.lean * rise
        s = begin + (end - begin) * np.linspace(0.0, 1.0, ns)[None, :]
        return sheet(wall.point(wall.outward_m(z, s), s, z))

    def _chamfer(self, wall: Wall) -> Floats:
        """The plane along a wall's foot, from below the floor to where the wall hides it."""
        z = np.array([FOOT_M, self._chamfer_top_m(wall)])[:, None]
        high, low = (self.walls[2], self.walls[3]) if wall.axis == 0 else (self.walls[0], self.walls[1])
        ends = [sign * (end.outward_m(z, np.zeros(1)) + end.foot_m) for sign, end in ((-1.0, low), (1.0, high))]
        s = np.hstack(ends) + self.scene.wall_m / 2.0 * np.array([-1.0, 1.0])
        return sheet(wall.point(z - self.scene.chamfer_m, s, z))

    def _rib(self, wall: Wall, centre: float) -> Floats:
        """One rib: its face, flanks and top."""
        ribs = self.scene.ribs
        z = np.concatenate([[FOOT_M], np.linspace(0.0, wall.top_m, 13 if wall.bulge_m > 0.0 else 2)])
        s = np.full_like(z, centre)
        u = wall.outward_m(z, s)
        left, right = s - ribs.width_m / 2.0, s + ribs.width_m / 2.0
        ring = [wall.point(u, left, z), wall.point(u - ribs.depth_m, left, z)]
        ring += [wall.point(u - ribs.depth_m, right, z), wall.point(u, right, z)]
        return np.concatenate([sheet(np.stack(ring)), quad(*[row[-1] for row in ring])])

    def _fillets(self) -> list[Floats]:
        """Upright quarter rounds in the corners, with their tops."""
        r = self.scene.corner_m
        x0, x1, y0, y1 = self.footprint_m
        parts: list[Floats] = []
        angles = np.linspace(0.0, np.pi / 2.0, 13)
        for corner_x, to_x in ((x0, 1.0), (x1, -1.0)) if r > 0.0 else ():
            for corner_y, to_y in ((y0, 1.0), (y1, -1.0)):
                arc = np.column_stack(
                    [corner_x + to_x * r * (1.0 - np.cos(angles)), corner_y + to_y * r * (1.0 - np.sin(angles))]
                )
                lines = [np.column_stack([arc, np.full(13, z)]) for z in (FOOT_M, self.wall_top_m)]
                apex = np.broadcast_to([corner_x, corner_y, self.wall_top_m], lines[1].shape)
                parts.append(sheet(np.stack([*lines, apex])))
        return parts
