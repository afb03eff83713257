"""How near the bed is found to where it is: height and tilt of the found pose against the true one, in own scenes.

    python benchmarks/registration.py --scenes 100            full scans of sensors with 10 mm range noise
    python benchmarks/registration.py --scenes 100 --gates    trucks that park by eye: told to 3 to 6 cm, 0.4 to 1 deg

Every scene has a load of any kind and, on a mast, a scan of the empty bed from the same place: the true pose is then
the one that was found in that, for the bed's frame is what the empty bed shows. At gates it is the scene's, in the
frame of the wall tops.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest.bed import BedModel, Layout, PlacedScan
from volest.errors import InputError, SceneError
from volest.estimator import Estimator
from volest.io import read_points
from volest.pointcloud import Frame
from volest.reference import bed_from_scans
from volest.registration import Misfit, place, prior_of
from volest.simulate import Scene, random_scene, simulate, write
from volest.truck import Truck

RANGE_NOISE_M = 0.01
FULL = 0.9  # part of the bed in sight that makes a scan full


@dataclass(frozen=True, slots=True)
class Found:
    """How far off one sensor's bed was put."""

    seed: int
    kind: str
    visible: float
    height_m: float = np.nan  # of the bed's middle; NaN: rejected
    tilt_deg: float = np.nan


def scene_of(seed: int, gates: bool) -> Scene:
    """The scene of a seed, as the question asks for it."""
    rng = np.random.default_rng(seed)
    scene = random_scene(rng, sensor=None if gates else "os128", reference=True if not gates else None)
    if gates:
        return scene
    noise = msgspec.structs.replace(
        scene.sensor[0].noise, range_std_m=RANGE_NOISE_M, beam_bias_std_m=0.0, offset_std_m=0.0
    )
    sensors = tuple(msgspec.structs.replace(sensor, noise=noise) for sensor in scene.sensor)
    return msgspec.structs.replace(scene, sensor=sensors, merged=False)


def is_asked_for(scene: Scene, gates: bool) -> bool:
    """Whether the told poses are as vague as the question wants them."""
    std = scene.sensor[0].pose_std
    vague = std is not None and std.xyz_m >= 0.03
    return vague == gates and not scene.merged


def find(seed: int, gates: bool) -> list[Found]:
    """The poses found in the scene of a seed; none if it is not asked for."""
    scene = scene_of(seed, gates)
    if not is_asked_for(scene, gates):
        return []
    try:
        made = simulate(scene)
    except SceneError:  # a load that cannot lie in the bed that was drawn
        return []
    visible = made.truth["visible_fraction"]
    with tempfile.TemporaryDirectory() as folder:
        write(made, Path(folder))
        truck = Truck.load(Path(folder) / "truck.toml")
        try:
            estimator = Estimator(truck)
        except InputError:
            return [Found(seed, scene.load.kind, visible)]
        empty = {} if gates else poses_of_empty(truck)
    found = []
    for sensor in truck.sensors:
        placed = place(estimator._engine, prior_of(sensor), Frame.of(made.scans[sensor.id][0].xyz))
        if isinstance(placed, Misfit):
            found.append(Found(seed, scene.load.kind, visible))
            continue
        if gates:
            frame = frame_of(estimator.bed, made.world.bed.wall_top_m)
            true = frame @ made.true_poses[sensor.id].matrix()
        else:
            true = empty[sensor.id]
        height, tilt = apart(placed.pose @ np.linalg.inv(true), truck.bed.height_m)
        found.append(Found(seed, scene.load.kind, visible, height, tilt))
    return found


def poses_of_empty(truck: Truck) -> dict[str, NDArray[np.float64]]:
    """Where each sensor stood when it scanned the empty bed, in the frame of the bed that they show together."""
    layout = Layout(truck.bed.length_m, truck.bed.width_m, truck.bed.height_m)
    scans = []
    for sensor, (_, path) in zip(truck.sensors, truck.bed.reference, strict=True):
        prior = prior_of(sensor)
        scans.append(PlacedScan(read_points(path).xyz, prior.pose, prior.rays, prior.std_m))
    _, placed = bed_from_scans(layout, scans)
    return {sensor.id: scan.pose for sensor, scan in zip(truck.sensors, placed, strict=True)}


def frame_of(bed: BedModel, wall_top_m: float) -> NDArray[np.float64]:
    """From the true bed frame to the model's, which was levelled a little differently."""
    height, slope_x, slope_y = bed.rim
    frame = np.eye(4)
    frame[2] = (slope_x, slope_y, 1.0, height - wall_top_m)
    frame[0, 2], frame[1, 2] = -slope_x, -slope_y
    return frame


def apart(off: NDArray[np.float64], height_m: float) -> tuple[float, float]:
    """Change of height at the bed's middle [m], and tilt [degrees], of a small motion."""
    middle = np.array([0.0, 0.0, height_m / 2.0, 1.0])
    return float((off @ middle)[2] - middle[2]), float(np.degrees(np.hypot(off[0, 2], off[1, 2])))


def report(found: list[Found]) -> None:
    """Print root mean squares and the worst."""
    groups = {"all": found, "more than 90 % in sight": [f for f in found if f.visible > FULL]}
    groups |= {kind: [f for f in found if f.kind == kind] for kind in sorted({f.kind for f in found})}
    columns = f"{'height RMS mm':>14s} {'median':>7s} {'tilt RMS deg':>13s} {'median':>7s}"
    print(f"{'scans':26s} {'n':>4s} {'rej':>4s} {columns}")
    for name, group in groups.items():
        sound = [f for f in group if np.isfinite(f.height_m)]
        if not sound:
            continue
        height, tilt = 1e3 * np.abs([f.height_m for f in sound]), np.array([f.tilt_deg for f in sound])
        rms = [float(np.sqrt(np.mean(v**2))) for v in (height, tilt)]
        counts = f"{len(sound):4d} {len(group) - len(sound):4d}"
        print(f"{name:26s} {counts} {rms[0]:14.1f} {np.median(height):7.1f} {rms[1]:13.3f} {np.median(tilt):7.3f}")
    worst = sorted((f for f in found if np.isfinite(f.height_m)), key=lambda f: -abs(f.height_m))[:5]
    print(
        "worst:", *(f"{f.seed} ({f.kind}) {1e3 * f.height_m:+.0f} mm {f.tilt_deg:.2f} deg" for f in worst), sep="\n  "
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=100, help="how many are drawn; not all are of the kind asked for")
    parser.add_argument("--seed", type=int, default=7_000_000, help="of the first scene; the others follow it")
    parser.add_argument("--gates", action="store_true", help="trucks that park by eye instead of sensors on a mast")
    arguments = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        seeds = range(arguments.seed, arguments.seed + arguments.scenes)
        drawn = list(pool.map(find, seeds, [arguments.gates] * len(seeds), chunksize=4))
    report([f for several in drawn for f in several])
