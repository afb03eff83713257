"""Beds and loads of all trades: new parts against closed forms, and scans against the surfaces that they show."""

import hashlib
import json

import numpy as np
import pytest

from volest.errors import SceneError
from volest.simulate import random_scene, simulate
from volest.simulate.bedshape import BedShape
from volest.simulate.boards import boards, lay_boards
from volest.simulate.breadth import WIDE_LOADS
from volest.simulate.heightfield import HeightField
from volest.simulate.load import load_surface
from volest.simulate.scene import scene_from_dict, scene_to_dict
from volest.simulate.truth import integrate

NEW_KINDS = ["boxes", "sheets", "tipped", "compacted", "bulk"]
BED = {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}
FITTED_BED = {
    **BED, "lean_deg": [2.0, 1.0, 3.0, 8.0], "bulge_m": 0.015, "wall_m": 0.05, "sag_m": 0.02, "corner_m": 0.1,
    "ribs": {"count": 5, "depth_m": 0.05, "width_m": 0.1}, "chamfer_m": 0.25, "gate_post_m": [0.12, 0.1],
}  # fmt: skip
QUIET = {
    "range_std_m": 0.0, "beam_bias_std_m": 0.0, "offset_std_m": 0.0, "quantum_m": 0.0, "dropout": 0.0, "faint": 0.0,
    "beam_deg": 0.0, "stray": 0.0,
}  # fmt: skip
TOP = {
    "id": "top", "rows": 64, "columns": 512, "noise": QUIET,
    "pose": {"xyz_m": [0.1, 0.0, 3.5], "rpy_deg": [0.0, 89.0, 1.0]},
}  # fmt: skip


def scene(load, bed=BED):
    return scene_from_dict({"bed": bed, "load": load, "sensor": [TOP]})


def capacity_m3(bed):
    return integrate(BedShape(scene({"kind": "none"}, bed).bed), None).struck_capacity_m3


def test_chamfers_take_three_wedges_and_share_two_corners():
    c = 0.3
    wedges = c * c / 2.0 * (2.0 * 4.2 + 2.1) - 2.0 * c**3 / 3.0
    assert capacity_m3({**BED, "chamfer_m": c}) == pytest.approx(4.2 * 2.1 * 1.3 - wedges, rel=1e-5)


def test_chamfers_of_leaning_walls_take_slanting_wedges():
    """At height z a side's wedge is c - z (1 - tan(lean)) wide, the front's c - z; both are in the corners."""
    t, c = np.tan(np.radians(10.0)), 0.3
    bare = {**BED, "lean_deg": [0.0, 0.0, 10.0, 10.0]}
    sides = 4.2 * c**2 / (1.0 - t)
    front = 2.1 * c**2 / 2.0 + t * c**3 / 3.0
    corners = 2.0 * c**3 * (1.0 / 2.0 - (1.0 - t) / 6.0)
    lost = capacity_m3(bare) - capacity_m3({**bare, "chamfer_m": c})
    assert lost == pytest.approx(sides + front - corners, rel=2e-5)


def test_gate_posts_take_their_prisms():
    taken = 2.0 * 0.12 * 0.1 * 1.3
    assert capacity_m3({**BED, "gate_post_m": [0.12, 0.1]}) == pytest.approx(4.2 * 2.1 * 1.3 - taken, rel=1e-6)


def test_chamfer_of_more_than_half_the_height_is_an_error():
    with pytest.raises(SceneError, match="chamfer_m"):
        scene({"kind": "none"}, {**BED, "height_m": 0.4, "chamfer_m": 0.3})


@pytest.mark.parametrize("kind", ["none", "carryback", *NEW_KINDS])
def test_noiseless_points_lie_on_the_true_surfaces(kind):
    load = {"kind": kind, "fill_ratio": 0.02 if kind == "carryback" else 0.5, "bag_m": 0.6 * (kind == "boxes")}
    simulated = simulate(scene(load, FITTED_BED))
    shape, surface = simulated.world.bed, simulated.world.load
    x, y, z = simulated.true_poses["top"].apply(simulated.scans["top"][0].xyz).T
    x0, x1, y0, y1 = shape.footprint_m
    inside = (x > x0 + 2e-3) & (x < x1 - 2e-3) & (y > y0 + 2e-3) & (y < y1 - 2e-3)
    x, y, z = x[inside], y[inside], z[inside]
    assert len(z) > 4000
    tops = []
    for dx, dy in np.array(np.meshgrid([-1e-3, 0.0, 1e-3], [-1e-3, 0.0, 1e-3])).reshape(2, -1).T:
        empty = shape.empty_m(x + dx, y + dy)
        tops.append(empty if surface is None else np.fmax(surface.at(x + dx, y + dy), empty))
    wrong = (z < np.min(tops, axis=0) - 1e-3) | (z > np.max(tops, axis=0) + 1e-3)
    assert wrong.mean() < 3e-4


@pytest.mark.parametrize("kind", NEW_KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_new_loads_fill_what_was_asked_for_and_agree_with_drawn_columns(kind, seed):
    """The truth against the mean of 200,000 columns drawn over the opening."""
    built = scene({"kind": kind, "fill_ratio": 0.6, "roughness_m": 0.01}, FITTED_BED)
    shape = BedShape(built.bed)
    load = load_surface(built.load, shape, np.random.default_rng(seed))
    found = integrate(shape, load)
    assert found.volume_m3 / found.struck_capacity_m3 == pytest.approx(0.6, abs=0.006)
    assert found.numeric_error_m3 < 2e-4 * found.volume_m3
    x0, x1, y0, y1 = shape.footprint_m
    x, y = np.random.default_rng(seed).uniform([[x0], [y0]], [[x1], [y1]], (2, 200_000))
    empty = shape.empty_m(x, y)
    columns = np.fmax(load.at(x, y), empty) - empty
    area = (x1 - x0) * (y1 - y0)
    assert found.volume_m3 == pytest.approx(area * columns.mean(), abs=4.0 * area * columns.std() / 200_000**0.5)


def test_a_box_on_a_plane_is_its_own_volume():
    field = HeightField.over((-1.0, 1.0, -1.0, 1.0), 0.005)
    z = field.z_m.copy()
    lay_boards(z, field, np.array([[0.1, -0.2, 0.4, 0.25, 0.3, 0.7, 0.0]]), np.random.default_rng(0))
    assert z.sum() * field.dx_m * field.dy_m == pytest.approx(0.8 * 0.5 * 0.3, rel=0.01)
    assert set(np.round(np.unique(z), 9)) == {0.0, 0.3}


def test_sheets_are_thin_and_boxes_are_not():
    field = HeightField.over((-2.0, 2.0, -1.0, 1.0), 0.02)
    rng = np.random.default_rng(0)
    sheets, boxes = boards(rng, field, 0.8, 1.0, thin=True), boards(rng, field, 0.8, 1.0, thin=False)
    assert sheets[:, 4].max() <= 0.04
    assert (boxes[:, 4] >= 0.8 * boxes[:, 3]).all()
    assert boxes[:, 2].max() <= 0.4


def test_grain_lies_at_its_angle_of_repose():
    built = scene({"kind": "bulk", "fill_ratio": 0.4, "repose_deg": 30.0})
    load = load_surface(built.load, BedShape(built.bed), np.random.default_rng(4))
    slope = np.hypot(*np.gradient(load.z_m, load.dy_m, load.dx_m))
    steep = np.degrees(np.arctan(np.nanmedian(slope)))
    assert 25.0 < steep < 32.0


def test_wide_scenes_are_of_all_trades():
    scenes = [random_scene(np.random.default_rng(seed), breadth="wide") for seed in range(250)]
    beds = [one.bed for one in scenes]
    nominal = [bed.length_m * bed.width_m * bed.height_m for bed in beds]
    assert {one.load.kind for one in scenes} == set(WIDE_LOADS)
    assert min(nominal) < 1.3
    assert max(nominal) > 34.0
    assert max(nominal) < 41.0
    for part in ("chamfer_m", "bows", "arches", "dents", "headboard_m", "corner_m"):
        assert any(getattr(bed, part) for bed in beds), part
    assert any(bed.gate_post_m[0] for bed in beds)
    assert any(bed.ribs.count for bed in beds)
    assert max(max(bed.lean_deg) for bed in beds) > 10.0
    assert any(one.branches for one in scenes)
    assert any(one.material.wet_patch_m for one in scenes)
    assert any(one.load.overhang_m for one in scenes)
    assert max(one.material.dry_bulk_density_kg_m3 for one in scenes) > 1500.0


def test_wide_scenes_simulate():
    for seed in range(12):
        made = simulate(random_scene(np.random.default_rng(seed), breadth="wide", columns=64))
        truth = made.truth
        assert all(len(cloud) > 200 for frames in made.scans.values() for cloud in frames)
        assert truth["volume_m3"] == pytest.approx(
            made.scene.load.fill_ratio * truth["struck_capacity_m3"], rel=0.02, abs=0.01 * truth["struck_capacity_m3"]
        )


def test_usual_scenes_are_drawn_as_ever():
    """Scores are compared over the years: what the default draws does not change."""
    drawn = [scene_to_dict(random_scene(np.random.default_rng(seed))) for seed in range(300)]
    text = "".join(json.dumps(one, sort_keys=True) for one in drawn)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "f6e1d55bc5b06302"
