"""One door for all formats of scans."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import PurePath
from typing import NoReturn

from volest.errors import ScanError
from volest.io.scanfile import open_scan, shown_name
from volest.io.selection import Selection, select
from volest.pointcloud import PointCloud

__all__ = ["SUPPORTED_SUFFIXES", "read_frames", "read_points"]

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
RECORDINGS = (".bag", ".db3", ".mcap", ".pcap", ".osf")
SUPPORTED_SUFFIXES = (*READERS, *RECORDINGS)


def read_points(path: str | os.PathLike[str]) -> PointCloud:
    """Read a scan, in the frame of its file; docs/formats.md tells what is read of each format.

    Of a recording or a folder of scans the frame that is selected is read, "run.bag#topic=/lidar/points,frame=12", else
    the first.

    Rows without a return (NaN or 0 0 0) are kept. A sound file without points gives a cloud of length 0. Raises
    ScanError where the file is missing, malformed, cut short or of no known format, and MissingExtraError where a
    package is missing that the format needs; memory and time are bounded.
    """
    suffix = PurePath(os.fspath(path)).suffix.lower()
    if suffix in READERS and "#" not in os.fspath(path) and not os.path.isdir(path):
        return _read_file(path, suffix)
    with closing(read_frames(path)) as frames:
        return next(frames)[1]


def read_frames(
    path: str | os.PathLike[str], *, topic: str = ""
) -> Generator[tuple[float | None, PointCloud], None, None]:
    """Time [s] and points of each frame of a recording, a folder of scans or a single scan, one at a time.

    The time is that of the message's header, else that of its recording; of a scan in a folder what its name tells, or
    None. `path` may select as for `read_points`: then frames are told from the selected one on. Where it tells how the
    sensor moved, `volest.undo_motion` is applied. Raises as `read_points` does, while frames are asked for.
    """
    selection = select(path)
    if topic:
        selection = replace(selection, topic=topic)
    with closing(_recorded(path, selection)) as frames:
        for time_s, cloud in frames:
            yield time_s, _stilled(cloud, selection)


def _stilled(cloud: PointCloud, selection: Selection) -> PointCloud:
    """The cloud as a sensor at rest would have seen it, where it is told how it moved."""
    if not selection.velocity_m_s and not selection.yaw_rate_rad_s:
        return cloud
    from volest.motion import undo_motion

    try:
        return undo_motion(cloud, selection.velocity_m_s or (0.0,), selection.yaw_rate_rad_s)
    except ScanError as error:
        raise ScanError(f"{shown_name(selection.path)}: {error}", flag="unreadable") from None


def _recorded(
    path: str | os.PathLike[str], selection: Selection
) -> Generator[tuple[float | None, PointCloud], None, None]:
    suffix = PurePath(selection.path).suffix.lower()
    if suffix not in READERS:
        from volest.io.recording import is_recording, read_recording

        if is_recording(selection.path):
            yield from read_recording(selection)
            return
    if suffix == ".pcapng":
        _refuse(path, "found pcapng, which is not read (editcap -F pcap IN OUT makes a .pcap of it)")
    if selection.topic or selection.meta:
        _refuse(path, "found topic= or meta=, which only recordings have")
    from volest.io.sequence import sequence_files

    is_sequence = os.path.isdir(selection.path) and suffix not in READERS
    files = sequence_files(selection.path) if is_sequence else [(None, selection.path)]
    first = selection.frame or 0
    if first >= len(files):
        raise ScanError(f"{shown_name(path)}: found {len(files)} frames, expected frame={first}", flag="unreadable")
    for time_s, file in files[first:]:
        yield time_s, _read_file(file, PurePath(file).suffix.lower())


def _read_file(path: str | os.PathLike[str], suffix: str) -> PointCloud:
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
