"""What the errors of one truck's loads have in common, measured: totals of simulated trucks against their truth.

    python benchmarks/totals.py --trucks 60 --loads 16        coverage of totals; how alike the errors of a truck are

Each truck is a bed, sensors and a mount as `random_scene` draws them from --seed on (64 x 512 rays where it has 128
rows); told poses, the sensors' fixed errors and the scan of the empty bed are the same for all of its loads.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from volest import Estimator, Truck
from volest.errors import InputError, SceneError
from volest.pose import Pose
from volest.report.totals import COMMON
from volest.rows import BUDGET
from volest.schema import convert
from volest.simulate import random_scene
from volest.simulate.bedshape import BedShape
from volest.simulate.load import load_surface
from volest.simulate.record import truck_table
from volest.simulate.scene import LoadScene, Scene
from volest.simulate.sensor import FixedErrors
from volest.simulate.simulation import scan, told_pose
from volest.simulate.truth import integrate
from volest.simulate.variety import LOADS, choose, random_load
from volest.simulate.world import World

Z = 1.959964
KINDS = {kind: share for kind, share in LOADS.items() if kind not in ("none", "carryback")}


@dataclass(frozen=True)
class Loads:
    """The estimated loads of one truck: true and told volume [m3], and its budget (parts, loads)."""

    truth: NDArray[np.float64]
    told: NDArray[np.float64]
    budget: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Of the total."""
        return float((self.told - self.truth).sum())

    def variance(self, common: dict[str, float]) -> float:
        """Of the total, when so much of each part's is common."""
        shares = np.array([common[part] for part in BUDGET])
        return float(shares @ self.budget.sum(axis=1) ** 2 + (1.0 - shares) @ (self.budget**2).sum(axis=1))


def drawn(seed: int, loads: int) -> Loads | None:
    """One truck; None where its empty bed cannot be used."""
    rng = np.random.default_rng([seed, 3])
    scene = random_scene(rng, columns=512)
    sensors = tuple(replace(s, frames=1, rows=64 if s.rows == 128 else s.rows) for s in scene.sensor)
    scene = replace(scene, sensor=sensors, merged=False, crop_m=0.0, point_step_m=0.0)
    bed = BedShape(scene.bed)
    true = {s.id: Pose.from_xyz_rpy_deg(s.pose.xyz_m, s.pose.rpy_deg) for s in sensors}
    told = {s.id: told_pose(true[s.id], s, rng) for s in sensors}
    fixed = {s.id: FixedErrors.draw(s, rng) for s in sensors}
    try:
        estimator = _estimator(scene, bed, true, told, fixed, rng)
    except InputError:
        return None
    found = []
    for surface in _surfaces(scene, bed, loads, rng):
        world = World(bed, surface, None, None)
        scans = {s.id: scan(world, s, true[s.id], fixed[s.id], scene, rng).xyz for s in sensors}
        result = estimator.estimate(scans)
        if result.volume_m3 is not None and result.volume_budget_m3 is not None:
            parts = [result.volume_budget_m3[part] for part in BUDGET]
            found.append((integrate(bed, surface).volume_m3, result.volume_m3.value, parts))
    if not found:
        return None
    truth, volume, budget = zip(*found, strict=True)
    return Loads(np.array(truth), np.array(volume), np.array(budget).T)


def _estimator(scene: Scene, bed: BedShape, true: Any, told: Any, fixed: Any, rng: np.random.Generator) -> Estimator:
    document = truck_table(scene, told)
    with tempfile.TemporaryDirectory() as folder:
        if scene.reference:
            names = []
            for s in scene.sensor:
                parked = true[s.id] if scene.reference_pose == "same" else told_pose(told[s.id], s, rng)
                clean = replace(s, dirt=())
                empty = scan(World(bed, None, None, None), clean, parked, fixed[s.id], scene, rng)
                np.save(Path(folder) / f"{s.id}.npy", empty.xyz)
                names.append(f"{s.id}={s.id}.npy")
            document["bed"]["reference"] = names
        return Estimator(Truck.from_dict(document, folder))


def _surfaces(scene: Scene, bed: BedShape, loads: int, rng: np.random.Generator) -> Iterator[Any]:
    made = 0
    for _ in range(4 * loads):
        size = (scene.bed.length_m, scene.bed.width_m, scene.bed.height_m)
        load = convert(random_load(rng, choose(rng, KINDS), *size), LoadScene)
        try:
            surface = load_surface(load, bed, rng)
        except SceneError:
            continue  # one that cannot lie in this bed
        yield surface
        made += 1
        if made == loads:
            return


def common_share(trucks: list[Loads]) -> float:
    """The part of the variance of error over told standard uncertainty that lies between trucks (one-way ANOVA)."""
    z = [(t.told - t.truth) / np.sqrt((t.budget**2).sum(axis=0)) for t in trucks if len(t.told) > 1]
    size = np.mean([len(x) for x in z])
    within = np.mean([x.var(ddof=1) for x in z])
    mean_square = np.mean([x.mean() ** 2 for x in z])  # about nothing: a bias of all counts as common
    between = max(mean_square - within / size, 0.0)
    return float(between / (between + within))


def main() -> None:
    """Print the tables of docs/report.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trucks", type=int, default=60)
    parser.add_argument("--loads", type=int, default=16)
    parser.add_argument("--seed", type=int, default=9_100_000)
    arguments = parser.parse_args()
    trucks = [t for k in range(arguments.trucks) if (t := drawn(arguments.seed + k, arguments.loads)) is not None]
    assumed = {
        "as docs/report.md": dict(COMMON),
        "independent": dict.fromkeys(COMMON, 0.0),
        "all common": dict.fromkeys(COMMON, 1.0),
    }
    count = sum(len(t.told) for t in trucks)
    print(
        f"{len(trucks)} trucks, {count} loads; {100 * common_share(trucks):.0f} % of the variance is common to a truck"
    )
    print(
        f"{'errors taken for':20s} {'cover of a truck':>17s} {'mean std %':>11s} {'RMS error %':>12s} {'fleet z':>8s}"
    )
    for name, common in assumed.items():
        errors = np.array([t.error for t in trucks])
        stds = np.sqrt([t.variance(common) for t in trucks])
        whole = np.array([t.truth.sum() for t in trucks])
        cover = np.mean(np.abs(errors) <= Z * stds)
        fleet = errors.sum() / np.sqrt(np.square(stds).sum())
        rms = np.sqrt(np.mean(np.square(errors / whole)))
        print(f"{name:20s} {cover:17.3f} {100 * np.mean(stds / whole):11.2f} {100 * rms:12.2f} {fleet:8.2f}")


if __name__ == "__main__":
    main()
