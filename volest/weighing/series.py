"""Weights in the order in which they came, whatever they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["WeightSeries"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WeightSeries:
    """Gross masses over time, (N,) each; NaN where there is no usable reading.

    What a source does not know at all is None. `notes` are sentences on what was read and what was refused.
    """

    time_s: Array
    gross_kg: Array
    stable: NDArray[np.bool_] | None = None  # as the indicator marks its readings
    speed_m_s: Array | None = None
    pitch_rad: Array | None = None  # of the truck's frame against the horizontal
    roll_rad: Array | None = None
    temperature_c: Array | None = None
    notes: tuple[str, ...] = ()
