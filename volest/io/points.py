"""One door for all formats of scans."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import PurePath
from typing import NoReturn

from volest.errors import ScanError
from volest.io.scanfile import open_scan, shown_name
from volest.pointcloud import PointCloud

__all__ = ["SUPPORTED_SUFFIXES", "read_points"]

READERS = {
    ".pcd": "pcd",
    ".ply": "ply",
    ".las": "las",
    ".laz": "las",
    ".e57": "e57",
    ".npy": "npy",
    ".npz": "npz",
    ".xyz": "xyz",
    ".csv": "xyz",
    ".txt": "xyz",
}
"""The module volest.io.NAME that reads a suffix with its function read_NAME; imported when it is needed."""
SUPPORTED_SUFFIXES = tuple(READERS)
RECORDINGS = (".bag", ".db3", ".mcap", ".pcap", ".pcapng", ".osf")


def read_points(path: str | os.PathLike[str]) -> PointCloud:
    """Read a scan, in the frame of its file; docs/formats.md tells what is read of each format.

    Rows without a return (NaN or 0 0 0) are kept. A sound file without points gives a cloud of length 0. Raises
    ScanError where the file is missing, malformed, cut short or of no known format, and MissingExtraError where a
    package is missing that the format needs; memory and time are bounded.
    """
    suffix = PurePath(os.fspath(path)).suffix.lower()
    if suffix in RECORDINGS:
        _refuse(path, f"recordings ({suffix}) are not read by this version")
    if suffix not in READERS:
        _refuse(path, f"found the suffix {suffix!r}")
    name = READERS[suffix]
    with open_scan(path) as scan:
        reader = getattr(import_module(f"volest.io.{name}"), f"read_{name}")
        cloud: PointCloud = reader(scan)
        return cloud


def _refuse(path: str | os.PathLike[str], problem: str) -> NoReturn:
    expected = f"expected a scan: one of {' '.join(SUPPORTED_SUFFIXES)}"
    raise ScanError(f"{shown_name(path)}: {problem}, {expected}", flag="unreadable")
