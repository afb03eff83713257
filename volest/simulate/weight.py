"""What the truck's load cells say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.simulate.scene import WeightScene

__all__ = ["gross_series", "quantised"]


def gross_series(scene: WeightScene, net_kg: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rows (N, 2) of time_s and gross_kg; for kind "number" a single row at rest.

    The gain errs on the net mass, since the scale was zeroed with the empty truck.
    """
    at_rest = scene.tare_kg + rng.normal() * scene.tare_std_kg + net_kg * (1.0 + rng.normal() * scene.gain_std)
    if scene.kind == "number":
        return quantised(np.array([[0.0, at_rest + rng.normal() * scene.noise_kg]]), scene.resolution_kg)
    count = max(2, round(scene.duration_s * scene.rate_hz))
    time = (np.arange(count) + 0.05 * rng.standard_normal(count)) / scene.rate_hz
    time = np.round(np.maximum.accumulate(np.abs(time)), 3).astype(np.float64)
    gross = at_rest + _bounce(time, scene, rng) + rng.normal(0.0, 1.0, count) * scene.noise_kg
    gross += scene.drift_kg * rng.normal() * time / scene.duration_s
    spikes = rng.random(count) < scene.spike_rate
    gross[spikes] += rng.normal(0.0, 8.0, int(spikes.sum())) * max(scene.bounce_kg, 50.0)
    kept = ~_gaps(count, scene, rng)
    return quantised(np.column_stack([time, gross])[kept], scene.resolution_kg)


def _bounce(time: NDArray[np.float64], scene: WeightScene, rng: np.random.Generator) -> NDArray[np.float64]:
    """The body on its springs: a narrow band about `bounce_hz`, kicked now and then, dying away in some seconds."""
    bounce = np.zeros_like(time)
    for start in [0.0, *rng.uniform(0.0, scene.duration_s, rng.poisson(scene.duration_s / 6.0))]:
        since = np.maximum(time - start, 0.0)
        hertz, phase = scene.bounce_hz * rng.uniform(0.85, 1.15), rng.uniform(0.0, 2.0 * np.pi)
        kick = scene.bounce_kg * rng.uniform(0.3, 1.0) * np.exp(-since / rng.uniform(1.0, 3.0))
        bounce += np.where(time >= start, kick * np.sin(2.0 * np.pi * hertz * since + phase), 0.0)
    return bounce


def _gaps(count: int, scene: WeightScene, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Samples that never came: single ones, and a run of up to a second."""
    gone: NDArray[np.bool_] = rng.random(count) < scene.gap_rate
    if scene.gap_rate > 0.0:
        start, length = int(rng.integers(0, count)), int(rng.integers(0, max(1, int(scene.rate_hz))))
        gone[start : start + length] = True
    gone[0] = gone[-1] = False
    return gone


def quantised(rows: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Rows (N, 2) of time and mass, the mass in steps; in place."""
    if step > 0.0:
        rows[:, 1] = np.round(rows[:, 1] / step) * step
    return rows
