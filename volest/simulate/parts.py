"""Names of what a ray can meet."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Part"]


class Part(IntEnum):
    """What a ray met."""

    NOTHING = 0
    LOAD = 1
    FLOOR = 2
    WALL = 3  # inner faces of walls, ribs, arches, fillets
    RIM = 4  # wall tops and headboard
    OUTSIDE = 5  # outer faces of the bed
    FITTING = 6  # hoops, tarp roll, stakes
    CAB = 7
    GROUND = 8
    TARP = 9
    BRANCH = 10
