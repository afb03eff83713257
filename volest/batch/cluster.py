"""The engine on a Dask cluster: each thread of its workers looks after a worker process of ours, as a crew of one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from volest.batch.crew import Crew, Done, Take
from volest.batch.ledger import Load
from volest.batch.worker import engine_digest
from volest.errors import InputError, MissingExtraError

__all__ = ["Cluster"]

PLUGIN = "volest-crews"
CHUNK_S = 2.0  # Dask takes some milliseconds for a task
MOST_LOADS = 2048
AHEAD = 2  # chunks for each thread
CONNECT_S = 30.0
MOST_SENDS = 10  # of a chunk whose Dask workers die
_Chunk = list[tuple[Any, ...]]
_Rows = list[tuple[int, bytes, bool]]


class Cluster:
    """The cluster at the address of its `scheduler`, or one of `count` threads in this process.

    Only what is not to be lost stays here: which loads are due. A Dask worker that dies is Dask's business, a load
    that ends or blocks its process that of the crew. The files must be reachable from the workers under the same names.
    """

    def __init__(self, scheduler: str | None, count: int, timeout_s: float) -> None:
        try:
            import distributed
        except ModuleNotFoundError:
            raise MissingExtraError("volest batch --engine dask", "server") from None
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._timeout_s, self._load_s = timeout_s, CHUNK_S / 8
        self._local: Any = None
        self._client: Any = None
        try:
            if scheduler is None:
                self._local = distributed.LocalCluster(
                    n_workers=1, threads_per_worker=count, processes=False, dashboard_address=None
                )
            self._client = distributed.Client(self._local or scheduler, timeout=CONNECT_S, set_as_default=False)
            self._client.wait_for_workers(1, timeout=CONNECT_S)
        except (OSError, ValueError, distributed.TimeoutError) as error:
            self.close()
            raise InputError(f"--scheduler {scheduler}: no cluster with workers answers ({error})") from error
        self._client.register_plugin(_plugin(), name=PLUGIN)

    def run(self, take: Take) -> Iterator[Done]:
        """As `Crew.run`."""
        from distributed import as_completed

        sent: dict[Any, tuple[_Chunk, int]] = {}
        came = as_completed([], loop=self._client.loop, raise_errors=False)
        while True:
            most = AHEAD * max(1, sum(self._client.nthreads().values()))
            while len(sent) < most and (loads := take(self._size(), "", ())):
                self._send([astuple(load) for load in loads], 1, sent, came)
            if not sent:
                return
            future = next(came)
            chunk, sends = sent.pop(future)
            answer = self._answer(future, sends)
            if answer is None:
                self._send(chunk, sends + 1, sent, came)
                continue
            rows, seconds = answer
            self._load_s += 0.5 * (max(seconds / len(chunk), 1e-5) - self._load_s)
            yield Done(rows)

    def _size(self) -> int:
        return max(1, min(MOST_LOADS, int(CHUNK_S / self._load_s)))

    def _send(self, chunk: _Chunk, sends: int, sent: dict[Any, tuple[_Chunk, int]], came: Any) -> None:
        future = self._client.submit(_estimate, chunk, self._timeout_s, engine_digest(), pure=False)
        sent[future] = chunk, sends
        came.add(future)

    def _answer(self, future: Any, sends: int) -> tuple[_Rows, float] | None:
        """What a task gave; None where its Dask workers died and it is worth another attempt."""
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker) and sends < MOST_SENDS:
            return None
        if error is not None:
            raise error
        answer: tuple[_Rows, float] = future.result()
        return answer

    def close(self) -> None:
        """Leave the cluster; end it if it is ours."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # the cluster may be gone
                client.unregister_worker_plugin(PLUGIN)
            client.close()
        if self._local is not None:
            self._local.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plugin() -> Any:
    from distributed import WorkerPlugin

    class Crews(WorkerPlugin):  # type: ignore[misc]
        """The crews of a Dask worker that have nothing to do."""

        def setup(self, worker: Any) -> None:
            worker.volest_crews = SimpleQueue()

        def teardown(self, worker: Any) -> None:
            with suppress(Empty):
                while True:
                    worker.volest_crews.get_nowait().close()

    return Crews()


def _estimate(chunk: _Chunk, timeout_s: float, engine: str) -> tuple[_Rows, float]:
    """Runs in a Dask worker: the rows of a chunk, and how long it took."""
    from distributed import get_worker

    if engine != engine_digest():
        raise InputError(f"a Dask worker has another engine ({engine_digest()[:12]}) than this one ({engine[:12]})")
    idle = get_worker().volest_crews
    try:
        crew = idle.get_nowait()
    except Empty:
        crew = Crew(1, timeout_s)
    started, due, rows = time.perf_counter(), [Load(*load) for load in chunk], []

    def take(most: int, *_: object) -> list[Load]:
        taken = due[:most]
        del due[:most]
        return taken

    try:
        for done in crew.run(take):
            rows += done.rows
    except BaseException:
        crew.close()
        raise
    idle.put(crew)
    return rows, time.perf_counter() - started
