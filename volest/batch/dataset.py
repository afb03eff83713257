"""The dataset of a batch: recorded rows become files, each written whole or not at all, its rows chained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from volest.batch.ledger import ASSIGNED, PUBLISHED, RECORDED, Ledger
from volest.durable import sync_folder
from volest.rows import COLUMNS, Row, chained, part_files, pyarrow, read_part, schema

__all__ = ["BATCH_ROWS", "Publisher", "part_path", "partition_of"]

MOST_ROWS = 2048  # of a file: what is rewritten when one of them changes
BATCH_ROWS = 2048
FEW_ROWS = 256
WRITERS = 8  # threads that wait for the disk together
NOTHING = "__HIVE_DEFAULT_PARTITION__"
_PLACE = {name: index for index, name in enumerate(COLUMNS)}


class Publisher:
    """Brings what the ledger holds of results into the files of a dataset.

    First the ledger says in which file each row will lie, then the files are written, then the ledger lets go of the
    rows. Whenever that is broken off, doing it again ends with each row in one file.
    """

    def __init__(self, ledger: Ledger, directory: Path) -> None:
        self._ledger, self._directory = ledger, directory
        self._writers = ThreadPoolExecutor(WRITERS)

    def close(self) -> None:
        """Wait for what is being written."""
        self._writers.shutdown()

    def publish(self) -> int:
        """Publish up to BATCH_ROWS rows that are recorded, and all that was begun before; how many are published."""
        assigned = self._assign()
        while self._write_dirty():
            pass
        return assigned

    def check_files(self) -> None:
        """Rows whose file is gone are made anew; what no run finished writing is removed."""
        for part in self._ledger.parts():
            if not part_path(self._directory, part.partition, part.id).is_file():
                self._ledger.lost(part.id)
        for left in self._directory.glob("date=*/truck=*/.part-*"):
            left.unlink()

    def is_strange(self) -> bool:
        """Whether there are rows that the ledger knows nothing of."""
        known = self._ledger.db.execute("select 1 from part limit 1").fetchone()
        return known is None and bool(part_files(self._directory))

    def _assign(self) -> int:
        db = self._ledger.db
        found = db.execute(
            f"select id, part, row from load where state = {RECORDED} order by id limit {BATCH_ROWS}"
        ).fetchall()
        rooms: dict[str, list[int]] = {}  # partition: its file with room, rows in that
        placed = [(self._place(partition_of(msgspec.json.decode(row)), part, rooms), id_) for id_, part, row in found]
        db.executemany(f"update load set state = {ASSIGNED}, part = ? where id = ?", placed)
        db.executemany("update part set dirty = 1, rows = ? where id = ?", ((rows, at) for at, rows in rooms.values()))
        if found:
            self._ledger.commit()
        return len(found)

    def _place(self, partition: str, part: int | None, rooms: dict[str, list[int]]) -> int:
        """The file that a row shall lie in: the one it lay in, if that is of the right partition."""
        db = self._ledger.db
        if part is not None:
            db.execute("update part set dirty = 1 where id = ?", (part,))
            if db.execute("select 1 from part where id = ? and partition = ?", (part, partition)).fetchone():
                return part
        room = rooms.get(partition)
        if room is None:
            last = db.execute(
                "select id, rows from part where partition = ? order by id desc limit 1", (partition,)
            ).fetchone()
            room = rooms[partition] = list(last or (0, MOST_ROWS))
        if room[1] >= MOST_ROWS:
            db.execute("update part set dirty = 1, rows = ? where id = ?", (room[1], room[0]))
            added = db.execute("insert into part(partition, rows, dirty) values (?, 0, 1)", (partition,))
            room[:] = [int(added.lastrowid or 0), 0]
        room[1] += 1
        return room[0]

    def _write_dirty(self) -> int:
        db, drafts, rows = self._ledger.db, [], 0
        for part, partition in db.execute("select id, partition from part where dirty order by id").fetchall():
            held = db.execute("select load_id, row from load where part = ?", (part,)).fetchall()
            drafts.append(_Draft(part, part_path(self._directory, partition, part), dict(held)))
            rows += len(held)
            if rows > 2 * MOST_ROWS:
                break
        written = list(self._writers.map(_write, drafts))
        _sync_folders({draft.path.parent for draft in drafts}, self._directory, self._writers)
        for draft, (count, chain) in zip(drafts, written, strict=True):
            db.execute("update part set dirty = 0, rows = ?, chain = ? where id = ?", (count, chain, draft.part))
            db.execute(
                f"update load set state = {PUBLISHED}, row = null where part = ? and state = {ASSIGNED}",
                (draft.part,),
            )
        if drafts:
            self._ledger.commit()
        return len(drafts)


@dataclass(frozen=True, slots=True)
class _Draft:
    part: int
    path: Path
    rows: dict[str, bytes | None]  # None: as it stands in the file


def partition_of(row: Sequence[Any]) -> str:
    """The folders of a row: date=2026-03-01/truck=KT-1."""
    time, offset, truck = (row[_PLACE[name]] for name in ("time", "utc_offset_min", "truck_id"))
    day = NOTHING
    if time is not None:
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time, minutes=offset)
        day = local.date().isoformat()
    return f"date={day}/truck={_folder_name(truck)}"


@lru_cache(maxsize=4096)
def _folder_name(truck: str | None) -> str:
    name = NOTHING if truck is None else quote(truck, safe=" ")
    if len(name) > 200:  # a folder's name has at most 255 bytes
        name = f"{name[:150]}...{sha256(str(truck).encode()).hexdigest()[:16]}"
    return name


def part_path(directory: Path, partition: str, part: int) -> Path:
    """The file of a part."""
    return directory / partition / f"part-{part:06d}.parquet"


def _write(draft: _Draft) -> tuple[int, str | None]:
    """Write a file anew; number of its rows and its chain."""
    kept = [name for name, row in draft.rows.items() if row is None]
    rows = [msgspec.json.decode(row) for row in draft.rows.values() if row is not None]
    if kept and draft.path.is_file():
        names = set(kept)
        rows += [list(row.values()) for row in read_part(draft.path) if row["load_id"] in names]
    if not rows:
        draft.path.unlink(missing_ok=True)
        return 0, None
    rows.sort(key=lambda row: (row[_PLACE["time"]] or 0, row[_PLACE["load_id"]]))
    chain = ""
    for row in rows:
        chain = row[_PLACE["chain_sha256"]] = chained(_seal(row), chain)
    _write_parquet(draft.path, rows)
    return len(rows), chain


def _seal(row: Sequence[Any]) -> Row:
    return {"row_sha256": row[_PLACE["row_sha256"]]}


def _write_parquet(path: Path, rows: list[list[Any]]) -> None:
    """Through a hidden temporary file, which is on disk before it takes its name."""
    pa = pyarrow()
    import pyarrow.parquet as pq

    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, schema(), strict=True)]
    table = pa.Table.from_arrays(arrays, schema=schema())
    path.parent.mkdir(parents=True, exist_ok=True)
    # A codec of Zstandard is made for each column: that costs more than a small file is worth.
    codec = "zstd" if len(rows) >= FEW_ROWS else "snappy"
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression=codec, write_page_checksum=True, use_dictionary=False)
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb", buffering=0) as file:
        file.write(content.getvalue())
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _sync_folders(folders: set[Path], root: Path, writers: ThreadPoolExecutor) -> None:
    """The names of new files and folders are on disk, too."""
    above = {folder.parent for folder in folders}
    for group in (folders, above, {root} if folders else set()):
        list(writers.map(sync_folder, (folder for folder in group if folder.is_dir())))
