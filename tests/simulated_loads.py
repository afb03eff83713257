"""Simulated loads for tests of the estimator: scenes that are quick to scan, and their estimators."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest import Estimator, Result, Truck
from volest.pose import Pose
from volest.simulate import Scene, Simulated
from volest.simulate.scene import scene_from_dict

__all__ = [
    "BED",
    "MAST",
    "REAR",
    "TOP",
    "covers",
    "error_of",
    "estimator_of",
    "mirrored",
    "scans_of",
    "scene",
    "turned",
]

Cloud = NDArray[np.float32]

BED: dict[str, Any] = {
    "length_m": 4.2, "width_m": 2.1, "height_m": 1.3, "d_length_m": 0.008, "d_width_m": -0.006,
    "lean_deg": [1.0, 0.5, 2.0, 1.5], "sag_m": 0.01, "headboard_m": 0.3,
}  # fmt: skip
STD = {"xyz_m": 0.005, "rpy_deg": 0.1}


def _sensor(name: str, xyz_m: list[float], rpy_deg: list[float]) -> dict[str, Any]:
    place = {"id": name, "pose": {"xyz_m": xyz_m, "rpy_deg": rpy_deg}, "pose_std": STD}
    return place | {"rows": 128, "columns": 512, "vertical_fov_deg": 90.0}


TOP = _sensor("top", [0.1, -0.05, 4.2], [1.0, 89.0, 2.0])
MAST = _sensor("mast", [2.3, 0.1, 3.4], [0.5, 55.0, 179.0])
REAR = _sensor("rear", [-2.4, 0.0, 3.5], [0.0, 55.0, 1.0])


def scene(load: str = "rough", fill_ratio: float = 0.6, *sensors: dict[str, Any], **rest: Any) -> Scene:
    """A scene with a load in the bed BED; the sensor is TOP unless others are given."""
    surface = {"kind": load, "fill_ratio": fill_ratio}
    if load == "rough":
        surface |= {"lump_m": 0.25, "roughness_m": 0.02}
    document = {"seed": 5, "bed": BED, "load": surface, "sensor": list(sensors or (TOP,))}
    return scene_from_dict(document | rest)


def estimator_of(made: Simulated, folder: Path, **bed: Any) -> Estimator:
    """The estimator of a simulated truck; its scans of the empty bed go into a folder."""
    document = made.truck | {"bed": made.truck["bed"] | bed}
    references = []
    for name, cloud in made.empty_scans.items():
        np.save(folder / f"empty-{name}.npy", cloud.xyz)
        references.append(f"{name}=empty-{name}.npy" if made.told_poses else f"empty-{name}.npy")
    if references:
        document["bed"]["reference"] = references
    return Estimator(Truck.from_dict(document, folder))


def scans_of(made: Simulated) -> dict[str, list[Cloud]] | Cloud:
    """What the estimator takes: frames by sensor, or one array where the truck has no sensors."""
    if made.told_poses:
        return {name: [cloud.xyz for cloud in frames] for name, frames in made.scans.items()}
    (frames,) = made.scans.values()
    return frames[0].xyz


def error_of(result: Result, made: Simulated) -> float:
    """How far the volume is off, as part of the struck capacity."""
    assert result.volume_m3 is not None, result.reasons
    return float((result.volume_m3.value - made.truth["volume_m3"]) / made.truth["struck_capacity_m3"])


def covers(result: Result, made: Simulated) -> bool:
    """Whether the 95 % interval holds the truth."""
    volume = result.volume_m3
    return volume is not None and volume.lower95 <= made.truth["volume_m3"] <= volume.upper95


def mirrored(made: Simulated) -> Simulated:
    """The same load with left and right exchanged, the sensor's own frame included."""
    flip = np.array([1.0, -1.0, 1.0])
    return _moved(made, lambda pose: Pose(pose.rotation * np.outer(flip, flip), pose.translation * flip), flip)


def turned(made: Simulated) -> Simulated:
    """The same load with front and rear exchanged: everything turned half about the bed's middle."""
    half = np.diag([-1.0, -1.0, 1.0])
    return _moved(made, lambda pose: Pose(half @ pose.rotation, half @ pose.translation), np.ones(3))


def _moved(made: Simulated, move: Any, scale: NDArray[np.float64]) -> Simulated:
    factor = scale.astype(np.float32)
    poses = {name: move(pose) for name, pose in made.told_poses.items()}
    told = [sensor | {"pose": _told(poses[sensor["id"]])} for sensor in made.truck["sensor"]]
    return replace(
        made,
        truck=made.truck | {"sensor": told},
        told_poses=poses,
        scans={name: [replace(c, xyz=c.xyz * factor) for c in frames] for name, frames in made.scans.items()},
        empty_scans={name: replace(c, xyz=c.xyz * factor) for name, c in made.empty_scans.items()},
    )


def _told(pose: Pose) -> dict[str, list[float]]:
    r = pose.rotation
    roll, pitch, yaw = math.atan2(r[2, 1], r[2, 2]), math.asin(-r[2, 0]), math.atan2(r[1, 0], r[0, 0])
    return {"xyz_m": pose.translation.tolist(), "rpy_deg": [math.degrees(angle) for angle in (roll, pitch, yaw)]}
