"""What a sensor returns: directions of its rays, and how its ranges err."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.jit import kernel
from volest.pointcloud import PointCloud
from volest.simulate.pattern import in_view, ray_directions
from volest.simulate.raycast import Hits
from volest.simulate.scene import Noise, SensorScene, WeatherScene
from volest.simulate.weather import through_weather

__all__ = ["FixedErrors", "in_view", "ray_directions", "returns", "to_points"]

Floats = NDArray[np.float64]
EDGE_STEP_M = 0.05  # neighbours further apart than this stand on two sides of an edge
REFERENCE_RANGE_M = 5.0
STRAY_REACH_M = 8.0
NOTHING = np.empty((0, 0))


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
    drawn = rng.standard_normal(shape), rng.random(shape)
    stray = (rng.random(shape), rng.random(shape)) if sensor.beam is None or noise.stray > 0.0 else (NOTHING, NOTHING)
    terms = (noise.range_std_m, noise.faint, noise.steepness, noise.dropout, noise.quantum_m, noise.stray)
    pairs = np.array(noise.std_m, dtype=np.float64).reshape(-1, 2)
    told, strength = np.empty(shape), np.empty(shape)
    soil = _soil_m(sensor, directions) if sensor.dirt else NOTHING
    bounds = noise.min_range_m, noise.max_range_m
    _err(true, ranges, signal, fixed.bias_m, drawn, stray, terms, _table(noise), pairs, bounds, soil, told, strength)
    return told, strength


def _table(noise: Noise) -> float:
    """The reflectivity that a table of noise is for; 0: for any."""
    return 0.0 if noise.std_reflectivity is None else noise.std_reflectivity


@kernel
def _err(
    true: Floats, ranges: Floats, signal: Floats, bias: Floats, drawn: tuple[Floats, Floats],
    stray: tuple[Floats, Floats], terms: tuple[float, float, float, float, float, float], reflectivity: float,
    pairs: Floats, bounds: tuple[float, float], soil: Floats, told: Floats, strength: Floats,
) -> None:  # fmt: skip
    """Noise, losses, strays, dirt and steps, ray by ray, from numbers (rows, columns) drawn for them."""
    std, faint, steepness, dropout, quantum, stray_share = terms
    normal, chance = drawn
    for row in range(true.shape[0]):
        for column in range(true.shape[1]):
            s, value, met = signal[row, column], 0.0, true[row, column] < np.inf
            if met:
                fade = 0.0 if faint == 0.0 else 1.0 / (1.0 + (max(s, 0.0) / faint) ** steepness)
                met = chance[row, column] >= dropout + (1.0 - dropout) * fade
            if met:
                spread = _spread_m(ranges[row, column], s, std, faint, reflectivity, pairs)
                value = ranges[row, column] + bias[row] + normal[row, column] * spread
            if stray[0].size > 0 and stray[0][row, column] < stray_share:
                reach = min(true[row, column], STRAY_REACH_M) - bounds[0]
                value = bounds[0] + stray[1][row, column] * max(reach, 0.0)
            if soil.size > 0 and soil[row, column] >= 0.0:
                value = soil[row, column]
            if quantum > 0.0:
                value = np.rint(value / quantum) * quantum
            value = value if bounds[0] <= value <= bounds[1] else 0.0
            told[row, column] = value
            strength[row, column] = min(s, 4.0) if value > 0.0 else 0.0


@kernel
def _spread_m(range_m: float, signal: float, std: float, faint: float, reflectivity: float, pairs: Floats) -> float:
    """Standard deviation of a range: the fainter the return, the greater.

    From a table it is that at the range at which the table's target would send as much light back (volest.catalogue).
    """
    if len(pairs) == 0:
        return float(min(std * np.sqrt(1.0 + faint / max(signal, 1e-6)), 3.0 * std))
    if reflectivity > 0.0:
        range_m = REFERENCE_RANGE_M * np.sqrt(reflectivity / max(signal, 1e-6))
    k = 0
    while k < len(pairs) and pairs[k, 0] < range_m:
        k += 1
    if k == 0 or k == len(pairs):
        return float(pairs[min(k, len(pairs) - 1), 1])
    share = (range_m - pairs[k - 1, 0]) / (pairs[k, 0] - pairs[k - 1, 0])
    return float(pairs[k - 1, 1] + share * (pairs[k, 1] - pairs[k - 1, 1]))


def _mixed(true: Floats, sensor: SensorScene, rng: np.random.Generator) -> Floats:
    """Where a beam straddles a depth edge, its range lies between those of the two sides, nearer to its middle's.

    An edge between two rays lies somewhere between their middles, and within one's beam with half a beam's chance.
    """
    mixed = true.copy()
    if sensor.pattern == "rosette":  # neighbours in time are none in space
        return mixed
    drawn = np.empty((2, *true.shape))
    for axis, spacing_deg in enumerate(_spacing_deg(sensor)):
        chance = min(1.0, 0.5 * sensor.noise.beam_deg / spacing_deg)
        is_open = axis == 0 or sensor.pattern == "camera"  # no neighbour beyond the outermost ray
        for towards in (1, -1):
            rng.random(out=drawn)
            _mix(true, axis, towards, is_open, chance, sensor.noise.mix_reach_m, drawn, mixed)
    return mixed


@kernel
def _mix(
    true: Floats, axis: int, towards: int, is_open: bool, chance: float, reach: float, drawn: Floats, mixed: Floats
) -> None:
    rows, columns = true.shape
    for row in range(rows):
        for column in range(columns):
            r, c = (row - towards, column) if axis == 0 else (row, column - towards)
            if is_open and not (0 <= r < rows and 0 <= c < columns):
                continue
            here, beside = true[row, column], true[r % rows, c % columns]
            if here < np.inf and beside < np.inf:
                jump = beside - here
                if EDGE_STEP_M < abs(jump) < reach and drawn[0, row, column] < chance:
                    mixed[row, column] = here + 0.5 * drawn[1, row, column] * jump


def _spacing_deg(sensor: SensorScene) -> tuple[float, float]:
    """Angles between neighbouring rows and columns."""
    across = 360.0 if sensor.pattern == "spinning" else sensor.horizontal_fov_deg
    return sensor.vertical_fov_deg / max(1, sensor.rows - 1), across / sensor.columns


def _soil_m(sensor: SensorScene, directions: Floats) -> Floats:
    """Where rays end in the dirt on the window (rows, columns): -1 where they do not, 0 where they do not return."""
    x, y, z = np.moveaxis(directions, -1, 0)
    azimuth, elevation = np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z))
    soil = np.full(azimuth.shape, -1.0)
    for spot in sensor.dirt:
        across = (azimuth - spot.azimuth_deg + 180.0) % 360.0 - 180.0
        up = elevation - spot.elevation_deg
        within = (across / (0.5 * spot.width_deg)) ** 2 + (up / (0.5 * spot.height_deg)) ** 2 < 1.0
        soil = np.where(within, spot.near_m, soil)
    return soil


def to_points(
    sensor: SensorScene, directions: Floats, ranges: Floats, intensity: Floats, times_s: Floats | None = None
) -> PointCloud:
    """The returns as points in the sensor's frame, with intensity (0 to 4, 1 = white at 5 m), row number and time."""
    sound = np.flatnonzero(ranges > 0.0)
    xyz = np.empty((len(sound), 3), dtype=np.float32)
    _place(directions.reshape(-1, 3), ranges.ravel(), sound, xyz)
    stamps = None if times_s is None else times_s.ravel()[sound]
    strength = intensity.ravel()[sound].astype(np.float32)
    return PointCloud(xyz, strength, stamps, (sound // sensor.columns).astype(np.uint16))


@kernel
def _place(directions: Floats, ranges: Floats, sound: NDArray[np.intp], xyz: NDArray[np.float32]) -> None:
    for k in range(len(sound)):
        for axis in range(3):
            xyz[k, axis] = directions[sound[k], axis] * ranges[sound[k]]
