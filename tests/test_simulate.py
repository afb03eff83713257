"""Simulated truth against closed forms and conservation; scans against the surfaces that they show."""

import math

import msgspec
import numpy as np
import pytest

from volest.errors import SceneError
from volest.pose import Pose
from volest.simulate import random_scene, simulate
from volest.simulate.bedshape import BedShape
from volest.simulate.load import load_surface
from volest.simulate.parts import Part
from volest.simulate.record import rpy_deg
from volest.simulate.scene import BedScene, scene_from_dict
from volest.simulate.simulation import told_pose
from volest.simulate.truth import integrate
from volest.simulate.variety import LOADS

BED = {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}
RICH_BED = {
    **BED, "lean_deg": [2.0, 1.0, 3.0, 4.0], "bulge_m": 0.015, "wall_m": 0.05, "sag_m": 0.02, "corner_m": 0.1,
    "ribs": {"count": 5, "depth_m": 0.05, "width_m": 0.1}, "doghouse_m": [0.3, 0.5, 0.6],
    "arches": [{"side": "left", "x_m": -0.5, "length_m": 0.9, "width_m": 0.2, "height_m": 0.25, "shape": "round"}],
    "dents": [{"x_m": 0.5, "y_m": 0.2, "depth_m": 0.02, "radius_m": 0.15}],
}  # fmt: skip
QUIET = {
    "range_std_m": 0.0, "beam_bias_std_m": 0.0, "offset_std_m": 0.0, "quantum_m": 0.0, "dropout": 0.0, "faint": 0.0,
    "beam_deg": 0.0, "stray": 0.0,
}  # fmt: skip
TOP = {"id": "top", "rows": 64, "columns": 512, "pose": {"xyz_m": [0.1, 0.0, 3.5], "rpy_deg": [0.0, 89.0, 1.0]}}


def scene(load, bed=BED, sensor=TOP, **rest):
    return scene_from_dict({"bed": bed, "load": load, "sensor": [sensor], **rest})


def volume(load, bed=BED):
    built = scene(load, bed)
    shape = BedShape(built.bed)
    return shape, integrate(shape, load_surface(built.load, shape, np.random.default_rng(0)))


def test_box_volume():
    _, found = volume({"kind": "box", "height_m": 0.4})
    assert found.volume_m3 == pytest.approx(4.2 * 2.1 * 0.4, rel=2e-4)
    assert found.centroid_m == pytest.approx((0.0, 0.0, 0.2), abs=1e-3)
    assert found.heaped_m3 == 0.0


def test_box_above_the_rim_is_heaped():
    _, found = volume({"kind": "box", "height_m": 1.5})
    assert found.heaped_m3 == pytest.approx(4.2 * 2.1 * 0.2, rel=2e-4)


def test_wedge_volume():
    _, found = volume({"kind": "wedge", "height_m": 1.0})
    assert found.volume_m3 == pytest.approx(4.2 * 2.1 * 1.0 / 2.0, rel=2e-4)
    assert found.centroid_m == pytest.approx((4.2 / 6.0, 0.0, 1.0 / 3.0), abs=2e-3)


def test_cone_volume():
    height, slope = 0.5, math.tan(math.radians(35.0))
    _, found = volume({"kind": "cone", "height_m": height, "cell_m": 0.01})
    assert found.volume_m3 == pytest.approx(math.pi * (height / slope) ** 2 * height / 3.0, rel=2e-4)


def test_struck_capacity_of_leaning_walls():
    angles = [3.0, 2.0, 5.0, 1.0]
    shape, found = volume({"kind": "none"}, {**BED, "lean_deg": angles})
    front, rear, left, right = (math.tan(math.radians(angle)) for angle in angles)
    h, a, b = 1.3, front + rear, left + right  # the opening grows by a and b times the height
    frustum = 4.2 * 2.1 * h + (4.2 * b + 2.1 * a) * h**2 / 2.0 + a * b * h**3 / 3.0
    assert found.struck_capacity_m3 == pytest.approx(frustum, rel=2e-4)
    x0, x1, y0, y1 = shape.footprint_m
    assert (x1 - x0, y1 - y0) == pytest.approx((4.2 + a * h, 2.1 + b * h))


def test_ribs_arches_fillets_and_sag_take_their_volume():
    plain = volume({"kind": "none"})[1].struck_capacity_m3
    ribs = volume({"kind": "none"}, {**BED, "ribs": {"count": 6, "depth_m": 0.05, "width_m": 0.1}})[
        1
    ].struck_capacity_m3
    arch = {"side": "left", "x_m": 0.0, "length_m": 0.8, "width_m": 0.2, "height_m": 0.25}
    box = volume({"kind": "none"}, {**BED, "arches": [arch]})[1].struck_capacity_m3
    corner = volume({"kind": "none"}, {**BED, "corner_m": 0.2})[1].struck_capacity_m3
    sag = volume({"kind": "none"}, {**BED, "sag_m": 0.02})[1].struck_capacity_m3
    assert plain == pytest.approx(4.2 * 2.1 * 1.3, rel=1e-9)
    assert plain - ribs == pytest.approx(12 * 0.05 * 0.1 * 1.3, rel=1e-3)
    assert plain - box == pytest.approx(0.8 * 0.2 * 0.25, rel=1e-3)
    assert plain - corner == pytest.approx((4.0 - math.pi) * 0.2**2 * 1.3, rel=2e-2)
    assert sag - plain == pytest.approx(0.02 * 4.2 * 2.1 * (2.0 / math.pi) ** 2, rel=5e-2)


def test_numeric_error_of_rich_scenes_is_below_2_in_10000():
    for seed, kind in enumerate(LOADS):
        built = random_scene(np.random.default_rng(seed), load=kind)
        shape = BedShape(built.bed)
        found = integrate(shape, load_surface(built.load, shape, np.random.default_rng([built.seed, 0])))
        assert found.numeric_error_m3 <= max(2e-4 * found.volume_m3, 3e-5 * found.struck_capacity_m3)


def test_load_keeps_its_volume_when_it_moves():
    """Conservation: the same small heap anywhere on the floor."""
    shape = BedShape(scene_from_dict({"bed": BED, "load": {"kind": "none"}, "sensor": [TOP]}).bed)
    heap = volume({"kind": "cone", "height_m": 0.3, "cell_m": 0.01})
    field = load_surface(scene({"kind": "cone", "height_m": 0.3, "cell_m": 0.01}).load, shape, np.random.default_rng(0))
    z = np.maximum(np.nan_to_num(field.z_m, nan=-1.0), -1.0)
    moved = field.with_heights(np.roll(z, (20, -35), axis=(0, 1)))
    assert integrate(shape, moved).volume_m3 == pytest.approx(heap[1].volume_m3, rel=2e-4)


def test_fill_ratio_is_met_and_two_halves_add_up():
    shape, found = volume({"kind": "rough", "fill_ratio": 0.6, "lump_m": 0.3, "bag_m": 0.5}, RICH_BED)
    assert found.volume_m3 / found.struck_capacity_m3 == pytest.approx(0.6, abs=0.01)
    load = load_surface(scene({"kind": "flat", "fill_ratio": 0.6}, RICH_BED).load, shape, np.random.default_rng(0))
    upper = integrate(shape, load).volume_m3
    lower = integrate(shape, load.with_heights(load.z_m - 0.2)).volume_m3
    between = upper - lower
    assert (
        0.0
        < between
        < 0.2 * (shape.footprint_m[1] - shape.footprint_m[0]) * (shape.footprint_m[3] - shape.footprint_m[2])
    )


def test_no_load_is_no_volume_and_no_mass():
    found = simulate(scene({"kind": "none"}, weight={"kind": "none"})).truth
    assert found["volume_m3"] == 0.0
    assert found["net_mass_kg"] == 0.0
    assert found["bulk_density_kg_m3"] is None
    assert found["waste_class"] is None
    assert found["centroid_m"] is None


def test_too_much_for_the_angle_of_repose_is_an_error():
    with pytest.raises(SceneError, match=r"load.fill_ratio: found 2.5, expected at most"):
        volume({"kind": "smooth", "fill_ratio": 2.5, "repose_deg": 20.0})


def test_heaps_stay_within_the_angle_of_repose_from_the_rim():
    shape = BedShape(scene({"kind": "none"}).bed)
    load = load_surface(
        scene({"kind": "peaked", "fill_ratio": 1.15, "repose_deg": 30.0}).load, shape, np.random.default_rng(3)
    )
    x, y = load.nodes()
    edge = np.minimum(np.minimum(2.1 - x, x + 2.1), np.minimum(1.05 - y, y + 1.05))
    assert np.nanmax(load.z_m - 1.3 - math.tan(math.radians(30.0)) * edge) <= 1e-9
    assert np.nanmax(load.z_m) > 1.4


def test_overhang_is_outside_of_the_volume():
    load = {"kind": "bags", "fill_ratio": 1.15, "bag_m": 0.6, "lump_m": 0.2, "overhang_m": 0.2, "repose_deg": 40.0}
    _, found = volume(load)
    assert found.overhang_m3 > 1e-3
    assert found.volume_m3 / found.struck_capacity_m3 == pytest.approx(1.15, abs=0.01)
    simulated = simulate(scene(load, material={"dry_bulk_density_kg_m3": 100.0, "wet_mass_fraction": 0.0}))
    truth = simulated.truth
    assert truth["net_mass_kg"] == pytest.approx(100.0 * (truth["volume_m3"] + truth["overhang_m3"]))


def test_same_seed_same_numbers_other_seed_other_numbers():
    built = scene({"kind": "rough", "lump_m": 0.2}, RICH_BED, seed=5)
    first, again = simulate(built), simulate(built)
    other = simulate(msgspec.structs.replace(built, seed=6))
    assert first.truth == again.truth
    np.testing.assert_array_equal(first.scans["top"][0].xyz, again.scans["top"][0].xyz)
    np.testing.assert_array_equal(first.weight, again.weight)
    assert first.truth["volume_m3"] != other.truth["volume_m3"]


@pytest.mark.parametrize("kind", ["smooth", "rough", "carryback", "none"])
def test_noiseless_points_lie_on_the_true_surfaces(kind):
    built = scene(
        {"kind": kind, "fill_ratio": 0.02 if kind == "carryback" else 0.7, "lump_m": 0.2},
        RICH_BED,
        {**TOP, "noise": QUIET},
    )
    simulated = simulate(built)
    shape, load = simulated.world.bed, simulated.world.load
    points = simulated.true_poses["top"].apply(simulated.scans["top"][0].xyz)
    x0, x1, y0, y1 = shape.footprint_m
    inside = (
        (points[:, 0] > x0 + 2e-3)
        & (points[:, 0] < x1 - 2e-3)
        & (points[:, 1] > y0 + 2e-3)
        & (points[:, 1] < y1 - 2e-3)
    )
    points = points[inside]
    assert len(points) > 4000
    around = []
    for dx in (-1e-3, 0.0, 1e-3):
        for dy in (-1e-3, 0.0, 1e-3):
            empty = shape.empty_m(points[:, 0] + dx, points[:, 1] + dy)
            above = empty if load is None else np.fmax(load.at(points[:, 0] + dx, points[:, 1] + dy), empty)
            around.append(above)
    low, high = np.min(around, axis=0), np.max(around, axis=0)
    wrong = (points[:, 2] < low - 1e-3) | (points[:, 2] > high + 1e-3)
    assert wrong.mean() < 2e-4


def test_rays_meet_only_the_load_where_it_covers_the_floor():
    simulated = simulate(scene({"kind": "box", "height_m": 0.5}, sensor={**TOP, "noise": QUIET}))
    hits = simulated.world.cast(np.array([0.0, 0.0, 3.0]), np.array([[0.0, 0.0, -1.0], [0.3, 0.1, -1.0]]))
    assert hits.part.tolist() == [Part.LOAD, Part.LOAD]
    assert hits.range_m[0] == pytest.approx(2.5)


def test_told_pose_errs_by_its_std():
    sensor = scene({"kind": "none"}, sensor={**TOP, "pose_std": {"xyz_m": 0.02, "rpy_deg": 0.3}}).sensor[0]
    true = Pose.from_xyz_rpy_deg(sensor.pose.xyz_m, sensor.pose.rpy_deg)
    rng = np.random.default_rng(7)
    told = [told_pose(true, sensor, rng) for _ in range(2000)]
    turns = [true.rotation.T @ pose.rotation for pose in told]
    assert np.std([pose.translation - true.translation for pose in told]) == pytest.approx(0.02, rel=0.04)
    assert np.degrees(np.std([[t[2, 1], t[0, 2], t[1, 0]] for t in turns])) == pytest.approx(0.3, rel=0.04)


def test_gate_parks_anew_for_the_empty_bed():
    built = scene({"kind": "none"}, sensor={**TOP, "noise": QUIET, "pose_std": {"xyz_m": 0.04, "rpy_deg": 0.5}})
    same, anew = (simulate(msgspec.structs.replace(built, reference_pose=pose)) for pose in ("same", "anew"))
    np.testing.assert_array_equal(same.scans["top"][0].xyz, same.empty_scans["top"].xyz)
    assert anew.scans["top"][0].xyz.shape != anew.empty_scans["top"].xyz.shape or not np.allclose(
        anew.scans["top"][0].xyz, anew.empty_scans["top"].xyz, atol=0.01
    )


def test_merged_scans_are_in_the_bed_frame():
    other = {**TOP, "id": "rear", "pose": {"xyz_m": [-2.3, 0.0, 3.0], "rpy_deg": [0.0, 55.0, 0.0]}}
    table = {"bed": BED, "load": {"kind": "box", "height_m": 0.5}, "sensor": [TOP, other], "merged": True}
    simulated = simulate(scene_from_dict(table))
    assert list(simulated.scans) == ["scan"]
    assert simulated.truck["sensor"] == []
    points = simulated.scans["scan"][0].xyz
    on_load = (np.abs(points[:, 0]) < 1.5) & (np.abs(points[:, 1]) < 0.8) & (points[:, 2] > 0.0) & (points[:, 2] < 1.0)
    assert np.median(points[on_load, 2]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("rpy", [(1.0, 55.0, 178.0), (-170.0, 88.5, -20.0), (0.0, 0.0, 0.0), (10.0, 90.0, 30.0)])
def test_attitude_round_trip(rpy):
    rotation = Pose.from_xyz_rpy_deg((0.0, 0.0, 0.0), rpy).rotation
    again = Pose.from_xyz_rpy_deg((0.0, 0.0, 0.0), rpy_deg(rotation)).rotation
    np.testing.assert_allclose(again, rotation, atol=1e-12)


def test_walls_never_overhang():
    shape = BedShape(msgspec.convert({**RICH_BED, "bulge_m": 0.5}, BedScene))
    z, s = np.meshgrid(np.linspace(0.0, 1.3, 50), np.linspace(-2.1, 2.1, 21))
    for wall in shape.walls:
        outward = wall.outward_m(z, s)
        assert (np.diff(outward, axis=1) >= -1e-12).all()
        np.testing.assert_allclose(wall.height_m(outward, s)[:, 1:], z[:, 1:], atol=1e-6)


def test_visible_fraction_falls_when_the_sensor_sinks():
    def fraction(height):
        sensor = {**TOP, "rows": 2, "columns": 4, "pose": {"xyz_m": [2.3, 0.0, height], "rpy_deg": [0.0, 55.0, 180.0]}}
        return simulate(scene({"kind": "rough", "lump_m": 0.4, "fill_ratio": 0.6}, sensor=sensor)).truth[
            "visible_fraction"
        ]

    high, middle, low = fraction(6.0), fraction(3.0), fraction(2.0)
    assert 1.0 >= high > middle > low > 0.1


def test_random_scenes_are_broad():
    scenes = [random_scene(np.random.default_rng(seed)) for seed in range(200)]
    assert {one.load.kind for one in scenes} == set(LOADS)
    assert {sensor.id for one in scenes for sensor in one.sensor} == {"top", "mast", "side", "rear"}
    assert min(one.bed.length_m for one in scenes) < 3.2
    assert max(one.bed.length_m for one in scenes) > 5.5
    assert {True, False} == {one.reference for one in scenes}
    assert any(one.merged for one in scenes)
    assert any(one.load.overhang_m > 0.0 for one in scenes)


def test_random_scenes_simulate():
    for seed in range(8):
        simulated = simulate(random_scene(np.random.default_rng(1000 + seed), columns=128))
        assert all(len(cloud) > 500 for frames in simulated.scans.values() for cloud in frames)
        assert all(np.isfinite(cloud.xyz).all() for frames in simulated.scans.values() for cloud in frames)
        assert math.isfinite(simulated.truth["volume_m3"])
