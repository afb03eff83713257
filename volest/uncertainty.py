"""How far the integral is off on average, and what each source adds to the standard uncertainty of the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from volest._core import Integral
from volest.bed import BedModel
from volest.errors import TruckError
from volest.registration import Placement

__all__ = ["GENERIC", "Calibration", "budget", "excess_m3"]

HIDDEN, BETWEEN, SEEN = 1, 2, 3  # cell states of the core


@dataclass(frozen=True, slots=True)
class Calibration:
    """What simulated loads teach of the errors: the generic values are of many beds, sensors and mounts."""

    excess_per_roughness: float = 0.12  # m that seen cells read too high, for each m of roughness within them
    hidden_std_m: float = 0.135  # of the mean height of what is hidden
    hidden_std_per_distance: float = 0.05  # more, for each m from the nearest return
    between_std_per_roughness: float = 0.9
    gap_std_per_distance: float = 0.5
    seen_std_per_roughness: float = 0.15
    factor: float = 1.15  # so that 95 % intervals hold the truth 95 times in 100 on loads that were not learned from

    @classmethod
    def stored(cls, numbers: Sequence[float]) -> Calibration:
        """Of a truck.volest; none is the generic one. Raises TruckError for numbers that no calibration has."""
        if not numbers:
            return GENERIC
        if len(numbers) != len(fields(cls)) or min(numbers) < 0.0 or numbers[-1] == 0.0:
            raise TruckError(f"section CALI: found {list(numbers)}, expected {len(fields(cls))} numbers, none below 0")
        return cls(*numbers)


GENERIC = Calibration()  # learned by `python benchmarks/accuracy.py --learn`; see docs/method.md
BEAM_BIAS = 0.1  # what a beam's constant error leaves after registration, as part of the range noise


def excess_m3(integral: Integral, calibration: Calibration) -> float:
    """By how much the integral is too great on average: rays stop at the upper and nearer side of a cell's lumps."""
    return calibration.excess_per_roughness * integral.roughness * float(integral.area[SEEN])


def budget(
    integral: Integral, bed: BedModel, placements: Sequence[Placement], range_noise_m: float, calibration: Calibration
) -> dict[str, float]:
    """Standard uncertainty of the volume by source [m3]; they are independent (GUM, JCGM 100:2008, 5.1.2).

    hidden: what lies in shadow; pose: where each scan was taken from; reference: the empty bed; range: what the
    sensor's bias leaves after registration; surface: the scatter of the returns and what lies between them.
    """
    area, rough, scale = integral.area, integral.roughness, bed.layout.scale
    depth = integral.volume / max(integral.footprint, 1e-9)
    sides = (bed.layout.width_m, bed.layout.width_m, bed.layout.length_m, bed.layout.length_m)
    walls = depth * float(np.linalg.norm(np.multiply(sides, bed.wall_std_m)))
    surface = [
        np.sqrt(integral.surface_variance),
        calibration.between_std_per_roughness * rough * area[BETWEEN],
        calibration.gap_std_per_distance * integral.gap,
        calibration.seen_std_per_roughness * rough * area[SEEN],
    ]
    parts = {
        "hidden": float(
            calibration.hidden_std_m * scale * area[HIDDEN]
            + calibration.hidden_std_per_distance * integral.hidden_distance
        ),
        "pose": _pose(integral, placements),
        "reference": float(np.hypot(bed.floor_std_m * integral.footprint, walls)),
        "range": BEAM_BIAS * range_noise_m * integral.footprint,
        "surface": float(np.linalg.norm(surface)),
    }
    return {source: calibration.factor * std for source, std in parts.items()}


def _pose(integral: Integral, placements: Sequence[Placement]) -> float:
    """Each scan moves its own share of the surface when its pose is off."""
    total = sum(p.found.inside for p in placements)
    variance = 0.0
    for p in placements:
        slide, turn = integral.lever[:3], integral.lever[3:]
        # The rotation is about the sensor's place, the levers are about the bed's origin.
        gradient = np.concatenate([slide, turn - np.cross(p.pose[:3, 3], slide)])
        variance += (p.found.inside / max(total, 1)) ** 2 * float(gradient @ p.covariance @ gradient)
    return float(np.sqrt(variance))
