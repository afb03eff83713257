"""Where a sensor's rays go, and when: turning rows, a camera's pixels, a rosette, one line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.simulate.scene import SensorScene

__all__ = ["in_view", "ray_directions", "ray_times_s", "row_elevations"]

Floats = NDArray[np.float64]
TURNS_HZ = (7294.0 / 60.0, -4664.0 / 60.0)  # of a rosette's two wedge prisms; their quotient lets no frame repeat
SLACK = 1e-9  # rad; the outer rows belong to the view
SPIN_HZ = 13.37  # of a rosette that sees all around


def ray_directions(sensor: SensorScene, frame: int = 0) -> Floats:
    """Unit vectors (rows, columns, 3) in the sensor's frame, from the upper row to the lower.

    Rays of a rosette go elsewhere in each frame; those of the others do not.
    """
    if sensor.pattern == "camera":
        up = np.tan(np.radians(sensor.vertical_fov_deg) / 2.0) * _pixels(sensor.rows)[:, None]
        left = np.tan(np.radians(sensor.horizontal_fov_deg) / 2.0) * _pixels(sensor.columns)[None, :]
        directions: Floats = np.stack(
            np.broadcast_arrays(1.0 + 0.0 * (up + left), left + 0.0 * up, up + 0.0 * left), -1
        )
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        return directions
    if sensor.pattern == "spinning":
        elevation = row_elevations(sensor)[:, None]
        azimuth = -2.0 * np.pi * (np.arange(sensor.columns) + 0.5)[None, :] / sensor.columns
    elif sensor.pattern == "line":
        half = np.radians(sensor.horizontal_fov_deg) / 2.0
        azimuth, elevation = np.linspace(half, -half, sensor.columns)[None, :], np.zeros((1, 1))
    else:
        azimuth, elevation = _rosette(sensor, frame)
    parts = (
        np.cos(elevation) * np.cos(azimuth),
        np.cos(elevation) * np.sin(azimuth),
        np.sin(elevation) + 0.0 * azimuth,
    )
    directions = np.stack(np.broadcast_arrays(*parts), axis=-1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions


def ray_times_s(sensor: SensorScene, frame: int = 0) -> Floats:
    """When each ray (rows, columns) is sent, from the beginning of frame 0; a camera's pixels all at once."""
    share = np.zeros(sensor.columns) if sensor.pattern == "camera" else np.arange(sensor.columns) / sensor.columns
    return np.broadcast_to((frame + share) / sensor.rate_hz, (sensor.rows, sensor.columns))


def row_elevations(sensor: SensorScene) -> Floats:
    """Elevation [rad] of each row of a spinning sensor, from the upper to the lower."""
    if sensor.elevations_deg:
        return np.asarray(np.radians(sorted(sensor.elevations_deg, reverse=True)))
    half = np.radians(sensor.vertical_fov_deg) / 2.0
    if sensor.rows == 1:
        return np.zeros(1)
    return np.linspace(half, -half, sensor.rows)


def _rosette(sensor: SensorScene, frame: int) -> tuple[Floats, Floats]:
    """Azimuth and elevation (1, columns) of rays that two turning wedge prisms bend, or a turning mirror that nods.

    Each prism bends by half the field of view and turns at its own rate (Liu, Yu, Liu and Zhang, *Low-cost retina-like
    robotic lidars based on incommensurable scanning*, IEEE/ASME Transactions on Mechatronics 27, 2022).
    """
    time_s = ray_times_s(sensor, frame)
    middle, half = np.radians(sensor.vertical_middle_deg), np.radians(sensor.vertical_fov_deg) / 2.0
    if sensor.horizontal_fov_deg >= 180.0:
        nod = 2.0 / np.pi * np.arcsin(np.sin(2.0 * np.pi * TURNS_HZ[0] * time_s))
        return np.mod(-2.0 * np.pi * SPIN_HZ * time_s, 2.0 * np.pi), middle + half * nod
    first, second = (2.0 * np.pi * rate * time_s for rate in TURNS_HZ)
    across = 0.5 * (np.cos(first) + np.cos(second))
    up = 0.5 * (np.sin(first) + np.sin(second))
    return np.radians(sensor.horizontal_fov_deg) / 2.0 * across, middle + half * up


def _pixels(count: int) -> Floats:
    """Middles of pixels from 1 to -1."""
    return 1.0 - (2.0 * np.arange(count) + 1.0) / count


def in_view(sensor: SensorScene, directions: Floats) -> NDArray[np.bool_]:
    """Whether directions (N, 3) in the sensor's frame lie within its field of view (of a line: its azimuth)."""
    x, y, z = directions.T
    half = np.radians(sensor.vertical_fov_deg) / 2.0
    if sensor.pattern == "camera":
        wide = np.tan(np.radians(sensor.horizontal_fov_deg) / 2.0)
        seen: NDArray[np.bool_] = (x > 0.0) & (np.abs(z) <= np.tan(half) * x) & (np.abs(y) <= wide * x)
        return seen
    elevation = np.arctan2(z, np.hypot(x, y))
    if sensor.elevations_deg:
        rows = row_elevations(sensor)
        seen = (elevation <= rows[0] + SLACK) & (elevation >= rows[-1] - SLACK)
        return seen
    if sensor.pattern == "line":
        return np.asarray(np.abs(np.arctan2(y, x)) <= np.radians(sensor.horizontal_fov_deg) / 2.0)
    seen = np.abs(elevation - np.radians(sensor.vertical_middle_deg)) <= half
    if sensor.pattern != "spinning":
        seen &= np.abs(np.arctan2(y, x)) <= np.radians(sensor.horizontal_fov_deg) / 2.0
    return seen
