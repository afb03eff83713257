"""What every benchmark shares: one core, rounds that fit a job, and the floor beside each group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import pytest
from clock import pin

pin()  # before any library counts the cores it may use

import peers  # noqa: E402

BUDGET_S = 1.0  # for the rounds of one job
LEAST_ROUNDS, MOST_ROUNDS = 3, 500


def among(*contenders: Callable[..., Any]) -> pytest.MarkDecorator:
    """Runs a benchmark once for each contender."""
    return pytest.mark.parametrize("contender", contenders, ids=[one.__name__ for one in contenders])


# How others make a volume of points whose bed is known.
VOLUMES = among(
    peers.numpy_bincount_map,
    peers.scipy_binned_statistic_2d,
    peers.scipy_griddata,
    peers.scipy_delaunay,
    peers.open3d_alpha_shape,
)


@dataclass(frozen=True, slots=True)
class Measure:
    """Times jobs, and notes how far their answers are off."""

    benchmark: Any

    def __call__(self, job: Callable[[], Any]) -> Any:
        """The answer of a job that is timed."""
        job()
        started = perf_counter()
        job()
        rounds = int(BUDGET_S / (perf_counter() - started))
        return self.benchmark.pedantic(job, rounds=max(LEAST_ROUNDS, min(rounds, MOST_ROUNDS)))

    def off(self, error: float, most: float, unit: str = "%") -> None:
        """The error of the answer, a part of the struck capacity or m, is no more than it may be."""
        self.benchmark.extra_info["off"] = f"{error * {'%': 1e2, 'mm': 1e3}[unit]:.2f} {unit}"
        assert error < most


@pytest.fixture
def measure(benchmark: Any) -> Measure:
    return Measure(benchmark)


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:  # noqa: ARG001
    """Which peers took part."""
    from peers import versions

    machine_info["peers"] = versions()
