"""Weights from a CAN interface as they come."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np

from volest.errors import MissingExtraError, WeightError
from volest.scale import CanScale, Scale
from volest.weighing.axles import Rounds, counted_locations, too_few, total_kg
from volest.weighing.canbus import HELD_S, OWN, BusWeights, Sample, Sources
from volest.weighing.corrections import corrected
from volest.weighing.series import WeightSeries

__all__ = ["LiveWeight", "live_weights"]

WAIT_S = 0.2  # how soon a stop is heeded on a silent bus
REMEMBERED_S = 60.0  # a better weight not heard of for so long is not waited for
KNOWN_FRAMES = 3  # a location heard of as often is an axle of the truck for good: should it fail, that is a gap


@dataclass(frozen=True, slots=True)
class LiveWeight:
    """One gross mass, NaN for a round in which a weight was missing or refused; what is not known beside it is NaN."""

    time_s: float
    gross_kg: float
    signal: str  # what it was read from, see volest.weighing.canbus.RANKS
    speed_m_s: float = math.nan
    pitch_rad: float = math.nan
    roll_rad: float = math.nan


def live_weights(
    scale: Scale, channel: str, interface: str = "socketcan", stop: Event | None = None, **settings: Any
) -> Iterator[LiveWeight]:
    """Gross masses from a CAN interface until `stop` is set or the iterator is closed; the interface is then left.

    `interface`, `channel` and `settings` are those of python-can's `can.Bus`. Memory is bounded however long it runs.
    Axles are summed when the next round begins, from the fourth round on, for only then it is known which there are.
    Raises WeightError when the interface cannot be opened or goes away.
    """
    try:
        import can
    except ImportError as error:
        raise MissingExtraError("a CAN interface", "server") from error
    where = f"{interface} {channel}"
    watch = _Watch(scale, where)
    try:
        bus = can.Bus(interface=interface, channel=channel, **settings)
    except (can.CanError, OSError, ValueError) as error:
        raise _gone(where, error) from error
    with bus:
        while stop is None or not stop.is_set():
            try:
                frame = bus.recv(WAIT_S)
            except (can.CanError, OSError) as error:
                raise _gone(where, error) from error
            if frame is not None:
                yield from watch.take(frame)


def _gone(where: str, error: Exception) -> WeightError:
    reason = " ".join(str(error).split())[:200]
    return WeightError(f"{where}: no CAN interface to read from ({reason})")


class _Watch:
    """What is remembered of a running bus."""

    def __init__(self, scale: Scale, where: str) -> None:
        self._scale = scale
        self._can = scale.can or CanScale()
        self._bus = BusWeights(self._can)
        self._sources, self._rounds = Sources(where), Rounds()
        self._heard_s: dict[str, float] = {}  # by kind of weight
        self._frames: dict[int | str, int] = {}  # by axle location
        self._ended = 0  # rounds
        self._context: dict[str, tuple[float, float]] = {}  # time and value

    def take(self, frame: Any) -> Iterator[LiveWeight]:
        """The weights that a frame completes."""
        for sample in self._bus.samples(frame):
            if sample.kind not in self._bus.kinds:
                self._context[sample.kind] = (sample.time_s, sample.value)
            elif self._best(sample):
                yield from self._weight(sample)

    def _best(self, sample: Sample) -> bool:
        """Whether this kind of weight is there at all, and no better one was heard of lately."""
        kinds = self._bus.kinds
        if math.isfinite(sample.value):
            self._heard_s[sample.kind] = sample.time_s
        if sample.kind not in self._heard_s:
            return False
        better = kinds[: kinds.index(sample.kind)]
        return not any(sample.time_s - self._heard_s.get(kind, -math.inf) < REMEMBERED_S for kind in better)

    def _weight(self, sample: Sample) -> Iterator[LiveWeight]:
        if sample.kind == "axles" and self._can.source_address is None:
            self._sources.check(sample)
        if sample.kind == "axles" or len(self._bus.own_factors) > 1:
            ended = self._rounds.add(sample.time_s, sample.location, sample.value)
            self._frames[sample.location] = self._frames.get(sample.location, 0) + 1
            self._ended += ended is not None
            if ended is not None and self._ended > KNOWN_FRAMES:
                yield self._reading(ended.time_s, total_kg(ended, self._expected()), sample.kind)
        else:
            yield self._reading(sample.time_s, sample.value, sample.kind)

    def _expected(self) -> list[int | str]:
        if self._bus.own_factors:
            return [*self._bus.own_factors]
        known = [int(name) for name, count in self._frames.items() if count >= KNOWN_FRAMES]
        return [] if too_few(known, self._can.axles) else [*counted_locations(known)]

    def _reading(self, time_s: float, kg: float, kind: str) -> LiveWeight:
        net = kind == "cargo" or (kind == OWN and self._can.quantity == "net")
        context = {name: value for name, (last_s, value) in self._context.items() if abs(time_s - last_s) <= HELD_S}
        slope = {name: np.array([value]) for name, value in context.items()}
        one = WeightSeries(
            np.array([time_s]),
            np.array([kg + self._scale.tare_kg * net]),
            pitch_rad=slope.get("pitch_rad"),
            roll_rad=slope.get("roll_rad"),
        )
        return LiveWeight(time_s, float(corrected(one, self._scale).gross_kg[0]), kind, **context)
