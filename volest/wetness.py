"""What tells of a load's wet mass fraction beside its density: the route, rain, the brightness of its surface.

What has no calibrated basis is no evidence; see `docs/wetness.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from volest.errors import InputError
from volest.truck import WasteProfile

__all__ = ["NO_EVIDENCE", "Brightness", "Evidence", "evidence_of_intensity"]

WATER_SHOWS_FROM_NM = 1300.0  # water absorbs 0.07 per cm at 905 nm, 10 per cm at 1550 nm (Hale and Querry 1973)
SURFACE_STD = 0.25  # of the wet mass fraction of a load whose surface's is known: a guess
LEAST_RETURNS = 200
LEAST_COSINE = 0.3  # of the angle of incidence; beyond, surfaces are not Lambert's
LEAST_RANGE_M = 0.5
LEAST_STD = 0.01
MOST_RAIN_MM = 500.0
DEPTH_M = 1.0  # of the load that rain falls on


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells of one load's wet mass fraction, independently of its density.

    A reading of the fraction with a normal error, `std` infinite: none; `prior` (a, b) of a Beta distribution, in place
    of the profile's, from the route say; the rain [mm] that the load took up since it lay open, None: not known.
    Raises InputError for numbers that cannot be.
    """

    wet_mass_fraction: float = 0.5
    std: float = math.inf
    prior: tuple[float, float] | None = None
    rain_mm: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.wet_mass_fraction <= 1.0:
            raise InputError(f"evidence: wet_mass_fraction: found {self.wet_mass_fraction}, expected 0 to 1")
        if not self.std >= LEAST_STD:
            raise InputError(f"evidence: std: found {self.std}, expected {LEAST_STD} or more")
        if self.prior is not None and not all(0.1 <= x <= 1000.0 for x in self.prior):
            raise InputError(f"evidence: prior: found {self.prior}, expected two numbers of 0.1 to 1000")
        if self.rain_mm is not None and not 0.0 <= self.rain_mm <= MOST_RAIN_MM:
            raise InputError(f"evidence: rain_mm: found {self.rain_mm}, expected 0 to {MOST_RAIN_MM:g}")

    def of(self, profile: WasteProfile) -> WasteProfile:
        """The profile as it holds for this load.

        Rain of 1 mm brings 1 kg to a square metre. Half of it is taken to stay in a load 1 m deep, and as much again to
        be the standard deviation of that.
        """
        if self.prior is not None:
            profile = replace(profile, prior_a=self.prior[0], prior_b=self.prior[1])
        if not self.rain_mm:
            return profile
        taken_up = 0.5 * self.rain_mm / DEPTH_M
        dry, wet = profile.dry_kg_m3 + taken_up, profile.wet_kg_m3 + taken_up
        return replace(
            profile,
            dry_kg_m3=dry,
            wet_kg_m3=wet,
            dry_log_std=math.hypot(profile.dry_log_std, taken_up / dry),
            wet_log_std=math.hypot(profile.wet_log_std, taken_up / wet),
        )


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Brightness:
    """How bright one sensor sees loads: medians of the corrected intensity of loads known to be dry and to be wet.

    `log_std` is the standard deviation of its logarithm among loads of one kind. Learn them from your own loads; the
    unit is the sensor's. `range_corrected`: the sensor tells reflectivity, in which the range is made up for already.
    """

    dry: float
    wet: float
    log_std: float
    range_corrected: bool = False

    def __post_init__(self) -> None:
        if not (0.0 < self.wet < self.dry < math.inf):
            raise InputError(f"brightness: found wet {self.wet} and dry {self.dry}, expected 0 < wet < dry")
        if not 0.0 < self.log_std < math.inf:
            raise InputError(f"brightness: log_std: found {self.log_std}, expected a number above 0")


def evidence_of_intensity(
    xyz: NDArray[np.floating],
    intensity: NDArray[np.number],
    cos_incidence: NDArray[np.floating],
    wavelength_nm: float | None,
    brightness: Brightness | None,
) -> Evidence:
    """What the brightness of a load's surface tells of its wetness.

    `xyz` (N, 3) [m] are returns of the load's surface in the sensor's frame, `intensity` (N,) in the sensor's unit, and
    `cos_incidence` (N,) the cosine of the angle between ray and surface normal. No evidence comes without a brightness
    of this sensor, at wavelengths where water does not show, of too few returns, and where dry and wet loads are alike
    to it. The surface is all that is seen: the load under it may be 0.25 wetter or drier (1-sigma).
    """
    if not len(xyz) == len(intensity) == len(cos_incidence):
        lengths = f"{len(xyz)}, {len(intensity)} and {len(cos_incidence)}"
        raise InputError(f"intensity: found {lengths} points, intensities and cosines, expected as many of each")
    if brightness is None or wavelength_nm is None or wavelength_nm < WATER_SHOWS_FROM_NM:
        return Evidence()
    contrast = math.log(brightness.dry / brightness.wet)
    corrected = _corrected(xyz, intensity, cos_incidence, brightness.range_corrected)
    if len(corrected) < LEAST_RETURNS or contrast < brightness.log_std:
        return Evidence()
    wetness = (math.log(brightness.dry) - float(np.median(np.log(corrected)))) / contrast
    std = math.hypot(brightness.log_std / contrast, SURFACE_STD)
    return Evidence(wet_mass_fraction=min(max(wetness, 0.0), 1.0), std=std)


def _corrected(
    xyz: NDArray[np.floating], intensity: NDArray[np.number], cosine: NDArray[np.floating], range_corrected: bool
) -> NDArray[np.float64]:
    """Intensities as if seen from 1 m, straight on, of those returns that can be corrected: Lambert's law."""
    distance = np.linalg.norm(np.asarray(xyz, np.float64), axis=1)
    bright = np.asarray(intensity, np.float64)
    with np.errstate(invalid="ignore"):
        good = (distance > LEAST_RANGE_M) & (cosine > LEAST_COSINE) & (bright > 0.0) & np.isfinite(bright)
    scale = 1.0 if range_corrected else distance[good] ** 2
    corrected: NDArray[np.float64] = bright[good] * scale / np.asarray(cosine, np.float64)[good]
    return corrected[np.isfinite(corrected)]
