"""Rays into a scene: 131,072 of an OS0-like sensor over the bed, scans with noise, and a whole simulated load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import loads
import msgspec
import numpy as np
import peers
import pytest
from conftest import Measure
from loads import Matrix

from volest.catalogue import load_sensor
from volest.pointcloud import PointCloud
from volest.pose import Pose
from volest.simulate import simulate
from volest.simulate.catalogued import sensor_scene
from volest.simulate.scene import BeamScene, SensorScene
from volest.simulate.sensor import FixedErrors, ray_directions
from volest.simulate.simulation import scan

RAYS = pytest.mark.benchmark(group="131,072 rays into a loaded bed")
SCENE = loads.simulated_scene("top")


@pytest.fixture(scope="module")
def world() -> Any:
    return simulate(SCENE).world


@pytest.fixture(scope="module")
def rays() -> tuple[Matrix, Matrix]:
    """Where they begin (3,) and where they go (N, 3), bed frame."""
    sensor = SCENE.sensor[0]
    pose = Pose.from_xyz_rpy_deg(sensor.pose.xyz_m, sensor.pose.rpy_deg)
    return pose.translation, ray_directions(sensor).reshape(-1, 3) @ pose.rotation.T


@RAYS
def test_volest(measure: Measure, world: Any, rays: tuple[Matrix, Matrix]) -> None:
    hits = measure(lambda: world.cast(*rays))
    assert np.isfinite(hits.range_m).sum() > 30_000


def open3d_rays(world: Any, rays: tuple[Matrix, Matrix]) -> Callable[[], Matrix]:
    """The same surfaces, all as triangles, whose tree is built before."""
    o3d = peers.need("open3d")
    origin, directions = rays
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    corners = np.concatenate([*(field.triangles() for field, _ in world.fields), world.mesh.triangles])
    indices = np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(o3d.core.Tensor(corners.reshape(-1, 3).astype(np.float32)), o3d.core.Tensor(indices))
    beams = o3d.core.Tensor(np.hstack([np.broadcast_to(origin, directions.shape), directions]).astype(np.float32))
    return lambda: scene.cast_rays(beams)["t_hit"].numpy()


@RAYS
def test_open3d_raycasting(measure: Measure, world: Any, rays: tuple[Matrix, Matrix]) -> None:
    """Its ranges are ours, 99 in 100 of them to 1 mm."""
    range_m = measure(open3d_rays(world, rays))
    origin, directions = rays
    true_m = world.cast(origin, directions).range_m
    both = np.isfinite(range_m) & np.isfinite(true_m)
    off_m = np.abs(range_m[both] - true_m[both])
    assert len(off_m) > 30_000
    assert np.quantile(off_m, 0.99) < 0.001


def catalogue_sensor(beam_deg: float | None = None) -> SensorScene:
    """An OS0-128 of the catalogue where the scene's sensor is; the width of its beams, if told."""
    sensor = sensor_scene(load_sensor("ouster-os0-128"), id="top", pose=SCENE.sensor[0].pose)
    if beam_deg is None:
        return sensor
    return msgspec.structs.replace(sensor, beam=BeamScene(divergence_deg=(beam_deg, beam_deg)))


def scan_of(world: Any, sensor: SensorScene) -> Callable[[], PointCloud]:
    """A scan with all of the sensor's noise, to points."""
    rng = np.random.default_rng(1)
    fixed = FixedErrors.draw(sensor, rng)
    pose = Pose.from_xyz_rpy_deg(sensor.pose.xyz_m, sensor.pose.rpy_deg)
    return lambda: scan(world, sensor, pose, fixed, SCENE, rng)


@RAYS
def test_scan_with_noise(measure: Measure, world: Any) -> None:
    """From the sensor to points: rays, light, noise over range and reflectivity, losses, steps; one ray a beam."""
    cloud = measure(scan_of(world, catalogue_sensor(0.0)))
    assert len(cloud) > 30_000


@RAYS
def test_scan_with_noise_and_wide_beams(measure: Measure, world: Any) -> None:
    """The same, and seven rays in each beam that an edge is near to."""
    cloud = measure(scan_of(world, catalogue_sensor()))
    assert len(cloud) > 30_000


def test_rays_are_three_times_as_fast_as_open3d_and_scans_as_fast(world: Any, rays: tuple[Matrix, Matrix]) -> None:
    """One sentence of two ratios: rays alone, and all that makes a scan of them, against the same triangles' rays."""
    theirs = open3d_rays(world, rays)
    jobs = (theirs, lambda: world.cast(*rays), scan_of(world, catalogue_sensor(0.0)))
    peer_s, cast_s, scan_s = best_of(jobs)
    print(f"Open3D {1e3 * peer_s:.2f} ms, rays {peer_s / cast_s:.2f} times as fast, scan {scan_s / peer_s:.2f} as long")
    assert peer_s / cast_s > 3.0, "3.3 where it was laid down"
    assert scan_s / peer_s < 2.5, "0.9 alone, 1.2 to 1.9 where others keep caches busy"


def best_of(jobs: Sequence[Callable[[], Any]], rounds: int = 60) -> list[float]:
    """The least processor time [s] of each job, by turns."""
    least = [np.inf] * len(jobs)
    for _ in range(rounds):
        for k, job in enumerate(jobs):
            started = process_time()
            job()
            least[k] = min(least[k], process_time() - started)
    return least


@pytest.mark.benchmark(group="a simulated load, from scene to scans and truth")
def test_whole_load(measure: Measure) -> None:
    made = measure(lambda: simulate(SCENE))
    assert abs(made.truth["fill_ratio"] - 0.6) < 0.02
