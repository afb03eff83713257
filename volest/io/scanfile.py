"""A scan's file: opened with care, its size known, its reads complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from volest.errors import ScanError

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_POINTS",
    "MAX_RECORD_BYTES",
    "MAX_UNPACKED_BYTES",
    "ScanFile",
    "open_scan",
    "shown_name",
]

MAX_FILE_BYTES = 4 << 30
MAX_POINTS = 50_000_000
"""Points of one scan; a spinning lidar's turn has 10^4 to 10^6."""
MAX_RECORD_BYTES = 1 << 16
"""Bytes of one point with all its fields."""
MAX_UNPACKED_BYTES = 2 << 30
FREELY_UNPACKED_BYTES = 64 << 20
MAX_UNPACKING_RATIO = 200
"""How many times its packed size a file may unpack to, where that exceeds FREELY_UNPACKED_BYTES."""
RECORDS_BYTES = 8 << 20
"""Bytes of records that are held in memory at a time."""


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A regular file that is open for reading. `name` is what messages call it."""

    name: str
    stream: BinaryIO
    size: int

    def fail(self, problem: str) -> NoReturn:
        """Raise the ScanError that says what is wrong with the file."""
        raise ScanError(f"{self.name}: {problem}", flag="unreadable")

    def left(self) -> int:
        """Bytes from here to the end."""
        return self.size - self.stream.tell()

    def read(self, size: int, what: str) -> bytes:
        """The next `size` bytes, all of them; `what` names them in the error when they are not there."""
        if size > self.left():
            self.fail(f"cut short: found {max(self.left(), 0)} bytes of {what}, expected {size}")
        data = self.stream.read(size)
        if len(data) != size:
            self.fail(f"cut short while it was read: found {len(data)} bytes of {what}, expected {size}")
        return data

    def skip(self, size: int, what: str) -> None:
        """Pass over the next `size` bytes, which must be there."""
        if size > self.left():
            self.fail(f"cut short: found {max(self.left(), 0)} bytes of {what}, expected {size}")
        self.stream.seek(size, os.SEEK_CUR)

    def check_points(self, count: int, record_bytes: int) -> None:
        """Refuse a count of points that is beyond all scans, or whose records do not fit into the rest of the file."""
        self.check_count(count)
        if not 0 < record_bytes <= MAX_RECORD_BYTES:
            self.fail(f"found {record_bytes} bytes a point, expected 1 to {MAX_RECORD_BYTES}")
        if count * record_bytes > self.left():
            found = max(self.left(), 0) // record_bytes
            self.fail(f"cut short: found {found} points, expected {count} of {record_bytes} bytes")

    def check_count(self, count: int) -> None:
        """Refuse a count of points that is beyond all scans."""
        if count > MAX_POINTS:
            self.fail(f"found a count of {count} points, expected at most {MAX_POINTS}")

    def check_unpacking(self, packed: int, unpacked: int) -> None:
        """Refuse packed data that claim to unpack to more than sound scans do."""
        if unpacked > MAX_UNPACKED_BYTES:
            self.fail(f"unpacks to {unpacked} bytes, expected at most {MAX_UNPACKED_BYTES}")
        if unpacked > FREELY_UNPACKED_BYTES and unpacked > packed * MAX_UNPACKING_RATIO:
            self.fail(f"unpacks {packed} to {unpacked} bytes, expected at most {MAX_UNPACKING_RATIO} times as many")

    def records(self, dtype: np.dtype[np.void], count: int) -> Iterator[NDArray[np.void]]:
        """The next `count` records, some at a time, so that a file is never held in memory as a whole."""
        step = max(1, RECORDS_BYTES // dtype.itemsize)
        for start in range(0, count, step):
            number = min(step, count - start)
            yield np.frombuffer(self.read(number * dtype.itemsize, "points"), dtype)


@contextmanager
def open_scan(path: str | os.PathLike[str], most_bytes: int | None = None) -> Iterator[ScanFile]:
    """Open a scan's file; ScanError where it is missing, empty, too large or no regular file.

    `most_bytes` takes the place of MAX_FILE_BYTES where the file is read in pieces.
    """
    name, shown = os.fspath(path), shown_name(path)
    try:
        _check_kind(shown, os.stat(name).st_mode)
        # Should the file be exchanged for a FIFO in between, O_NONBLOCK keeps the open from waiting for a writer.
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ScanError(f"{shown}: no such file", flag="unreadable") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ScanError(f"{shown}: cannot be opened: {reason}", flag="unreadable") from None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        _check_kind(shown, status.st_mode)
        scan = ScanFile(shown, stream, status.st_size)
        if scan.size == 0:
            scan.fail("the file is empty")
        most_bytes = MAX_FILE_BYTES if most_bytes is None else most_bytes
        if scan.size > most_bytes:
            scan.fail(f"found {scan.size} bytes, expected at most {most_bytes}")
        yield scan


def shown_name(path: str | os.PathLike[str]) -> str:
    """The path as messages show it: never with line ends or other control characters."""
    name = os.fspath(path)
    return name if name.isprintable() else repr(name)


def _check_kind(name: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "device, pipe or socket"
        raise ScanError(f"{name}: found a {kind}, expected a file", flag="unreadable")
