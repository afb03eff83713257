"""CAN frames from log files: candump `.log`, Vector `.asc` and `.blf`."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from volest.errors import MissingExtraError, WeightError

if TYPE_CHECKING:
    from can import Message

__all__ = ["CAN_LOGS", "frames"]

CAN_LOGS = (".log", ".asc", ".blf")
MAX_BYTES = 200_000_000
MAX_INFLATED_BYTES = 256_000_000
MAX_OBJECT_BYTES = 1 << 20
MAX_FRAMES = 5_000_000
MAX_LINE = 4096
LATEST_S = 1e12
KINDS = {".log": "a candump log", ".asc": "a Vector ASC log", ".blf": "a Vector BLF log"}


def frames(path: Path) -> Iterator[Message]:
    """The frames of a log in its order, error and remote frames too.

    The readers are python-can's. Raises WeightError naming the file, the line, byte or frame, and what was expected;
    sizes are bounded before memory is taken.
    """
    kind = KINDS[path.suffix.lower()]
    try:
        from can import io as readers
    except ImportError as error:
        raise MissingExtraError("a CAN log", "server") from error
    _check_size(path, kind)
    if path.suffix.lower() == ".blf":
        _check_blf(path)
        with path.open("rb") as content, _told(path, kind) as place:
            reader: Any = readers.BLFReader(content)
            yield from _counted(reader, path, place)
        return
    with path.open(encoding="latin-1", newline=None) as file, _told(path, kind) as place:
        lines: Any = _Lines(file, path, place)
        reader = readers.ASCReader(lines) if path.suffix.lower() == ".asc" else readers.CanutilsLogReader(lines)
        yield from _counted(reader, path, place)


def _check_size(path: Path, kind: str) -> None:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise WeightError(f"{path}: not a file; expected {kind}")
    except (OSError, ValueError) as error:
        if isinstance(error, WeightError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WeightError(f"{path}: cannot be read ({reason}); expected {kind}") from error
    if size > MAX_BYTES:
        raise WeightError(f"{path}: found {size} bytes, expected at most {MAX_BYTES}")


class _Place:
    """Where in the file the reader is."""

    def __init__(self) -> None:
        self.line = 0
        self.frames = 0

    def __str__(self) -> str:
        return f"line {self.line}" if self.line else f"after frame {self.frames}"


@contextmanager
def _told(path: Path, kind: str) -> Iterator[_Place]:
    """Whatever the reader of another project raises is an error that names the file and the place."""
    place = _Place()
    try:
        yield place
    except (WeightError, GeneratorExit):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise WeightError(f"{path}: {place}: cannot be read ({reason}); expected {kind}") from error


class _Lines:
    """A text file that counts its lines and bounds their length."""

    def __init__(self, file: TextIO, path: Path, place: _Place) -> None:
        self._file, self._path, self._place = file, path, place

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(MAX_LINE + 1):
            self._place.line += 1
            if len(line) > MAX_LINE:
                raise WeightError(
                    f"{self._path}: {self._place}: found more than {MAX_LINE} characters, expected a CAN frame"
                )
            yield line

    def read(self, size: int = -1) -> str:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


def _counted(reader: Any, path: Path, place: _Place) -> Iterator[Message]:
    for frame in reader:
        place.frames += 1
        if getattr(reader, "timestamps_format", None) == "relative":
            raise WeightError(f"{path}: found 'timestamps relative' in its head, expected absolute ones")
        if place.frames > MAX_FRAMES:
            raise WeightError(f"{path}: found more than {MAX_FRAMES} frames, expected at most that: cut the log")
        if not math.isfinite(frame.timestamp) or abs(frame.timestamp) > LATEST_S:
            raise WeightError(f"{path}: {place}: found the time {frame.timestamp:g}, expected seconds")
        yield frame


# --- BLF: what python-can's reader takes on trust ---------------------------------------------------------------------

FILE_HEADER, OBJECT, CONTAINER = struct.Struct("<4sL"), struct.Struct("<4sHHLL"), struct.Struct("<H6xL4x")
LOG_CONTAINER, STORED, DEFLATED = 10, 0, 2


def _check_blf(path: Path) -> None:
    """Walk the file's containers and the objects in them: whole, of a sane size, and not inflated beyond measure."""
    size, inflated, tail = path.stat().st_size, 0, b""
    with path.open("rb") as file:
        magic, header_size = _unpacked(FILE_HEADER, file.read(FILE_HEADER.size), path, 0)
        if magic != b"LOGG" or not 144 <= header_size <= 65536:
            raise WeightError(f"{path}: byte 0: found {magic!r}, expected a Vector BLF log, which starts with b'LOGG'")
        at = header_size
        while at < size:
            file.seek(at)
            mark, _, _, length, kind = _unpacked(OBJECT, file.read(OBJECT.size), path, at)
            if mark != b"LOBJ" or not OBJECT.size <= length <= size - at:
                rest = size - at
                raise WeightError(
                    f"{path}: byte {at}: found {mark!r} of {length} bytes, expected an object b'LOBJ' within the"
                    f" {rest} bytes that are left; is the log cut off?"
                )
            if kind == LOG_CONTAINER:
                content = _inflated(file.read(length - OBJECT.size), path, at)
                inflated += len(content)
                if inflated > MAX_INFLATED_BYTES:
                    raise WeightError(
                        f"{path}: byte {at}: inflates beyond {MAX_INFLATED_BYTES} bytes, expected at most that"
                    )
                tail = _rest(tail + content, path, at)
            at += length + length % 4
    if b"LOBJ" in tail:
        raise WeightError(f"{path}: byte {size}: the last object is not whole, expected more; is the log cut off?")


def _unpacked(layout: struct.Struct, content: bytes, path: Path, at: int) -> tuple[Any, ...]:
    if len(content) < layout.size:
        raise WeightError(f"{path}: byte {at}: found {len(content)} bytes, expected at least {layout.size}")
    return layout.unpack_from(content)


def _inflated(content: bytes, path: Path, at: int) -> bytes:
    method, _ = _unpacked(CONTAINER, content, path, at)
    if method == STORED:
        return content[CONTAINER.size :]
    if method != DEFLATED:
        raise WeightError(f"{path}: byte {at}: found the compression {method}, expected {STORED} or {DEFLATED}")
    zlib_stream = zlib.decompressobj()
    try:
        inflated = zlib_stream.decompress(content[CONTAINER.size :], 64 * MAX_OBJECT_BYTES)
    except zlib.error as error:
        raise WeightError(f"{path}: byte {at}: the container cannot be inflated ({error})") from error
    if not zlib_stream.eof:
        raise WeightError(
            f"{path}: byte {at}: found a container without end, expected at most 64 MB; is the log cut off?"
        )
    return inflated


def _rest(content: bytes, path: Path, at: int) -> bytes:
    """What is left behind the whole objects of a container: the start of one that the next container ends."""
    pos = 0
    while pos + OBJECT.size <= len(content):
        found = content.find(b"LOBJ", pos, pos + 8)
        if found < 0:
            raise WeightError(f"{path}: byte {at}: found no object in its container, expected b'LOBJ'")
        if found + OBJECT.size > len(content):
            return content[pos:]
        length = OBJECT.unpack_from(content, found)[3]
        if not 2 * OBJECT.size <= length <= MAX_OBJECT_BYTES:
            raise WeightError(
                f"{path}: byte {at}: found an object of {length} bytes in its container, expected"
                f" {2 * OBJECT.size} to {MAX_OBJECT_BYTES}"
            )
        if found + length > len(content):
            return content[found:]
        pos = found + length
    return content[pos:]
