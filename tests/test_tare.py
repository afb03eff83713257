"""The tare as it is tracked: steady, walking, jumping; carry-back told from drift; kept over a restart."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volest import Truck, WeightError
from volest.tare import TareTracker
from volest.truck import Scale, WasteProfile

SCALE = Scale(tare_kg=4300.0, tare_std_kg=15.0, gain_std=0.01, resolution_kg=5.0)
WASTE = Truck.from_dict({"schema": 1, "id": "A", "bed": {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}}).waste
HOUR_S = 3600.0


def tracker(**options: Any) -> TareTracker:
    return TareTracker(SCALE, WASTE, **options)


def settled() -> TareTracker:
    """After a morning of clean empty states at 4300 kg."""
    made = tracker()
    for number in range(6):
        made.empty(number * HOUR_S, 4300.0, 4.0, 0.0, 0.03)
    return made


def test_the_truck_file_is_where_it_begins() -> None:
    tare = tracker().tare(0.0)
    assert (tare.value, tare.std) == (4300.0, 15.0)


def test_between_readings_the_variance_grows_with_time() -> None:
    made = settled()
    now, later = made.tare(5 * HOUR_S), made.tare(9 * HOUR_S)
    assert later.std**2 - now.std**2 == pytest.approx(4 * 10.0**2)
    assert made.tare() == now


def test_one_reading_is_weighted_as_a_closed_form_has_it() -> None:
    made = TareTracker(SCALE, WASTE, bed_std_m3=0.0)
    tare = made.empty(0.0, 4320.0, 5.0, 0.0, 0.0).tare_kg
    gain = 15.0**2 / (15.0**2 + 5.0**2)
    assert tare.value == pytest.approx(4300.0 + 20.0 * gain, abs=1e-6)
    assert tare.std == pytest.approx(math.sqrt(15.0**2 * (1.0 - gain)), rel=1e-6)


def test_what_the_lidar_sees_left_is_carry_back() -> None:
    made = settled()
    before = made.tare()
    told = made.empty(6 * HOUR_S, 4360.0, 4.0, 0.2, 0.03)
    assert told.causes == ("carry_back",)
    assert told.carry_back_kg.lower95 < 60.0 < told.carry_back_kg.upper95
    assert abs(told.tare_kg.value - before.value) < 10.0


def test_the_same_mass_over_a_clean_bed_is_the_tare() -> None:
    made = settled()
    told = made.empty(12 * HOUR_S, 4360.0, 4.0, 0.0, 0.03)
    assert told.causes == ("tare_drift",)
    assert told.tare_kg.value == pytest.approx(4355.0, abs=5.0)
    assert told.carry_back_kg.lower95 == 0.0


def test_one_mad_reading_does_not_move_it_but_is_not_forgotten() -> None:
    made = settled()
    before = made.tare()
    told = made.empty(6 * HOUR_S, 5300.0, 4.0, 0.0, 0.03)
    assert told.causes == ("doubtful",)
    assert made.in_doubt
    assert told.tare_kg.value == before.value
    assert told.tare_kg.upper95 > 5300.0  # it may have been the first after a jump
    calm = made.empty(7 * HOUR_S, 4302.0, 4.0, 0.0, 0.03).tare_kg
    assert calm.value == pytest.approx(4301.0, abs=3.0)
    assert calm.std < 10.0


def test_two_that_agree_are_a_jump() -> None:
    made = settled()
    made.empty(6 * HOUR_S, 4420.0, 4.0, 0.0, 0.03)
    told = made.empty(7 * HOUR_S, 4425.0, 4.0, 0.0, 0.03)
    assert told.causes == ("tare_jump",)
    assert told.tare_kg.value == pytest.approx(4424.0, abs=5.0)
    assert told.tare_kg.std < 10.0


def test_two_that_do_not_agree_are_none() -> None:
    made = settled()
    made.empty(6 * HOUR_S, 5300.0, 4.0, 0.0, 0.03)
    told = made.empty(7 * HOUR_S, 3300.0, 4.0, 0.0, 0.03)
    assert told.causes == ("doubtful",)
    assert told.tare_kg.value == pytest.approx(4300.0, abs=5.0)


def test_a_clock_that_jumps_by_years_leaves_the_gate_shut() -> None:
    made = settled()
    assert made.tare(20 * 365 * 24 * HOUR_S).std <= 300.0 + 1e-9
    assert made.empty(20 * 365 * 24 * HOUR_S, 9000.0, 4.0, 0.0, 0.03).causes == ("doubtful",)


def test_a_told_step_moves_it_also_what_is_doubted() -> None:
    made = settled()
    made.empty(6 * HOUR_S, 4420.0, 4.0, 0.0, 0.03)
    made.step(6.5 * HOUR_S, 80.0, 3.0)
    told = made.empty(7 * HOUR_S, 4502.0, 4.0, 0.0, 0.03)
    assert told.causes == ("tare_jump",)
    assert told.tare_kg.value == pytest.approx(4501.0, abs=5.0)


def test_density_of_what_sticks_is_learned() -> None:
    rng = np.random.default_rng(3)
    made = tracker()
    for number in range(300):
        left = float(rng.uniform(0.0, 0.3))
        made.empty(number * HOUR_S, 4300.0 + 350.0 * left + rng.normal(0.0, 4.0), 4.0, left, 0.02)
    assert made.to_dict()["mean"][1] == pytest.approx(350.0, abs=40.0)


def test_the_error_that_all_scans_share_does_not_average_out() -> None:
    made = tracker(walk_kg_per_root_hour=0.0, bed_std_m3=0.05)
    for number in range(500):
        made.empty(number * HOUR_S, 4300.0, 4.0, 0.05, 0.05)
    assert made.tare().std > 5.0


def test_scale_carries_the_tare_of_the_time() -> None:
    made = settled()
    scale = made.scale(SCALE, 8 * HOUR_S)
    assert (scale.tare_kg, scale.tare_std_kg) == (made.tare().value, made.tare(8 * HOUR_S).std)
    assert scale.gain_std == SCALE.gain_std


def test_a_restart_changes_nothing() -> None:
    made = settled()
    made.empty(6 * HOUR_S, 4420.0, 4.0, 0.0, 0.03)
    again = TareTracker.from_dict(json.loads(json.dumps(made.to_dict())))
    for each in (made, again):
        each.empty(7 * HOUR_S, 4425.0, 4.0, 0.1, 0.03)
    assert again.to_dict() == made.to_dict()
    assert again.tare() == made.tare()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": [1.0, 2.0]}, "mean"),
        ({"mean": ["a", 1.0, 1.0]}, "mean"),
        ({"walk": 1.0}, "unknown key"),
        ({"covariance": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]]}, "expected a covariance"),
        ({"covariance": [[1.0, 5.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}, "expected a covariance"),
        ({"mean": [math.nan, 1.0, 1.0]}, "mean"),
        ({"time_s": 1e300}, "time_s"),
        ({"schema": "volest/tare/2"}, "schema"),
    ],
)
def test_damaged_state_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(WeightError, match=words):
        TareTracker.from_dict(settled().to_dict() | change)


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ((math.nan, 4300.0, 4.0, 0.0, 0.03), "time_s: found nan"),
        ((1e9, math.inf, 4.0, 0.0, 0.03), "gross_kg: found inf"),
        ((1e9, 4300.0, -1.0, 0.0, 0.03), "gross_std_kg: found -1"),
        ((1e9, 4300.0, 4.0, math.nan, 0.03), "left_m3: found nan"),
        ((1e9, 4300.0, 4.0, 0.0, 1e9), "left_std_m3"),
        ((0.0, 4300.0, 4.0, 0.0, 0.03), "no time before the last one"),
    ],
)
def test_numbers_that_no_reading_has_are_refused_and_change_nothing(
    reading: tuple[float, float, float, float, float], words: str
) -> None:
    made = settled()
    before = made.to_dict()
    with pytest.raises(WeightError, match=words):
        made.empty(*reading)
    assert made.to_dict() == before


@given(
    readings=st.lists(
        st.tuples(
            st.floats(0.0, 1e7), st.floats(0.0, 2e5), st.floats(0.0, 2e4), st.floats(-100.0, 100.0), st.floats(0, 100)
        ),
        max_size=12,
    ),
    tare_std=st.floats(0.0, 2e4),
)
def test_whatever_is_read_the_state_can_be_kept(
    readings: list[tuple[float, float, float, float, float]], tare_std: float
) -> None:
    made = TareTracker(Scale(tare_kg=4300.0, tare_std_kg=tare_std), WASTE)
    for reading in sorted(readings):
        made.empty(*reading)
        assert math.isfinite(made.tare().std)
    again = TareTracker.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.tare() == made.tare()


def test_coverage_over_simulated_weeks() -> None:
    """Of the very model that it assumes, without jumps: 95 %, before and after each tip."""
    rng = np.random.default_rng(11)
    before, after = [], []
    profile = WasteProfile("narrow", 199.0, 0.02, 201.0, 0.02)
    for _ in range(120):
        made = TareTracker(SCALE, profile)
        tare, excess = 4300.0 + rng.normal(0.0, 15.0), rng.normal(0.0, 0.02)
        for number in range(25):
            tare += rng.normal(0.0, 10.0 * math.sqrt(2.0))
            expected = made.tare(number * 2 * HOUR_S) if number else None
            left = float(rng.exponential(0.05))
            seen = left + excess + rng.normal(0.0, math.sqrt(0.03**2 - 0.02**2))
            gross = tare + 200.0 * left + rng.normal(0.0, 5.0)
            told = made.empty(number * 2 * HOUR_S, gross, 5.0, seen, 0.03).tare_kg
            after.append((told.value - tare) / told.std)
            if expected:
                before.append((expected.value - tare) / expected.std)
    for z in (before, after):
        assert 0.92 <= np.mean(np.abs(z) <= 1.96) <= 0.98


def test_it_is_light() -> None:
    script = "import volest.tare, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert {name.partition(".")[0] for name in done.stdout.split()}.isdisjoint({"numba", "scipy", "pandas", "rich"})
