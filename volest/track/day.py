"""A day's folder (truck file, scans.csv, weight.csv or a CAN log, gps.csv): read, put in order, tracked."""

from __future__ import annotations

import csv
import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest.errors import InputError, ScanError
from volest.io import read_points
from volest.track.entry import Entry
from volest.track.tracker import Tracker
from volest.truck import Scale, Truck
from volest.weighing import read_weights
from volest.weighing.csvtable import number

__all__ = ["Day", "DayError", "track_day"]

SCANS, POSITIONS = ("time_s", "sensor", "path"), ("time_s", "lat", "lon", "speed_m_s")
WEIGHTS = ("weight.csv", "weight.log", "weight.asc", "weight.blf", "weight.txt")
MOST_BYTES = 200_000_000
MOST_SCANS = 20_000
TOGETHER_S = 0.5  # scans of several sensors that belong together


class DayError(InputError):
    """A day's folder that cannot be used."""


@dataclass(frozen=True, slots=True)
class _Scan:
    time_s: float
    sensor: str
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """What a truck's day left behind, each in the order of time."""

    truck: Truck
    scans: list[_Scan]
    weight: NDArray[np.float64]  # (N, 2) time_s, gross_kg
    positions: NDArray[np.float64]  # (N, 4) time_s, lat, lon, speed_m_s; NaN where blank

    @classmethod
    def load(cls, directory: str | Path) -> Day:
        """Read a day's folder; raises InputError naming file, line, what was found and what was expected.

        Scans themselves are read when their turn comes. Weights and positions may be missing.
        """
        folder = Path(directory)
        learned = folder / "truck.volest"
        truck = Truck.load(learned if learned.is_file() else folder / "truck.toml")
        scans = sorted(_scans(folder, truck), key=lambda scan: scan.time_s)
        return cls(truck, scans, _weights(folder, truck.scale), _positions(folder))

    def events(self) -> Iterator[tuple[float, Callable[[Tracker], list[Entry]]]]:
        """All events with their times; at the same time positions come first and scans last."""
        streams: list[Iterator[tuple[float, int, Any]]] = [
            ((row[0], 0, row) for row in self.positions.tolist()),
            ((row[0], 1, row) for row in self.weight.tolist()),
            ((together[-1].time_s, 2, together) for together in _together(self.scans)),
        ]
        for time_s, stream, what in heapq.merge(*streams, key=lambda event: event[:2]):
            if stream == 0:
                yield time_s, lambda tracker, row=what: tracker.position(*row)  # type: ignore[misc]
            elif stream == 1:
                yield time_s, lambda tracker, row=what: tracker.weight(*row)  # type: ignore[misc]
            else:
                yield time_s, lambda tracker, scans=what: _scanned(tracker, scans)  # type: ignore[misc]


def track_day(day: Day, *, tell: Callable[[str], None] = lambda _: None) -> Iterator[Entry]:
    """The entries of a day, one after the other as they come about."""
    tell("preparing the empty bed")
    tracker = Tracker(day.truck)
    tell("tracking")
    for _, happen in day.events():
        yield from happen(tracker)
    yield from tracker.finish()


def _scanned(tracker: Tracker, scans: list[_Scan]) -> list[Entry]:
    """Hand over scans that were taken together; one that cannot be read is told of, and the others count."""
    clouds: dict[str, list[NDArray[np.floating]]] = {}
    if not tracker.looks(scans[-1].time_s):
        return []
    for scan in scans:
        try:
            clouds.setdefault(scan.sensor, []).append(read_points(scan.path).xyz)
        except ScanError as error:
            tracker.note(error.flag or "unreadable", str(error))
    whole = {sensor: frames for sensor, frames in clouds.items() if frames}
    return tracker.scan(scans[-1].time_s, whole) if whole else []


def _together(scans: list[_Scan]) -> Iterator[list[_Scan]]:
    """Scans within half a second of the first."""
    first = -math.inf

    def start(scan: _Scan) -> float:
        nonlocal first
        if scan.time_s > first + TOGETHER_S:
            first = scan.time_s
        return first

    for _, group in groupby(scans, key=start):
        yield list(group)


def _scans(folder: Path, truck: Truck) -> Iterator[_Scan]:
    path, ids = folder / "scans.csv", truck.sensor_ids
    root = folder.resolve()
    for count, (where, row) in enumerate(_rows(path, SCANS)):
        if count >= MOST_SCANS:
            raise DayError(f"{where}: found more than {MOST_SCANS} scans, expected fewer")
        time_s, sensor = number(row["time_s"], f"{where}: time_s", DayError), row["sensor"].strip()
        if not math.isfinite(time_s):
            raise DayError(f"{where}: time_s: found {row['time_s'][:40]!r}, expected seconds")
        if (ids and sensor not in ids) or (not ids and sensor):
            known = ", ".join(ids) or "nothing, as the truck has no sensors"
            raise DayError(f"{where}: sensor: found {sensor[:60]!r}, expected {known}")
        scan = (folder / row["path"].strip()).resolve() if "\0" not in row["path"] else root.parent
        if not scan.is_relative_to(root):
            raise DayError(f"{where}: path: found {row['path'][:80]!r}, expected a file inside of {folder}")
        yield _Scan(time_s, sensor, scan)


def _weights(folder: Path, scale: Scale | None) -> NDArray[np.float64]:
    found = [folder / name for name in WEIGHTS if (folder / name).exists()]
    if not found:
        return np.zeros((0, 2))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DayError(f"{folder}: found {names}, expected the weights in one file")
    if scale is None:
        raise DayError(f"{found[0]}: found weights but no [scale] in the truck file, expected its tare_kg")
    series = read_weights(found[0], scale)
    return _ordered(np.column_stack([series.time_s, series.gross_kg]))


def _positions(folder: Path) -> NDArray[np.float64]:
    path = folder / "gps.csv"
    if not path.exists():
        return np.zeros((0, 4))
    rows = [
        [number(row[name], f"{where}: {name}", DayError) for name in POSITIONS] for where, row in _rows(path, POSITIONS)
    ]
    return _ordered(np.array(rows, dtype=np.float64).reshape(-1, 4))


def _ordered(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows that have a time, by time."""
    rows = rows[np.isfinite(rows[:, 0])]
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV file with where they stand; more columns may stand beside those."""
    try:
        if not path.is_file():
            raise DayError(f"{path}: missing or not a file; expected a CSV file with the columns {','.join(columns)}")
        if path.stat().st_size > MOST_BYTES:
            raise DayError(f"{path}: found {path.stat().st_size} bytes, expected at most {MOST_BYTES}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if any(header.count(name) != 1 for name in columns):
                found = ",".join(header)[:80]
                raise DayError(f"{path}: line 1: found {found!r}, expected the columns {','.join(columns)}")
            for row in rows:
                where = f"{path}: line {rows.line_num}"
                if row and len(row) != len(header):
                    raise DayError(f"{where}: found {len(row)} columns, expected {len(header)}")
                if row:
                    yield where, dict(zip(header, row, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DayError(f"{path}: cannot be read ({reason}); expected a CSV file") from error
