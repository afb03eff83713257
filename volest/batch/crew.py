"""Worker processes under supervision: who dies is replaced, who hangs is ended, and the load that did it set apart."""

from __future__ import annotations

import mmap
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

import volest
from volest.batch.ledger import Load
from volest.batch.worker import BOARD, IDLE, MOST_TRIES, encode_row, engine_digest, quarantine
from volest.errors import InputError

__all__ = ["Crew", "Done"]

CHUNK_S = 1.0  # what a chunk of loads shall take
MOST_LOADS = 4096  # of a chunk
AHEAD = 2  # chunks that a worker has before it: it never waits for the ledger
MOST_STARTS = 10  # workers in a row that end before they are ready
LOOK_S = 0.1
Take = Callable[[int, str, Sequence[str]], list[Load]]
"""Gives up to so many loads: of this truck, else of one that is none of the others, else of any."""


@dataclass(slots=True)
class Done:
    """What came back: rows as JSON by the loads' numbers, whether each stands, and loads that failed once more."""

    rows: list[tuple[int, bytes, bool]] = field(default_factory=list)
    tries: list[tuple[int, int]] = field(default_factory=list)


class Crew:
    """`count` worker processes on this machine; each load that hangs for `timeout_s` or ends its worker is tried
    three times, then it gets a row that says so."""

    def __init__(self, count: int, timeout_s: float) -> None:
        self._count, self._timeout_s = count, timeout_s
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self._again: deque[list[Load]] = deque()
        self._tries: dict[int, int] = {}
        self._chunks = 0
        self._load_s = CHUNK_S / 4  # what a load takes, as far as is known
        self._failed_starts = 0

    def run(self, take: Take) -> Iterator[Done]:
        """Estimate all loads that `take` gives; ends when it gives none and all are done."""
        while True:
            self._hand_out(take)
            if not any(worker.chunks for worker in self._workers):
                return
            done = Done()
            for key, _ in self._selector.select(LOOK_S):
                self._listen(key.data, done)
            self._look_after(done)
            if done.rows or done.tries:
                yield done

    def _hand_out(self, take: Take) -> None:
        for ahead in range(AHEAD):
            for at in range(self._count):
                if at < len(self._workers) and len(self._workers[at].chunks) > ahead:
                    continue
                loads = self._again.popleft() if self._again else take(self._size(), *self._trucks(at))
                if not loads:
                    return
                if at >= len(self._workers):
                    self._workers.append(self._hire())
                self._chunks += 1
                self._workers[at].send(self._chunks, loads)

    def _trucks(self, at: int) -> tuple[str, list[str]]:
        """The truck that a worker knows, which it had last, and those of the others."""
        known = [worker.truck for worker in self._workers]
        own = known[at] if at < len(known) else ""
        return own, [truck for truck in known if truck and truck != own]

    def _size(self) -> int:
        return max(1, min(MOST_LOADS, int(CHUNK_S / self._load_s)))

    def _hire(self) -> _Worker:
        worker = _Worker()
        self._selector.register(worker.output, selectors.EVENT_READ, worker)
        return worker

    def _listen(self, worker: _Worker, done: Done) -> None:
        for message in worker.messages():
            if "engine" in message:
                if message["engine"] != engine_digest():
                    raise InputError("a worker found another engine than this one: the package was changed meanwhile")
                self._failed_starts = 0
                continue
            chunk, loads = worker.chunks.popleft()
            assert chunk == message["chunk"]
            self._load_s += 0.5 * (max(message["seconds"] / len(loads), 1e-5) - self._load_s)
            done.rows += [
                (load.id, bytes(row), stands) for load, (row, stands) in zip(loads, message["rows"], strict=True)
            ]
            for load in loads:
                self._tries.pop(load.id, None)

    def _look_after(self, done: Done) -> None:
        for at, worker in enumerate(self._workers):
            hangs = worker.busy_s() > self._timeout_s
            if not hangs and not worker.is_gone():
                continue
            self._listen(worker, done)
            reason = f"took more than {self._timeout_s:g} s" if hangs else ""
            self._selector.unregister(worker.output)
            worker.end()
            self._set_apart(worker, reason or worker.last_words(), done)
            self._workers[at] = self._hire()

    def _set_apart(self, worker: _Worker, reason: str, done: Done) -> None:
        """The load that a worker was at when it ended goes alone from now on; the others go again."""
        culprit = worker.culprit()
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts > MOST_STARTS:
                raise RuntimeError(f"workers do not start: {reason}")
        for _, loads in worker.chunks:
            others = [load for load in loads if load is not culprit]
            if others:
                self._again.append(others)
        if culprit is None:
            return
        tries = self._tries.get(culprit.id, culprit.tries) + 1
        self._tries[culprit.id] = tries
        if tries < MOST_TRIES:
            done.tries.append((culprit.id, tries))
            self._again.append([culprit])
        else:
            row = quarantine(culprit.load_id, msgspec.json.decode(culprit.told), reason, MOST_TRIES)
            done.rows.append((culprit.id, encode_row(row), True))

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end()
        self._selector.close()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Worker:
    """One process, what it was sent, and what it tells of itself."""

    def __init__(self) -> None:
        self.chunks: deque[tuple[int, list[Load]]] = deque()
        self.ready, self.truck = False, ""
        self._staging = Path(tempfile.mkdtemp(prefix="volest-"))
        board, self._errors = os.memfd_create("volest-board"), os.memfd_create("volest-errors")
        os.ftruncate(board, BOARD.size)
        self._board = mmap.mmap(board, BOARD.size)
        BOARD.pack_into(self._board, 0, 0, IDLE, 0)
        command = [sys.executable, "-m", "volest.batch.worker", str(board), str(self._staging), str(os.getpid())]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, pass_fds=[board],
            env=_environment(), bufsize=0,
        )  # fmt: skip
        os.close(board)
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self.output, self._input = self._process.stdout, self._process.stdin
        os.set_blocking(self.output.fileno(), False)
        os.set_blocking(self._input.fileno(), False)
        self._unsent, self._buffer = bytearray(), bytearray()

    def send(self, chunk: int, loads: list[Load]) -> None:
        self.chunks.append((chunk, loads))
        self.truck = loads[-1].truck
        told = [[load.load_id, load.base, msgspec.Raw(load.told.encode())] for load in loads]
        self._unsent += msgspec.json.encode([chunk, told]) + b"\n"
        self._push()

    def _push(self) -> None:
        """As much as the pipe takes; a worker that is gone is noticed elsewhere."""
        with suppress(BrokenPipeError):
            while self._unsent:
                taken = self._input.write(self._unsent[: 1 << 20])
                if not taken:
                    return
                del self._unsent[:taken]

    def messages(self) -> Iterator[dict[str, Any]]:
        """What has come since; a row stays JSON."""
        while block := self.output.read(1 << 20):
            self._buffer += block
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            message = _decode(line)
            self.ready |= "engine" in message
            yield message

    def busy_s(self) -> float:
        """How long it has been at the same load."""
        self._push()
        _, at, since = self._told()
        return 0.0 if at == IDLE else 1e-9 * (time.monotonic_ns() - since)

    def _told(self) -> tuple[int, int, int]:
        chunk, at, since = BOARD.unpack_from(self._board)
        return int(chunk), int(at), int(since)

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def culprit(self) -> Load | None:
        """The load that it was at when it ended."""
        number, at, _ = self._told()
        for chunk, loads in self.chunks:
            if chunk == number and at != IDLE:
                return loads[at]
        return None

    def last_words(self) -> str:
        code = self._process.returncode
        size = os.lseek(self._errors, 0, os.SEEK_END)
        lines = os.pread(self._errors, 2000, max(0, size - 2000)).decode("utf-8", "replace").split("\n")
        said = [line for line in lines if line.strip()][-1:] if code >= 0 else []
        died = f"ended its worker ({signal.strsignal(-code) if code < 0 else f'exit status {code}'})"
        return ": ".join([died, *said])

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self.output):
            with suppress(OSError):
                pipe.close()
        shutil.rmtree(self._staging, ignore_errors=True)


def _decode(line: bytes | bytearray) -> dict[str, Any]:
    """A message whose rows stay JSON."""
    message: dict[str, Any] = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    types = {"engine": str, "chunk": int, "seconds": float, "rows": list[tuple[msgspec.Raw, bool]]}
    return {name: msgspec.json.decode(value, type=types[name]) for name, value in message.items()}


def _environment() -> dict[str, str]:
    """One thread a worker, and the package found where it is found here."""
    home = str(Path(volest.__file__).parents[1])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return os.environ | threads | {"PYTHONPATH": os.pathsep.join(paths)}
