"""The ledger of a batch: each load once, what became of it and where its row lies; on disk before it counts."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from volest.errors import InputError

__all__ = ["ASSIGNED", "LEASED", "PENDING", "PUBLISHED", "RECORDED", "Ledger", "Load", "PartRecord"]

NAME = "_ledger.sqlite"
PENDING, LEASED, RECORDED, ASSIGNED, PUBLISHED = range(5)  # what becomes of a load, in this order
FORMAT = 1
TABLES = f"""
create table load(
    id integer primary key,
    load_id text not null unique,
    key blob not null,        -- of what the row is made from; empty: whatever that is, make it anew
    base integer not null,
    truck text not null,
    told text,                -- the manifest's row as JSON, until there is a result
    state integer not null,
    tries integer not null default 0,
    row blob,                 -- the result as JSON, until it is published
    part integer,
    fault_in text             -- the manifest, of a row without a load_id of its own
);
create index pending on load(truck, id) where state = {PENDING};
create index recorded on load(id) where state in ({RECORDED}, {ASSIGNED});
create index by_part on load(part);
create table base(id integer primary key, path text not null unique);
create table part(
    id integer primary key, partition text not null, rows integer not null, dirty integer not null, chain text
);
create index by_partition on part(partition, id);
create index dirty on part(id) where dirty;
create table run(
    id integer primary key, manifest text not null, engine text not null, loads integer not null, chain text not null
);
pragma user_version = {FORMAT};
"""


@dataclass(frozen=True, slots=True)
class Load:
    """A load that is due, with its number in the ledger; `base` is the folder that its files are relative to."""

    id: int
    load_id: str
    truck: str  # the name of its file
    base: str
    told: str  # the manifest's row, as JSON
    tries: int = 0


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A file of the dataset, as the ledger knows it."""

    id: int
    partition: str
    rows: int
    chain: str | None


class Ledger:
    """The ledger in a folder of results, open for one process; InputError where another one has it open.

    A rollback journal with full synchronisation: what `commit` has returned from outlives a power cut. No write-ahead
    log, which SQLite 3.7 to 3.51.2 could corrupt.
    """

    def __init__(self, directory: Path, *, create: bool = True) -> None:
        self.path = directory / NAME
        if not create and not self.path.is_file():
            raise InputError(f"{self.path}: found no ledger, expected a folder of results of volest batch")
        self._lock = _locked(directory)
        try:
            self.db = sqlite3.connect(self.path, isolation_level=None)
            self._open()
        except sqlite3.Error as error:
            self.close()
            raise InputError(f"{self.path}: cannot be used ({error}); expected the ledger of volest batch") from error
        except BaseException:
            self.close()
            raise
        self.bases: dict[int, str] = dict(self.db.execute("select id, path from base"))
        self.db.execute("begin")

    def _open(self) -> None:
        for pragma in (
            "journal_mode = delete",
            "synchronous = full",
            "locking_mode = exclusive",
            "cache_size = -32768",
        ):
            self.db.execute(f"pragma {pragma}")
        (version,) = self.db.execute("pragma user_version").fetchone()
        if version == 0:
            self.db.executescript(f"begin; {TABLES} commit;")
        elif version != FORMAT:
            raise InputError(f"{self.path}: found a ledger of format {version}, expected {FORMAT}")
        self.db.execute("create temp table seen(load_id text primary key) without rowid")

    def commit(self) -> None:
        """Wait until all that was told is on disk."""
        self.db.execute("commit")
        self.db.execute("begin")

    def base(self, path: str) -> int:
        """The number of a folder that files are relative to."""
        self.db.execute("insert or ignore into base(path) values (?)", (path,))
        (number,) = self.db.execute("select id from base where path = ?", (path,)).fetchone()
        self.bases[number] = path
        return int(number)

    def keys(self, load_ids: Sequence[str]) -> dict[str, tuple[bytes, int]]:
        """Key and state of those of the loads that are known."""
        marks = ",".join("?" * len(load_ids))
        found = self.db.execute(f"select load_id, key, state from load where load_id in ({marks})", load_ids)
        return {load_id: (key, state) for load_id, key, state in found}

    def is_new(self, load_id: str) -> bool:
        """Whether a load is told for the first time in this run."""
        return self.db.execute("insert or ignore into seen values (?)", (load_id,)).rowcount == 1

    def plan(self, due: Iterable[tuple[str, bytes, int, str, str]]) -> None:
        """Loads to be estimated (anew): load_id, key, base, truck, told."""
        self.db.executemany(
            f"""insert into load(load_id, key, base, truck, told, state) values (?, ?, ?, ?, ?, {PENDING})
            on conflict(load_id) do update set key = excluded.key, base = excluded.base, truck = excluded.truck,
            told = excluded.told, state = {PENDING}, tries = 0, row = null, fault_in = null""",
            due,
        )

    def plan_faults(self, faults: Iterable[tuple[str, bytes, int, bytes, str | None]]) -> None:
        """Rows of a manifest that are results already: load_id, key, base, row, the manifest if the id is not its."""
        self.db.executemany(
            f"""insert into load(load_id, key, base, truck, state, row, fault_in) values (?, ?, ?, '', {RECORDED}, ?, ?)
            on conflict(load_id) do update set key = excluded.key, base = excluded.base, truck = '', told = null,
            state = {RECORDED}, row = excluded.row, fault_in = excluded.fault_in""",
            faults,
        )

    def settle_plan(self, manifest: str) -> None:
        """After all rows of a manifest: forget what an earlier run left undone of others, and faults now mended."""
        run = self.db.execute
        gone = "load_id not in (select load_id from seen)"
        run(
            f"""update load set state = {PUBLISHED}, key = x'', told = null
            where state = {PENDING} and part is not null and {gone}"""
        )
        run(f"delete from load where state = {PENDING} and {gone}")
        mended = f"fault_in = ? and {gone}"
        if run(f"select 1 from load where {mended} limit 1", (manifest,)).fetchone():
            run(f"update part set dirty = 1 where id in (select part from load where {mended})", (manifest,))
            run(f"delete from load where {mended}", (manifest,))
        self.commit()

    def resume(self) -> None:
        """Take back what a run that was killed had leased."""
        self.db.execute(f"update load set state = {PENDING} where state = {LEASED}")
        self.commit()

    def pending(self) -> int:
        """How many loads are due."""
        (count,) = self.db.execute(f"select count(*) from load where state = {PENDING}").fetchone()
        return int(count)

    def lease(self, most: int, truck: str = "", others: Sequence[str] = ()) -> list[Load]:
        """Up to so many loads that are due: of this truck, else of one that is none of the others, else of any."""
        found = self._due("and truck = ?", [truck], most) if truck else []
        if not found and others:
            marks = ",".join("?" * len(others))
            found = self._due(f"and truck not in ({marks})", list(others), most)
        found = found or self._due("", [], most)
        self.db.executemany(f"update load set state = {LEASED} where id = ?", ((load.id,) for load in found))
        return found

    def _due(self, condition: str, values: list[str], most: int) -> list[Load]:
        rows = self.db.execute(
            f"""select id, load_id, truck, base, told, tries from load where state = {PENDING} {condition}
            order by truck, id limit ?""",
            [*values, most],
        )
        return [
            Load(id_, load_id, of, self.bases[base], told, tries)
            for id_, load_id, of, base, told, tries in rows.fetchall()
        ]

    def record(self, results: Iterable[tuple[int, bytes, bool]]) -> None:
        """Results: number of the load, its row as JSON, and whether it stands until something changes."""
        self.db.executemany(
            f"""update load set state = {RECORDED}, row = ?, told = null, key = case when ? then key else x'' end
            where id = ?""",
            ((row, stands, id_) for id_, row, stands in results),
        )
        self.commit()

    def record_tries(self, tries: Iterable[tuple[int, int]]) -> None:
        """How often loads were given up on: number of the load, tries."""
        self.db.executemany("update load set tries = ? where id = ?", ((count, id_) for id_, count in tries))

    def parts(self) -> Iterator[PartRecord]:
        """All files of the dataset that hold rows."""
        for row in self.db.execute("select id, partition, rows, chain from part where rows > 0 order by id"):
            yield PartRecord(*row)

    def lost(self, part: int) -> None:
        """A file of the dataset is gone: make its rows anew."""
        self.db.execute(f"update load set key = x'' where part = ? and state = {PUBLISHED}", (part,))

    def end_run(self, manifest: str, engine: str) -> str:
        """Close the run: a link of the chain over all runs before and all files of the dataset as they are now.

        A run that changed nothing adds no link.
        """
        links = self._links()
        if links and links[0] == self._link(links[1]):
            return links[0]
        chain = self._link(links[0] if links else "")
        (count,) = self.db.execute("select count(*) from load").fetchone()
        self.db.execute(
            "insert into run(manifest, engine, loads, chain) values (?, ?, ?, ?)", (manifest, engine, count, chain)
        )
        self.commit()
        return chain

    def chain(self) -> tuple[str, str]:
        """The last link, and what it has to be by the files that the ledger knows; empty where no run has ended."""
        links = self._links()
        return (links[0], self._link(links[1])) if links else ("", "")

    def _links(self) -> tuple[str, str] | None:
        """The last link and the one before it."""
        found = [str(row[0]) for row in self.db.execute("select chain from run order by id desc limit 2")]
        return (found[0], found[1] if len(found) > 1 else "") if found else None

    def _link(self, before: str) -> str:
        digest = hashlib.sha256(before.encode())
        for part in self.parts():
            digest.update(f"\n{part.partition} {part.id} {part.rows} {part.chain}".encode())
        return digest.hexdigest()

    def close(self) -> None:
        """Let others open it; what was not committed is forgotten."""
        if hasattr(self, "db"):
            self.db.close()
        os.close(self._lock)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _locked(directory: Path) -> int:
    """The folder itself, locked: the lock goes with the process, however it ends."""
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{directory}: cannot be opened ({error.strerror}); expected a folder for results") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(folder)
        raise InputError(f"{directory}: found it in use by another run, expected one at a time") from None
    return folder
