"""What waits to be delivered, and where the day is to go on: one SQLite file that survives kills and power cuts."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from volest.durable import sync_folder
from volest.edge.event import Document, wall_time
from volest.edge.rescue import WHOSE, Rescued, digest_of, rescue, set_aside
from volest.errors import InputError

__all__ = ["Outbox", "OutboxError", "OutboxFullError", "Queued"]

APPLICATION, VERSION = 0x766F6C65, 1  # "vole"
MOST_HEALTH = 100  # health documents that wait; the latest count
DROPPED = (  # when room is wanted, the oldest of these first, in this order; results that wait are never among them
    "kind = 'scan'",
    "kind = 'health'",
    "kind = 'entry' AND done = 1",
)
SCHEMA = f"""
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    recorded TEXT NOT NULL,
    body BLOB NOT NULL,
    digest TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX waiting ON event (done, seq);
CREATE INDEX kinds ON event (kind, seq);
CREATE TABLE mark (source TEXT PRIMARY KEY, body BLOB NOT NULL, digest TEXT NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""


class OutboxError(InputError):
    """An outbox that cannot be used."""


class OutboxFullError(OutboxError):
    """No room on the disk, or the disk fails: what was to be written is not, and can be tried again."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A document that waits."""

    seq: int
    id: str
    kind: str
    recorded: str
    body: bytes


class Outbox:
    """An outbox file that is open; no other process can open it meanwhile, threads may share it.

    Rollback journal, synchronous EXTRA (FULL, and the folder too): what `append` has returned for is on disk. `told`
    says in sentences what was found damaged when it was opened, and what could be saved.
    """

    def __init__(self, path: str | Path, truck_id: str, most_bytes: int = 64_000_000) -> None:
        self.path, self._truck_id, self._most_bytes = Path(path), truck_id, most_bytes
        self.told: list[str] = []
        self.dropped = 0  # documents that made room for others
        self._lock = threading.RLock()
        self.news = threading.Event()  # set when something is to be delivered
        self._guard = _locked(self.path)
        try:
            self._db = self._opened()
        except BaseException:
            os.close(self._guard)
            raise

    def append(self, documents: Sequence[Document], source: str, mark: bytes | None = None) -> int:
        """Write documents and where their source is to go on, all or nothing; how many were new.

        Documents whose id is there already are left out. Raises OutboxFullError where the disk is full or fails.
        """
        recorded = wall_time()
        with self._lock:
            try:
                with self._db:  # commits, or rolls back
                    self._db.execute("BEGIN IMMEDIATE")
                    new = sum(self._insert(document, recorded) for document in documents)
                    if mark is not None:
                        row = (source, mark, digest_of(source, mark))
                        self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", row)
                    dropped = self._make_room()
            except sqlite3.Error as error:
                raise self._unwritten(error) from error
            self.dropped += dropped
        if new:
            self.news.set()
        return new

    def mark(self, source: str) -> bytes | None:
        """Where a source is to go on."""
        with self._lock:
            row = self._db.execute("SELECT body FROM mark WHERE source = ?", (source,)).fetchone()
            return None if row is None else bytes(row[0])

    def queued(self, most: int, beside: Sequence[str] = ()) -> list[Queued]:
        """The oldest documents that wait, but those whose ids are told."""
        with self._lock:
            cursor = self._db.execute(
                "SELECT seq, id, kind, recorded, body FROM event WHERE done = 0 ORDER BY seq LIMIT ?",
                (most + len(beside),),
            )
            rows = [Queued(*row) for row in cursor if row[1] not in beside]
            return rows[:most]

    def waiting(self) -> int:
        """How many documents wait."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM event WHERE done = 0").fetchone()[0])

    def done(self, ids: Sequence[str]) -> int:
        """The receiver has committed these: results are kept as long as there is room, detail goes. How many waited."""
        with self._lock:
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    return sum(self._finish(name) for name in ids)
            except sqlite3.Error as error:
                raise self._unwritten(error) from error

    def used_bytes(self) -> int:
        """What the documents take on disk."""
        with self._lock:
            return self._pages("page_count") - self._pages("freelist_count")

    @property
    def fill(self) -> float:
        """Of what it may take."""
        return self.used_bytes() / self._most_bytes

    def close(self) -> None:
        """Let others open it."""
        with self._lock:
            if self._guard >= 0:
                self._db.close()
                os.close(self._guard)
                self._guard = -1

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- one transaction ----------------------------------------------------------------------------------------------

    def _insert(self, document: Document, recorded: str) -> int:
        """1, or 0 where one of its id is there. An id that comes a second time takes no number."""
        if self._db.execute("SELECT 1 FROM event WHERE id = ?", (document.id,)).fetchone():
            return 0
        row = (document.id, document.kind, recorded, document.body)
        self._db.execute(
            "INSERT INTO event (id, kind, recorded, body, digest) VALUES (?, ?, ?, ?, ?)", (*row, digest_of(*row))
        )
        return 1

    def _unwritten(self, error: sqlite3.Error) -> OutboxError:
        """The disk's fault, which may pass; anything else is damage, which is mended when it is opened again."""
        kind = OutboxFullError if isinstance(error, sqlite3.OperationalError) else OutboxError
        return kind(f"{self.path}: cannot be written ({error})")

    def _finish(self, name: str) -> int:
        kept = "UPDATE event SET done = 1 WHERE id = ? AND done = 0 AND kind = 'entry'"
        gone = "DELETE FROM event WHERE id = ? AND done = 0 AND kind != 'entry'"
        return self._db.execute(kept, (name,)).rowcount or self._db.execute(gone, (name,)).rowcount

    def _make_room(self) -> int:
        """Drop what may be dropped until the rest is within bounds; how many that were."""
        # of health, which comes by the clock however long nobody listens, the latest are enough
        surplus = "SELECT seq FROM event WHERE kind = 'health' ORDER BY seq DESC LIMIT -1 OFFSET ?"
        count = self._db.execute(f"DELETE FROM event WHERE seq IN ({surplus})", (MOST_HEALTH,)).rowcount  # noqa: S608
        for which in DROPPED:
            while self.used_bytes() > self._most_bytes:
                oldest = f"SELECT seq FROM event WHERE {which} ORDER BY seq LIMIT 1"  # noqa: S608
                gone = self._db.execute(f"DELETE FROM event WHERE seq IN ({oldest})").rowcount  # noqa: S608
                if not gone:
                    break
                count += gone
        return count

    def _pages(self, what: str) -> int:
        size = self._db.execute("PRAGMA page_size").fetchone()[0]
        return int(self._db.execute(f"PRAGMA {what}").fetchone()[0] * size)

    # --- opening ------------------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        """The database, whole: a damaged one is set aside, and what can be read of it is carried over."""
        try:
            rescued = rescue(self.path, APPLICATION, VERSION)
            if rescued is not None:
                self._refill(rescued)
                self.told += rescued.told
            db = _connected(self.path)
            if not db.execute("PRAGMA user_version").fetchone()[0]:
                _create(db, self._truck_id)
            (truck,) = db.execute("SELECT body FROM mark WHERE source = ?", (WHOSE,)).fetchone()
            truck_id = bytes(truck).decode()
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"{self.path}: cannot be opened ({error}); expected a place for the outbox") from error
        if truck_id != self._truck_id:
            db.close()
            raise OutboxError(f"{self.path}: found the outbox of {truck_id!r}, expected that of {self._truck_id!r}")
        return db

    def _refill(self, rescued: Rescued) -> None:
        """A new file, made beside and put in its place when it is whole."""
        whose = [bytes(row[1]).decode() for row in rescued.marks if row[0] == WHOSE]
        if whose not in ([], [self._truck_id]):
            raise OutboxError(f"{self.path}: found the outbox of {whose[0]!r}, expected that of {self._truck_id!r}")
        beside = self.path.with_name(self.path.name + ".new")
        for leftover in (beside, beside.with_name(beside.name + "-journal")):
            leftover.unlink(missing_ok=True)
        db = _connected(beside)
        _create(db, self._truck_id)
        with db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", rescued.events)
            db.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", rescued.marks)
        db.close()
        set_aside(self.path)
        os.replace(beside, self.path)
        sync_folder(self.path.parent)


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
    for pragma in ("journal_mode = DELETE", "synchronous = EXTRA", "cache_size = -1024"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _create(db: sqlite3.Connection, truck_id: str) -> None:
    with db:
        db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        whose = truck_id.encode()
        db.execute("INSERT INTO mark VALUES (?, ?, ?)", (WHOSE, whose, digest_of(WHOSE, whose)))


def _locked(path: Path) -> int:
    guard = path.with_name(path.name + ".lock")
    try:
        file = os.open(guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutboxError(f"{guard}: cannot be opened ({error.strerror}); expected a place for the outbox") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise OutboxError(f"{path}: found it in use, expected that nobody else writes to it") from error
    return file
