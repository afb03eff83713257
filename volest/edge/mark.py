"""Where the day is to go on after a stop: what was told, what is on the truck, how far the clock was."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from volest.track import Entry, Uncertain

__all__ = ["Mark"]

SUMMED = (("volume_m3", "volume_errors_m3"), ("mass_kg", "mass_errors_kg"))
NOTHING = 1e-12  # what rounding leaves of an error that has cancelled


@dataclass(frozen=True, slots=True)
class Mark:
    """Goes into the outbox together with the entries that it stands for."""

    told_s: float = -math.inf  # entries that end until then were told
    reached_s: float = -math.inf  # events until then were seen
    standing: dict[str, Any] | None = None  # all entries as one, which a Tracker goes on from

    @classmethod
    def read(cls, raw: bytes | None) -> Mark:
        """A mark as it was written; that of the very beginning where there is none."""
        if raw is None:
            return cls()
        told = msgspec.json.decode(raw, type=dict[str, Any])
        told_s, reached_s = (-math.inf if told[name] is None else told[name] for name in ("told_s", "reached_s"))
        return cls(told_s, reached_s, told["standing"])

    def written(self) -> bytes:
        """As JSON."""
        told = {"told_s": _finite(self.told_s), "reached_s": _finite(self.reached_s), "standing": self.standing}
        return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()

    def reached(self, time_s: float) -> Mark:
        """The same, having seen what happened until some time."""
        return replace(self, reached_s=max(self.reached_s, time_s))

    def after(self, entries: Sequence[Entry]) -> Mark:
        """The same after more entries."""
        if not entries:
            return self
        end_s = max(entry.end_s for entry in entries)
        standing = dict(self.standing or {})
        for entry in entries:
            told = entry.to_dict()
            standing = {**told, **_sums(standing, entry)}
        standing["end_s"] = max(end_s, self.told_s)
        kept = {name for pair in SUMMED for name in pair} | {"end_s", "on_truck_m3", "on_truck_kg"}
        kept |= {"tare_kg", "tare_errors_kg"}
        return Mark(
            max(end_s, self.told_s),
            max(end_s, self.reached_s),
            {name: value for name, value in standing.items() if name in kept},
        )


def _sums(standing: dict[str, Any], entry: Entry) -> dict[str, Any]:
    """What all entries did together, in values and in errors."""
    sums: dict[str, Any] = {}
    for (name, errors), more in zip(SUMMED, (entry.volume_m3, entry.mass_kg), strict=True):
        before = standing.get(name)
        known = None if before is None else Uncertain(before["value"], standing[errors])
        total = known if more is None else more if known is None else known + more
        sums[name] = None if total is None else {"value": total.value}
        sums[errors] = None if total is None else {s: c for s, c in total.errors.items() if abs(c) > NOTHING}
    return sums


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
