"""Scores the estimator on simulated loads of all kinds, and learns the numbers of volest/uncertainty.py from them.

    python benchmarks/accuracy.py --scenes 300             bias, RMS, coverage and width, by sensor and kind of load
    python benchmarks/accuracy.py --scenes 300 --learn     the excess and the standard deviations, fitted to them

Scenes are drawn by volest.simulate.random_scene from --seed on; score on other seeds than those learned from.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

from volest.errors import InputError, SceneError
from volest.estimator import Estimator
from volest.simulate import random_scene, simulate, write
from volest.truck import Truck
from volest.uncertainty import BETWEEN, HIDDEN, SEEN

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Load:
    """One simulated load and its estimate, in % of struck capacity."""

    kind: str
    sensors: str
    visible: float
    error: float = np.nan  # NaN: rejected
    std: float = np.nan
    covered: bool = False
    raw_error: float = np.nan  # of the integral, before the excess is taken off
    rough_seen: float = np.nan
    hidden: tuple[float, ...] = ()
    known: tuple[float, ...] = ()


def estimate(seed: int) -> Load | None:
    """Simulate and estimate the scene of a seed, by way of files as a user would."""
    scene = random_scene(np.random.default_rng(seed))
    try:
        simulated = simulate(scene)
    except SceneError:  # a load that cannot lie in the bed that was drawn
        return None
    truth = simulated.truth
    sensors = "+".join(f"{sensor.rows}@{sensor.id}" for sensor in scene.sensor)
    label = Load(scene.load.kind, sensors, truth["visible_fraction"])
    with tempfile.TemporaryDirectory() as folder:
        write(simulated, Path(folder))
        truck = Truck.load(Path(folder) / "truck.toml")
        try:
            estimator = Estimator(truck)
        except InputError:
            return label
        scans = {name: [cloud.xyz for cloud in frames] for name, frames in simulated.scans.items()}
    result = estimator.estimate(scans if truck.sensors else np.concatenate([f for fs in scans.values() for f in fs]))
    if result.volume_m3 is None or result.volume_budget_m3 is None:
        return label
    volume, percent = result.volume_m3, 100.0 / truth["struck_capacity_m3"]
    integral = estimator._engine.integral()
    rough, area = integral.roughness, integral.area
    parts = result.volume_budget_m3
    return Load(
        label.kind,
        label.sensors,
        label.visible,
        (volume.value - truth["volume_m3"]) * percent,
        volume.std * percent,
        volume.lower95 <= truth["volume_m3"] <= volume.upper95,
        (integral.volume - truth["volume_m3"]) * percent,
        percent * rough * float(area[SEEN]),
        tuple(percent * np.array([area[HIDDEN], integral.hidden_distance, rough * area[BETWEEN], integral.gap])),
        tuple(percent * np.array([parts["pose"], parts["reference"], parts["range"]])),
    )


def report(loads: list[Load]) -> None:
    """Print the score of all loads, and of each kind and each set of sensors."""
    print(f"{'loads':34s} {'n':>4s} {'rej':>4s} {'bias':>6s} {'RMS':>6s} {'95th':>6s} {'cover':>6s} {'width':>6s}")
    groups = [("all", loads)]
    groups += [(f"{lo:.0%} to {hi:.0%} seen", [x for x in loads if lo <= x.visible < hi]) for lo, hi in VISIBLE]
    groups += [(kind, [x for x in loads if x.kind == kind]) for kind in sorted({x.kind for x in loads})]
    groups += [(name, [x for x in loads if x.sensors == name]) for name in sorted({x.sensors for x in loads})]
    for name, group in groups:
        errors = np.array([x.error for x in group if np.isfinite(x.error)])
        if not len(errors):
            continue
        stds = np.array([x.std for x in group if np.isfinite(x.error)])
        covered = np.mean([x.covered for x in group if np.isfinite(x.error)])
        rms, worst = np.sqrt(np.mean(errors**2)), np.quantile(np.abs(errors), 0.95)
        counts = f"{len(errors):4d} {len(group) - len(errors):4d}"
        width = 3.92 * stds.mean()
        print(f"{name:34s} {counts} {errors.mean():6.2f} {rms:6.2f} {worst:6.2f} {covered:6.2f} {width:6.2f}")


def learn(loads: list[Load]) -> None:
    """Print the coefficients of the excess and of the standard uncertainty that explain the raw errors best."""
    sound = [x for x in loads if np.isfinite(x.error)]
    raw = np.array([x.raw_error for x in sound])
    rough = np.array([x.rough_seen for x in sound])
    fit = least_squares(lambda c: np.arcsinh(raw - rough * c[0]), np.zeros(1), loss="soft_l1").x
    print("excess by roughness of seen cells:", np.round(fit, 3))
    left = raw - rough * fit[0]
    features = np.hstack([np.array([x.hidden for x in sound]), np.array([x.known for x in sound])])
    free = len(sound[0].hidden)

    def surprise(c: Floats) -> float:
        """Minus the log-likelihood of Student's t with 8 degrees of freedom; the last three stay near 1."""
        variance = features**2 @ c**2 + 1e-4
        loss = 0.5 * np.log(variance) + 4.5 * np.log1p(left**2 / variance / 8.0)
        return float(np.sum(loss) + 0.5 * np.sum((c[free:] - 1.0) ** 2))

    start = np.concatenate([np.full(free, 0.2), np.ones(3)])
    options = {"maxiter": 20000, "maxfev": 20000, "adaptive": True}
    stds = np.abs(minimize(surprise, start, method="Nelder-Mead", options=options).x)
    names = ("hidden", "hidden x distance", "between x roughness", "gap", "pose", "reference", "range")
    print("standard deviations:", {name: round(float(value), 3) for name, value in zip(names, stds, strict=True)})


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
