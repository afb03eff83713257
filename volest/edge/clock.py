"""The agent's own clock: begins near the clock on the wall, and never goes back, whatever that one does."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

LATEST_S = 4e9  # the year 2096: a wall clock beyond it is wrong


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Seconds since 1970, more or less: so many since the computer was switched on, and a constant.

    `since_s`: what it showed last before it was stopped, from which it goes on where the wall clock is behind. So the
    order of events, and the ids made of their times, hold when the wall clock is set, has lost its battery, or jumps.
    """

    def __init__(
        self,
        since_s: float | None = None,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = _boot_s,
    ) -> None:
        self._steady = steady
        begin_s = min(wall(), LATEST_S)
        self.went_back_s = 0.0  # how far behind the wall clock was found
        if since_s is not None and begin_s <= since_s:
            self.went_back_s = since_s - begin_s
            begin_s = since_s + 0.001
        self._offset_s = begin_s - steady()

    def now_s(self) -> float:
        """Now."""
        return self._steady() + self._offset_s
