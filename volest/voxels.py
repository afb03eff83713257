"""A cloud thinned to one point for each voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest._core import voxel_centroids as _centroids
from volest.errors import InputError

__all__ = ["voxel_centroids"]

LEAST_M, MOST_M = 1e-4, 1e4


def voxel_centroids(xyz: NDArray[np.float32], size_m: float) -> NDArray[np.float32]:
    """The mean (M, 3) float32 [m] of the points in each cube of edge `size_m` that holds some, ordered by cube.

    xyz: (N, 3) float32 [m], rows any distance apart; those of NaN, infinity and 0 0 0 are no points. Cube (i, j, k)
    begins at `size_m` times (i, j, k), and i counts before j before k. Each point enters to 1/65536 of the edge; the
    order of the points does not matter, to the last bit. Raises InputError for another array, another size, and points
    too far apart for it.
    """
    if not isinstance(xyz, np.ndarray) or xyz.dtype != np.float32 or xyz.ndim != 2 or xyz.shape[1] != 3:
        found = f"{xyz.dtype}{xyz.shape}" if isinstance(xyz, np.ndarray) else type(xyz).__name__
        raise InputError(f"xyz: found {found}, expected an (N, 3) float32 array in metres")
    if not LEAST_M <= size_m <= MOST_M:
        raise InputError(f"size_m: found {size_m}, expected {LEAST_M} to {MOST_M:.0f}")
    try:
        return _centroids(xyz if xyz.strides[1] == xyz.itemsize else np.ascontiguousarray(xyz), size_m)
    except OverflowError:
        raise InputError(f"xyz: more than 2^62 cubes of {size_m} m would span the points") from None
