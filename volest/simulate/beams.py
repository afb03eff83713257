"""Beams that are wide: each part of one meets its own surface, and what comes back is told as one range."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from volest.jit import kernel
from volest.simulate.raycast import Hits
from volest.simulate.scene import SensorScene

__all__ = ["Shoot", "footprints", "neighbour"]

Floats = NDArray[np.float64]
Rays = NDArray[np.intp]
EDGE_STEP_M = 0.05
RING = np.sqrt(2.0 / 3.0)  # a disk by its middle (1/4) and six places at this radius (1/8 each): exact to degree 5
SHARES = np.array([0.25, *[0.125] * 6])  # Abramowitz and Stegun, Handbook of Mathematical Functions, 25.4.61
TELLS = {"strongest": 0, "first": 1, "mean": 2}


class Shoot(Protocol):
    """What directions (M, 3) in the sensor's frame meet, sent when and from where the rays of these numbers are."""

    def __call__(self, rays: Rays, directions: Floats) -> tuple[Hits, Floats]:
        """Hits and the reflectance (M,) of what was hit."""


def footprints(shoot: Shoot, sensor: SensorScene, directions: Floats, hits: Hits, reflectance: Floats) -> None:
    """Replace, in place, what the beams' middles met by what comes back of whole beams.

    Of a grid of rays only those are looked at that have an edge beside them. Of a target at an angle all but the
    power's share of each part is that of the single ray: reflectance times cosine over range squared.
    """
    assert sensor.beam is not None
    rays = _near_edges(sensor, hits)
    if max(sensor.beam.divergence_deg) == 0.0 or len(rays) == 0:
        return
    ranges, light = np.empty((7, len(rays))), np.empty((7, len(rays)))
    ranges[0], light[0] = hits.range_m[rays], reflectance[rays] * hits.cosine[rays]
    for k, beam in enumerate(_around(sensor, directions[rays], ranges[0])):
        met, sent_back = shoot(rays, beam)
        ranges[k + 1], light[k + 1] = met.range_m, sent_back * met.cosine
    told, strength = np.empty(len(rays)), np.empty(len(rays))
    _resolve(ranges, light, SHARES, sensor.noise.mix_reach_m, TELLS[sensor.beam.tells], told, strength)
    hits.range_m[rays] = told
    hits.cosine[rays] = strength
    reflectance[rays] = 1.0


def _near_edges(sensor: SensorScene, hits: Hits) -> Rays:
    """Numbers of the rays of which a part may meet another surface than the middle."""
    if sensor.pattern in ("rosette", "line"):  # no neighbour tells of an edge: look everywhere
        return np.arange(len(hits.range_m))
    shape = (sensor.rows, sensor.columns)
    true, part = hits.range_m.reshape(shape), hits.part.reshape(shape)
    edge = np.zeros(shape, dtype=bool)
    for axis in (0, 1):
        for towards in (1, -1):
            other, other_part = (neighbour(sensor, values, axis, towards) for values in (true, part))
            with np.errstate(invalid="ignore"):
                edge |= (np.abs(other - true) > EDGE_STEP_M) | (other_part != part)
    return np.flatnonzero(edge)


def neighbour(sensor: SensorScene, values: NDArray, axis: int, towards: int) -> NDArray:  # type: ignore[type-arg]
    """Each ray's neighbour's value; beyond the outermost ray, unless the sensor turns, that of the ray itself."""
    beside = np.roll(values, towards, axis)
    if axis == 0 or sensor.pattern == "camera":
        end = 0 if towards == 1 else -1
        np.moveaxis(beside, axis, 0)[end] = np.moveaxis(values, axis, 0)[end]
    return beside


def _around(sensor: SensorScene, directions: Floats, range_m: Floats) -> list[Floats]:
    """Six directions (M, 3) each about the middles of beams, which widen from the window on."""
    assert sensor.beam is not None
    at = np.where(np.isfinite(range_m), np.maximum(range_m, 0.1), 10.0)
    half = [np.radians(angle) / 2.0 + sensor.beam.aperture_m / (2.0 * at) for angle in sensor.beam.divergence_deg]
    across = np.cross([0.0, 0.0, 1.0], directions)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    up = np.cross(directions, across)
    beams = []
    for angle in np.arange(6) * np.pi / 3.0:
        aside = RING * (np.cos(angle) * half[0])[:, None] * across + RING * (np.sin(angle) * half[1])[:, None] * up
        beam = directions + aside
        beams.append(beam / np.linalg.norm(beam, axis=1, keepdims=True))
    return beams


@kernel
def _resolve(
    ranges: Floats, light: Floats, shares: Floats, reach: float, tells: int, told: Floats, strength: Floats
) -> None:
    """Of the parts' returns those within `reach` of the first of them are one; which one is told, and how strong.

    strength: reflectance times cosine of a target over the whole beam that would send as much back from there.
    """
    order = np.empty(7, dtype=np.int64)
    for ray in range(ranges.shape[1]):
        count = 0
        for k in range(7):
            if light[k, ray] > 0.0 and ranges[k, ray] < np.inf:
                spot = count
                while spot > 0 and ranges[order[spot - 1], ray] > ranges[k, ray]:
                    order[spot] = order[spot - 1]
                    spot -= 1
                order[spot] = k
                count += 1
        best_power, best_moment, power, moment, begin = 0.0, 0.0, 0.0, 0.0, -np.inf
        for index in range(count):
            k = order[index]
            r = ranges[k, ray]
            if r - begin > reach and tells != 2:
                if tells == 1 and best_power > 0.0:
                    break
                power, moment, begin = 0.0, 0.0, r
            share = shares[k] * light[k, ray] / (r * r)
            power, moment = power + share, moment + share * r
            if power > best_power or tells == 2:
                best_power, best_moment = power, moment
        told[ray] = best_moment / best_power if best_power > 0.0 else np.inf
        strength[ray] = best_power * told[ray] ** 2 if best_power > 0.0 else 0.0
