"""Where is the bed? A scan of 131,072 points, half of them on the load, from a sensor that is 2 cm off."""

from __future__ import annotations

import loads
import peers
import pytest
from conftest import Measure, among

GROUP = pytest.mark.benchmark(group="the bed found in 131,072 points")


@pytest.fixture(scope="module")
def load() -> loads.Load:
    return loads.plain(nudged=True)


@GROUP
def test_volest(measure: Measure, load: loads.Load) -> None:
    measure.off(loads.pose_error_m(measure(loads.bed_finder(load)), load.poses["top"]), 0.001, "mm")


@GROUP
@among(peers.open3d_icp, peers.small_gicp_plane_icp, peers.pcl_icp)
def test_peer(measure: Measure, contender: peers.Registrar, load: loads.Load) -> None:
    found = measure(contender(load.scans["top"], loads.TOLD.matrix()))
    measure.off(loads.pose_error_m(found, load.poses["top"]), 0.015, "mm")


@GROUP
@among(peers.copy, peers.bincount)
def test_floor(measure: Measure, contender: peers.Contender, load: loads.Load) -> None:
    measure(contender(load.scans["top"]))
