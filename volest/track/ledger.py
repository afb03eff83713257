"""The log of a truck's entries: append-only, a record a line, each bound to all before it, on disk before it counts."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from volest.durable import sync_folder
from volest.errors import InputError
from volest.track.entry import SCHEMA

__all__ = ["Ledger", "LedgerError", "read_ledger"]

Record = dict[str, Any]
MOST_LINE_BYTES = 1 << 20
MOST_BYTES = 1 << 30
MARK = b',"sha256":"'
DIGITS = 32  # of the digest


class LedgerError(InputError):
    """A ledger that cannot be read or written, or in which something was changed."""


class Ledger:
    """A ledger file that is open for appending; no other process can open it meanwhile.

    A last line that a power cut tore is cut off; anything else that is wrong raises LedgerError, which names file and
    line. Records are known by their `id`: what is there already is not written again.
    """

    def __init__(self, path: str | Path, truck_id: str) -> None:
        self.path = Path(path)
        self._file = _opened(self.path)
        try:
            records, self._size, self._sum = _checked(self.path, _content(self._file, self.path))
            os.ftruncate(self._file, self._size)
            if not records:
                self._write({"schema": SCHEMA, "truck_id": truck_id}, 0)
                sync_folder(self.path.parent)
            else:
                _check_head(self.path, records[0]["entry"], {"schema": SCHEMA, "truck_id": truck_id})
        except OSError as error:
            self.close()
            raise LedgerError(f"{self.path}: cannot be written ({error.strerror})") from error
        except BaseException:
            self.close()
            raise
        self.entries: list[Record] = [record["entry"] for record in records[1:]]
        self._known = {entry.get("id") for entry in self.entries}

    def append(self, entry: Record) -> bool:
        """Write an entry and wait until it is on disk; False if one with its id is there already."""
        if entry["id"] in self._known:
            return False
        try:
            self._write(entry, len(self.entries) + 1)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise LedgerError(f"{self.path}: cannot be written ({error.strerror})") from error
        self.entries.append(entry)
        self._known.add(entry["id"])
        return True

    def _write(self, entry: Record, seq: int) -> None:
        line, digest = _line(entry, seq, self._sum)
        if len(line) > MOST_LINE_BYTES:
            raise LedgerError(f"{self.path}: found an entry of {len(line)} bytes, expected at most {MOST_LINE_BYTES}")
        written = 0
        while written < len(line):
            written += os.write(self._file, line[written:])
        os.fsync(self._file)
        self._size, self._sum = self._size + len(line), digest

    def close(self) -> None:
        """Let others open it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_ledger(path: str | Path) -> list[Record]:
    """The entries of a ledger, without its torn last line if it has one; LedgerError names file and line of a fault."""
    path = Path(path)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read ({error.strerror}); expected a ledger") from error
    try:
        return [record["entry"] for record in _checked(path, _content(file, path))[0][1:]]
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags, 0o644)
    except OSError as error:
        raise LedgerError(f"{path}: cannot be opened ({error.strerror}); expected a place for the ledger") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise LedgerError(f"{path}: found it in use, expected that nobody else writes to it") from error
    return file


def _check_head(path: Path, head: Record, expected: Record) -> None:
    for key, value in expected.items():
        if head.get(key) != value:
            raise LedgerError(f"{path}: line 1: {key}: found {head.get(key)!r}, expected {value!r}")


def _content(file: int, path: Path) -> bytes:
    state = os.fstat(file)
    if not stat.S_ISREG(state.st_mode):
        raise LedgerError(f"{path}: not a file; expected a ledger")
    if state.st_size > MOST_BYTES:
        raise LedgerError(f"{path}: found {state.st_size} bytes, expected at most {MOST_BYTES}")
    return b"".join(_chunks(file))


def _chunks(file: int) -> Iterator[bytes]:
    os.lseek(file, 0, os.SEEK_SET)
    while chunk := os.read(file, 1 << 20):
        yield chunk


def _line(entry: Record, seq: int, before: str) -> tuple[bytes, str]:
    """A record's line, and its digest, which covers the line and the digest before it."""
    text = json.dumps({"seq": seq, "entry": entry}, allow_nan=False, separators=(",", ":"))
    body = text[:-1].encode()
    digest = _digest(before, body)
    return body + MARK + digest.encode() + b'"}\n', digest


def _digest(before: str, body: bytes) -> str:
    return hashlib.sha256(before.encode() + body).hexdigest()[:DIGITS]


def _checked(path: Path, content: bytes) -> tuple[list[Record], int, str]:
    """The records, how many bytes they take, and the last digest. What follows the last line's end is torn."""
    records: list[Record] = []
    digest, at = "", 0
    *lines, torn = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        record = _record(line, digest, number - 1)
        if isinstance(record, str):
            raise LedgerError(f"{path}: line {number} (byte {at}): {record}")
        records.append(record[0])
        digest, at = record[1], at + len(line) + 1
    _check_torn(path, torn, digest, len(records), at)
    return records, at, digest


def _check_torn(path: Path, torn: bytes, digest: str, seq: int, at: int) -> None:
    """A line that a power cut tore is the beginning of a record, or holes that the disk left; else it was changed."""
    whole = torn.find(b'"}', torn.find(MARK) + len(MARK)) + 2 if MARK in torn else 0
    if 0 < whole < len(torn) and not isinstance(_record(torn[:whole], digest, seq), str):
        raise LedgerError(f"{path}: line {seq + 1} (byte {at + whole}): found a byte changed, expected a line's end")
    if torn.strip(b"\0") and not torn.startswith(b'{"seq":'[: len(torn)]):
        raise LedgerError(f"{path}: line {seq + 1} (byte {at}): found no record, expected a ledger of {SCHEMA}")


def _record(line: bytes, before: str, seq: int) -> tuple[Record, str] | str:
    """A line's record and digest, or what is wrong with it."""
    if len(line) > MOST_LINE_BYTES:
        return f"found {len(line)} bytes, expected at most {MOST_LINE_BYTES}"
    body, mark, end = line.rpartition(MARK)
    digest = _digest(before, body)
    if not mark or end != digest.encode() + b'"}':
        return "found another checksum than what stands there and before has: a record was changed, lost or torn"
    try:
        record = msgspec.json.decode(body + b"}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        return f"found no JSON ({error})"
    if record.get("seq") != seq or not isinstance(record.get("entry"), dict):
        return f"found the record {record.get('seq')!r}, expected {seq}"
    return record, digest
