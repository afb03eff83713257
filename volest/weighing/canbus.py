"""The weights on a CAN bus: which of them to read, and what was on the truck by them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from volest.errors import WeightError
from volest.scale import CanScale, Scale
from volest.weighing.axles import Round, counted_locations, rounds_of, too_few, total_kg
from volest.weighing.dbc import Decoder, j1939, own_database
from volest.weighing.series import WeightSeries

if TYPE_CHECKING:
    from can import Message

__all__ = ["CONTEXT", "HELD_S", "OWN", "RANKS", "BusWeights", "Sample", "Sources", "series_of"]

Array = NDArray[np.float64]

OWN = "own"
RANKS = ("axles", "powered_vehicle", "gross_combination", "cargo")
"""The weights of J1939, the best first: measured axles before what another computer made of them, gross before net."""
SIGNALS = {
    "axles": ("VehicleWeight", "AxleWeight"),
    "powered_vehicle": ("CombinationVehicleWeight", "PoweredVehicleWeight"),
    "gross_combination": ("CombinationVehicleWeight", "GrossCombinationVehicleWeight"),
    "cargo": ("VehicleWeight", "CargoWeight"),
}
NAMES = {
    "axles": "the sum of the axle weights (PGN 65258, SPN 582)",
    "powered_vehicle": "powered vehicle weight (PGN 65136, SPN 1585)",
    "gross_combination": "gross combination vehicle weight (PGN 65136, SPN 1760)",
    "cargo": "cargo weight (PGN 65258, SPN 181) with the tare of the truck file",
}
CONTEXT = {  # by signal: the field of a WeightSeries and what makes its unit SI
    "WheelBasedVehicleSpeed": ("speed_m_s", 1.0 / 3.6),
    "PitchAngle": ("pitch_rad", math.pi / 180.0),
    "RollAngle": ("roll_rad", math.pi / 180.0),
}
CONTEXT_MESSAGES = ("CruiseControlVehicleSpeed", "SlopeSensorInformation", "SlopeSensorInformation2")
MOST_IDENTIFIERS = 100_000
MOST_SAMPLES = 1_000_000  # of one kind: a week of axle weights
KG = {"kg": 1.0, "t": 1000.0, "g": 0.001, "lb": 0.45359237, "lbs": 0.45359237, "": 1.0}
HELD_S = 5.0  # as long a speed or slope is taken for the present one
NO_AXLE = 0xF0  # an axle location from here on names no axle


@dataclass(frozen=True, slots=True)
class Sample:
    """One value from the bus: a weight, NaN where it was refused, or, with a `kind` of CONTEXT, what goes with it."""

    kind: str
    time_s: float
    value: float  # kg; SI for context
    location: int | str = 0  # an axle's (SPN 928), or one of the user's own signals
    source: int = 0  # the J1939 source address


class BusWeights:
    """Finds weights in frames, as [scale.can] tells."""

    def __init__(self, can: CanScale) -> None:
        """Raises WeightError for a DBC that cannot be read or lacks the signal."""
        self._can = can
        self.axles = can.axles
        wanted = {message: set(CONTEXT) for message in CONTEXT_MESSAGES}
        self._own: Decoder | None = None
        self.own_factors: dict[str, float] = {}  # kg per unit, by MESSAGE.SIGNAL
        if can.dbc is None:
            wanted |= {"VehicleWeight": {"AxleLocation", "AxleWeight", "CargoWeight"}}
            wanted |= {"CombinationVehicleWeight": {signal for _, signal in SIGNALS.values()}}
        else:
            self._own = self._own_decoder(Path(can.dbc))
        self._j1939 = Decoder(j1939(), wanted)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The weights that may be taken, the best first."""
        if self._own is not None:
            return (OWN,)
        return RANKS if self._can.signal == "auto" else (str(self._can.signal),)

    def samples(self, frame: Message) -> list[Sample]:
        """The values of a frame, none for most."""
        found: list[Sample] = []
        source = frame.arbitration_id & 0xFF if frame.is_extended_id else 0
        told = self._can.source_address
        if self._own is not None:
            decoded = self._own.values(frame)
            if decoded is not None and (told is None or source == told):
                found += self._own_samples(frame, source, *decoded)
        decoded = self._j1939.values(frame)
        if decoded is None:
            return found
        message, values = decoded
        if message in CONTEXT_MESSAGES:
            for signal, value in values.items():
                kind, factor = CONTEXT[signal]
                found.append(Sample(kind, frame.timestamp, value * factor, source=source))
        elif told is None or source == told:
            found += self._weights(frame, source, message, values)
        return found

    def refusals(self, kind: str) -> list[str]:
        """What was refused of a kind of weight, a sentence each."""
        if self._own is not None:
            return self._own.refusals(self.own_factors)
        return self._j1939.refusals([".".join(SIGNALS[kind])])

    def _weights(self, frame: Message, source: int, message: str, values: dict[str, float]) -> list[Sample]:
        found = []
        for kind in self.kinds:
            holder, signal = SIGNALS[kind]
            if holder != message:
                continue
            location = int(values["AxleLocation"]) if kind == "axles" else 0
            if location < NO_AXLE:
                found.append(Sample(kind, frame.timestamp, values[signal], location, source))
            else:
                self._j1939.refused["VehicleWeight.AxleWeight", "no axle named"] += 1
        return found

    def _own_samples(self, frame: Message, source: int, message: str, values: dict[str, float]) -> list[Sample]:
        return [
            Sample(OWN, frame.timestamp, value * self.own_factors[name], name, source)
            for name, value in ((f"{message}.{signal}", value) for signal, value in values.items())
            if name in self.own_factors
        ]

    def _own_decoder(self, path: Path) -> Decoder:
        database = own_database(path)
        signals = [self._can.signal] if isinstance(self._can.signal, str) else self._can.signal
        wanted: dict[str, set[str]] = {}
        for name in signals:
            message, _, signal = name.partition(".")
            layouts = {layout.name: layout for layout in database.messages}
            units = {one.name: one.unit or "" for one in layouts[message].signals} if message in layouts else {}
            if signal not in units:
                known = ", ".join(sorted(units if message in layouts else layouts))[:200]
                raise WeightError(
                    f"{path}: found no {name!r}, expected the DBC to have scale.can.signal (known: {known})"
                )
            if units[signal] not in KG:
                raise WeightError(f"{path}: {name}: found the unit {units[signal]!r}, expected kg, t, g or lb")
            wanted.setdefault(message, set()).add(signal)
            self.own_factors[name] = KG[units[signal]]
        return Decoder(database, wanted)


@dataclass(slots=True)
class Sources:
    """Who sends the weight of which axle; two senders of one axle cannot be told apart without the truck file."""

    where: str
    of_location: dict[int | str, int] = field(default_factory=dict)

    def check(self, sample: Sample) -> None:
        """Raises WeightError when the axle's weight came from another address before."""
        first = self.of_location.setdefault(sample.location, sample.source)
        if first != sample.source:
            raise WeightError(
                f"{self.where}: found the weight of axle location {sample.location} from the addresses {first} and"
                f" {sample.source}, expected scale.can.source_address in the truck file to say whose to read"
            )


class _Column:
    """Samples of one kind in the order of the log."""

    def __init__(self) -> None:
        self.time_s, self.value = array("d"), array("d")
        self.locations: list[int | str] = []

    def append(self, sample: Sample) -> None:
        self.time_s.append(sample.time_s)
        self.value.append(sample.value)
        self.locations.append(sample.location)


def series_of(frames: Iterable[Message], scale: Scale, where: str) -> WeightSeries:
    """The weights of a log.

    A bus that carries no weight gives a series of no samples, whose note says how many frames of how many identifiers
    there were. Raises WeightError at `where` for a log without a frame and for an axle with two senders.
    """
    can = scale.can or CanScale()
    bus, sources = BusWeights(can), Sources(where)
    columns: dict[str, _Column] = {}
    count = 0
    identifiers: set[tuple[int, bool]] = set()
    for frame in frames:
        count += 1
        if len(identifiers) < MOST_IDENTIFIERS:
            identifiers.add((frame.arbitration_id, frame.is_extended_id))
        for sample in bus.samples(frame):
            if sample.kind == "axles" and can.source_address is None:
                sources.check(sample)
            column = columns.setdefault(sample.kind, _Column())
            column.append(sample)
            if len(column.locations) > MOST_SAMPLES:
                raise WeightError(
                    f"{where}: found more than {MOST_SAMPLES} weights, expected at most that: cut the log"
                )
    if not count:
        raise WeightError(f"{where}: found no CAN frame, expected a log with frames")
    there = [kind for kind in bus.kinds if kind in columns]
    usable = [kind for kind in there if np.isfinite(columns[kind].value).any()]
    bus_said = f"the log has {count} frames of {len(identifiers)} identifiers"
    if not there:
        sought = "none of the signals of scale.can" if can.dbc else "none carries a weight (PGN 65258 or 65136)"
        return WeightSeries(np.zeros(0), np.zeros(0), notes=(f"{bus_said}, {sought}",))
    kind = (usable or there)[0]
    time_s, gross_kg, notes = _gross(kind, columns[kind], scale, bus)
    others = [NAMES[other] for other in usable if other != kind]
    notes += bus.refusals(kind) + [f"also there, not used: {other}" for other in others]
    context = {name: _held(time_s, columns[name]) for name, _ in CONTEXT.values() if name in columns}
    return WeightSeries(
        time_s,
        gross_kg,
        speed_m_s=context.get("speed_m_s"),
        pitch_rad=context.get("pitch_rad"),
        roll_rad=context.get("roll_rad"),
        notes=(bus_said, *notes),
    )


def _gross(kind: str, column: _Column, scale: Scale, bus: BusWeights) -> tuple[Array, Array, list[str]]:
    """Times, gross masses and notes."""
    notes = [f"gross mass: {NAMES.get(kind, ' + '.join(bus.own_factors))}"]
    net = kind == "cargo" or (kind == OWN and scale.can is not None and scale.can.quantity == "net")
    tare_kg = scale.tare_kg if net else 0.0
    if (kind == OWN and len(bus.own_factors) == 1) or kind not in (OWN, "axles"):
        return np.array(column.time_s), np.array(column.value) + tare_kg, notes
    rounds: list[Round]
    if kind == OWN:
        names = [str(location) for location in column.locations]
        rounds, _ = rounds_of(column.time_s, names, column.value)
        expected: list[int | str] = [*bus.own_factors]
    else:
        axles = [int(location) for location in column.locations]
        rounds, regular = rounds_of(column.time_s, axles, column.value)
        expected = [*counted_locations(regular)]
        summed = ", ".join(f"0x{location:02X}" for location in counted_locations(regular))
        notes.append(f"axle locations summed: {summed}")
        if too_few(regular, bus.axles):
            notes.append(f"expected {bus.axles} axles (scale.can.axles): no sum is the truck's")
            expected = []
        strays = sorted(set(axles) - regular)
        notes += [f"axle location 0x{location:02X}: seen too seldom, not summed" for location in strays]
    gross_kg = np.array([total_kg(one, expected) for one in rounds]) + tare_kg
    gaps = int(np.isnan(gross_kg).sum())
    if gaps:
        notes.append(f"{gaps} of {len(rounds)} rounds lack a weight: gaps")
    return np.array([one.time_s for one in rounds]), gross_kg, notes


def _held(time_s: Array, column: _Column) -> Array:
    """The last value of a context signal at each time, else the next, NaN where none is within some seconds."""
    times, values = np.array(column.time_s), np.array(column.value)
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    after = np.searchsorted(times, time_s, side="right")
    held = np.full(len(time_s), np.nan)
    for near in (np.minimum(after, len(times) - 1), np.maximum(after - 1, 0)):  # the last where there is one
        held = np.where(np.abs(time_s - times[near]) <= HELD_S, values[near], held)
    return held
