"""A sensor on the move: where it is when it sends each ray, and profiles put together to one scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.motion import undo_motion
from volest.pointcloud import PointCloud
from volest.pose import Pose
from volest.simulate.scene import SensorScene

__all__ = ["Ways", "is_profiler", "put_together"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Poses along the arc that steady motion in the sensor's own axes draws, as `volest.motion` undoes it."""

    pose: Pose
    since_pose_s: Floats  # (rows, columns): from the instant of the pose on
    velocity_m_s: tuple[float, float, float]
    yaw_rate_rad_s: float

    @classmethod
    def of(cls, sensor: SensorScene, pose: Pose, times_s: Floats) -> Ways:
        """Of rays that are sent so long after the beginning; the pose holds half-way through all frames."""
        if sensor.motion is None:
            return cls(pose, times_s, (0.0, 0.0, 0.0), 0.0)
        half_s = sensor.frames / (2.0 * sensor.rate_hz)
        return cls(pose, times_s - half_s, sensor.motion.velocity_m_s, np.radians(sensor.motion.yaw_rate_deg_s))

    def sent(self, which: NDArray[np.intp] | None, directions: Floats) -> tuple[Floats, Floats]:
        """Origins (3,) or (N, 3) and directions (N, 3) in the bed frame; `which`: numbers of the rays, or all."""
        if not any(self.velocity_m_s) and self.yaw_rate_rad_s == 0.0:
            return self.pose.translation, directions @ self.pose.rotation.T
        since = self.since_pose_s.ravel() if which is None else self.since_pose_s.ravel()[which]
        turn = self.yaw_rate_rad_s * since
        along = np.sinc(turn / np.pi)  # sin(turn) / turn
        aside = np.sin(turn / 2.0) * np.sinc(turn / (2.0 * np.pi))  # (1 - cos(turn)) / turn
        ahead, left, up = self.velocity_m_s
        moved = [since * (along * ahead - aside * left), since * (aside * ahead + along * left), since * up]
        c, s = np.cos(turn), np.sin(turn)
        x, y, z = directions.T
        turned = np.stack([c * x - s * y, s * x + c * y, z], axis=1)
        return self.pose.apply(np.stack(moved, axis=1)), turned @ self.pose.rotation.T


def is_profiler(sensor: SensorScene) -> bool:
    """Whether the sensor's frames are lines of one scan."""
    return sensor.pattern == "line" and sensor.motion is not None


def put_together(sensor: SensorScene, frames: list[PointCloud]) -> list[PointCloud]:
    """The frames as they are handed out: a moving line's as one, at the instant of its pose."""
    if not is_profiler(sensor) or sensor.motion is None:
        return frames
    xyz = np.concatenate([frame.xyz for frame in frames])
    intensity, times_s, ring = (
        np.concatenate([getattr(frame, name) for frame in frames]) for name in ("intensity", "timestamp", "ring")
    )
    whole = PointCloud(xyz, intensity, times_s, ring)
    if len(whole) == 0:
        return [whole]
    rate = float(np.radians(sensor.motion.yaw_rate_deg_s))
    return [undo_motion(whole, sensor.motion.velocity_m_s, rate, time_s=0.0)]
