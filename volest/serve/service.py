"""The parts of a running service, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from volest.errors import InputError
from volest.serve.crew import Crew
from volest.serve.events import Event
from volest.serve.figures import Figures
from volest.serve.fleet import Fleet
from volest.serve.metrics import Metrics
from volest.serve.scans import Scans
from volest.serve.security import Rates, Tokens
from volest.serve.settings import Settings
from volest.serve.store import Store
from volest.serve.stream import Stream
from volest.serve.tables import tokens

__all__ = ["Service"]

FILE_THREADS = 8
_log = logging.getLogger("volest.serve")


class Service:
    """All that requests share. Raises InputError where the data folder or the database cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self.settings, limits = settings, settings.limits
        data = settings.data
        self.incoming = data / "incoming"
        self._lock = _locked(data)
        shutil.rmtree(self.incoming, ignore_errors=True)  # what was never acknowledged
        self.incoming.mkdir(mode=0o700)
        self.store = Store(settings.database or f"sqlite:///{data / 'volest.sqlite'}")
        self.scans = Scans(settings.scans, data / "scans")
        self.fleet = Fleet(self.store, self.scans, data / "trucks")
        self.tokens = Tokens(self.store)
        self.crew = Crew(settings.workers, limits)
        self.files = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="files")
        self.rates, self.open_rates = Rates(limits.per_s), Rates(limits.open_per_s)
        self.stream, self.metrics, self.figures = Stream(self.store), Metrics(), Figures(self.store)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Begin what runs beside requests."""
        self._loop = asyncio.get_running_loop()
        self.tokens.load()
        if self.settings.auth and not self.tokens.has_operator:
            await self._first_token()
        await self.stream.start()
        self.beside(self.stream.run())
        self.crew.warm()

    async def stop(self) -> None:
        """End it; what was acknowledged is committed already."""
        await self.stream.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        for close in (self.crew.close, self.files.shutdown, self.store.close, self.figures.close):
            await loop.run_in_executor(None, close)
        os.close(self._lock)

    def beside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run it beside the requests; its failure is told of."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("what ran beside the requests ended", exc_info=task.exception())

    def on_loop(self, work: Callable[..., None], *arguments: Any) -> None:
        """Have the event loop do it, from another thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work, *arguments)

    def offset_min(self, time_us: int) -> int:
        """Minutes from UTC to the service's own time zone."""
        offset = datetime.fromtimestamp(time_us * 1e-6, UTC).astimezone(self.settings.timezone).utcoffset()
        return 0 if offset is None else int(offset.total_seconds() // 60)

    def committed(self, told: Sequence[Event], new: Sequence[bool]) -> None:
        """Events were committed: count them, and wake the stream."""
        for event, is_new in zip(told, new, strict=True):
            self.metrics.events.labels(event.kind, "new" if is_new else "known").inc()
        if any(is_new and event.load is not None for event, is_new in zip(told, new, strict=True)):
            self.stream.notify()

    def refused(self, address: str) -> None:
        """A token that is not known was shown."""
        _log.warning("found an unknown token from %s", address)

    async def _first_token(self) -> None:
        row, secret = self.tokens.create("first operator", "operator")
        path = self.settings.data / "operator.token"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
        await self.store.writing(lambda c: c.execute(sa.insert(tokens).values(row)))
        self.tokens.load()
        _log.warning("the first token, of an operator, is in %s", path)


def _locked(folder: Path) -> int:
    """The data folder, made if missing, for this process alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InputError(
            f"--data {folder}: cannot be used ({error.strerror}), expected a folder to write to"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError(f"--data {folder}: found another volest serve at it, expected none") from None
    return descriptor
