"""The empty bed: inner walls, the plane of their tops, and the floor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest._core import Engine
from volest.errors import TruckError

__all__ = ["LEVELS", "BedModel", "Layout", "PlacedScan"]

FINEST_CELL_M = 0.05
CELLS_ALONG_ROOT_AREA = 50
LEVELS = 64
LEAST_SKIN_CELLS = 0.8
NOMINAL_STD_M, UNSEEN_STD_M, SEEN_STD_M = 0.006, 0.03, 0.001  # of a wall: as told, unseen among seen, seen


@dataclass(frozen=True, slots=True, eq=False)
class PlacedScan:
    """A scan with the pose T_bed_sensor from which it was taken; `rays` when its points share that origin."""

    xyz: NDArray[np.float32]  # (N, 3) m, sensor frame
    pose: NDArray[np.float64]  # (4, 4) T_bed_sensor
    rays: bool
    std_m: float  # how far the pose may put a wall off, 1-sigma


@dataclass(frozen=True, slots=True)
class Layout:
    """Grid and voxel columns over a bed of the given nominal inside dimensions."""

    length_m: float
    width_m: float
    height_m: float

    @property
    def scale(self) -> float:
        """1 for truck beds; less for smaller boxes, whose details are smaller too."""
        return min(1.0, math.sqrt(self.length_m * self.width_m) / 2.0)

    @property
    def cell_m(self) -> float:
        """Edge of a cell."""
        return min(FINEST_CELL_M, math.sqrt(self.length_m * self.width_m) / CELLS_ALONG_ROOT_AREA)

    @property
    def margin_m(self) -> float:
        """How far walls that lean, and poses that are off, may carry the opening beyond the nominal rectangle."""
        return 0.3 * self.scale

    @property
    def lowest_m(self) -> float:
        """Height where the voxels begin."""
        return -0.25 * self.scale

    @property
    def highest_m(self) -> float:
        """Height where the voxels end: room for a heap as steep as waste stands."""
        return self.height_m + 0.75 * min(self.length_m, self.width_m)

    @property
    def level_m(self) -> float:
        """Depth of a voxel."""
        return (self.highest_m - self.lowest_m) / LEVELS

    def centres_m(self, cells: int) -> NDArray[np.float64]:
        """Middles of so many cells, centred on the bed."""
        centres: NDArray[np.float64] = (np.arange(cells, dtype=np.float64) + 0.5 - cells / 2) * self.cell_m
        return centres

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and along y."""
        nx, ny = (int(np.ceil((side + 2 * self.margin_m) / self.cell_m)) for side in (self.length_m, self.width_m))
        return nx, ny


@dataclass(frozen=True, slots=True, eq=False)
class BedModel:
    """The inner surface of the empty bed in the bed frame."""

    layout: Layout
    walls: NDArray[np.float64]  # (4, 4): front, rear, left, right; unit normal into the bed and distance, m
    rim: NDArray[np.float64]  # (3,): height of the wall tops = rim[0] + rim[1] x + rim[2] y
    skin: NDArray[np.float64]  # (4,) m: returns this near to a wall are of the wall or its ribs
    liner: NDArray[np.float64]  # (4,) m: what ribs and bulges add to a wall on average
    covered: NDArray[np.bool_]  # (4,): whether something lies on a wall's top, a rolled-up tarp say, and hides it
    floor: NDArray[np.float32]  # (ny, nx) m
    fixtures: NDArray[np.uint64]  # (ny, nx): bit k is set where something stands at voxel level k of the empty bed
    floor_std_m: float  # standard uncertainty of the floor's height as a whole
    wall_std_m: NDArray[np.float64]  # (4,) of each wall's place

    @classmethod
    def nominal(cls, layout: Layout) -> BedModel:
        """A box of the nominal dimensions. Real floors sag and walls lean by about a centimetre."""
        return cls(
            layout,
            walls=np.array(
                [
                    [-1.0, 0.0, 0.0, -layout.length_m / 2],
                    [1.0, 0.0, 0.0, -layout.length_m / 2],
                    [0.0, -1.0, 0.0, -layout.width_m / 2],
                    [0.0, 1.0, 0.0, -layout.width_m / 2],
                ]
            ),
            rim=np.array([layout.height_m, 0.0, 0.0]),
            skin=np.full(4, LEAST_SKIN_CELLS * layout.cell_m),
            liner=np.zeros(4),
            covered=np.zeros(4, dtype=np.bool_),
            floor=np.zeros(layout.shape[::-1], dtype=np.float32),
            fixtures=np.zeros(layout.shape[::-1], dtype=np.uint64),
            floor_std_m=NOMINAL_STD_M * layout.scale,
            wall_std_m=np.full(4, NOMINAL_STD_M * layout.scale),
        )

    @classmethod
    def stored(cls, layout: Layout, fields: Mapping[str, Any]) -> BedModel:
        """The bed of a truck.volest; raises TruckError when its maps are not those of a bed of these dimensions."""
        if fields["floor"].shape != layout.shape[::-1]:
            found = "{1} x {0}".format(*fields["floor"].shape)
            raise TruckError(f"section BEDM: found {found} cells, expected {layout.shape[0]} x {layout.shape[1]}")
        return cls(layout, **fields)

    def fields(self) -> dict[str, Any]:
        """All but the layout, as `stored` takes it."""
        return {field.name: getattr(self, field.name) for field in dataclass_fields(self) if field.name != "layout"}

    def engine(self) -> Engine:
        """The C++ core over this bed."""
        layout = self.layout
        nx, ny = layout.shape
        return Engine(
            x0=-0.5 * nx * layout.cell_m,
            y0=-0.5 * ny * layout.cell_m,
            cell=layout.cell_m,
            nx=nx,
            ny=ny,
            z0=layout.lowest_m,
            dz=layout.level_m,
            nz=LEVELS,
            scale=layout.scale,
            walls=self.walls,
            rim=self.rim,
            floor_std=self.floor_std_m,
            wall_std=self.wall_std_m,
            skin=self.skin,
            liner=self.liner,
            covered=self.covered,
            floor=self.floor,
            fixtures=self.fixtures,
        )
