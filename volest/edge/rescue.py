"""A damaged outbox: found out at the start, and what can still be read of it saved."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["WHOSE", "Rescued", "digest_of", "rescue", "set_aside"]

Row = tuple[Any, ...]
WHOSE = "truck"  # the mark that names the truck
KINDS = ("entry", "scan", "health")
MOST_GAP = 10_000  # numbers without a readable row before the rest is given up


@dataclass(slots=True)
class Rescued:
    """What was saved of a damaged outbox, and what is to be told of it."""

    events: list[Row] = field(default_factory=list)
    marks: list[Row] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def digest_of(*values: str | bytes) -> str:
    """Binds a row together: SQLite itself does not see a flipped bit in a page."""
    digest = hashlib.sha256()
    for value in values:
        raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:32]


def rescue(path: Path, application: int, version: int) -> Rescued | None:
    """What can be saved of a damaged file; None where it is whole, or not there yet.

    Raises sqlite3.Error or OSError where the file cannot be read at all for reasons of the disk, so that nothing is
    set aside that may be whole.
    """
    if not path.exists() or not path.stat().st_size:
        return None
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=0.0)) as db:
        wrong = _wrong(db, path, application, version)
        return None if wrong is None else _saved(db, wrong)


def set_aside(path: Path) -> None:
    """Keep the damaged file, the latest only, for whoever wants to look at it, until another takes its place.

    Its journal goes first, for it must never meet another file.
    """
    journal, damaged = path.with_name(path.name + "-journal"), path.with_name(path.name + ".damaged")
    if journal.exists():
        os.replace(journal, damaged.with_name(damaged.name + "-journal"))
    damaged.unlink(missing_ok=True)
    os.link(path, damaged)


def _wrong(db: sqlite3.Connection, path: Path, application: int, version: int) -> str | None:
    """What is wrong with a database; None when nothing."""
    try:
        found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if not any(found) and not path.stat().st_size:
            return None  # the power went before the first transaction, which was rolled back
        if found != [application, version]:
            return f"found application and version {found}, expected {[application, version]}"
        (state,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if state != "ok":
            return str(state)
        bad = sum(1 for row in db.execute("SELECT * FROM event") if not _is_event(row))
        bad += sum(1 for row in db.execute("SELECT * FROM mark") if not _is_mark(row))
        if bad:
            return f"{bad} rows with another checksum than they were written with"
        named = db.execute("SELECT count(*) FROM mark WHERE source = ?", (WHOSE,)).fetchone()[0]
        return None if named else "the truck is not named"
    except (sqlite3.OperationalError, sqlite3.InternalError) as error:
        if "disk" in str(error) or "open" in str(error) or "locked" in str(error) or "readonly" in str(error):
            raise
        return str(error)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return str(error)


def _saved(db: sqlite3.Connection, wrong: str) -> Rescued:
    saved = Rescued()
    events: dict[int, Row] = {}
    # From both ends, through the index, and one by one: a torn page hides what stands behind it on that way only.
    for order in ("ORDER BY seq", "ORDER BY seq DESC", "ORDER BY done, seq", "ORDER BY id"):
        for row in _rows(db, f"SELECT * FROM event {order}"):  # noqa: S608
            if _is_event(row):
                events[row[0]] = row
    for seq in _numbers(db, events):
        for row in _rows(db, f"SELECT * FROM event WHERE seq = {seq}"):  # noqa: S608
            if _is_event(row):
                events[row[0]] = row
    ids: dict[str, Row] = {row[1]: row for row in events.values()}
    saved.events = sorted(ids.values())
    # A replay goes through its day again, for what was lost can be had again there; the receiver knows the rest.
    marks = [row for row in _rows(db, "SELECT * FROM mark") if _is_mark(row) and not row[0].startswith("replay ")]
    saved.marks = list({row[0]: row for row in marks}.values())
    waiting = sum(1 for row in saved.events if not row[6])
    saved.told.append(
        f"the outbox was damaged ({' '.join(wrong.split())[:200]}): saved {len(saved.events)} documents, "
        f"{waiting} of them not delivered, and {sum(row[0] != WHOSE for row in saved.marks)} marks of where to go on"
    )
    return saved


def _rows(db: sqlite3.Connection, query: str) -> Iterator[Row]:
    """The rows up to the first that cannot be read."""
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
        yield from db.execute(query)


def _numbers(db: sqlite3.Connection, events: dict[int, Row]) -> Iterator[int]:
    """The numbers that rows may have which were not read yet."""
    last = max(events, default=0)
    for (highest,) in _rows(db, "SELECT seq FROM sqlite_sequence WHERE name = 'event'"):
        if isinstance(highest, int) and 0 <= highest < 2**62:
            last = max(last, highest)
    first = max(min(events, default=1) - MOST_GAP, last - 10 * MOST_GAP, 1)
    return (seq for seq in range(first, last + 1) if seq not in events)


def _is_event(row: Row) -> bool:
    if len(row) != 7 or not isinstance(row[0], int) or row[2] not in KINDS or row[6] not in (0, 1):
        return False
    return all(isinstance(value, str | bytes) for value in row[1:6]) and digest_of(*row[1:5]) == row[5]


def _is_mark(row: Row) -> bool:
    return len(row) == 3 and all(isinstance(value, str | bytes) for value in row) and digest_of(*row[:2]) == row[2]
