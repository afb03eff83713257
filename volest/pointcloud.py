"""What a sensor saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from volest._core import Ranges, RayReach, has_return
from volest.errors import ScanError

if TYPE_CHECKING:
    from volest._core import Points

__all__ = ["Frame", "PackedPoints", "PointCloud", "RangeImage", "is_return"]


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """Points of one scan, in the frame of the file they came from.

    A ray without a return is a row of NaN or of 0 0 0; readers keep such rows.
    """

    xyz: NDArray[np.float32]  # (N, 3) m
    intensity: NDArray[np.float32] | None = None  # (N,)
    timestamp: NDArray[np.float64] | None = None  # (N,) s
    ring: NDArray[np.uint16] | None = None  # (N,)

    def __len__(self) -> int:
        return int(self.xyz.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class PackedPoints:
    """Points in whole millimetres, as sensors pack them; 0 0 0 is a ray without a return."""

    xyz_mm: NDArray[np.int16]  # (N, 3)

    def __post_init__(self) -> None:
        if self.xyz_mm.ndim != 2 or self.xyz_mm.shape[1] < 3 or self.xyz_mm.dtype != np.int16:
            raise ScanError(f"xyz_mm: found {self.xyz_mm.dtype}{self.xyz_mm.shape}, expected (N, 3) int16")

    def to_points(self) -> NDArray[np.float32]:
        """The points (N, 3) [m]."""
        points: NDArray[np.float32] = self.xyz_mm[:, :3].astype(np.float32) * np.float32(1e-3)
        return points


@dataclass(frozen=True, slots=True, eq=False)
class RangeImage:
    """Ranges as the sensor sends them, with the direction of each pixel's ray.

    range_mm: (H, W) uint16, uint32 or float32 [mm], 0 or NaN where nothing came back.
    directions: (H, W, 3) float32 unit vectors in the sensor frame; give the same array with each image of a sensor, and
    leave it as it is: what it tells of the truck is worked out once.
    """

    range_mm: NDArray[np.unsignedinteger | np.float32]
    directions: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.range_mm.ndim != 2 or self.range_mm.dtype not in (np.uint16, np.uint32, np.float32):
            found = f"{self.range_mm.dtype}{self.range_mm.shape}"
            raise ScanError(f"range_mm: found {found}, expected (H, W) uint16, uint32 or float32")
        if self.directions.shape != (*self.range_mm.shape, 3):
            raise ScanError(f"directions: found shape {self.directions.shape}, expected {(*self.range_mm.shape, 3)}")

    def to_points(self) -> NDArray[np.float32]:
        """The points (H * W, 3) [m], sensor frame; 0 0 0 where nothing came back."""
        ranges_m = self.range_mm.astype(np.float32)[..., None] * np.float32(1e-3)
        points: NDArray[np.float32] = np.ascontiguousarray(self.directions.astype(np.float32) * ranges_m).reshape(-1, 3)
        return points


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One scan in the form that it came in: as the core takes it, and as points for the few who ask for them."""

    points: Points
    image: RangeImage | None = None

    @classmethod
    def of(cls, given: NDArray[np.floating] | PackedPoints | RangeImage) -> Frame:
        """Of points (N, 3) [m], packed points or a range image; copied only where the core needs another layout."""
        if isinstance(given, RangeImage):
            ranges, directions = (
                np.ascontiguousarray(given.range_mm),
                np.ascontiguousarray(given.directions, np.float32),
            )
            is_ready = ranges is given.range_mm and directions is given.directions
            return cls(Ranges(ranges, directions, None), given if is_ready else RangeImage(ranges, directions))
        if isinstance(given, PackedPoints):
            return cls(_side_by_side(given.xyz_mm[:, :3]))
        xyz = given[:, :3]
        if xyz.dtype != np.float32:
            with np.errstate(over="ignore"):
                xyz = xyz.astype(np.float32)
        return cls(_side_by_side(xyz))

    def along(self, reach: RayReach) -> Frame:
        """The same range image, with what is known of its rays ahead."""
        assert self.image is not None
        return Frame(Ranges(self.image.range_mm, self.image.directions, reach), self.image)

    def __len__(self) -> int:
        return self.image.range_mm.size if self.image is not None else len(self._array)

    @property
    def xyz(self) -> NDArray[np.float32]:
        """(N, 3) m, sensor frame; rows of NaN or 0 0 0 are rays without a return."""
        if self.image is not None:
            return self.image.to_points()
        return PackedPoints(self._array).to_points() if self._array.dtype == np.int16 else self._array

    @property
    def _array(self) -> NDArray[Any]:
        assert isinstance(self.points, np.ndarray)
        return self.points

    def has_return(self) -> bool:
        """Whether any ray came back; looks no further than it must."""
        return has_return(self.points)

    def same_as(self, other: Frame) -> bool:
        """Whether the two say the same, byte for byte."""
        if self.image is None or other.image is None:
            return self.image is other.image and np.array_equal(self._array, other._array, equal_nan=True)
        same_rays = self.image.directions is other.image.directions or np.array_equal(
            self.image.directions, other.image.directions
        )
        return same_rays and np.array_equal(self.image.range_mm, other.image.range_mm)


def _side_by_side(xyz: NDArray[Any]) -> NDArray[Any]:
    return xyz if xyz.strides[1] == xyz.itemsize else np.ascontiguousarray(xyz)


def is_return(xyz: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows (N,) of a scan (N, 3) are measurements, as the core counts them (cpp/src/geometry.hpp)."""
    sound: NDArray[np.bool_] = (np.abs(xyz) < 1e4).all(axis=1) & (xyz != 0).any(axis=1)
    return sound
