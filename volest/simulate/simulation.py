"""From a scene to scans, weights and truth, all in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest.pointcloud import PointCloud
from volest.pose import Pose, rotation_from_rpy
from volest.simulate import clutter
from volest.simulate.beams import footprints
from volest.simulate.bedshape import BedShape
from volest.simulate.heightfield import HeightField
from volest.simulate.load import load_surface
from volest.simulate.pattern import ray_directions, ray_times_s
from volest.simulate.raycast import Hits
from volest.simulate.record import truck_table, truth_table
from volest.simulate.scene import MaterialScene, Scene, SensorScene
from volest.simulate.sensor import FixedErrors, returns, to_points
from volest.simulate.truth import integrate
from volest.simulate.ways import Ways, is_profiler, put_together
from volest.simulate.weight import gross_series
from volest.simulate.world import World, reflectance

__all__ = ["Simulated", "simulate"]


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """A simulated load. Scans are in each sensor's frame; `truck`, `truth`: what truck.toml and truth.json say."""

    scene: Scene
    truck: dict[str, Any]
    scans: dict[str, list[PointCloud]]
    empty_scans: dict[str, PointCloud]
    told_poses: dict[str, Pose]  # empty if the scans are in the bed frame
    true_poses: dict[str, Pose]
    weight: NDArray[np.float64] | None  # (N, 2): time_s, gross_kg
    truth: dict[str, Any]
    world: World = field(repr=False)

    @property
    def gross_kg(self) -> float | None:
        """The single weight, where the scene asks for one number."""
        return float(self.weight[0, 1]) if self.weight is not None and self.scene.weight.kind == "number" else None


def simulate(scene: Scene) -> Simulated:
    """Scan the scene's load; the same scene gives the same numbers."""
    shape_rng, sensor_rng, weight_rng = (np.random.default_rng([scene.seed, stream]) for stream in range(3))
    bed = BedShape(scene.bed)
    load = load_surface(scene.load, bed, shape_rng)
    world = _world(scene, bed, load)
    told, true, scans, empty = {}, {}, {}, {}
    for sensor in scene.sensor:
        pose = Pose.from_xyz_rpy_deg(sensor.pose.xyz_m, sensor.pose.rpy_deg)
        told[sensor.id], true[sensor.id] = told_pose(pose, sensor, sensor_rng), pose
        fixed = FixedErrors.draw(sensor, sensor_rng)
        frames = [scan(world, sensor, pose, fixed, scene, sensor_rng, k) for k in range(sensor.frames)]
        scans[sensor.id] = put_together(sensor, frames)
        if scene.reference:
            parked = pose if scene.reference_pose == "same" else told_pose(told[sensor.id], sensor, sensor_rng)
            clean = msgspec.structs.replace(sensor, dirt=())
            bare, looks = world.unloaded(), sensor.frames if is_profiler(sensor) else 1
            frames = [scan(bare, clean, parked, fixed, scene, sensor_rng, k) for k in range(looks)]
            empty[sensor.id] = put_together(sensor, frames)[0]
    if scene.merged:
        scans = {"scan": [merged({name: frames[0] for name, frames in scans.items()}, told)]}
        empty = {"scan": merged(empty, told)} if empty else {}
        told = {}
    volume = integrate(bed, load)
    net_kg = bulk_density(scene.material) * (volume.volume_m3 + volume.overhang_m3)
    weight = None if scene.weight.kind == "none" else gross_series(scene.weight, net_kg, weight_rng)
    truth = truth_table(scene, world, volume, net_kg, true)
    return Simulated(scene, truck_table(scene, told), scans, empty, told, true, weight, truth, world)


def _world(scene: Scene, bed: BedShape, load: HeightField | None) -> World:
    """The load with what hides it or sticks out of it."""
    rng = np.random.default_rng([scene.seed, 10])
    sheet = None if scene.tarp is None else clutter.tarp(scene.tarp, bed, load, rng)
    rods = None if scene.branches is None else clutter.branches(scene.branches, bed, load, rng)
    return World(bed, load, sheet, rods)


def merged(clouds: dict[str, PointCloud], told: dict[str, Pose]) -> PointCloud:
    """All sensors' returns in the bed frame, as a gate hands them out."""
    xyz = [told[name].apply(cloud.xyz).astype(np.float32) for name, cloud in clouds.items()]
    intensity = [cloud.intensity for cloud in clouds.values() if cloud.intensity is not None]
    return PointCloud(np.concatenate(xyz), intensity=np.concatenate(intensity))


def told_pose(pose: Pose, sensor: SensorScene, rng: np.random.Generator) -> Pose:
    """A pose off by a normal error along each axis and a small rotation about each axis of the sensor."""
    std = sensor.pose_std
    shift = rng.standard_normal(3) * (0.003 if std is None else std.xyz_m)
    turn = rotation_from_rpy(*(rng.standard_normal(3) * math.radians(0.05 if std is None else std.rpy_deg)).tolist())
    return Pose(pose.rotation @ turn, pose.translation + shift)


def bulk_density(material: MaterialScene) -> float:
    """Of the mixture: the volumes of its dry and wet parts add up."""
    wet = material.wet_mass_fraction
    return 1.0 / (wet / material.wet_bulk_density_kg_m3 + (1.0 - wet) / material.dry_bulk_density_kg_m3)


def scan(
    world: World,
    sensor: SensorScene,
    pose: Pose,
    fixed: FixedErrors,
    scene: Scene,
    rng: np.random.Generator,
    frame: int = 0,
) -> PointCloud:
    """One sweep of a sensor, the frame-th."""
    directions, times_s = ray_directions(sensor, frame), ray_times_s(sensor, frame)
    aimed = directions.reshape(-1, 3)
    ways = Ways.of(sensor, pose, times_s)

    def shoot(rays: NDArray[np.intp] | None, directions: NDArray[np.float64]) -> tuple[Hits, NDArray[np.float64]]:
        origins, turned = ways.sent(rays, directions)
        hits = world.cast(origins, turned)
        with np.errstate(invalid="ignore"):
            places = origins + turned * np.where(np.isfinite(hits.range_m), hits.range_m, 0.0)[:, None]
        return hits, reflectance(world, scene, hits, places)

    hits, sent_back = shoot(None, aimed)
    if sensor.beam is not None:
        footprints(shoot, sensor, aimed, hits, sent_back)
    ranges, intensity = returns(sensor, hits, sent_back, fixed, rng, directions, scene.weather)
    if scene.crop_m > 0.0:
        origins, turned = ways.sent(None, aimed)
        with np.errstate(invalid="ignore"):
            places = origins + turned * np.where(np.isfinite(hits.range_m), hits.range_m, 0.0)[:, None]
        near = np.linalg.norm(places, axis=1).reshape(ranges.shape) <= scene.crop_m
        ranges = np.where(near, ranges, 0.0)
    stamps = None if sensor.motion is None else ways.since_pose_s
    return _rounded(to_points(sensor, directions, ranges, intensity, stamps), scene.point_step_m)


def _rounded(cloud: PointCloud, step_m: float) -> PointCloud:
    """Coordinates to multiples of a step, intensities to 1/64."""
    if step_m == 0.0 or cloud.intensity is None:
        return cloud
    xyz, intensity = np.round(cloud.xyz / step_m) * step_m, np.round(cloud.intensity * 64.0) / 64.0
    return PointCloud(xyz.astype(np.float32), intensity.astype(np.float32), cloud.timestamp, cloud.ring)
