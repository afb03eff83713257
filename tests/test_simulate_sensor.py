"""Sensors' rays and errors, and the load cells' series."""

import msgspec
import numpy as np
import pytest

from volest.simulate.raycast import Hits
from volest.simulate.scene import Noise, SensorScene, WeightScene
from volest.simulate.sensor import FixedErrors, in_view, ray_directions, returns, to_points
from volest.simulate.weight import gross_series

POSE = {"xyz_m": [0, 0, 3], "rpy_deg": [0, 90, 0]}
SPINNING = msgspec.convert({"id": "a", "rows": 32, "columns": 360, "pose": POSE}, SensorScene)
CAMERA = msgspec.convert(
    {
        "id": "a",
        "rows": 24,
        "columns": 32,
        "pattern": "camera",
        "vertical_fov_deg": 60,
        "horizontal_fov_deg": 80,
        "pose": POSE,
    },
    SensorScene,
)
QUIET = Noise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, beam_deg=0.0, stray=0.0)


def with_noise(sensor=SPINNING, **changes):
    return msgspec.structs.replace(sensor, noise=msgspec.structs.replace(QUIET, **changes))


def scan(sensor, true=4.0, cosine=1.0, reflectance=0.5, seed=0):
    count = sensor.rows * sensor.columns
    true = np.broadcast_to(np.asarray(true, dtype=float), (sensor.rows, sensor.columns)).ravel().copy()
    hits = Hits(true, np.ones(count, dtype=np.int32), np.full(count, cosine))
    rng = np.random.default_rng(seed)
    return returns(sensor, hits, np.full(count, reflectance), FixedErrors.draw(sensor, rng), rng)


@pytest.mark.parametrize("sensor", [SPINNING, CAMERA])
def test_directions_are_unit_vectors_within_the_view(sensor):
    directions = ray_directions(sensor)
    assert directions.shape == (sensor.rows, sensor.columns, 3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0, atol=1e-12)
    inner = directions[1:-1, 1:-1].reshape(-1, 3)
    assert in_view(sensor, inner).all()
    assert not in_view(sensor, np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])).any()


def test_spinning_rows_span_the_field_of_view_from_the_top():
    elevation = np.degrees(np.arcsin(ray_directions(SPINNING)[:, 0, 2]))
    np.testing.assert_allclose(elevation, np.linspace(45.0, -45.0, 32), atol=1e-9)


def test_camera_looks_along_x_with_row_0_up_and_column_0_left():
    directions = ray_directions(CAMERA)
    assert (directions[..., 0] > 0.5).all()
    assert (directions[0, :, 2] > 0).all()
    assert (directions[:, 0, 1] > 0).all()


def test_without_noise_ranges_are_true():
    ranges, _ = scan(with_noise())
    np.testing.assert_array_equal(ranges, 4.0)


def test_range_noise_has_its_std():
    ranges, _ = scan(with_noise(range_std_m=0.02))
    assert np.std(ranges) == pytest.approx(0.02, rel=0.03)
    assert np.mean(ranges) == pytest.approx(4.0, abs=1e-3)


def test_faint_returns_are_noisier_and_get_lost():
    strong, _ = scan(with_noise(range_std_m=0.01, faint=0.02), reflectance=0.9)
    weak, _ = scan(with_noise(range_std_m=0.01, faint=0.02), reflectance=0.9, cosine=0.02)
    assert (strong == 0.0).mean() < 0.01
    assert (weak == 0.0).mean() > 0.2
    assert np.std(weak[weak > 0.0]) > 1.2 * np.std(strong[strong > 0.0])


def test_beam_bias_is_one_number_a_row():
    ranges, _ = scan(with_noise(beam_bias_std_m=0.01))
    assert np.ptp(ranges, axis=1).max() == 0.0
    assert np.std(ranges[:, 0]) == pytest.approx(0.01, rel=0.4)


def test_quantisation():
    ranges, _ = scan(with_noise(range_std_m=0.02, quantum_m=0.005))
    np.testing.assert_allclose(np.round(ranges / 0.005), ranges / 0.005, atol=1e-6)


def test_dropout_and_stray_rates():
    ranges, _ = scan(with_noise(dropout=0.1, stray=0.05))
    assert (ranges == 0.0).mean() == pytest.approx(0.095, abs=0.01)
    assert ((ranges > 0.0) & (ranges < 4.0)).mean() == pytest.approx(0.05, abs=0.008)


def stepped(height=0.8):
    true = np.full((32, 360), 2.0)
    true[:, 180:] = 2.0 + height
    return true


def test_mixed_pixels_lie_between_the_two_sides():
    ranges, _ = scan(with_noise(beam_deg=2.0), stepped())
    mixed = (ranges != 2.0) & (ranges != 2.8)
    assert set(np.nonzero(mixed)[1]) == {0, 179, 180, 359}
    assert mixed.sum() == 4 * 32
    assert (ranges >= 2.0).all()
    assert (ranges <= 2.8).all()


def test_narrow_beams_seldom_straddle_an_edge():
    """Rows 2 degrees apart once gave mixed returns along whole walls, far behind them."""
    ranges, _ = scan(with_noise(beam_deg=0.2), np.where(np.arange(32) < 16, 2.0, 2.8)[:, None])
    spacing = 90.0 / 31.0
    assert ((ranges != 2.0) & (ranges != 2.8))[15:17].mean() == pytest.approx(0.1 / spacing, abs=0.02)
    assert not ((ranges != 2.0) & (ranges != 2.8))[[0, -1]].any()


def test_depths_far_apart_are_told_apart():
    ranges, _ = scan(with_noise(beam_deg=2.0, mix_reach_m=1.0), stepped(1.5))
    assert set(np.unique(ranges)) == {2.0, 3.5}


def test_nothing_met_and_out_of_range_give_no_return():
    true = np.full((32, 360), np.inf)
    true[:, :10] = 0.1
    true[:, 10:20] = 80.0
    ranges, intensity = scan(with_noise(min_range_m=0.3, max_range_m=50.0), true)
    assert (ranges == 0.0).all()
    assert (intensity == 0.0).all()
    assert len(to_points(SPINNING, ray_directions(SPINNING), ranges, intensity)) == 0


def test_points_keep_row_and_intensity():
    ranges, intensity = scan(with_noise())
    cloud = to_points(SPINNING, ray_directions(SPINNING), ranges, intensity)
    np.testing.assert_allclose(np.linalg.norm(cloud.xyz, axis=1), 4.0, rtol=1e-6)
    assert cloud.ring.tolist() == np.repeat(np.arange(32), 360).tolist()
    assert cloud.intensity.dtype == np.float32


def test_weight_series_settles_at_the_gross_weight():
    scene = WeightScene(tare_kg=4000.0, tare_std_kg=0.0, gain_std=0.0, spike_rate=0.0, drift_kg=0.0, duration_s=60.0)
    series = gross_series(scene, 1500.0, np.random.default_rng(1))
    assert np.median(series[:, 1]) == pytest.approx(5500.0, abs=5.0)
    assert (np.diff(series[:, 0]) >= 0.0).all()
    np.testing.assert_allclose(series[:, 1] % 5.0, 0.0)
    assert 0.9 * 1200 < len(series) < 1200


def test_gain_errs_on_the_net_mass_only():
    scene = WeightScene(kind="number", tare_kg=4000.0, tare_std_kg=0.0, gain_std=0.1, noise_kg=0.0, resolution_kg=0.0)
    nets = [gross_series(scene, 1000.0, np.random.default_rng(seed))[0, 1] - 4000.0 for seed in range(400)]
    assert np.std(nets) == pytest.approx(100.0, rel=0.1)
    empty = gross_series(scene, 0.0, np.random.default_rng(0))
    assert empty.shape == (1, 2)
    assert empty[0, 1] == 4000.0


def test_spikes_and_bounce_disturb_the_series():
    scene = WeightScene(spike_rate=0.05, bounce_kg=100.0, noise_kg=0.0)
    calm = WeightScene(spike_rate=0.0, bounce_kg=0.0, noise_kg=0.0, drift_kg=0.0)
    assert np.ptp(gross_series(scene, 1000.0, np.random.default_rng(2))[:, 1]) > 300.0
    assert np.ptp(gross_series(calm, 1000.0, np.random.default_rng(2))[:, 1]) == 0.0
