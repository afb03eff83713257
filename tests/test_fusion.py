"""Mass, density and wetness of a load from its volume and its weight."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from volest import Quantity, Truck
from volest.fusion import Fused, fuse, mixture_of
from volest.truck import WasteProfile

PROFILE = WasteProfile("made-up", dry_kg_m3=100.0, dry_log_std=0.25, wet_kg_m3=450.0, wet_log_std=0.3)


def quantities(fused: Fused) -> list[Quantity]:
    found = (fused.net_mass_kg, fused.bulk_density_kg_m3, fused.wet_mass_fraction)
    return [quantity for quantity in found if quantity is not None]


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


def test_interval_of_the_wet_fraction_holds_the_truth_95_times_in_100() -> None:
    rng = np.random.default_rng(1)
    held, right, named = 0, 0, 0
    loads = 1000
    for _ in range(loads):
        truth = rng.uniform()
        dry, wet = 100.0 * math.exp(0.25 * rng.standard_normal()), 450.0 * math.exp(0.3 * rng.standard_normal())
        density = 1.0 / (truth / wet + (1.0 - truth) / dry)
        volume, mass = 6.0 + 0.1 * rng.standard_normal(), 6.0 * density + 15.0 * rng.standard_normal()
        fused = fuse(Quantity.normal(volume, 0.1), (mass, 15.0), PROFILE)
        if fused.flags:
            continue
        assert fused.wet_mass_fraction is not None
        held += fused.wet_mass_fraction.lower95 <= truth <= fused.wet_mass_fraction.upper95
        true_class = "wet" if truth >= 0.6 else "dry" if truth <= 0.4 else "mixed"
        named += fused.waste_class is not None
        right += fused.waste_class == true_class
    assert 0.93 * loads <= held <= 0.97 * loads
    assert right >= 0.8 * named > 0.3 * loads


def test_wetter_with_density() -> None:
    fractions = []
    for density in (90.0, 130.0, 180.0, 250.0, 350.0, 450.0):
        fused = fuse(Quantity.normal(6.0, 0.05), (6.0 * density, 15.0), PROFILE)
        assert fused.wet_mass_fraction is not None
        fractions.append(fused.wet_mass_fraction.value)
    assert fractions == sorted(fractions)


def test_class_is_named_where_the_data_decide() -> None:
    classes = [fuse(Quantity.normal(6.0, 0.05), (6.0 * d, 15.0), PROFILE).waste_class for d in (85.0, 160.0, 350.0)]
    assert classes == ["dry", None, "wet"]


def test_data_that_say_nothing_leave_the_prior() -> None:
    fused = fuse(Quantity.normal(6.0, 0.05), (1200.0, 1e9), PROFILE)
    assert fused.wet_mass_fraction is not None
    assert fused.wet_mass_fraction.value == pytest.approx(0.5, abs=1e-4)
    assert fused.wet_mass_fraction.std == pytest.approx(12**-0.5, abs=1e-4)
    assert fused.waste_class is None


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
    assert fused.bulk_density_kg_m3 is not None
    assert fused.bulk_density_kg_m3.value == pytest.approx(2602, abs=1)
    assert (fused.wet_mass_fraction, fused.waste_class) == (None, None)


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
    assert wrong <= 0.25 * loads
