"""Loads that benchmarks measure: their points, their truck, and what is true of them."""

from __future__ import annotations

import atexit
import inspect
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest import Estimator, RangeImage, Result, Truck
from volest.bed import BedModel, Layout
from volest.pointcloud import Frame
from volest.pose import Pose
from volest.registration import prior_of
from volest.simulate import simulate
from volest.simulate.scene import scene_from_dict
from volest.simulate.sensor import ray_directions

Points = NDArray[np.float32]
Matrix = NDArray[np.float64]
Surface = Callable[[Matrix, Matrix], Matrix]  # height [m] at x, y [m]

LENGTH_M, WIDTH_M, HEIGHT_M = 4.2, 2.1, 1.3
STRUCK_M3 = LENGTH_M * WIDTH_M * HEIGHT_M
CELL_M = 0.05
SCAN = 131_072  # points of one turn of a 128 x 1024 sensor
NOISE_M = 0.01
TOLD = Pose.from_xyz_rpy_deg([0.0, 0.0, 4.0], [0.0, 0.0, 0.0])  # of a sensor over the middle of the bed
NUDGE = Pose.from_xyz_rpy_deg([0.012, -0.009, 0.007], [0.15, -0.1, 0.2])  # of a sensor, against where it is told

BED: dict[str, Any] = {"length_m": LENGTH_M, "width_m": WIDTH_M, "height_m": HEIGHT_M}
POSES = {
    "top": {"xyz_m": [0.1, -0.05, 4.2], "rpy_deg": [1.0, 89.0, 2.0]},
    "mast": {"xyz_m": [2.3, 0.1, 3.4], "rpy_deg": [0.5, 55.0, 179.0]},
    "rear": {"xyz_m": [-2.4, 0.0, 3.5], "rpy_deg": [0.0, 55.0, 1.0]},
    "side": {"xyz_m": [0.0, 1.6, 3.6], "rpy_deg": [0.0, 60.0, -90.0]},
}


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Scans by sensor, in each sensor's frame, of a load whose volume and sensor poses are known."""

    truck: Truck
    scans: dict[str, Points]
    volume_m3: float
    poses: dict[str, Matrix]  # true T_bed_sensor

    def in_bed(self) -> Points:
        """All points (N, 3) in the bed frame, rays without a return left out."""
        parts = [xyz[np.any(xyz != 0, axis=1)] @ pose[:3, :3].T + pose[:3, 3] for xyz, pose in self._placed()]
        return np.concatenate(parts).astype(np.float32)

    def _placed(self) -> list[tuple[Points, Matrix]]:
        return [(xyz, self.poses[name]) for name, xyz in self.scans.items()]


def height_m(x: Matrix, y: Matrix) -> Matrix:
    """The surface of the plain load: two heaps, the higher one to the front, with waves of a hand's breadth."""
    front = 0.75 * np.exp(-((x - 0.9) ** 2 + (y - 0.1) ** 2) / 0.55)
    rear = 0.55 * np.exp(-((x + 1.0) ** 2 + (y + 0.15) ** 2) / 0.45)
    return 0.35 + front + rear + 0.02 * np.sin(17.0 * x + 3.0 * y) * np.cos(13.0 * y)


@cache
def plain_volume_m3() -> float:
    """Its volume, by the midpoint rule."""
    x = LENGTH_M * ((np.arange(4200) + 0.5) / 4200 - 0.5)
    y = WIDTH_M * ((np.arange(2100) + 0.5) / 2100 - 0.5)
    return float(height_m(x[:, None], y).mean() * LENGTH_M * WIDTH_M)


@cache
def plain(count: int = SCAN, walls: bool = True, nudged: bool = False) -> Load:
    """Points spread evenly over the plain load, in random order; with `walls` half of them on walls, rim and ground.

    With `nudged` the sensor is not quite where the truck has it.
    """
    pose = TOLD.matrix() @ (NUDGE.matrix() if nudged else np.eye(4))
    return Load(_plain_truck(), {"top": _scan(height_m, pose, count, walls)}, plain_volume_m3(), {"top": pose})


@cache
def _plain_truck() -> Truck:
    """The bed as a scan of it shows it when it is empty."""
    pose = {"xyz_m": TOLD.translation.tolist(), "rpy_deg": [0.0, 0.0, 0.0]}
    sensor = {"id": "top", "pose": pose, "pose_std": {"xyz_m": 0.01, "rpy_deg": 0.2}, "range_noise_m": NOISE_M}
    empty = _scan(lambda x, _: np.zeros_like(x), TOLD.matrix(), SCAN, True)
    return _truck({"schema": 1, "id": "PLAIN", "bed": BED, "sensor": [sensor]}, {"top": empty})


def _truck(document: dict[str, Any], empty: dict[str, Points]) -> Truck:
    """The truck of a document and of scans of its empty bed, which are read at once."""
    folder = Path(mkdtemp(prefix="volest-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, xyz in empty.items():
        np.save(folder / f"{name}.npy", xyz)
    bed = document["bed"] | ({"reference": [f"{name}={name}.npy" for name in empty]} if empty else {})
    return Truck.from_dict(document | {"bed": bed}, folder)


def _scan(surface: Surface, pose: Matrix, count: int, walls: bool) -> Points:
    """Points of a surface in the bed, and around it, in the frame of a sensor."""
    rng = np.random.default_rng(count)
    on_load = count // 2 if walls else count
    x, y = rng.uniform(-LENGTH_M / 2, LENGTH_M / 2, on_load), rng.uniform(-WIDTH_M / 2, WIDTH_M / 2, on_load)
    parts = [np.column_stack([x, y, surface(x, y)])]
    if walls:
        parts += [_walls(surface, rng, count // 4), _rim(rng, count // 8)]
        parts += [_ground(rng, count - on_load - count // 4 - count // 8)]
    in_bed = np.concatenate(parts) + rng.normal(0.0, NOISE_M, (count, 3)) * ([1, 1, 1] if walls else [0, 0, 1])
    rng.shuffle(in_bed)
    return ((in_bed - pose[:3, 3]) @ pose[:3, :3]).astype(np.float32)


def _along_outline(rng: np.random.Generator, count: int, out_m: Matrix) -> tuple[Matrix, Matrix]:
    """Places spread over the four sides, `out_m` beyond the inner faces."""
    along = rng.uniform(-0.5, 0.5, count)
    sign = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    across = rng.random(count) < WIDTH_M / (LENGTH_M + WIDTH_M)  # front and rear
    x = np.where(across, sign * (LENGTH_M / 2 + out_m), along * LENGTH_M)
    y = np.where(across, along * WIDTH_M, sign * (WIDTH_M / 2 + out_m))
    return x, y


def _walls(surface: Surface, rng: np.random.Generator, count: int) -> Matrix:
    x, y = _along_outline(rng, count, np.zeros(count))
    low = surface(x, y)
    return np.column_stack([x, y, low + (HEIGHT_M - low) * rng.random(count)])


def _rim(rng: np.random.Generator, count: int) -> Matrix:
    return np.column_stack([*_along_outline(rng, count, rng.uniform(0.0, 0.06, count)), np.full(count, HEIGHT_M)])


def _ground(rng: np.random.Generator, count: int) -> Matrix:
    return np.column_stack([*_along_outline(rng, count, rng.uniform(2.1, 4.0, count)), np.full(count, -1.1)])


@cache
def simulated(*sensors: str, columns: int = 1024) -> Load:
    """A rough load seen by 128-row sensors, like an OS0, of POSES: "top" over the bed, "mast" over the cab, ..."""
    made = simulate(simulated_scene(*sensors, columns=columns))
    truck = _truck(made.truck, {name: cloud.xyz for name, cloud in made.empty_scans.items()})
    scans = {name: frames[0].xyz for name, frames in made.scans.items()}
    return Load(truck, scans, made.truth["volume_m3"], {name: pose.matrix() for name, pose in made.true_poses.items()})


def simulated_scene(*sensors: str, columns: int = 1024) -> Any:
    """The scene of `simulated`."""
    spots = [{"id": name, "pose": POSES[name], "pose_std": {"xyz_m": 0.005, "rpy_deg": 0.1}} for name in sensors]
    load = {"kind": "rough", "fill_ratio": 0.6, "lump_m": 0.25, "roughness_m": 0.02}
    document = {"seed": 5, "bed": BED, "load": load, "sensor": [spot | {"columns": columns} for spot in spots]}
    return scene_from_dict(document)


def range_image(sensor: str) -> tuple[Load, RangeImage]:
    """The load that one sensor sees, and its scan as the sensor sends it: 128 x 1024 ranges in millimetres."""
    scene = simulated_scene(sensor)
    (spinning,) = scene.sensor
    cloud = simulate(scene).scans[sensor][0]
    directions = ray_directions(spinning).astype(np.float32)
    turn = np.arctan2(cloud.xyz[:, 1], cloud.xyz[:, 0]) / (-2.0 * np.pi) % 1.0
    ranges = np.zeros(directions.shape[:2], np.uint16)
    ranges[cloud.ring, (turn * spinning.columns).astype(int)] = np.round(1e3 * np.linalg.norm(cloud.xyz, axis=1))
    return simulated(sensor), RangeImage(ranges, directions)


def written(load: Load, folder: Path) -> tuple[Path, Path]:
    """truck.toml and the scan of the only sensor as .npz, for the command line; the bed is told in numbers alone."""
    (xyz,) = load.scans.values()
    np.savez(folder / "scan.npz", xyz=xyz)
    (sensor,) = load.truck.sensors
    lines = ["schema = 1", 'id = "PLAIN"', "[bed]", *(f"{key} = {value}" for key, value in BED.items())]
    lines += ["[[sensor]]", f'id = "{sensor.id}"', "pose_std = { xyz_m = 0.01, rpy_deg = 0.2 }"]
    lines += [f"pose = {{ xyz_m = {TOLD.translation.tolist()}, rpy_deg = [0.0, 0.0, 0.0] }}"]
    (folder / "truck.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder / "truck.toml", folder / "scan.npz"


# --- volest, as it is driven here -------------------------------------------------------------------------------------


def estimator(load: Load, *, told: bool = False) -> Estimator:
    """The estimator of a load's truck; with `told` it takes the sensors' poses as they are, where it can."""
    if told and takes_told_poses():
        return Estimator(load.truck, find_bed=False)
    return Estimator(load.truck)


def takes_told_poses() -> bool:
    return "find_bed" in inspect.signature(Estimator.__init__).parameters


def estimate_many(made: Estimator, loads: list[dict[str, Points]], workers: int | None = None) -> list[Result]:
    """All loads of one truck, by so many workers; None: one a core."""
    return list(made.estimate_many(({"scans": scans} for scans in loads), workers=workers))


@dataclass(frozen=True, slots=True)
class Celled(Layout):
    """A layout whose cells have another edge than that which its bed would get."""

    edge_m: float

    @property
    def cell_m(self) -> float:
        return self.edge_m


def celled_estimator(load: Load, cell_m: float) -> Estimator:
    """The estimator of a load's truck, as a nominal bed with cells of this edge."""
    made = Estimator(load.truck)
    made._empty = BedModel.nominal(Celled(LENGTH_M, WIDTH_M, HEIGHT_M, cell_m))
    made._set_bed(made._empty)
    return made


def bed_finder(load: Load, made: Estimator | None = None) -> Callable[[], Matrix]:
    """What finds the bed in the scan of a load's only sensor, and nothing after: T_bed_sensor."""
    made = made or Estimator(load.truck)
    (sensor,), (xyz,) = load.truck.sensors, load.scans.values()
    prior, points = prior_of(sensor), Frame.of(xyz).points
    find, reach = made._engine.find_bed, prior.core.reach_m(made._engine)  # as `place` does
    return lambda: find(points, prior.pose, prior.relative_std, prior.rays, reach).pose


def volume_error(result: Result, load: Load) -> float:
    """How far an estimate is off, as part of the struck capacity."""
    assert result.volume_m3 is not None, result.reasons
    assert result.volume_m3.lower95 < result.volume_m3.upper95
    return abs(result.volume_m3.value - load.volume_m3) / STRUCK_M3


def pose_error_m(found: Matrix, true: Matrix) -> float:
    """How far a found pose T_bed_sensor puts the farthest corner of the bed's rim off."""
    corners = np.array([[sx * LENGTH_M / 2, sy * WIDTH_M / 2, HEIGHT_M, 1.0] for sx in (-1, 1) for sy in (-1, 1)])
    off = (found @ np.linalg.inv(true) - np.eye(4)) @ corners.T
    return float(np.linalg.norm(off[:3], axis=0).max())
