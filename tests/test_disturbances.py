"""What is wrong with a scan beside its sensor's place: dust, branches, a tarp, a dirty window, a load that moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as other
from numpy.typing import NDArray
from simulated_loads import BED, MAST, TOP, covers, error_of, estimator_of, scans_of, scene

from volest import Result
from volest.frames import changed_fraction
from volest.simulate import Scene, Simulated, simulate
from volest.simulate.scene import scene_from_dict, scene_to_dict

DISTURBANCES = {"dust", "tarp", "dirty_window", "load_moved"}


def made_and_estimated(given_scene: Scene, folder: Path) -> tuple[Simulated, Result]:
    made = simulate(given_scene)
    return made, estimator_of(made, folder).estimate(scans_of(made))


def with_noise(sensor: dict[str, Any], **noise: float) -> dict[str, Any]:
    return sensor | {"noise": noise}


@pytest.mark.parametrize("kind", ["smooth", "rough", "bags", "peaked", "flat", "none"])
def test_sound_frames_raise_no_flag(kind: str, tmp_path: Path) -> None:
    fill = 0.0 if kind == "none" else 0.95
    made, result = made_and_estimated(scene(kind, fill, TOP | {"frames": 2}), tmp_path)
    assert not DISTURBANCES & set(result.flags)
    assert result.rejected_fraction is not None
    assert result.rejected_fraction < 0.05
    assert covers(result, made)


@pytest.mark.parametrize(
    "tarp",
    [{"rise_m": -0.15}, {"rise_m": 0.15}, {"shape": "ridge", "rise_m": 0.3}, {"rise_m": -0.05, "wrinkle_m": 0.01}],
)
@pytest.mark.parametrize("sensor", [TOP, MAST], ids=["top", "mast"])
def test_a_sheet_over_the_bed_is_rejected(tarp: dict[str, Any], sensor: dict[str, Any], tmp_path: Path) -> None:
    _, result = made_and_estimated(scene("rough", 0.4, sensor, tarp=tarp), tmp_path)
    assert (result.status, result.flags, result.volume_m3) == ("rejected", ("tarp",), None)
    assert "sheet" in result.reasons[0]


@pytest.mark.parametrize("stray", [0.01, 0.05, 0.15])
def test_dust_is_left_out_and_its_share_is_told(stray: float, tmp_path: Path) -> None:
    made, result = made_and_estimated(scene("rough", 0.6, with_noise(TOP, stray=stray)), tmp_path)
    _, clean = made_and_estimated(scene("rough", 0.6, with_noise(TOP, stray=0.0)), tmp_path)
    assert covers(result, made)
    assert abs(error_of(result, made)) < 0.02
    assert result.rejected_fraction is not None
    assert clean.rejected_fraction is not None
    # Dust hangs all along the rays: some of it so near to the sensor that it is not over the bed.
    assert 0.3 * stray < result.rejected_fraction - clean.rejected_fraction < 1.5 * stray
    assert ("dust" in result.flags) == (stray == 0.15)


def test_a_storm_widens_or_rejects(tmp_path: Path) -> None:
    made, result = made_and_estimated(scene("rough", 0.6, with_noise(TOP, stray=0.5)), tmp_path)
    assert "dust" in result.flags
    assert result.status == "rejected" or (result.status == "degraded" and covers(result, made))


def test_branches_that_stick_out_are_no_load(tmp_path: Path) -> None:
    branches = {"count": 40, "length_m": 0.9, "radius_m": 0.015}
    made, result = made_and_estimated(scene("smooth", 0.6, branches=branches), tmp_path)
    bare, _ = made_and_estimated(scene("smooth", 0.6), tmp_path)
    assert made.truth["volume_m3"] == bare.truth["volume_m3"]
    assert covers(result, made)
    assert abs(error_of(result, made)) < 0.015


@pytest.mark.parametrize("near_m", [0.0, 0.25])
def test_a_dirty_window_is_told_and_the_interval_holds(near_m: float, tmp_path: Path) -> None:
    # MAST looks along its x axis onto the middle of the bed.
    spot = {"azimuth_deg": 0.0, "elevation_deg": 0.0, "width_deg": 24.0, "height_deg": 18.0, "near_m": near_m}
    made, result = made_and_estimated(scene("rough", 0.6, MAST | {"dirt": [spot]}), tmp_path)
    clean, sound = made_and_estimated(scene("rough", 0.6, MAST), tmp_path)
    assert "dirty_window" in result.flags
    assert "dirty_window" not in sound.flags
    assert result.status == "degraded"
    assert covers(result, made)
    assert covers(sound, clean)
    assert result.volume_m3 is not None
    assert sound.volume_m3 is not None
    assert result.volume_m3.std > sound.volume_m3.std


@pytest.mark.parametrize("other_fill", [0.5, 0.7])
def test_a_load_that_moved_between_frames_is_told_and_both_volumes_are_held(other_fill: float, tmp_path: Path) -> None:
    first, second = simulate(scene("rough", 0.6)), simulate(scene("rough", other_fill))
    estimator = estimator_of(first, tmp_path)
    result = estimator.estimate({"top": [made.scans["top"][0].xyz for made in (first, second)]})
    assert "load_moved" in result.flags
    assert result.status == "degraded"
    assert covers(result, first)
    assert covers(result, second)


def test_the_order_of_frames_changes_nothing(tmp_path: Path) -> None:
    made = simulate(scene("rough", 0.6, TOP | {"frames": 3}))
    estimator = estimator_of(made, tmp_path)
    frames = [cloud.xyz for cloud in made.scans["top"]]
    there, back = estimator.estimate({"top": frames}), estimator.estimate({"top": frames[::-1]})
    assert there.volume_m3 == back.volume_m3
    assert there.flags == back.flags


def test_dirt_takes_rays_and_leaves_the_reference_clean() -> None:
    spot = {"azimuth_deg": 10.0, "elevation_deg": -5.0, "width_deg": 20.0, "height_deg": 10.0}
    clean, dirty = simulate(scene("flat", 0.5, MAST)), simulate(scene("flat", 0.5, MAST | {"dirt": [spot]}))

    def within(xyz: NDArray[np.float32]) -> int:
        x, y, z = xyz.astype(float).T
        azimuth, elevation = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
        return int(np.sum(((azimuth - 10.0) / 9.9) ** 2 + ((elevation + 5.0) / 4.9) ** 2 < 1.0))

    assert within(clean.scans["mast"][0].xyz) > 100
    assert within(dirty.scans["mast"][0].xyz) == 0
    assert np.array_equal(clean.empty_scans["mast"].xyz, dirty.empty_scans["mast"].xyz)


def test_a_tarp_lies_on_what_stands_higher_and_changes_no_truth() -> None:
    bare, sheeted = simulate(scene("peaked", 1.1)), simulate(scene("peaked", 1.1, tarp={"rise_m": -0.2}))
    assert bare.truth["volume_m3"] == sheeted.truth["volume_m3"]
    x, y = np.meshgrid(np.linspace(-1.9, 1.9, 60), np.linspace(-0.9, 0.9, 40))
    assert bare.world.load is not None
    sheet = sheeted.world.fields[-1][0].at(x, y)
    assert (sheet >= bare.world.load.at(x, y)).all()
    assert (sheet > bare.world.load.at(x, y) + 0.1).any()


def test_scenes_with_clutter_survive_a_round_trip() -> None:
    cluttered = scene("flat", 0.5, MAST | {"dirt": [{"azimuth_deg": 0.0, "elevation_deg": 1.0, "width_deg": 5.0,
                                                    "height_deg": 5.0}]}, tarp={}, branches={"count": 3})  # fmt: skip
    again = scene_from_dict(scene_to_dict(cluttered))
    assert again == cluttered
    assert other(again, tarp=None) != cluttered


@given(step=st.floats(0.06, 0.5), part=st.floats(0.1, 0.9), seed=st.integers(0, 99))
def test_the_changed_part_is_the_part_that_changed(step: float, part: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0.0, 0.01, (2, 40, 60)).astype(np.float32)
    raised = np.arange(60) < 60 * part
    heights = noise + np.stack([np.zeros(60), step * raised]).astype(np.float32)[:, None, :]
    # Averages over five cells blur the step's edge.
    assert changed_fraction(heights, 0.05) == pytest.approx(raised.mean(), abs=3 / 60)
    assert changed_fraction(noise, 0.05) == 0.0
    assert changed_fraction(np.full_like(noise, np.nan), 0.05) == 0.0


@pytest.mark.parametrize("sensor", [TOP, MAST], ids=["top", "mast"])
def test_hoops_that_no_reference_shows_are_no_load(sensor: dict[str, Any], tmp_path: Path) -> None:
    """Rays pass beneath a hoop, and a load is opaque."""
    hooped = BED | {"bows": 4, "bow_rise_m": 0.6, "lean_deg": [0.2, 0.1, 0.2, 0.1]}
    made, result = made_and_estimated(scene("rough", 0.8, sensor, bed=hooped, reference=False), tmp_path)
    assert abs(error_of(result, made)) < 0.012
    assert covers(result, made)


@pytest.mark.parametrize("fill", [0.3, 0.6])
def test_walls_of_a_nominal_bed_are_taken_where_the_scan_shows_them(fill: float, tmp_path: Path) -> None:
    """4 cm longer and 3 cm wider than told: 2.5 % of the volume, if the nominal box were believed."""
    wider = BED | {"d_length_m": 0.04, "d_width_m": 0.03}
    made, result = made_and_estimated(scene("rough", fill, TOP, bed=wider, reference=False), tmp_path)
    assert abs(error_of(result, made)) < 0.01
    assert covers(result, made)
    again = estimator_of(made, tmp_path).estimate(scans_of(made))
    assert again.volume_m3 == result.volume_m3
