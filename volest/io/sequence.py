"""A folder of scans, a frame a file: what drivers and programs write as a PCD sequence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePath

from volest.errors import ScanError
from volest.io.scanfile import shown_name

__all__ = ["file_names", "numbered_files", "sequence_files"]

SUFFIXES = (".pcd", ".ply", ".las", ".laz", ".e57", ".npy", ".npz", ".xyz", ".csv")
MAX_FILES = 1_000_000
UNITS = {19: 1e-9, 16: 1e-6, 13: 1e-3, 10: 1.0}
"""By the number of digits: what a count since 1970 is in seconds, from 2001 to 2286."""


def sequence_files(folder: str) -> list[tuple[float | None, str]]:
    """Time [s] and path of each scan of a folder, in order; None where the name tells no time."""
    files = numbered_files(folder, lambda name: PurePath(name).suffix.lower() in SUFFIXES, "scans")
    return [(time_in_name(PurePath(file).stem), file) for file in files]


def numbered_files(folder: str, is_wanted: Callable[[str], object], what: str) -> list[str]:
    """The paths of the wanted files of a folder, in order of the numbers in their names.

    Raises ScanError where the names differ in more than a number, for then the files do not belong together.
    """
    names = list(filter(is_wanted, file_names(folder)))
    shapes = sorted({re.sub("[0-9]+", "N", name) for name in names})
    if len(shapes) != 1 or len(names) > MAX_FILES:
        found = f"{len(names)} {what} named {', '.join(shapes[:5])[:200]}" if names else f"no {what}"
        problem = f"found {found} in the folder, expected names that differ in their numbers alone"
        raise ScanError(f"{shown_name(folder)}: {problem}", flag="unreadable")
    return [os.path.join(folder, name) for name in sorted(names, key=_natural_order)]


def file_names(folder: str) -> list[str]:
    """The names in a folder; ScanError where they cannot be had."""
    try:
        return os.listdir(folder)
    except OSError as error:
        raise ScanError(f"{shown_name(folder)}: cannot be opened: {error.strerror}", flag="unreadable") from None


def _natural_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts run_2 before run_10."""
    return [(int(part) if re.fullmatch("[0-9]+", part) else 0, part) for part in re.split("([0-9]+)", name)]


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
