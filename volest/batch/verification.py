"""Stored rows proved: sealed and chained as the run left them, and made again from their inputs, bit for bit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from volest.batch.crew import Crew
from volest.batch.dataset import part_path
from volest.batch.ledger import Ledger, Load, PartRecord
from volest.batch.run import TIMEOUT_S
from volest.errors import InputError
from volest.rows import COLUMNS, SEALS, TOLD, Row, chained, part_files, read_part, row_digest

__all__ = ["Verdict", "verify"]

ENGINE = ("engine_version", "engine_sha256")
TAMPERED = "the row was changed: its seal does not fit"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a stored row is what its inputs give, bit for bit, and what there is to say about it."""

    load_id: str  # empty: of the dataset as a whole
    same: bool
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Under the names of the fields."""
        return asdict(self)

    def __str__(self) -> str:
        told = "; ".join(self.reasons)
        return f"{self.load_id or 'dataset'}: {'the same' if self.same else 'not the same'}{': ' if told else ''}{told}"


def verify(
    directory: str | Path,
    load_ids: Sequence[str] | None = None,
    *,
    chain: str | None = None,
    jobs: int | None = None,
    timeout_s: float = TIMEOUT_S,
    tell: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Verdict]:
    """A verdict about each of the loads, or about all rows of a dataset, then those about the dataset that are bad.

    `chain` is what `volest batch` told when it was done. Raises InputError for a folder without results and for a load
    that is not there.
    """
    directory = Path(directory)
    with Ledger(directory, create=False) as ledger, Crew(jobs or len(os.sched_getaffinity(0)), timeout_s) as crew:
        parts = _parts_of(ledger, directory, load_ids)
        checked = _Check(ledger, directory, parts, None if load_ids is None else set(load_ids))
        total, done = checked.count(), 0
        for came in crew.run(checked.take):
            for id_, row, _ in came.rows:
                done += 1
                tell(done, total)
                yield checked.verdict(id_, dict(zip(COLUMNS, msgspec.json.decode(row), strict=True)))
            while checked.settled:
                done += 1
                yield checked.settled.pop()
        yield from checked.settled
        yield from _of_dataset(ledger, directory, parts if load_ids is not None else None, chain)
        yield from checked.faults


def _parts_of(ledger: Ledger, directory: Path, load_ids: Sequence[str] | None) -> list[PartRecord]:
    """The files that hold these loads, or all."""
    if load_ids is None:
        return list(ledger.parts())
    parts: dict[int, PartRecord] = {}
    for load_id in load_ids:
        found = ledger.db.execute(
            "select part.id, partition, rows, chain from load join part on part.id = part where load_id = ?", (load_id,)
        ).fetchone()
        if found is None:
            raise InputError(f"{directory}: found no load {load_id!r}, expected the id of a stored row")
        parts[found[0]] = PartRecord(*found)
    return list(parts.values())


class _Check:
    """Gives stored rows to be made again, and compares them with what comes back."""

    def __init__(self, ledger: Ledger, directory: Path, parts: list[PartRecord], wanted: set[str] | None) -> None:
        self._ledger, self._directory, self._parts, self._wanted = ledger, directory, parts, wanted
        self._stored: dict[int, tuple[Row, bool]] = {}  # those that are being made again, and whether the seal fits
        self._rows = self._sealed_rows()
        self._given = 0
        self.settled: list[Verdict] = []
        self.faults: list[Verdict] = []

    def count(self) -> int:
        """How many rows there are to look at."""
        return len(self._wanted) if self._wanted is not None else sum(part.rows for part in self._parts)

    def take(self, most: int, *_: object) -> list[Load]:
        """Up to so many rows as loads to estimate; those that no file tells of are settled by their seal."""
        loads: list[Load] = []
        while len(loads) < most and (found := next(self._rows, None)) is not None:
            row, sealed = found
            if row["truck_file"] is None:
                note = "a row of the manifest that told no load" if sealed else TAMPERED
                self.settled.append(Verdict(row["load_id"], sealed, (note,)))
                continue
            self._given += 1
            self._stored[self._given] = found
            told = json.dumps({name: row[name] for name in TOLD if row[name] is not None})
            loads.append(Load(self._given, row["load_id"], row["truck_file"], self._base(row["load_id"]), told))
        return loads

    def verdict(self, id_: int, again: Row) -> Verdict:
        """About a row that was made again."""
        row, sealed = self._stored.pop(id_)
        reasons = [] if sealed else [TAMPERED]
        differing = [name for name in COLUMNS if name not in (*SEALS, *ENGINE) and row[name] != again[name]]
        if any(row[name] != again[name] for name in ENGINE):
            stored, now = (f"{of['engine_version']} ({str(of['engine_sha256'])[:12]})" for of in (row, again))
            reasons.append(f"another engine made it: {stored}, this is {now}")
        reasons += _changed_inputs(row, again)
        reasons += [f"{name}: stored {row[name]!r}, now {again[name]!r}" for name in differing if name != "inputs"]
        return Verdict(row["load_id"], sealed and not differing, tuple(reasons))

    def _base(self, load_id: str) -> str:
        found = self._ledger.db.execute("select base from load where load_id = ?", (load_id,)).fetchone()
        return "" if found is None else self._ledger.bases[found[0]]

    def _sealed_rows(self) -> Iterator[tuple[Row, bool]]:
        """The rows that are wanted, each with whether its seal fits; what is wrong with a file becomes a fault."""
        for part in self._parts:
            path, chain, count = part_path(self._directory, part.partition, part.id), "", 0
            try:
                for row in read_part(path):
                    digest = row_digest(row)
                    chain = chained(row | {"row_sha256": digest}, chain)
                    count += 1
                    if self._wanted is None or row["load_id"] in self._wanted:
                        yield row, digest == row["row_sha256"] and chain == row["chain_sha256"]
            except InputError as error:
                self.faults.append(Verdict("", False, (str(error),)))
                continue
            if (count, chain) != (part.rows, part.chain):
                self.faults.append(Verdict("", False, (f"{path}: its rows are not those that the run left there",)))


def _changed_inputs(row: Row, again: Row) -> list[str]:
    stored, now = ({file["name"]: file["sha256"] for file in of["inputs"]} for of in (row, again))
    changed = [name for name in sorted(stored.keys() | now.keys()) if stored.get(name) != now.get(name)]
    return [f"input {name} {'was changed' if name in now else 'is gone'}" for name in changed]


def _of_dataset(
    ledger: Ledger, directory: Path, parts: list[PartRecord] | None, chain: str | None
) -> Iterator[Verdict]:
    """What is wrong with the chain of the runs, or with the files as a whole."""
    told, due = ledger.chain()
    if told != due:
        yield Verdict("", False, ("the chain of the runs does not fit: a run was broken off, or the ledger changed",))
    if chain is not None and chain != told:
        yield Verdict("", False, (f"the chain is {told or 'none'}, expected {chain}",))
    if parts is None:
        known = {part_path(directory, part.partition, part.id) for part in ledger.parts()}
        strange = [path for path in part_files(directory) if path not in known]
        yield from (Verdict("", False, (f"{path}: no run has written it",)) for path in strange)
