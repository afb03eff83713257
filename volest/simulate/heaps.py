"""Base forms of loads: how heaps lie before bags, lumps and texture are laid on them. Their level is arbitrary."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from volest.simulate.heightfield import HeightField
from volest.simulate.pile import correlated_noise
from volest.simulate.scene import LoadScene

__all__ = ["base_form"]

Floats = NDArray[np.float64]
Rng = np.random.Generator
Form = Callable[[Rng, HeightField, float], Floats]


def base_form(scene: LoadScene, field: HeightField, rng: Rng) -> Floats:
    """Heights (ny, nx) at the field's nodes; slopes stay below the angle of repose."""
    slope = math.tan(math.radians(scene.repose_deg))
    if scene.kind == "flat":
        return _tilted(rng, field, 0.015) + correlated_noise(rng, field, 0.5) * 0.012
    if scene.kind == "peaked":
        return _peaks(rng, field, slope)
    if scene.kind in WHOLE:
        return WHOLE[scene.kind](rng, field, slope)
    profile = scene.profile or str(rng.choice(["heaps", "heaps", "ridge", "ramp", "crater", "plane"]))
    swell = correlated_noise(rng, field, rng.uniform(0.4, 0.9)) * rng.uniform(0.02, 0.09)
    return FORMS[profile](rng, field, slope) + swell


def _extent(field: HeightField) -> tuple[Floats, Floats, float, float]:
    """Nodes about the field's middle, and its length and width."""
    x, y = field.nodes()
    length, width = float(np.ptp(x)), float(np.ptp(y))
    return x - field.x0_m - length / 2.0, y - field.y0_m - width / 2.0, length, width


def _tilted(rng: Rng, field: HeightField, size: float) -> Floats:
    x, y, _, _ = _extent(field)
    tilted: Floats = rng.normal(0.0, size) * x + rng.normal(0.0, size) * y
    return tilted


def _peaks(rng: Rng, field: HeightField, slope: float) -> Floats:
    """One to three cones at the angle of repose along the middle, as a loader's buckets leave them."""
    _, _, length, width = _extent(field)
    count = int(rng.choice([1, 1, 2, 3]))
    stations = (np.arange(count) + 0.5) / count - 0.5
    places = [((s + rng.normal(0.0, 0.08)) * length, rng.normal(0.0, 0.06) * width) for s in stations]
    return _cones(rng, field, slope, places, apex_std_m=0.1)


def _heaps(rng: Rng, field: HeightField, slope: float) -> Floats:
    _, _, length, width = _extent(field)
    count = int(rng.integers(1, 5))
    places = [(rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.3, 0.3) * width) for _ in range(count)]
    return _cones(rng, field, slope * rng.uniform(0.4, 1.0), places, apex_std_m=0.25)


def _cones(rng: Rng, field: HeightField, slope: float, places: list[tuple[float, float]], apex_std_m: float) -> Floats:
    """The upper envelope of rounded, stretched cones."""
    x, y, _, _ = _extent(field)
    z = np.full_like(x, -np.inf)
    for index, (cx, cy) in enumerate(places):
        turn, stretch, blunt = rng.uniform(0.0, np.pi), rng.uniform(1.0, 1.4), rng.uniform(0.05, 0.5)
        along = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
        aside = (y - cy) * math.cos(turn) - (x - cx) * math.sin(turn)
        apex = 0.0 if index == 0 else rng.normal(0.0, apex_std_m)
        z = np.maximum(z, apex - slope * np.sqrt((along / stretch) ** 2 + aside**2 + blunt**2))
    return z


def _ridge(rng: Rng, field: HeightField, slope: float) -> Floats:
    """Along the bed, as filling from above by a belt leaves it."""
    x, y, _, width = _extent(field)
    off = y - rng.normal(0.0, 0.06) * width - rng.normal(0.0, 0.06) * x
    ridge: Floats = -slope * rng.uniform(0.3, 1.0) * np.hypot(off, rng.uniform(0.05, 0.3))
    return ridge


def _ramp(rng: Rng, field: HeightField, slope: float) -> Floats:
    """Pushed against one end, or what a started tipping leaves."""
    x, y, length, _ = _extent(field)
    from_end = x * rng.choice([-1.0, 1.0]) + length / 2.0
    bent = np.maximum(from_end - rng.uniform(0.0, 0.6) * length, 0.0)
    ramp: Floats = -rng.uniform(0.08, 0.9) * slope * np.hypot(bent, 0.2) + rng.normal(0.0, 0.05) * y
    return ramp


def _crater(rng: Rng, field: HeightField, slope: float) -> Floats:
    """A ring heap, as when the middle has been taken out or was filled last."""
    x, y, length, width = _extent(field)
    aside = (y - rng.normal(0.0, 0.1) * width) * 0.7 * length / width
    distance = np.hypot(x - rng.normal(0.0, 0.15) * length, aside)
    crater: Floats = -np.abs(distance - rng.uniform(0.2, 0.4) * length) * slope * rng.uniform(0.2, 0.6)
    return crater


def _plane(rng: Rng, field: HeightField, slope: float) -> Floats:
    return _tilted(rng, field, 0.1 * min(slope, 1.0))


def _tipped(rng: Rng, field: HeightField, slope: float) -> Floats:
    """Out of a chute over one wall: half a cone at the angle of repose, with a foot that runs out."""
    x, y, length, width = _extent(field)
    places = ((-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5))
    at = places[int(rng.integers(4))]
    along, aside = (
        (rng.normal(0.0, 0.15) if at[0] == 0.0 else at[0]),
        (rng.normal(0.0, 0.15) if at[1] == 0.0 else at[1]),
    )
    distance = np.hypot(x - along * length, y - aside * width) - rng.uniform(0.0, 0.3)
    foot = rng.uniform(0.4, 1.2) * length
    return -slope * foot * (1.0 - np.exp(-np.maximum(distance, 0.0) / foot))


def _compacted(rng: Rng, field: HeightField, slope: float) -> Floats:
    """Pressed by a plate or a bucket: level fields with low steps between them, a little higher in the middle."""
    x, y, length, width = _extent(field)
    levels = correlated_noise(rng, field, rng.uniform(0.3, 0.7))
    steps = 0.5 * np.tanh(6.0 * (levels - rng.normal(0.0, 0.3))) * rng.uniform(0.02, 0.07)
    crown = min(slope, 0.3) * rng.uniform(0.0, 0.3) * (x * x / length + y * y / width)
    pressed: Floats = steps - crown + _tilted(rng, field, 0.02)
    return pressed


def _bulk(rng: Rng, field: HeightField, slope: float) -> Floats:
    """Grain, sand or ore from a spout: sharp cones at the angle of repose, some struck off level."""
    _, _, length, width = _extent(field)
    count = int(rng.integers(1, 7))
    places = [(((k + 0.5) / count - 0.5) * length, rng.normal(0.0, 0.08) * width) for k in range(count)]
    x, y, _, _ = _extent(field)
    apex = rng.normal(0.0, 0.08, count)
    z: Floats = np.max([h - slope * np.hypot(x - cx, y - cy) for h, (cx, cy) in zip(apex, places, strict=True)], axis=0)
    struck = rng.uniform(-0.4, -0.05) if rng.random() < 0.4 else np.inf
    return np.minimum(z, struck) + correlated_noise(rng, field, 0.5) * 0.01


WHOLE: dict[str, Form] = {"tipped": _tipped, "compacted": _compacted, "bulk": _bulk}
FORMS: dict[str, Form] = {"heaps": _heaps, "ridge": _ridge, "ramp": _ramp, "crater": _crater, "plane": _plane}
