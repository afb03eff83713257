"""Where sensors sit: mounts by name, those of a truck file, and how a sensor is turned to look at the bed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from volest.catalogue import SensorModel
from volest.errors import InputError
from volest.schema import nearest
from volest.simulate.scene import BedScene
from volest.truck import DEFAULT_POSE_STD_RPY_DEG, DEFAULT_POSE_STD_XYZ_M, Truck

__all__ = ["MOUNTS", "TRUCK_MOUNT", "Mount", "Place", "aimed", "default_mount", "fixed_mount", "truck_mount"]

XYZ = tuple[float, float, float]
GATE_M, MAST_M, SIDE_M = 2.5, 1.6, 2.3  # over the wall tops
HEADBOARD_M = 0.9  # a mast stands at least so much above a headboard
BESIDE_M = 0.3  # outside of the wall
OVERHEAD_M = 0.3  # nearer to the bed's middle than this a sensor hangs overhead
OVERHEAD_YAW_DEG = 90.0  # overhead a sensor's wide side lies along the bed
TRUCK_MOUNT = "truck"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one sensor truly sits in the bed frame, and how well that is told."""

    id: str
    xyz_m: XYZ
    rpy_deg: XYZ
    pose_std_m: float = DEFAULT_POSE_STD_XYZ_M
    pose_std_deg: float = DEFAULT_POSE_STD_RPY_DEG


@dataclass(frozen=True, slots=True)
class Mount:
    """A way to mount one sensor, or several of a kind, on trucks whose beds differ."""

    name: str
    places: Callable[[BedScene, SensorModel], tuple[Place, ...]]


def aimed(id: str, xyz_m: XYZ, bed: BedScene, model: SensorModel, **told: float) -> Place:
    """A place whose sensor looks at the middle of the bed, at half its height, with the middle of its field of view.

    Nearly above the bed's middle, its wide side lies along the bed.
    """
    x, y, z = xyz_m
    aside = math.hypot(x, y)
    yaw = OVERHEAD_YAW_DEG if aside < OVERHEAD_M else math.degrees(math.atan2(-y, -x))
    down = 90.0 if aside < OVERHEAD_M else math.degrees(math.atan2(z - bed.height_m / 2.0, aside))
    low, high = model.scan.vertical_fov_deg
    return Place(id, xyz_m, (0.0, down + (low + high) / 2.0, yaw), **told)


def _gate(bed: BedScene, model: SensorModel) -> tuple[Place, ...]:
    return (aimed("gate", (0.0, 0.0, bed.height_m + GATE_M), bed, model),)


def _front(bed: BedScene, model: SensorModel) -> tuple[Place, ...]:
    return (aimed("mast", (bed.length_m / 2.0 + BESIDE_M, 0.0, bed.height_m + _mast_m(bed)), bed, model),)


def _ends(bed: BedScene, model: SensorModel) -> tuple[Place, ...]:
    rear = (-bed.length_m / 2.0 - BESIDE_M, 0.0, bed.height_m + _mast_m(bed))
    return (*_front(bed, model), aimed("rear", rear, bed, model))


def _side(bed: BedScene, model: SensorModel) -> tuple[Place, ...]:
    return (aimed("side", (0.0, bed.width_m / 2.0 + BESIDE_M, bed.height_m + SIDE_M), bed, model),)


def _mast_m(bed: BedScene) -> float:
    return max(MAST_M, bed.headboard_m + HEADBOARD_M)


MOUNTS = {name: Mount(name, places) for name, places in
          {"overhead": _gate, "front": _front, "both-ends": _ends, "side": _side}.items()}  # fmt: skip


def default_mount(name: str) -> Mount:
    """The mount of a name; InputError for another."""
    if name not in MOUNTS:
        raise InputError(f"mounts: found {name!r}, expected {nearest(name, [*MOUNTS, TRUCK_MOUNT])}")
    return MOUNTS[name]


def truck_mount(truck: Truck) -> Mount:
    """The places of a truck file's sensors, all of them together, turned as they are told there."""
    if not truck.sensors:
        raise InputError(f"{truck.path}: sensor: missing, expected the places that sensors are to be tried at")
    places = tuple(
        Place(
            f"s{number}",
            _triple(sensor.pose.translation.tolist()),
            sensor.pose.rpy_deg,
            sensor.pose_std_xyz_m,
            math.degrees(sensor.pose_std_rpy_rad),
        )
        for number, sensor in enumerate(truck.sensors)
    )
    return Mount(TRUCK_MOUNT, _Fixed(places))


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The same places whatever the bed."""

    told: tuple[Place, ...]

    def __call__(self, bed: BedScene, model: SensorModel) -> tuple[Place, ...]:  # noqa: ARG002
        return self.told


def fixed_mount(name: str, *places: Place) -> Mount:
    """A mount of these places."""
    return Mount(name, _Fixed(places))


def _triple(values: list[float]) -> XYZ:
    x, y, z = values
    return x, y, z
