"""Values whose errors are sums of independent ones, so that differences know what their terms share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from volest.quantity import Quantity

__all__ = ["Uncertain", "carried_on"]

NEGLIGIBLE = 1e-3  # of a standard uncertainty


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A value and, by the name of each source of error, what one standard deviation of it does to the value.

    Sources are independent, so the covariance of two values is the sum of products over what they share (the law of
    propagation, JCGM 100:2008, 5.1.2 and 5.2.2). Values add and subtract exactly, and so do their errors.
    """

    value: float
    errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def std(self) -> float:
        """The standard uncertainty."""
        return math.sqrt(math.fsum(c * c for c in self.errors.values()))

    def covariance(self, other: Uncertain) -> float:
        """Of the errors of two values."""
        return math.fsum(c * other.errors.get(source, 0.0) for source, c in self.errors.items())

    def __add__(self, other: Uncertain) -> Uncertain:
        return self.plus(other, 1.0)

    def __sub__(self, other: Uncertain) -> Uncertain:
        return self.plus(other, -1.0)

    def plus(self, other: Uncertain, factor: float) -> Uncertain:
        """This and so many times the other."""
        errors = dict(self.errors)
        for source, c in other.errors.items():
            errors[source] = errors.get(source, 0.0) + factor * c
        return Uncertain(self.value + factor * other.value, {s: c for s, c in errors.items() if c != 0.0})

    def quantity(self, low: float = -math.inf) -> Quantity:
        """As a normal quantity that is cut at `low`."""
        return Quantity.normal(self.value, self.std, low=low)


def carried_on(errors: Mapping[str, float], correlation: float, source: str) -> dict[str, float]:
    """An error of unit variance that is correlated so much with another of unit variance; the rest is a new source.

    Repeated, it is a first-order autoregressive chain: correlations multiply along it.
    """
    kept = {name: correlation * c for name, c in errors.items() if abs(correlation * c) > NEGLIGIBLE}
    while source in kept:
        source += "'"
    rest = 1.0 - math.fsum(c * c for c in kept.values())
    return kept | {source: math.sqrt(max(rest, 0.0))}
