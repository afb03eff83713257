"""All trials of a bench, side by side; what they say does not depend on how many."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from types import TracebackType

from volest.sensorbench.row import Row
from volest.sensorbench.trial import Contender, Stage, rows_of

__all__ = ["Campaign", "Trial"]

Tell = Callable[[int, int], None]
Trial = tuple[Stage, Contender, int]


class Campaign:
    """A context in which trials are run, `jobs` side by side (None: one a core)."""

    def __init__(self, jobs: int | None) -> None:
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Campaign:
        if self._jobs > 1:
            # Spawned, as this process may have threads; deaf to Ctrl-C, which this process hears.
            context = get_context("spawn")
            self._pool = ProcessPoolExecutor(self._jobs, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def rows(self, trials: Sequence[Trial], tell: Tell | None = None) -> list[list[Row]]:
        """The rows of each trial, in their order; `tell` hears how many of how many are done."""
        told = tell or (lambda _done, _total: None)
        if self._pool is None:
            found = []
            for done, trial in enumerate(trials, start=1):
                found.append(rows_of(*trial))
                told(done, len(trials))
            return found
        tasks: list[Future[list[Row]]] = [self._pool.submit(rows_of, *trial) for trial in trials]
        for done, _ in enumerate(as_completed(tasks), start=1):
            told(done, len(trials))
        return [task.result() for task in tasks]
