"""Simulated days of a truck, and their truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from simulated_days import BED, TOP, day_scene, folder_of

from volest.errors import SceneError
from volest.simulate import run, simulate_day
from volest.simulate.bedshape import BedShape
from volest.simulate.cargo import Cargo
from volest.simulate.dayscene import StopScene, load_day
from volest.truck import Truck

SMALL = [{**TOP, "rows": 8, "columns": 64}]


@pytest.fixture(scope="module")
def made():
    return simulate_day(day_scene(sensor=SMALL))


def cargo_of(seed=1):
    scene = day_scene(sensor=SMALL)
    return Cargo(scene, BedShape(scene.bed), np.random.default_rng(seed))


def test_same_document_gives_the_same_day(made):
    again = simulate_day(day_scene(sensor=SMALL))
    assert again.truth == made.truth
    np.testing.assert_array_equal(again.weight, made.weight)
    np.testing.assert_array_equal(again.positions, made.positions)
    for one, other in zip(made.scans, again.scans, strict=True):
        assert (one.time_s, one.sensor) == (other.time_s, other.sensor)
        np.testing.assert_array_equal(one.cloud.xyz, other.cloud.xyz)


def test_another_sensor_sees_the_same_loads(made):
    other = simulate_day(day_scene(sensor=[{**SMALL[0], "columns": 48}]))
    assert other.truth["ledger"] == made.truth["ledger"]


def test_true_ledger_adds_up(made):
    volume = mass = 0.0
    for entry in made.truth["ledger"]:
        volume, mass = volume + entry["volume_m3"], mass + entry["mass_kg"]
        assert volume == pytest.approx(entry["on_truck_m3"], abs=1e-9)
        assert mass == pytest.approx(entry["on_truck_kg"], abs=1e-9)
        if entry["kind"] == "settle":
            assert entry["mass_kg"] == 0.0
            assert entry["volume_m3"] <= 0.0
    kinds = [entry["kind"] for entry in made.truth["ledger"]]
    assert kinds == ["settle", "load"] * 3 + ["settle", "tip", "settle"]


@pytest.mark.parametrize("kind", ["heap", "bags", "spread"])
def test_heap_lies_on_what_was_there_and_has_the_told_volume(kind):
    cargo = cargo_of()
    cargo.add(StopScene(kind="heap", x_m=-0.8, y_m=0.2), 1.5)
    before, volume, mass = cargo.surface(), cargo.volume_m3, cargo.mass_kg
    thirds = cargo.add(StopScene(kind=kind, wet_mass_fraction=1.0), 1.2)
    lower = before.z_m
    for surface in thirds:
        assert np.nanmin(np.where(np.isfinite(lower), surface.z_m - lower, np.nan)) >= 0.0
        lower = surface.z_m
    assert cargo.volume_m3 - volume == pytest.approx(1.2, rel=0.02)
    assert cargo.wet_kg >= cargo.mass_kg - mass


def test_settling_sinks_the_volume_by_its_share_and_keeps_the_mass():
    cargo = cargo_of()
    cargo.add(StopScene(), 3.0)
    volume, mass = cargo.volume_m3, cargo.mass_kg
    cargo.settle(0.1)
    assert cargo.volume_m3 == pytest.approx(0.9 * volume, rel=2e-3)
    assert cargo.mass_kg == mass


def test_tip_leaves_carry_back_and_nothing_else():
    cargo = cargo_of()
    cargo.add(StopScene(), 5.0)
    cargo.tip(0.02)
    assert cargo.volume_m3 == pytest.approx(0.02 * cargo.struck_m3, rel=0.15)
    cargo.tip(0.0)
    assert cargo.surface() is None
    assert (cargo.volume_m3, cargo.mass_kg) == (0.0, 0.0)


def test_heap_that_does_not_fit_is_an_error():
    with pytest.raises(SceneError, match=r"stop: found 40.00 m3 to add, expected at most the \d+\.\d+ that fit"):
        cargo_of().add(StopScene(), 40.0)


def test_weights_tell_what_is_on_the_truck():
    quiet = {"gain_std": 0.0, "tare_std_kg": 0.0, "drift_kg": 0.0, "spike_rate": 0.0, "rate_hz": 10.0}
    made = simulate_day(day_scene(sensor=SMALL, weight=quiet))
    loads = [entry for entry in made.truth["ledger"] if entry["kind"] == "load"]
    for entry in loads:
        time, gross = made.weight.T
        leaving = np.median(gross[(time > entry["end_s"] - 10.0) & (time < entry["end_s"])])
        assert leaving == pytest.approx(entry["on_truck_kg"] + entry["tare_kg"], abs=5.0)
        # While they throw in, the crew is off.
        just_before = np.median(gross[(time > entry["begin_s"] + 18.0) & (time < entry["begin_s"] + 30.0)])
        arrived = np.median(gross[(time > entry["begin_s"] + 5.0) & (time < entry["begin_s"] + 14.0)])
        assert arrived - just_before == pytest.approx(140.0, abs=8.0)
    tares = [entry["tare_kg"] for entry in made.truth["ledger"]]
    assert tares == sorted(tares, reverse=True)  # fuel


def test_positions_stand_at_stops_and_move_between(made):
    time, _, _, speed = made.positions.T
    for entry in made.truth["ledger"]:
        within = (time > entry["begin_s"] + 1.0) & (time < entry["end_s"] - 1.0)
        assert (speed[within] < 0.6).all() == (entry["kind"] != "settle")


def test_scans_while_loading_and_driving():
    made = simulate_day(day_scene(sensor=SMALL, route={"scans_while_loading": 2, "scans_while_driving": 1}))
    ledger = made.truth["ledger"]
    halts = [entry for entry in ledger if entry["kind"] in ("load", "tip")]
    counts = [sum(e["begin_s"] < s.time_s < e["end_s"] for s in made.scans) for e in halts]
    assert counts == [4, 4, 4, 2]
    legs = [entry for entry in ledger if entry["kind"] == "settle"]
    assert [sum(e["begin_s"] < s.time_s < e["end_s"] for s in made.scans) for e in legs] == [1] * 5


def test_folder_holds_all_that_track_needs(tmp_path):
    made = folder_of(tmp_path / "day", sensor=SMALL, limits={"max_gross_kg": 7000.0})
    truck = Truck.load(tmp_path / "day" / "truck.toml")
    assert truck.limits.max_gross_kg == 7000.0
    assert truck.limits.max_height_m is None
    case = json.loads((tmp_path / "day" / "truth.json").read_text())
    assert case["kind"] == "day"
    assert case["command"] == ["track", ".", "-o", "ledger.jsonl"]
    assert len(case["truth"]["ledger"]) == len(made.truth["ledger"])
    rows = (tmp_path / "day" / "scans.csv").read_text().splitlines()
    assert rows[0] == "time_s,sensor,path"
    assert len(rows) == len(made.scans) + 1
    assert all((tmp_path / "day" / row.split(",")[2]).is_file() for row in rows[1:])


def test_recipe_of_a_day_is_sound():
    scene = load_day(Path(__file__).parents[1] / "datasets" / "recipes" / "day-two-trips.toml")
    assert len(scene.trip) == 2
    assert scene.trip[1].stop[0].volume_m3 == 1.2


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("[route]\nlegs_km = [1, 2]", r"day.toml: route.legs_km: unknown key; did you mean 'leg_km'"),
        ("[route]\nleg_km = [2.0, 1.0]", r"route.leg_km: found 2 to 1, expected the lesser first"),
        ("[[trip]]\nstops = 0", r"day.toml: .*trip"),
        ("[[trip]]\n[[trip.stop]]\nvolume_m3 = nan", r"day.toml: trip\[0\].stop\[0\].volume_m3: found nan"),
        ("[[trip]]\n[[trip.stop]]\nvolume_m3 = 60.0", r"day.toml: stop: found 60.00 m3 to add"),
    ],
)
def test_document_that_cannot_be_used_names_its_key(tmp_path, rest, message):
    bed = "\n".join(f"{key} = {value}" for key, value in BED.items())
    sensor = 'id = "top"\nrows = 4\ncolumns = 16\npose = { xyz_m = [0.0, 0.0, 4.0], rpy_deg = [0.0, 89.0, 0.0] }'
    trip = "" if "[[trip]]" in rest else "\n[[trip]]\nstops = 1"
    (tmp_path / "day.toml").write_text(f'kind = "day"\n[bed]\n{bed}\n[[sensor]]\n{sensor}\n{rest}{trip}\n')
    with pytest.raises(SceneError, match=message):
        run(tmp_path / "day.toml", tmp_path / "out")
