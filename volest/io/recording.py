"""Recordings: ROS 1 and ROS 2 bags, MCAP, captures of Velodyne, Hesai and Ouster packets, OSF.

All are decoded in a process of its own, which writes frame after frame as binary PCD into a pipe; one frame at a time
is held in memory.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Generator, Iterator
from pathlib import PurePath
from typing import NoReturn

from volest.errors import ScanError
from volest.io.pcd import read_pcd
from volest.io.sandbox import Limits, open_decoder, require
from volest.io.scanfile import ScanFile, open_scan, shown_name
from volest.io.selection import Selection
from volest.io.sequence import file_names, numbered_files
from volest.pointcloud import PointCloud

__all__ = ["PACKAGES", "is_recording", "read_recording", "recording_files"]

PACKAGES = {  # by suffix
    ".bag": "rosbags",
    ".db3": "rosbags",
    ".mcap": "mcap",
    ".osf": "ouster",
    ".pcap": "velodyne_decoder",
}
MAX_FILE_BYTES = 64 << 30
MAX_FRAME_BYTES = 512 << 20
MEMORY_BYTES = 2 << 30
MAX_WORDS_BYTES = 1 << 20
MAX_METADATA_BYTES = 100_000
"""Less than what may be handed to a process as one argument (128 KiB)."""
OUSTER, HESAI = "beam_altitude_angles", "channel,elevation,azimuth"
"""By what the metadata of an Ouster, and the calibration of a Hesai, are known."""
START_SECONDS = 30.0
SECONDS_PER_BYTE = 5e-7
PACKED = ".zstd"
HEAD = struct.Struct("<qQ")
END = 1 << 63
MAX_TOPIC_CHARACTERS = 1000
MAX_TOPIC_BYTES = 4 * MAX_TOPIC_CHARACTERS


def read_recording(selection: Selection) -> Iterator[tuple[float, PointCloud]]:
    """Time [s] and points of each frame, from the selected one on, else from the first.

    Raises ScanError where the recording is malformed, cut short, or holds no such topic or frame.
    """
    topic, first, total = selection.topic, selection.frame or 0, 0
    if not topic.isprintable() or len(topic) > MAX_TOPIC_CHARACTERS:
        _fail(selection.path, f"found the topic {topic[:40]!r}, expected the name of one")
    for number, file in enumerate(recording_files(selection.path)):
        with open_scan(file, MAX_FILE_BYTES) as scan:
            arguments = [topic, "yes" if number else "no", str(max(0, first - total)), _metadata(selection, file)]
            topic, count = yield from _decode(scan, arguments)
            total += count
    if total <= first:
        wanted = "at least one" if selection.frame is None else f"frame={first}"
        told = f" of {topic}" if topic else ""
        _fail(selection.path, f"found {total or 'no'} frames{told}, expected {wanted}")


def recording_files(path: str) -> list[str]:
    """The file itself; of a folder its files in order, as of a ROS 2 bag or of a recording that was split."""
    return numbered_files(path, recording_suffix, "recordings") if os.path.isdir(path) else [path]


def recording_suffix(name: str) -> str:
    """The suffix that tells a recording's kind, in lower case; nothing where it is none."""
    suffixes = PurePath(name.lower()).suffixes
    suffix = "".join(suffixes[-2:] if suffixes[-1:] == [PACKED] else suffixes[-1:])
    return suffix if suffix.removesuffix(PACKED) in PACKAGES else ""


def is_recording(path: str) -> bool:
    """Whether a path is a recording by its suffix, or a folder with some in it."""
    return bool(recording_suffix(path)) or (os.path.isdir(path) and any(map(recording_suffix, file_names(path))))


def _decode(scan: ScanFile, arguments: list[str]) -> Generator[tuple[float, PointCloud], None, tuple[str, int]]:
    """The frames of one file; returns the topic and the number of its frames, those passed over included."""
    kind = recording_suffix(scan.name)
    topic, _, first, metadata = arguments
    package = "ouster" if kind == ".pcap" and OUSTER in metadata else PACKAGES[kind.removesuffix(PACKED)]
    require(package, f"{scan.name}: reading {kind}")
    limits = Limits(MEMORY_BYTES, MAX_WORDS_BYTES, START_SECONDS + SECONDS_PER_BYTE * scan.size)
    number = int(first)
    with open_decoder(scan, "recording_decoder", [kind, *arguments], limits) as pipe:
        while True:
            head = pipe.read(HEAD.size)
            if len(head) != HEAD.size:
                scan.fail("its decoder ended before the recording did")
            time_ns, size = HEAD.unpack(head)
            if size == END:
                return pipe.read(MAX_TOPIC_BYTES).decode("utf-8", "replace") or topic, time_ns
            if size > MAX_FRAME_BYTES:
                scan.fail(f"found {size} bytes of points in frame {number}, expected at most {MAX_FRAME_BYTES}")
            content = pipe.read(size)
            frame = ScanFile(f"{scan.name}: frame {number}", io.BytesIO(content), len(content))
            yield time_ns * 1e-9, read_pcd(frame)
            number += 1


def _metadata(selection: Selection, file: str) -> str:
    """The text of the file that describes an Ouster or a Hesai: the one that is told, or of the recording's name."""
    beside = [PurePath(file).with_suffix(suffix).name for suffix in (".json", ".csv")]
    for name in [selection.meta] if selection.meta else beside:
        path = os.path.join(os.path.dirname(file), name)
        if not selection.meta and not (os.path.isfile(path) and 0 < os.path.getsize(path) <= MAX_METADATA_BYTES):
            continue
        with open_scan(path, MAX_METADATA_BYTES) as scan:
            text = scan.read(scan.size, "metadata").decode("utf-8", "replace").lstrip("\ufeff")
            if "\0" not in text and (OUSTER in text or text.lower().startswith(HESAI)):
                return text
            if selection.meta:
                scan.fail(
                    f"found no {OUSTER}, expected the metadata of an Ouster or a Hesai's Channel,Elevation,Azimuth"
                )
    return ""


def _fail(path: str, problem: str) -> NoReturn:
    raise ScanError(f"{shown_name(path)}: {problem}", flag="unreadable")
