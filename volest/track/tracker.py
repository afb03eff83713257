"""Follows one truck through its day: scans, weights and positions in, entries of a ledger out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from volest.errors import InputError
from volest.estimator import Estimator
from volest.fusion import Fused, fuse
from volest.quantity import Quantity
from volest.result import Result
from volest.track.entry import Entry, Kind, Place
from volest.track.halt import Halt, Motion, Weights
from volest.track.tare import DriftingTare, TareModel
from volest.track.uncertain import Uncertain
from volest.track.volume import VolumeErrors
from volest.truck import Limits, Truck
from volest.weight import GrossMass

__all__ = ["Tracker"]

ARRIVED_S = (1.0, 10.0)  # after a halt began: before the crew gets off
LEAVING_S = (14.0, 0.5)  # before it ends: the crew is on again
ABOUT_SCAN_S = 7.0  # where nobody knows whether the truck stands
SURE = 3.0  # standard uncertainties
TIPPED = 0.3  # of the volume
EMPTY_BELOW = 0.1  # of struck capacity
LEAST_ADDED = 0.02  # of struck capacity: less, found after driving, is not called a load
SETTLES, SETTLES_STD = 0.02, 0.02  # of the volume, where no scan tells
STICKS_DENSER, STICKS_STD = 1.2, 0.4  # bulk density of carry-back over the load's
SKEW_KG = 250.0  # more than a crew
HEAP_CELLS = 20  # that must be higher than what is called the load's height
QUIET = frozenset({"empty", "carry_back", "weight_missing"})  # flags of a result that say nothing of a stop


@dataclass(frozen=True, slots=True)
class _State:
    """What is on the truck; None is what is not known."""

    time_s: float
    volume: Uncertain | None = None
    mass: Uncertain | None = None
    unseen: bool = False  # something was added or tipped since the volume was known
    unweighed: bool = False  # the same of the mass


@dataclass(frozen=True, slots=True)
class _Event:
    """The frame of the entries that one halt makes."""

    begin_s: float
    end_s: float
    place: Place | None = None
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class Tracker:
    """Takes a truck's day event by event, each kind in the order of time, and gives back the ledger's new entries.

    A halt is told by the positions' speed, and makes its entries when the truck leaves: `settle` for the way there,
    then `load`, `tip` or `stand`, and `adjust` where the tare was found elsewhere. Without positions every scan is
    taken for a halt. `ledger`: the entries of an earlier run to go on from; events before its end say nothing new.
    """

    def __init__(
        self,
        truck: Truck,
        *,
        estimator: Estimator | None = None,
        tare: TareModel | None = None,
        limits: Limits | None = None,
        ledger: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.truck = truck
        self.limits = limits or truck.limits or Limits()
        self._estimator = estimator or Estimator(truck)
        self._tare = tare or (DriftingTare(truck.scale) if truck.scale else None)
        self._weights = Weights(truck.scale.resolution_kg if truck.scale else 1.0)
        self._motion, self._volumes = Motion(), VolumeErrors()
        self._state: _State | None = None
        self._latest_s: dict[str, float] = {}  # by kind of event
        self._since_s = -math.inf  # what came before was told by the ledger
        self._notes: list[tuple[str, str]] = []
        self._struck_m3 = math.inf
        self._restore(list(ledger))

    # --- events -------------------------------------------------------------------------------------------------------

    def position(self, time_s: float, lat: float, lon: float, speed_m_s: float) -> list[Entry]:
        """Where the truck is [degrees] and how fast [m/s]; NaN is what is not known."""
        if not self._is_new("position", time_s):
            return []
        halt = self._motion.position(time_s, lat, lon, speed_m_s)
        return [] if halt is None else self._closed(halt)

    def weight(self, time_s: float, gross_kg: float) -> list[Entry]:
        """A reading of the scale."""
        if self._is_new("weight", time_s) and self.truck.scale is not None:
            halt = self._motion.halt
            self._weights.add(time_s, gross_kg, time_s if halt is None else halt.begin_s)
        return []

    def scan(self, time_s: float, scans: Any) -> list[Entry]:
        """What `Estimator.estimate` takes. A scan while the truck drives is not looked at."""
        if not self._is_new("scan", time_s):
            return []
        entries, motion = [], self._motion
        if not motion.known(time_s) and not motion.is_moment(time_s):
            entries = self._over()
            motion.halt = Halt(time_s, time_s, located=False)
        if motion.halt is None:
            return entries
        result = self._estimator.estimate(scans)
        if result.volume_m3 is None:
            for flag in result.flags:
                self.note(flag, "; ".join(result.reasons))
        else:
            self._struck_m3 = result.struck_capacity_m3 or self._struck_m3
            motion.halt.see(time_s, result)
        return entries

    def looks(self, time_s: float) -> bool:
        """Whether a scan of now would be looked at, so that others need not be read."""
        return time_s > self._since_s and (self._motion.halt is not None or not self._motion.known(time_s))

    def note(self, flag: str, reason: str) -> None:
        """Something that the next entry shall tell of, such as a scan that cannot be read."""
        if len(self._notes) < 100:
            self._notes.append((flag, reason))

    def finish(self) -> list[Entry]:
        """The entries of the halt that is not over when the day ends."""
        return self._over()

    def _over(self) -> list[Entry]:
        halt = self._motion.over()
        return [] if halt is None else self._closed(halt)

    def _is_new(self, what: str, time_s: float) -> bool:
        """False for what the ledger told already; an event out of order among its like is left out, and told of."""
        if not math.isfinite(time_s):
            raise InputError(f"time_s: found {time_s}, expected a finite number of seconds")
        if time_s <= self._since_s:
            return False
        latest = self._latest_s.get(what, -math.inf)
        if time_s < latest:
            self.note("time_skew", f"a {what} of {time_s:.1f} s came after one of {latest:.1f} s")
            return False
        self._latest_s[what] = time_s
        return True

    # --- a halt that is over ------------------------------------------------------------------------------------------

    def _closed(self, halt: Halt) -> list[Entry]:
        """The entries of a halt."""
        if halt.located:
            arrived = self._weights.level(halt.begin_s + ARRIVED_S[0], halt.begin_s + ARRIVED_S[1])
            leaving = self._weights.level(halt.end_s - LEAVING_S[0], halt.end_s - LEAVING_S[1])
        else:
            leaving = self._weights.level(halt.begin_s - ABOUT_SCAN_S, halt.end_s + ABOUT_SCAN_S)
            arrived = GrossMass(None)
        if not halt.scans and not self._notes and not self._is_heavier(halt, leaving):
            return []  # a red light
        self._check_clock(halt, arrived, leaving)
        flags = tuple(flag for flag, _ in self._notes)
        reasons = tuple(reason for _, reason in self._notes)
        self._notes.clear()
        event = _Event(halt.begin_s, halt.end_s, halt.place, flags, reasons)
        if self._state is None:
            return self._limited([self._started(event, halt, leaving)], halt, leaving)
        entries = self._driven(event, halt)
        if halt.located or not entries:
            entries += self._stood(replace(event, flags=(), reasons=()) if entries else event, halt, leaving)
        return self._limited(entries, halt, leaving)

    def _started(self, event: _Event, halt: Halt, leaving: GrossMass) -> Entry:
        """What is on the truck when it is seen first."""
        self._state = _State(event.begin_s)
        volume = self._volume(*halt.scans[-1], settled=False) if halt.scans else None
        mass = self._net(event.end_s, leaving)
        return self._record("start", event, volume, mass, unseen=volume is None, unweighed=mass is None)

    def _driven(self, event: _Event, halt: Halt) -> list[Entry]:
        """What happened on the way here, as the first scan tells; the mass stays the same."""
        state = self._state
        if state is None or state.volume is None or not halt.scans:
            return []
        way = replace(event, begin_s=state.time_s, end_s=event.begin_s if halt.located else event.end_s)
        if halt.leaves_only:  # nobody saw how the load settled
            sunk = SETTLES * state.volume.value
            unsure = {f"settling@{event.begin_s:.3f}": SETTLES_STD * abs(state.volume.value)}
            return [] if state.unseen else [self._record("settle", way, state.volume - Uncertain(sunk, unsure))]
        time_s, result = halt.scans[0]
        changed = self._changed(state.volume, result)
        if changed and not halt.located:
            return []
        now = self._volume(time_s, result, settled=not changed)
        change = now - state.volume
        if change.value > max(SURE * change.std, LEAST_ADDED * self._struck_m3) and not state.unseen:
            way = replace(way, flags=(*way.flags, "time_skew"), reasons=(*way.reasons, "the volume rose while driving"))
        return [self._record("adjust" if state.unseen else "settle", way, now)]

    def _changed(self, before: Uncertain, result: Result) -> bool:
        """Whether a scan shows so much more or less that it cannot be settling."""
        assert result.volume_m3 is not None
        rise = result.volume_m3.value - before.value
        unsure = SURE * math.hypot(0.5 * before.std, 0.5 * result.volume_m3.std)
        return rise > max(unsure, LEAST_ADDED * self._struck_m3) or rise < -max(unsure, TIPPED * before.value)

    def _stood(self, event: _Event, halt: Halt, leaving: GrossMass) -> list[Entry]:
        """What was added or tipped here: the last scan and the weight on leaving against what was on the truck."""
        before = self._state
        assert before is not None
        volume = self._volume(*halt.scans[-1], settled=False) if halt.shows_leaving(before.time_s) else None
        mass = self._net(event.end_s, leaving)
        unseen, unweighed = volume is None, mass is None
        entries = []
        if before.unseen and volume is not None:
            reason = "what was added before was not seen: its volume is in here, too"
            entries.append(self._record("adjust", replace(event, reasons=(*event.reasons, reason)), volume))
            volume = None
        if before.unweighed and mass is not None:
            reason = "what was added before was not weighed: its mass is in here, too"
            entries.append(self._record("adjust", replace(event, reasons=(*event.reasons, reason)), mass=mass))
            mass = None
        kind = self._kind(before, volume, mass)
        if kind == "stand":
            return entries if volume is None else [*entries, self._record("stand", event, volume)]
        carry = volume.quantity(low=0.0) if kind == "tip" and volume is not None else None
        entries.append(self._record(kind, event, volume, mass, carry, unseen=unseen, unweighed=unweighed))
        return entries + self._emptied(event, before, leaving)

    def _kind(self, before: _State, volume: Uncertain | None, mass: Uncertain | None) -> Kind:
        """What happened, by what changed."""
        if volume is not None and before.volume is not None:
            moved = volume - before.volume
            if moved.value < -max(SURE * moved.std, TIPPED * before.volume.value):
                return "tip"
            if moved.value > SURE * moved.std:
                return "load"
        if mass is not None and before.mass is not None:
            gained = mass - before.mass
            if gained.value > SURE * gained.std:
                return "load"
            if volume is None and gained.value < -max(SURE * gained.std, TIPPED * before.mass.value):
                return "tip"
        return "stand"

    def _emptied(self, event: _Event, before: _State, leaving: GrossMass) -> list[Entry]:
        """After a tip the truck's own weight is seen, but for what stuck to the bed."""
        state, gross = self._state, self._gross(event.end_s, leaving)
        if self._tare is None or gross is None or leaving.flags or state is None:
            return []
        if state.volume is None or state.mass is None or before.volume is None or before.mass is None or state.unseen:
            return []
        if state.volume.value > min(EMPTY_BELOW * self._struck_m3, 0.5 * before.volume.value):
            return []
        density = STICKS_DENSER * max(before.mass.value, 0.0) / max(before.volume.value, 1e-6)
        stuck_kg = density * max(state.volume.value, 0.0)
        std_kg = math.hypot(density * state.volume.std, STICKS_STD * stuck_kg)
        stuck = Uncertain(stuck_kg, {f"carry_back@{event.end_s:.3f}": std_kg})
        self._tare.emptied(event.end_s, gross - stuck)
        after = replace(event, begin_s=event.end_s, flags=(), reasons=())
        return [self._record("adjust", after, mass=self._net(event.end_s, leaving))]

    # --- quantities ---------------------------------------------------------------------------------------------------

    def _volume(self, time_s: float, result: Result, *, settled: bool) -> Uncertain:
        return self._volumes.volume(time_s, result, settled)

    def _gross(self, time_s: float, gross: GrossMass) -> Uncertain | None:
        if gross.kg is None:
            return None
        return Uncertain(gross.kg, {f"reading@{time_s:.3f}": gross.std_kg})

    def _net(self, time_s: float, leaving: GrossMass) -> Uncertain | None:
        """Net mass: gross less tare, and the gain's error on it."""
        gross, scale = self._gross(time_s, leaving), self.truck.scale
        if gross is None or scale is None or self._tare is None:
            return None
        net = gross - self._tare.at(time_s)
        return Uncertain(net.value, {**net.errors, "gain": scale.gain_std * net.value})

    def _is_heavier(self, halt: Halt, leaving: GrossMass) -> bool:
        """Whether something was added at a halt without a scan."""
        if self._state is None or self._state.mass is None or leaving.kg is None or leaving.flags:
            return False
        if halt.end_s - halt.begin_s < LEAVING_S[0] + ARRIVED_S[1]:
            return False
        mass = self._net(halt.end_s, leaving)
        change = None if mass is None else mass - self._state.mass
        return change is not None and abs(change.value) > max(5.0 * change.std, 30.0)

    def _check_clock(self, halt: Halt, arrived: GrossMass, leaving: GrossMass) -> None:
        """Scale and scanner must tell of the same events."""
        if not self._weights.any or self.truck.scale is None:
            return
        if leaving.kg is None and halt.end_s - halt.begin_s > 0.0:
            self.note("time_skew", f"no weight within {halt.begin_s:.0f} to {halt.end_s:.0f} s, but at other times")
        state = self._state
        if state is None or state.mass is None or state.unweighed or arrived.kg is None:
            return
        mass = self._net(halt.begin_s, arrived)
        change = None if mass is None else mass - state.mass
        if change is not None and abs(change.value) > max(5.0 * change.std, SKEW_KG):
            self.note("time_skew", f"the mass changed by {change.value:+.0f} kg while driving, as the clocks tell")

    # --- entries ------------------------------------------------------------------------------------------------------

    def _record(
        self,
        kind: Kind,
        event: _Event,
        volume: Uncertain | None = None,
        mass: Uncertain | None = None,
        carry_back: Quantity | None = None,
        *,
        unseen: bool = False,
        unweighed: bool = False,
    ) -> Entry:
        """The entry after which so much is on the truck; None: as before, or not known any more."""
        before = self._state
        assert before is not None
        moved, gained = _change(before.volume, volume), _change(before.mass, mass)
        state = self._state = _State(
            event.end_s,
            before.volume if volume is None else volume,
            before.mass if mass is None else mass,
            unseen or (before.unseen and volume is None),
            unweighed or (before.unweighed and mass is None),
        )
        fused = Fused()
        if kind == "load" and moved is not None and gained is not None:
            fused = fuse(moved.quantity(low=0.0), (gained.value, gained.std), self.truck.waste)
        return Entry(
            self.truck.id,
            kind,
            event.begin_s,
            event.end_s,
            moved,
            gained,
            None if state.unseen else state.volume,
            None if state.unweighed else state.mass,
            None if self._tare is None else self._tare.at(event.end_s),
            carry_back,
            fused,
            place=event.place,
            flags=tuple(sorted({*event.flags, *fused.flags})),
            reasons=(*event.reasons, *fused.reasons),
        )

    def _limited(self, entries: list[Entry], halt: Halt, leaving: GrossMass) -> list[Entry]:
        """The last entry of a halt tells the truck's weight and height on leaving, and what is wrong with them."""
        if not entries:
            return []
        last, result = entries[-1], halt.scans[-1][1] if halt.scans else None
        height = None if result is None else _height_m(result)
        flags = {*last.flags, *(leaving.flags if self.truck.scale is not None else ())}
        flags |= set() if result is None else {*result.flags} - QUIET
        if leaving.kg is not None and self.limits.max_gross_kg is not None and leaving.kg > self.limits.max_gross_kg:
            flags.add("overload")
        if height is not None and self.limits.max_height_m is not None and height > self.limits.max_height_m:
            flags.add("over_height")
        told = replace(last, gross_kg=leaving.kg, height_m=height, flags=tuple(sorted(flags)))
        return [*entries[:-1], told]

    def _restore(self, ledger: list[Mapping[str, Any]]) -> None:
        """Go on from the entries of an earlier run."""
        if not ledger:
            return
        volume, mass = _sum(ledger, "volume_m3", "volume_errors_m3"), _sum(ledger, "mass_kg", "mass_errors_kg")
        self._since_s = max(float(entry["end_s"]) for entry in ledger)
        unknown = [ledger[-1].get(name) is None for name in ("on_truck_m3", "on_truck_kg")]
        self._state = _State(self._since_s, volume, mass, *unknown)
        if volume is not None:
            self._volumes.restore(volume)
        tare = _sum(ledger[-1:], "tare_kg", "tare_errors_kg")
        if tare is not None and isinstance(self._tare, DriftingTare):
            self._tare.restore(self._since_s, tare)


def _change(before: Uncertain | None, now: Uncertain | None) -> Uncertain | None:
    """What changed; all of it where nothing was known before."""
    return now if before is None or now is None else now - before


def _sum(ledger: list[Mapping[str, Any]], name: str, errors: str) -> Uncertain | None:
    told = [Uncertain(entry[name]["value"], entry[errors]) for entry in ledger if entry.get(name) is not None]
    return sum(told[1:], told[0]) if told else None


def _height_m(result: Result) -> float | None:
    """How high the load stands over the bed's floor: some cells stand higher."""
    if result.surface is None:
        return None
    heights = result.surface.load_m[result.surface.seen & np.isfinite(result.surface.load_m)]
    return float(np.sort(heights)[-HEAP_CELLS]) if len(heights) >= HEAP_CELLS else None
