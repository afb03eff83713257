"""How wet a load is, from its bulk density.

A load of wet mass fraction w fills the room of its wet and of its dry part laid side by side, each at its own bulk
density: 1/rho = w/rho_wet + (1 - w)/rho_dry. Volumes add, so it is the specific volumes that mix linearly in the mass
fraction. What settles into the gaps of the other part is not modelled; it hides in the spread of the two densities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.quantity import Quantity
from volest.truck import WasteProfile

__all__ = ["CLASSES", "WetPosterior", "log_density_moments", "wet_posterior"]

WET_FROM = 0.6
DRY_TO = 0.4
DECIDED = 0.7  # the least posterior probability at which a class is named
CLASSES = ("dry", "mixed", "wet")
CELLS = 400  # of the wet mass fraction, between 0 and 1

_EDGES = np.linspace(0.0, 1.0, CELLS + 1)
_FRACTION = (_EDGES[:-1] + _EDGES[1:]) / 2.0


@dataclass(frozen=True, slots=True)
class WetPosterior:
    """What the density says of the wet mass fraction."""

    fraction: Quantity
    probabilities: tuple[float, float, float]  # of CLASSES

    @property
    def waste_class(self) -> str | None:
        """The class, or None where none is probable enough to be named."""
        best = int(np.argmax(self.probabilities))
        return CLASSES[best] if self.probabilities[best] >= DECIDED else None


def log_density_moments(
    fraction: NDArray[np.float64] | float, profile: WasteProfile
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of ln(bulk density [kg/m3]) of loads of a wet mass fraction, both of its shape.

    The specific volume is a sum of two log-normals, here taken as log-normal with the sum's mean and variance
    (Fenton 1960); at the spreads of the profiles that is good to 0.02 in both.
    """
    w = np.asarray(fraction, dtype=np.float64)
    mean, variance = np.zeros_like(w), np.zeros_like(w)
    parts = ((w, profile.wet_kg_m3, profile.wet_log_std), (1.0 - w, profile.dry_kg_m3, profile.dry_log_std))
    for share, median, log_std in parts:
        expected = share / median * np.exp(log_std**2 / 2.0)
        mean = mean + expected
        variance = variance + expected**2 * np.expm1(log_std**2)
    log_variance = np.log1p(variance / mean**2)
    return log_variance / 2.0 - np.log(mean), np.sqrt(log_variance)


def wet_posterior(
    density_kg_m3: NDArray[np.float64], likelihood: NDArray[np.float64], profile: WasteProfile
) -> WetPosterior:
    """The posterior of the wet mass fraction under a uniform prior, by quadrature.

    density_kg_m3: (K,) equidistant nodes above 0; likelihood: (K,) of the weighing and the volume at each node.
    """
    mean, std = log_density_moments(_FRACTION, profile)
    log_density = np.log(density_kg_m3)
    z = (log_density - mean[:, None]) / std[:, None]
    predicted = np.exp(-0.5 * z**2 - log_density) / std[:, None]  # p(density | fraction), (CELLS, K)
    weights = predicted @ likelihood
    total = float(weights.sum())
    weights = weights / total if total > 0.0 else np.full(CELLS, 1.0 / CELLS)
    cumulative = np.concatenate(([0.0], np.cumsum(weights)))
    value = float(weights @ _FRACTION)
    std_value = float(np.sqrt(weights @ (_FRACTION - value) ** 2))
    lower, upper = np.interp((0.025, 0.975), cumulative, _EDGES)
    dry, wet = float(np.interp(DRY_TO, _EDGES, cumulative)), 1.0 - float(np.interp(WET_FROM, _EDGES, cumulative))
    return WetPosterior(Quantity(value, std_value, float(lower), float(upper)), (dry, 1.0 - dry - wet, wet))
