"""What the agent tells of itself: sensors, window, temperature, clock, disk, outbox, delivery."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest._version import __version__
from volest.edge.config import HealthTable
from volest.edge.delivery import Contact
from volest.edge.event import Document
from volest.edge.outbox import Outbox
from volest.estimator import Estimator
from volest.result import Result

__all__ = ["FLAGS", "Health", "Watched"]

FLAGS = (
    "clock_skew",
    "dirty_window",
    "disk_full",
    "disk_low",
    "hot",
    "not_delivered",
    "outbox_damaged",
    "outbox_full",
    "refused",
    "sensor_silent",
)
SKEW_S = 5.0
SILENT_S = 10.0
UNHEARD_S = 600.0
FULL = 0.95


class Watched:
    """An estimator that remembers what the last scan said, and thins scans where that is wanted."""

    def __init__(self, estimator: Estimator, voxel_m: float | None, truck_id: str) -> None:
        self._estimator, self._voxel_m, self._truck_id = estimator, voxel_m, truck_id
        self.dirty_window: bool | None = None
        self.rejected_fraction: float | None = None
        self._scans: Any = None

    def estimate(self, scans: Any) -> Result:
        """As Estimator.estimate."""
        result = self._estimator.estimate(scans)
        self.dirty_window = "dirty_window" in result.flags
        self.rejected_fraction = result.rejected_fraction
        self._scans = scans
        return result

    def thinned(self, time_s: float, wanted: bool) -> list[Document]:
        """The scans that were estimated since the last call, thinned; nothing where nobody asked."""
        scans, self._scans = self._scans, None
        if self._voxel_m is None or scans is None or not wanted:
            return []
        return [
            Document.scan(self._truck_id, sensor, time_s, _points(frames), self._voxel_m)
            for sensor, frames in scans.items()
        ]


class Health:
    """Watches what goes on, and makes documents and the status file of it."""

    def __init__(self, table: HealthTable, outbox: Outbox, contact: Contact, watched: Watched) -> None:
        self._table, self._outbox, self._contact, self._watched = table, outbox, contact, watched
        self._started_s = time.monotonic()
        self._counts: dict[str, int] = {}
        self._moved_s: dict[str, float] = {}  # when each sensor was heard last, monotonic
        self._counted_s = self._started_s
        self._rates: dict[str, float] = {}
        self.disk_problem: str | None = None

    def count(self, counts: dict[str, int]) -> None:
        """How much each sensor has told so far; rates are those since the last call."""
        now = time.monotonic()
        for name, count in counts.items():
            self._moved_s.setdefault(name, self._started_s)
            if count > self._counts.get(name, 0):
                self._moved_s[name] = now
        span_s = max(now - self._counted_s, 1e-3)
        self._rates = {name: (count - self._counts.get(name, 0)) / span_s for name, count in counts.items()}
        self._counts, self._counted_s = dict(counts), now

    def told(self, time_s: float | None) -> dict[str, Any]:
        """The document's content; what is not known is None."""
        now, contact, watched = time.monotonic(), self._contact, self._watched
        told: dict[str, Any] = {
            "version": __version__,
            "time_s": time_s,
            "uptime_s": round(now - self._started_s, 1),
            "rate_hz": {name: round(rate, 2) for name, rate in self._rates.items()},
            "silent_s": {name: round(now - heard_s, 1) for name, heard_s in self._moved_s.items()},
            "dirty_window": watched.dirty_window,
            "rejected_fraction": watched.rejected_fraction,
            "temperature_c": _temperature_c(self._table.thermal_zone_file),
            "clock_skew_s": None if contact.skew_s is None else round(contact.skew_s, 3),
            "disk_free_mb": _free_mb(self._outbox.path.parent),
            "outbox_mb": round(self._outbox.used_bytes() / 1e6, 3),
            "outbox_fill": round(self._outbox.fill, 4),
            "queued": self._outbox.waiting(),
            "delivered": contact.delivered,
            "dropped": self._outbox.dropped,
            "refused": dict(list(contact.refused().items())[:10]),
            "heard_s": None if contact.heard_s is None else round(now - contact.heard_s, 1),
            "problems": [problem for problem in (self.disk_problem, contact.problem) if problem],
            "notes": self._outbox.told[:10],
        }
        return told | {"flags": self._flags(told, now)}

    def write_status(self, told: dict[str, Any]) -> None:
        """The status file, replaced whole, so that a reader never sees half of one; a power cut may lose it."""
        if self._table.status_file is None:
            return
        path = Path(self._table.status_file)
        beside = path.with_name(f".{path.name}.new")
        with contextlib.suppress(OSError):  # a full disk is told of elsewhere
            beside.write_text(json.dumps(told, allow_nan=False) + "\n", encoding="utf-8")
            os.replace(beside, path)

    def _flags(self, told: dict[str, Any], now: float) -> list[str]:
        free_mb, temperature_c, skew_s = told["disk_free_mb"], told["temperature_c"], told["clock_skew_s"]
        heard_s = self._contact.heard_s or self._started_s
        raised = {
            "clock_skew": skew_s is not None and abs(skew_s) > SKEW_S,
            "dirty_window": bool(told["dirty_window"]),
            "disk_full": self.disk_problem is not None,
            "disk_low": free_mb is not None and free_mb < self._table.disk_low_mb,
            "hot": temperature_c is not None and temperature_c > self._table.hot_c,
            "not_delivered": bool(told["queued"]) and now - heard_s > UNHEARD_S,
            "outbox_damaged": bool(told["notes"]),
            "outbox_full": told["outbox_fill"] > FULL,
            "refused": bool(told["refused"]),
            "sensor_silent": any(silent_s > SILENT_S for silent_s in told["silent_s"].values()),
        }
        return [flag for flag in FLAGS if raised[flag]]


def _points(frames: Any) -> NDArray[np.float32]:
    """(N, 3) of one or several frames of a sensor."""
    many = frames if isinstance(frames, list | tuple) else [frames]
    return np.concatenate([np.asarray(xyz, dtype=np.float32).reshape(-1, 3) for xyz in many])


def _temperature_c(path: str | None) -> float | None:
    """Of a file of the kernel's, in thousandths of a degree."""
    if path is None:
        return None
    try:
        text = Path(path).read_text("ascii")[:20].strip()
        return int(text) / 1000.0
    except (OSError, ValueError):
        return None


def _free_mb(folder: Path) -> float | None:
    try:
        return round(shutil.disk_usage(folder).free / 1e6, 1)
    except OSError:
        return None
