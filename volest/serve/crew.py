"""The processes that work beside the event loop: bounded in number, in what waits for them, and in time; supervised."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec

from volest.errors import InputError
from volest.serve.problems import ProblemError
from volest.serve.settings import Limits

__all__ = ["Aside", "Crew", "WorkerError"]

START_S = 60.0
LONG_S = 6 * 3600.0
Tell = Callable[[int, int], None]
_log = logging.getLogger("volest.serve")


class Aside(Protocol):
    """What does a task, and tells how far it is."""

    async def __call__(self, task: dict[str, Any], tell: Tell | None = None) -> dict[str, Any]:
        """What the task answers."""


class WorkerError(Exception):
    """A process that died, or took too long, over a task."""


class Crew:
    """So many processes, each with a thread that waits for it."""

    def __init__(self, count: int, limits: Limits) -> None:
        self.count, self._limits = count, limits
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(_Worker(limits))
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="crew")
        self.waiting, self.restarts, self._pace_s = 0, 0, 0.01

    def warm(self) -> None:
        """Start all processes, and wait until they are ready."""
        workers = [self._idle.get() for _ in range(self.count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            self._idle.put(worker)

    def check_room(self) -> None:
        """ProblemError 503 where too much waits already."""
        if self.waiting >= self._limits.queue:
            wait_s = self._pace_s * self.waiting / self.count
            raise ProblemError(503, f"{self.waiting} loads wait, which is as many as may", retry_after_s=wait_s)

    async def do(self, task: dict[str, Any], *, urgent: bool = True) -> dict[str, Any]:
        """What a task answers; InputError where it is refused, ProblemError where it cannot be done."""
        if urgent:
            self.check_room()
        self.waiting += 1
        started = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._do, task)
        except WorkerError as error:
            raise ProblemError(422, f"cannot be worked on: {error}") from None
        finally:
            self._pace_s += 0.05 * ((time.monotonic() - started) / max(self.waiting, 1) - self._pace_s)
            self.waiting -= 1

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[Aside]:
        """A process for long tasks, which hinders no other and gives way to all; it ends with the context."""
        worker, loop = _Worker(self._limits, nice=10), asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="aside")

        async def do(task: dict[str, Any], tell: Tell | None = None) -> dict[str, Any]:
            try:
                return await loop.run_in_executor(thread, worker.do, task, LONG_S, tell)
            except WorkerError as error:
                raise ProblemError(422, f"cannot be worked on: {error}") from None

        try:
            yield do
        finally:
            worker.kill()
            thread.shutdown(wait=False)

    def _do(self, task: dict[str, Any]) -> dict[str, Any]:
        worker = self._idle.get()
        try:
            return worker.do(task, self._limits.load_s)
        except WorkerError as error:
            self.restarts += 1
            _log.error("a worker was ended: %s", error)
            raise
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End all processes."""
        self._threads.shutdown(cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().stop()


class _Worker:
    """One process, started when it is needed and again when it died."""

    def __init__(self, limits: Limits, nice: int = 0) -> None:
        self._limits, self._nice = limits, nice
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        arguments = [
            str(number) for number in (self._limits.memory_bytes, os.getpid(), self._limits.points, self._nice)
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "volest.serve.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        self._rest = b""
        self._message(time.monotonic() + START_S)

    def do(self, task: dict[str, Any], seconds: float, tell: Tell | None = None) -> dict[str, Any]:
        self.start()
        deadline = time.monotonic() + seconds
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(task) + b"\n")
        except OSError:
            self._ended("it was gone")
        while True:
            message = self._message(deadline)
            if "at" in message and tell is not None:
                tell(*message["at"])
            if "refused" in message:
                raise InputError(message["refused"])
            if "failed" in message:
                raise RuntimeError(message["failed"])
            if message.get("done"):
                answer: dict[str, Any] = message["answer"]
                return answer

    def _message(self, deadline: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        poller, pieces = select.poll(), [self._rest]
        poller.register(pipe, select.POLLIN | select.POLLHUP)
        while b"\n" not in pieces[-1]:
            if not poller.poll(max(0.0, 1e3 * (deadline - time.monotonic()))):
                self._ended("it took too long")
            pieces.append(os.read(pipe, 1 << 18))
            if not pieces[-1]:
                self._ended("the process that read it died")
        line, _, self._rest = b"".join(pieces).partition(b"\n")
        message: dict[str, Any] = msgspec.json.decode(line)
        return message

    def _ended(self, why: str) -> None:
        self.stop()
        raise WorkerError(why)

    def kill(self) -> None:
        """End the process with all that it began; whoever waits for it finds out."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        self.kill()
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
