"""What is expected of the part of a load that no ray reached: the network that ships with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["generic_weights"]


@cache
def generic_weights() -> NDArray[np.float32]:
    """The network's numbers, in the order of cpp/src/hidden.hpp, learned over many beds, loads, sensors and mounts.

    `python benchmarks/hidden_cells.py` makes them anew.
    """
    weights: NDArray[np.float32] = np.load(Path(__file__).parent / "data" / "hidden.npy", allow_pickle=False)
    weights.setflags(write=False)
    return weights
