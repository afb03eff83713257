"""One load for a 3-D view: bed, surface and points of its scans, packed for the page; docs/serve.md has the format."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest.bed import BedModel
from volest.errors import InputError
from volest.io import read_points
from volest.load import PreparedTruck
from volest.pointcloud import is_return

__all__ = ["MAGIC", "packed"]

MAGIC = b"VSC1"
MOST_POINTS = 40_000
OUTSIDE, SEEN, HIDDEN = 0, 1, 2
REACH_M = 32.7  # what whole millimetres in 16 bits reach
BESIDE_M, ABOVE_M = 0.6, 2.5  # of the bed, what is shown
CORNERS = ((0, 2), (2, 1), (1, 3), (3, 0))


def packed(prepared: PreparedTruck, scans: Sequence[tuple[str, str, str]], output: Path) -> dict[str, Any]:
    """Write the scene of a load's scans, (sensor, path, name) each, to `output`; returns its size.

    Raises InputError for scans that do not show the bed any more.
    """
    estimator, ids = prepared.estimator, prepared.truck.sensor_ids
    clouds: dict[str, list[NDArray[np.floating]]] = {}
    for sensor, path, _ in scans:
        clouds.setdefault(sensor or (ids[0] if ids else ""), []).append(read_points(path).xyz)
    result = estimator.estimate(clouds)
    surface = result.surface
    if surface is None:
        raise InputError(f"the load has no surface: {'; '.join(result.reasons)}")
    load, bed = surface.load_m, surface.empty_m
    kind = np.where(np.isnan(load), OUTSIDE, np.where(surface.seen, SEEN, HIDDEN)).astype(np.uint8)
    top_m = surface.wall_top_m
    points = np.concatenate([np.zeros((0, 3)), *(_in_bed(s.xyz, s.pose) for s in estimator.placed(clouds))])
    points = _shown(points, surface.x_m, surface.y_m, top_m)
    header = {
        "rows": load.shape[0],
        "cols": load.shape[1],
        "cell_m": surface.bed.layout.cell_m,
        "x0_m": float(surface.x_m[0]),
        "y0_m": float(surface.y_m[0]),
        "points": len(points),
        "bed_outline": outline(surface.bed, top_m),
        "top_m": top_m,
    }
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    arrays = [bed.astype("<f4"), load.astype("<f4"), kind, np.rint(points * 1e3).astype("<i2")]
    content = MAGIC + struct.pack("<I", len(text)) + text + b"".join(array.tobytes() for array in arrays)
    output.write_bytes(content)
    return {"bytes": len(content)}


def _in_bed(xyz: NDArray[np.floating], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (N, 3), sensor frame, to the bed frame."""
    returns = xyz[is_return(xyz)].astype(np.float64)
    moved: NDArray[np.float64] = returns @ pose[:3, :3].T + pose[:3, 3]
    return moved


def _shown(
    points: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], top_m: float
) -> NDArray[np.float64]:
    """Those about the bed, evenly thinned."""
    low = np.array([x[0] - BESIDE_M, y[0] - BESIDE_M, -BESIDE_M])
    high = np.array([x[-1] + BESIDE_M, y[-1] + BESIDE_M, top_m + ABOVE_M])
    about = points[np.all((points > np.maximum(low, -REACH_M)) & (points < np.minimum(high, REACH_M)), axis=1)]
    kept = np.linspace(0, len(about) - 1, min(len(about), MOST_POINTS)).astype(np.int64)
    chosen: NDArray[np.float64] = about[kept]
    return chosen


def outline(bed: BedModel, z_m: float) -> list[list[float]]:
    """Where the walls' inner faces meet at a height: x, y of the four corners."""
    normals, offsets = bed.walls[:, :2], bed.walls[:, 3] + bed.liner - bed.walls[:, 2] * z_m
    corners = [np.linalg.solve(normals[list(pair)], offsets[list(pair)]) for pair in CORNERS]
    return [[round(float(x), 4), round(float(y), 4)] for x, y in corners]
