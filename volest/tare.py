"""The tare as it wanders: told by the truck file, tracked from the truck's own empty states after each tip.

Model and figures: `docs/scale.md`. The state is (tare, density of what sticks, the volume that the lidar sees too much
of every empty bed), a Kalman filter on scalar readings: gross = tare + density (left - excess).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from volest.errors import WeightError
from volest.quantity import Quantity
from volest.schema import check
from volest.truck import Scale, WasteProfile

__all__ = ["EmptyState", "TareTracker"]

WALK_KG_PER_ROOT_HOUR = 10.0  # fuel burnt, crew, mud: 28 kg in a day's eight hours
BED_STD_M3 = 0.02  # of the empty bed's volume, alike in all of its scans
GATE = 10.83  # chi-square with one degree of freedom: one sound reading in 1000 is doubted
MOST_STD_KG = 300.0  # fuel, crew and mud can be no more, however long the truck stood: the gate stays finite
LEAST_DENSITY_KG_M3 = 10.0

Cause = Literal["carry_back", "tare_drift", "tare_jump", "doubtful"]
_Time = Annotated[float, Meta(ge=-1e12, le=1e12, description="seconds, -1e12 to 1e12")]
_Mass = Annotated[float, Meta(ge=-1e6, le=1e6, description="kilograms, -1e6 to 1e6")]
_MassStd = Annotated[float, Meta(ge=0, le=20_000, description="kilograms, 0 to 20000")]
_Volume = Annotated[float, Meta(ge=-100, le=100, description="cubic metres, -100 to 100")]
_VolumeStd = Annotated[float, Meta(ge=0, le=100, description="cubic metres, 0 to 100")]
_Density = Annotated[float, Meta(ge=0, le=5_000, description="kg/m3, 0 to 5000")]
_Entry = Annotated[float, Meta(ge=-1e12, le=1e12, description="a number, -1e12 to 1e12")]
_Row = Annotated[list[_Entry], Meta(min_length=3, max_length=3, description="three numbers")]


class _Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One empty state: what the scale read, and what the lidar saw left in the bed."""

    time_s: _Time
    gross_kg: _Mass
    gross_std_kg: _MassStd
    left_m3: _Volume
    left_std_m3: _VolumeStd


class _State(msgspec.Struct, forbid_unknown_fields=True):
    """All that a tracker knows, as it is kept over a restart."""

    time_s: _Time | None
    mean: _Row
    covariance: Annotated[list[_Row], Meta(min_length=3, max_length=3, description="three rows")]
    walk_kg_per_root_hour: _MassStd
    tip_std_kg_m3: _Density  # of the density from tip to tip
    doubted: _Reading | None = None
    schema: Annotated[Literal["volest/tare/1"], Meta(description="volest/tare/1")] = "volest/tare/1"


@dataclass(frozen=True, slots=True)
class EmptyState:
    """What one empty state told."""

    tare_kg: Quantity
    carry_back_kg: Quantity
    causes: tuple[Cause, ...]  # why the reading is not that of the tare as it was; none: it is
    surprise: float  # how far the reading was off what was expected, in standard deviations


class TareTracker:
    """The tare of one truck, from the truck file's own to what its empty states say.

    Between them the tare walks at random, `walk_kg_per_root_hour` being its standard deviation after an hour. What the
    lidar saw left counts with the density of the waste profile, whose share that is the truck's own is learned.
    `bed_std_m3` is the standard uncertainty that all scans of the empty bed have in common (`volume_budget_m3`:
    reference and range).
    """

    def __init__(
        self,
        scale: Scale,
        waste: WasteProfile,
        *,
        walk_kg_per_root_hour: float = WALK_KG_PER_ROOT_HOUR,
        bed_std_m3: float = BED_STD_M3,
    ) -> None:
        density, density_std = _density_of_any(waste)
        own = density_std / math.sqrt(2.0)  # half of the variance is the truck's, half the tip's
        variances = (scale.tare_std_kg**2, own**2, bed_std_m3**2)
        document = {
            "time_s": None,
            "mean": [scale.tare_kg, density, 0.0],
            "covariance": [[v if i == j else 0.0 for j in range(3)] for i, v in enumerate(variances)],
            "walk_kg_per_root_hour": walk_kg_per_root_hour,
            "tip_std_kg_m3": own,
        }
        self._state = _checked(document)

    @classmethod
    def from_dict(cls, document: object) -> TareTracker:
        """The tracker whose `to_dict` this is; raises WeightError naming the key, what was found and expected."""
        tracker = cls.__new__(cls)
        tracker._state = _checked(document)
        return tracker

    def to_dict(self) -> dict[str, Any]:
        """All of its state, for JSON."""
        document: dict[str, Any] = msgspec.to_builtins(self._state)
        return document

    def tare(self, time_s: float | None = None) -> Quantity:
        """The tare [kg] at a time [s], by default that of the last event; nothing is changed.

        While a reading is doubted the interval also holds what it says, for it may have been the first after a jump.
        """
        state = self._state
        time_s = self._time(time_s if time_s is not None else state.time_s or 0.0)
        variance = self._walked(time_s)[0, 0]
        if state.doubted is not None:
            variance += 0.5 * self._surprise(state.doubted, time_s)[0] ** 2
        return Quantity.normal(state.mean[0], math.sqrt(variance), low=0.0)

    @property
    def in_doubt(self) -> bool:
        """Whether the last reading is doubted."""
        return self._state.doubted is not None

    def scale(self, scale: Scale, time_s: float | None = None) -> Scale:
        """The truck's scale with the tare as it is at `time_s`."""
        tare = self.tare(time_s)
        return msgspec.structs.replace(scale, tare_kg=tare.value, tare_std_kg=tare.std)

    def step(self, time_s: float, kg: float, std_kg: float) -> None:
        """The tare was changed by a known mass: fuel taken, crew in or out, a container put on."""
        kg, std_kg = _number(kg, "kg", -20_000.0, 20_000.0), _number(std_kg, "std_kg", 0.0, 20_000.0)
        self._advance(self._time(time_s))
        state = self._state
        state.mean[0] += kg
        state.covariance[0][0] += std_kg**2
        if state.doubted is not None:
            state.doubted = msgspec.structs.replace(state.doubted, gross_kg=state.doubted.gross_kg + kg)

    def empty(
        self, time_s: float, gross_kg: float, gross_std_kg: float, left_m3: float, left_std_m3: float
    ) -> EmptyState:
        """Learn from an empty state: the gross mass at rest, and the volume seen in the bed with its std.

        A volume not cut off at 0 is better than one that is. A reading beyond the gate is doubted and moves nothing; a
        second one that agrees with it is a jump of the tare. Raises WeightError for numbers that no reading has, and
        for a time before the last.
        """
        reading = _Reading(
            self._time(time_s),
            _number(gross_kg, "gross_kg", 0.0, 200_000.0),
            _number(gross_std_kg, "gross_std_kg", 0.0, 20_000.0),
            _number(left_m3, "left_m3", -100.0, 100.0),
            _number(left_std_m3, "left_std_m3", 0.0, 100.0),
        )
        before = self._walked(self._state.time_s if self._state.time_s is not None else reading.time_s)[0, 0]
        self._advance(reading.time_s)
        change, variance = self._surprise(reading, reading.time_s)
        walked = self._state.covariance[0][0] - before
        causes: list[Cause] = []
        if change**2 > GATE * variance:
            causes.append("tare_jump" if self._agrees_with_doubted(reading) else "doubtful")
        elif change**2 > 3.84 * (variance - walked):
            causes.append("tare_drift")
        self._learn(reading, causes)
        left = self._carry_back(reading)
        if left.value > 1.96 * left.std:
            causes.append("carry_back")
        return EmptyState(self.tare(), left, tuple(causes), change / math.sqrt(variance))

    # --- the filter ---------------------------------------------------------------------------------------------------

    def _learn(self, reading: _Reading, causes: list[Cause]) -> None:
        state = self._state
        if "doubtful" in causes:
            state.doubted = reading
            return
        doubted, state.doubted = state.doubted, None
        if "tare_jump" in causes and doubted is not None:
            state.covariance[0][0] += MOST_STD_KG**2
            self._update(doubted)
        self._update(reading)

    def _update(self, reading: _Reading) -> None:
        """Kalman's update by one scalar reading."""
        state = self._state
        slope, noise = self._linear(reading)
        covariance = np.array(state.covariance)
        innovation, variance = self._surprise(reading, reading.time_s)
        gain = covariance @ slope / variance
        mean = np.array(state.mean) + gain * innovation
        mean[1] = max(mean[1], LEAST_DENSITY_KG_M3)
        # Joseph's form stays positive definite whatever is rounded.
        left = np.eye(3) - np.outer(gain, slope)
        covariance = left @ covariance @ left.T + noise * np.outer(gain, gain)
        state.mean, state.covariance = mean.tolist(), (0.5 * (covariance + covariance.T)).tolist()

    def _linear(self, reading: _Reading) -> tuple[NDArray[np.float64], float]:
        """What the reading grows with, for each part of the state, and the variance that is its own."""
        _, density, excess = self._state.mean
        left, common = reading.left_m3 - excess, self._state.covariance[2][2]
        own_m3_squared = max(reading.left_std_m3**2 - common, 0.0)
        noise = reading.gross_std_kg**2 + density**2 * own_m3_squared + (left * self._state.tip_std_kg_m3) ** 2
        return np.array([1.0, left, -density]), noise + 1e-6

    def _surprise(self, reading: _Reading, time_s: float) -> tuple[float, float]:
        """By how much the gross mass [kg] is more than expected, and the variance of that."""
        slope, noise = self._linear(reading)
        tare, density, excess = self._state.mean
        expected = tare + density * (reading.left_m3 - excess)
        return reading.gross_kg - expected, float(slope @ self._walked(time_s) @ slope) + noise

    def _agrees_with_doubted(self, reading: _Reading) -> bool:
        doubted = self._state.doubted
        if doubted is None:
            return False
        between = reading.time_s - doubted.time_s
        variance = self._linear(reading)[1] + self._linear(doubted)[1]
        variance += min(self._state.walk_kg_per_root_hour**2 * between / 3600.0, MOST_STD_KG**2)
        apart = self._surprise(reading, reading.time_s)[0] - self._surprise(doubted, reading.time_s)[0]
        return apart**2 <= GATE * variance

    def _carry_back(self, reading: _Reading) -> Quantity:
        """The mass of what the lidar saw left."""
        _, density, excess = self._state.mean
        left = reading.left_m3 - excess
        density_variance = self._state.covariance[1][1] + self._state.tip_std_kg_m3**2
        left_variance = max(reading.left_std_m3**2, self._state.covariance[2][2])
        variance = density**2 * left_variance + density_variance * (left**2 + left_variance)
        return Quantity.normal(density * left, math.sqrt(variance), low=0.0)

    def _walked(self, time_s: float) -> NDArray[np.float64]:
        """The covariance at a time not before the last."""
        state = self._state
        covariance = np.array(state.covariance)
        if state.time_s is not None:
            walk = state.walk_kg_per_root_hour**2 * (time_s - state.time_s) / 3600.0
            covariance[0, 0] = max(covariance[0, 0], min(covariance[0, 0] + walk, MOST_STD_KG**2))
        return covariance

    def _advance(self, time_s: float) -> None:
        self._state.covariance = self._walked(time_s).tolist()
        self._state.time_s = time_s

    def _time(self, time_s: float) -> float:
        time_s = _number(time_s, "time_s", -1e12, 1e12)
        last = self._state.time_s
        if last is not None and time_s < last:
            raise WeightError(f"tare: time_s: found {time_s:g}, expected no time before the last one, {last:g}")
        return time_s


def _density_of_any(waste: WasteProfile) -> tuple[float, float]:
    """Mean and standard deviation [kg/m3] of the density of waste of which the wet mass fraction may be anything."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    wet_fraction = (np.arange(64) + 0.5)[:, None, None] / 64
    dry = waste.dry_kg_m3 * np.exp(waste.dry_log_std * nodes)[:, None]
    wet = waste.wet_kg_m3 * np.exp(waste.wet_log_std * nodes)
    density = 1.0 / (wet_fraction / wet + (1.0 - wet_fraction) / dry)
    share = np.broadcast_to(np.outer(weights, weights), density.shape)
    mean = float(np.average(density, weights=share))
    return mean, math.sqrt(float(np.average((density - mean) ** 2, weights=share)))


def _checked(document: object) -> _State:
    state = check(document, _State, "tare", WeightError)
    covariance = np.array(state.covariance)
    symmetric = np.allclose(covariance, covariance.T, rtol=1e-6, atol=1e-9)
    if not symmetric or np.linalg.eigvalsh(covariance)[0] < -1e-6 * max(float(np.trace(covariance)), 1e-9):
        raise WeightError(f"tare: covariance: found {state.covariance}, expected a covariance")
    return state


def _number(value: float, name: str, low: float, high: float) -> float:
    if not low <= value <= high:  # NaN is in no range
        raise WeightError(f"tare: {name}: found {value}, expected {low:g} to {high:g}")
    return float(value)
