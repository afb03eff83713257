"""Learning how far volumes are off, and how sure they are, from loads whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from volest.uncertainty import Calibration, Terms

__all__ = ["Sample", "calibrated", "errors_and_stds"]

DEGREES_OF_FREEDOM = 8.0
SHADED = 1.0 / 3.0  # of the loads
LEAST_HIDDEN = 0.2  # factor: where next to nothing is hidden, its part cannot be learned
LEAST_SHARE = 0.5  # of all other uncertainty: what is hidden and less does not explain an error
FEWEST_SHADED = 20  # loads that tell of what is hidden
LEAST_PART = 1e-4  # of the largest truth: what no error is thought to be below

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One load: the integral's volume, the truth, and what the error may come of; all m3, or all in % of a bed."""

    integral: float
    truth: float
    terms: Terms

    def scaled(self, factor: float) -> Sample:
        """In another unit."""
        return Sample(factor * self.integral, factor * self.truth, Terms(*(factor * term for term in self.terms)))


def calibrated(samples: Sequence[Sample], start: Calibration, belief: float, part: float = 1.0) -> Calibration:
    """The calibration most probable given these errors, and the factors that they ask for.

    `belief` is the 1-sigma of the logarithm of each coefficient about that of `start`, before any load is seen; the
    result goes `part` of the way from there. Errors are of Student's t, for a few loads are unlike all others. Then two
    conformal factors (Vovk et al., Algorithmic Learning in a Random World, 2005: the quantile of error over standard
    deviation, divided by that of a normal distribution), one for what is hidden, on the third of the loads of which the
    most of the variance is hidden, and one for all, on the others; where hardly any is hidden, the one for all alone.
    """
    first = np.array(astuple(start)[:-1])
    terms = _stacked(samples)
    off = np.array([sample.integral - sample.truth for sample in samples])
    least = (LEAST_PART * max(sample.truth for sample in samples)) ** 2

    def guess(logs: Floats) -> Calibration:
        return Calibration.stored([*(first * np.exp(logs)).tolist(), 1.0])

    def surprise(logs: Floats) -> float:
        now = guess(logs)
        variance = np.square(now.std_m3(terms)) + least
        left = np.square(off - now.excess_m3(terms))
        loss = 0.5 * np.log(variance)
        loss += 0.5 * (DEGREES_OF_FREEDOM + 1.0) * np.log1p(left / variance / DEGREES_OF_FREEDOM)
        return float(loss.sum() + 0.5 * np.sum(np.square(logs / belief)))

    options = {"maxiter": 10_000, "maxfev": 10_000, "adaptive": True}
    found = minimize(surprise, np.zeros(len(first)), method="Nelder-Mead", options=options).x
    learned = guess(part * found)
    hidden_factor, factor = _factors(samples, learned, np.sqrt(least))
    return replace(
        learned,
        hidden_std_m=hidden_factor * learned.hidden_std_m,
        hidden_std_per_distance=hidden_factor * learned.hidden_std_per_distance,
        hidden_std_per_roughness=hidden_factor * learned.hidden_std_per_roughness,
        factor=factor,
    )


def _factors(samples: Sequence[Sample], learned: Calibration, least: float) -> tuple[float, float]:
    """What to multiply the part of what is hidden with, and then all, so that 95 % intervals hold."""
    errors, stds = errors_and_stds(samples, learned)
    off = np.abs(errors) / 1.96
    hidden = np.asarray(learned.budget_m3(_stacked(samples))["hidden"])
    rest = np.sqrt(np.maximum(stds**2 - hidden**2, least**2))
    share = hidden / rest
    shaded = share >= max(np.quantile(share, 1.0 - SHADED), LEAST_SHARE)
    if shaded.sum() < FEWEST_SHADED:
        shaded[:] = False
    hidden_factor = factor = 1.0
    for _ in range(20):
        factor = _quantile(off[~shaded] / np.hypot(hidden_factor * hidden, rest)[~shaded])
        if shaded.any():
            lacking = np.sqrt(np.maximum((off[shaded] / factor) ** 2 - rest[shaded] ** 2, 0.0))
            hidden_factor = max(_quantile(lacking / hidden[shaded]), LEAST_HIDDEN)
    return hidden_factor, factor


def _quantile(ratios: Floats) -> float:
    """The conformal quantile of 95 %, or the largest where there are too few."""
    rank = min(1.0, np.ceil(0.95 * (len(ratios) + 1)) / len(ratios))
    return float(np.quantile(ratios, rank))


def errors_and_stds(samples: Sequence[Sample], calibration: Calibration) -> tuple[Floats, Floats]:
    """How far each volume is off once the excess is taken off it, and its standard uncertainty."""
    terms = _stacked(samples)
    off = np.array([sample.integral - sample.truth for sample in samples])
    return off - calibration.excess_m3(terms), np.asarray(calibration.std_m3(terms))


def _stacked(samples: Sequence[Sample]) -> Terms:
    return Terms(*np.array([sample.terms for sample in samples]).T)
