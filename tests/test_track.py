"""A truck's day as a ledger, against simulated truth."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_days import day_scene, entries_of, folder_of, of_kind

from volest import Estimator, Truck
from volest.cli import main
from volest.errors import InputError
from volest.io import read_points
from volest.quantity import Quantity
from volest.result import Result
from volest.simulate import simulate_day, write_day
from volest.track import Day, Tracker, Uncertain, read_ledger, track_day
from volest.track.tare import DriftingTare
from volest.track.uncertain import carried_on
from volest.truck import Scale

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from days import random_day, scored, unbalance


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The folder of a day and its truth."""
    folder = tmp_path_factory.mktemp("track") / "day"
    made = folder_of(folder, limits={"max_gross_kg": 5500.0, "max_height_m": 1.2})
    return folder, made.truth["ledger"]


@pytest.fixture(scope="module")
def entries(day):
    return entries_of(day[0])


def copied(day, tmp_path, *without):
    folder = tmp_path / "copy"
    shutil.copytree(day[0], folder)
    for name in without:
        (folder / name).unlink()
    return folder


# --- values and their errors ------------------------------------------------------------------------------------------

errors_of = st.dictionaries(st.sampled_from("abcdef"), st.floats(-10.0, 10.0), max_size=6)


@given(errors_of, errors_of, st.floats(-3.0, 3.0))
def test_errors_add_up_as_their_covariance_says(a, b, factor):
    one, other = Uncertain(1.0, a), Uncertain(2.0, b)
    rows = np.array([[e.get(name, 0.0) for name in "abcdef"] for e in (a, b)])
    twin = np.array([1.0, factor]) @ (rows @ rows.T) @ np.array([1.0, factor])
    total = one.plus(other, factor)
    assert total.value == 1.0 + factor * 2.0
    assert total.std**2 == pytest.approx(twin, abs=1e-9)
    assert one.covariance(other) == pytest.approx((rows @ rows.T)[0, 1], abs=1e-9)
    assert (one - one).std == 0.0


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_chain_of_errors_keeps_unit_variance_and_multiplies_correlations(correlations):
    chain = [{"x@0": 1.0}]
    for number, correlation in enumerate(correlations, start=1):
        chain.append(carried_on(chain[-1], correlation, f"x@{number}"))
    values = [Uncertain(0.0, errors) for errors in chain]
    assert [value.std for value in values] == pytest.approx([1.0] * len(values))
    assert values[0].covariance(values[-1]) == pytest.approx(math.prod(correlations), abs=5e-3)


# --- a day ------------------------------------------------------------------------------------------------------------


def test_every_stop_and_tip_is_in_the_ledger(day, entries):
    kinds = [entry.kind for entry in entries]
    assert kinds == ["start"] + ["settle", "load"] * 3 + ["settle", "tip", "adjust", "settle", "stand"]
    for entry in of_kind(entries, "load") + of_kind(entries, "tip"):
        (true,) = (t for t in day[1] if t["kind"] == entry.kind and abs(t["end_s"] - entry.end_s) < 10.0)
        assert abs(entry.volume_m3.value - true["volume_m3"]) < 4.0 * entry.volume_m3.std
        assert abs(entry.mass_kg.value - true["mass_kg"]) < 4.0 * entry.mass_kg.std
    (tip,) = of_kind(entries, "tip")
    assert tip.carry_back_m3.lower95 - 0.05 < day[1][-2]["carry_back_m3"] < tip.carry_back_m3.upper95 + 0.05
    assert not any("time_skew" in entry.flags for entry in entries)


def test_ledger_adds_up_in_values_and_in_uncertainty(entries):
    assert unbalance(entries) < 1e-9
    total = sum((e.volume_m3 for e in entries if e.volume_m3), Uncertain(0.0))
    assert total.std < 0.6 * math.sqrt(sum(e.volume_m3.std**2 for e in entries if e.volume_m3))
    assert total.value == pytest.approx(entries[-1].on_truck_m3.value, abs=1e-9)


def test_written_ledger_adds_up_without_volest(day, entries, tmp_path):
    assert main(["track", str(day[0]), "-o", str(tmp_path / "ledger.jsonl")]) == 0
    records = [json.loads(line)["entry"] for line in (tmp_path / "ledger.jsonl").read_text().splitlines()[1:]]
    for name, errors, there in (
        ("volume_m3", "volume_errors_m3", "on_truck_m3"),
        ("mass_kg", "mass_errors_kg", "on_truck_kg"),
    ):
        value, sources = 0.0, {}
        for record in records:
            if record[name] is not None:
                value += record[name]["value"]
                for source, c in record[errors].items():
                    sources[source] = sources.get(source, 0.0) + c
            assert value == pytest.approx(record[there]["value"], abs=1e-9)
            assert math.sqrt(sum(c * c for c in sources.values())) == pytest.approx(record[there]["std"], abs=1e-9)
    assert [record["id"] for record in records] == [entry.id for entry in entries]


def test_increments_hold_the_truth_and_are_tighter_than_if_their_ends_were_independent():
    days = [scored(simulate_day(random_day(seed))) for seed in range(7000, 7005)]
    rows = [s for d in days for s in d.scores if s.name in ("load volume", "settle volume", "tip volume")]
    covered = np.mean([s.covered for s in rows])
    assert len(rows) > 60
    slack = 2.0 * math.sqrt(0.05 * 0.95 / len(rows))
    assert 0.92 - slack <= covered <= min(0.98 + slack, 1.0), covered
    assert np.mean([s.std for s in rows]) < 0.75 * np.mean([s.alone for s in rows])
    masses = [s.covered for d in days for s in d.scores if s.name == "load mass"]
    assert np.mean(masses) >= 0.85
    assert sum(d.missing + d.invented for d in days) == 0
    assert max(d.unbalanced for d in days) < 1e-9


def test_overload_and_height_are_told_where_they_come_about(day, entries):
    heavy = [entry for entry in of_kind(entries, "load") if "overload" in entry.flags]
    true = [t for t in day[1] if t["kind"] == "load" and t["on_truck_kg"] + t["tare_kg"] > 5500.0]
    assert [round(e.end_s, -2) for e in heavy] == [round(t["end_s"], -2) for t in true]
    high = [entry for entry in entries if "over_height" in entry.flags]
    assert all(entry.height_m > 1.2 for entry in high)
    assert high
    assert not any({"overload", "over_height"} & set(entry.flags) for entry in entries[-3:])


def test_overhang_is_told(day):
    tracker = Tracker(Day.load(day[0]).truck, estimator=_Hanging())
    tracker.position(0.0, 1.0, 2.0, 0.0)
    tracker.scan(5.0, {})
    tracker.position(20.0, 1.0, 2.0, 0.0)
    (entry,) = tracker.finish()
    assert "overhang" in entry.flags
    assert entry.place == (1.0, 2.0)


class _Hanging:
    def estimate(self, _):
        volume = Quantity.normal(9.0, 0.1)
        return Result(
            "KT", "ok", ("overhang",), volume_m3=volume, volume_budget_m3={"hidden": 0.1}, struck_capacity_m3=9
        )


# --- live, in part, out of order --------------------------------------------------------------------------------------


def test_live_events_give_the_same_entries_as_files(day, entries):
    whole = Day.load(day[0])
    tracker, found = Tracker(whole.truck, estimator=Estimator(whole.truck)), []
    rows = [(row[0], 0, row) for row in whole.positions.tolist()] + [(row[0], 1, row) for row in whole.weight.tolist()]
    rows += [(scan.time_s, 2, scan) for scan in whole.scans]
    for time_s, stream, what in sorted(rows, key=lambda event: event[:2]):
        if stream == 2:
            found += tracker.scan(time_s, {what.sensor: read_points(what.path).xyz})
        else:
            found += tracker.position(*what) if stream == 0 else tracker.weight(*what)
    found += tracker.finish()
    assert [entry.to_dict() for entry in found] == [entry.to_dict() for entry in entries]


def test_without_weights_volumes_stay_and_masses_are_not_known(day, entries, tmp_path):
    found = entries_of(copied(day, tmp_path, "weight.csv"))
    loads = of_kind(found, "load")
    assert [e.volume_m3 for e in loads] == [e.volume_m3 for e in of_kind(entries, "load")]
    assert all(e.mass_kg is None and e.on_truck_kg is None for e in found)
    assert all("weight_missing" in e.flags and "time_skew" not in e.flags for e in loads)


def test_without_positions_each_scan_is_a_halt(day, entries, tmp_path):
    found = entries_of(copied(day, tmp_path, "gps.csv"))
    assert len(of_kind(found, "load")) == 3
    assert len(of_kind(found, "tip")) == 1
    for one, other in zip(of_kind(found, "load"), of_kind(entries, "load"), strict=True):
        assert one.volume_m3.value == pytest.approx(other.volume_m3.value, abs=0.05)
        assert one.mass_kg.value == pytest.approx(other.mass_kg.value, abs=15.0)
    assert unbalance(found) < 1e-9


def test_scan_that_cannot_be_read_is_told_and_the_ledger_goes_on(day, tmp_path):
    folder = copied(day, tmp_path)
    rows = list(csv.DictReader((folder / "scans.csv").read_text().splitlines()))
    (folder / rows[4]["path"]).write_bytes(b"no scan")  # on leaving the second stop
    found = entries_of(folder)
    told = [entry for entry in found if "unreadable" in entry.flags]
    assert len(told) == 1
    assert any(rows[4]["path"] in reason for reason in told[0].reasons)
    assert unbalance(found) < 1e-9
    true = {t["end_s"]: t for t in day[1]}
    assert found[-1].on_truck_m3.value == pytest.approx(true[max(true)]["on_truck_m3"], abs=0.15)


def test_load_without_a_scan_is_told_by_its_mass_and_its_volume_comes_later(day, entries, tmp_path):
    folder = copied(day, tmp_path)
    lines = (folder / "scans.csv").read_text().splitlines(keepends=True)
    (folder / "scans.csv").write_text("".join(lines[:4] + lines[6:]))  # the second stop's two scans
    found = entries_of(folder)
    loads = of_kind(found, "load")
    assert len(loads) == 3
    assert loads[1].volume_m3 is None
    assert loads[1].on_truck_m3 is None
    assert loads[1].mass_kg.value == pytest.approx(of_kind(entries, "load")[1].mass_kg.value, abs=1.0)
    later = next(e for e in found[found.index(loads[1]) :] if e.kind == "adjust")
    assert later.volume_m3.value == pytest.approx(of_kind(entries, "load")[1].volume_m3.value, abs=0.3)
    assert unbalance(found) < 1e-9


def test_load_that_was_not_weighed_has_no_mass_and_the_next_weight_makes_up_for_it(day, entries, tmp_path):
    folder, loads = copied(day, tmp_path), of_kind(entries, "load")
    lines = (folder / "weight.csv").read_text().splitlines(keepends=True)
    kept = [line for line in lines[1:] if not loads[1].begin_s - 5.0 < float(line.split(",")[0]) < loads[1].end_s + 5.0]
    (folder / "weight.csv").write_text("".join([lines[0], *kept]))
    found = entries_of(folder)
    second, third = of_kind(found, "load")[1:]
    assert second.mass_kg is None
    assert second.on_truck_kg is None
    assert {"time_skew", "weight_missing"} <= set(second.flags) | set(found[found.index(second) - 1].flags)
    assert second.volume_m3 == loads[1].volume_m3
    assert third.mass_kg is None
    both = next(entry for entry in of_kind(found, "adjust") if entry.end_s == third.end_s)
    assert both.mass_kg.value == pytest.approx(loads[1].mass_kg.value + loads[2].mass_kg.value, abs=1e-6)
    assert third.on_truck_kg == loads[2].on_truck_kg
    assert unbalance(found) < 1e-9


@pytest.mark.parametrize("ahead_s", [-300.0, 300.0])
def test_clock_of_the_scale_that_is_off_is_told(tmp_path, ahead_s):
    folder_of(tmp_path / "day", route={"weight_clock_s": ahead_s, "leg_km": [0.4, 0.8]})
    assert any("time_skew" in entry.flags for entry in entries_of(tmp_path / "day"))


def test_weights_of_another_day_are_told(day, tmp_path):
    folder = copied(day, tmp_path)
    lines = (folder / "weight.csv").read_text().splitlines()
    shifted = [f"{float(t) + 86_400.0},{kg}" for t, kg in (line.split(",") for line in lines[1:])]
    (folder / "weight.csv").write_text("\n".join(["time_s,gross_kg", *shifted]))
    found = entries_of(folder)
    assert all(entry.mass_kg is None for entry in found)
    assert len(of_kind(found, "load")) == 3


def test_event_out_of_order_is_left_out_and_told(day):
    tracker = Tracker(Day.load(day[0]).truck, estimator=_Hanging())
    tracker.position(100.0, 1.0, 2.0, 0.0)
    tracker.scan(110.0, {})
    assert tracker.scan(50.0, {}) == []
    (entry,) = tracker.finish()
    assert "time_skew" in entry.flags
    assert "a scan of 50.0 s came after one of 110.0 s" in entry.reasons[0]
    with pytest.raises(InputError, match="time_s: found nan"):
        tracker.weight(math.nan, 1.0)


def test_tracker_goes_on_from_a_ledger(day, entries):
    whole = Day.load(day[0])
    cut = next(k for k, entry in enumerate(entries) if entry.kind == "load") + 3  # after the second load
    first = [entry.to_dict() for entry in entries[:cut]]
    tracker, found = Tracker(whole.truck, ledger=first), []
    for _, happen in whole.events():
        found += happen(tracker)
    found += tracker.finish()
    assert [entry.kind for entry in found] == [entry.kind for entry in entries[cut:]]
    for one, other in zip(found, entries[cut:], strict=True):
        assert one.end_s == other.end_s
        assert one.on_truck_m3.value == pytest.approx(other.on_truck_m3.value, abs=1e-9)
        assert one.on_truck_kg.value == pytest.approx(other.on_truck_kg.value, abs=1e-6)


times, numbers = st.floats(0.0, 2000.0), st.floats(-1e3, 1e5)
happenings = st.one_of(
    st.tuples(st.just("position"), times, st.sampled_from([0.0, 0.1, 9.0, math.nan])),
    st.tuples(st.just("weight"), times, st.one_of(numbers, st.floats(4000.0, 9000.0), st.just(math.nan))),
    st.tuples(st.just("scan"), times, st.one_of(st.none(), st.floats(0.0, 12.0))),
)


@given(st.lists(happenings, max_size=60), st.booleans())
def test_whatever_happens_ends_in_a_ledger_that_adds_up(events, in_order):
    bed = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.3}
    scale = {"tare_kg": 4300.0, "tare_std_kg": 10.0}
    truck = Truck.from_dict({"schema": 1, "id": "KT", "bed": bed, "scale": scale})
    tracker, found = Tracker(truck, estimator=_Told()), []
    for kind, time_s, what in sorted(events, key=lambda event: event[1]) if in_order else events:
        if kind == "position":
            found += tracker.position(time_s, 1.0, 2.0, what)
        else:
            found += tracker.weight(time_s, what) if kind == "weight" else tracker.scan(time_s, what)
    found += tracker.finish()
    assert unbalance(found) < 1e-6
    assert len({entry.id for entry in found}) == len(found)
    for entry in found:
        json.dumps(entry.to_dict(), allow_nan=False)


class _Told:
    """An estimator that believes what it is told."""

    def estimate(self, volume_m3):
        if volume_m3 is None:
            return Result("KT", "rejected", ("dust",), reasons=("too much",))
        budget = {"hidden": 0.05, "pose": 0.02, "reference": 0.02}
        volume = Quantity.normal(volume_m3, math.hypot(*budget.values()), low=0.0)
        return Result("KT", "ok", volume_m3=volume, volume_budget_m3=budget, struck_capacity_m3=10.4)


# --- tare -------------------------------------------------------------------------------------------------------------


def test_tare_is_drawn_to_the_empty_state_and_wanders_in_between():
    tare = DriftingTare(Scale(tare_kg=4000.0, tare_std_kg=40.0))
    assert tare.at(0.0).value == 4000.0
    later = tare.at(3600.0)
    assert later.std > 40.0
    tare.emptied(3600.0, Uncertain(4080.0, {"reading@3600": 4.0, "carry_back@3600": 3.0}))
    after = tare.at(3600.0)
    assert 4075.0 < after.value < 4080.0
    assert after.std == pytest.approx((later.std**-2 + 5.0**-2) ** -0.5)  # precisions add
    assert tare.at(7200.0).std > after.std


def test_wrong_tare_of_the_truck_file_is_found_at_the_tip(tmp_path):
    made = folder_of(tmp_path / "day", weight={"tare_kg": 4500.0, "tare_std_kg": 60.0, "rate_hz": 10.0}, seed=12)
    found = entries_of(tmp_path / "day")
    true = made.truth["ledger"][-2]["tare_kg"]
    (adjust,) = of_kind(found, "adjust")
    before = of_kind(found, "tip")[0].tare_kg
    assert abs(adjust.tare_kg.value - true) < 3.0 * adjust.tare_kg.std
    assert adjust.tare_kg.std < 0.5 * before.std


def test_another_tare_model_can_be_plugged_in(day):
    whole = Day.load(day[0])
    tracker, found = Tracker(whole.truck, tare=_Fixed()), []
    for _, happen in whole.events():
        found += happen(tracker)
    assert {entry.tare_kg.value for entry in found} == {4400.0}
    assert unbalance(found) < 1e-9


class _Fixed:
    def at(self, _):
        return Uncertain(4400.0, {"own": 1.0})

    def emptied(self, time_s, empty_kg):
        pass


# --- files and the command line ---------------------------------------------------------------------------------------


def test_command_writes_prints_and_draws_and_a_second_run_adds_nothing(day, entries, tmp_path, capsys):
    ledger, picture = tmp_path / "ledger.jsonl", tmp_path / "day.png"
    assert main(["track", str(day[0]), "-o", str(ledger), "--picture", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert shown.count(" load ") == 3
    assert f"{len(entries)} new entries, 0 were there" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    before = ledger.read_bytes()
    assert main(["track", str(day[0]), "-o", str(ledger), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [entry.id for entry in entries]
    assert ledger.read_bytes() == before
    assert [e["id"] for e in read_ledger(ledger)] == [entry.id for entry in entries]
    ledger.write_bytes(before[: 2 * len(before) // 3])  # as a power cut leaves it
    assert main(["track", str(day[0]), "-o", str(ledger)]) == 0
    assert ledger.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "scans.csv",
            "time_s,sensor\n",
            "scans.csv: line 1: found 'time_s,sensor', expected the columns time_s,sensor",
        ),
        ("scans.csv", "time_s,sensor,path\n1,top,../../etc/passwd\n", r"line 2: path: found .*expected a file inside"),
        ("scans.csv", "time_s,sensor,path\n1,top,/etc/passwd\n", r"line 2: path: found .*expected a file inside"),
        ("scans.csv", "time_s,sensor,path\n1,top,a\0b\n", r"scans.csv"),
        ("scans.csv", "time_s,sensor,path\nnan,top,a.npz\n", "line 2: time_s: found 'nan', expected seconds"),
        ("scans.csv", "time_s,sensor,path\n1,rear,a.npz\n", "line 2: sensor: found 'rear', expected top"),
        ("scans.csv", "time_s,sensor,path\n1,top\n", "line 2: found 2 columns, expected 3"),
        ("gps.csv", "time_s,lat,lon,speed_m_s\n1,2,x,4\n", "gps.csv: line 2: lon: found 'x', expected a number"),
        ("weight.log", "", r"found weight.csv, weight.log, expected the weights in one file"),
    ],
)
def test_day_that_cannot_be_used_names_file_line_and_what_was_expected(day, tmp_path, name, content, message):
    folder = copied(day, tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=message):
        Day.load(folder)


def test_missing_folder_is_an_error_of_usage(tmp_path, capsys):
    assert main(["track", str(tmp_path / "none"), "-o", str(tmp_path / "l.jsonl")]) == 2
    assert "truck.toml: cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "l.jsonl").exists()


def test_limits_of_the_truck_file_go_through_a_document():
    bed = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.0}
    truck = Truck.from_dict({"schema": 1, "id": "KT", "bed": bed, "limits": {"max_height_m": 2.0}})
    assert truck.to_dict()["limits"] == {"max_height_m": 2.0}
    with pytest.raises(InputError, match=r"limits.max_gross_kg: found -1, expected kilograms, above 0"):
        Truck.from_dict({"schema": 1, "id": "KT", "bed": bed, "limits": {"max_gross_kg": -1}})


def test_day_without_a_single_scan_has_no_volumes(day, tmp_path):
    folder = copied(day, tmp_path)
    (folder / "scans.csv").write_text("time_s,sensor,path\n")
    found = list(track_day(Day.load(folder)))
    assert all(entry.volume_m3 is None for entry in found)


def test_scans_while_driving_and_loading_change_nothing_of_the_kinds(tmp_path):
    made = simulate_day(day_scene(route={"scans_while_loading": 2, "scans_while_driving": 1, "leg_km": [0.4, 0.8]}))
    write_day(made, tmp_path / "day")
    found = entries_of(tmp_path / "day")
    assert len(of_kind(found, "load")) == 3
    assert len(of_kind(found, "tip")) == 1
