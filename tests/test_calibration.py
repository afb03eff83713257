"""What is learned of errors: the truth behind errors that were made up, and intervals that hold."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volest.calibration import Sample, calibrated, errors_and_stds
from volest.errors import TruckError
from volest.uncertainty import GENERIC, Calibration, Terms

TRUE = replace(GENERIC, excess_per_roughness=0.3, hidden_std_m=0.06, pose_std_per_std=1.5, factor=1.0)


def made_up(count: int, seed: int, tails: float = 0.0) -> list[Sample]:
    """Loads whose errors are as TRUE says, a few of them far off."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        terms = Terms(*(rng.exponential((2.0, 0.3, 0.01, 0.01, 0.01, 0.1, 0.003, 0.03, 0.02, 0.05))).tolist())
        std, truth = float(TRUE.std_m3(terms)), float(rng.uniform(0.0, 10.0))
        far = 10.0 if rng.random() < tails else 1.0
        samples.append(Sample(truth + float(TRUE.excess_m3(terms)) + far * std * rng.normal(), truth, terms))
    return samples


@pytest.mark.parametrize("tails", [0.0, 0.02])
def test_coefficients_are_found_again(tails: float) -> None:
    found = calibrated(made_up(1500, 1, tails), GENERIC, 2.0)
    assert found.excess_per_roughness == pytest.approx(0.3, rel=0.25)
    assert found.factor * found.pose_std_per_std == pytest.approx(1.5, rel=0.25)


@pytest.mark.parametrize("seed", range(3))
def test_intervals_hold_on_loads_that_were_not_learned_from(seed: int) -> None:
    found = calibrated(made_up(400, seed), GENERIC, 2.0)
    errors, stds = errors_and_stds(made_up(1500, 100 + seed), found)
    assert 0.92 < np.mean(np.abs(errors) <= 1.96 * stds) < 0.98


def test_where_hardly_anything_is_hidden_it_is_not_blamed() -> None:
    def in_sight(sample: Sample) -> Sample:
        terms = sample.terms
        return replace(sample, terms=terms._replace(**{n: 1e-6 * getattr(terms, n) for n in Terms._fields[:3]}))

    rng = np.random.default_rng(5)
    samples = [replace(in_sight(s), integral=s.truth + 0.05 * rng.normal()) for s in made_up(200, 5)]
    found = calibrated(samples, GENERIC, 2.0)
    for name in ("hidden_std_m", "hidden_std_per_distance", "hidden_std_per_roughness"):
        assert getattr(found, name) == pytest.approx(getattr(GENERIC, name), rel=0.5)
    errors, stds = errors_and_stds(samples, found)
    assert 0.93 < np.mean(np.abs(errors) <= 1.96 * stds) < 0.99


def test_half_of_the_way_lies_between() -> None:
    samples = made_up(300, 7)
    whole, half = (calibrated(samples, GENERIC, 1.0, part) for part in (1.0, 0.5))
    assert half.excess_per_roughness == pytest.approx(
        np.sqrt(whole.excess_per_roughness * GENERIC.excess_per_roughness), rel=1e-6
    )


@settings(deadline=None, max_examples=5)
@given(st.floats(0.01, 100.0))
def test_the_unit_does_not_matter(factor: float) -> None:
    samples = made_up(60, 3)
    scaled = [sample.scaled(factor) for sample in samples]
    first, second = (errors_and_stds(some, TRUE) for some in (samples, scaled))
    assert second[0] == pytest.approx(factor * first[0])
    assert second[1] == pytest.approx(factor * first[1])


@given(st.lists(st.floats(0.0, 5.0), min_size=len(Terms._fields), max_size=len(Terms._fields)))
def test_the_budget_adds_up_and_grows_with_every_term(numbers: list[float]) -> None:
    terms = Terms(*numbers)
    budget = GENERIC.budget_m3(terms)
    assert np.hypot.reduce(list(budget.values())) == pytest.approx(GENERIC.std_m3(terms))
    for name in Terms._fields:
        more = terms._replace(**{name: getattr(terms, name) + 1.0})
        assert GENERIC.std_m3(more) > GENERIC.std_m3(terms)


@pytest.mark.parametrize("numbers", [[1.0], [0.1] * 12, [-0.1] + [0.1] * 10, [0.1] * 10 + [0.0]])
def test_numbers_that_no_calibration_has_are_refused(numbers: list[float]) -> None:
    with pytest.raises(TruckError, match="section CALI"):
        Calibration.stored(numbers)
    assert Calibration.stored(astuple(GENERIC)) == GENERIC
