"""The catalogue of sensors: each file is sound, tells whence it is, and means what its figures say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import volest.truck
from volest.catalogue import FOLDER, load_sensor, sensor_names
from volest.errors import InputError, TruckError
from volest.truck import Truck

SOUND = (FOLDER / "ouster-os1-128.toml").read_text("utf-8")
ASKED_FOR = {
    "spinning": [
        *("ouster-os0-128", "ouster-os1-128", "ouster-os2-128", "velodyne-vlp-16", "velodyne-vlp-32c"),
        *("hesai-xt32", "hesai-pandar64", "hesai-qt128"),
    ],
    "rosette": ["livox-mid-360", "livox-avia", "livox-hap"],
    "camera": ["microsoft-azure-kinect", "intel-realsense-d455"],
    "line": ["sick-lms511", "sick-lrs4000", "hokuyo-utm-30lx"],
}


def test_the_kinds_of_sensors_that_are_asked_for_are_there() -> None:
    for pattern, names in ASKED_FOR.items():
        for name in names:
            assert load_sensor(name).scan.pattern == pattern, name


@pytest.mark.parametrize("name", sensor_names())
def test_each_sensor_is_sound_and_tells_its_source(name: str) -> None:
    sensor = load_sensor(name)
    assert len(sensor.source) > 20
    assert "detection.dropout" in sensor.unchecked  # no data sheet tells it
    assert 300 <= sensor.scan.points <= 1_000_000
    near, far = sensor.range_std_m([2.0, 6.0], 0.5)
    assert 0.001 < near <= far < 0.2
    assert sensor.return_probability(4.0, 0.5) > 0.9  # a truck bed is within its reach


FIGURES_OF_TRUCKS = {
    **dict.fromkeys(["blickfeld-cube-1", "hesai-jt128", "hesai-ot128", "hesai-pandar40p", "hesai-pandar64"], 0.02),
    **dict.fromkeys(["hesai-qt128", "livox-avia", "livox-mid-360", "livox-mid-70", "robosense-airy"], 0.02),
    **dict.fromkeys(["robosense-helios-32", "sick-multiscan136", "velodyne-hdl-32e", "velodyne-vlp-16"], 0.02),
    **dict.fromkeys([f"ouster-os{n}-{rows}" for n in (0, 1) for rows in (32, 64, 128)], 0.015),
    **{"hesai-xt16": 0.01, "hesai-xt32": 0.01, "ouster-os2-128": 0.025, "robosense-bpearl": 0.03},
    **{"sick-lms511": 0.007, "velodyne-vlp-32c": 0.02},
}
"""What trucks without a figure of their own have been estimated with from the first."""


def truck_with(model: str) -> Truck:
    sensor = {"id": "mast", "model": model, "pose": {"xyz_m": [0, 0, 3], "rpy_deg": [0, 90, 0]}}
    bed = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.0}
    return Truck.from_dict({"schema": 1, "id": "KT-1", "bed": bed, "sensor": [sensor]})


@pytest.mark.parametrize("name", sensor_names())
def test_any_name_will_do_in_a_truck_file_and_tells_what_the_catalogue_does(name: str) -> None:
    (sensor,), model = truck_with(name).sensors, load_sensor(name)
    assert (sensor.range_noise_m, sensor.wavelength_nm) == (model.bed_std_m, model.wavelength_nm)
    assert model.range_std_m(4.0, 0.5) < 1.5 * model.bed_std_m


def test_names_that_truck_files_use_keep_their_figures() -> None:
    assert {name: truck_with(name).sensors[0].range_noise_m for name in FIGURES_OF_TRUCKS} == FIGURES_OF_TRUCKS


@pytest.mark.parametrize("name", ["ouster-os9", "../sensors/ouster-os1-128", "Ouster-os1-128", "ouster-os1-128.toml"])
def test_a_model_that_the_catalogue_lacks_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(TruckError, match=r"sensor\[0\]\.model: found '.*', expected ouster-os. perhaps|one of|perhaps"):
        truck_with(name)


def test_a_truck_reads_but_the_one_file_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = volest.truck.read_toml
    monkeypatch.setattr(volest.truck, "read_toml", lambda path, error: (read.append(path.stem), plain(path, error))[1])
    truck_with("ouster-os0-128")
    assert set(read) - {"waste"} == {"ouster-os0-128"}


def test_noise_follows_the_light_that_comes_back() -> None:
    sensor = load_sensor("ouster-os1-128")
    assert sensor.range_std_m(20.0, 0.1) == pytest.approx(0.01)
    assert sensor.range_std_m(40.0, 0.4) == pytest.approx(0.01)  # twice as far, four times as bright
    assert sensor.range_std_m(1e4, 0.1) == pytest.approx(0.05)
    stereo = load_sensor("intel-realsense-d455")
    assert stereo.range_std_m(4.0, 0.05) == stereo.range_std_m(4.0, 0.9) == pytest.approx(0.08)


@pytest.mark.parametrize("name", sensor_names())
def test_detection_is_as_the_file_says(name: str) -> None:
    sensor = load_sensor(name)
    told = sensor.detection
    found = sensor.return_probability(told.range_m, told.reflectivity)
    assert found == pytest.approx((1 - told.dropout) * told.probability)
    assert sensor.return_probability([told.min_m / 2, 2 * told.max_m]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["ouster-os0-128", "ouster-os1-128"])
def test_where_half_is_lost_is_as_the_file_says_or_as_a_threshold_in_noise_has_it(name: str) -> None:
    sensor = load_sensor(name)
    told = sensor.detection
    assert told.half_range_m is not None
    half = sensor.return_probability(told.half_range_m, told.reflectivity)
    assert half == pytest.approx((1 - told.dropout) * 0.5)
    alone = msgspec.structs.replace(sensor, detection=msgspec.structs.replace(told, half_range_m=None))
    # Found half the time at 3.72 sigma, where noise alone is once in 10,000, and nine times in ten 1.28 sigma above.
    half = alone.return_probability(told.range_m * np.sqrt((3.719 + 1.2816) / 3.719), told.reflectivity)
    assert half == pytest.approx((1 - told.dropout) * 0.5, rel=1e-4)


@given(st.sampled_from(sensor_names()), st.floats(1.0, 300), st.floats(1.0, 3.0), st.floats(0.02, 0.5))
def test_farther_and_darker_is_never_better(name: str, range_m: float, times: float, reflectivity: float) -> None:
    sensor = load_sensor(name)
    assert sensor.range_std_m(range_m * times, reflectivity) >= sensor.range_std_m(range_m, reflectivity)
    assert sensor.range_std_m(range_m, reflectivity / times) >= sensor.range_std_m(range_m, reflectivity)
    brighter, darker = sensor.return_probability(range_m, [reflectivity, reflectivity / times])
    assert darker <= brighter


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("velodyne-vlp-16", "nebula_velodyne/nebula_velodyne_decoders/calibration/VLP16.yaml"),
        ("velodyne-vlp-32c", "nebula_velodyne/nebula_velodyne_decoders/calibration/VLP32.yaml"),
        ("hesai-xt32", "nebula_hesai/nebula_hesai_decoders/calibration/PandarXT32.csv"),
        ("hesai-xt16", "nebula_hesai/nebula_hesai_decoders/calibration/PandarXT16.csv"),
        ("velodyne-hdl-32e", "nebula_velodyne/nebula_velodyne_decoders/calibration/HDL32.yaml"),
        ("hesai-pandar40p", "nebula_hesai/nebula_hesai_decoders/calibration/Pandar40P.csv"),
        ("hesai-pandar64", "nebula_hesai/nebula_hesai_decoders/calibration/Pandar64.csv"),
        ("hesai-qt128", "nebula_hesai/nebula_hesai_decoders/calibration/PandarQT128.csv"),
    ],
)
def test_rows_and_field_of_view_are_those_of_real_calibrations(real: Path, name: str, path: str) -> None:
    text = (real / "tier4+nebula/src" / path).read_text("utf-8")
    if path.endswith(".csv"):
        rows = [line.split(",") for line in text.splitlines()]
        angles = np.array([float(row[1]) for row in rows if row[0].strip().isdigit() and len(row) >= 3])
    else:
        angles = np.degrees([float(found) for found in re.findall(r"vert_correction: (\S+?),", text)])
    scan = load_sensor(name).scan
    assert len(angles) == scan.rows
    assert [angles.min(), angles.max()] == pytest.approx(scan.vertical_fov_deg, abs=0.35)
    if scan.elevations_deg is not None:
        np.testing.assert_allclose(np.sort(angles), scan.elevations_deg, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ouster-os0-128", "1_14_6cccd_os-882002000138-128_legacy.json"),
        ("ouster-os1-128", "2_5_0_os-992146000760-128.json"),
        ("ouster-os1-64", "2_1_2_os1-991913000010-64.json"),
    ],
)
def test_rows_and_field_of_view_are_those_of_real_ousters(real: Path, name: str, path: str) -> None:
    document = json.loads((real / "ouster-lidar+ouster-sdk/tests/metadata" / path).read_text("utf-8"))
    angles = document.get("beam_intrinsics", document)["beam_altitude_angles"]
    scan = load_sensor(name).scan
    assert len(angles) == scan.rows
    assert [min(angles), max(angles)] == pytest.approx(scan.vertical_fov_deg, abs=2.5)


def test_a_new_sensor_is_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SOUND.replace("Ouster OS1-128", "Mine"), "utf-8")
    assert load_sensor(path).name == load_sensor(str(path)).name == "Mine"
    np.testing.assert_array_equal(
        load_sensor(path).range_std_m([1, 9]), load_sensor("ouster-os1-128").range_std_m([1, 9])
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("rows = 128", "rows = 0", r"scan\.rows: found 0, expected a whole number from 1"),
        ("rows = 128", "rows = 128\nelevations_deg = [1.0, 2.0]", "elevations_deg: found 2 angles, expected 128"),
        ("rate_hz = 10.0", "rate_hz = nan", "scan.rate_hz: found nan"),
        ("rate_hz = 10.0", "rate = 10.0", "scan.rate: unknown key, expected rate_hz perhaps"),
        ('pattern = "spinning"', 'pattern = "spiral"', "expected spinning, camera, rosette or line"),
        ('pattern = "spinning"', 'pattern = "line"', "scan.rows: found 128, expected 1 for a line"),
        ('pattern = "spinning"', 'pattern = "rosette"', "scan.points_per_s: missing"),
        ("columns = 1024", "", "found neither columns nor points_per_s"),
        ("[-22.5, 22.5]", "[22.5, -22.5]", "expected the lower angle first"),
        ("[1.0, 0.007]", "[1.0, inf]", r"noise\.std_m\[0\]"),
        ("[1.0, 0.007]", "[21.0, 0.007]", "found ranges out of order"),
        ("min_m = 0.3", "min_m = 500.0", "expected min < range <= max"),
        ("half_range_m = 55.0", "half_range_m = 40.0", r"half_range_m: found 40\.0 m, expected more than 45\.0 m"),
        ("probability = 0.9", "probability = 0.4", r"detection\.probability: found 0\.4"),
        ("unchecked = [", 'unchecked = ["noise.loudness", ', "found 'noise.loudness', expected the name of a key"),
        ("schema = 1", "schema = 2", "schema: found 2, expected 1"),
        ("[beam]", "[ray]", "ray: unknown key"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in SOUND
    path.write_text(SOUND.replace(old, new, 1), "utf-8")
    with pytest.raises(InputError, match=rf"mine\.toml: .*{told}"):
        load_sensor(path)


def test_an_unknown_sensor_is_told_with_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"ouster-os1-129: found no such sensor, expected a .toml file or ouster-os1-1"
    ):
        load_sensor("ouster-os1-129")
    with pytest.raises(InputError, match=r"gone\.toml: cannot be read"):
        load_sensor("gone.toml")


def test_a_truck_may_name_any_sensor_of_either_list() -> None:
    def noise(model: str) -> float:
        sensor = {"id": "mast", "model": model, "pose": {"xyz_m": [0.0, 0.0, 4.0], "rpy_deg": [0.0, 90.0, 0.0]}}
        bed = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.0}
        return Truck.from_dict({"schema": 1, "id": "T", "bed": bed, "sensor": [sensor]}).sensors[0].range_noise_m

    assert noise("blickfeld-cube-1") == 0.02
    assert noise("ouster-os1-128") == 0.015
    assert noise("sick-lrs4000") == pytest.approx(load_sensor("sick-lrs4000").range_std_m(4.0, 0.5))
    with pytest.raises(InputError, match="expected ouster-os1"):
        noise("ouster-os1-129")


def test_the_documented_keys_are_those_of_the_schema() -> None:
    page = (Path(__file__).parents[1] / "docs" / "sensors.md").read_text("utf-8")
    model = load_sensor("ouster-os1-128")
    for part in ("scan", "noise", "beam"):
        for key in getattr(model, part).__struct_fields__:
            assert f"`{part}.{key}`" in page, key
