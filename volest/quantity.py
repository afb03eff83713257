"""A measured value with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COVERAGE_95", "Quantity"]

COVERAGE_95 = 1.959964
"""Standard deviations that hold 95 % of a normal distribution to both sides."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value, its standard uncertainty and its 95 % interval, all in the unit that the field's name carries."""

    value: float
    std: float
    lower95: float
    upper95: float

    @classmethod
    def normal(cls, value: float, std: float, *, low: float = float("-inf"), high: float = float("inf")) -> Quantity:
        """A normally distributed quantity whose value and interval are cut to what is physically possible."""

        def cut(x: float) -> float:
            return min(max(x, low), high)

        return cls(cut(value), std, cut(value - COVERAGE_95 * std), cut(value + COVERAGE_95 * std))

    def to_dict(self) -> dict[str, float]:
        """The four numbers under the names of the result."""
        return {"value": self.value, "std": self.std, "lower95": self.lower95, "upper95": self.upper95}
