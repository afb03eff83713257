"""Simulated loads of the demo: a load drawn at random, scanned in a truck's own bed, and weighed."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from volest.load import PreparedTruck
from volest.simulate.rehearsal import MeasuredBed, View, rehearse

__all__ = ["rehearsed"]

WET_SHARE = (
    4.0,
    2.5,
)  # of a Beta distribution; half to two thirds of the waste of Indonesian cities is food and leaves
READING_STD_KG = 4.0


@cache
def _stage(prepared: PreparedTruck) -> tuple[MeasuredBed, tuple[View, ...]]:
    truck, scans = prepared.truck, dict(reversed(prepared.estimator.reference))
    stds = {s.id: (s.range_noise_m, (s.pose_std_xyz_m, s.pose_std_rpy_rad)) for s in truck.sensors}
    return MeasuredBed(prepared.estimator.bed), tuple(View.of(scans[s.id], *stds[s.id]) for s in truck.sensors)


def rehearsed(prepared: PreparedTruck, seed: int, folder: Path) -> dict[str, Any]:
    """Scans as files in `folder`, gross mass, and the true volume of load number `seed`."""
    rng = np.random.default_rng(seed)
    load = rehearse(*_stage(prepared), rng)
    scans = []
    for sensor, xyz in zip(prepared.truck.sensors, load.scans, strict=True):
        path = folder / f"{secrets.token_hex(16)}.npz"
        np.savez(path, xyz=xyz)
        scans.append([sensor.id, str(path)])
    return {"scans": scans, "gross_kg": _gross_kg(prepared, load.volume_m3, rng), "volume_m3": load.volume_m3}


def _gross_kg(prepared: PreparedTruck, volume_m3: float, rng: np.random.Generator) -> float | None:
    """What the scale shows: wet and dry parts fill the volume beside each other."""
    scale, waste = prepared.truck.scale, prepared.truck.waste
    if scale is None:
        return None
    wet = rng.beta(*WET_SHARE)
    dry_kg_m3 = waste.dry_kg_m3 * np.exp(0.5 * waste.dry_log_std * rng.standard_normal())
    wet_kg_m3 = waste.wet_kg_m3 * np.exp(0.5 * waste.wet_log_std * rng.standard_normal())
    net_kg = volume_m3 / ((1.0 - wet) / dry_kg_m3 + wet / wet_kg_m3)
    errors = 1.0 + scale.gain_std * rng.standard_normal(), scale.tare_std_kg * rng.standard_normal()
    shown = scale.tare_kg + net_kg * errors[0] + errors[1] + READING_STD_KG * rng.standard_normal()
    return float(round(shown / scale.resolution_kg) * scale.resolution_kg)
