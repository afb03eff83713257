"""What simulated loads teach of errors: how far the integral is off on average, and what each source adds to it.

The arithmetic is the core's (`cpp/src/assessment.cpp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volest import _core
from volest.errors import TruckError

__all__ = ["GENERIC", "SOURCES", "Calibration", "Terms"]

SOURCES = ("hidden", "pose", "reference", "range", "surface")
Number = float | NDArray[np.float64]


class Terms(NamedTuple):
    """What the errors of one load grow with, or of many, as arrays (N,)."""

    hidden: Number  # m2 out of sight, at the scale of a truck bed
    distance: Number  # m3; out of sight times the distance to the nearest return
    lumps: Number  # m3; roughness over what is out of sight
    between: Number  # m3; roughness over what is in sight without a return of its own
    gap: Number  # m3; the same over the distance to the nearest return
    seen: Number  # m3; roughness over cells with returns
    scatter: Number  # m3, 1-sigma, of the returns in their cells
    pose: Number  # m3, 1-sigma, as the registration has it
    reference: Number  # m3, 1-sigma, as the bed has it
    noise: Number  # m3; range noise over the footprint


@dataclass(frozen=True, slots=True)
class Calibration:
    """What simulated loads teach of the errors."""

    excess_per_roughness: float  # m that seen cells read too high, for each m of roughness within them
    hidden_std_m: float  # of the mean height of what is hidden
    hidden_std_per_distance: float  # more, for each m from the nearest return
    hidden_std_per_roughness: float  # more, for each m of roughness where it is seen
    between_std_per_roughness: float
    gap_std_per_distance: float
    seen_std_per_roughness: float
    pose_std_per_std: float  # of what the registration's covariance says
    reference_std_per_std: float
    bias_per_noise: float  # what a beam's constant error leaves after registration
    factor: float  # so that 95 % intervals hold 95 times in 100, also on kinds that were not learned from

    @classmethod
    def stored(cls, numbers: Sequence[float]) -> Calibration:
        """Of a truck.volest; none is the generic one. Raises TruckError for numbers that no calibration has."""
        if not numbers:
            return GENERIC
        if len(numbers) != len(fields(cls)) or min(numbers) < 0.0 or numbers[-1] == 0.0:
            raise TruckError(f"section CALI: found {list(numbers)}, expected {len(fields(cls))} numbers, none below 0")
        return cls(*numbers)

    def excess_m3(self, terms: Terms) -> NDArray[np.float64]:
        """By how much integrals are too great on average: rays stop at the upper and nearer side of lumps."""
        return self._told(terms)[1]

    def budget_m3(self, terms: Terms) -> dict[str, NDArray[np.float64]]:
        """Standard uncertainty of the volume by source; they are independent (GUM, JCGM 100:2008, 5.1.2).

        hidden: what lies in shadow; pose: where each scan was taken from; reference: the empty bed; range: what the
        sensor's bias leaves after registration; surface: the scatter of the returns and what lies between them.
        """
        return dict(zip(SOURCES, self._told(terms)[0], strict=True))

    def std_m3(self, terms: Terms) -> NDArray[np.float64]:
        """The budget's parts together."""
        std: NDArray[np.float64] = np.sqrt(np.square(self._told(terms)[0]).sum(axis=0))
        return std

    def _told(self, terms: Terms) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Budgets (5, N) and excesses (N,), or (5,) and () of one load."""
        columns = np.asarray(terms, dtype=np.float64)
        parts, excess = _core.budgets(np.array(astuple(self)), columns.reshape(len(terms), -1).T)
        return parts.T.reshape(-1, *columns.shape[1:]), excess.reshape(columns.shape[1:])


GENERIC = Calibration(*_core.GENERIC_CALIBRATION)  # of many beds, sensors and mounts
