"""Jobs timed in turns on the same cores, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

LEAST_ROUNDS, MOST_ROUNDS = 5, 1000
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Times:
    """Of one job, in seconds."""

    median: float
    low: float  # quartiles
    high: float
    rounds: int


def pin(cores: int = 1) -> None:
    """Stays on so many cores from here on, as do threads and processes begun from here."""
    if CORES:
        os.sched_setaffinity(0, CORES[:cores])


def race(jobs: Mapping[Name, Callable[[], Any]], budget_s: float = 3.0) -> dict[Name, Times]:
    """The times of jobs that take turns until the budget is spent."""
    for job in jobs.values():
        job()
    taken: dict[Name, list[float]] = {name: [] for name in jobs}
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
