"""The volume under what was not seen: a rough load from a mast over the cab, its rear slopes in shadow."""

from __future__ import annotations

import loads
import numpy as np
import peers
import pytest
from conftest import VOLUMES, Measure, among
from loads import HEIGHT_M, LENGTH_M, STRUCK_M3, WIDTH_M, Points

GROUP = pytest.mark.benchmark(group="a load with hidden parts")


@pytest.fixture(scope="module")
def load() -> loads.Load:
    return loads.simulated("mast")


@pytest.fixture(scope="module")
def on_load(load: loads.Load) -> Points:
    """The returns between the walls: peers are told where the bed is."""
    xyz = load.in_bed()
    x, y, z = np.abs(xyz).T
    return xyz[(x < LENGTH_M / 2 - 0.05) & (y < WIDTH_M / 2 - 0.05) & (z < HEIGHT_M + 0.4)]


@GROUP
def test_volest(measure: Measure, load: loads.Load) -> None:
    made = loads.estimator(load, told=True)
    result = measure(lambda: made.estimate(load.scans))
    measure.off(loads.volume_error(result, load), 0.01)


@GROUP
@VOLUMES
def test_peer(measure: Measure, contender: peers.Contender, load: loads.Load, on_load: Points) -> None:
    measure.off(abs(measure(contender(on_load)) - load.volume_m3) / STRUCK_M3, 0.1)


@GROUP
@among(peers.copy, peers.bincount)
def test_floor(measure: Measure, contender: peers.Contender, on_load: Points) -> None:
    measure(contender(on_load))
