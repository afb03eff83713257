"""Many loads of one truck."""

from __future__ import annotations

import loads
import peers
import pytest
from conftest import Measure

GROUP = pytest.mark.benchmark(group="eight loads of one truck, 39,602 returns each")
LOADS = 8


@pytest.fixture(scope="module")
def load() -> loads.Load:
    return loads.simulated("top")


@GROUP
def test_estimate_many(measure: Measure, load: loads.Load) -> None:
    made = loads.estimator(load)
    results = measure(lambda: loads.estimate_many(made, [load.scans] * LOADS))
    assert len(results) == LOADS
    assert all(loads.volume_error(result, load) < 0.01 for result in results)


@GROUP
def test_one_after_another(measure: Measure, load: loads.Load) -> None:
    made = loads.estimator(load)
    results = measure(lambda: [made.estimate(load.scans) for _ in range(LOADS)])
    assert all(loads.volume_error(result, load) < 0.01 for result in results)


@GROUP
def test_copies(measure: Measure, load: loads.Load) -> None:
    copies = [peers.copy(load.scans["top"]) for _ in range(LOADS)]
    measure(lambda: [copy() for copy in copies])
