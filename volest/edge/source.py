"""Where events come from: a day's folder in the place of sensors, or the sensors themselves."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from volest.edge.clock import Clock
from volest.edge.config import CanTable, EdgeConfig, EdgeError, ReplayTable
from volest.edge.delivery import Backoff
from volest.edge.lidar import Lidar
from volest.errors import InputError, MissingExtraError, WeightError
from volest.track import Day, Entry, Tracker
from volest.truck import Truck
from volest.weighing import live_weights

__all__ = ["Event", "Live", "Replay", "Source"]

TICK_S = 0.1  # how soon a stop is heeded
TOGETHER_S = 0.5  # scans of several sensors that belong together
MOST_EVENTS = 256  # that wait for the tracker; sensors wait then, and the kernel drops what it cannot hold
UNLOCATED_S = 120.0  # from scan to scan where nobody tells the speed: each is taken for a halt then
SPEED_S = 60.0  # after which a speed is not known any more
LATEST_S = 5.0  # as long a frame of the bus may have waited


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, and what it does to a tracker."""

    time_s: float
    happen: Callable[[Tracker], list[Entry]]


class Source(Protocol):
    """Events in the order of time."""

    truck: Truck
    name: str  # of its mark in the outbox

    def events(self, stop: threading.Event, reached_s: float) -> Iterator[Event | None]:
        """The events; None about ten times a second while there is none."""

    def counts(self) -> dict[str, int]:
        """How much each sensor has told so far."""


class Replay:
    """A day's folder, at its own pace or faster."""

    def __init__(self, table: ReplayTable) -> None:
        """Raises InputError for a folder that cannot be used."""
        self._day, self._speed = Day.load(table.day), table.speed
        self.truck, self.name = self._day.truck, f"replay {table.day}"
        self._events = 0

    def events(self, stop: threading.Event, reached_s: float) -> Iterator[Event | None]:
        """The day from its beginning, without waiting up to `reached_s`."""
        begin: tuple[float, float] | None = None
        for time_s, happen in self._day.events():
            if self._speed is not None and time_s > reached_s:
                begin = begin or (time.monotonic(), time_s)
                due_s = begin[0] + (time_s - begin[1]) / self._speed
                while (left_s := due_s - time.monotonic()) > 0.0:
                    stop.wait(min(left_s, TICK_S))
                    yield None
            self._events += 1
            yield Event(time_s, happen)

    def counts(self) -> dict[str, int]:
        """Events of any kind."""
        return {"replay": self._events}


class Live:
    """Lidars and a CAN interface; each is read by a thread of its own, the tracker is asked by one."""

    name = "live"

    def __init__(self, config: EdgeConfig, tell: Callable[[str], None]) -> None:
        """Raises InputError for a truck, a port or an interface that cannot be used."""
        assert config.truck is not None
        self.truck = Truck.load(config.truck)
        self._can, self._tell, self._weights = config.can, tell, 0
        known = self.truck.sensor_ids
        for i, table in enumerate(config.lidar):
            if (known and table.sensor not in known) or (not known and table.sensor):
                expected = ", ".join(known) or "none, as the truck has no sensors"
                raise EdgeError(f"lidar[{i}].sensor: found {table.sensor!r}, expected {expected}")
        if config.can is not None and self.truck.scale is None:
            raise EdgeError("can: found it, but no [scale] in the truck file, expected its tare_kg")
        if config.can is not None and not (find_spec("can") and find_spec("cantools")):
            raise MissingExtraError("a CAN interface", "edge")
        self._lidars = [Lidar(table, tell) for table in config.lidar]
        self._queue: queue.Queue[Event | tuple[float, str, NDArray[np.float32]]] = queue.Queue(MOST_EVENTS)
        self.clock = Clock()
        self._speed_s = self._scan_s = -math.inf

    def events(self, stop: threading.Event, reached_s: float) -> Iterator[Event | None]:
        """What comes, on a clock that goes on from `reached_s` should the wall clock be behind."""
        self.clock = Clock(reached_s if math.isfinite(reached_s) else None)
        if self.clock.went_back_s:
            self._tell(f"the wall clock is {self.clock.went_back_s:.0f} s behind what was told before: not heeded")
        threads = [threading.Thread(target=self._look, args=(lidar, stop), daemon=True) for lidar in self._lidars]
        if self._can is not None:
            threads.append(threading.Thread(target=self._weigh, args=(self._can, stop), daemon=True))
        for thread in threads:
            thread.start()
        together: dict[str, tuple[float, NDArray[np.float32]]] = {}
        while not stop.is_set():
            try:
                what = self._queue.get(timeout=TICK_S)
            except queue.Empty:
                what = None
            if what is None and not all(thread.is_alive() for thread in threads) and not stop.is_set():
                raise RuntimeError("a sensor's thread has ended")  # to be started again by systemd
            if isinstance(what, tuple):
                together[what[1]] = (what[0], what[2])
            now_s = self.clock.now_s()
            first_s = min((time_s for time_s, _ in together.values()), default=now_s)
            if together and (len(together) == len(self._lidars) or now_s - first_s > TOGETHER_S):
                if self._is_wanted(first_s):
                    self._scan_s = first_s
                    yield _seen(together)
                together = {}
            yield what if isinstance(what, Event) else None

    def _is_wanted(self, time_s: float) -> bool:
        return time_s - self._speed_s < SPEED_S or time_s - self._scan_s >= UNLOCATED_S

    def counts(self) -> dict[str, int]:
        """Turns of each lidar, and weights."""
        counts = {lidar.table.sensor or lidar.where: lidar.turns for lidar in self._lidars}
        return counts if self._can is None else counts | {"weights": self._weights}

    def _look(self, lidar: Lidar, stop: threading.Event) -> None:
        def take(monotonic_s: float, xyz: NDArray[np.float32]) -> None:
            age_s = max(0.0, time.monotonic() - monotonic_s)
            self._queue.put((self.clock.now_s() - age_s, lidar.table.sensor, xyz))

        lidar.run(stop, take)

    def _weigh(self, can: CanTable, stop: threading.Event) -> None:
        """Weights, and the speed that the bus tells beside them; an interface that is gone is opened again."""
        backoff, scale, latest_s = Backoff(), self.truck.scale, -math.inf
        assert scale is not None
        while not stop.is_set():
            try:
                for weight in live_weights(scale, can.channel, can.interface, stop):
                    age_s = time.time() - weight.time_s  # by the same clock, which may be set meanwhile
                    time_s = self.clock.now_s() - (age_s if 0.0 <= age_s <= LATEST_S else 0.0)
                    latest_s = max(time_s, latest_s)
                    self._weights += 1
                    if math.isfinite(weight.speed_m_s):
                        self._speed_s = latest_s
                    self._queue.put(_weighed(latest_s, weight.gross_kg, weight.speed_m_s))
                    backoff.reset()
            except WeightError as error:
                self._tell(str(error))
                stop.wait(backoff.wait_s())


def _seen(together: dict[str, tuple[float, NDArray[np.float32]]]) -> Event:
    time_s = max(time_s for time_s, _ in together.values())
    scans: Any = {sensor: xyz for sensor, (_, xyz) in together.items()}

    def happen(tracker: Tracker) -> list[Entry]:
        try:
            return tracker.scan(time_s, scans)
        except InputError as error:
            tracker.note("unreadable", str(error))
            return []

    return Event(time_s, happen)


def _weighed(time_s: float, gross_kg: float, speed_m_s: float) -> Event:
    def happen(tracker: Tracker) -> list[Entry]:
        entries = tracker.position(time_s, math.nan, math.nan, speed_m_s) if math.isfinite(speed_m_s) else []
        return entries + tracker.weight(time_s, gross_kg)

    return Event(time_s, happen)
