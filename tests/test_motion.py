"""A scan taken on the move is that of a sensor at rest, once its motion is undone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volest import PointCloud, ScanError, undo_motion

RNG = np.random.default_rng(7)
WORLD = RNG.uniform(-20, 20, (500, 3))
TIMES = np.sort(RNG.uniform(0, 0.1, 500)) + 1000.0


def seen_on_the_move(velocity: np.ndarray, yaw_rate: float, instant: float) -> PointCloud:
    """What a sensor sees of WORLD that stands at the origin at the instant; small steps in place of a closed form."""
    xyz = np.empty((len(TIMES), 3))
    for place, time in enumerate(TIMES):
        steps = 400
        step = (time - instant) / steps
        yaw, position = 0.0, np.zeros(3)
        for _ in range(steps):
            middle = yaw + yaw_rate * step / 2
            position += turned(velocity, middle) * step
            yaw += yaw_rate * step
        xyz[place] = turned(WORLD[place] - position, -yaw)
    return PointCloud(xyz.astype(np.float32), timestamp=TIMES)


def turned(vector: np.ndarray, yaw: float) -> np.ndarray:
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1], vector[2]])


@pytest.mark.parametrize(
    ("velocity", "yaw_rate"),
    [((5.0, 0.0, 0.0), 0.0), ((0.0, 0.0, 0.0), 1.0), ((8.0, -1.0, 0.3), 0.7), ((8.0, 0.0, 0.0), 1e-9)],
)
def test_undone_motion_gives_the_world_back(velocity: tuple[float, float, float], yaw_rate: float) -> None:
    moving = seen_on_the_move(np.array(velocity), yaw_rate, TIMES[0])
    assert np.abs(moving.xyz - WORLD).max() > (0.01 if np.any(velocity) or yaw_rate else 0.0)
    np.testing.assert_allclose(undo_motion(moving, velocity, yaw_rate).xyz, WORLD, atol=2e-5)


def test_the_instant_may_be_chosen() -> None:
    moving = seen_on_the_move(np.array([6.0, 0.0, 0.0]), 0.5, 1000.05)
    np.testing.assert_allclose(undo_motion(moving, 6.0, 0.5, time_s=1000.05).xyz, WORLD, atol=2e-5)


@given(st.floats(-30, 30), st.floats(-3, 3))
def test_motion_back_and_forth_cancels(speed: float, yaw_rate: float) -> None:
    """The inverse of an arc, seen from its end, is not the arc run backwards; without a turn it is."""
    cloud = PointCloud(WORLD.astype(np.float32), timestamp=TIMES)
    there = undo_motion(cloud, speed)
    np.testing.assert_allclose(undo_motion(there, -speed).xyz, WORLD, atol=1e-5)
    spun = undo_motion(cloud, 0.0, yaw_rate)
    np.testing.assert_allclose(undo_motion(spun, 0.0, -yaw_rate).xyz, WORLD, atol=1e-5)


def test_rows_without_a_return_stay() -> None:
    xyz = np.array([[0, 0, 0], [1, 2, 3], [np.nan] * 3, [4, 5, 6]], np.float32)
    cloud = PointCloud(xyz, timestamp=np.array([0.0, 5.0, np.nan, 5.1]))
    found = undo_motion(cloud, 10.0).xyz
    np.testing.assert_array_equal(found[[0, 1, 2]], xyz[[0, 1, 2]])
    np.testing.assert_allclose(found[3], [5, 5, 6], atol=1e-6)
    nothing = PointCloud(xyz[[0, 2]], timestamp=np.zeros(2))
    assert undo_motion(nothing, 10.0) is nothing


@pytest.mark.parametrize(
    ("timestamp", "velocity", "yaw_rate", "told"),
    [
        (None, 1.0, 0.0, "timestamp: missing"),
        ([0.0, np.nan], 1.0, 0.0, "expected finite times"),
        ([0.0, 11.0], 1.0, 0.0, "expected finite times within 10"),
        ([0.0, 0.1], np.nan, 0.0, "velocity_m_s: found nan"),
        ([0.0, 0.1], [1.0, 2.0], 0.0, "velocity_m_s"),
        ([0.0, 0.1], 1e6, 0.0, "velocity_m_s"),
        ([0.0, 0.1], 1.0, np.inf, "yaw_rate_rad_s: found inf"),
    ],
)
def test_motion_that_cannot_be_undone_is_told(timestamp: object, velocity: object, yaw_rate: float, told: str) -> None:
    stamps = None if timestamp is None else np.array(timestamp)
    cloud = PointCloud(np.ones((2, 3), np.float32), timestamp=stamps)
    with pytest.raises(ScanError, match=told):
        undo_motion(cloud, velocity, yaw_rate)  # type: ignore[arg-type]
