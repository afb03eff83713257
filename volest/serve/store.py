"""What the service remembers: SQLite by default, PostgreSQL by URL; one writer, whose transactions hold many writes.

SQLite before 3.51.3 may damage a database in WAL mode that two connections write and checkpoint; here one does both.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from volest.errors import InputError

__all__ = ["Store", "StoreError"]

T = TypeVar("T")
Work = Callable[[Connection], T]
READERS = 4
MOST_TOGETHER = 256  # writes in one transaction
ONE_SERVER = 0x766F6C65  # of PostgreSQL's advisory locks
_OF_THE_DATABASE = (sa.exc.OperationalError, sa.exc.InterfaceError)
_log = logging.getLogger("volest.serve")


class StoreError(Exception):
    """The database cannot be written or read now: a full disk, a connection that broke."""


class Store:
    """The database. Reads run in threads of their own; writes are handed to one thread, which commits them together.

    A write's future is done when its transaction is committed, and not before.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._lock_connection: Connection | None = None  # held, on PostgreSQL
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._queue: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        try:
            self._claim()
            migrate(self.engine)
        except (SQLAlchemyError, InputError) as error:
            self._release()
            if isinstance(error, InputError):
                raise
            raise InputError(f"database {_shown(url)}: cannot be used ({_first_line(error)})") from error
        self._writer = threading.Thread(target=self._write, name="write", daemon=True)
        self._writer.start()

    def write(self, work: Work[T]) -> Future[T]:
        """Run `work` in a transaction; what it returns comes after the commit, what it raises undoes it alone.

        It does nothing but write: it is run once more where another that was written with it failed.
        """
        future: Future[T] = Future()
        self._queue.put((work, future))
        return future

    async def writing(self, work: Work[T]) -> T:
        """As `write`, awaited; StoreError where the database will not have it."""
        return await asyncio.shield(asyncio.wrap_future(self.write(work)))

    def read(self, work: Work[T]) -> T:
        """Run `work` on a connection that only reads."""
        try:
            with self.engine.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise StoreError(_first_line(error)) from error

    async def reading(self, work: Work[T]) -> T:
        """As `read`, beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read, work)

    def close(self) -> None:
        """Write what is queued, and close."""
        self._queue.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._release()

    def _release(self) -> None:
        if self._lock_connection is not None:
            self._lock_connection.close()
        self.engine.dispose()

    def _claim(self) -> None:
        """One server a database: the numbers of the stream then come in the order of commits."""
        if self.engine.dialect.name != "postgresql":
            return  # the data folder is locked
        self._lock_connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not self._lock_connection.scalar(sa.select(sa.func.pg_try_advisory_lock(ONE_SERVER))):
            raise InputError(f"database {self.engine.url!r}: found another volest serve at it, expected none")

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = [first], False
            while len(batch) < MOST_TOGETHER and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    last = True
                    break
                batch.append(following)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[tuple[Work[Any], Future[Any]]]) -> None:
        """All in one transaction; where one of them cannot be written, each in its own."""
        values: list[Any] = []
        try:
            with self.engine.begin() as connection:
                for work, _ in batch:
                    values.append(work(connection))
        except Exception as error:
            is_own = len(values) < len(batch) and not isinstance(error, _OF_THE_DATABASE)
            if is_own and len(batch) > 1:
                for one in batch:
                    self._commit([one])
                return
            if not is_own:
                _log.error("nothing was committed: %s", _first_line(error))
            for _, future in batch:
                future.set_exception(error if is_own else StoreError(_first_line(error)))
            return
        for (_, future), value in zip(batch, values, strict=True):
            future.set_result(value)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the tables to a revision of migrations/."""
    from alembic import command

    with engine.connect() as connection:
        command.upgrade(migrations(connection), revision)


def migrations(connection: Connection) -> Any:
    """Alembic's configuration, over a connection."""
    from alembic.config import Config

    here = Path(__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(here).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _engine(url: str) -> Engine:
    try:
        told = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InputError("--database: found no URL, expected sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    if told.get_backend_name() == "postgresql":
        return sa.create_engine(told.set(drivername="postgresql+psycopg"), pool_size=READERS + 2, pool_pre_ping=True)
    if told.get_backend_name() != "sqlite" or not told.database:
        raise InputError(f"--database: found {_shown(url)}, expected sqlite:///FILE or postgresql://USER@HOST/NAME")
    engine = sa.create_engine(told.set(drivername="sqlite+pysqlite"), connect_args={"timeout": 30.0})

    @sa.event.listens_for(engine, "connect")
    def _opened(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins, not sqlite3
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _shown(url: str) -> str:
    """Without the password."""
    return sa.make_url(url).render_as_string(hide_password=True)


def _first_line(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    return (str(origin).strip().splitlines() or [type(origin).__name__])[0][:300]
