"""Mass, density and wetness of a load from its volume and its weight."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from volest import InputError, Quantity, Truck
from volest.fusion import CLASSES, MISMATCHES, Fused, FusedLoads, fuse, fuse_many, mixture_of
from volest.truck import WasteProfile
from volest.wetness import Evidence

Doubles = NDArray[np.float64]
PROFILE = WasteProfile("made-up", dry_kg_m3=100.0, dry_log_std=0.25, wet_kg_m3=450.0, wet_log_std=0.3)


def quantities(fused: Fused) -> list[Quantity]:
    found = (fused.net_mass_kg, fused.bulk_density_kg_m3, fused.wet_mass_fraction)
    return [quantity for quantity in found if quantity is not None]


TRUCK = {"schema": 1, "id": "t", "bed": {"length_m": 4.0, "width_m": 2.0, "height_m": 1.0}}


# --- wet and dry ------------------------------------------------------------------------------------------------------


def agree(volume: Quantity, net_kg: tuple[float, float], profile: WasteProfile) -> None:
    """The core's posterior is the twin's."""
    told = mixture_of(profile).fuse(volume.value, volume.std, volume.lower95, volume.upper95, *net_kg)
    assert told.wet_fraction is not None
    fraction, probabilities = oracle.wet_fraction(volume.value, volume.std, *net_kg, profile)
    np.testing.assert_allclose(told.wet_fraction, fraction, atol=1e-3)
    np.testing.assert_allclose(told.probabilities, probabilities, atol=1e-3)
    assert math.isclose(sum(told.probabilities), 1.0, abs_tol=1e-12)


@given(
    density=st.floats(10, 1800),
    volume=st.floats(0.3, 60),
    volume_std=st.floats(0.001, 0.3),
    mass_std=st.floats(0, 500),
    dry=st.floats(20, 300),
    ratio=st.floats(1.01, 10),
    dry_log_std=st.floats(0.05, 1),
    wet_log_std=st.floats(0.05, 1),
)
def test_posterior_is_that_of_the_slow_twin(
    density: float,
    volume: float,
    volume_std: float,
    mass_std: float,
    dry: float,
    ratio: float,
    dry_log_std: float,
    wet_log_std: float,
) -> None:
    profile = WasteProfile("any", dry, dry_log_std, ratio * dry, wet_log_std)
    measured, net = Quantity.normal(volume, volume_std * volume), (density * volume, mass_std)
    assume(fuse(measured, net, profile).wet_mass_fraction is not None)
    agree(measured, net, profile)


@pytest.mark.parametrize(
    ("volume", "volume_std", "mass", "mass_std"),
    [
        (6.0, 0.05, 0.0, 400.0),  # nothing on the scale, as far as it can tell
        (6.0, 0.05, -200.0, 400.0),
        (6.0, 0.05, 1200.0, 1e6),  # a scale that says nothing
        (6.0, 1.7, 240.0, 15.0),  # a volume that says little: the density may be far above its value
        (1e-3, 1e-5, 0.2, 0.01),  # a handful
    ],
)
def test_awkward_loads_have_the_posterior_of_the_slow_twin(
    volume: float, volume_std: float, mass: float, mass_std: float
) -> None:
    agree(Quantity.normal(volume, volume_std), (mass, mass_std), PROFILE)


def test_rough_volume_does_not_make_a_load_surely_dry() -> None:
    """6 m3 with an error of 1.7 m3 and 240 kg may well be 100 kg/m3, at which a load may be half wet."""
    wet = fuse(Quantity.normal(6.0, 1.7), (240.0, 15.0), PROFILE).wet_mass_fraction
    assert wet is not None
    assert wet.upper95 > 0.6


def test_measurement_without_error_tells_no_more_than_the_spread_of_the_waste() -> None:
    exact, sharp = (fuse(Quantity.normal(6.0, std), (1200.0, 0.0), PROFILE).wet_mass_fraction for std in (0.0, 0.006))
    assert exact is not None
    assert sharp is not None
    assert exact.to_dict() == pytest.approx(sharp.to_dict(), abs=1e-4)


def drawn(loads: int, profile: WasteProfile, seed: int = 1) -> tuple[Doubles, tuple[Doubles, ...]]:
    """Wet mass fractions and measurements of loads drawn from a profile and its prior."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(profile.prior_a, profile.prior_b, loads)
    dry = profile.dry_kg_m3 * np.exp(profile.dry_log_std * rng.standard_normal(loads))
    wet = profile.wet_kg_m3 * np.exp(profile.wet_log_std * rng.standard_normal(loads))
    volume, std, mass_std = rng.uniform(1.0, 15.0, loads), np.full(loads, 0.1), rng.uniform(5.0, 30.0, loads)
    mass = volume / (truth / wet + (1.0 - truth) / dry) + mass_std * rng.standard_normal(loads)
    measured = volume + std * rng.standard_normal(loads)
    return truth, (measured, std, measured - 1.96 * std, measured + 1.96 * std, mass, mass_std)


@pytest.mark.parametrize("prior", [(1.0, 1.0), (8.3, 1.7), (2.0, 2.0)])
def test_interval_holds_the_truth_95_times_in_100_and_so_often_is_the_class_right(prior: tuple[float, float]) -> None:
    profile = replace(PROFILE, prior_a=prior[0], prior_b=prior[1])
    truth, loads = drawn(50_000, profile)
    fused = fuse_many(*loads, profile)
    fraction, sound = fused.wet_mass_fraction, fused.mismatch == 0
    held = (fraction.lower95 <= truth) & (truth <= fraction.upper95)
    named = fused.waste_class >= 0
    true_class = np.where(truth >= 0.6, 2, np.where(truth <= 0.4, 0, 1))
    assert sound.mean() > 0.99
    assert held[sound].mean() == pytest.approx(0.95, abs=0.01)
    assert (fused.waste_class == true_class)[named].mean() > 0.94
    assert named.mean() > 0.15


def test_wetter_with_density() -> None:
    fractions = []
    for density in (90.0, 130.0, 180.0, 250.0, 350.0, 450.0):
        fused = fuse(Quantity.normal(6.0, 0.05), (6.0 * density, 15.0), PROFILE)
        assert fused.wet_mass_fraction is not None
        fractions.append(fused.wet_mass_fraction.value)
    assert fractions == sorted(fractions)


def test_class_is_named_where_the_data_decide() -> None:
    classes = [fuse(Quantity.normal(6.0, 0.05), (6.0 * d, 15.0), PROFILE).waste_class for d in (85.0, 160.0, 390.0)]
    assert classes == ["dry", None, "wet"]


def test_data_that_say_nothing_leave_the_prior() -> None:
    fused = fuse(Quantity.normal(6.0, 0.05), (1200.0, 1e9), PROFILE)
    assert fused.wet_mass_fraction is not None
    assert fused.wet_mass_fraction.value == pytest.approx(0.5, abs=1e-4)
    assert fused.wet_mass_fraction.std == pytest.approx(12**-0.5, abs=1e-4)
    assert fused.waste_class is None


# --- further evidence -------------------------------------------------------------------------------------------------


def wet_fraction(evidence: Evidence, density: float = 200.0) -> Quantity:
    found = fuse(Quantity.normal(6.0, 0.05), (6.0 * density, 15.0), PROFILE, evidence).wet_mass_fraction
    assert found is not None
    return found


def test_evidence_moves_the_posterior_its_way_and_narrows_it() -> None:
    plain = wet_fraction(Evidence())
    wet, dry = wet_fraction(Evidence(0.9, 0.2)), wet_fraction(Evidence(0.1, 0.2))
    assert dry.value < plain.value < wet.value
    assert max(dry.std, wet.std) < plain.std
    assert wet_fraction(Evidence(prior=(8.3, 1.7))).value > plain.value


def test_posterior_with_evidence_is_that_of_the_slow_twin() -> None:
    """The twin has no evidence: its posteriors at drawn fractions are weighted, so by hand here."""
    edges = np.linspace(0.0, 1.0, 2001)
    w = (edges[:-1] + edges[1:]) / 2
    mean, std = oracle.log_density_moments(w, PROFILE)
    weights = np.exp(-0.5 * ((math.log(200.0) - mean) / std) ** 2) / std
    weights *= np.exp(-0.5 * ((w - 0.3) / 0.15) ** 2) * w ** (2.5 - 1.0) * (1.0 - w) ** (1.5 - 1.0)
    weights /= weights.sum()
    evidence = Evidence(0.3, 0.15, prior=(2.5, 1.5))
    found = fuse(Quantity.normal(6.0, 1e-4), (1200.0, 0.01), PROFILE, evidence).wet_mass_fraction
    assert found is not None
    expected = weights @ w
    assert found.value == pytest.approx(expected, abs=1e-3)
    assert found.std == pytest.approx(math.sqrt(weights @ (w - expected) ** 2), abs=1e-3)


def test_rain_makes_a_load_of_the_same_density_drier_and_less_sure() -> None:
    plain, rained, none = (wet_fraction(Evidence(rain_mm=mm), 130.0) for mm in (None, 30.0, 0.0))
    assert none == plain
    assert rained.value < plain.value
    assert Evidence(rain_mm=30.0).of(PROFILE).dry_log_std > PROFILE.dry_log_std


@pytest.mark.parametrize(
    "wrong",
    [
        {"wet_mass_fraction": 1.1},
        {"wet_mass_fraction": math.nan},
        {"std": 0.0},
        {"std": math.nan},
        {"prior": (0.0, 1.0)},
        {"prior": (1.0, math.inf)},
        {"rain_mm": -1.0},
        {"rain_mm": math.nan},
    ],
)
def test_evidence_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"evidence: {next(iter(wrong))}: found"):
        Evidence(**wrong)  # type: ignore[arg-type]


# --- many loads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "profile", ["msw-indonesia-loose", "msw-us-residential-loose", "msw-compacted", "recyclables-loose"]
)
def test_many_loads_are_fused_as_each_alone(profile: str) -> None:
    waste = Truck.from_dict(TRUCK | {"waste": {"profile": profile, "source": "household"}}).waste
    _, loads = drawn(1500, waste, seed=3)
    many = fuse_many(*loads, waste)
    for i, (value, std, lower, upper, mass, mass_std) in enumerate(zip(*(c.tolist() for c in loads), strict=True)):
        one = fuse(Quantity(value, std, lower, upper), (mass, mass_std), waste)
        relative = math.hypot(std / value, mass_std / mass)
        pairs = (
            (one.net_mass_kg, many.net_mass_kg, 0.0),
            (one.bulk_density_kg_m3, many.bulk_density_kg_m3, 0.0),
            (one.wet_mass_fraction, many.wet_mass_fraction, 0.005 if relative < 0.15 else 0.03),
        )
        for quantity, columns, tolerance in pairs:
            found = [columns.value[i], columns.std[i], columns.lower95[i], columns.upper95[i]]
            told = [math.nan] * 4 if quantity is None else list(quantity.to_dict().values())
            np.testing.assert_allclose(found, told, rtol=0, atol=tolerance)
        assert bool(many.mismatch[i]) == bool(one.flags)
        if many.waste_class[i] >= 0 and one.waste_class is not None:
            assert CLASSES[many.waste_class[i]] == one.waste_class


def test_table_is_left_where_a_profile_is_too_sharp_for_it() -> None:
    sharp = WasteProfile("sharp", 100.0, 0.01, 450.0, 0.01)
    many = fuse_many([6.0], [0.01], [5.98], [6.02], [1200.0], [1.0], sharp)
    one = fuse(Quantity(6.0, 0.01, 5.98, 6.02), (1200.0, 1.0), sharp).wet_mass_fraction
    assert one is not None
    assert many.wet_mass_fraction.value[0] == one.value


def test_threads_and_given_columns_change_nothing() -> None:
    _, loads = drawn(50_000, PROFILE)
    alone, given = fuse_many(*loads, PROFILE), FusedLoads.empty(50_000)
    assert fuse_many(*loads, PROFILE, out=given, workers=2) is given
    np.testing.assert_array_equal(alone.wet_mass_fraction.upper95, given.wet_mass_fraction.upper95)
    np.testing.assert_array_equal(alone.waste_class, given.waste_class)


def test_load_without_volume_or_weight_is_a_row_of_nothing() -> None:
    nan, volume = math.nan, ([6.0, math.nan, 0.0, 6.0], [0.1] * 4, [5.8] * 4, [6.2] * 4)
    many = fuse_many(*volume, [nan, 900.0, 3.0, 90_000.0], [15.0] * 4, PROFILE)
    assert np.isnan(many.net_mass_kg.value).tolist() == [True, True, False, False]
    assert np.isnan(many.bulk_density_kg_m3.value).tolist() == [True, True, True, False]
    assert np.isnan(many.wet_mass_fraction.value).all()
    assert many.waste_class.tolist() == [-1] * 4
    assert [MISMATCHES[code] for code in many.mismatch] == ["none", "none", "none", "too heavy"]


def test_no_loads_are_no_error() -> None:
    assert fuse_many([], [], [], [], [], [], PROFILE).waste_class.shape == (0,)


@pytest.mark.parametrize(("column", "wrong"), [(0, math.inf), (1, -0.1), (2, -math.inf), (4, math.inf), (5, -1.0)])
def test_row_that_cannot_be_is_named(column: int, wrong: float) -> None:
    loads = [np.full(3, x) for x in (6.0, 0.1, 5.8, 6.2, 1200.0, 15.0)]
    loads[column][1] = wrong
    with pytest.raises(InputError, match="loads: row 1: found "):
        fuse_many(*loads, PROFILE)


def test_columns_of_other_lengths_are_refused() -> None:
    six = [np.full(3, x) for x in (6.0, 0.1, 5.8, 6.2, 1200.0, 15.0)]
    with pytest.raises(InputError, match="expected one"):
        fuse_many(*six[:5], np.ones(2), PROFILE)
    with pytest.raises(InputError, match="out: found float64"):
        fuse_many(*six, PROFILE, out=FusedLoads.empty(2))


# --- fusion -----------------------------------------------------------------------------------------------------------


def test_no_weight_no_mass() -> None:
    assert fuse(Quantity.normal(6.0, 0.1), None, PROFILE) == Fused()


def test_density_is_mass_over_volume_with_both_errors() -> None:
    density = fuse(Quantity.normal(6.421, 0.031), (2210.0, 18.0), PROFILE).bulk_density_kg_m3
    assert density is not None
    assert density.value == pytest.approx(2210.0 / 6.421)
    assert density.std == pytest.approx(344.2 * math.hypot(18.0 / 2210.0, 0.031 / 6.421), rel=1e-3)
    assert density.lower95 == pytest.approx(density.value - 1.96 * density.std, rel=1e-3)


@pytest.mark.parametrize("volume_std", [0.05, 0.5, 1.5])
def test_interval_of_the_density_holds_the_truth_95_times_in_100(volume_std: float) -> None:
    rng = np.random.default_rng(2)
    held = []
    for _ in range(2000):
        volume, mass = 6.0 + volume_std * rng.standard_normal(), 1500.0 + 100.0 * rng.standard_normal()
        density = fuse(Quantity.normal(volume, volume_std), (mass, 100.0), PROFILE).bulk_density_kg_m3
        if density is not None:
            held.append(density.lower95 <= 250.0 <= density.upper95)
    assert 0.93 < np.mean(held) < 0.97
    assert len(held) > 1400


def test_wide_volume_interval_widens_the_density() -> None:
    narrow, wide = (
        fuse(Quantity(6.0, 0.05, 6.0 - half, 6.0 + half), (1500.0, 15.0), PROFILE).bulk_density_kg_m3
        for half in (0.1, 0.6)
    )
    assert narrow is not None
    assert wide is not None
    assert wide.std > 3.9 * narrow.std


@pytest.mark.parametrize("volume", [Quantity.normal(0.0, 0.05, low=0.0), Quantity.normal(0.1, 0.05, low=0.0)])
def test_volume_of_next_to_nothing_has_no_density(volume: Quantity) -> None:
    fused = fuse(volume, (8.0, 15.0), PROFILE)
    assert (fused.bulk_density_kg_m3, fused.wet_mass_fraction, fused.waste_class) == (None, None, None)
    assert fused.net_mass_kg == Quantity(8.0, 15.0, 0.0, pytest.approx(8.0 + 1.96 * 15.0, abs=0.01))
    assert fused.flags == ()


def test_reading_below_the_tare_is_a_load_of_nothing() -> None:
    net = fuse(Quantity.normal(0.0, 0.05, low=0.0), (-12.0, 15.0), PROFILE).net_mass_kg
    assert net is not None
    assert (net.value, net.lower95) == (0.0, 0.0)
    assert net.upper95 == pytest.approx(29.4, abs=0.1)


def test_weight_too_heavy_for_the_volume_is_a_mismatch() -> None:
    fused = fuse(Quantity.normal(5.76, 0.06), (14_987.0, 123.0), PROFILE)
    assert fused.flags == ("weight_volume_mismatch",)
    assert "14987 kg in 5.76 m3 is more than" in fused.reasons[0]
    assert "likelier culprit" in fused.reasons[1]
    assert fused.bulk_density_kg_m3 is not None
    assert fused.bulk_density_kg_m3.value == pytest.approx(2602, abs=1)
    assert (fused.wet_mass_fraction, fused.waste_class) == (None, None)


@pytest.mark.parametrize(
    ("volume_budget", "mass_budget", "culprit"),
    [
        ({"hidden": 0.5, "reference": 0.01}, {"tare": 10.0, "gain": 10.0}, "scan"),
        ({"hidden": 0.01, "reference": 0.5}, {"tare": 10.0, "gain": 10.0}, "reference"),
        ({"hidden": 0.01, "reference": 0.01}, {"tare": 300.0, "gain": 10.0}, "tare"),
        ({"hidden": 0.01, "reference": 0.01}, {"tare": 10.0, "gain": 300.0}, "cells"),
    ],
)
def test_mismatch_names_the_likelier_culprit(
    volume_budget: dict[str, float], mass_budget: dict[str, float], culprit: str
) -> None:
    volume_std, mass_std = math.hypot(*volume_budget.values()), math.hypot(*mass_budget.values())
    volume, net = Quantity.normal(3.0, volume_std), (12_000.0, mass_std)
    fused = fuse(volume, net, PROFILE, volume_budget_m3=volume_budget, mass_budget_kg=mass_budget)
    assert f"would take: the {culprit} " in fused.reasons[1]


@pytest.mark.parametrize(("volume", "mass"), [(6.0, 0.0), (6.0, -300.0), (0.0, 500.0), (6.0, 60.0)])
def test_volume_without_weight_and_weight_without_volume_are_mismatches(volume: float, mass: float) -> None:
    fused = fuse(Quantity.normal(volume, 0.05, low=0.0), (mass, 15.0), PROFILE)
    assert fused.flags == ("weight_volume_mismatch",)
    assert fused.waste_class is None


def test_uncertain_weight_is_no_mismatch() -> None:
    assert fuse(Quantity.normal(0.3, 0.08), (2.0, 15.0), PROFILE).flags == ()
    assert fuse(Quantity.normal(2.0, 0.9, low=0.0), (3000.0, 15.0), PROFILE).flags == ()


@given(
    st.floats(0, 60),
    st.floats(0, 5),
    st.floats(-500, 60_000),
    st.floats(0, 500),
    st.floats(20, 300),
    st.floats(0.05, 1),
)
def test_whatever_is_fused_is_finite_and_ordered(
    volume: float, volume_std: float, mass: float, mass_std: float, dry: float, log_std: float
) -> None:
    profile = WasteProfile("any", dry, log_std, 4.0 * dry, log_std)
    fused = fuse(Quantity.normal(volume, volume_std, low=0.0), (mass, mass_std), profile)
    for quantity in quantities(fused):
        assert all(math.isfinite(x) for x in quantity.to_dict().values())
        assert 0.0 <= quantity.lower95 <= quantity.value <= quantity.upper95
    assert fused.waste_class is None or fused.wet_mass_fraction is not None


@given(st.floats(0.5, 30), st.floats(60, 600), st.floats(1.1, 3))
def test_more_noise_only_widens(volume: float, density: float, factor: float) -> None:
    mass = volume * density
    sharp, blunt = (
        fuse(Quantity.normal(volume, 0.01 * k * volume), (mass, 0.01 * k * mass), PROFILE) for k in (1.0, factor)
    )
    for narrow, wide in zip(quantities(sharp)[:2], quantities(blunt)[:2], strict=True):
        assert wide.lower95 < narrow.lower95 < narrow.upper95 < wide.upper95


def test_wet_fractions_of_the_cases_are_held(cases: Path) -> None:
    held, wrong, loads = 0, 0, 0
    for path in sorted(cases.glob("[0-9]*/truth.json")):
        truth = json.loads(path.read_text())["truth"]
        if truth["wet_mass_fraction"] is None:
            continue
        profile = Truck.load(path.with_name("truck.toml")).waste
        volume = Quantity.normal(truth["volume_m3"], 0.01 * truth["struck_capacity_m3"], low=0.0)
        fused = fuse(volume, (truth["net_mass_kg"], 15.0), profile)
        assert fused.flags == ()
        if fused.wet_mass_fraction is None:
            continue
        loads += 1
        held += fused.wet_mass_fraction.lower95 <= truth["wet_mass_fraction"] <= fused.wet_mass_fraction.upper95
        wrong += fused.waste_class not in (None, truth["waste_class"])
    assert held >= 0.9 * loads
    assert wrong <= 0.1 * loads
