"""Where and when a truck stands, and what scans and scale said meanwhile."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from volest.result import Result
from volest.track.entry import Place
from volest.weight import GrossMass, settle

__all__ = ["Halt", "Motion", "Weights"]

STANDS_M_S, MOVES_M_S = 0.5, 1.5
MOVES_FOR_S = 3.0  # before a halt is over
NO_FIX_S = 60.0  # after which nobody knows whether the truck moves
MOMENT_S = 1.0
MOST_SAMPLES = 400_000
KEPT_S = 120.0  # of weights, while the truck drives


@dataclass(slots=True)
class Halt:
    """One halt. Without positions it is the moment of a scan."""

    begin_s: float
    end_s: float
    located: bool = True
    scans: list[tuple[float, Result]] = field(default_factory=list)  # the first and the last
    _lat: list[float] = field(default_factory=list)
    _lon: list[float] = field(default_factory=list)

    def see(self, time_s: float, result: Result) -> None:
        """A scan that gave a volume; of many the first and the last are kept."""
        self.scans[1:] = [(time_s, result)] if self.scans else []
        self.scans = self.scans or [(time_s, result)]

    def stand(self, time_s: float, lat: float, lon: float) -> None:
        """The truck still stands."""
        self.end_s = max(self.end_s, time_s)
        if math.isfinite(lat) and math.isfinite(lon):
            self._lat.append(lat)
            self._lon.append(lon)

    @property
    def leaves_only(self) -> bool:
        """Whether its only scan was taken nearer to its end."""
        return self.located and len(self.scans) == 1 and 2.0 * self.scans[0][0] > self.begin_s + self.end_s

    def shows_leaving(self, known_s: float) -> bool:
        """Whether its last scan tells more than what was known at some time, its arrival's perhaps."""
        if not self.scans:
            return False
        return self.leaves_only or not self.located or len(self.scans) > 1 or known_s < self.begin_s

    @property
    def place(self) -> Place | None:
        """Middle of the positions: latitude and longitude in degrees."""
        return (float(np.median(self._lat)), float(np.median(self._lon))) if self._lat else None


class Motion:
    """Tells from positions when the truck stands."""

    def __init__(self) -> None:
        self.halt: Halt | None = None
        self._fix_s = -math.inf
        self._moves_since_s: float | None = None

    def known(self, time_s: float) -> bool:
        """Whether there is a position that is not too old."""
        return time_s - self._fix_s <= NO_FIX_S

    def is_moment(self, time_s: float) -> bool:
        """Whether this is the moment of a scan that was taken for a halt."""
        return self.halt is not None and not self.halt.located and time_s - self.halt.begin_s <= MOMENT_S

    def position(self, time_s: float, lat: float, lon: float, speed_m_s: float) -> Halt | None:
        """The halt that is over, if one is. Positions without a speed tell nothing."""
        if not math.isfinite(speed_m_s):
            return None
        self._fix_s = time_s
        if speed_m_s < STANDS_M_S:
            self._moves_since_s = None
            self.halt = self.halt or Halt(time_s, time_s)
            self.halt.stand(time_s, lat, lon)
        elif speed_m_s > MOVES_M_S and self.halt is not None:
            if self._moves_since_s is None:
                self._moves_since_s = time_s
            if time_s - self._moves_since_s >= MOVES_FOR_S:
                return self.over()
        return None

    def over(self) -> Halt | None:
        """End the halt, whatever the positions say."""
        halt, self.halt, self._moves_since_s = self.halt, None, None
        return halt


class Weights:
    """The latest readings of the scale."""

    def __init__(self, resolution_kg: float) -> None:
        self._resolution_kg = resolution_kg
        self._samples: deque[tuple[float, float]] = deque(maxlen=MOST_SAMPLES)
        self.any = False

    def add(self, time_s: float, gross_kg: float, since_s: float) -> None:
        """A reading; those older than `since_s` by more than two minutes are forgotten."""
        self.any = True
        self._samples.append((time_s, gross_kg))
        while self._samples and self._samples[0][0] < since_s - KEPT_S:
            self._samples.popleft()

    def level(self, begin_s: float, end_s: float) -> GrossMass:
        """The gross mass between two times; its `kg` is None where there was no reading."""
        rows = np.array([row for row in self._samples if begin_s <= row[0] <= end_s], dtype=np.float64).reshape(-1, 2)
        return settle(rows[:, 0], rows[:, 1], self._resolution_kg)
