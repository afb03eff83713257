"""What scale and satellite receiver say of a truck that drives, halts and is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from volest.simulate.dayscene import RouteScene
from volest.simulate.scene import WeightScene
from volest.simulate.weight import quantised

__all__ = ["Ride"]

Floats = NDArray[np.float64]
M_PER_DEG = 111_320.0  # of latitude
RAMP_S = 8.0  # to speed up and to brake
LIGHT_S = 25.0  # at a red light
KICK_KG = 40.0  # what is thrown in, or who climbs on, makes the body bounce


@dataclass
class Ride:
    """The truck's way and weight, written down as time goes on; times in s."""

    route: RouteScene
    rng: np.random.Generator
    time_s: float = 0.0
    knots: list[tuple[float, float, float]] = field(default_factory=list)  # time, net kg, what else is on or burnt
    legs: list[tuple[float, float, float]] = field(default_factory=list)  # begin, end, when the light turns red or inf
    kicks: list[float] = field(default_factory=list)
    net_kg: float = 0.0
    other_kg: float = 0.0

    def note(self) -> None:
        """Write down what is on the truck now."""
        self.knots.append((self.time_s, self.net_kg, self.other_kg))

    def wait(self, seconds: float) -> None:
        """Stand with the engine running."""
        self.note()
        self.time_s += seconds
        self.other_kg -= self.route.fuel_kg_per_h * seconds / 3600.0
        self.note()

    def change(self, net_kg: float, crew_kg: float = 0.0, seconds: float = 1.0) -> None:
        """Come to another net mass within some seconds; so much crew climbs on (or off, below 0)."""
        self.note()
        self.kicks.append(self.time_s)
        self.net_kg, self.other_kg = net_kg, self.other_kg + crew_kg
        self.time_s += seconds
        self.note()

    def drive(self, km: float) -> None:
        """A leg of this length, with a red light on longer ones."""
        moving = 1000.0 * km / self.route.speed_m_s + RAMP_S
        light = self.time_s + self.rng.uniform(0.35, 0.65) * moving if km > 1.0 else math.inf
        seconds = moving if light == math.inf else moving + LIGHT_S + 2.0 * RAMP_S
        self.legs.append((self.time_s, self.time_s + seconds, light))
        self.other_kg -= self.route.fuel_kg_per_km * km
        self.wait(seconds)

    def speed_m_s(self, time: Floats) -> Floats:
        """Speeds at times (N,)."""
        speed = np.zeros_like(time)
        for begin, end, light in self.legs:
            edge = np.minimum(time - begin, end - time)
            if light < math.inf:
                edge = np.minimum(edge, np.abs(time - light - 0.5 * LIGHT_S - RAMP_S) - 0.5 * LIGHT_S)
            speed = np.maximum(speed, np.clip(edge / RAMP_S, 0.0, 1.0) * self.route.speed_m_s)
        return speed

    def positions(self) -> Floats:
        """Rows (N, 4) of time_s, lat, lon, speed_m_s, with noise of 2 m and 0.1 m/s, and gaps."""
        rng, route = self.rng, self.route
        time = np.arange(self.knots[0][0], self.time_s, route.gps_period_s)
        speed = self.speed_m_s(time)
        turn = np.cumsum(rng.normal(0.0, 0.06, len(time)) * (speed > 0.0)) + rng.uniform(0.0, 2.0 * np.pi)
        step = speed * route.gps_period_s
        north = np.cumsum(step * np.cos(turn)) + rng.normal(0.0, 2.0, len(time))
        east = np.cumsum(step * np.sin(turn)) + rng.normal(0.0, 2.0, len(time))
        lat, lon = route.depot_deg
        lon_m = M_PER_DEG * math.cos(math.radians(lat))
        told = np.abs(speed + rng.normal(0.0, 0.1, len(time)))
        rows = np.column_stack([time, lat + north / M_PER_DEG, lon + east / lon_m, told])
        return rows[rng.random(len(time)) >= route.gps_gap_rate]

    def weights(self, scene: WeightScene) -> tuple[Floats, float]:
        """Rows (N, 2) of time_s and gross_kg, and by how much the tare had changed in the morning.

        Standing, the body's bounce dies away after each kick; driving, it does not, and nine in ten samples are lost.
        """
        rng = self.rng
        time = np.arange(self.knots[0][0], self.time_s, 1.0 / scene.rate_hz)
        moving = self.speed_m_s(time) > 0.3
        kept = rng.random(len(time)) >= np.where(moving, 0.9, scene.gap_rate)
        time, moving = time[kept], moving[kept]
        at, net, other = np.array(self.knots).T
        off = rng.normal() * scene.tare_std_kg
        gain = 1.0 + rng.normal() * scene.gain_std
        gross = scene.tare_kg + off + np.interp(time, at, other) + gain * np.interp(time, at, net)
        gross += self._bounce(time, moving, scene) + scene.noise_kg * rng.standard_normal(len(time))
        gross += _wander(time, rng) * scene.drift_kg
        spikes = rng.random(len(time)) < scene.spike_rate
        gross[spikes] += rng.normal(0.0, 8.0, int(spikes.sum())) * max(scene.bounce_kg, 50.0)
        clock = np.round(time + self.route.weight_clock_s, 3)
        return quantised(np.column_stack([clock, np.maximum(gross, 0.0)]), scene.resolution_kg), off

    def _bounce(self, time: Floats, moving: NDArray[np.bool_], scene: WeightScene) -> Floats:
        rng = self.rng
        phase = 2.0 * np.pi * scene.bounce_hz * time + rng.uniform(0.0, 6.0)
        rough = scene.bounce_kg * 4.0 * (np.sin(phase) + rng.standard_normal(len(time))) * moving
        kicks = [(end, scene.bounce_kg) for _, end, _ in self.legs] + [(kick, KICK_KG) for kick in self.kicks]
        for start, size in kicks:
            window = slice(*np.searchsorted(time, (start, start + 20.0)))
            since = time[window] - start
            hertz = scene.bounce_hz * rng.uniform(0.85, 1.15)
            decay = np.exp(-since / rng.uniform(1.0, 3.0))
            rough[window] += size * decay * np.sin(2.0 * np.pi * hertz * since + rng.uniform(0.0, 6.0))
        return rough


def _wander(time: Floats, rng: np.random.Generator) -> Floats:
    """The scale's slow drift: a random walk of unit variance at the day's end, in steps of a minute."""
    minutes = (time - time[0]) / 60.0
    count = int(minutes[-1]) + 2
    walk = np.cumsum(rng.normal(0.0, 1.0 / math.sqrt(count), count))
    drift: Floats = np.interp(minutes, np.arange(count), walk)
    return drift
