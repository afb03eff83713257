"""What each source adds to the standard uncertainty of the volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volest._core import Integral
from volest.bed import BedModel
from volest.registration import Placement

__all__ = ["budget"]

HIDDEN, BETWEEN, SEEN = 1, 2, 3
BEAM_BIAS = 0.25  # constant error of a beam, as part of the range noise; registration takes up the mean over all beams


def budget(
    integral: Integral, bed: BedModel, placements: Sequence[Placement], range_noise_m: float
) -> dict[str, float]:
    """Standard uncertainty of the volume by source [m3], as in the GUM (JCGM 100:2008, 5.1.2): they are independent.

    hidden: what lies in shadow; pose: where each scan was taken from; reference: the empty bed; range: what the
    sensor's bias leaves after registration; surface: the scatter of the returns and what lies between them.
    """
    area = integral.area
    rough = integral.roughness
    hidden = 0.3 * integral.hidden_distance + 0.5 * rough * area[HIDDEN]
    depth = integral.volume / max(integral.footprint, 1e-9)
    sides = (bed.layout.width_m, bed.layout.width_m, bed.layout.length_m, bed.layout.length_m)
    walls = depth * float(np.linalg.norm(np.multiply(sides, bed.wall_std_m)))
    between = 0.1 * rough * area[BETWEEN]
    return {
        "hidden": float(hidden),
        "pose": _pose(integral, placements),
        "reference": float(np.hypot(bed.floor_std_m * integral.footprint, walls)),
        "range": BEAM_BIAS * range_noise_m * integral.footprint,
        "surface": float(np.hypot(np.sqrt(integral.surface_variance), between)),
    }


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
