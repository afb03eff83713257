"""A folder of scans, a frame a file: what drivers and programs write as a PCD sequence."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import PurePath

from volest.errors import ScanError
from volest.io.recording import natural_order
from volest.io.scanfile import shown_name

__all__ = ["sequence_files"]

SUFFIXES = (".pcd", ".ply", ".las", ".laz", ".e57", ".npy", ".npz", ".xyz", ".csv")
MAX_FILES = 1_000_000
UNITS = {19: 1e-9, 16: 1e-6, 13: 1e-3, 10: 1.0}
"""By the number of digits: what a count since 1970 is in seconds, from 2001 to 2286."""


def sequence_files(folder: str) -> list[tuple[float | None, str]]:
    """Time [s] and path of each scan of a folder, in order of their numbers; None where the name tells no time.

    Raises ScanError where the scans' names differ in more than a number, for then they are no sequence.
    """
    names = [name for name in os.listdir(folder) if PurePath(name).suffix.lower() in SUFFIXES]
    shapes = sorted({re.sub(r"[0-9]+", "N", name) for name in names})
    if len(shapes) != 1 or len(names) > MAX_FILES:
        found = f"{len(names)} scans named {', '.join(shapes[:5])[:200]}" if names else "no scans"
        problem = f"found {found} in the folder, expected a sequence whose names differ in their numbers alone"
        raise ScanError(f"{shown_name(folder)}: {problem}", flag="unreadable")
    names.sort(key=natural_order)
    return [(time_in_name(PurePath(name).stem), os.path.join(folder, name)) for name in names]


def time_in_name(stem: str) -> float | None:
    """The time [s] since 1970 in a name: 1673400472138016708, 1673400472.138 or PCL's frame_20121214T142255.814212."""
    if found := re.search(r"(?<![0-9])([0-9]{8}T[0-9]{6})(\.[0-9]+)?", stem):
        try:
            whole_s = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None
        return whole_s + float(found[2] or 0)
    found = re.search(r"(?<![0-9.])([0-9]+)(\.[0-9]+)?$", stem)
    if found is None or len(found[1]) not in UNITS or (found[2] and len(found[1]) != 10):
        return None
    return int(found[1]) * UNITS[len(found[1])] + float(found[2] or 0)
