"""The ray caster against closed forms, a second implementation and its own promises."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volest.simulate import random_scene, simulate
from volest.simulate.heightfield import HeightField
from volest.simulate.mesh import box, quad
from volest.simulate.raycast import Mesh, cast
from volest.simulate.sensor import ray_directions

NO_MESH = Mesh(np.zeros((0, 3, 3)), np.zeros(0, dtype=np.int32))
DOWN = np.array([[0.0, 0.0, -1.0]])


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def tilted_field(gx, gy, z0=0.0):
    field = HeightField.over((-2.0, 2.0, -1.0, 1.0), 0.1)
    x, y = field.nodes()
    return field.with_heights(z0 + gx * x + gy * y)


@settings(deadline=None, max_examples=60)
@given(
    gx=st.floats(-1.0, 1.0), gy=st.floats(-1.0, 1.0), x=st.floats(-1.9, 1.9), y=st.floats(-0.9, 0.9),
    ox=st.floats(-3.0, 3.0), oy=st.floats(-3.0, 3.0), oz=st.floats(3.5, 8.0),
)  # fmt: skip
def test_plane_range_and_cosine(gx, gy, x, y, ox, oy, oz):
    field = tilted_field(gx, gy)
    target, origin = np.array([x, y, gx * x + gy * y]), np.array([ox, oy, oz])
    direction = unit(target - origin)
    hits = cast([(field, 1)], NO_MESH, origin, direction[None])
    normal = unit(np.array([-gx, -gy, 1.0]))
    assert hits.part[0] == 1
    assert hits.range_m[0] == pytest.approx(np.linalg.norm(target - origin), abs=1e-9)
    assert hits.cosine[0] == pytest.approx(abs(normal @ direction), abs=1e-9)


def test_rays_straight_down_read_the_interpolated_height():
    rng = np.random.default_rng(1)
    field = HeightField.over((0.0, 1.0, 0.0, 0.7), 0.05)
    field = field.with_heights(rng.random(field.z_m.shape))
    xy = rng.uniform([0.0, 0.0], [1.0, 0.7], (500, 2))
    hits = cast([(field, 1)], NO_MESH, np.column_stack([xy, np.full(500, 3.0)]), np.repeat(DOWN, 500, 0))
    np.testing.assert_allclose(3.0 - hits.range_m, field.at(xy[:, 0], xy[:, 1]), atol=1e-12)


def test_no_ray_slips_through_nodes_edges_and_diagonals():
    field = tilted_field(0.3, -0.2)
    x, y = field.nodes()
    nodes = np.stack([x, y, field.z_m], axis=-1)[1:-1, 1:-1].reshape(-1, 3)
    straight = cast([(field, 1)], NO_MESH, nodes + np.array([0.0, 0.0, 5.0]), np.repeat(DOWN, len(nodes), 0))
    np.testing.assert_allclose(straight.range_m, 5.0, atol=1e-12)
    for origin in ([-2.0, -1.0, 4.0], [0.0, 0.0, 2.0], [5.0, 0.3, 2.5]):
        aslant = cast([(field, 1)], NO_MESH, np.array(origin), unit(nodes - origin))
        np.testing.assert_allclose(aslant.range_m, np.linalg.norm(nodes - origin, axis=1), atol=1e-9)


def test_rays_from_below_and_level_rays_hit():
    field = tilted_field(0.5, 0.0)
    up = cast([(field, 1)], NO_MESH, np.array([0.5, 0.1, -3.0]), -DOWN)
    level = cast([(field, 1)], NO_MESH, np.array([-5.0, 0.1, 0.25]), np.array([[1.0, 0.0, 0.0]]))
    assert up.range_m[0] == pytest.approx(3.25)
    assert level.range_m[0] == pytest.approx(5.5)


def test_holes_let_rays_through():
    field = tilted_field(0.0, 0.0)
    z = field.z_m.copy()
    z[5, 7] = np.nan
    x, y = field.x0_m + 7 * field.dx_m, field.y0_m + 5 * field.dy_m
    for dx, dy, seen in ((0.05, 0.05, False), (-0.05, -0.05, False), (0.15, 0.05, True), (-0.15, 0.15, True)):
        hit = cast([(field.with_heights(z), 1)], NO_MESH, np.array([x + dx, y + dy, 1.0]), DOWN)
        assert np.isfinite(hit.range_m[0]) == seen
        assert np.isfinite(field.with_heights(z).at(np.array([x + dx]), np.array([y + dy]))[0]) == seen


def test_misses_say_so():
    hits = cast(
        [(tilted_field(0.0, 0.0), 1)], Mesh(box((0, 0, 0), (1, 1, 1)), np.ones(12)), np.array([0, 0, 5.0]), -DOWN
    )
    assert np.isinf(hits.range_m[0])
    assert hits.part[0] == 0
    assert hits.cosine[0] == 0.0


def test_the_nearest_of_field_and_mesh_wins():
    field = tilted_field(0.0, 0.0, z0=0.5)
    mesh = Mesh(quad((-1, -1, 1.0), (1, -1, 1.0), (1, 1, 1.0), (-1, 1, 1.0)), np.array([7, 7]))
    hits = cast([(field, 1)], mesh, np.array([[0.0, 0.0, 3.0], [1.5, 0.0, 3.0]]), np.repeat(DOWN, 2, 0))
    assert hits.part.tolist() == [7, 1]
    np.testing.assert_allclose(hits.range_m, [2.0, 2.5])


def test_tree_finds_what_brute_force_finds():
    rng = np.random.default_rng(2)
    corners = rng.normal(0.0, 1.0, (200, 1, 3)) + rng.normal(0.0, 0.3, (200, 3, 3))
    origins, directions = rng.normal(0.0, 2.0, (400, 3)), unit(rng.normal(0.0, 1.0, (400, 3)))
    whole = cast([], Mesh(corners, np.arange(200)), origins, directions)
    best, part = np.full(400, np.inf), np.zeros(400, dtype=int)
    for k in range(200):
        single = cast([], Mesh(corners[k : k + 1], np.array([k])), origins, directions)
        part = np.where(single.range_m < best, k, part)
        best = np.minimum(best, single.range_m)
    np.testing.assert_array_equal(whole.range_m, best)
    hit = np.isfinite(best)
    assert hit.sum() > 50
    np.testing.assert_array_equal(whole.part[hit], part[hit])


@pytest.fixture(scope="module")
def loaded_beds():
    return [simulate(random_scene(np.random.default_rng(k), load="rough", mount="front", columns=512)) for k in (3, 4)]


def test_agrees_with_open3d(loaded_beds, open3d):
    for simulated in loaded_beds:
        world, sensor = simulated.world, simulated.scene.sensor[0]
        pose = simulated.true_poses[sensor.id]
        directions = ray_directions(sensor).reshape(-1, 3) @ pose.rotation.T
        hits = world.cast(pose.translation, directions)
        triangles = np.concatenate([world.mesh.triangles, *(field.triangles() for field, _ in world.fields)])
        scene = open3d.t.geometry.RaycastingScene()
        vertices = triangles.reshape(-1, 3).astype(np.float32)
        faces = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
        scene.add_triangles(open3d.core.Tensor(vertices), open3d.core.Tensor(faces))
        rays = np.concatenate([np.broadcast_to(pose.translation, directions.shape), directions], axis=1)
        theirs = scene.cast_rays(open3d.core.Tensor(rays.astype(np.float32)))["t_hit"].numpy()
        met = np.isfinite(hits.range_m) & np.isfinite(theirs)
        assert (np.isfinite(hits.range_m) != np.isfinite(theirs)).mean() < 1e-4
        off = np.abs(np.where(met, hits.range_m, 0.0) - np.where(met, theirs, 0.0))
        sound = hits.cosine > 0.03  # a grazing ray may slip past an edge in single precision
        assert (off[sound] > 1e-4).mean() < 1e-4
        assert np.median(off[met]) < 1e-5


def test_a_scan_of_131072_rays_takes_less_than_half_a_second(loaded_beds):
    world = loaded_beds[0].world
    sensor = loaded_beds[0].scene.sensor[0]
    pose = loaded_beds[0].true_poses[sensor.id]
    directions = np.tile(ray_directions(sensor).reshape(-1, 3) @ pose.rotation.T, (2, 1))
    assert len(directions) == 131072
    world.cast(pose.translation, directions[:10])
    start = time.process_time()
    world.cast(pose.translation, directions)
    assert time.process_time() - start < 0.5


def rough_field(rng, cell=0.08, holes=0.02):
    field = HeightField.over((-2.0, 2.0, -1.0, 1.0), cell)
    z = 0.3 * rng.random(field.z_m.shape) + 0.4 * rng.random() * np.hypot(*field.nodes())
    return field.with_heights(np.where(rng.random(z.shape) < holes, np.nan, z))


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10**6), height=st.floats(0.05, 4.0))
def test_flying_over_blocks_finds_the_triangle_that_brute_force_finds(seed, height):
    rng = np.random.default_rng(seed)
    field = rough_field(rng, holes=rng.choice([0.0, 0.02]))
    origin = np.array([rng.uniform(-3.0, 3.0), rng.uniform(-2.0, 2.0), height])
    target = np.column_stack([rng.uniform(-2.2, 2.2, 300), rng.uniform(-1.2, 1.2, 300), rng.uniform(-0.5, 1.0, 300)])
    directions = unit(target - origin)
    walked = cast([(field, 1)], NO_MESH, origin, directions)
    triangles = field.triangles()
    brute = cast([], Mesh(triangles, np.ones(len(triangles))), origin, directions)
    same = np.isclose(walked.range_m, brute.range_m, rtol=0.0, atol=1e-9) | (walked.part + brute.part == 0)
    assert same.all()
    np.testing.assert_allclose(walked.cosine[walked.part > 0], brute.cosine[walked.part > 0], atol=1e-9)


def test_rays_in_bundles_meet_what_each_alone_meets(loaded_beds):
    """Not nearly: the same bits, whatever flies beside a ray and however origins are told."""
    world, sensor = loaded_beds[0].world, loaded_beds[0].scene.sensor[0]
    pose = loaded_beds[0].true_poses[sensor.id]
    directions = (ray_directions(sensor).reshape(-1, 3) @ pose.rotation.T)[::7]
    together = world.cast(pose.translation, directions)
    alone = world.cast(np.broadcast_to(pose.translation, directions.shape), directions)
    shuffled = np.random.default_rng(1).permutation(len(directions))
    apart = world.cast(pose.translation, directions[shuffled])
    for name in ("range_m", "part", "cosine"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
        np.testing.assert_array_equal(getattr(together, name)[shuffled], getattr(apart, name))


def test_of_faces_at_one_range_bundles_and_single_rays_tell_the_same():
    """Rims and ribs' tops lie in one plane; which of two such faces is told must not change with how rays are sent."""
    across = np.linspace(-1.0, 1.0, 9)
    faces = [
        quad((a, -1, 0), (b, -1, 0), (b, 1, 0), (a, 1, 0)) for a, b in itertools.pairwise(across) for _ in range(3)
    ]
    mesh = Mesh(np.concatenate(faces), np.repeat(np.arange(len(faces)), 2).astype(np.int32))
    rng = np.random.default_rng(3)
    origin = np.array([0.1, 0.2, 2.0])
    directions = np.column_stack([rng.uniform(-0.3, 0.3, (500, 2)), -np.ones(500)])
    directions = directions[np.argsort(directions[:, 0])]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bundled = cast([], mesh, origin, directions)
    alone = cast([], mesh, np.broadcast_to(origin, directions.shape), directions)
    np.testing.assert_array_equal(bundled.range_m, alone.range_m)
    np.testing.assert_array_equal(bundled.part, alone.part)
