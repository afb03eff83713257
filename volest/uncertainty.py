"""How far the integral is off on average, and what each source adds to the standard uncertainty of the volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volest._core import Integral
from volest.bed import BedModel
from volest.registration import Placement

__all__ = ["budget", "excess_m3"]

HIDDEN, BETWEEN, SEEN = 1, 2, 3  # cell states of the core

# Learned from simulated loads by `python benchmarks/accuracy.py --learn`; see docs/method.md.
EXCESS_PER_ROUGHNESS = 0.12  # m that seen cells read too high, for each m of roughness within them
HIDDEN_STD_M = 0.135  # of the mean height of what is hidden
HIDDEN_STD_PER_DISTANCE = 0.05  # more, for each m from the nearest return
BETWEEN_STD_PER_ROUGHNESS = 0.9
GAP_STD_PER_DISTANCE = 0.5
SEEN_STD_PER_ROUGHNESS = 0.15
CALIBRATION = 1.15  # so that 95 % intervals hold the truth 95 times in 100 on loads that were not learned from
BEAM_BIAS = 0.1  # what a beam's constant error leaves after registration, as part of the range noise


def excess_m3(integral: Integral) -> float:
    """By how much the integral is too great on average: rays stop at the upper and nearer side of a cell's lumps."""
    return EXCESS_PER_ROUGHNESS * integral.roughness * float(integral.area[SEEN])


def budget(
    integral: Integral, bed: BedModel, placements: Sequence[Placement], range_noise_m: float
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
        BETWEEN_STD_PER_ROUGHNESS * rough * area[BETWEEN],
        GAP_STD_PER_DISTANCE * integral.gap,
        SEEN_STD_PER_ROUGHNESS * rough * area[SEEN],
    ]
    parts = {
        "hidden": float(HIDDEN_STD_M * scale * area[HIDDEN] + HIDDEN_STD_PER_DISTANCE * integral.hidden_distance),
        "pose": _pose(integral, placements),
        "reference": float(np.hypot(bed.floor_std_m * integral.footprint, walls)),
        "range": BEAM_BIAS * range_noise_m * integral.footprint,
        "surface": float(np.linalg.norm(surface)),
    }
    return {source: CALIBRATION * std for source, std in parts.items()}


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
