"""Axle weights, which come one by one, to gross weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

__all__ = ["OLDEST_S", "Round", "Rounds", "counted_locations", "rounds_of", "too_few", "total_kg"]

OLDEST_S = 30.0  # three of the slowest repetitions that J1939 has for axle weights
REGULAR = 0.1  # a location with fewer frames than this part of the most frequent one's came there by mistake
MANY = 2000  # frames are enough to tell an order
TRIED = 32  # frames from which on the order is looked for, in case the first round lacks one
WHOLE_AXLE = 0xF  # the tyre location of a weight that is the whole axle's
Key = TypeVar("Key", int, str)


@dataclass(frozen=True, slots=True)
class Round:
    """What came until a location came again: kg by location, NaN where a code stood in place of a weight."""

    time_s: float  # of the last frame
    kg: dict[Hashable, float]


class Rounds:
    """Cuts a stream of axle weights into rounds, each location at most once in each."""

    def __init__(self, oldest_s: float = OLDEST_S, pause_s: float = math.inf, order: Sequence[Hashable] = ()) -> None:
        """What ends a round, besides a location that comes again.

        `oldest_s`: what a round may take at the longest; `pause_s`: a longer one is between rounds; `order`: of the
        locations, where they keep to one.
        """
        self._oldest_s, self._pause_s = oldest_s, pause_s
        self._rank = {location: rank for rank, location in enumerate(order)}
        self._kg: dict[Hashable, float] = {}
        self._started_s = self._last_s = 0.0
        self._last_rank = -1

    def add(self, time_s: float, location: Hashable, kg: float) -> Round | None:
        """Take one weight [kg]; the round that it ends, if it does."""
        rank = self._rank.get(location, -1)
        over = location in self._kg or 0 <= rank <= self._last_rank
        in_time = 0.0 <= time_s - self._last_s <= self._pause_s and time_s - self._started_s <= self._oldest_s
        ended = self.close() if over or not in_time else None
        if not self._kg:
            self._started_s = time_s
        self._kg[location] = kg
        self._last_s, self._last_rank = time_s, rank
        return ended

    def close(self) -> Round | None:
        """The round that is not full yet, None where nothing came since the last."""
        ended = Round(self._last_s, self._kg) if self._kg else None
        self._kg = {}
        return ended


def total_kg(round_: Round, expected: Collection[Hashable]) -> float:
    """The sum of a round; NaN where an expected location is missing: that is a gap, not a lighter truck."""
    return sum(round_.kg.get(location, np.nan) for location in expected) if expected else np.nan


def counted_locations(locations: Iterable[int]) -> list[int]:
    """The J1939 axle locations that make up the truck, each axle once.

    A location (SPN 928) has the axle's number from the front in its high and the tyre's from the left in its low four
    bits, 15 there being the whole axle, beside which its tyres do not count.
    """
    found = set(locations)
    return sorted(loc for loc in found if loc & 0xF == WHOLE_AXLE or (loc | WHOLE_AXLE) not in found)


def too_few(locations: Iterable[int], axles: int | None) -> bool:
    """Whether these locations are on fewer axles than there are."""
    return axles is not None and len({location >> 4 for location in locations}) < axles


def rounds_of(time_s: Sequence[float], locations: Sequence[Key], kg: Sequence[float]) -> tuple[list[Round], set[Key]]:
    """The rounds of a whole recording, and the locations that came regularly.

    Pauses between the rounds tell them apart and, where there are none, the order of the locations: with either a
    round in which an axle is missing is not filled up from the next.
    """
    count = Counter(locations)
    most = max(count.values(), default=0)
    regular = {location for location, seen in count.items() if seen >= REGULAR * most}
    frames: list[tuple[float, Key, float]] = [
        frame for frame in zip(time_s, locations, kg, strict=True) if frame[1] in regular
    ]
    period_s = _periods_s(frames)
    rounds = _cut(frames, period_s, ())
    if _complete(rounds[1:-1], regular) < len(rounds[1:-1]):
        rounds = _cut(frames, period_s, _order(frames, regular, period_s, most))
    return rounds, regular


def _cut(
    frames: Sequence[tuple[float, Key, float]], period_s: tuple[float, float], order: Sequence[Key]
) -> list[Round]:
    rounds = Rounds(min(1.5 * period_s[0], OLDEST_S), 0.6 * period_s[1], order)
    ended: list[Round | None] = [rounds.add(*frame) for frame in frames]
    return [one for one in (*ended, rounds.close()) if one is not None]


def _complete(rounds: Iterable[Round], regular: set[Key]) -> int:
    return sum(len(one.kg) == len(regular) for one in rounds)


def _periods_s(frames: Sequence[tuple[float, Key, float]]) -> tuple[float, float]:
    """Mean and median of the time between two weights of one location.

    The mean knows rounds whose order changes from one to the next, the median those in which weights are missing.
    """
    last: dict[Hashable, float] = {}
    between = []
    for time_s, location, _ in frames:
        if location in last:
            between.append(time_s - last[location])
        last[location] = time_s
    mean, median = (float(np.mean(between)), float(np.median(between))) if between else (0.0, 0.0)
    return mean if mean > 0.0 else OLDEST_S, median if median > 0.0 else OLDEST_S


def _order(
    frames: list[tuple[float, Key, float]], regular: set[Key], period_s: tuple[float, float], most: int
) -> list[Key]:
    """The order of the locations, by number or as they came, to which nearly all rounds keep; else none."""
    came = [location for _, location, _ in frames]
    starts = range(min(len(came), TRIED))
    orders: list[tuple[Key, ...]] = []
    orders.append(tuple(sorted(regular)))
    orders += [tuple(dict.fromkeys(came[i : i + MANY])) for i in starts]
    best: tuple[Key, ...] = ()
    most_complete = -1
    for order in dict.fromkeys(orders):
        rank = {location: i for i, location in enumerate(order)}
        if len(order) < len(regular) or sum(rank[b] <= rank[a] for a, b in pairwise(came)) > 1.3 * most:
            continue
        complete = _complete(_cut(frames[:MANY], period_s, order), regular)
        if complete > most_complete:
            best, most_complete = order, complete
    return list(best)
