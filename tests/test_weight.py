"""The gross mass from readings and from series that bounce, spike, drop out and drift."""

from __future__ import annotations

import json
import math
from pathlib import Path
from time import perf_counter

import numpy as np
import oracle_weight
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from volest import Truck, WeightError, _core
from volest.truck import Scale
from volest.weight import GrossMass, gross_mass, net_mass, settle

SCALE = Scale(tare_kg=4300.0, tare_std_kg=15.0, gain_std=0.005, resolution_kg=5.0)
Array = NDArray[np.float64]


def bouncing(rng: np.random.Generator, gross_kg: float, duration_s: float = 20.0) -> tuple[Array, Array]:
    """A truck that comes to rest on its springs, read at 20 Hz in steps of 5 kg."""
    time_s = np.arange(0.0, duration_s, 0.05)
    frequency, decay = rng.uniform(1.0, 3.0), rng.uniform(3.0, 30.0)
    bounce = rng.uniform(10, 120) * np.exp(-time_s / decay) * np.sin(2 * np.pi * frequency * time_s + rng.uniform(0, 6))
    kg = gross_kg + bounce + rng.normal(0.0, 3.0, time_s.shape)
    return time_s, 5.0 * np.round(kg / 5.0)


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WeightError) as caught:
        gross_mass(path, SCALE)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- one reading ------------------------------------------------------------------------------------------------------


def test_one_reading_is_as_good_as_its_resolution() -> None:
    assert gross_mass(6520.0, SCALE) == GrossMass(6520.0, 5.0 / math.sqrt(12.0))


@pytest.mark.parametrize("kg", [0.0, -1.0, 200_000.0, 1e9, math.nan, math.inf, -math.inf])
def test_absurd_reading_is_refused(kg: float) -> None:
    with pytest.raises(WeightError, match="gross weight: found"):
        gross_mass(kg, SCALE)


def test_net_mass_adds_the_errors_of_reading_tare_and_gain() -> None:
    net = net_mass(GrossMass(6300.0, 8.0), SCALE)
    assert net is not None
    assert net[0] == 2000.0
    assert net[1] == pytest.approx(math.sqrt(8.0**2 + 15.0**2 + (0.005 * 2000.0) ** 2))
    assert net_mass(GrossMass(None), SCALE) is None


# --- a series ---------------------------------------------------------------------------------------------------------


def test_still_series_is_its_value() -> None:
    gross = settle(np.arange(35) / 10.0, np.full(35, 5000.0), 5.0)
    assert gross.kg == pytest.approx(5000.0)
    assert gross.flags == ()
    assert gross.std_kg == pytest.approx(5.0 / math.sqrt(12.0))


def test_interval_holds_the_level_of_a_bouncing_truck() -> None:
    rng = np.random.default_rng(1)
    errors, stds, flags = [], [], 0
    for _ in range(300):
        level_kg = 6000.0 + rng.uniform(-2, 2)
        gross = settle(*bouncing(rng, level_kg), 5.0)
        assert gross.kg is not None
        errors.append(gross.kg - level_kg)
        stds.append(gross.std_kg)
        flags += bool(gross.flags)
    z = np.abs(errors) / np.array(stds)
    assert 0.92 <= (z < 1.96).mean() <= 0.995
    assert np.max(np.abs(errors)) < 12.0
    assert np.median(stds) < 1.0
    assert flags <= 3


def test_spikes_zeros_and_gaps_do_not_move_the_level() -> None:
    rng = np.random.default_rng(2)
    time_s, kg = bouncing(rng, 6000.0)
    sound = settle(time_s, kg, 5.0)
    spoiled = kg.copy()
    spoiled[[40, 90, 91, 300]] = [0.0, 12_000.0, -400.0, 190_000.0]
    spoiled[150:170] = np.nan
    kept = np.ones(len(kg), dtype=bool)
    kept[200:260] = False
    other = settle(time_s[kept], spoiled[kept], 5.0)
    assert sound.kg is not None
    assert other.kg == pytest.approx(sound.kg, abs=4.0)
    assert other.flags == ()


@given(st.permutations(range(60)))
def test_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    time_s, kg = bouncing(np.random.default_rng(3), 6000.0, 3.0)
    mixed, sorted_ = settle(time_s[order], kg[order], 5.0), settle(time_s, kg, 5.0)
    assert (mixed.kg, mixed.std_kg) == (sorted_.kg, sorted_.std_kg)


def test_samples_that_come_late_by_less_than_a_second_do_not_matter() -> None:
    time_s, kg = bouncing(np.random.default_rng(3), 6000.0)
    order = np.argsort(time_s + np.random.default_rng(4).uniform(0.0, 0.9, len(time_s)))
    assert settle(time_s[order], kg[order], 5.0) == settle(time_s, kg, 5.0)


def test_clock_that_jumps_back_is_told_and_does_not_matter() -> None:
    time_s, kg = bouncing(np.random.default_rng(4), 6000.0)
    skewed = time_s.copy()
    skewed[200:] -= 947.0
    gross = settle(skewed, kg, 5.0)
    assert gross.kg == pytest.approx(6000.0, abs=8.0)
    assert gross.flags == ("weight_unstable",)
    assert gross.reasons == ("the clock of the weight series goes back",)


@pytest.mark.parametrize("change", ["jump", "drift"])
def test_level_that_moves_is_unstable_and_wide(change: str) -> None:
    time_s, kg = bouncing(np.random.default_rng(5), 6000.0)
    kg = kg + (np.where(time_s > 9.0, 150.0, 0.0) if change == "jump" else 7.5 * time_s)
    gross = settle(time_s, kg, 5.0)
    assert gross.flags == ("weight_unstable",)
    assert "drifts or jumps" in gross.reasons[0]
    assert gross.kg is not None
    assert abs(gross.kg - 6000.0) < 1.96 * gross.std_kg
    assert abs(gross.kg - 6150.0) < 2.5 * gross.std_kg


def test_drift_below_the_resolution_is_no_matter() -> None:
    time_s = np.arange(0.0, 20.0, 0.05)
    assert settle(time_s, np.where(time_s > 10.0, 5005.0, 5000.0), 10.0).flags == ()


def test_mostly_lost_series_is_unstable() -> None:
    time_s, kg = bouncing(np.random.default_rng(6), 6000.0)
    kg[np.arange(len(kg)) % 10 < 7] = 0.0
    gross = settle(time_s, kg, 5.0)
    assert gross.flags == ("weight_unstable",)
    assert gross.kg == pytest.approx(6000.0, abs=10.0)


def test_reading_that_never_changes_may_be_stuck() -> None:
    gross = settle(np.arange(400) / 20.0, np.full(400, 7310.0), 5.0)
    assert gross.flags == ("weight_unstable",)
    assert "stuck" in gross.reasons[0]


def test_reading_that_coarse_steps_hold_still_is_not_stuck() -> None:
    assert settle(np.arange(400) / 20.0, np.full(400, 7300.0), 50.0).flags == ()


def test_reading_held_amid_a_bounce_is_dropped() -> None:
    time_s = np.arange(0.0, 20.0, 0.05)
    kg = 5.0 * np.round((6000.0 + 200.0 * np.sin(2 * np.pi * 1.3 * time_s)) / 5.0)
    held = np.where((time_s > 5.0) & (time_s < 9.0), kg[105], kg)
    assert abs(kg[105] - 6000.0) > 100.0
    gross = settle(time_s, held, 5.0)
    assert gross.kg == pytest.approx(6000.0, abs=5.0)
    assert gross.flags == ()


def test_reading_cut_off_at_full_scale_is_told() -> None:
    time_s = np.arange(0.0, 20.0, 0.05)
    kg = np.minimum(6000.0 + 200.0 * np.sin(2 * np.pi * 1.3 * time_s), 6000.0)
    gross = settle(time_s, 5.0 * np.round(kg / 5.0), 5.0)
    assert gross.flags == ("weight_unstable",)
    assert any("full scale" in reason for reason in gross.reasons)


def test_truck_is_weighed_where_it_stands() -> None:
    time_s, kg = bouncing(np.random.default_rng(8), 6000.0)
    speed = np.where(time_s < 8.0, -3.0, 0.0)
    speed[200] = np.nan
    driven = np.where(time_s < 8.0, kg + 900.0 * np.sin(time_s), kg)
    gross = settle(time_s, driven, 5.0, speed)
    assert gross.kg == pytest.approx(6000.0, abs=5.0)
    assert gross.flags == ()
    assert settle(time_s, driven, 5.0).flags == ("weight_unstable",)


def test_truck_that_never_stands_has_no_mass() -> None:
    time_s, kg = bouncing(np.random.default_rng(8), 6000.0)
    gross = settle(time_s, kg, 5.0, np.full_like(kg, 4.0))
    assert (gross.kg, gross.flags) == (None, ("weight_missing",))
    assert "the truck moves in each sample of the weight" in gross.reasons


@pytest.mark.parametrize("samples", [1, 2, 15])
def test_series_shorter_than_a_bounce_is_unsure(samples: int) -> None:
    gross = settle(np.arange(samples) * 0.05, np.full(samples, 6000.0), 5.0)
    assert gross.flags == ("weight_unstable",)
    assert "shorter than a bounce" in gross.reasons[0]
    assert gross.std_kg > 15.0


def disturbed(rng: np.random.Generator) -> tuple[Array, Array, float, NDArray[np.bool_] | None]:
    """A series of whose troubles each is there or not."""
    time_s, kg = bouncing(rng, 6000.0, rng.uniform(0.1, 40.0))
    there = rng.random(9) < 0.3
    kg = kg + 300.0 * there[0] * (time_s > rng.uniform(0.0, 20.0)) + 40.0 * there[1] * time_s
    kg[rng.random(len(kg)) < 0.05 * there[2]] = 9000.0
    kg[rng.random(len(kg)) < 0.6 * there[3]] = rng.choice([np.nan, 0.0, -3.0, 1e9])
    start, length = rng.integers(0, len(kg), 2)
    kg[start : start + length * there[4]] = kg[start]
    kg = np.minimum(kg, np.nanmedian(kg) + 20.0) if there[5] else kg
    time_s[start:] -= 50.0 * there[6]
    kept = rng.random(len(kg)) < (0.3 if there[7] else 1.0)
    kept[start] = True
    moving = rng.random(len(kg)) < 0.2
    return time_s[kept], kg[kept], float(rng.choice([0.0, 1.0, 5.0, 20.0])), moving[kept] if there[8] else None


def test_core_agrees_with_its_slow_twin() -> None:
    rng = np.random.default_rng(9)
    seen = 0
    for _ in range(300):
        series = disturbed(rng)
        fast, slow = _core.settle(*series), oracle_weight.settle(*series)
        np.testing.assert_allclose(fast[:3], slow[:3], rtol=1e-7, atol=1e-5)
        assert fast[3:] == slow[3:]
        seen |= fast[5]
    assert bin(seen).count("1") >= 7


def test_many_series_at_once_are_as_each_by_itself() -> None:
    rng = np.random.default_rng(10)
    series = [bouncing(rng, 6000.0, duration_s) for duration_s in (20.0, 0.05, 3.0, 0.0, 45.0)]
    offsets = np.cumsum([0, *(len(kg) for _, kg in series)])
    time_s, kg = (np.concatenate(columns) for columns in zip(*series, strict=True))
    moving = rng.random(len(kg)) < 0.2
    many = np.array(_core.settle_many(time_s, kg, offsets, 5.0, moving)).T
    for row, start, end in zip(many, offsets, offsets[1:], strict=False):
        mass, std, drift, used, _, flags = _core.settle(time_s[start:end], kg[start:end], 5.0, moving[start:end])
        assert tuple(row) == (mass, std, drift, used, flags)


@pytest.mark.parametrize("offsets", [[], [0, 5, 3, 10], [0, 11], [-1, 10], [[0, 10]]])
def test_offsets_outside_of_the_series_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets: expected"):
        _core.settle_many(np.arange(10.0), np.full(10, 5000.0), np.array(offsets, dtype=np.int64), 5.0)


def test_series_of_unlike_lengths_are_refused() -> None:
    time_s, kg = np.arange(10.0), np.full(10, 5000.0)
    for wrong in ((time_s[:9], kg), (time_s, kg, np.zeros(9, dtype=bool)), (time_s[:, None], kg[:, None])):
        with pytest.raises(ValueError, match="expected as many times, masses and marks of motion"):
            _core.settle(*wrong[:2], 5.0, *wrong[2:])


@pytest.mark.parametrize("kg", [[], [math.nan] * 30, [0.0] * 30, [-5.0, 1e9]])
def test_series_without_a_sample_is_missing(kg: list[float]) -> None:
    gross = settle(np.arange(len(kg), dtype=float), np.array(kg), 5.0)
    assert (gross.kg, gross.flags) == (None, ("weight_missing",))


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=40), st.sampled_from([0.0, 5.0]))
def test_any_series_gives_a_finite_mass_or_none(rows: list[tuple[float, float]], resolution_kg: float) -> None:
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    gross = settle(table[:, 0], table[:, 1], resolution_kg)
    if gross.kg is None:
        assert gross.flags == ("weight_missing",)
    else:
        assert 0.0 < gross.kg < 200_000.0
        assert 0.0 <= gross.std_kg < 200_000.0


def test_quarter_of_a_million_rows_take_little_time() -> None:
    rng = np.random.default_rng(7)
    time_s = np.arange(250_000) * 0.1
    started = perf_counter()
    gross = settle(time_s, 6000.0 + rng.normal(0, 5, len(time_s)), 5.0)
    assert perf_counter() - started < 2.0
    assert gross.kg == pytest.approx(6000.0, abs=0.5)


# --- a file -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "line 1: found '', expected a header with the columns time_s,gross_kg"),
        ("0,5000\n", "line 1: found '0,5000'"),
        ("time_s,gross_t\n", "line 1: found 'time_s,gross_t'"),
        ("time_s,gross_kg,gross_kg\n", "line 1"),
        ("time_s;gross_kg\n0;5\n", "line 1"),
        ("time_s,gross_kg\n0,5000\n1,5 t\n", "line 3: gross_kg: found '5 t', expected a number"),
        ("time_s,gross_kg\n12:00,5000\n", "line 2: time_s: found '12:00'"),
        ("time_s,gross_kg\n0,5000,5\n", "line 2: found 3 columns, expected 2"),
        ('time_s,gross_kg\n0,"5000\n', "cannot be read"),
    ],
)
def test_malformed_file_names_its_line(tmp_path: Path, content: str, words: str) -> None:
    assert words in refusal(write(tmp_path / "w.csv", content))


def test_header_alone_is_a_missing_weight(tmp_path: Path) -> None:
    assert gross_mass(write(tmp_path / "w.csv", "time_s,gross_kg\n"), SCALE).flags == ("weight_missing",)


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes(b"time_s,gross_kg\n\xff\xfe,\x00\n")
    assert "cannot be read" in refusal(path)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "w.csv")
    assert "not a file" in refusal(tmp_path)


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    with path.open("wb") as file:
        file.truncate(60_000_000)
    assert "found 60000000 bytes" in refusal(path)


def test_net_masses_of_the_cases_are_within_their_uncertainty(cases: Path) -> None:
    z = []
    for folder in sorted(path.parent for path in cases.glob("[0-9]*/weight.csv")):
        truck = Truck.load(folder / "truck.toml")
        assert truck.scale is not None
        net = net_mass(gross_mass(folder / "weight.csv", truck.scale), truck.scale)
        truth = json.loads((folder / "truth.json").read_text())["truth"]["net_mass_kg"]
        assert net is not None
        z.append((net[0] - truth) / net[1])
    assert len(z) >= 15
    assert np.sqrt(np.mean(np.square(z))) < 1.5
    assert np.max(np.abs(z)) < 3.5


def test_a_reading_that_an_indicator_calls_stable_may_stand_still() -> None:
    time_s, gross_kg = np.arange(100) / 10.0, np.full(100, 6_240.0)
    assert settle(time_s, gross_kg, 5.0).flags == ("weight_unstable",)
    steady = settle(time_s, gross_kg, 5.0, filtered=True)
    assert (steady.kg, steady.flags, steady.reasons) == (6_240.0, (), ())
