"""Weights from CSV files, raw load cells, slope and temperature, and the [scale] table that tells of them."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volest import MissingExtraError, Truck, TruckError, WeightError
from volest.scale import CanScale, Cell, IndicatorScale, Scale
from volest.weighing import WeightSeries, read_weights
from volest.weighing.cells import STUCK_SAMPLES, gross_of_cells
from volest.weighing.corrections import corrected
from volest.weight import gross_mass

SCALE = Scale(tare_kg=4300.0, resolution_kg=5.0)
CELLS = (
    Cell(id="front", zero_counts=1000.0, kg_per_count=0.5, max_counts=20_000.0, min_counts=-20_000.0),
    Cell(id="rear", zero_counts=-500.0, kg_per_count=0.25, temperature_kg_per_c=2.0),
)
WITH_CELLS = Scale(tare_kg=4300.0, cell=CELLS)


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_file_is_read_by_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "w.csv", "\ufeffaxle, gross_kg ,time_s\n1,5000.5,0\n2,,0.05\n\n3,nan,\n4,5001,0.15\n")
    series = read_weights(path, SCALE)
    np.testing.assert_array_equal(series.time_s, [0.0, 0.05, np.nan, 0.15])
    np.testing.assert_array_equal(series.gross_kg, [5000.5, np.nan, np.nan, 5001.0])
    assert (series.stable, series.speed_m_s, series.pitch_rad, series.temperature_c) == (None, None, None, None)


def test_what_stands_beside_the_weights_is_read(tmp_path: Path) -> None:
    header = "time_s,gross_kg,pitch_deg,roll_deg,speed_m_s,temperature_c\n"
    series = read_weights(write(tmp_path / "w.csv", f"{header}0,5000,3,-2,1.5,31\n1,5000,,,,\n"), SCALE)
    assert series.pitch_rad is not None
    assert series.roll_rad is not None
    np.testing.assert_allclose(np.degrees(series.pitch_rad), [3.0, np.nan])
    np.testing.assert_allclose(np.degrees(series.roll_rad), [-2.0, np.nan])
    np.testing.assert_array_equal(series.speed_m_s, [1.5, np.nan])
    np.testing.assert_array_equal(series.temperature_c, [31.0, np.nan])
    with pytest.raises(WeightError, match="line 1: found"):
        read_weights(write(tmp_path / "w.csv", "time_s,gross_kg,pitch_deg,pitch_deg\n"), SCALE)


def test_can_log_without_its_packages_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    path = write(tmp_path / "w.log", "(1.0) can0 123#00\n")
    with pytest.raises(MissingExtraError, match=r"a CAN log needs the extra \[server\]"):
        gross_mass(path, SCALE)


# --- load cells -------------------------------------------------------------------------------------------------------


def test_raw_counts_are_summed_to_the_gross_mass(tmp_path: Path) -> None:
    path = write(tmp_path / "w.csv", "time_s,rear,front\n0,7500,5000\n1,7500,\n2,7540,5020\n")
    series = read_weights(path, WITH_CELLS)
    np.testing.assert_allclose(series.gross_kg, [4000.0, np.nan, 4020.0])
    assert series.notes[0] == "gross mass: sum of 2 load cells (front, rear)"
    assert any("the cells' temperature is not corrected" in note for note in series.notes)


def test_file_without_a_cell_names_it(tmp_path: Path) -> None:
    with pytest.raises(WeightError, match="expected a header with the columns time_s,front,rear"):
        read_weights(write(tmp_path / "w.csv", "time_s,front\n0,1\n"), WITH_CELLS)
    plain = read_weights(write(tmp_path / "w.csv", "time_s,gross_kg\n0,5000\n"), WITH_CELLS)
    np.testing.assert_array_equal(plain.gross_kg, [5000.0])


@pytest.mark.parametrize("counts", [20_000.0, 8_388_607.0, -20_000.0])
def test_saturated_cell_is_refused_and_told(counts: float) -> None:
    front = np.array([5000.0, counts, 5000.0])
    gross_kg, notes = gross_of_cells({"front": front, "rear": np.full(3, 7500.0)}, None, WITH_CELLS)
    np.testing.assert_array_equal(gross_kg, [4000.0, np.nan, 4000.0])
    assert "load cell front: at the end of its range in 1 of 3 samples, refused" in notes


def test_stuck_cell_is_refused_and_told() -> None:
    rng = np.random.default_rng(1)
    rear = 7500.0 + np.round(rng.normal(0.0, 20.0, 200))
    front = 5000.0 + np.round(rng.normal(0.0, 20.0, 200))
    front[60 : 60 + STUCK_SAMPLES] = 5011.0
    gross_kg, notes = gross_of_cells({"front": front, "rear": rear}, None, WITH_CELLS)
    assert np.flatnonzero(np.isnan(gross_kg)).tolist() == list(range(60, 60 + STUCK_SAMPLES))
    assert any(note.startswith("load cell front: stuck while others move in 50 of 200") for note in notes)


def test_still_truck_is_not_stuck() -> None:
    still = {"front": np.full(300, 5000.0), "rear": np.full(300, 7500.0)}
    assert np.isfinite(gross_of_cells(still, None, WITH_CELLS)[0]).all()


def test_drift_of_one_cell_with_temperature_is_taken_off() -> None:
    counts = {"front": np.full(2, 5000.0), "rear": np.full(2, 7500.0)}
    gross_kg, _ = gross_of_cells(counts, np.array([20.0, 35.0]), WITH_CELLS)
    np.testing.assert_allclose(gross_kg, [4000.0, 4000.0 - 2.0 * 15.0])


@given(st.lists(st.floats(0.0, 10_000.0), min_size=2, max_size=2), st.floats(0.001, 10.0), st.floats(-1e6, 1e6))
def test_counts_of_known_masses_give_those_masses(kg: list[float], kg_per_count: float, zero: float) -> None:
    cells = tuple(Cell(id=name, zero_counts=zero, kg_per_count=kg_per_count) for name in "ab")
    counts = {cell.id: np.array([zero + mass / kg_per_count]) for cell, mass in zip(cells, kg, strict=True)}
    gross_kg, _ = gross_of_cells(counts, None, Scale(tare_kg=0.0, cell=cells))
    assert gross_kg[0] == pytest.approx(sum(kg), abs=1e-5)


# --- corrections ------------------------------------------------------------------------------------------------------


def series(**columns: Any) -> WeightSeries:
    return WeightSeries(np.arange(3.0), np.full(3, 6000.0), **{k: np.array(v) for k, v in columns.items()})


@given(st.floats(-29.0, 29.0), st.floats(-29.0, 29.0))
def test_slope_gives_back_the_mass_that_stands_on_it(pitch_deg: float, roll_deg: float) -> None:
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    seen = WeightSeries(
        np.zeros(1),
        np.array([6000.0 * math.cos(pitch) * math.cos(roll)]),
        pitch_rad=np.array([pitch]),
        roll_rad=np.array([roll]),
    )
    assert corrected(seen, Scale(tare_kg=0.0, slope_correction=True)).gross_kg[0] == pytest.approx(6000.0)
    assert corrected(seen, SCALE).gross_kg[0] == seen.gross_kg[0]


def test_unknown_slope_changes_nothing_and_an_absurd_one_refuses() -> None:
    found = corrected(series(pitch_rad=[np.nan, 0.1, 1.2]), Scale(tare_kg=0.0, slope_correction=True))
    np.testing.assert_allclose(found.gross_kg, [6000.0, 6000.0 / math.cos(0.1), np.nan])
    assert "slope_correction: pitch not known in 1 of 3 samples" in found.notes
    assert "slope_correction: pitch beyond 30 degrees in 1 samples, refused" in found.notes
    blind = corrected(series(), Scale(tare_kg=0.0, slope_correction=True))
    np.testing.assert_array_equal(blind.gross_kg, [6000.0] * 3)
    assert "not corrected" in blind.notes[0]


def test_temperature_is_taken_off() -> None:
    warm = Scale(tare_kg=0.0, temperature_kg_per_c=1.5, reference_temperature_c=25.0)
    found = corrected(series(temperature_c=[25.0, 35.0, np.nan]), warm)
    np.testing.assert_allclose(found.gross_kg, [6000.0, 5985.0, 6000.0])
    assert "temperature_kg_per_c: not known in 1 of 3 samples" in found.notes
    assert "not corrected" in corrected(series(), warm).notes[0]


# --- the [scale] table ------------------------------------------------------------------------------------------------

BED = {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}
TOLD: dict[str, Any] = {
    "tare_kg": 4310.0,
    "tare_std_kg": 15.0,
    "gain_std": 0.005,
    "resolution_kg": 5.0,
    "slope_correction": True,
    "temperature_kg_per_c": 0.5,
    "reference_temperature_c": 25.0,
    "can": {"dbc": "own.dbc", "signal": ["A.b", "A.c"], "quantity": "net", "source_address": 3, "axles": 3},
    "indicator": {"format": "own", "file": "own.toml", "rate_hz": 5.0, "tare_kg": 12.0},
    "cell": [
        {
            "id": "front",
            "zero_counts": 10.0,
            "kg_per_count": 0.5,
            "max_counts": 1e6,
            "min_counts": -1e6,
            "temperature_kg_per_c": 0.1,
        }
    ],
}


def truck(scale: dict[str, Any], folder: Path = Path("trucks")) -> Truck:
    return Truck.from_dict({"schema": 1, "id": "KT-1", "bed": BED, "scale": scale}, folder)


def test_scale_table_makes_the_round_trip() -> None:
    first = truck(TOLD)
    assert first.scale is not None
    assert first.to_dict()["scale"] == TOLD
    assert truck(first.to_dict()["scale"]).scale == first.scale
    assert first.scale.files == (Path("trucks/own.dbc"), Path("trucks/own.toml"))


def test_scale_that_tells_a_tare_alone_stays_short() -> None:
    table = truck({"tare_kg": 4310}).to_dict()["scale"]
    assert table.keys().isdisjoint({"can", "indicator", "cell"})
    assert Scale(tare_kg=1.0, can=CanScale(), indicator=IndicatorScale(format="tfo3")).files == ()


CELL = {"id": "front", "zero_counts": 0, "kg_per_count": 1}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"slope_correction": 1}, "scale.slope_correction: found 1, expected true or false"),
        ({"temperature_kg_per_c": math.nan}, "scale.temperature_kg_per_c: found nan"),
        ({"can": {"signals": "axles"}}, "scale.can.signals: unknown key, expected signal perhaps"),
        ({"can": {"signal": "axels"}}, "scale.can.signal: found 'axels', expected one of auto, axles"),
        ({"can": {"signal": ["axles", "cargo"]}}, "scale.can.signal"),
        ({"can": {"dbc": "a.dbc"}}, "scale.can.signal: found 'auto', expected MESSAGE.SIGNAL"),
        ({"can": {"dbc": "a.dbc", "signal": [".b"]}}, "expected MESSAGE.SIGNAL"),
        ({"can": {"source_address": 254}}, "scale.can.source_address: found 254, expected a J1939 address, 0 to 253"),
        ({"can": {"quantity": "brutto"}}, 'scale.can.quantity: found \'brutto\', expected "gross" or "net"'),
        ({"indicator": {}}, "scale.indicator.format: missing"),
        (
            {"indicator": {"format": "tfo3", "rate_hz": 0}},
            "scale.indicator.rate_hz: found 0, expected lines per second",
        ),
        ({"cell": {}}, "scale.cell: found a table, expected an array of tables"),
        ({"cell": [{"id": "a b", "zero_counts": 0, "kg_per_count": 1}]}, "scale.cell[0].id"),
        ({"cell": [CELL, CELL]}, "scale.cell[1].id: found 'front', which names another column"),
        ({"cell": [CELL | {"id": "time_s"}]}, "scale.cell[0].id: found 'time_s'"),
        ({"cell": [CELL | {"kg_per_count": 0}]}, "scale.cell[0].kg_per_count: found 0"),
        (
            {"cell": [CELL | {"min_counts": 5, "max_counts": 5}]},
            "scale.cell[0].min_counts: found 5, expected less than",
        ),
        ({"cell": [{"id": "front"}]}, "scale.cell[0].zero_counts: missing, expected counts"),
    ],
)
def test_scale_table_that_is_wrong_names_the_key(told: dict[str, Any], words: str) -> None:
    with pytest.raises(TruckError) as caught:
        truck({"tare_kg": 4310.0} | told)
    assert words in str(caught.value)
