"""New loads as server-sent events: read once from the store, told to all who listen, from where each left off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import sqlalchemy as sa

from volest.serve.records import summary
from volest.serve.store import Store
from volest.serve.tables import loads

__all__ = ["Stream"]

KEPT = 1000
AT_ONCE = 200
GATHER_S = 0.05  # loads that come together are read together
COMMENT_S = 15.0


class Stream:
    """The latest loads, encoded, and those who wait for the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._first, self._last = 0, 0  # of what is in `_recent`: after, up to
        self._news = asyncio.Event()
        self._told = asyncio.Condition()
        self.listeners, self._ended = 0, False

    async def start(self) -> None:
        """From the latest load on."""
        last = await self._store.reading(lambda c: c.scalar(sa.select(sa.func.max(loads.c.seq))))
        self._first = self._last = last or 0

    def notify(self) -> None:
        """A load was committed."""
        self._news.set()

    async def end(self) -> None:
        """Let all go."""
        self._ended = True
        self._news.set()
        async with self._told:
            self._told.notify_all()

    async def run(self) -> None:
        """Read what is new and wake those who wait, until the end."""
        while not self._ended:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            while rows := await self._store.reading(lambda c: _after(c, self._last)):
                for row in rows:
                    if len(self._recent) == KEPT:
                        self._first = self._recent[0][0]
                    self._recent.append((row.seq, _encoded(row)))
                    self._last = row.seq
                async with self._told:
                    self._told.notify_all()

    async def events(self, last: int | None) -> AsyncIterator[bytes]:
        """What is sent to one who listens, who has all up to `last`; None: who begins."""
        at = self._last if last is None else last
        self.listeners += 1
        try:
            yield b"retry: 2000\n\n"
            while not self._ended:
                news = await self._since(at)
                if news:
                    at = news[-1][0]
                    yield b"".join(text for _, text in news)
                elif not await self._wait(at):
                    yield b": still here\n\n"
        finally:
            self.listeners -= 1

    async def _since(self, at: int) -> list[tuple[int, bytes]]:
        if at >= self._first:
            return [entry for entry in self._recent if entry[0] > at]
        rows = await self._store.reading(lambda c: _after(c, at))
        return [(row.seq, _encoded(row)) for row in rows]

    async def _wait(self, at: int) -> bool:
        try:
            async with asyncio.timeout(COMMENT_S), self._told:
                await self._told.wait_for(lambda: self._last > at or self._ended)
        except TimeoutError:
            return False
        return True


def _after(connection: sa.Connection, seq: int) -> Any:
    return connection.execute(sa.select(loads).where(loads.c.seq > seq).order_by(loads.c.seq).limit(AT_ONCE)).all()


def _encoded(row: Any) -> bytes:
    return b"id: %d\nevent: load\ndata: %s\n\n" % (row.seq, msgspec.json.encode(summary(row)))
