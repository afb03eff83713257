"""Wide beams, water, rain, dust and motion: each against a closed form, or undone."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from volest.motion import undo_motion
from volest.simulate import simulate
from volest.simulate.beams import SHARES, _resolve, footprints
from volest.simulate.raycast import Hits
from volest.simulate.scene import BeamScene, WeatherScene, scene_from_dict
from volest.simulate.sensor import FixedErrors, ray_directions, returns
from volest.simulate.weather import dust_per_m, rain_per_m, through_weather
from volest.simulate.world import _through_film, from_facets

BED = {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}
QUIET = {
    "range_std_m": 0.0, "beam_bias_std_m": 0.0, "offset_std_m": 0.0, "quantum_m": 0.0, "dropout": 0.0, "faint": 0.0,
    "beam_deg": 0.0, "stray": 0.0,
}  # fmt: skip
TOP = {
    "id": "top", "rows": 64, "columns": 512, "noise": QUIET, "pose": {"xyz_m": [0.0, 0.0, 3.5], "rpy_deg": [0, 90, 0]},
}  # fmt: skip


def scene(sensor=TOP, load=None, **rest):
    return scene_from_dict({"bed": BED, "load": load or {"kind": "box", "height_m": 0.5}, "sensor": [sensor], **rest})


def resolved(ranges, light, tells, reach=1.0):
    told, strength = np.empty(1), np.empty(1)
    _resolve(np.array(ranges)[:, None], np.array(light)[:, None], SHARES, reach, tells, told, strength)
    return told[0], strength[0]


def test_of_two_surfaces_the_sensor_tells_what_it_is_made_to_tell():
    ranges, light = [4.0] * 4 + [2.0] * 3, [0.5] * 7
    near, far = 3 * 0.125 * 0.5 / 4.0, (0.25 + 3 * 0.125) * 0.5 / 16.0
    assert resolved(ranges, light, 0) == pytest.approx((2.0, near * 4.0))  # nearer is brighter
    assert resolved(ranges, [0.5] * 4 + [0.1] * 3, 0) == pytest.approx((4.0, far * 16.0))
    assert resolved(ranges, [0.5] * 4 + [0.1] * 3, 1)[0] == 2.0
    assert resolved(ranges, light, 2)[0] == pytest.approx((2.0 * near + 4.0 * far) / (near + far))
    assert resolved(ranges, light, 0, reach=3.0)[0] == pytest.approx((2.0 * near + 4.0 * far) / (near + far))


def test_a_whole_beam_on_one_surface_is_that_of_a_single_ray():
    assert resolved([3.0] * 7, [0.2] * 7, 0) == pytest.approx((3.0, 0.2))
    assert resolved([np.inf] * 7, [0.2] * 7, 0) == (np.inf, 0.0)
    half = resolved([3.0] + [np.inf] * 3 + [3.0] * 3, [0.2] * 7, 0)
    assert half == pytest.approx((3.0, 0.2 * 0.625))


def test_wide_beams_mix_only_at_edges():
    """A plate 0.6 m above another, its edge under the sensor: what lies between is told within a beam of the edge."""
    sensor = scene(TOP | {"beam": {"divergence_deg": [0.5, 0.5]}, "pattern": "camera"}).sensor[0]
    directions = ray_directions(sensor).reshape(-1, 3)

    def shoot(_rays, aimed):
        depth = np.where(aimed[:, 1] > 0.0, 2.0, 2.6)
        return Hits(depth / aimed[:, 0], np.ones(len(aimed), np.int32), aimed[:, 0].copy()), np.full(len(aimed), 0.3)

    hits, light = shoot(None, directions)
    before = hits.range_m * directions[:, 0]
    footprints(shoot, sensor, directions, hits, light)
    depth = hits.range_m * directions[:, 0]
    mixed = (depth > 2.001) & (depth < 2.599)
    azimuth = np.degrees(np.arctan2(directions[:, 1], directions[:, 0]))
    assert mixed.any()
    assert np.abs(azimuth[mixed]).max() < 0.25
    far = np.abs(azimuth) > 0.3
    np.testing.assert_allclose(depth[far], before[far], rtol=1e-4)


def test_thin_things_weaken_what_stands_behind_them():
    rods = scene(TOP | {"beam": {"divergence_deg": [1.0, 1.0]}}, branches={"count": 60, "radius_m": 0.004})
    bare = scene(TOP | {"beam": {"divergence_deg": [1.0, 1.0]}})
    one, other = (simulate(each).scans["top"][0] for each in (rods, bare))
    assert one.intensity.sum() < other.intensity.sum() or len(one) != len(other)
    assert np.isfinite(one.xyz).all()


def test_rain_is_as_thick_as_links_through_rain_find():
    """Carbonneau and Wisely 1998 (ITU-R P.1814): 1.076 R^0.67 dB/km; Marshall's and Palmer's drops shade as much."""
    for rain in (5.0, 25.0, 100.0):
        fitted = 1.076 * rain**0.67 / 4.343e3
        assert 0.6 < rain_per_m(rain) / fitted < 1.7
    assert rain_per_m(0.0) == 0.0
    assert dust_per_m(100.0) == pytest.approx(0.1)


@pytest.mark.parametrize("weather", [WeatherScene(rain_mm_h=50.0), WeatherScene(dust_mg_m3=20.0)])
def test_light_falls_by_beer_and_lambert(weather):
    sensor = scene().sensor[0]
    extinction = rain_per_m(weather.rain_mm_h) + dust_per_m(weather.dust_mg_m3)
    for range_m in (3.0, 9.0):
        told, signal = through_weather(
            weather, sensor, np.full(500, range_m), np.full(500, 10.0), np.random.default_rng(1)
        )
        kept = told == range_m
        assert kept.mean() > 0.5
        np.testing.assert_allclose(signal[kept], 10.0 * np.exp(-2.0 * extinction * range_m))


def clutter(rain=0.0, dust=0.0):
    sensor = scene(TOP | {"noise": QUIET | {"faint": 0.01}}).sensor[0]
    weather = WeatherScene(rain_mm_h=rain, dust_mg_m3=dust)
    told, _ = through_weather(weather, sensor, np.full(20000, np.inf), np.zeros(20000), np.random.default_rng(1))
    return told[np.isfinite(told)]


def test_drops_and_grains_are_seen_near_the_sensor_and_more_of_them_in_worse_weather():
    light, heavy = clutter(rain=5.0), clutter(rain=50.0)
    assert 0 < len(light) < len(heavy)
    assert np.median(heavy) < 5.0
    thin, thick = clutter(dust=20.0), clutter(dust=500.0)
    assert len(thin) < len(thick)
    assert np.median(thick) < 3.0
    assert len(clutter()) == 0


def test_weather_comes_with_a_scene():
    clear, rain = (simulate(scene(weather=w)) for w in (None, {"rain_mm_h": 100.0}))
    count = [np.median(each.scans["top"][0].intensity) for each in (clear, rain)]
    assert count[1] < 0.7 * count[0]  # wet all over, and light lost


def test_a_film_of_water_mirrors_grazing_light_away():
    cosine = np.linspace(0.0, 1.0, 50)
    passed = _through_film(cosine)
    assert passed[-1] == pytest.approx(1.0)
    assert passed[0] == 0.0
    assert (np.diff(passed) >= -1e-12).all()
    at_80_deg, upright = 1.0 - 0.348, 1.0 - 0.0198  # what tables of water's reflectance leave
    assert _through_film(np.cos(np.radians([80.0])))[0] == pytest.approx((at_80_deg / upright) ** 2, abs=0.01)


def test_facets_shine_at_a_glance():
    angles = np.radians([0.0, 30.0, 60.0, 80.0])
    for tilt_deg, told in ((0.0, np.ones(4)), (35.0, [0.7347, 0.8394, 1.2785, 2.760])):
        np.testing.assert_allclose(from_facets(np.cos(angles), tilt_deg), told, rtol=1e-3)


def test_a_rough_load_is_the_brighter_at_its_edge_and_no_nearer():
    flat = {"kind": "flat", "fill_ratio": 0.5}
    smooth, rough = (simulate(scene(load=flat, seed=3, material={"facets_deg": f})) for f in (0.0, 35.0))
    one, other = smooth.scans["top"][0], rough.scans["top"][0]
    np.testing.assert_array_equal(one.xyz, other.xyz)
    ratio = other.intensity / one.intensity
    x, y, z = smooth.true_poses["top"].apply(one.xyz.astype(float)).T
    on_load = (np.abs(x) < 1.9) & (np.abs(y) < 0.9) & (z > 0.4)
    ray = one.xyz[on_load].astype(float)
    cosine = np.abs((ray / np.linalg.norm(ray, axis=1)[:, None]) @ smooth.true_poses["top"].rotation[2])
    np.testing.assert_allclose(ratio[on_load], from_facets(cosine, 35.0), rtol=0.1)  # flat but for a slope of 3 degrees


def test_wet_patches_are_darker_and_cover_their_share():
    patchy = {"wet_mass_fraction": 0.3, "wet_patch_m": 0.4}
    dry = {"wet_mass_fraction": 0.0, "wet_patch_m": 0.4}
    flat = {"kind": "flat", "fill_ratio": 0.5}
    made = [simulate(scene(load=flat, seed=3, material=material)) for material in (dry, patchy)]
    strong, mixed = (each.scans["top"][0] for each in made)
    assert len(strong) == len(mixed)
    ratio = mixed.intensity / strong.intensity
    on_load = np.abs(ratio - 1.0) > 1e-3
    assert 0.3 < ratio[on_load].mean() < 0.42
    x, y, z = made[0].true_poses["top"].apply(strong.xyz.astype(float)).T
    top = (np.abs(x) < 2.0) & (np.abs(y) < 1.0) & (z > 0.4)
    assert on_load[top].mean() == pytest.approx(0.3, abs=0.15)


def moving(sensor, **motion):
    return simulate(scene(sensor | {"motion": motion}))


def test_motion_bends_a_scan_and_is_undone():
    velocity, rate = (0.0, 0.0, 1.5), 20.0
    simulated = moving(TOP, velocity_m_s=velocity, yaw_rate_deg_s=rate)
    cloud, pose = simulated.scans["top"][0], simulated.true_poses["top"]
    assert np.ptp(cloud.timestamp) == pytest.approx(0.1, rel=0.05)

    def heights(points):
        placed = pose.apply(points.astype(float))
        within = (np.abs(placed[:, 0]) < 1.8) & (np.abs(placed[:, 1]) < 0.9)
        return placed[within, 2]

    straight = heights(undo_motion(cloud, velocity, np.radians(rate), time_s=0.0).xyz)
    assert len(straight) > 1000
    np.testing.assert_allclose(straight, 0.5, atol=1e-4)
    assert np.abs(heights(moving(TOP, velocity_m_s=(2.0, 0.0, 0.0)).scans["top"][0].xyz) - 0.5).max() > 0.02


def test_a_line_scanner_reads_the_truck_that_drives_through_its_plane():
    line = {
        "id": "gate", "pattern": "line", "rows": 1, "columns": 541, "horizontal_fov_deg": 190.0, "rate_hz": 50.0,
        "frames": 150, "noise": QUIET, "pose": {"xyz_m": [0.0, 0.0, 5.0], "rpy_deg": [0.0, 90.0, 90.0]},
    }  # fmt: skip
    away = scene(line).sensor[0]
    simulated = moving(line, velocity_m_s=(0.0, 0.0, 2.0))
    assert len(simulated.scans["gate"]) == 1
    placed = simulated.true_poses["gate"].apply(simulated.scans["gate"][0].xyz.astype(float))
    within = (np.abs(placed[:, 0]) < 2.0) & (np.abs(placed[:, 1]) < 0.9)
    np.testing.assert_allclose(placed[within, 2], 0.5, atol=1e-4)
    assert np.ptp(placed[within, 0]) > 3.9 or np.ptp(placed[within, 1]) > 1.7
    assert simulated.truth["visible_fraction"] > 0.95
    assert len(simulated.empty_scans["gate"]) > 1000
    assert away.frames == 150


def test_rows_keep_their_own_error():
    sensor = scene(TOP | {"noise": QUIET | {"beam_bias_std_m": 0.01}}).sensor[0]
    fixed = FixedErrors.draw(sensor, np.random.default_rng(1))
    count = sensor.rows * sensor.columns
    hits = Hits(np.full(count, 3.0), np.ones(count, np.int32), np.ones(count))
    beam = msgspec.structs.replace(sensor, beam=BeamScene(divergence_deg=(0.2, 0.2)))
    ranges, _ = returns(beam, hits, np.full(count, 0.5), fixed, np.random.default_rng(2))
    np.testing.assert_allclose(ranges, np.broadcast_to(3.0 + fixed.bias_m[:, None], ranges.shape))
