"""Jobs timed in turns on one core, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

LEAST_ROUNDS, MOST_ROUNDS = 5, 1000


@dataclass(frozen=True, slots=True)
class Times:
    """Of one job, in seconds."""

    median: float
    low: float  # quartiles
    high: float
    rounds: int


def pin() -> None:
    """Stays on one core from here on, as do processes begun from here."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def race(jobs: Mapping[str, Callable[[], Any]], budget_s: float = 3.0) -> dict[str, Times]:
    """The times of jobs that take turns until the budget is spent."""
    for job in jobs.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    begun = perf_counter()
    for done in range(MOST_ROUNDS):
        if done >= LEAST_ROUNDS and perf_counter() - begun > budget_s:
            break
        for name, job in jobs.items():
            started = perf_counter()
            job()
            taken[name].append(perf_counter() - started)
    return {name: _times(seconds) for name, seconds in taken.items()}


def _times(seconds: list[float]) -> Times:
    low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return Times(float(median), float(low), float(high), len(seconds))
