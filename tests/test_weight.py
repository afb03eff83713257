"""The gross mass from readings and from series that bounce, spike, drop out and drift."""

from __future__ import annotations

import json
import math
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from volest import Truck, WeightError
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
    gross = settle(np.arange(100) / 10.0, np.full(100, 5000.0), 5.0)
    assert gross.kg == pytest.approx(5000.0)
    assert gross.flags == ()
    assert gross.std_kg < 5.0


def test_interval_holds_the_level_of_a_bouncing_truck() -> None:
    rng = np.random.default_rng(1)
    errors, stds, flags = [], [], 0
    for _ in range(300):
        gross = settle(*bouncing(rng, 6000.0 + rng.uniform(-2, 2)), 5.0)
        assert gross.kg is not None
        errors.append(gross.kg - 6000.0)
        stds.append(gross.std_kg)
        flags += bool(gross.flags)
    z = np.abs(errors) / np.array(stds)
    assert (z < 1.96).mean() >= 0.95
    assert np.max(np.abs(errors)) < 12.0
    assert np.median(stds) < 5.0
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
    assert settle(time_s[order], kg[order], 5.0) == settle(time_s, kg, 5.0)


def test_clock_that_jumps_back_does_not_matter() -> None:
    time_s, kg = bouncing(np.random.default_rng(4), 6000.0)
    skewed = time_s.copy()
    skewed[200:] -= 947.0
    gross = settle(skewed, kg, 5.0)
    assert gross.kg == pytest.approx(6000.0, abs=8.0)


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
