"""Where a sensor sits in the bed frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pose", "rotation_from_rpy"]


def rotation_from_rpy(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """The (3, 3) rotation Rz(yaw) Ry(pitch) Rx(roll), angles in radians (REP-103)."""
    cr, sr = math.cos(roll), math.sin(roll)
    cp, sp = math.cos(pitch), math.sin(pitch)
    cy, sy = math.cos(yaw), math.sin(yaw)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


@dataclass(frozen=True, slots=True)
class Pose:
    """A rigid transform T_a_b: p_a = rotation @ p_b + translation."""

    rotation: NDArray[np.float64]  # (3, 3)
    translation: NDArray[np.float64]  # (3,) m

    @classmethod
    def identity(cls) -> Pose:
        """The pose of a sensor that speaks the bed frame already."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def from_xyz_rpy_deg(cls, xyz_m: tuple[float, ...], rpy_deg: tuple[float, ...]) -> Pose:
        """From a position in metres and roll, pitch, yaw in degrees, as truck files give them."""
        roll, pitch, yaw = (math.radians(angle) for angle in rpy_deg)
        return cls(rotation_from_rpy(roll, pitch, yaw), np.array(xyz_m, dtype=np.float64))

    @property
    def rpy_deg(self) -> tuple[float, float, float]:
        """Roll, pitch and yaw: the inverse of `from_xyz_rpy_deg`."""
        r = self.rotation
        roll, yaw = math.atan2(r[2, 1], r[2, 2]), math.atan2(r[1, 0], r[0, 0])
        pitch = math.atan2(-r[2, 0], math.hypot(r[2, 1], r[2, 2]))
        return math.degrees(roll), math.degrees(pitch), math.degrees(yaw)

    def matrix(self) -> NDArray[np.float64]:
        """The same as a homogeneous (4, 4) matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    def compose(self, other: Pose) -> Pose:
        """T_a_c from this T_a_b and the other T_b_c."""
        return Pose(self.rotation @ other.rotation, self.rotation @ other.translation + self.translation)

    def inverse(self) -> Pose:
        """T_b_a."""
        return Pose(self.rotation.T, -self.rotation.T @ self.translation)

    def apply(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (N, 3) of frame b in frame a."""
        moved: NDArray[np.float64] = np.asarray(points, dtype=np.float64) @ self.rotation.T + self.translation
        return moved
