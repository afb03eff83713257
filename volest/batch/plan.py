"""What of a manifest is due: loads that are new, or whose files, row or engine have changed since."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from volest.batch.ledger import PENDING, Ledger
from volest.batch.manifest import Entry, read_manifest
from volest.batch.storage import Storage, is_number
from volest.batch.worker import encode_row, engine_digest, rejected_row
from volest.errors import InputError
from volest.truck import Truck

__all__ = ["plan"]

BLOCK = 512
MOST_TRUCKS = 4096
_Due = tuple[str, bytes, int, str, str]
_Fault = tuple[str, bytes, int, bytes, str | None]


def plan(ledger: Ledger, manifest: str, tell: Callable[[int], None] = lambda _: None) -> int:
    """Tell the ledger what of a manifest is due, in bounded memory; how many rows the manifest has.

    `tell` hears how many rows are looked at. A row that cannot be used becomes a result at once, with its reason.
    """
    base, name, count = Storage.base_of(manifest), Storage.name_of(manifest), 0
    number = ledger.base(base)
    with tempfile.TemporaryDirectory(prefix="volest-") as staging:
        signatures = _Signatures(Storage(base, Path(staging)))
        rows = iter(read_manifest(manifest))
        while block := list(islice(rows, BLOCK)):
            entries = [_known_once(entry, ledger) for entry in block]
            known = ledger.keys([load_id for load_id, _ in entries])
            due: list[_Due] = []
            faults: list[_Fault] = []
            for load_id, entry in entries:
                told = msgspec.json.encode(entry.told)
                key = signatures.key(entry, told)
                old = known.get(load_id)
                if old is not None and old[0] == key and (old[1] != PENDING or not entry.fault):
                    continue
                if entry.fault:
                    row = encode_row(rejected_row(load_id, {}, "bad_row", f"{entry.place}: {entry.fault}"))
                    faults.append((load_id, key, number, row, name if load_id != entry.load_id else None))
                else:
                    due.append((load_id, key, number, str(entry.told["truck_file"]), told.decode()))
            ledger.plan(due)
            ledger.plan_faults(faults)
            count += len(block)
            tell(count)
    ledger.settle_plan(name)
    return count


def _known_once(entry: Entry, ledger: Ledger) -> tuple[str, Entry]:
    """An entry under an id that no other has: its own, or its place in the manifest where it has none of its own."""
    if entry.load_id and ledger.is_new(entry.load_id):
        return entry.load_id, entry
    load_id = entry.place
    while not ledger.is_new(load_id):
        load_id += "'"
    twice = f"load_id: found {entry.load_id!r} a second time, expected each once"
    return load_id, Entry(entry.place, entry.load_id, {}, entry.fault or twice)


class _Signatures:
    """Digests of all that rows are made from: the engine, what the manifest tells, what tells files apart."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._engine = engine_digest().encode()
        self._trucks: dict[str, str] = {}

    def key(self, entry: Entry, told: bytes) -> bytes:
        digest = blake2b(self._engine, digest_size=16)
        digest.update(told)
        if entry.fault:
            digest.update(f"{entry.place} {entry.fault}".encode("utf-8", "backslashreplace"))
            return digest.digest()
        digest.update(self._truck(str(entry.told["truck_file"])).encode())
        for name in _files(entry.told):
            digest.update(self._file(name).encode("utf-8", "surrogateescape"))
        return digest.digest()

    def _file(self, name: str) -> str:
        try:
            return self._storage.signature(name)
        except InputError as error:
            return str(error)

    def _truck(self, name: str) -> str:
        """Of a truck file and of the files that it names."""
        known = self._trucks.get(name)
        if known is None:
            if len(self._trucks) >= MOST_TRUCKS:
                self._trucks.clear()
            known = self._trucks[name] = " ".join(self._file(file) for file in self._truck_files(name))
        return known

    def _truck_files(self, name: str) -> Iterator[str]:
        yield name
        try:
            truck = Truck.load(self._storage.fetch(name))
        except InputError:
            return
        told = truck.scale.files if truck.scale is not None else ()
        for path in [*(file for _, file in truck.bed.reference), *told]:
            yield self._storage.origin(str(path))


def _files(told: Any) -> Iterable[str]:
    """The names of the files of a row, its truck's apart."""
    for scan in told["scans"].split():
        prefix, equals, rest = scan.partition("=")
        yield rest if equals and "/" not in prefix else scan
    weight = told.get("weight")
    if weight is not None and not is_number(weight):
        yield weight
