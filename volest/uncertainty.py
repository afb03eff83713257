"""How far the integral is off on average, and what each source adds to the standard uncertainty of the volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volest._core import Integral
from volest.bed import BedModel
from volest.errors import TruckError
from volest.registration import Placement

__all__ = ["GENERIC", "UNFAMILIAR", "Calibration", "Terms", "is_familiar", "terms_of"]

HIDDEN, BETWEEN, SEEN = 1, 2, 3  # cell states of the core
Number = float | NDArray[np.float64]


class Terms(NamedTuple):
    """What the errors of one load grow with, or of many, as arrays."""

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
    """What simulated loads teach of the errors: the generic values are of many beds, sensors and mounts."""

    excess_per_roughness: float = 0.138  # m that seen cells read too high, for each m of roughness within them
    hidden_std_m: float = 0.0064  # of the mean height of what is hidden
    hidden_std_per_distance: float = 0.115  # more, for each m from the nearest return
    hidden_std_per_roughness: float = 2.99  # more, for each m of roughness where it is seen
    between_std_per_roughness: float = 0.189
    gap_std_per_distance: float = 0.169
    seen_std_per_roughness: float = 0.093
    pose_std_per_std: float = 0.82  # of what the registration's covariance says
    reference_std_per_std: float = 0.45
    bias_per_noise: float = 0.025  # what a beam's constant error leaves after registration
    factor: float = 1.65  # so that 95 % intervals hold 95 times in 100, also on kinds that were not learned from

    @classmethod
    def stored(cls, numbers: Sequence[float]) -> Calibration:
        """Of a truck.volest; none is the generic one. Raises TruckError for numbers that no calibration has."""
        if not numbers:
            return GENERIC
        if len(numbers) != len(fields(cls)) or min(numbers) < 0.0 or numbers[-1] == 0.0:
            raise TruckError(f"section CALI: found {list(numbers)}, expected {len(fields(cls))} numbers, none below 0")
        return cls(*numbers)

    def excess_m3(self, terms: Terms) -> Number:
        """By how much the integral is too great on average: rays stop at the upper and nearer side of lumps."""
        return self.excess_per_roughness * terms.seen

    def budget_m3(self, terms: Terms) -> dict[str, Number]:
        """Standard uncertainty of the volume by source; they are independent (GUM, JCGM 100:2008, 5.1.2).

        hidden: what lies in shadow; pose: where each scan was taken from; reference: the empty bed; range: what the
        sensor's bias leaves after registration; surface: the scatter of the returns and what lies between them.
        """
        surface = (
            terms.scatter**2
            + (self.between_std_per_roughness * terms.between) ** 2
            + (self.gap_std_per_distance * terms.gap) ** 2
            + (self.seen_std_per_roughness * terms.seen) ** 2
        )
        parts = {
            "hidden": self.hidden_std_m * terms.hidden
            + self.hidden_std_per_distance * terms.distance
            + self.hidden_std_per_roughness * terms.lumps,
            "pose": self.pose_std_per_std * terms.pose,
            "reference": self.reference_std_per_std * terms.reference,
            "range": self.bias_per_noise * terms.noise,
            "surface": surface**0.5,
        }
        return {source: self.factor * std for source, std in parts.items()}

    def std_m3(self, terms: Terms) -> Number:
        """The budget's parts together."""
        return sum(part**2 for part in self.budget_m3(terms).values()) ** 0.5


GENERIC = Calibration()  # learned by `python benchmarks/accuracy.py --learn`; see docs/method.md


# What was learned from: beds from pick-ups to big tippers, with loads and sensors as random_scene draws them.
FOOTPRINTS_M2 = (3.5, 16.0)
ROUGHEST_M = 0.05
LEAST_SEEN = 0.4
NOISIEST_M = 0.03
UNFAMILIAR = 1.5  # how much wider an interval is beyond that


def is_familiar(integral: Integral, seen_fraction: float, range_noise_m: float, own_bed: bool) -> bool:
    """Whether a load is within what the interval was learned from, which may have been loads of its own bed."""
    return (
        (own_bed or FOOTPRINTS_M2[0] <= integral.footprint <= FOOTPRINTS_M2[1])
        and integral.roughness <= ROUGHEST_M
        and seen_fraction >= LEAST_SEEN
        and range_noise_m <= NOISIEST_M
    )


def terms_of(integral: Integral, bed: BedModel, placements: Sequence[Placement], range_noise_m: float) -> Terms:
    """What the errors of a load grow with."""
    _, hidden, between, seen = integral.area
    layout, rough, footprint = bed.layout, integral.roughness, integral.footprint
    depth = integral.volume / max(footprint, 1e-9)
    sides = (layout.width_m, layout.width_m, layout.length_m, layout.length_m)
    walls = (depth * side * std for side, std in zip(sides, bed.wall_std_m.tolist(), strict=True))
    return Terms(
        hidden=layout.scale * hidden,
        distance=integral.hidden_distance,
        lumps=rough * hidden,
        between=rough * between,
        gap=integral.gap,
        seen=rough * seen,
        scatter=math.sqrt(integral.surface_variance),
        pose=_pose(integral, placements),
        reference=math.hypot(bed.floor_std_m * footprint, *walls),
        noise=range_noise_m * footprint,
    )


def _pose(integral: Integral, placements: Sequence[Placement]) -> float:
    """Each scan moves its own share of the surface when its pose is off."""
    total = max(sum(p.counts.inside for p in placements), 1)
    variances = [(p.counts.inside / total) ** 2 * integral.pose_variance(p.found, p.covariance) for p in placements]
    return math.sqrt(math.fsum(variances))  # in any order
