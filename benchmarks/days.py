"""Scores `volest track` on simulated days whose true ledger is known.

    python benchmarks/days.py --days 60            coverage of added volumes, masses, densities, wetness; the balance

Days are drawn from --seed on: beds, mounts and sensors as `random_scene` draws them, 64 x 512 rays.
"""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from volest.simulate import DayScene, random_scene
from volest.simulate.dayscene import RouteScene, TripScene
from volest.simulate.scene import PoseStd, WeightScene

MOUNTS = {"front": 0.35, "overhead": 0.25, "front+rear": 0.3, "side": 0.1}


def random_day(seed: int) -> DayScene:
    """A day drawn at random, of a truck whose empty bed was scanned."""
    rng = np.random.default_rng([seed, 77])
    mount = str(rng.choice(list(MOUNTS), p=list(MOUNTS.values())))
    drawn = random_scene(rng, load="rough", sensor="os128", mount=mount, reference=True, columns=512)
    std = PoseStd(float(rng.uniform(0.002, 0.01)), float(rng.uniform(0.03, 0.2)))
    sensors = tuple(replace(sensor, rows=64, pose_std=std, frames=1) for sensor in drawn.sensor)
    trips = tuple(
        TripScene(stops=int(rng.integers(3, 7)), fill_ratio=float(rng.uniform(0.4, 1.05)))
        for _ in range(int(rng.integers(1, 3)))
    )
    return DayScene(
        kind="day",
        seed=seed,
        bed=drawn.bed,
        sensor=sensors,
        trip=trips,
        route=RouteScene(leg_km=(0.3, 1.5)),
        weight=WeightScene(
            tare_kg=4000.0,
            tare_std_kg=float(rng.uniform(5.0, 20.0)),
            gain_std=float(rng.uniform(0.002, 0.01)),
            resolution_kg=float(rng.choice([1.0, 5.0, 10.0])),
            rate_hz=10.0,
        ),
        repose_deg=float(rng.uniform(32.0, 45.0)),
        roughness_m=float(rng.uniform(0.005, 0.035)),
        lump_m=float(rng.uniform(0.1, 0.3)),
        bag_m=float(rng.uniform(0.3, 0.6)),
    )
