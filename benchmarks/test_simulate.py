"""Rays into a scene: 131,072 of an OS0-like sensor over the bed, and a whole simulated load."""

from __future__ import annotations

from typing import Any

import loads
import numpy as np
import peers
import pytest
from conftest import Measure
from loads import Matrix

from volest.pose import Pose
from volest.simulate import simulate
from volest.simulate.sensor import ray_directions

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


@RAYS
def test_open3d_raycasting(measure: Measure, world: Any, rays: tuple[Matrix, Matrix]) -> None:
    """The same surfaces, all as triangles."""
    o3d = peers.need("open3d")
    origin, directions = rays
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    corners = np.concatenate([*(field.triangles() for field, _ in world.fields), world.mesh.triangles])
    indices = np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(o3d.core.Tensor(corners.reshape(-1, 3).astype(np.float32)), o3d.core.Tensor(indices))
    beams = o3d.core.Tensor(np.hstack([np.broadcast_to(origin, directions.shape), directions]).astype(np.float32))
    range_m = measure(lambda: scene.cast_rays(beams)["t_hit"].numpy())
    true_m = world.cast(origin, directions).range_m
    both = np.isfinite(range_m) & np.isfinite(true_m)
    off_m = np.abs(range_m[both] - true_m[both])
    assert len(off_m) > 30_000
    assert np.quantile(off_m, 0.99) < 0.001


@pytest.mark.benchmark(group="a simulated load, from scene to scans and truth")
def test_whole_load(measure: Measure) -> None:
    made = measure(lambda: simulate(SCENE))
    assert abs(made.truth["fill_ratio"] - 0.6) < 0.02
