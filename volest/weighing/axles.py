"""Axle weights, which come one by one, to gross weights."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

__all__ = ["OLDEST_S", "Round", "Rounds", "counted_locations", "rounds_of", "total_kg"]

OLDEST_S = 30.0  # three of the slowest repetitions that J1939 has for axle weights
REGULAR = 0.1  # a location with fewer frames than this part of the most frequent one's came there by mistake
WHOLE_AXLE = 0xF  # the tyre location of a weight that is the whole axle's
Key = TypeVar("Key", int, str)


@dataclass(frozen=True, slots=True)
class Round:
    """What came until a location came again: kg by location, NaN where a code stood in place of a weight."""

    time_s: float  # of the last frame
    kg: dict[Hashable, float]


class Rounds:
    """Cuts a stream of axle weights into rounds, each location at most once in each."""

    def __init__(self, oldest_s: float = OLDEST_S, order: Sequence[Hashable] = ()) -> None:
        """`oldest_s`: the longest that a round may take; `order`: of the locations, where they keep to one."""
        self._oldest_s = oldest_s
        self._rank = {location: rank for rank, location in enumerate(order)}
        self._kg: dict[Hashable, float] = {}
        self._started_s = self._last_s = 0.0
        self._last_rank = -1

    def add(self, time_s: float, location: Hashable, kg: float) -> Round | None:
        """Take one weight [kg]; the round that it ends, if it does."""
        rank = self._rank.get(location, len(self._rank))
        over = location in self._kg or (bool(self._rank) and rank <= self._last_rank)
        stale = not 0.0 <= time_s - self._started_s <= self._oldest_s or time_s < self._last_s
        ended = self.close() if over or stale else None
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


def rounds_of(time_s: Sequence[float], locations: Sequence[Key], kg: Sequence[float]) -> tuple[list[Round], set[Key]]:
    """The rounds of a whole recording, and the locations that came regularly."""
    frames: dict[Key, int] = {}
    for location in locations:
        frames[location] = frames.get(location, 0) + 1
    most = max(frames.values(), default=0)
    regular = {location for location, count in frames.items() if count >= REGULAR * most}
    kept = [i for i, location in enumerate(locations) if location in regular]
    rounds = Rounds(_oldest_s(time_s, locations, kept), _order(locations, kept, most))
    ended: list[Round | None] = [rounds.add(time_s[i], locations[i], kg[i]) for i in kept]
    return [one for one in (*ended, rounds.close()) if one is not None], regular


def _oldest_s(time_s: Sequence[float], locations: Sequence[Hashable], kept: list[int]) -> float:
    """One and a half of the mean time between two weights of one location."""
    last: dict[Hashable, float] = {}
    between = []
    for i in kept:
        if locations[i] in last:
            between.append(time_s[i] - last[locations[i]])
        last[locations[i]] = time_s[i]
    usual = 1.5 * float(np.mean(between)) if between else OLDEST_S
    return min(usual, OLDEST_S) if usual > 0.0 else OLDEST_S


def _order(locations: Sequence[Key], kept: list[int], most: int) -> list[Key]:
    """The order of the locations, by number or as they first came, where nearly all rounds keep to it; else none.

    With an order, a round in which an axle is missing is told from the next at once.
    """
    came = list(dict.fromkeys(locations[i] for i in kept))
    for order in (sorted(came), came):
        rank = {location: i for i, location in enumerate(order)}
        ranks = [rank[locations[i]] for i in kept]
        backward = sum(after <= before for before, after in pairwise(ranks))
        if backward <= 1.2 * most:
            return order
    return []
