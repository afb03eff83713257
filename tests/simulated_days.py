"""Simulated days for tests of the tracker: quick to scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from volest.simulate import DayScene, SimulatedDay, day_from_dict, simulate_day, write_day
from volest.track import Day, Entry, track_day

__all__ = ["BED", "TOP", "day_scene", "entries_of", "folder_of", "of_kind"]

BED: dict[str, Any] = {
    "length_m": 4.2, "width_m": 2.1, "height_m": 1.3, "d_length_m": 0.006, "lean_deg": [1.0, 0.5, 2.0, 1.5],
    "sag_m": 0.01,
}  # fmt: skip
TOP: dict[str, Any] = {
    "id": "top", "pose": {"xyz_m": [0.1, -0.05, 4.2], "rpy_deg": [1.0, 89.0, 2.0]},
    "pose_std": {"xyz_m": 0.005, "rpy_deg": 0.1}, "rows": 64, "columns": 384,
}  # fmt: skip


def day_scene(**rest: Any) -> DayScene:
    """A day of one trip with three stops, unless told otherwise."""
    document = {
        "kind": "day",
        "seed": 3,
        "bed": BED,
        "sensor": [TOP],
        "trip": [{"stops": 3, "fill_ratio": 0.7}],
        "route": {"leg_km": [0.4, 0.8], "landfill_km": [1.2, 2.0]},
    }
    return day_from_dict(document | rest)


def folder_of(folder: Path, **rest: Any) -> SimulatedDay:
    """A day in a folder."""
    made = simulate_day(day_scene(**rest))
    write_day(made, folder)
    return made


def entries_of(folder: Path) -> list[Entry]:
    """The entries of a day's folder."""
    return list(track_day(Day.load(folder)))


def of_kind(entries: list[Entry], kind: str) -> list[Entry]:
    """Those of one kind."""
    return [entry for entry in entries if entry.kind == kind]
