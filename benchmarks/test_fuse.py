"""Four sensors around one bed."""

from __future__ import annotations

import loads
import numpy as np
import peers
import pytest
from conftest import Measure, among
from loads import CELL_M, Points

GROUP = pytest.mark.benchmark(group="four sensors, 147,800 returns")


@pytest.fixture(scope="module")
def load() -> loads.Load:
    return loads.simulated("top", "mast", "rear", "side")


@GROUP
def test_volest(measure: Measure, load: loads.Load) -> None:
    made = loads.estimator(load)
    measure.off(loads.volume_error(measure(lambda: made.estimate(load.scans)), load), 0.01)


@GROUP
def test_open3d_transform_merge_and_voxels(measure: Measure, load: loads.Load) -> None:
    """Poses as told, no bed found, no volume."""
    clouds = [(peers.open3d_cloud(xyz), load.poses[name]) for name, xyz in load.scans.items()]

    def job() -> Points:
        merged = peers.open3d_cloud(np.zeros((0, 3), np.float32))
        for cloud, pose in clouds:
            merged += type(cloud)(cloud).transform(pose)
        return np.asarray(merged.voxel_down_sample(CELL_M).points)

    assert 1000 < len(measure(job)) < sum(map(len, load.scans.values()))


@GROUP
@among(peers.copy, peers.bincount)
def test_floor(measure: Measure, contender: peers.Contender, load: loads.Load) -> None:
    measure(contender(np.concatenate(list(load.scans.values()))))
