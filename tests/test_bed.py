"""The empty bed, from nominal dimensions and from scans of it, against simulated beds whose shape is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boxes import scan as box_scan
from hypothesis import given
from hypothesis import strategies as st
from simulated_loads import BED, MAST, REAR, TOP, error_of, estimator_of, scans_of, scene

from volest.bed import LEVELS, SEEN_STD_M, UNSEEN_STD_M, BedModel, Layout, PlacedScan
from volest.reference import bed_from_scans
from volest.registration import prior_of
from volest.simulate import Simulated, random_scene, simulate
from volest.truck import Truck

FRONT, REAR_WALL, LEFT, RIGHT = range(4)
EXTENT = st.floats(0.05, 30.0)


def model_of(made: Simulated) -> BedModel:
    """The bed that the simulated scans of the empty truck show."""
    truck = Truck.from_dict(made.truck)
    layout = Layout(truck.bed.length_m, truck.bed.width_m, truck.bed.height_m)
    placed = []
    for sensor in truck.sensors:
        prior = prior_of(sensor)
        placed.append(PlacedScan(made.empty_scans[sensor.id].xyz, prior.pose, prior.rays, prior.std_m))
    return bed_from_scans(layout, placed)[0]


def empty(*sensors: dict[str, Any], **bed: Any) -> Simulated:
    return simulate(scene("none", 0.0, *sensors, bed=BED | bed))


def opening_of(bed: BedModel) -> tuple[float, float]:
    """Length and width of the opening at the wall tops."""
    x, y = (np.linspace(-3.0, 3.0, 6001) for _ in range(2))
    z = np.full_like(x, bed.rim[0])

    def side(points: np.ndarray) -> float:
        inside = (points @ bed.walls[:, :3].T - bed.walls[:, 3]).min(axis=1) > 0.0
        return float(inside.sum()) * 1e-3

    zero = np.zeros_like(x)
    return side(np.column_stack([x, zero, z])), side(np.column_stack([zero, y, z]))


def floor_error(bed: BedModel, made: Simulated, inset_m: float = 0.2) -> np.ndarray:
    """How far the floor is off in the cells well inside the walls."""
    nx, ny = bed.layout.shape
    x, y = np.meshgrid(bed.layout.centres_m(nx), bed.layout.centres_m(ny))
    x0, x1, y0, y1 = made.world.bed.footprint_m
    inside = (x > x0 + inset_m) & (x < x1 - inset_m) & (y > y0 + inset_m) & (y < y1 - inset_m)
    error: np.ndarray = (bed.floor - made.world.bed.empty_m(x, y))[inside]
    return error


# --- the grid ---------------------------------------------------------------------------------------------------------


@given(EXTENT, EXTENT, EXTENT)
def test_grid_covers_the_bed_and_stays_bounded(length_m: float, width_m: float, height_m: float) -> None:
    layout = Layout(length_m, width_m, height_m)
    nx, ny = layout.shape
    assert nx * layout.cell_m >= length_m
    assert ny * layout.cell_m >= width_m
    assert min(nx, ny) >= 1
    assert max(nx, ny) <= 4096
    assert nx * ny < 500_000
    assert 0.0 < layout.scale <= 1.0
    assert layout.lowest_m < 0.0 < height_m < layout.highest_m
    assert layout.lowest_m + LEVELS * layout.level_m == pytest.approx(layout.highest_m)
    assert layout.centres_m(nx).sum() == pytest.approx(0.0, abs=1e-6)
    assert BedModel.nominal(layout).floor.shape == (ny, nx)


def test_a_truck_has_cells_of_five_centimetres() -> None:
    assert Layout(4.2, 2.1, 1.3).cell_m == 0.05
    assert Layout(4.2, 2.1, 1.3).scale == 1.0
    assert Layout(0.48, 0.38, 0.16).cell_m < 0.01


def test_the_nominal_bed_is_a_box() -> None:
    bed = BedModel.nominal(Layout(4.0, 2.0, 1.0))
    assert opening_of(bed) == pytest.approx((4.0, 2.0), abs=2e-3)
    assert np.linalg.norm(bed.walls[:, :3], axis=1) == pytest.approx(1.0)
    engine = bed.engine()
    engine.add(box_scan(0.5), np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 4], [0, 0, 0, 1]], float), True)
    engine.finish()
    assert engine.integral().struck_capacity == pytest.approx(8.0)


# --- from scans of the empty bed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sensors", [(TOP,), (MAST, REAR)], ids=["top", "mast+rear"])
def test_walls_rim_and_floor_are_found(sensors: tuple[dict[str, Any], ...]) -> None:
    made = empty(*sensors, lean_deg=[1.0, 2.0, 4.0, 3.0], sag_m=0.02, headboard_m=0.0)
    bed, truth = model_of(made), made.world.bed
    x0, x1, y0, y1 = truth.footprint_m
    assert opening_of(bed) == pytest.approx((x1 - x0, y1 - y0), abs=0.015)
    assert bed.rim[0] == pytest.approx(truth.wall_top_m, abs=0.008)
    assert bed.rim[1:] == pytest.approx(0.0, abs=0.004)
    lean_deg = np.degrees(np.arctan(bed.walls[:, 2]))
    assert lean_deg == pytest.approx([1.0, 2.0, 4.0, 3.0], abs=0.8)
    error = floor_error(bed, made)
    assert abs(error.mean()) < 0.008
    assert error.std() < 0.015
    assert (bed.wall_std_m == SEEN_STD_M).all()


def test_a_wall_that_no_sensor_faces_is_known_less_well() -> None:
    bed = model_of(empty(MAST))
    assert bed.wall_std_m[FRONT] == UNSEEN_STD_M
    assert (bed.wall_std_m[[REAR_WALL, LEFT, RIGHT]] == SEEN_STD_M).all()
    assert opening_of(bed)[0] == pytest.approx(4.2, abs=0.06)


def test_ribs_thicken_the_liner() -> None:
    plain = model_of(empty(TOP))
    ribbed = model_of(empty(TOP, ribs={"count": 8, "depth_m": 0.06, "width_m": 0.1}))
    assert (ribbed.liner[[LEFT, RIGHT]] > plain.liner[[LEFT, RIGHT]] + 0.003).all()
    assert (ribbed.skin[[LEFT, RIGHT]] >= 0.055).all()


def test_wheel_arches_and_the_hoist_box_are_part_of_the_floor() -> None:
    arch = {"x_m": -0.5, "length_m": 0.9, "width_m": 0.3, "height_m": 0.25}
    parts = {"arches": [{"side": side, **arch} for side in ("left", "right")], "doghouse_m": [0.4, 0.5, 0.6]}
    made = empty(TOP, headboard_m=0.0, **parts)
    bed = model_of(made)
    x, y = (bed.layout.centres_m(n) for n in bed.layout.shape)
    at_arch = np.ix_(np.abs(y - 0.9) < 0.06, np.abs(x + 0.5) < 0.3)
    at_box = np.ix_(np.abs(y) < 0.15, np.abs(x - 1.95) < 0.06)
    assert bed.floor[at_arch] == pytest.approx(0.25, abs=0.03)
    assert bed.floor[at_box] == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("below_m", [0.1, 0.06, 0.02, -0.02])
@pytest.mark.parametrize("sensor", [TOP, MAST], ids=["top", "mast"])
def test_a_hoist_box_as_high_as_the_walls_is_not_load(below_m: float, sensor: dict[str, Any], tmp_path: Path) -> None:
    """Its top was taken for the edge of a wall top, so that each load had the box's volume too much."""
    made = simulate(scene("smooth", 0.5, sensor, bed=BED | {"doghouse_m": [0.4, 0.5, BED["height_m"] - below_m]}))
    result = estimator_of(made, tmp_path).estimate(scans_of(made))
    assert abs(error_of(result, made)) < 0.0125


def test_hoops_and_a_tarp_roll_are_fixtures_and_no_floor(tmp_path: Path) -> None:
    made = empty(TOP, bows=3, tarp_roll="left")
    bed = model_of(made)
    plain = model_of(empty(TOP))
    assert (bed.fixtures != 0).sum() > (plain.fixtures != 0).sum() + 20
    assert np.abs(floor_error(bed, made)).max() < 0.1
    loaded = simulate(scene("smooth", 0.8, TOP, bed=BED | {"bows": 3, "tarp_roll": "left"}))
    assert abs(error_of(estimator_of(loaded, tmp_path).estimate(scans_of(loaded)), loaded)) < 0.015


def test_dust_in_the_empty_bed_is_no_floor_and_no_fixture() -> None:
    made = empty(TOP | {"noise": {"stray": 0.02}}, headboard_m=0.0)
    bed = model_of(made)
    assert np.abs(floor_error(bed, made)).max() < 0.1
    assert (bed.fixtures != 0).sum() < 10


@pytest.mark.parametrize("shift_m", [(0.0, 0.0, 0.03), (0.03, 0.0, 0.0), (0.0, -0.03, -0.02)])
def test_a_pose_told_wrong_is_put_right_by_the_bed(shift_m: tuple[float, ...]) -> None:
    """Wall tops at their nominal height and walls about the middle tell where the sensor was."""
    made = empty(TOP | {"pose_std": {"xyz_m": 0.03, "rpy_deg": 0.3}}, headboard_m=0.0, d_height_m=0.0)
    truck = Truck.from_dict(made.truck)
    layout = Layout(truck.bed.length_m, truck.bed.width_m, truck.bed.height_m)
    prior = prior_of(truck.sensors[0])
    wrong = prior.pose.copy()
    wrong[:3, 3] += shift_m
    beds = []
    for pose in (prior.pose, wrong):
        bed, (scan,) = bed_from_scans(layout, [PlacedScan(made.empty_scans["top"].xyz, pose, True, prior.std_m)])
        beds.append((bed, scan))
    (right, at_right), (moved, at_moved) = beds
    assert np.abs(at_right.pose[:3, 3] - at_moved.pose[:3, 3]).max() < 0.012
    assert moved.rim[0] == pytest.approx(right.rim[0], abs=0.008)
    assert np.abs(floor_error(moved, made)).mean() < 0.02


def test_bad_points_in_the_reference_change_nothing() -> None:
    made = empty(TOP)
    cloud = made.empty_scans["top"]
    bad = np.array([(np.nan, 0, 0), (0, 0, 0), (np.inf, 1, 1), (1e30, 0, 0)], np.float32)
    dirty = np.insert(cloud.xyz, [0, 10, 500, 3000], bad, axis=0)
    prior = prior_of(Truck.from_dict(made.truck).sensors[0])
    layout = Layout(4.2, 2.1, 1.3)
    clean, mixed = (
        bed_from_scans(layout, [PlacedScan(xyz, prior.pose, True, prior.std_m)])[0] for xyz in (cloud.xyz, dirty)
    )
    for name in ("walls", "rim", "skin", "liner", "covered", "floor", "fixtures"):
        assert getattr(clean, name).tobytes() == getattr(mixed, name).tobytes(), name


@pytest.mark.parametrize(
    ("seed", "most"),
    [
        pytest.param(4_000_428, 0.04, id="side walls out of view: wheel arches and stray points are no wall"),
        pytest.param(4_000_085, 0.02, id="dust where no ray reaches the floor: two specks at one height"),
        pytest.param(4_000_185, 0.02, id="a gate, told 4 cm and 0.9 deg: wall tops out of view or under a tarp"),
        pytest.param(4_000_495, 0.02, id="walls out of view lean as those in view"),
    ],
)
def test_capacity_of_a_bed_scanned_by_sixteen_rows(seed: int, most: float, tmp_path: Path) -> None:
    """Each was 4 to 9 % too small."""
    made = simulate(random_scene(np.random.default_rng(seed), sensor="vlp16" if seed % 5 == 0 else None))
    assert all(sensor.rows == 16 for sensor in made.scene.sensor)
    result = estimator_of(made, tmp_path).estimate(scans_of(made))
    assert result.struck_capacity_m3 == pytest.approx(made.truth["struck_capacity_m3"], rel=most)


def test_dust_over_a_floor_that_no_sensor_saw_is_no_floor(tmp_path: Path) -> None:
    """A mast behind a headboard sees nothing of the floor before it: specks there made the bed 5 % smaller."""
    made = simulate(random_scene(np.random.default_rng(1_000_250)))
    result = estimator_of(made, tmp_path).estimate(scans_of(made))
    assert result.struck_capacity_m3 == pytest.approx(made.truth["struck_capacity_m3"], rel=0.02)
