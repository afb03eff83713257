"""Where the bed is in a scan, and why it is not there: on the scan of a box that is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from boxes import scan as box_scan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from volest._core import Engine
from volest.bed import BedModel, Layout, PlacedScan
from volest.pointcloud import Frame
from volest.pose import Pose, rotation_from_rpy
from volest.registration import FLIPS, UNITS, Misfit, Placement, Prior, check_reference, place, prior_of
from volest.truck import Sensor

BOX = Layout(4.0, 2.0, 1.0)
ABOVE = Pose.from_xyz_rpy_deg((0.0, 0.0, 4.0), (0.0, 0.0, 0.0))
Cloud = NDArray[np.float32]


@pytest.fixture(scope="module")
def bed() -> BedModel:
    return BedModel.nominal(BOX)


@pytest.fixture(scope="module")
def engine(bed: BedModel) -> Engine:
    return bed.engine()


@pytest.fixture(scope="module")
def scan() -> Cloud:
    """The box half full, from 4 m above its floor, with 5 mm of noise."""
    points = box_scan(0.5)
    return (points + np.random.default_rng(0).normal(0.0, 0.005, points.shape)).astype(np.float32)


def sensor(xyz_m: float = 0.005, rpy_deg: float = 0.1) -> Sensor:
    return Sensor("top", ABOVE, pose_std_xyz_m=xyz_m, pose_std_rpy_rad=math.radians(rpy_deg))


def middle_off(found: Placement) -> float:
    """How far the middle of the bed is put off, m."""
    middle = np.array([0.0, 0.0, 0.5])
    seen = ABOVE.inverse().apply(middle[None])[0]
    return float(np.linalg.norm(found.pose[:3, :3] @ seen + found.pose[:3, 3] - middle))


def turn_of(found: Placement) -> float:
    """The angle to the true attitude, degrees."""
    return math.degrees(math.acos(min(1.0, (np.trace(found.pose[:3, :3]) - 1.0) / 2.0)))


def placed(engine: Engine, prior: Prior, xyz: Cloud) -> Placement:
    found = place(engine, prior, Frame.of(xyz))
    assert isinstance(found, Placement), found
    return found


# --- what is known beforehand -----------------------------------------------------------------------------------------


def test_prior_is_what_the_truck_file_tells() -> None:
    prior = prior_of(sensor(0.02, 0.5))
    assert np.array_equal(prior.pose, ABOVE.matrix())
    assert prior.std == pytest.approx([0.02] * 3 + [math.radians(0.5)] * 3)
    assert prior.rays
    assert prior.std_m == pytest.approx(math.hypot(0.02, 3.0 * math.radians(0.5)))


def test_a_pose_told_as_exact_is_not_believed_to_the_atom() -> None:
    assert prior_of(sensor(0.0, 0.0)).std == pytest.approx([1e-3] * 6)


def test_a_cloud_in_the_bed_frame_has_no_rays() -> None:
    prior = prior_of(None)
    assert np.array_equal(prior.pose, np.eye(4))
    assert not prior.rays


# --- where it is told -------------------------------------------------------------------------------------------------


def test_a_sensor_where_it_is_told_is_found_there(engine: Engine, scan: Cloud) -> None:
    found = placed(engine, prior_of(sensor()), scan)
    assert not found.moved
    assert middle_off(found) < 0.003
    assert turn_of(found) < 0.05
    assert found.found.evidence > 0.9
    assert found.counts.inside > 0.5 * len(scan)
    assert found.counts.through == found.counts.beside == 0


@settings(max_examples=30)
@given(
    shift=st.tuples(*[st.floats(-0.025, 0.025)] * 3),
    turn=st.tuples(*[st.floats(-0.4, 0.4)] * 3),
)
def test_small_motions_are_found(
    engine: Engine, scan: Cloud, shift: tuple[float, ...], turn: tuple[float, ...]
) -> None:
    prior = prior_of(sensor(0.02, 0.5))
    told = prior.pose.copy()
    told[:3, :3] = rotation_from_rpy(*(math.radians(angle) for angle in turn)) @ told[:3, :3]
    told[:3, 3] += shift
    found = placed(engine, Prior(told, prior.std, True), scan)
    assert middle_off(found) < 0.006
    assert turn_of(found) < 0.15
    std = np.sqrt(np.diag(found.covariance))
    assert (std > 0.0).all()
    assert (std < prior.std * np.sqrt(2.0)).all()


def test_order_of_the_points_changes_no_bit(engine: Engine, scan: Cloud) -> None:
    prior = prior_of(sensor(0.02, 0.5))
    found = placed(engine, prior, scan)
    again = placed(engine, prior, np.random.default_rng(1).permutation(scan))
    assert found.pose.tobytes() == again.pose.tobytes()
    assert found.covariance.tobytes() == again.covariance.tobytes()


def test_a_cloud_in_the_bed_frame_is_found(engine: Engine, scan: Cloud) -> None:
    found = placed(engine, prior_of(None), ABOVE.apply(scan).astype(np.float32))
    assert np.abs(found.pose - np.eye(4)).max() < 0.004
    assert not found.rays


# --- where it is not told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shift",
    [(0.2, 0, 0), (0, -0.15, 0), (0, 0, 0.1), (0, 0, -0.1), (0, 0, 0.25), (0, 0, -0.25), (0.1, 0.1, 0.1)],
)
def test_a_sensor_that_was_knocked_is_found_and_told(engine: Engine, scan: Cloud, shift: tuple[float, ...]) -> None:
    """Walls alone do not hold the height: a sensor 10 cm too high was once taken for sound."""
    prior = prior_of(sensor())
    told = prior.pose.copy()
    told[:3, 3] += shift
    found = placed(engine, Prior(told, prior.std, True), scan)
    assert found.moved
    assert middle_off(found) < 0.01
    assert np.sqrt(found.covariance[2, 2]) >= 0.01  # it is believed less than one where it was told


@pytest.mark.parametrize("unit", UNITS)
def test_other_units_are_told(engine: Engine, scan: Cloud, unit: str) -> None:
    found = place(engine, prior_of(sensor()), Frame.of(scan / np.float32(UNITS[unit])))
    assert isinstance(found, Misfit)
    assert found.flag == "wrong_unit"
    assert unit in found.reason


@pytest.mark.parametrize("flip", FLIPS[:1] + FLIPS[2:])
def test_a_sensor_turned_over_is_told(engine: Engine, scan: Cloud, flip: NDArray[np.float64]) -> None:
    found = place(engine, prior_of(sensor()), Frame.of((scan @ flip[:3, :3].T).astype(np.float32)))
    assert isinstance(found, Misfit)
    assert found.flag == "upside_down"


def test_a_bed_turned_half_about_looks_the_same(engine: Engine, scan: Cloud) -> None:
    """A box without a headboard: nobody could tell."""
    found = place(engine, prior_of(sensor()), Frame.of((scan * np.array([-1, -1, 1])).astype(np.float32)))
    assert isinstance(found, Placement)


@pytest.mark.parametrize(
    ("layout", "flags"),
    [
        (Layout(2.6, 1.3, 0.6), {"wrong_truck", "sensor_moved", "no_bed"}),
        (Layout(6.0, 2.5, 1.5), {"no_bed", "wrong_truck", "sensor_moved"}),
    ],
)
def test_another_truck_is_told(scan: Cloud, layout: Layout, flags: set[str]) -> None:
    other = BedModel.nominal(layout)
    found = place(other.engine(), prior_of(sensor()), Frame.of(scan))
    assert isinstance(found, Misfit)
    assert found.flag in flags
    assert any(character.isdigit() for character in found.reason)


def test_a_plain_field_is_no_bed(engine: Engine) -> None:
    x, y = np.meshgrid(np.linspace(-6, 6, 150), np.linspace(-6, 6, 150))
    field = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, -4.8)]).astype(np.float32)
    found = place(engine, prior_of(sensor()), Frame.of(field))
    assert isinstance(found, Misfit)
    assert found.flag in {"no_bed", "sensor_moved", "wrong_truck"}


def test_a_few_points_are_no_bed(engine: Engine, scan: Cloud) -> None:
    found = place(engine, prior_of(sensor()), Frame.of(scan[:3]))
    assert isinstance(found, Misfit)
    assert found.flag == "no_bed"


# --- the reference ----------------------------------------------------------------------------------------------------


def test_a_reference_shows_its_own_bed(engine: Engine) -> None:
    empty = box_scan(0.0)
    assert check_reference(engine, PlacedScan(empty, ABOVE.matrix(), True, 0.01)) is None


def test_a_reference_of_something_else_is_told(engine: Engine) -> None:
    rng = np.random.default_rng(2)
    heap = rng.normal(0.0, [0.8, 0.8, 0.2], (5000, 3)).astype(np.float32) - np.array([0, 0, 3.5], np.float32)
    misfit = check_reference(engine, PlacedScan(heap, ABOVE.matrix(), True, 0.01))
    assert misfit is not None
    assert misfit.flag in {"no_bed", "wrong_truck", "sensor_moved"}
