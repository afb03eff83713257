"""What a sensor saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.errors import ScanError

__all__ = ["PointCloud", "RangeImage", "is_return"]


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
class RangeImage:
    """Ranges as the sensor sends them, with the direction of each pixel's ray.

    range_mm: (H, W) uint16 or uint32 [mm], 0 where nothing came back.
    directions: (H, W, 3) float32 unit vectors in the sensor frame.
    """

    range_mm: NDArray[np.unsignedinteger]
    directions: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.range_mm.ndim != 2 or self.range_mm.dtype not in (np.uint16, np.uint32):
            found = f"{self.range_mm.dtype}{self.range_mm.shape}"
            raise ScanError(f"range_mm: found {found}, expected (H, W) uint16 or uint32")
        if self.directions.shape != (*self.range_mm.shape, 3):
            raise ScanError(f"directions: found shape {self.directions.shape}, expected {(*self.range_mm.shape, 3)}")

    def to_points(self) -> NDArray[np.float32]:
        """The points (H * W, 3) float32 [m], sensor frame; 0 0 0 where nothing came back."""
        ranges_m = self.range_mm.astype(np.float32)[..., None] * np.float32(1e-3)
        points: NDArray[np.float32] = np.ascontiguousarray(self.directions.astype(np.float32) * ranges_m).reshape(-1, 3)
        return points


def is_return(xyz: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows (N,) of a scan (N, 3) are measurements, as the core counts them (cpp/src/geometry.hpp)."""
    sound: NDArray[np.bool_] = (np.abs(xyz) < 1e4).all(axis=1) & (xyz != 0).any(axis=1)
    return sound
