"""Weighbridge tickets: the file, whose each is, and what they make of a truck's scale."""

from __future__ import annotations

import json
import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volest import WeightError
from volest.tickets import Pair, Ticket, WeighedLoad, match_tickets, read_tickets
from volest.truck import Scale
from volest.weighbridge import ScaleCalibration, Weighbridge, _line, calibrate

SCALE = Scale(tare_kg=4300.0, tare_std_kg=15.0, gain_std=0.01, resolution_kg=5.0)
BRIDGE = Weighbridge(d_kg=10.0)


# --- the file ---------------------------------------------------------------------------------------------------------


def read(tmp_path: Path, text: str) -> list[Ticket]:
    path = tmp_path / "tickets.csv"
    path.write_text(text, "utf-8", newline="")
    return read_tickets(path)


def test_file_is_read_by_its_header(tmp_path: Path) -> None:
    text = "\ufeffnet_kg, plate ,gate,time\r\n2210,kt-8123 AB,3,2026-03-01T08:30:00+07:00\r\n\r\n"
    text += "1990.5,X1,,2026-03-01t01:30:00.5z\r\n"
    assert read(tmp_path, text) == [
        Ticket("KT8123AB", 1772328600.0, 2210.0, 2),
        Ticket("X1", 1772328600.5, 1990.5, 4),
    ]


ROW = "KT-8123-AB,2026-03-01T08:30:00+07:00,2210"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "line 1: found '', expected a header with the columns plate,time,net_kg"),
        ("plate,time,net_t\n", "line 1: found 'plate,time,net_t'"),
        ("plate,time,net_kg,time\n", "line 1"),
        ("plate,time,net_kg\nKT,2026-03-01T08:30:00+07:00\n", "line 2: found 2 columns, expected 3"),
        ("plate,time,net_kg\n,2026-03-01T08:30:00Z,5\n", "line 2: plate: found ''"),
        ("plate,time,net_kg\nA\x07B,2026-03-01T08:30:00Z,5\n", "line 2: plate"),
        ("plate,time,net_kg\nKT,2026-03-01T08:30:00,5\n", "line 2: time: found '2026-03-01T08:30:00', expected a time"),
        ("plate,time,net_kg\nKT,2026-03-01,5\n", "line 2: time"),
        ("plate,time,net_kg\nKT,2026-13-01T08:30:00Z,5\n", "line 2: time"),
        ("plate,time,net_kg\nKT,2026-03-01T25:30:00Z,5\n", "line 2: time"),
        ("plate,time,net_kg\nKT,0001-01-01T00:00:00+23:59,5\n", "line 2: time"),
        ("plate,time,net_kg\nKT,1772328600,5\n", "line 2: time"),
        (f"plate,time,net_kg\n{ROW}\nKT,2026-03-01T08:30:00Z,nan\n", "line 3: net_kg: found 'nan', expected kilograms"),
        ("plate,time,net_kg\nKT,2026-03-01T08:30:00Z,-5\n", "line 2: net_kg"),
        ("plate,time,net_kg\nKT,2026-03-01T08:30:00Z,0\n", "line 2: net_kg"),
        ("plate,time,net_kg\nKT,2026-03-01T08:30:00Z,1_000\n", "line 2: net_kg"),
        ('plate,time,net_kg\nKT,2026-03-01T08:30:00Z,"1,5"\n', "line 2: net_kg"),
        ("plate,time,net_kg\nKT,2026-03-01T08:30:00Z,2e9\n", "line 2: net_kg"),
        ('plate,time,net_kg\n"KT,2026-03-01T08:30:00Z,5\n', "cannot be read"),
        ("plate,time,net_kg\n" + "A" * 20_000, "line 2: found 20000 characters"),
    ],
)
def test_malformed_file_names_line_and_column(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(WeightError) as caught:
        read(tmp_path, content)
    assert words in str(caught.value)
    assert "tickets.csv" in str(caught.value)


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_bytes(b"plate,time,net_kg\n\xff\xfe\n")
    for path in (tmp_path, tmp_path / "none.csv", tmp_path / "tickets.csv"):
        with pytest.raises(WeightError, match="expected a CSV file"):
            read_tickets(path)


# --- matching ---------------------------------------------------------------------------------------------------------


def load(name: str, time_s: float, net_kg: float = 2000.0, plate: str = "A1") -> WeighedLoad:
    return WeighedLoad(name, plate, time_s, net_kg, 12.0)


def test_nearest_in_time_of_the_same_plate() -> None:
    tickets = [Ticket("A1", 1000.0, 2010.0, 2), Ticket("A1", 9000.0, 1500.0, 3), Ticket("B1", 1000.0, 900.0, 4)]
    loads = [load("x", 1200.0), load("y", 8800.0), load("z", 1000.0, plate="C1")]
    matching = match_tickets(tickets, loads)
    assert [(pair.ticket.line, pair.load.load_id, pair.clear) for pair in matching.pairs] == [
        (2, "x", True),
        (3, "y", True),
    ]
    assert [ticket.line for ticket in matching.lone_tickets] == [4]
    assert [each.load_id for each in matching.lone_loads] == ["z"]
    assert matching.conflicts == ()


def test_spelling_of_the_plate_does_not_matter() -> None:
    (pair,) = match_tickets([Ticket("kt 8123-ab", 0.0, 2000.0)], [load("x", 10.0, plate="KT-8123-AB")]).pairs
    assert pair.clear


def test_two_loads_near_one_ticket_are_told() -> None:
    matching = match_tickets([Ticket("A1", 1000.0, 2010.0, 7)], [load("x", 900.0), load("y", 1500.0)])
    assert [pair.load.load_id for pair in matching.pairs] == ["x"]
    assert matching.clear == ()
    assert "line 7" in matching.conflicts[0]


def test_ticket_printed_twice_counts_once() -> None:
    matching = match_tickets([Ticket("A1", 1000.0, 2010.0, 2), Ticket("A1", 1000.0, 2010.0, 3)], [load("x", 900.0)])
    assert [pair.ticket.line for pair in matching.clear] == [2]
    assert "lines 2, 3" in matching.conflicts[0]


def test_two_masses_at_one_time_count_not_at_all() -> None:
    matching = match_tickets([Ticket("A1", 1000.0, 2010.0, 2), Ticket("A1", 1000.0, 3010.0, 3)], [load("x", 900.0)])
    assert matching.pairs == ()
    assert [ticket.line for ticket in matching.lone_tickets] == [2, 3]


def test_endless_crowd_is_refused() -> None:
    tickets = [Ticket("A1", float(second), 2000.0, second) for second in range(3000)]
    with pytest.raises(WeightError, match="found 3000 tickets and loads of A1"):
        match_tickets(tickets, [])


@given(
    tickets=st.lists(st.integers(0, 60), max_size=5, unique=True),
    loads=st.lists(st.integers(0, 60), max_size=5, unique=True),
)
def test_matching_is_the_best_of_all(tickets: list[int], loads: list[int]) -> None:
    """As many pairs as can be, then the least time between them."""
    window = 15.0
    made = match_tickets(
        [Ticket("A1", float(t), 2000.0, t) for t in tickets], [load(str(t), float(t)) for t in loads], window_s=window
    )
    few, many = sorted((tickets, loads), key=len)
    apart = [
        [abs(a - b) for a, b in zip(few, order, strict=True) if abs(a - b) <= window]
        for order in permutations(many, len(few))
    ]
    best = min(((-len(each), sum(each)) for each in apart), default=(0, 0))
    found = [abs(pair.ticket.time_s - pair.load.time_s) for pair in made.pairs]
    assert (-len(found), sum(found)) == best
    assert (
        len({pair.ticket.line for pair in made.pairs}) == len({pair.load.load_id for pair in made.pairs}) == len(found)
    )


# --- calibration ------------------------------------------------------------------------------------------------------


def pairs(
    rng: np.random.Generator, count: int, gain: float = 1.0, offset_kg: float = 0.0, bridge_kg: float = 0.0
) -> list[Pair]:
    """Loads whose scale shows (true - offset) / gain, and tickets of a weighbridge that errs by `bridge_kg`."""
    true = rng.uniform(800.0, 5000.0, count)
    net = (true - offset_kg) / gain + rng.normal(0.0, 12.0, count)
    gross, tare = true + 4300.0, 4300.0 + rng.uniform(-50.0, 50.0)
    shown = np.round((gross + tare - 4300.0) / 10.0) * 10.0 - np.round(tare / 10.0) * 10.0 + bridge_kg
    return [
        Pair(Ticket("A1", 1e9 + 7200.0 * i, float(t), i + 2), load(str(i), 1e9 + 7200.0 * i, float(x)))
        for i, (t, x) in enumerate(zip(shown, net, strict=True))
    ]


def test_line_is_that_of_york() -> None:
    """Pearson's data with York's weights; the line, its stds and chi-square of York et al. 2004 and IsoplotR."""
    x = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
    y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
    x_weight = np.array([1e3, 1e3, 5e2, 8e2, 2e2, 8e1, 6e1, 2e1, 1.8, 1.0])
    y_weight = np.array([1.0, 1.8, 4.0, 8.0, 20.0, 20.0, 70.0, 70.0, 1e2, 5e2])
    fit = _line(x, y, x_weight**-0.5, y_weight**-0.5)
    assert (fit.offset, fit.gain) == (pytest.approx(5.47991, abs=1e-5), pytest.approx(-0.480533, abs=1e-6))
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx([0.294971, 0.057985], abs=2e-6)
    assert fit.chi_square == pytest.approx(11.8663, abs=1e-3)


def test_gain_without_an_offset_is_a_closed_form() -> None:
    """All stds alike in proportion and no offset: the ratio through the origin."""
    fit = _line(np.array([1.0, 2.0, 3.0]), np.array([1.1, 2.2, 3.3]), np.full(3, 0.1), np.full(3, 0.1), 0.0)
    assert (fit.offset, fit.gain) == (pytest.approx(0.0, abs=1e-8), pytest.approx(1.1))


def test_gain_and_offset_are_found() -> None:
    told = calibrate(pairs(np.random.default_rng(1), 200, 1.03, 25.0), SCALE, BRIDGE, offset_std_kg=math.inf)
    assert abs(told.gain - 1.03) < 1.96 * told.gain_std
    assert abs(told.offset_kg - 25.0) < 3.0 * told.offset_std_kg
    assert not told.compatible
    assert told.new_gain_std < SCALE.gain_std


def test_apply_undoes_what_the_scale_has_wrong() -> None:
    told = calibrate(pairs(np.random.default_rng(2), 100, 0.95), SCALE, BRIDGE)
    kg, std = told.apply(3000.0 / 0.95, 12.0)
    assert kg == pytest.approx(3000.0, abs=3.0 * std)
    assert 12.0 * 0.95 < std < 20.0


def test_mad_tickets_are_left_out_and_named() -> None:
    made = pairs(np.random.default_rng(3), 40, 1.02)
    for i in (5, 17, 30):
        made[i] = Pair(
            Ticket("A1", made[i].ticket.time_s, made[i].ticket.net_kg + 700.0, made[i].ticket.line), made[i].load
        )
    told, sound = (
        calibrate(made, SCALE, BRIDGE),
        calibrate([p for i, p in enumerate(made) if i not in (5, 17, 30)], SCALE, BRIDGE),
    )
    assert told.outliers == (7, 19, 32)
    assert told.gain == pytest.approx(sound.gain)


def test_budget_adds_up_and_knows_the_weighbridge() -> None:
    made = pairs(np.random.default_rng(4), 50)
    fine, coarse = (calibrate(made, SCALE, Weighbridge(d)) for d in (10.0, 100.0))
    for told in (fine, coarse):
        assert sum(std**2 for std in told.budget.values()) == pytest.approx(told.new_gain_std**2)
        _, std = told.apply(told.mean_net_kg, 0.0)
        assert std / told.mean_net_kg == pytest.approx(told.new_gain_std, rel=0.02)
    assert fine.budget["reference"] == pytest.approx(10.0 / math.sqrt(3.0) / fine.mean_net_kg)
    assert coarse.new_gain_std > SCALE.gain_std
    assert coarse.scale(SCALE) == SCALE
    assert fine.scale(SCALE).gain_std == fine.new_gain_std < SCALE.gain_std


def test_scatter_beyond_what_is_stated_widens_the_result() -> None:
    made = pairs(np.random.default_rng(5), 60)
    bold = [Pair(p.ticket, WeighedLoad(p.load.load_id, "A1", p.load.time_s, p.load.net_kg, 1.0)) for p in made]
    told = calibrate(bold, SCALE, Weighbridge(1.0))
    assert told.scatter_ratio > 3.0
    assert told.budget["unexplained"] > 3.0 * told.budget["readings"]


@pytest.mark.parametrize(
    ("net_kg", "mpe_kg"), [(0.0, 20.0), (10_000.0, 20.0), (10_001.0, 40.0), (40_000.0, 40.0), (60_000.0, 60.0)]
)
def test_permissible_errors_are_those_of_class_iii_in_service(net_kg: float, mpe_kg: float) -> None:
    assert Weighbridge(d_kg=10.0, e_kg=20.0).mpe_kg(net_kg) == mpe_kg


def test_traceability_can_be_kept() -> None:
    told = calibrate(pairs(np.random.default_rng(6), 20), SCALE, BRIDGE)
    document = json.loads(json.dumps(told.to_dict(), allow_nan=False))
    assert document["first_time"] == "2001-09-09T01:46:40Z"
    assert document["tickets"] == 20
    assert document["weighbridge"] == {"d_kg": 10.0, "e_kg": None}
    lower, upper = document["gain_interval95"]
    assert lower < told.gain < upper


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_tickets_are_refused(count: int) -> None:
    with pytest.raises(WeightError, match="expected at least 3"):
        calibrate(pairs(np.random.default_rng(7), count), SCALE, BRIDGE)


def test_numbers_that_no_load_has_are_refused() -> None:
    made = pairs(np.random.default_rng(8), 5)
    with pytest.raises(WeightError, match="load x: found"):
        calibrate([*made, Pair(made[0].ticket, load("x", 0.0, math.nan))], SCALE, BRIDGE)
    with pytest.raises(WeightError, match="expected intervals above 0"):
        calibrate(made, SCALE, Weighbridge(0.0))
    with pytest.raises(WeightError, match="ticket of line 9: found time 1e"):
        match_tickets([Ticket("A1", 1e300, 2000.0, 9)], [])


def test_intervals_hold_the_truth() -> None:
    """Gain and corrected mass, over scales, tares and weighbridges that err as they may."""
    rng = np.random.default_rng(9)
    gains, masses = [], []
    for _ in range(300):
        gain, offset = 1.0 + rng.normal(0.0, 0.01), rng.normal(0.0, 15.0)
        shift = rng.uniform(-1.0, 1.0) * BRIDGE.mpe_kg(3000.0)
        told = calibrate(pairs(rng, int(rng.integers(5, 60)), gain, offset, shift), SCALE, BRIDGE)
        assert isinstance(told, ScaleCalibration)
        gains.append((told.gain - gain) / told.gain_std)
        true = rng.uniform(1000.0, 5000.0)
        kg, std = told.apply((true - offset) / gain + rng.normal(0.0, 12.0), 12.0)
        masses.append((kg - true) / std)
    assert 0.92 <= np.mean(np.abs(gains) <= 1.96) <= 0.995  # a rectangle is shorter than its normal
    assert 0.92 <= np.mean(np.abs(masses) <= 1.96) <= 0.985
