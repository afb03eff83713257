"""Scores the estimator on simulated scans of which something is wrong: dust, branches, a tarp, a dirty window, a load
that moves.

    python benchmarks/disturbances.py --scenes 40          of each kind: how often each flag is raised, and the errors

Sound scans (`clean`, two frames of each sensor) show the false alarms. Scenes are random_scene's from --seed on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from volest.errors import InputError, SceneError
from volest.estimator import Estimator
from volest.pose import Pose
from volest.simulate import Scene, random_scene, simulate, write
from volest.simulate.scene import BranchScene, Dirt, SensorScene, TarpScene
from volest.truck import Truck

FLAGS = ("dust", "tarp", "dirty_window", "load_moved", "sensor_moved")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was said of one scene, in % of struck capacity."""

    seed: int
    flags: tuple[str, ...]
    error: float = np.nan  # NaN: rejected
    width: float = np.nan
    covered: bool = False
    rejected_share: float = np.nan  # of the returns


def clean(scene: Scene, _: np.random.Generator) -> Scene:
    """Two frames, in which nothing is wrong."""
    return replace(scene, sensor=tuple(replace(s, frames=2) for s in scene.sensor))


def dusty(scene: Scene, rng: np.random.Generator) -> Scene:
    """From a haze to a storm."""
    stray = float(np.exp(rng.uniform(np.log(0.02), np.log(0.4))))
    return replace(scene, sensor=tuple(replace(s, noise=replace(s.noise, stray=stray)) for s in scene.sensor))


def branchy(scene: Scene, rng: np.random.Generator) -> Scene:
    """Branches that stick out."""
    count, length, radius = int(rng.integers(5, 60)), float(rng.uniform(0.3, 1.2)), float(rng.uniform(0.008, 0.03))
    return replace(scene, branches=BranchScene(count=count, length_m=length, radius_m=radius))


def covered(scene: Scene, rng: np.random.Generator) -> Scene:
    """A tarp over the bed."""
    shape = "dome" if rng.random() < 0.5 else "ridge"
    rise = float(rng.uniform(0.05, 0.45)) if rng.random() < 0.6 else float(rng.uniform(-0.25, -0.03))
    return replace(scene, tarp=TarpScene(shape=shape, rise_m=rise, wrinkle_m=float(rng.uniform(0.0, 0.015))))


def soiled(scene: Scene, rng: np.random.Generator) -> Scene:
    """A spot on the window of the first sensor, in its view of the bed."""
    first, *others = scene.sensor
    return replace(scene, sensor=(replace(first, dirt=(_spot(scene, first, rng),)), *others))


def _spot(scene: Scene, sensor: SensorScene, rng: np.random.Generator) -> Dirt:
    bed = scene.bed
    part = rng.uniform(-0.3, 0.3, 2).tolist()
    pose = Pose.from_xyz_rpy_deg(sensor.pose.xyz_m, sensor.pose.rpy_deg)
    place = np.array([part[0] * bed.length_m, part[1] * bed.width_m, 0.6 * bed.height_m])
    x, y, z = pose.rotation.T @ (place - pose.translation)
    azimuth, elevation = np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z / np.linalg.norm([x, y, z])))
    width, height = rng.uniform(12.0, 30.0, 2).tolist()
    # Rays near the axis of a spinning sensor are close together in azimuth.
    width = min(360.0, width / max(0.2, float(np.cos(np.radians(elevation)))))
    near = 0.0 if rng.random() < 0.6 else float(rng.uniform(0.1, 0.5))
    return Dirt(
        azimuth_deg=float(azimuth), elevation_deg=float(elevation), width_deg=width, height_deg=height, near_m=near
    )


def slumped(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same truck after something slid, was added or taken."""
    factor = float(rng.choice([rng.uniform(0.75, 0.93), rng.uniform(1.07, 1.25)]))
    load = replace(scene.load, fill_ratio=scene.load.fill_ratio * factor)
    return replace(scene, load=load)


KINDS: dict[str, Callable[[Scene, np.random.Generator], Scene]] = {
    "clean": clean, "dust": dusty, "branches": branchy, "tarp": covered, "dirty window": soiled, "moved": slumped,
}  # fmt: skip


def outcome(kind: str, seed: int) -> Outcome | None:
    """Simulate and estimate one scene; of a load that moves the first frame's truth counts."""
    rng = np.random.default_rng([seed, 1])
    load = str(rng.choice(["smooth", "rough", "bags", "peaked"])) if kind == "moved" else None
    scene = random_scene(np.random.default_rng(seed), load=load, columns=512)
    scene = replace(scene, merged=False) if kind in ("clean", "moved", "dirty window") else scene
    try:
        made = simulate(scene if kind == "moved" else KINDS[kind](scene, rng))
        later = simulate(KINDS[kind](scene, rng)) if kind == "moved" else None
    except SceneError:  # a load that cannot lie in the bed that was drawn
        return None
    truths = [made.truth["volume_m3"]] + ([later.truth["volume_m3"]] if later else [])
    with tempfile.TemporaryDirectory() as folder:
        write(made, Path(folder))
        truck = Truck.load(Path(folder) / "truck.toml")
        try:
            estimator = Estimator(truck)
        except InputError:
            return None
    scans = {name: [cloud.xyz for cloud in frames] for name, frames in made.scans.items()}
    if later:
        scans = {name: [*frames, *(cloud.xyz for cloud in later.scans[name])] for name, frames in scans.items()}
    result = estimator.estimate(scans if truck.sensors else np.concatenate([f for fs in scans.values() for f in fs]))
    if result.volume_m3 is None:
        return Outcome(seed, result.flags)
    volume, percent = result.volume_m3, 100.0 / made.truth["struck_capacity_m3"]
    holds = any(volume.lower95 <= truth <= volume.upper95 for truth in truths)
    error = min((volume.value - truth for truth in truths), key=abs)
    share = result.rejected_fraction
    return Outcome(
        seed, result.flags, error * percent, (volume.upper95 - volume.lower95) * percent, holds, share or 0.0
    )


def report(kind: str, outcomes: list[Outcome]) -> None:
    """Print what was said of the scenes of one kind."""
    errors = np.array([x.error for x in outcomes if np.isfinite(x.error)])
    sound = [x for x in outcomes if np.isfinite(x.error)]
    flags = " ".join(f"{np.mean([flag in x.flags for x in outcomes]):13.2f}" for flag in FLAGS)
    figures = " ".join(["     -"] * 4)
    if len(errors):
        coverage, width = np.mean([x.covered for x in sound]), np.mean([x.width for x in sound])
        figures = f"{errors.mean():6.2f} {np.sqrt(np.mean(errors**2)):6.2f} {coverage:6.2f} {width:6.2f}"
    print(f"{kind:14s} {len(outcomes):4d} {len(outcomes) - len(errors):4d} {flags} {figures}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=40, help="how many of each kind")
    parser.add_argument("--seed", type=int, default=8_000_000, help="of the first scene; the others follow it")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this one")
    parser.add_argument("--each", action="store_true", help="print every scene too")
    arguments = parser.parse_args()
    print(f"{'':14s} {'n':>4s} {'rej':>4s} {' '.join(f'{flag:>13s}' for flag in FLAGS)}   bias    RMS  cover  width")
    with ProcessPoolExecutor() as pool:
        for kind in arguments.kind or list(KINDS):
            seeds = range(arguments.seed, arguments.seed + arguments.scenes)
            drawn = [x for x in pool.map(outcome, [kind] * len(seeds), seeds, chunksize=2) if x is not None]
            report(kind, drawn)
            if arguments.each:
                for x in drawn:
                    print("   ", x)
