"""A dirty window is told from shadows and from where the view ends, by the core as by its slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle_window import blind_m2, may_be_blind

from volest._core import Engine
from volest.bed import BedModel, Layout
from volest.pose import Pose

BED = BedModel.nominal(Layout(4.0, 2.0, 1.0))
DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
STD = np.full(6, 0.01)

Matrix = NDArray[np.float64]
Sensors = list[tuple[Matrix, list[NDArray[np.float32]]]]


def pose_at(xyz_m: list[float], rpy_deg: list[float]) -> Matrix:
    """A sensor that looks along its z axis: straight down, but for so much."""
    pose: Matrix = Pose.from_xyz_rpy_deg(xyz_m, rpy_deg).matrix() @ DOWN
    return pose


def engine_of(sensors: Sensors) -> Engine:
    """An engine that has seen these scans."""
    engine = BED.engine()
    for pose, scans in sensors:
        for xyz in scans:
            engine.add(xyz, pose, True)
    engine.finish()
    return engine


def told(engine: Engine, sensors: Sensors) -> float:
    return engine.blind_m2([(Engine.told(pose, STD), scans) for pose, scans in sensors])


def scan(pose: Matrix, level_m: float, step_deg: float, rng: np.random.Generator, lost: float = 0.0) -> Matrix:
    """Directions and ranges (N, 4) of rays to a rough plane about the bed, in the sensor's frame; some are lost."""
    steps = np.radians(np.arange(-70.0, 70.0, step_deg))
    a, b = (np.tan(v).ravel() for v in np.meshgrid(steps, steps))
    ways = np.stack([a, b, np.ones_like(a)], axis=1) / np.sqrt(1.0 + a * a + b * b)[:, None]
    fall = -(ways @ pose[2, :3])
    keep = (fall > 0.1) & (rng.random(len(fall)) >= lost)
    ranges = (pose[2, 3] - level_m) / fall[keep] + rng.normal(0.0, 0.01, keep.sum())
    return np.column_stack([ways[keep], ranges])


def soiled(rays: Matrix, middle: Matrix, width_deg: float, near_m: float) -> NDArray[np.float32]:
    """Points (N, 3) of the rays; those through a spot return from near, or not at all."""
    ways, ranges = rays[:, :3], rays[:, 3].copy()
    ranges[ways @ (middle / np.linalg.norm(middle)) > np.cos(np.radians(0.5 * width_deg))] = near_m
    return (ways * ranges[:, None]).astype(np.float32)


@st.composite
def sights(draw: st.DrawFn) -> Sensors:
    """A level load seen by one or two sensors, most of them through a dirty window."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    level_m, sensors = draw(st.floats(0.1, 1.2)), []
    for _ in range(draw(st.integers(1, 2))):
        place = rng.uniform([-2.2, -1.0, 2.2], [2.2, 1.0, 5.0]).tolist()
        pose = pose_at(place, rng.uniform(-25.0, 25.0, 3).tolist())
        scans = []
        for _ in range(draw(st.integers(1, 2))):
            rays = scan(pose, level_m, draw(st.sampled_from([0.6, 1.0, 1.6])), rng, draw(st.sampled_from([0.0, 0.4])))
            spot = pose[:3, :3].T @ (np.array([*rng.uniform([-1.8, -0.8], [1.8, 0.8]), level_m]) - pose[:3, 3])
            scans.append(soiled(rays, spot, draw(st.floats(0.0, 40.0)), draw(st.sampled_from([0.0, 0.2]))))
        sensors.append((pose, scans))
    return sensors


@given(sights())
def test_as_much_is_blind_as_the_slow_twin_says(sensors: Sensors) -> None:
    engine = engine_of(sensors)
    assert told(engine, sensors) == pytest.approx(blind_m2(BED, engine.height, engine.state, sensors), abs=1e-9)


@pytest.mark.parametrize("width_deg", [0.0, 5.0, 12.0, 20.0, 30.0])
@pytest.mark.parametrize("near_m", [0.0, 0.2])
def test_a_wider_spot_hides_more(width_deg: float, near_m: float) -> None:
    pose = pose_at([0.2, 0.1, 4.0], [5.0, -10.0, 40.0])
    rays = scan(pose, 0.5, 0.6, np.random.default_rng(0))
    sensors = [(pose, [soiled(rays, np.array([0.05, 0.0, 1.0]), width_deg, near_m)])]
    engine = engine_of(sensors)
    area = np.pi * (3.5 * np.tan(np.radians(0.5 * width_deg))) ** 2
    assert told(engine, sensors) == blind_m2(BED, engine.height, engine.state, sensors)
    assert 0.3 * area * (width_deg > 8.0) <= told(engine, sensors) <= 1.5 * area


def test_a_view_that_ends_is_not_blind() -> None:
    """What lies beyond the edge of the field of view is out of view, not behind dirt."""
    pose = pose_at([0.0, 0.0, 4.0], [0.0, 0.0, 0.0])
    x, y = np.meshgrid(np.linspace(-2.0, 2.0, 200), np.linspace(-1.0, 1.0, 100))
    plane = np.stack([x.ravel(), y.ravel(), np.full(x.size, 4.0)], axis=-1).astype(np.float32)
    half = plane[plane[:, 0] < 0.5]
    hole = plane[np.hypot(plane[:, 0], plane[:, 1]) > 0.4]

    def blind(points: NDArray[np.float32]) -> float:
        return told(engine_of([(pose, [points])]), [(pose, [points])])

    assert blind(plane) == 0.0
    assert blind(half) == 0.0
    assert 0.2 < blind(hole) / (np.pi * 0.4**2) < 1.2


@given(st.integers(1, 9), st.integers(1, 9), st.floats(-1.0, 6.0), st.integers(0, 2**32))
def test_the_twin_looks_for_blocks_as_large_as_two_by_two_bins(ny: int, nx: int, far_m: float, seed: int) -> None:
    """What is cheap to see comes first: without such a block there is no blind bin."""
    unseen = np.random.default_rng(seed).random((ny, nx)) < 0.8
    side = max(1, round(2.0 * 0.7 * np.radians(3.0) * far_m / 0.05))
    found = any(unseen[y : y + side, x : x + side].all() for y in range(ny - side + 1) for x in range(nx - side + 1))
    assert may_be_blind(unseen, 0.05, far_m) is found


@pytest.mark.parametrize("side", [2, 3, 4, 6])
def test_what_is_smaller_than_two_by_two_bins_is_no_smudge(side: int) -> None:
    unseen = np.zeros((40, 80), dtype=bool)
    unseen[10 : 10 + side, 20 : 20 + side] = True
    assert may_be_blind(unseen, 0.05, 2.7) is (side >= 4)  # two bins of 3 degrees are 28 cm wide there
