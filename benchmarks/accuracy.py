"""Scores the estimator on simulated loads of all kinds, and learns `kGenericCalibration` (cpp/src) from them.

    python benchmarks/accuracy.py --scenes 300             bias, RMS, coverage and width, by sensor, load, fill and view
    python benchmarks/accuracy.py --scenes 300 --learn     the excess and the standard deviations, fitted to them

Scenes are drawn by volest.simulate.random_scene from --seed on; score on other seeds than those learned from.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volest.calibration import Sample, calibrated, errors_and_stds
from volest.errors import InputError, SceneError
from volest.estimator import Estimator
from volest.simulate import random_scene, simulate, write
from volest.truck import Truck
from volest.uncertainty import GENERIC, Calibration

BELIEF = 2.0  # 1-sigma of the logarithm of each coefficient
SENSORS = {"16": "16 rows", "128": "128 rows", "240": "camera"}


@dataclass(frozen=True, slots=True)
class Load:
    """One simulated load and its estimate, in % of struck capacity."""

    seed: int
    kind: str
    sensors: str
    visible: float
    fill: float
    seen: float = np.nan  # what the estimate says of it
    error: float = np.nan  # NaN: rejected
    std: float = np.nan
    covered: bool = False
    sample: Sample | None = None
    flags: tuple[str, ...] = ()


def estimate(seed: int) -> Load | None:
    """Simulate and estimate the scene of a seed, by way of files as a user would."""
    scene = random_scene(np.random.default_rng(seed))
    try:
        simulated = simulate(scene)
    except SceneError:  # a load that cannot lie in the bed that was drawn
        return None
    truth = simulated.truth
    sensors = "+".join(f"{sensor.rows}@{sensor.id}" for sensor in scene.sensor)
    label = (seed, scene.load.kind, sensors, truth["visible_fraction"], truth["fill_ratio"])
    with tempfile.TemporaryDirectory() as folder:
        write(simulated, Path(folder))
        truck = Truck.load(Path(folder) / "truck.toml")
        try:
            estimator = Estimator(truck)
        except InputError:
            return Load(*label)
    scans = {name: [cloud.xyz for cloud in frames] for name, frames in simulated.scans.items()}
    result = estimator.estimate(scans if truck.sensors else np.concatenate([f for fs in scans.values() for f in fs]))
    volume, terms = result.volume_m3, estimator.terms
    if volume is None or terms is None or result.seen_fraction is None:
        return Load(*label, flags=result.flags)
    percent = 100.0 / truth["struck_capacity_m3"]
    return Load(
        *label,
        seen=result.seen_fraction,
        error=(volume.value - truth["volume_m3"]) * percent,
        std=volume.std * percent,
        covered=volume.lower95 <= truth["volume_m3"] <= volume.upper95,
        sample=Sample(estimator.integral().volume, truth["volume_m3"], terms).scaled(percent),
        flags=result.flags,
    )


def report(loads: list[Load]) -> None:
    """Print the score of all loads, and of each kind, each set of sensors, and each quarter of fill and of view."""
    print(f"{'loads':34s} {'n':>4s} {'rej':>4s} {'bias':>6s} {'RMS':>6s} {'95th':>6s} {'cover':>6s} {'width':>6s}")
    for name, group in groups_of(loads):
        errors = np.array([x.error for x in group if np.isfinite(x.error)])
        if not len(errors):
            continue
        stds = np.array([x.std for x in group if np.isfinite(x.error)])
        covered = np.mean([x.covered for x in group if np.isfinite(x.error)])
        rms, worst = np.sqrt(np.mean(errors**2)), np.quantile(np.abs(errors), 0.95)
        counts = f"{len(errors):4d} {len(group) - len(errors):4d}"
        width = 3.92 * stds.mean()
        print(f"{name:34s} {counts} {errors.mean():6.2f} {rms:6.2f} {worst:6.2f} {covered:6.2f} {width:6.2f}")


def groups_of(loads: list[Load]) -> list[tuple[str, list[Load]]]:
    """All loads, and the parts of them that are looked at."""
    groups = [("all", loads)]
    groups += [(f"{lo:.0%} to {hi:.0%} in view", [x for x in loads if lo <= x.visible < hi]) for lo, hi in VISIBLE]
    groups += _quarters(loads, "seen", lambda x: x.seen)
    groups += _quarters(loads, "filled", lambda x: x.fill)
    for key, name in SENSORS.items():
        groups.append((name, [x for x in loads if x.sensors.startswith(f"{key}@")]))
    groups += [(kind, [x for x in loads if x.kind == kind]) for kind in sorted({x.kind for x in loads})]
    groups += [(name, [x for x in loads if x.sensors == name]) for name in sorted({x.sensors for x in loads})]
    return groups


def _quarters(loads: list[Load], word: str, key: Callable[[Load], float]) -> list[tuple[str, list[Load]]]:
    """Four groups of estimated loads, as large as each other."""
    edges = np.nanquantile([key(x) for x in loads], (0.0, 0.25, 0.5, 0.75, 1.0))
    edges[-1] += 1e-9
    spans = list(itertools.pairwise(edges))
    return [(f"{lo:.1%} to {hi:.1%} {word}", [x for x in loads if lo <= key(x) < hi]) for lo, hi in spans]


def learn(loads: list[Load]) -> None:
    """Print the calibration that explains the errors best, and how its intervals do in each group."""
    found = calibrated([x.sample for x in loads if x.sample is not None], GENERIC, BELIEF)
    print(found)
    for name, group in groups_of(loads):
        honesty(name, [x.sample for x in group if x.sample is not None], found)


def honesty(name: str, samples: list[Sample], calibration: Calibration) -> None:
    """Print how often these intervals hold, and by what they would have to be widened."""
    if not samples:
        return
    errors, stds = errors_and_stds(samples, calibration)
    z = np.abs(errors) / stds
    ask = np.quantile(z, (0.9, 0.95)) / (1.645, 1.96)
    cover, width = np.mean(z <= 1.96), 3.92 * stds.mean()
    print(
        f"{name:34s} {len(z):4d} cover {cover:.3f} width {width:6.2f} widen by 90 %: {ask[0]:.2f}, 95 %: {ask[1]:.2f}"
    )


VISIBLE = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01))

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=300, help="how many")
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first scene; the others follow it")
    parser.add_argument("--learn", action="store_true", help="fit the numbers instead of scoring")
    arguments = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        drawn = list(pool.map(estimate, range(arguments.seed, arguments.seed + arguments.scenes), chunksize=4))
    (learn if arguments.learn else report)([load for load in drawn if load is not None])
