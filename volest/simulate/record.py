"""What truck.toml and truth.json say of a simulated load."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest.pose import Pose
from volest.simulate.scene import Scene, SensorScene, scene_to_dict
from volest.simulate.truth import Volume
from volest.simulate.world import World, visible_fraction

__all__ = ["rpy_deg", "truck_table", "truth_table"]


def rpy_deg(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    """Roll, pitch and yaw in degrees of a rotation Rz Ry Rx; at pitch 90, where only their difference counts, yaw 0."""
    level = math.hypot(rotation[0, 0], rotation[1, 0])
    pitch = math.atan2(-rotation[2, 0], level)
    if level < 1e-9:
        return math.degrees(math.atan2(-rotation[1, 2], rotation[1, 1])), math.degrees(pitch), 0.0
    roll, yaw = math.atan2(rotation[2, 1], rotation[2, 2]), math.atan2(rotation[1, 0], rotation[0, 0])
    return math.degrees(roll), math.degrees(pitch), math.degrees(yaw)


def truck_table(scene: Scene, told: dict[str, Pose]) -> dict[str, Any]:
    """The contents of truck.toml, without `reference`, which names files."""
    bed, weight = scene.bed, scene.weight
    truck: dict[str, Any] = {"schema": 1, "id": scene.truck_id}
    truck["bed"] = {"length_m": bed.length_m, "width_m": bed.width_m, "height_m": bed.height_m}
    truck["sensor"] = [_told_sensor(sensor, told[sensor.id]) for sensor in scene.sensor if sensor.id in told]
    if weight.kind != "none":
        keys = ("tare_kg", "tare_std_kg", "gain_std", "resolution_kg")
        truck["scale"] = {key: getattr(weight, key) for key in keys}
    return truck


def _told_sensor(sensor: SensorScene, told: Pose) -> dict[str, Any]:
    table: dict[str, Any] = {"id": sensor.id}
    if sensor.model:
        table["model"] = sensor.model
    if sensor.tell_noise:
        table["range_noise_m"] = sensor.noise.range_std_m
    xyz, rpy = told.translation.tolist(), rpy_deg(told.rotation)
    table["pose"] = {"xyz_m": [round(v, 4) for v in xyz], "rpy_deg": [round(v, 4) for v in rpy]}
    if sensor.pose_std is not None:
        table["pose_std"] = {"xyz_m": sensor.pose_std.xyz_m, "rpy_deg": sensor.pose_std.rpy_deg}
    return table


def truth_table(scene: Scene, world: World, volume: Volume, net_kg: float, poses: dict[str, Pose]) -> dict[str, Any]:
    """The keys of truth.json's `truth`."""
    material, loaded, bed = scene.material, volume.volume_m3 > 0.0, world.bed
    wet = material.wet_mass_fraction
    x0, x1, y0, y1 = bed.footprint_m
    return {
        "volume_m3": volume.volume_m3,
        "volume_numeric_error_m3": volume.numeric_error_m3,
        "struck_capacity_m3": volume.struck_capacity_m3,
        "fill_ratio": volume.volume_m3 / volume.struck_capacity_m3,
        "net_mass_kg": net_kg,
        "bulk_density_kg_m3": net_kg / volume.volume_m3 if loaded else None,
        "wet_mass_fraction": wet if loaded else None,
        "waste_class": ("wet" if wet >= 0.6 else "dry" if wet <= 0.4 else "mixed") if loaded else None,
        "heaped_volume_m3": volume.heaped_m3,
        "centroid_m": None if volume.centroid_m is None else list(volume.centroid_m),
        "visible_fraction": visible_fraction(world, scene.sensor, poses),
        "overhang_m3": volume.overhang_m3,
        "footprint_m2": (x1 - x0) * (y1 - y0),
        "dry_bulk_density_kg_m3": material.dry_bulk_density_kg_m3,
        "wet_bulk_density_kg_m3": material.wet_bulk_density_kg_m3,
        "footprint_rect_m": [x0, x1, y0, y1],
        "wall_top_m": bed.wall_top_m,
        "sensor_pose": {
            name: {"xyz_m": pose.translation.tolist(), "rpy_deg": list(rpy_deg(pose.rotation))}
            for name, pose in poses.items()
        },
        "scene": scene_to_dict(scene),
    }
