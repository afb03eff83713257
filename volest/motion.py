"""A turn of a scanner that moved while it turned, brought to one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from volest.errors import ScanError
from volest.pointcloud import PointCloud, is_return

__all__ = ["undo_motion"]

MAX_SPEED_M_S = 100.0
MAX_YAW_RATE_RAD_S = 100.0
MAX_DURATION_S = 10.0


def undo_motion(
    cloud: PointCloud,
    velocity_m_s: float | Sequence[float],
    yaw_rate_rad_s: float = 0.0,
    *,
    time_s: float | None = None,
) -> PointCloud:
    """The points as they would have been seen at one instant by a sensor that moved steadily among things at rest.

    `velocity_m_s` is the sensor's velocity along its own x, or along x, y and z, and `yaw_rate_rad_s` how fast it
    turns about its own z, counter-clockwise seen from above; neither changes, so that it runs along an arc (a twist's
    exponential; Murray, Li and Sastry, A Mathematical Introduction to Robotic Manipulation, 2.3). `time_s` is the
    instant, in the terms of the cloud's time stamps; the earliest stamp of a return where none is given. Rows without
    a return stay as they are.

    Raises ScanError where the cloud has no time stamps, where they are not finite or lie more than 10 s apart, or where
    velocity or rate are not finite or absurdly large.
    """
    velocity = _velocity(velocity_m_s)
    if not abs(yaw_rate_rad_s) <= MAX_YAW_RATE_RAD_S:
        raise ScanError(f"yaw_rate_rad_s: found {yaw_rate_rad_s}, expected at most {MAX_YAW_RATE_RAD_S}")
    if cloud.timestamp is None:
        raise ScanError("timestamp: missing, expected the time of each point to undo motion")
    seen = is_return(cloud.xyz)
    if not seen.any():
        return cloud
    stamps = cloud.timestamp[seen]
    start = float(stamps.min()) if time_s is None else time_s
    elapsed_s = stamps - start
    if not (np.abs(elapsed_s) <= MAX_DURATION_S).all():
        raise ScanError(
            f"timestamp: found {stamps.min()} to {stamps.max()} s, expected finite times within {MAX_DURATION_S} s "
            f"of {start}"
        )
    xyz = cloud.xyz.copy()
    xyz[seen] = _moved(cloud.xyz[seen].astype(np.float64), elapsed_s, velocity, yaw_rate_rad_s)
    return replace(cloud, xyz=xyz)


def _velocity(given: float | Sequence[float]) -> NDArray[np.float64]:
    velocity = np.atleast_1d(np.asarray(given, np.float64))
    if velocity.shape not in ((1,), (3,)) or not (np.abs(velocity) <= MAX_SPEED_M_S).all():
        raise ScanError(f"velocity_m_s: found {given}, expected a number or x y z of at most {MAX_SPEED_M_S}")
    return np.append(velocity, [0.0, 0.0])[:3]


def _moved(
    xyz: NDArray[np.float64], elapsed_s: NDArray[np.float64], velocity: NDArray[np.float64], yaw_rate: float
) -> NDArray[np.float64]:
    """Points (N, 3) that were seen so many seconds (N,) after the instant, in the sensor's frame at the instant."""
    turn = yaw_rate * elapsed_s
    along = np.sinc(turn / np.pi)  # sin(turn) / turn
    aside = np.sin(turn / 2) * np.sinc(turn / (2 * np.pi))  # (1 - cos(turn)) / turn
    x, y, z = xyz.T
    ahead, left, up = velocity
    return np.stack(
        [
            np.cos(turn) * x - np.sin(turn) * y + elapsed_s * (along * ahead - aside * left),
            np.sin(turn) * x + np.cos(turn) * y + elapsed_s * (aside * ahead + along * left),
            z + elapsed_s * up,
        ],
        axis=1,
    )
