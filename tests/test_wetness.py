"""What the brightness of a load's surface tells of its wetness."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from volest import InputError
from volest.wetness import Brightness, Evidence, evidence_of_intensity

SEEN = Brightness(dry=200.0, wet=50.0, log_std=0.2)
WATER_NM = 1550.0
Floats = NDArray[np.float64]


def surface(brightness: float, *, rays: int = 1000) -> tuple[Floats, Floats, Floats]:
    """Returns of a Lambert surface that would read `brightness` from 1 m, straight on."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-1.0, 1.0, (rays, 3)) + np.array([0.0, 0.0, 4.0])
    cosine = rng.uniform(0.35, 1.0, rays)
    return xyz, brightness * cosine / (xyz**2).sum(axis=1) * np.exp(0.3 * rng.standard_normal(rays)), cosine


@pytest.mark.parametrize(("brightness", "wetness"), [(200.0, 0.0), (100.0, 0.5), (50.0, 1.0)])
def test_range_and_incidence_are_made_up_for(brightness: float, wetness: float) -> None:
    found = evidence_of_intensity(*surface(brightness), WATER_NM, SEEN)
    assert found.wet_mass_fraction == pytest.approx(wetness, abs=0.03)
    assert found.std == pytest.approx(math.hypot(0.2 / math.log(4.0), 0.25))


def test_reflectivity_is_not_corrected_for_range_twice() -> None:
    xyz, intensity, cosine = surface(100.0)
    reflectivity = intensity * (xyz**2).sum(axis=1)
    seen = Brightness(dry=200.0, wet=50.0, log_std=0.2, range_corrected=True)
    found = evidence_of_intensity(xyz, reflectivity, cosine, WATER_NM, seen)
    assert found.wet_mass_fraction == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("wavelength_nm", "seen", "rays"),
    [
        (905.0, SEEN, 1000),  # water does not show
        (865.0, SEEN, 1000),
        (None, SEEN, 1000),
        (WATER_NM, None, 1000),  # nobody has looked how bright dry and wet loads are
        (WATER_NM, SEEN, 100),  # few returns
        (WATER_NM, Brightness(dry=100.0, wet=90.0, log_std=0.2), 1000),  # dry and wet look alike
    ],
)
def test_without_a_basis_there_is_no_evidence(wavelength_nm: float | None, seen: Brightness | None, rays: int) -> None:
    assert evidence_of_intensity(*surface(50.0, rays=rays), wavelength_nm, seen) == Evidence()


def test_returns_without_intensity_or_range_are_left_out() -> None:
    xyz, intensity, cosine = surface(100.0)
    xyz[:100], intensity[100:200], cosine[200:300], intensity[300:400] = np.nan, 0.0, np.nan, np.inf
    found = evidence_of_intensity(xyz, intensity, cosine, WATER_NM, SEEN)
    assert found.wet_mass_fraction == pytest.approx(0.5, abs=0.04)


def test_columns_of_other_lengths_are_refused() -> None:
    xyz, intensity, cosine = surface(100.0)
    with pytest.raises(InputError, match="found 1000, 999 and 1000"):
        evidence_of_intensity(xyz, intensity[1:], cosine, WATER_NM, SEEN)


@pytest.mark.parametrize("wrong", [(50.0, 200.0, 0.2), (200.0, 0.0, 0.2), (math.nan, 50.0, 0.2), (200.0, 50.0, 0.0)])
def test_brightness_that_cannot_be_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="brightness: "):
        Brightness(*wrong)
