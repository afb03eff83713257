"""A slow twin of the core's dirty window, in plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from volest.bed import BedModel

__all__ = ["blind_m2", "may_be_blind"]

BIN_RAD = math.radians(3.0)
BIN = math.tan(BIN_RAD / 2.0)
SHORT = 0.4
BLIND, LIVE = 0.05, 0.25
LEAST_USUAL = 6.0
LEAST_BINS = 4
SLACK = 0.7
REACH = 6
MOST_BINS = 1 << 15
OUTSIDE, HIDDEN, BETWEEN, _ = range(4)

Floats = NDArray[np.floating]
Bits = NDArray[np.bool_]


def blind_m2(
    bed: BedModel,
    height: NDArray[np.float32],
    state: NDArray[np.uint8],
    sensors: Sequence[tuple[NDArray[np.float64], Sequence[NDArray[np.float32]]]],
) -> float:
    """The part of a surface (ny, nx) that lies in a blind part of the view of sensors at (4, 4) T_bed_sensor."""
    layout = bed.layout
    unseen = (state == HIDDEN) | (state == BETWEEN)
    least_m = float(min(pose[2, 3] for pose, _ in sensors) - height.max())
    if not may_be_blind(unseen, layout.cell_m, least_m):
        return 0.0
    over_bed = state != OUTSIDE
    x, y = (a.astype(np.float32) for a in np.meshgrid(*(layout.centres_m(cells) for cells in layout.shape)))
    cells = np.stack([a[over_bed] for a in (x, y, height)], dtype=np.float64).T
    dark = cells[unseen[over_bed]]
    nearest = min(float(np.sqrt(np.square(dark - pose[:3, 3]).sum(axis=-1).min())) for pose, _ in sensors)
    if not may_be_blind(unseen, layout.cell_m, nearest):
        return 0.0
    blind = np.any([_blind_cells(scans, pose, cells) for pose, scans in sensors], axis=0)
    return float(blind.sum()) * layout.cell_m**2


def may_be_blind(unseen: Bits, cell_m: float, distance_m: float) -> bool:
    """Whether two by two bins, seen from a distance, fit into the cells (ny, nx) without returns."""
    side = max(1, round(2.0 * SLACK * BIN_RAD * distance_m / cell_m))
    if side > min(unseen.shape):
        return False
    return bool(np.lib.stride_tricks.sliding_window_view(unseen, (side, side)).all(axis=(2, 3)).any())


def _blind_cells(scans: Sequence[NDArray[np.float32]], pose: NDArray[np.float64], cells: NDArray[np.float64]) -> Bits:
    """Which cells (M, 3) lie where a sensor is blind, though its view goes on around them."""
    ways = pose[:3, :3].T @ (cells.T - pose[:3, 3:])
    distance = np.sqrt(np.square(ways).sum(axis=0))
    view = _axes((ways / distance).mean(axis=1))
    right, up, forward = view @ ways
    at = np.stack([right, up]) / np.maximum(distance + forward, 1e-6)
    low = at.min(axis=1) - REACH * BIN
    if not (at.max(axis=1) - low < MOST_BINS * BIN).all():
        return np.zeros(len(cells), dtype=bool)
    # The first cells lie just where their bins begin, wherever rounding puts them.
    i, j = bins = np.maximum(((at - low[:, None]) / BIN).astype(int), REACH)
    shape = tuple(bins.max(axis=1) + 1 + REACH)
    if math.prod(shape) > MOST_BINS:
        return np.zeros(len(cells), dtype=bool)
    returns = np.zeros(shape)
    for xyz in scans:
        _count(returns, xyz, view.astype(np.float32), low, SHORT * float(distance.min()))
    bed = np.zeros(shape, dtype=bool)
    bed[i, j] = True
    blind: Bits = _blind(returns, bed)[i, j]
    return blind


def _axes(forward: Floats) -> Floats:
    """Right, up and forward (3, 3) as rows; up is as near to the sensor's z axis as can be."""
    fx, fy, fz = forward = forward / np.linalg.norm(forward)
    right = np.array([fy, -fx, 0.0] if abs(fz) < 0.9 else [-fz, 0.0, fx])  # across forward and z, or forward and y
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, forward), forward])


def _count(returns: Floats, xyz: NDArray[np.float32], axes: NDArray[np.float32], low: Floats, least_m: float) -> None:
    """Count the points (N, 3) in their bins; in float32 and in the core's order, for the same points in each."""
    x, y, z = xyz.T
    a, b, c = (axis[0] * x + axis[1] * y + axis[2] * z for axis in axes)
    reach = np.sqrt(a * a + b * b + c * c)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.float32(1.0 / BIN) / (reach + c)
        i, j = (v * scale - np.float32(least / BIN) for v, least in zip((a, b), low, strict=True))
    ni, nj = returns.shape
    within = (reach > np.float32(least_m)) & (i > 0) & (i < ni) & (j > 0) & (j < nj)
    np.add.at(returns, (i[within].astype(int), j[within].astype(int)), 1.0)


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
    return whole


def _near(live: Bits, axis: int, sign: int) -> Bits:
    """Whether a live bin lies in this direction within reach."""
    found = np.zeros_like(live)
    for step in range(1, REACH + 1):
        found |= np.roll(live, sign * step, axis)
    return found
