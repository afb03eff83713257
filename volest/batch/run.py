"""A batch: plan, estimate, publish; broken off at any moment and begun again it ends with each load once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from volest.batch.crew import Crew, Done, Take
from volest.batch.dataset import BATCH_ROWS, Publisher
from volest.batch.ledger import Ledger
from volest.batch.plan import plan
from volest.batch.storage import Storage
from volest.batch.worker import engine_digest
from volest.errors import InputError
from volest.rows import pyarrow

__all__ = ["TIMEOUT_S", "Engine", "Summary", "run_batch"]

TIMEOUT_S = 120.0


class Engine(Protocol):
    """What estimates loads: `run` asks `take` for as many as it can do and gives their rows as they come."""

    def run(self, take: Take) -> Iterator[Done]:
        """Ends when `take` gives none and all are done."""
        ...


@dataclass(frozen=True, slots=True)
class Summary:
    """What a batch did: rows of the manifest, loads estimated now, and the chain over the dataset and its runs."""

    rows: int
    estimated: int
    skipped: int
    chain_sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Under the names of the fields."""
        return asdict(self)


def run_batch(
    manifest: str,
    output: str | Path,
    *,
    engine: str = "local",
    scheduler: str | None = None,
    jobs: int | None = None,
    timeout_s: float = TIMEOUT_S,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> Summary:
    """Estimate the loads of a manifest into a dataset; `tell` hears what is done: of what, so many of so many.

    `engine` is local (`jobs` worker processes, None: one a core) or dask (`scheduler`: the address of a cluster, None:
    one of this machine). Raises InputError for a manifest or folder that cannot be used, or that another run uses.
    """
    pyarrow()
    directory = Path(output)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be made ({error.strerror}); expected a folder for results") from error
    with Ledger(directory) as ledger:
        publisher = Publisher(ledger, directory)
        try:
            return _run(ledger, publisher, manifest, _opened(engine, scheduler, jobs, timeout_s), tell)
        finally:
            publisher.close()


def _run(
    ledger: Ledger,
    publisher: Publisher,
    manifest: str,
    engine: Callable[[int], AbstractContextManager[Engine]],
    tell: Callable[[str, int, int], None],
) -> Summary:
    if publisher.is_strange():
        raise InputError(f"{ledger.path}: found results but not the ledger that knows them, expected another folder")
    ledger.resume()
    publisher.check_files()
    rows = plan(ledger, manifest, lambda count: tell("planning", count, 0))
    due = ledger.pending()
    done, unpublished = 0, 0
    tell("estimating", 0, due)
    with engine(due) if due else nullcontext() as crew:
        for came in crew.run(ledger.lease) if crew is not None else ():
            ledger.record_tries(came.tries)
            ledger.record(came.rows)
            done += len(came.rows)
            unpublished += len(came.rows)
            tell("estimating", done, due)
            while unpublished >= BATCH_ROWS:
                unpublished -= publisher.publish()
    while publisher.publish():
        pass
    return Summary(rows, done, rows - done, ledger.end_run(Storage.name_of(manifest), engine_digest()))


def _opened(
    engine: str, scheduler: str | None, jobs: int | None, timeout_s: float
) -> Callable[[int], AbstractContextManager[Engine]]:
    """What opens the engine once it is known that so many loads are due."""
    count = jobs or len(os.sched_getaffinity(0))
    if engine == "local":
        if scheduler is not None:
            raise InputError(f"--scheduler: found {scheduler!r} beside the engine local, expected --engine dask")
        return lambda due: Crew(min(count, due), timeout_s)
    if engine == "dask":
        from volest.batch.cluster import Cluster

        return lambda due: Cluster(scheduler, min(count, due), timeout_s)
    raise InputError(f"--engine: found {engine!r}, expected local or dask")
