"""What the empty truck weighs as the day goes on."""

from __future__ import annotations

import math
from typing import Protocol

from volest.track.uncertain import Uncertain
from volest.truck import Scale

__all__ = ["DriftingTare", "TareModel"]

FUEL_KG_PER_H = 4.0
FUEL_STD_KG_PER_H = 3.0  # the same all day
WANDER_KG = 5.0  # in an hour: mud, water, what the crew carries


class TareModel(Protocol):
    """What the tracker asks of a tare; times do not go back."""

    def at(self, time_s: float) -> Uncertain:
        """The tare [kg] with the crew on the truck."""

    def emptied(self, time_s: float, empty_kg: Uncertain) -> None:
        """The truck was tipped out: the gross mass less what stuck to the bed was measured."""


class DriftingTare:
    """The truck file's tare less the fuel burnt, wandering; each empty state draws it back (Kalman, 1960)."""

    def __init__(self, scale: Scale) -> None:
        self._tare = Uncertain(scale.tare_kg, {"tare": scale.tare_std_kg})
        self._time_s: float | None = None

    def restore(self, time_s: float, tare_kg: Uncertain) -> None:
        """Go on from what a ledger says."""
        self._time_s, self._tare = time_s, tare_kg

    def at(self, time_s: float) -> Uncertain:
        """The tare [kg] at a time that is not before the last."""
        if self._time_s is None:
            self._time_s = time_s
        hours = (time_s - self._time_s) / 3600.0
        if hours > 0.0:
            drift = {"fuel": FUEL_STD_KG_PER_H * hours, f"wander@{time_s:.3f}": WANDER_KG * math.sqrt(hours)}
            self._tare += Uncertain(-FUEL_KG_PER_H * hours, drift)
            self._time_s = time_s
        return self._tare

    def emptied(self, time_s: float, empty_kg: Uncertain) -> None:
        """Weigh what was known against what was measured."""
        known = self.at(time_s)
        difference = empty_kg - known
        variance = difference.covariance(difference)
        if variance > 0.0:
            self._tare = known.plus(difference, -known.covariance(difference) / variance)
