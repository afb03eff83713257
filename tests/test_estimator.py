"""The estimator: what it takes, what it refuses, what it promises of its answers."""

from __future__ import annotations

import json
import math
import threading
import tomllib
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boxes import TRUCK
from boxes import scan as box_scan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from simulated_loads import (
    BED,
    MAST,
    REAR,
    TOP,
    covers,
    error_of,
    estimator_of,
    mirrored,
    scans_of,
    scene,
    turned,
)

import volest
from volest import Estimator, InputError, PackedPoints, RangeImage, Result, ScanError, Truck
from volest.pointcloud import Frame
from volest.pose import Pose
from volest.simulate import Simulated, random_scene, simulate
from volest.uncertainty import GENERIC

Cloud = NDArray[np.float32]

BAD = [(np.nan, 0, 0), (1, np.inf, 1), (0, 0, 0), (1e30, 1, -1), (0, -np.inf, 0), (-0.0, 0, 0)]


@pytest.fixture(scope="module")
def rough() -> Simulated:
    """A rough load under a scanner overhead, with a scan of the empty bed and a weight."""
    return simulate(scene("rough", 0.6, weight={"kind": "number"}))


@pytest.fixture(scope="module")
def estimator(rough: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    return estimator_of(rough, tmp_path_factory.mktemp("rough"))


@pytest.fixture(scope="module")
def top(rough: Simulated) -> Cloud:
    return rough.scans["top"][0].xyz


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    """The estimator of a nominal box of 4 x 2 x 1 m."""
    path = tmp_path_factory.mktemp("box") / "truck.toml"
    path.write_text(TRUCK)
    return Estimator(Truck.load(path))


def numbers_of(result: Result) -> dict[str, Any]:
    """All that a result says but for how long it took."""
    document = result.to_dict()
    del document["timing_ms"]
    return document


def assert_same(a: Result, b: Result) -> None:
    """Equal to the last bit, the height maps too."""
    assert numbers_of(a) == numbers_of(b)
    assert (a.surface is None) == (b.surface is None)
    if a.surface is not None and b.surface is not None:
        for name in ("x_m", "y_m", "load_m", "empty_m", "bound_m", "seen"):
            assert getattr(a.surface, name).tobytes() == getattr(b.surface, name).tobytes()
        assert a.surface.wall_top_m == b.surface.wall_top_m


# --- what it takes ----------------------------------------------------------------------------------------------------


def test_a_load_is_estimated(estimator: Estimator, rough: Simulated) -> None:
    result = estimator.estimate(scans_of(rough), gross_kg=rough.gross_kg, load_id="L1")
    assert (result.status, result.flags, result.load_id) == ("ok", (), "L1")
    assert abs(error_of(result, rough)) < 0.02
    assert covers(result, rough)
    assert result.volume_m3 is not None
    assert result.volume_m3.std < 0.03 * rough.truth["struck_capacity_m3"]
    assert result.struck_capacity_m3 == pytest.approx(rough.truth["struck_capacity_m3"], rel=0.015)
    assert result.fill_ratio == pytest.approx(rough.truth["fill_ratio"], abs=0.03)
    assert result.centroid_m == pytest.approx(rough.truth["centroid_m"], abs=0.05)
    assert result.heaped_volume_m3 == pytest.approx(rough.truth["heaped_volume_m3"], abs=0.05)
    assert result.net_mass_kg is not None
    assert result.net_mass_kg.value == pytest.approx(rough.truth["net_mass_kg"], rel=0.1)
    assert result.bulk_density_kg_m3 is not None
    assert result.seen_fraction is not None
    assert 0.8 < result.seen_fraction <= 1.0


def test_budget_adds_up_to_the_uncertainty(estimator: Estimator, top: Cloud) -> None:
    result = estimator.estimate(top)
    assert result.volume_m3 is not None
    assert result.volume_budget_m3 is not None
    assert set(result.volume_budget_m3) == {"hidden", "pose", "reference", "range", "surface"}
    assert all(math.isfinite(part) and part >= 0.0 for part in result.volume_budget_m3.values())
    assert math.hypot(*result.volume_budget_m3.values()) == pytest.approx(result.volume_m3.std)


def test_bare_array_mapping_and_list_are_the_same(estimator: Estimator, top: Cloud) -> None:
    expected = estimator.estimate(top)
    for scans in ({"top": top}, {"top": [top]}, {"top": (top,)}):
        assert_same(estimator.estimate(scans), expected)


def test_the_same_frame_twice_says_nothing_new(estimator: Estimator, top: Cloud) -> None:
    assert_same(estimator.estimate({"top": [top, top.copy()]}), estimator.estimate(top))


def test_frames_are_fused(tmp_path: Path) -> None:
    made = simulate(scene("rough", 0.5, TOP | {"columns": 256, "frames": 3}))
    estimator = estimator_of(made, tmp_path)
    frames = [cloud.xyz for cloud in made.scans["top"]]
    one, three = estimator.estimate(frames[0]), estimator.estimate({"top": frames})
    assert covers(three, made)
    assert one.seen_fraction is not None
    assert three.seen_fraction is not None
    assert three.seen_fraction > one.seen_fraction - 0.005  # cells between returns are asked for nearer ones
    assert three.volume_m3 is not None
    assert one.volume_m3 is not None
    assert three.volume_m3.std <= 1.1 * one.volume_m3.std  # roughness is known better, and may turn out greater
    assert_same(estimator.estimate({"top": frames[::-1]}), three)


def test_two_sensors_see_more_than_one(tmp_path: Path) -> None:
    made = simulate(scene("rough", 0.6, MAST, REAR))
    estimator = estimator_of(made, tmp_path)
    scans = scans_of(made)
    assert isinstance(scans, dict)
    both, mast = estimator.estimate(scans), estimator.estimate({"mast": scans["mast"]})
    assert covers(both, made)
    assert covers(mast, made)
    assert both.seen_fraction is not None
    assert mast.seen_fraction is not None
    assert both.seen_fraction > mast.seen_fraction
    assert_same(estimator.estimate(dict(reversed(scans.items()))), both)


def test_scans_in_the_bed_frame(tmp_path: Path) -> None:
    made = simulate(scene("rough", 0.6, MAST, REAR, merged=True))
    assert not made.truck["sensor"]
    result = estimator_of(made, tmp_path).estimate(scans_of(made))
    assert result.status == "ok"
    assert abs(error_of(result, made)) < 0.03
    assert covers(result, made)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float32])
def test_a_range_image_tells_what_its_points_tell(estimator: Estimator, top: Cloud, dtype: type) -> None:
    image = image_of(top, dtype)
    expected = estimator.estimate(image.to_points())
    assert expected.status == "ok"
    for _ in range(2):  # the second time its rays are known
        assert_same(estimator.estimate({"top": image}), expected)
    many = estimator.estimate_many([{"scans": image}] * 3, workers=2)
    assert all(numbers_of(one) == numbers_of(expected) for one in many)
    told = Estimator(estimator.truck, find_bed=False)
    assert_same(told.estimate(image), told.estimate(image.to_points()))


def test_the_rays_of_each_table_are_known_apart(estimator: Estimator, top: Cloud) -> None:
    image, other = image_of(top, np.uint16), image_of(top[::-1], np.uint16)
    assert estimator.estimate(image).volume_m3 is not None
    assert_same(estimator.estimate(other), estimator.estimate(other.to_points()))
    aside = RangeImage(image.range_mm[:, ::-1], image.directions[:, ::-1])  # not in one piece
    assert_same(estimator.estimate(aside), estimator.estimate(aside.to_points()))


def test_range_images_with_lost_and_absurd_ranges(estimator: Estimator, top: Cloud) -> None:
    image = image_of(top, np.float32)
    expected = estimator.estimate(image)
    for row, worth in enumerate((np.nan, np.inf, -np.inf, -5.0, 0.0, 1e30)):
        image.range_mm[row, ::7] = worth
    assert_same(estimator.estimate(image), estimator.estimate(image.to_points()))
    assert numbers_of(estimator.estimate(image)) != numbers_of(expected)


def image_of(xyz: Cloud, dtype: type) -> RangeImage:
    """As many of the points as fill a range image of 64 rows."""
    distance = np.linalg.norm(xyz, axis=1)
    rows = len(xyz) // 64 * 64
    directions = (xyz / distance[:, None])[:rows].reshape(64, -1, 3)
    ranges = np.rint(1e3 * distance[:rows]) if dtype != np.float32 else 1e3 * distance[:rows]
    return RangeImage(ranges.astype(dtype).reshape(64, -1), directions)


def test_packed_points_tell_what_points_tell(estimator: Estimator, top: Cloud) -> None:
    packed = PackedPoints(np.rint(1e3 * top).astype(np.int16))
    expected = estimator.estimate(packed.to_points())
    assert expected.status == "ok"
    assert_same(estimator.estimate(packed), expected)
    wide = np.zeros((len(top), 4), np.int16)
    wide[:, :3] = packed.xyz_mm
    assert_same(estimator.estimate({"top": [PackedPoints(wide), packed]}), expected)


def test_float64_wide_rows_and_views_are_taken(estimator: Estimator, top: Cloud) -> None:
    expected = estimator.estimate(top)
    wide = np.full((len(top), 6), np.nan, np.float32)
    wide[:, :3] = top
    swapped = top.astype(">f4")
    for points in (top.astype(np.float64), wide, wide[:, :3], np.asfortranarray(top), swapped, top[::-1]):
        assert_same(estimator.estimate(points), expected)


def test_scans_are_left_as_they_are(estimator: Estimator, top: Cloud) -> None:
    before = top.copy()
    top.flags.writeable = False
    try:
        estimator.estimate(top)
    finally:
        top.flags.writeable = True
    assert top.tobytes() == before.tobytes()


def test_a_result_does_not_change_with_the_next_load(estimator: Estimator, top: Cloud, rough: Simulated) -> None:
    first = estimator.estimate(top)
    assert first.surface is not None
    kept = first.surface.load_m.copy()
    estimator.estimate(rough.empty_scans["top"].xyz)
    assert first.surface.load_m.tobytes() == kept.tobytes()


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2), np.float32),
        np.zeros(9, np.float32),
        np.zeros((2, 5, 3), np.float32),
        np.zeros((5, 3), np.complex64),
        np.zeros((5, 3), bool),
        np.array([["a", "b", "c"]]),
        np.array([[None, 1, 2]], dtype=object),
        np.zeros(4, dtype=[("x", "f4")]),
        [[1.0, 2.0, 3.0]],
        None,
        "top.pcd",
        7.0,
    ],
)
def test_other_shapes_and_kinds_are_refused(box: Estimator, points: Any) -> None:
    with pytest.raises(InputError, match=r"expected an \(N, 3\) array"):
        box.estimate(points)
    with pytest.raises(InputError, match="scan top"):
        box.estimate({"top": [points]})


def test_range_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="range_mm"):
        RangeImage(np.zeros((2, 2), np.int32), np.zeros((2, 2, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="directions"):
        RangeImage(np.zeros((2, 2), np.uint16), np.zeros((2, 3, 3), np.float32))
    with pytest.raises(InputError, match="xyz_mm"):
        PackedPoints(np.zeros((2, 3), np.int32))  # type: ignore[arg-type]


def test_unknown_sensors_are_refused(box: Estimator) -> None:
    with pytest.raises(InputError, match="'rear', expected top"):
        box.estimate({"top": box_scan(), "rear": box_scan()})


def test_no_and_too_many_frames_are_refused(box: Estimator) -> None:
    for scans in ({}, {"top": []}, {"top": [box_scan()] * 65}):
        with pytest.raises(InputError, match="expected 1 to 64"):
            box.estimate(scans)


def test_a_bare_array_for_two_sensors_is_refused() -> None:
    document = tomllib.loads(TRUCK)
    document["sensor"].append(document["sensor"][0] | {"id": "rear"})
    with pytest.raises(InputError, match="expected a mapping from top, rear to scans"):
        Estimator(Truck.from_dict(document)).estimate(box_scan())


def test_a_weight_without_a_scale_is_refused() -> None:
    document = tomllib.loads(TRUCK)
    del document["scale"]
    with pytest.raises(InputError, match=r"no \[scale\]"):
        Estimator(Truck.from_dict(document)).estimate(box_scan(), gross_kg=5000.0)


def test_more_points_than_the_core_counts_are_refused(box: Estimator) -> None:
    """The core's plain ValueError is none of the errors that callers are told to expect."""
    many = np.broadcast_to(np.ones(3, np.float32), (2**24, 3))
    with pytest.raises(InputError, match="16,777,215"):
        box.estimate(many)
    with pytest.raises(InputError, match="16,777,215"):
        box.estimate({"top": [many[:9_000_000], many[:8_000_000]]})


# --- loads that cannot be measured ------------------------------------------------------------------------------------


def assert_rejected(result: Result, *flags: str) -> None:
    """Rejected for one of these reasons, with no number made up."""
    assert result.status == "rejected"
    assert set(result.flags) & set(flags), (result.flags, result.reasons)
    assert result.reasons
    assert all(reason.strip() for reason in result.reasons)
    document = json.loads(result.to_json(), parse_constant=pytest.fail)
    told = {"schema", "load_id", "truck_id", "status", "flags", "reasons", "timing_ms", "provenance"}
    assert {key for key, value in document.items() if value is not None} == told


@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf, 1e30, -0.0])
def test_a_scan_without_a_return_is_rejected(box: Estimator, value: float) -> None:
    assert_rejected(box.estimate(np.full((1000, 3), value)), "no_points")
    assert_rejected(box.estimate(np.full((1000, 3), value), gross_kg=5000.0), "no_points")


def test_a_scan_without_rows_is_rejected(box: Estimator) -> None:
    assert_rejected(box.estimate(np.zeros((0, 3), np.float32)), "no_points")
    assert_rejected(box.estimate(RangeImage(np.zeros((4, 4), np.uint16), np.ones((4, 4, 3), np.float32))), "no_points")


def test_frames_without_returns_beside_sound_ones_are_passed_over(box: Estimator) -> None:
    nothing = np.full((100, 3), np.nan, np.float32)
    assert_same(box.estimate({"top": [nothing, box_scan()]}), box.estimate(box_scan()))


@pytest.mark.parametrize("factor", [1e3, 1e2, 1 / 0.0254, 1 / 0.3048])
def test_other_units_are_told(estimator: Estimator, top: Cloud, factor: float) -> None:
    assert_rejected(estimator.estimate(top * np.float32(factor)), "wrong_unit")


@pytest.mark.parametrize("flip", [(1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
def test_a_sensor_turned_over_is_told(tmp_path: Path, flip: tuple[int, int, int]) -> None:
    made = simulate(scene("rough", 0.6, MAST))
    scan = made.scans["mast"][0].xyz * np.array(flip, np.float32)
    assert_rejected(estimator_of(made, tmp_path).estimate(scan), "upside_down", "sensor_moved", "no_bed")


@pytest.mark.parametrize(
    ("xyz_m", "rpy_deg"),
    [((0.15, 0.0, 0.0), (0, 0, 0)), ((0.0, -0.12, 0.05), (0, 0, 2.0)), ((0.05, 0.1, -0.1), (1.5, -1.0, 1.5))],
)
def test_a_knocked_sensor_is_told_and_its_interval_holds_the_truth(
    rough: Simulated, top: Cloud, tmp_path: Path, xyz_m: tuple[float, ...], rpy_deg: tuple[float, ...]
) -> None:
    estimator = estimator_of(rough, tmp_path)
    knock = Pose.from_xyz_rpy_deg(xyz_m, rpy_deg)
    result = estimator.estimate(knock.apply(top))
    assert result.status == "degraded"
    assert "sensor_moved" in result.flags
    assert covers(result, rough)
    before = estimator.estimate(top)
    assert result.volume_m3 is not None
    assert before.volume_m3 is not None
    assert result.volume_m3.std > before.volume_m3.std


@pytest.mark.parametrize("size", [(3.0, 1.6, 0.7), (5.5, 2.4, 1.3), (4.2, 1.6, 1.3)])
def test_the_scan_of_another_truck_is_never_ok(rough: Simulated, top: Cloud, size: tuple[float, ...]) -> None:
    bed = dict(zip(("length_m", "width_m", "height_m"), size, strict=True))
    other = Estimator(Truck.from_dict(rough.truck | {"bed": bed}))
    result = other.estimate(top)
    assert result.status == "rejected" or (result.status == "degraded" and "sensor_moved" in result.flags)


def test_noise_in_the_air_is_no_bed(box: Estimator) -> None:
    rng = np.random.default_rng(0)
    result = box.estimate(rng.normal(0.0, 20.0, (20000, 3)).astype(np.float32))
    assert_rejected(result, "no_bed", "wrong_truck", "sensor_moved")


# --- reference scans --------------------------------------------------------------------------------------------------


def test_a_reference_that_is_missing_is_an_input_error(rough: Simulated) -> None:
    with pytest.raises(InputError, match=r"not-there\.npy"):
        Estimator(Truck.from_dict(rough.truck | {"bed": rough.truck["bed"] | {"reference": "not-there.npy"}}))


def test_a_reference_without_returns_is_an_input_error(rough: Simulated, tmp_path: Path) -> None:
    np.save(tmp_path / "nothing.npy", np.full((50, 3), np.nan, np.float32))
    truck = Truck.from_dict(rough.truck | {"bed": rough.truck["bed"] | {"reference": "nothing.npy"}}, tmp_path)
    with pytest.raises(ScanError, match=r"nothing\.npy: reference scan without a single return"):
        Estimator(truck)


def test_a_reference_of_another_truck_is_an_input_error(rough: Simulated, tmp_path: Path) -> None:
    np.save(tmp_path / "empty.npy", rough.empty_scans["top"].xyz)
    bed = {"length_m": 3.0, "width_m": 1.5, "height_m": 0.6, "reference": "empty.npy"}
    with pytest.raises(ScanError, match=r"empty\.npy: reference scan") as raised:
        Estimator(Truck.from_dict(rough.truck | {"bed": bed}, tmp_path))
    assert raised.value.flag


def test_the_empty_bed_holds_nothing(estimator: Estimator, rough: Simulated) -> None:
    result = estimator.estimate(rough.empty_scans["top"].xyz, gross_kg=4510.0)
    assert result.status == "ok"
    assert "empty" in result.flags
    assert result.volume_m3 is not None
    assert result.volume_m3.lower95 == 0.0
    assert result.volume_m3.upper95 < 0.03 * rough.truth["struck_capacity_m3"]
    assert result.bulk_density_kg_m3 is None
    assert result.waste_class is None
    json.loads(result.to_json(), parse_constant=pytest.fail)


def test_an_empty_box_without_a_reference_holds_nothing(box: Estimator) -> None:
    result = box.estimate(box_scan(level_m=0.0))
    assert "empty" in result.flags
    assert result.volume_m3 is not None
    assert result.volume_m3.lower95 == 0.0
    assert result.centroid_m is None


# --- what it promises -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level_m", [0.1, 0.5, 0.9])
def test_a_level_load_in_a_box_has_its_closed_form(box: Estimator, level_m: float) -> None:
    result = box.estimate(box_scan(level_m))
    assert result.volume_m3 is not None
    assert result.volume_m3.value == pytest.approx(8.0 * level_m, abs=0.08)  # a hundredth of the struck capacity
    assert result.volume_m3.lower95 <= 8.0 * level_m <= result.volume_m3.upper95
    assert result.struck_capacity_m3 == pytest.approx(8.0, rel=1e-6)
    assert result.seen_fraction == pytest.approx(1.0, abs=0.01)
    assert result.centroid_m == pytest.approx((0.0, 0.0, 0.5 * level_m), abs=0.01)


def test_json_is_sound(estimator: Estimator, top: Cloud) -> None:
    text = estimator.estimate(top, gross_kg=6000.0, load_id='ä\n"').to_json()
    assert "\n" not in text
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["load_id"] == 'ä\n"'
    assert document["schema"] == "volest/estimate/1"
    for key in ("volume_m3", "net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction"):
        quantity = document[key]
        assert quantity["lower95"] <= quantity["value"] <= quantity["upper95"]
        assert quantity["std"] > 0.0


def test_without_a_weight_what_needs_one_is_null(estimator: Estimator, top: Cloud) -> None:
    result = estimator.estimate(top)
    assert result.flags == ("weight_missing",)
    assert result.net_mass_kg is result.bulk_density_kg_m3 is result.wet_mass_fraction is result.waste_class is None


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 2000))
def test_bad_points_anywhere_change_no_bit(estimator: Estimator, top: Cloud, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    bad = np.array(BAD, np.float32)[rng.integers(0, len(BAD), count)]
    dirty = np.insert(top, rng.integers(0, len(top), count), bad, axis=0)
    assert_same(estimator.estimate(dirty), estimator.estimate(top))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_order_of_the_points_changes_no_bit(estimator: Estimator, top: Cloud, seed: int) -> None:
    other = np.random.default_rng(seed).permutation(top)
    assert_same(estimator.estimate(other), estimator.estimate(top))


@pytest.mark.parametrize("change", [mirrored, turned])
@pytest.mark.parametrize("sensor", [TOP, MAST], ids=["top", "mast"])
def test_a_scene_in_the_mirror_or_turned_about_holds_as_much(
    change: Any, sensor: dict[str, Any], tmp_path: Path
) -> None:
    made = simulate(scene("rough", 0.6, sensor, bed=BED | {"headboard_m": 0.0, "cab": False}))
    other = change(made)
    result = estimator_of(made, tmp_path).estimate(scans_of(made))
    again = estimator_of(other, tmp_path).estimate(scans_of(other))
    assert result.volume_m3 is not None
    assert again.volume_m3 is not None
    capacity = made.truth["struck_capacity_m3"]
    assert again.volume_m3.value == pytest.approx(result.volume_m3.value, abs=3e-3 * capacity)
    assert again.volume_m3.std == pytest.approx(result.volume_m3.std, rel=0.1)
    assert again.seen_fraction == pytest.approx(result.seen_fraction, abs=0.02)


@pytest.mark.parametrize("sensor", [TOP, MAST], ids=["top", "mast"])
def test_more_noise_only_widens(sensor: dict[str, Any], tmp_path: Path) -> None:
    stds = []
    for noise_m in (0.005, 0.02, 0.04):
        made = simulate(scene("smooth", 0.6, sensor | {"noise": {"range_std_m": noise_m}}))
        result = estimator_of(made, tmp_path).estimate(scans_of(made))
        assert covers(result, made)
        assert result.volume_m3 is not None
        stds.append(result.volume_m3.std)
    assert stds == sorted(stds)
    assert stds[-1] > 1.2 * stds[0]


def test_noise_that_is_told_only_widens(rough: Simulated, top: Cloud, tmp_path: Path) -> None:
    results = []
    for noise_m in (0.005, 0.02, 0.08):
        told = [sensor | {"range_noise_m": noise_m} for sensor in rough.truck["sensor"]]
        result = estimator_of(replace(rough, truck=rough.truck | {"sensor": told}), tmp_path).estimate(top)
        assert result.volume_m3 is not None
        results.append(result.volume_m3)
    assert results[0].value == results[1].value == results[2].value
    assert results[0].std < results[1].std < results[2].std


def test_threads_may_share_an_estimator(estimator: Estimator, top: Cloud, rough: Simulated) -> None:
    scans = [top, rough.empty_scans["top"].xyz, top[::2], np.full((9, 3), np.nan, np.float32)]
    expected = [estimator.estimate(scan) for scan in scans]
    found: dict[int, list[Result]] = {i: [] for i in range(len(scans))}

    def work(i: int) -> None:
        for _ in range(4):
            found[i].append(estimator.estimate(scans[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, result in enumerate(expected):
        assert len(found[i]) == 4
        for again in found[i]:
            assert_same(again, result)


def test_intervals_hold_the_truth_and_errors_are_small(tmp_path: Path) -> None:
    """40 scenes that nothing was fitted to; with 95 % coverage fewer than 33 would be one run in a thousand."""
    errors, widths, held = [], [], 0
    for seed in range(100, 140):
        made = simulate(random_scene(np.random.default_rng(seed), sensor="os128", columns=512))
        result = estimator_of(made, tmp_path).estimate(scans_of(made))
        assert result.status != "rejected", (seed, result.reasons)
        errors.append(error_of(result, made))
        assert result.volume_m3 is not None
        widths.append((result.volume_m3.upper95 - result.volume_m3.lower95) / made.truth["struck_capacity_m3"])
        held += covers(result, made)
    rms = float(np.sqrt(np.mean(np.square(errors))))
    print(f"\nRMS {100 * rms:.2f} % of struck capacity, {held} of {len(errors)} in their interval")
    assert held >= 33
    assert np.mean(widths) < 0.06
    assert rms < 0.02
    assert abs(float(np.mean(errors))) < 0.01


@pytest.mark.parametrize("told", [{"range_noise_m": 0.05}, {}], ids=["noisier", "as learned"])
def test_what_is_unlike_all_that_was_learned_from_is_flagged_and_wider(
    told: dict[str, float], rough: Simulated, top: Cloud, tmp_path: Path
) -> None:
    sensors = [sensor | told for sensor in rough.truck["sensor"]]
    estimator = estimator_of(replace(rough, truck=rough.truck | {"sensor": sensors}), tmp_path)
    result = estimator.estimate(top)
    assert ("unfamiliar" in result.flags) == bool(told)
    assert result.volume_budget_m3 is not None
    assert estimator.terms is not None
    pose = GENERIC.budget_m3(estimator.terms)["pose"]
    assert result.volume_budget_m3["pose"] == pytest.approx((1.5 if told else 1.0) * pose)


# --- a real pair of scans ---------------------------------------------------------------------------------------------


def test_a_real_box_of_steel_balls(real: Path) -> None:
    """A box of 0.465 x 0.358 x 0.157 m inside, empty and full, under a scanner 2.07 m above.

    The pose was read off the empty scan: the floor's plane gives height, roll and pitch, the walls yaw and the middle.
    A plain difference of the two scans gives 66.6 mm on average inside the walls: 10.5 L on 0.45 x 0.35 m.
    """
    folder = real / "H-Ekana+Molycop-Bin" / "SCANS" / "Cloud_Compare_Files"
    empty = "Empty_Bin/fully_clean_empty_box.pcd"
    pose = {"xyz_m": [0.064, -0.0165, 2.068], "rpy_deg": [0.1, 1.67, 1.375]}
    sensor = {"id": "livox", "range_noise_m": 0.005, "pose": pose, "pose_std": {"xyz_m": 0.002, "rpy_deg": 0.1}}
    bed = {"length_m": 0.465, "width_m": 0.358, "height_m": 0.157, "reference": empty}
    truck = Truck.from_dict({"schema": 1, "id": "box", "bed": bed, "sensor": [sensor]}, folder)
    estimator = Estimator(truck)
    full = estimator.estimate(volest.read_points(folder / "Full_Bin/full_box_scan.pcd").xyz)
    assert full.status == "ok"
    assert full.volume_m3 is not None
    assert full.volume_m3.value == pytest.approx(10.5e-3, rel=0.1)
    assert full.volume_m3.lower95 < 10.5e-3 < full.volume_m3.upper95
    assert full.volume_m3.std < 1e-3
    nothing = estimator.estimate(volest.read_points(folder / empty).xyz)
    assert "empty" in nothing.flags
    assert nothing.volume_m3 is not None
    assert nothing.volume_m3.upper95 < 1e-3


# --- poses as told, many loads ----------------------------------------------------------------------------------------


def test_a_pose_that_is_believed_is_not_looked_for(rough: Simulated, top: Cloud, tmp_path: Path) -> None:
    truck = estimator_of(rough, tmp_path).truck
    told = Estimator(truck, find_bed=False)
    sensor = truck.sensors[0]
    right = replace(sensor, pose=Pose(rough.true_poses["top"].rotation, rough.true_poses["top"].translation))
    raised = replace(right, pose=Pose(right.pose.rotation, right.pose.translation + np.array([0.0, 0.0, 0.02])))
    volumes = [told.measure([(s, Frame.of(top))]).volume_m3 for s in (right, raised)]
    assert volumes[0] is not None
    assert volumes[1] is not None
    # The bed's footprint, two centimetres higher: nothing put it back.
    assert volumes[1].value - volumes[0].value == pytest.approx(0.02 * 4.2 * 2.1, rel=0.1)
    assert abs(volumes[0].value - rough.truth["volume_m3"]) < 0.03 * rough.truth["struck_capacity_m3"]


def test_a_pose_as_told_that_cannot_be_is_not_believed(estimator: Estimator, top: Cloud) -> None:
    """Returns behind the walls say so, even where the bed is not looked for."""
    told = Estimator(estimator.truck, find_bed=False)
    knocked = Pose.from_xyz_rpy_deg((0.0, 0.25, 0.0), (0, 0, 0)).apply(top).astype(np.float32)
    result = told.estimate(knocked)
    assert result.status != "ok"


def test_many_loads_give_what_each_gives_alone(estimator: Estimator, top: Cloud) -> None:
    rng = np.random.default_rng(0)
    scans = [top + rng.normal(0.0, 0.005, top.shape).astype(np.float32) for _ in range(7)]
    loads = ({"scans": {"top": scan}, "gross_kg": 7000.0 + k, "load_id": str(k)} for k, scan in enumerate(scans))
    together = list(estimator.estimate_many(loads, workers=3))
    assert [result.load_id for result in together] == [str(k) for k in range(7)]
    for k, (scan, result) in enumerate(zip(scans, together, strict=True)):
        assert_same(result, estimator.estimate({"top": scan}, 7000.0 + k, str(k)))


def test_a_load_among_many_that_is_no_load_raises(estimator: Estimator, top: Cloud) -> None:
    results = estimator.estimate_many([{"scans": {"top": top}}, {"scans": {"nobody": top}}])
    assert next(results).volume_m3 is not None
    with pytest.raises(InputError, match="nobody"):
        next(results)


def test_many_loads_that_nobody_waits_for_any_more_end(estimator: Estimator, top: Cloud) -> None:
    def endless() -> Generator[dict[str, Any], None, None]:
        while True:
            yield {"scans": {"top": top}}

    before = threading.active_count()
    results = estimator.estimate_many(endless(), workers=2)
    assert next(results).volume_m3 is not None
    results.close()
    assert threading.active_count() == before


def test_loads_that_cannot_be_had_raise(estimator: Estimator, top: Cloud) -> None:
    def torn() -> Generator[dict[str, Any], None, None]:
        yield {"scans": {"top": top}}
        raise OSError("the disk is gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="disk"):
        list(estimator.estimate_many(torn(), workers=2))
    assert threading.active_count() == before


def test_a_pose_told_otherwise_once_is_not_believed_later(estimator: Estimator, top: Cloud) -> None:
    """What was told of a sensor by the same name took the place of what the truck file tells."""
    fresh = Estimator(estimator.truck)
    sensor = fresh.truck.sensors[0]
    fresh.measure([(replace(sensor, pose_std_xyz_m=0.2, pose_std_rpy_rad=0.05), Frame.of(top))])
    assert_same(fresh.estimate({"top": top}), estimator.estimate({"top": top}))
