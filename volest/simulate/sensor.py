"""What a sensor returns: directions of its rays, and how its ranges err."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.pointcloud import PointCloud
from volest.simulate.pattern import in_view, ray_directions
from volest.simulate.raycast import Hits
from volest.simulate.scene import Noise, SensorScene, WeatherScene
from volest.simulate.weather import through_weather

__all__ = ["FixedErrors", "in_view", "ray_directions", "returns", "to_points"]

Floats = NDArray[np.float64]
EDGE_STEP_M = 0.05  # neighbours further apart than this stand on two sides of an edge
REFERENCE_RANGE_M = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class FixedErrors:
    """Errors that stay the same from scan to scan: one a row, in metres."""

    bias_m: Floats  # (rows,)

    @classmethod
    def draw(cls, sensor: SensorScene, rng: np.random.Generator) -> FixedErrors:
        """New errors for a sensor."""
        rows = rng.normal(0.0, 1.0, sensor.rows) * sensor.noise.beam_bias_std_m
        return cls(rows + rng.normal(0.0, 1.0) * sensor.noise.offset_std_m)


def returns(
    sensor: SensorScene,
    hits: Hits,
    reflectance: Floats,
    fixed: FixedErrors,
    rng: np.random.Generator,
    directions: Floats | None = None,
    weather: WeatherScene | None = None,
) -> tuple[Floats, Floats]:
    """Ranges and intensities (rows, columns) that the sensor gives for what its rays met; range 0 = no return.

    `directions` (rows, columns, 3) are those of its rays, of frame 0 if missing.
    """
    if directions is None:
        directions = ray_directions(sensor)
    noise, shape = sensor.noise, (sensor.rows, sensor.columns)
    true = hits.range_m.reshape(shape)
    ranges = _mixed(true, sensor, rng) if sensor.beam is None else true
    signal = (reflectance * hits.cosine).reshape(shape) * (REFERENCE_RANGE_M / np.maximum(ranges, 0.5)) ** 2
    if weather is not None:
        ranges, signal = through_weather(weather, sensor, ranges, signal, rng)
        true = ranges
    with np.errstate(divide="ignore", invalid="ignore"):
        noisy = ranges + fixed.bias_m[:, None] + rng.standard_normal(shape) * _spread_m(noise, ranges, signal)
    lost = rng.random(shape) < noise.dropout + (1.0 - noise.dropout) * _fade(signal, noise.faint)
    noisy = np.where(lost | ~np.isfinite(true), 0.0, noisy)
    noisy = _soiled(_stray(noisy, true, noise, rng), sensor, directions)
    if noise.quantum_m > 0.0:
        noisy = np.round(noisy / noise.quantum_m) * noise.quantum_m
    noisy = np.where((noisy >= noise.min_range_m) & (noisy <= noise.max_range_m), noisy, 0.0)
    return noisy, np.where(noisy > 0.0, np.minimum(signal, 4.0), 0.0)


def _spread_m(noise: Noise, ranges: Floats, signal: Floats) -> Floats:
    """Standard deviation of ranges: the fainter a return, the greater.

    From a table it is that at the range at which the table's target would send as much light back (volest.catalogue).
    """
    if not noise.std_m:
        spread = noise.range_std_m * np.sqrt(1.0 + noise.faint / np.maximum(signal, 1e-6))
        return np.minimum(spread, 3.0 * noise.range_std_m)
    if noise.std_reflectivity is not None:
        ranges = REFERENCE_RANGE_M * np.sqrt(noise.std_reflectivity / np.maximum(signal, 1e-6))
    pairs = np.array(noise.std_m)
    return np.asarray(np.interp(ranges, pairs[:, 0], pairs[:, 1]))


def _fade(signal: Floats, faint: float) -> Floats:
    """Probability that a return of this strength gets lost: a half where it is `faint`."""
    if faint == 0.0:
        return np.zeros_like(signal)
    return 1.0 / (1.0 + (np.maximum(signal, 0.0) / faint) ** 2)


def _mixed(true: Floats, sensor: SensorScene, rng: np.random.Generator) -> Floats:
    """Where a beam straddles a depth edge, its range lies between those of the two sides, nearer to its middle's.

    An edge between two rays lies somewhere between their middles, and within one's beam with half a beam's chance.
    """
    noise, mixed = sensor.noise, true.copy()
    if sensor.pattern == "rosette":  # neighbours in time are none in space
        return mixed
    for axis, spacing_deg in enumerate(_spacing_deg(sensor)):
        chance = min(1.0, 0.5 * noise.beam_deg / spacing_deg)
        for towards in (1, -1):
            beside = np.roll(true, towards, axis)
            if axis == 0 or sensor.pattern == "camera":  # no neighbour beyond the outermost ray
                np.moveaxis(beside, axis, 0)[0 if towards == 1 else -1] = np.inf
            both = np.isfinite(beside) & np.isfinite(true)
            jump = np.where(both, beside, 0.0) - np.where(both, true, 0.0)
            straddles = (np.abs(jump) > EDGE_STEP_M) & (np.abs(jump) < noise.mix_reach_m)
            straddles &= rng.random(true.shape) < chance
            mixed = np.where(straddles, true + rng.uniform(0.0, 0.5, true.shape) * jump, mixed)
    return mixed


def _spacing_deg(sensor: SensorScene) -> tuple[float, float]:
    """Angles between neighbouring rows and columns."""
    across = 360.0 if sensor.pattern == "spinning" else sensor.horizontal_fov_deg
    return sensor.vertical_fov_deg / max(1, sensor.rows - 1), across / sensor.columns


def _stray(ranges: Floats, true: Floats, noise: Noise, rng: np.random.Generator) -> Floats:
    """Some rays return from dust or rain on their way."""
    strays = rng.random(ranges.shape) < noise.stray
    reach = np.minimum(true, 8.0)
    return np.where(
        strays, noise.min_range_m + rng.random(ranges.shape) * np.maximum(reach - noise.min_range_m, 0.0), ranges
    )


def _soiled(ranges: Floats, sensor: SensorScene, directions: Floats) -> Floats:
    """Rays that end in the dirt on the window."""
    x, y, z = np.moveaxis(directions, -1, 0)
    azimuth, elevation = np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z))
    for spot in sensor.dirt:
        across = (azimuth - spot.azimuth_deg + 180.0) % 360.0 - 180.0
        up = elevation - spot.elevation_deg
        within = (across / (0.5 * spot.width_deg)) ** 2 + (up / (0.5 * spot.height_deg)) ** 2 < 1.0
        ranges = np.where(within, spot.near_m, ranges)
    return ranges


def to_points(
    sensor: SensorScene, directions: Floats, ranges: Floats, intensity: Floats, times_s: Floats | None = None
) -> PointCloud:
    """The returns as points in the sensor's frame, with intensity (0 to 4, 1 = white at 5 m), row number and time."""
    sound = ranges > 0.0
    row = np.broadcast_to(np.arange(sensor.rows, dtype=np.uint16)[:, None], ranges.shape)
    xyz = (directions[sound] * ranges[sound][:, None]).astype(np.float32)
    stamps = None if times_s is None else times_s[sound]
    return PointCloud(xyz, intensity[sound].astype(np.float32), stamps, row[sound].copy())
