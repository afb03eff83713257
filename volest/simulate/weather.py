"""Rain and dust: light that gets lost on its way, and light that drops and grains send back."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from volest.simulate.scene import SensorScene, WeatherScene

__all__ = ["extinction_per_m", "through_weather"]

Floats = NDArray[np.float64]
DROPS_PER_M3_MM = 8000.0  # Marshall and Palmer, *The distribution of raindrops with size*, J. Meteorology 5, 1948:
SLOPE_PER_MM, SLOPE_POWER = 4.1, -0.21  # N(D) = 8000 exp(-4.1 R^-0.21 D) drops per m3 and mm of diameter
DUST_M2_PER_G = 1.0  # Shimizu et al., SOLA 7A, 2011: 0.5 to 2 g/m2 of mass over extinction, by filters beside lidars
WATER_SR, DUST_SR = (
    18.8,
    55.0,
)  # extinction over backscatter: O'Connor, Illingworth and Hogan, J. Atmospheric and Oceanic
# Technology 21, 2004, for drops at 905 nm; Mueller et al., J. Geophysical Research 112, 2007, for Saharan dust
GATE_M = 0.6  # of a pulse of 4 ns: grains nearer together than this shine as one
STEP_M, REACH_M = 0.02, 30.0
REFERENCE_RANGE_M = 5.0
DEFAULT_BEAM_DEG = 0.2


def _slope_per_mm(rain_mm_h: float) -> float:
    return SLOPE_PER_MM * float(rain_mm_h**SLOPE_POWER)


def rain_per_m(rain_mm_h: float) -> float:
    """Extinction of rain [1/m]: drops shade twice their cross-section (van de Hulst, *Light scattering by small
    particles*, 1957), so the integral of pi D^2 / 2 over Marshall's and Palmer's drops: pi N0 / slope^3."""
    return 0.0 if rain_mm_h == 0.0 else 1e-6 * math.pi * DROPS_PER_M3_MM / _slope_per_mm(rain_mm_h) ** 3


def dust_per_m(dust_mg_m3: float) -> float:
    """Extinction of mineral dust [1/m]."""
    return 1e-3 * DUST_M2_PER_G * dust_mg_m3


def extinction_per_m(weather: WeatherScene) -> float:
    """The part of the light that is lost in a metre of way."""
    return rain_per_m(weather.rain_mm_h) + dust_per_m(weather.dust_mg_m3)


def through_weather(
    weather: WeatherScene, sensor: SensorScene, range_m: Floats, signal: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Ranges (inf: nothing was met) and signals of returns after their way through the air, there and back.

    Signal falls by exp(-2 extinction x range) (Beer and Lambert). A drop or a cloud of grains nearer than the target is
    told in its place if it is found at all and is stronger, or if the sensor tells first returns.
    """
    with np.errstate(invalid="ignore"):
        kept = np.where(np.isfinite(range_m), np.exp(-2.0 * extinction_per_m(weather) * range_m), 0.0)
    signal = np.where(np.isfinite(range_m), signal * kept, 0.0)
    at, strength, found = _clutter(weather, sensor)
    drawn = rng.exponential(size=range_m.shape)  # the first find of a Poisson process
    met = np.interp(drawn, found, at, right=np.inf)
    shine = np.interp(met, at, strength, right=0.0)
    first = sensor.beam is not None and sensor.beam.tells != "strongest"
    wins = (met < range_m) & ((shine > signal) | first)
    return np.where(wins, met, range_m), np.where(wins, shine, signal)


def _clutter(weather: WeatherScene, sensor: SensorScene) -> tuple[Floats, Floats, Floats]:
    """Ranges, the signal of what flies there, and how many finds are to be expected up to there."""
    at = np.arange(max(sensor.noise.min_range_m, STEP_M), REACH_M, STEP_M)
    angles, aperture = (DEFAULT_BEAM_DEG,) * 2, 0.0
    if sensor.beam is not None:
        angles, aperture = sensor.beam.divergence_deg, sensor.beam.aperture_m
    area = math.pi / 4.0 * np.prod([aperture + at * math.radians(max(angle, 0.02)) for angle in angles], axis=0)
    way = (REFERENCE_RANGE_M / at) ** 2 * np.exp(-2.0 * extinction_per_m(weather) * at)
    grains = math.pi * dust_per_m(weather.dust_mg_m3) * GATE_M / DUST_SR * way  # as the reflectance of a white target
    found_per_m = _is_found(grains, sensor) / GATE_M
    drops = np.zeros_like(at)
    if weather.rain_mm_h > 0.0:
        # Drops as different as these shine like a sixth as many that are alike: <D^2>^2 / <D^4>.
        per_m3 = DROPS_PER_M3_MM / _slope_per_mm(weather.rain_mm_h) / 6.0
        drops = math.pi * rain_per_m(weather.rain_mm_h) / per_m3 / WATER_SR / area * way
        found_per_m += per_m3 * area * _is_found(drops, sensor)
    return at, np.maximum(grains, drops), np.concatenate([[0.0], np.cumsum(found_per_m[:-1] * STEP_M)])


def _is_found(signal: Floats, sensor: SensorScene) -> Floats:
    """The probability that a signal is found, as of any other target."""
    odds = (signal / max(sensor.noise.faint, 1e-6)) ** sensor.noise.steepness
    return odds / (1.0 + odds)
