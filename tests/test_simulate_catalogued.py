"""Sensors of the catalogue in scenes: their rays, noise and losses are those that the catalogue tells."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from volest.catalogue import load_sensor, sensor_names
from volest.errors import SceneError
from volest.simulate import simulate
from volest.simulate.catalogued import sensor_scene
from volest.simulate.raycast import Hits
from volest.simulate.scene import PoseScene, PoseStd, scene_from_dict, scene_to_dict
from volest.simulate.sensor import FixedErrors, in_view, ray_directions, returns

BED = {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}
OVERHEAD = PoseScene((0.0, 0.0, 3.8), (0.0, 90.0, 0.0))
SPREAD_DEG = 1e-6


def of(name, **rest):
    return sensor_scene(load_sensor(name), id="top", pose=OVERHEAD, name=name, **rest)


def facing(sensor, range_m, reflectance, rng):
    count = sensor.rows * sensor.columns
    hits = Hits(np.full(count, range_m), np.ones(count, dtype=np.int32), np.ones(count))
    return returns(sensor, hits, np.full(count, reflectance), FixedErrors(np.zeros(sensor.rows)), rng)[0]


@pytest.mark.parametrize("name", sensor_names())
def test_rays_fill_the_field_of_view_that_the_catalogue_tells(name):
    model, sensor = load_sensor(name), of(name)
    directions = ray_directions(sensor).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-12)
    assert len(directions) == model.scan.points
    low, high = model.scan.vertical_fov_deg
    if model.scan.pattern != "camera":
        elevation = np.degrees(np.arcsin(directions[:, 2]))
        assert low - SPREAD_DEG <= elevation.min() < low + 1.0
        assert high - 1.0 < elevation.max() <= high + SPREAD_DEG
    assert in_view(sensor, directions).mean() > 0.99 or model.scan.pattern in ("camera", "line")


def test_rows_stand_where_the_catalogue_has_them():
    model, sensor = load_sensor("velodyne-vlp-32c"), of("velodyne-vlp-32c")
    rows = np.degrees(np.arcsin(ray_directions(sensor)[:, 0, 2]))
    np.testing.assert_allclose(rows, sorted(model.scan.elevations_deg, reverse=True), atol=1e-9)


def test_frames_of_a_rosette_differ_and_fill_the_view():
    sensor = of("livox-avia")
    first, second = ray_directions(sensor, 0)[0], ray_directions(sensor, 1)[0]
    assert np.linalg.norm(first - second, axis=1).max() > 0.1
    assert in_view(sensor, first).all()

    def seen(frames):
        bins = [np.floor(60.0 * ray_directions(sensor, k)[0][:, 1:]).astype(int) for k in range(frames)]
        return len({tuple(cell) for cell in np.concatenate(bins)})

    assert seen(1) < seen(5)


def test_a_line_lies_in_its_plane():
    directions = ray_directions(of("sick-lms511"))[0]
    assert not directions[:, 2].any()
    azimuth = np.degrees(np.unwrap(np.arctan2(directions[:, 1], directions[:, 0])))
    assert np.ptp(azimuth) == pytest.approx(190.0)


@pytest.mark.parametrize("name", ["ouster-os0-128", "velodyne-vlp-16", "livox-avia", "intel-realsense-d455"])
@pytest.mark.parametrize(("range_m", "reflectivity"), [(2.0, 0.5), (10.0, 0.1)])
def test_noise_is_the_catalogues(name, range_m, reflectivity):
    model, sensor = load_sensor(name), of(name)
    ranges = facing(sensor, range_m, reflectivity, np.random.default_rng(1))
    kept = ranges[ranges > 0.0]
    expected = np.hypot(model.range_std_m(range_m, reflectivity), model.noise.quantum_m / np.sqrt(12.0))
    assert np.std(kept) == pytest.approx(expected, rel=0.05)
    probability = float(model.return_probability(range_m, reflectivity))
    assert kept.size / ranges.size == pytest.approx(probability, abs=4.0 * np.sqrt(0.25 / ranges.size))


def test_out_of_reach_is_no_return():
    sensor = of("hokuyo-utm-30lx")
    for range_m in (0.05, 31.0):
        assert not facing(sensor, range_m, 0.9, np.random.default_rng(2)).any()


def test_a_scene_file_that_names_a_model_has_all_from_the_catalogue():
    table = {"id": "top", "model": "hesai-xt32", "pose": msgspec.to_builtins(OVERHEAD)}
    scene = scene_from_dict({"bed": BED, "load": {"kind": "none"}, "sensor": [table]})
    assert scene.sensor[0] == of("hesai-xt32")
    assert scene_from_dict(scene_to_dict(scene)) == scene
    told = scene_from_dict({"bed": BED, "load": {"kind": "none"}, "sensor": [table | {"rows": 16, "columns": 900}]})
    assert (told.sensor[0].rows, told.sensor[0].noise.std_m) == (16, ())


@pytest.mark.parametrize("name", ["ouster-os0-32", "livox-mid-360", "livox-avia", "sick-lms511"])
def test_catalogue_sensors_scan_a_load(name):
    sensor = of(name, pose_std=PoseStd(0.005, 0.1), frames=2)
    scene = scene_from_dict({"bed": BED, "load": {"kind": "rough", "lump_m": 0.2}, "sensor": [scene_to_dict(sensor)]})
    simulated = simulate(scene)
    assert all(len(frame) > 100 for frame in simulated.scans["top"])
    assert simulated.truck["sensor"][0]["model"] == name


def test_what_does_not_go_together_is_refused():
    table = {"id": "top", "pose": msgspec.to_builtins(OVERHEAD)}
    for change, expected in (
        ({"pattern": "line", "rows": 2}, "expected 1 for the pattern line"),
        ({"elevations_deg": [1.0, 2.0]}, "found 2 angles, expected 128"),
        ({"pattern": "camera", "horizontal_fov_deg": 180.0}, "expected less than 179"),
        ({"rows": 2048, "columns": 65536}, "expected at most 8388608"),
        ({"noise": {"std_m": [[2.0, 0.1], [1.0, 0.1]]}}, "expected them to grow"),
    ):
        with pytest.raises(SceneError, match=expected):
            scene_from_dict({"bed": BED, "load": {"kind": "none"}, "sensor": [table | change]})
