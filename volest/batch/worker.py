"""A worker process: takes chunks of loads on its standard input, gives their rows on its standard output.

Arguments: the file in memory in which it tells what it is doing, its staging folder, the number of its parent. It keeps
the trucks that it has seen, so that a load costs what its scans cost. Messages are JSON, a line each.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import resource
import signal
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from volest.batch.storage import Storage, StorageError, is_number
from volest.errors import InputError, MissingExtraError, TruckError, WeightError
from volest.io.sandbox import STOPPED
from volest.load import PreparedTruck, estimate_files
from volest.result import Result
from volest.rows import COLUMNS, TOLD, Row, to_row

__all__ = ["BOARD", "IDLE", "MOST_TRIES", "WorkBench", "encode_row", "engine_digest", "rejected_row"]

BOARD = struct.Struct("<qqq")
"""What a worker tells of itself: the chunk, the load's place in it, when it began that [ns, monotonic clock]."""
IDLE = -1
MOST_MEMORY_BYTES = 8 << 30
MOST_TRUCKS = 32
MOST_TRIES = 3
PR_SET_PDEATHSIG = 1
PASSING = {"missing_extra", "unreachable"}
"""Flags of rows that are tried again in the next run."""
OUTSIDE = {"batch", "report", "track", "serve", "simulate", "sensorbench", "edge", "datasets"}
OUTSIDE |= {
    "cli.py",
    "case.py",
    "demo.py",
    "evaluate.py",
    "judge.py",
    "page.py",
    "picture.py",
    "progress.py",
    "table.py",
}
"""Rooms of the package that no estimate comes from."""


class WorkBench:
    """Estimates loads one by one, and keeps what it has learned of their trucks."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._storages: dict[str, Storage] = {}
        self._trucks: OrderedDict[str, tuple[str, PreparedTruck]] = OrderedDict()
        self._fresh: set[str] = set()

    def begin_chunk(self) -> None:
        """Look anew whether the trucks' files are as they were."""
        self._fresh.clear()
        for storage in self._storages.values():
            storage.forget()

    def row(self, load_id: str, base: str, told: Mapping[str, Any]) -> Row:
        """The row of a load; whatever is wrong with it is told in it."""
        if base not in self._storages:
            self._storages[base] = Storage(base, self._staging)
        storage = self._storages[base]
        fetched: list[str] = []
        prepared: PreparedTruck | None = None

        def prepare(_: Path) -> PreparedTruck:
            nonlocal prepared
            prepared = self._prepared(storage, str(told["truck_file"]))
            return prepared

        def estimate() -> Result:
            path, base = str(told["truck_file"]), Path(storage.base)
            return estimate_files(path, scans, weight, base, prepare=prepare)

        try:
            scans = [_scan(text, storage, fetched) for text in str(told["scans"]).split()]
            weight = _weight(told.get("weight"), storage, fetched)
            result = estimate()
            for _ in range(MOST_TRIES - 1):
                if not any(STOPPED in reason for reason in result.reasons):
                    break
                result = estimate()
        except InputError as error:
            result = _refused(error, prepared)
        except Exception as error:
            result = Result(_id(prepared), "rejected", ("unforeseen",), reasons=(f"{type(error).__name__}: {error}",))
        finally:
            storage.drop(fetched)
        truck = None if prepared is None else prepared.truck
        config = None if prepared is None else _config(prepared)
        plain = _told_plainly(result, storage)
        return to_row(plain, load_id, told=told, truck=truck, engine_sha256=engine_digest(), config_sha256=config)

    def _prepared(self, storage: Storage, name: str) -> PreparedTruck:
        place = storage.locate(name)
        known = self._trucks.get(place)
        if known is not None and (place in self._fresh or known[0] == _signature(storage, known[1])):
            self._trucks.move_to_end(place)
            self._fresh.add(place)
            return known[1]
        path = Path(storage.fetch(name))
        for file in _names(PreparedTruck(path)) if path != Path(place) else ():
            storage.fetch_beside(file)
        prepared = PreparedTruck(path)
        self._trucks[place] = (_signature(storage, prepared), prepared)
        self._fresh.add(place)
        if len(self._trucks) > MOST_TRUCKS:
            self._trucks.popitem(last=False)
        return prepared


def _scan(text: str, storage: Storage, fetched: list[str]) -> str:
    """A manifest's SENSOR=PATH with the place where the file lies."""
    named = re.match(r"[A-Za-z0-9_-]+=", text)
    sensor = named[0] if named else ""
    name = text.removeprefix(sensor)
    if not storage.is_remote(name):
        return text
    fetched.append(storage.fetch(name))
    return sensor + fetched[-1]


def _weight(text: str | None, storage: Storage, fetched: list[str]) -> str | None:
    if text is None or is_number(text) or not storage.is_remote(text):
        return text
    fetched.append(storage.fetch(text))
    return fetched[-1]


def _refused(error: InputError, prepared: PreparedTruck | None) -> Result:
    kinds = {
        MissingExtraError: "missing_extra",
        StorageError: "unreachable",
        TruckError: "bad_truck",
        WeightError: "bad_weight",
    }
    flag = next((flag for kind, flag in kinds.items() if isinstance(error, kind)), "bad_input")
    return Result(_id(prepared), "rejected", (flag,), reasons=(str(error),))


def _id(prepared: PreparedTruck | None) -> str:
    return "" if prepared is None else prepared.truck.id


def _told_plainly(result: Result, storage: Storage) -> Result:
    """With file names as the manifest tells them, wherever its folder lies."""
    reasons = tuple(storage.origin(reason) for reason in result.reasons)
    inputs = {storage.origin(name): digest for name, digest in result.inputs.items()}
    return Result(**{name: getattr(result, name) for name in _RESULT_FIELDS} | {"reasons": reasons, "inputs": inputs})


_RESULT_FIELDS = tuple(name for name in Result.__dataclass_fields__ if name not in ("surface", "timing_ms"))


def _names(prepared: PreparedTruck) -> list[Path]:
    """The files beside a truck's own that describe it."""
    return [path for _, path, _ in [*prepared.files[:-1], *prepared.formats]]


def _signature(storage: Storage, prepared: PreparedTruck) -> str:
    files = [path for _, path, _ in [*prepared.files, *prepared.formats]]
    return " ".join(storage.signature(storage.origin(str(path))) for path in files)


def _config(prepared: PreparedTruck) -> str:
    """The digest of all that describes the truck."""
    lines = [f"{role} {digest}" for role, _, digest in [*prepared.files, *prepared.formats]]
    return sha256("\n".join(lines).encode()).hexdigest()


@cache
def engine_digest() -> str:
    """SHA-256 over the files of the package that an estimate comes from: its own code and data, and the core."""
    root = Path(__file__).parents[1]
    digest = sha256()
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if inside.parts[0] not in OUTSIDE and "__pycache__" not in inside.parts and path.is_file():
            digest.update(f"{inside.as_posix()} ".encode() + sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def rejected_row(load_id: str, told: Mapping[str, Any], flag: str, reason: str) -> Row:
    """The row of a load that no worker could estimate."""
    result = Result("", "rejected", (flag,), reasons=(reason,))
    return to_row(result, load_id, told=told, engine_sha256=engine_digest())


def encode_row(row: Row) -> bytes:
    """The values of a row as JSON, in the order of its columns."""
    return msgspec.json.encode([row[name] for name in COLUMNS])


def main() -> int:
    """Work until standard input ends."""
    board, staging, parent = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before this was asked for
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or soft > MOST_MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print is no message
    with mmap.mmap(board, BOARD.size) as told:
        _work(output, lambda chunk, at: BOARD.pack_into(told, 0, chunk, at, time.monotonic_ns()), WorkBench(staging))
    return 0


def _work(output: Any, tell: Callable[[int, int], None], bench: WorkBench) -> None:
    output.write(msgspec.json.encode({"engine": engine_digest()}) + b"\n")
    output.flush()
    for line in iter(sys.stdin.buffer.readline, b""):
        chunk, loads = msgspec.json.decode(line)
        started, rows = time.perf_counter(), []
        bench.begin_chunk()
        for at, (load_id, base, told) in enumerate(loads):
            tell(chunk, at)
            row = bench.row(load_id, base, dict.fromkeys(TOLD) | told)
            rows.append([msgspec.Raw(encode_row(row)), not PASSING & set(row["flags"])])
        tell(chunk, IDLE)
        message = {"chunk": chunk, "seconds": time.perf_counter() - started, "rows": rows}
        output.write(msgspec.json.encode(message) + b"\n")
        output.flush()


def quarantine(load_id: str, told: Mapping[str, Any], reason: str, tries: int) -> Row:
    """The row of a load that ended its worker each time."""
    return rejected_row(load_id, told, "quarantined", f"{reason}, {tries} times out of {tries}")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
