"""What the scans show beside the load: returns that are no surface, a blind part of the view, a load that changes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from volest.frames import Change

__all__ = ["Disturbance", "Sight"]

DUST_ABOVE = 0.07  # part of the returns over the bed that hang in the air
STORM_ABOVE = 0.2  # part of them that is of no surface
MOVED_ABOVE = 0.02  # part of the cells whose height changed between frames
BLIND_STD_M = 0.1  # of the mean height of what lies in a blind part of the view
DUST_STD_M = 0.05  # of the mean height of a load, if all returns hung in the air


@dataclass(frozen=True, slots=True)
class Sight:
    """Returns by what they are."""

    used: int  # for the load's surface
    over_bed: int  # the same and those that no surface explains
    rejected: int  # no surface explains them
    hanging: int  # of those, the ones in the air above the surface
    share: float  # part of all over the bed that these are; the others are of walls and fixtures

    @property
    def rejected_fraction(self) -> float:
        """The part of the returns over the bed that is of no surface."""
        return self.share * self.rejected / max(self.over_bed, 1)

    @property
    def hanging_fraction(self) -> float:
        """The part of the returns over the bed that hangs in the air."""
        return self.share * self.hanging / max(self.over_bed, 1)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What makes a volume less sure than a clean and still scan would."""

    sight: Sight
    may_be_covered: bool
    blind_m2: float  # of the load's surface
    changes: tuple[Change, ...]  # of each sensor with several frames

    @property
    def load_moved(self) -> bool:
        """Whether the frames of a sensor show another load each."""
        return any(change.fraction > MOVED_ABOVE for change in self.changes)

    @property
    def flags(self) -> dict[str, bool]:
        """What is to be told of it."""
        return {
            "dust": self.sight.hanging_fraction > DUST_ABOVE,
            "tarp": self.may_be_covered,
            "dirty_window": self.blind_m2 > 0.0,
            "load_moved": self.load_moved,
        }

    @property
    def degrades(self) -> bool:
        """Whether the volume is not to be trusted like others."""
        stormy = self.sight.rejected_fraction > STORM_ABOVE
        return stormy or self.may_be_covered or self.blind_m2 > 0.0 or self.load_moved

    def widened(
        self, budget: dict[str, float], volume_m3: float, footprint_m2: float, scale: float
    ) -> dict[str, float]:
        """The budget [m3] of a volume with what this adds to it."""
        dust = DUST_STD_M * scale * self.sight.hanging_fraction * footprint_m2
        moved = max((_doubt(change, volume_m3) for change in self.changes), default=0.0)
        added = {"hidden": BLIND_STD_M * scale * self.blind_m2, "surface": math.hypot(dust, moved)}
        return {source: math.hypot(std, added.get(source, 0.0)) for source, std in budget.items()}


def _doubt(change: Change, volume_m3: float) -> float:
    """How far frames put the volume off that they give together [m3]."""
    if change.fraction <= MOVED_ABOVE:
        return 0.5 * (change.greatest_m3 - change.least_m3)
    return max(volume_m3 - change.least_m3, change.greatest_m3 - volume_m3)
