"""A dirty window: a part of a sensor's view from which nothing comes back, or only from near."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from volest._core import count_returns

if TYPE_CHECKING:
    from volest._core import Points

__all__ = ["blind_cells", "may_be_blind"]

BIN_RAD = math.radians(3.0)  # edge of a bin in the middle of the view,
BIN = math.tan(BIN_RAD / 2.0)  # and as it is drawn
SHORT = 0.4  # of the way to the nearest cell: what returns from nearer lies on the window
BLIND, LIVE = 0.05, 0.25  # of the usual returns in a bin
LEAST_USUAL = 6.0  # returns in a bin, to tell a blind one by
LEAST_BINS = 4  # in blocks of two by two; what is smaller may be a dark spot of the load
SLACK = 0.7  # of a block's side: cells at its border may have returns from next to it
REACH = 6  # bins; between live ones no further away a blind bin is one of the window, not of the edge of the view

Floats = NDArray[np.floating]
Bits = NDArray[np.bool_]


def may_be_blind(unseen: Bits, cell_m: float, distance_m: float) -> bool:
    """Whether two by two bins, seen from a distance, fit into the cells (ny, nx) without returns."""
    side = max(1, round(2.0 * SLACK * BIN_RAD * distance_m / cell_m))
    if side > min(unseen.shape):
        return False
    return bool(_runs(_runs(unseen, side).T, side).any())


def _runs(bits: Bits, length: int) -> Bits:
    """Where runs (R - length + 1, C) of so many set bits (R, C) along the columns begin."""
    held = 1
    while held < length:
        step = min(held, length - held)
        bits = bits[step:] & bits[:-step]
        held += step
    return bits


def blind_cells(frames: Sequence[Points], pose: NDArray[np.float64], cells: NDArray[np.float64]) -> Bits:
    """Which cells lie where a sensor at `pose` (4, 4) T_bed_sensor is blind, though its view goes on around them.

    `frames`: its scans as the core takes them; `cells` (M, 3) [m]: places on the load's surface, bed frame. The view
    is drawn stereographically about the way to the cells, where angles are true and bins of nearly the same size.
    """
    x, y, z = ways = pose[:3, :3].T @ (cells.T - pose[:3, 3:])
    distance = np.sqrt(x * x + y * y + z * z)
    view = _axes((ways / distance).mean(axis=1))
    at = _project(view @ ways, distance)
    low, high = at.min(axis=1) - REACH * BIN, at.max(axis=1) + REACH * BIN
    shape = (int((high[0] - low[0]) / BIN) + 1, int((high[1] - low[1]) / BIN) + 1)
    axes, least_m = view.astype(np.float32), SHORT * float(distance.min())
    returns = np.zeros(shape)
    for points in frames:
        count_returns(points, axes, BIN, low, least_m, returns)
    i, j = ((at - low[:, None]) / BIN).astype(int)
    bed = np.zeros(shape, dtype=bool)
    bed[i, j] = True
    blind: Bits = _blind(returns, bed)[i, j]
    return blind


def _axes(forward: Floats) -> Floats:
    """Right, up and forward (3, 3) as rows; up is as near to the sensor's z axis as can be."""
    fx, fy, fz = forward = forward / np.linalg.norm(forward)
    right = np.array([fy, -fx, 0.0] if abs(fz) < 0.9 else [-fz, 0.0, fx])  # across forward and z, or forward and y
    rx, ry, rz = right = right / np.linalg.norm(right)
    return np.stack([right, [ry * fz - rz * fy, rz * fx - rx * fz, rx * fy - ry * fx], forward])


def _project(points: Floats, distance: Floats) -> Floats:
    """Stereographic projection (2, N) of the ways to points in the view's axes; what lies behind lands far off."""
    with np.errstate(divide="ignore", invalid="ignore"):
        flat: Floats = points[:2] / np.maximum(distance + points[2], 1e-6)
    return flat


def _blind(returns: Floats, bed: Bits) -> Bits:
    """The bins that see nothing between such that do, in blocks of at least two by two."""
    hit = bed & (returns > 0)
    usual = float(np.median(returns[hit])) if hit.any() else 0.0
    if usual < LEAST_USUAL:
        return np.zeros_like(bed)
    live = returns >= LIVE * usual
    blind = bed & (returns <= BLIND * usual)
    if np.count_nonzero(blind) < LEAST_BINS:
        return np.zeros_like(bed)
    blind &= (_near(live, 0, 1) & _near(live, 0, -1)) | (_near(live, 1, 1) & _near(live, 1, -1))
    block = blind[1:, 1:] & blind[:-1, 1:] & blind[1:, :-1] & blind[:-1, :-1]
    whole = np.zeros_like(blind)
    for i in (0, 1):
        for j in (0, 1):
            whole[i : i + block.shape[0], j : j + block.shape[1]] |= block
    return whole if whole.sum() >= LEAST_BINS else np.zeros_like(whole)


def _near(live: Bits, axis: int, sign: int) -> Bits:
    """Whether a live bin lies in this direction within reach."""
    found = np.zeros_like(live)
    for step in range(1, REACH + 1):
        found |= np.roll(live, sign * step, axis)
    return found
