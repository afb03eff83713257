"""From a cloud to one point for each voxel of 5 cm, and the removal of outliers that others need."""

from __future__ import annotations

import loads
import numpy as np
import peers
import pytest
from conftest import Measure, among
from loads import CELL_M, Points

from volest import voxel_centroids


def volest(xyz: Points) -> peers.Job:
    return lambda: voxel_centroids(xyz, CELL_M)


@pytest.fixture(scope="module")
def xyz() -> Points:
    return loads.plain(walls=False).in_bed()


VOXELS = [
    volest,
    peers.numpy_bincount_centroids,
    peers.kiss_icp_voxel_down_sample,
    peers.open3d_voxel_down_sample,
    peers.open3d_tensor_voxel_down_sample,
    peers.pcl_voxel_grid,
    peers.small_gicp_voxelgrid,
]
FLOORS = among(peers.copy, peers.bincount)


@pytest.mark.benchmark(group="voxels of 5 cm from 131,072 points")
@among(*VOXELS)
def test_voxels(measure: Measure, contender: peers.Contender, xyz: Points) -> None:
    found = measure(contender(xyz))
    voxels = len(np.unique(np.floor(xyz / np.float32(CELL_M)), axis=0))
    assert abs(len(found) / voxels - 1) < 0.05  # Open3D's voxels begin at the least coordinate
    assert abs(found[:, 2].mean() - xyz[:, 2].mean()) < 0.1


@pytest.mark.benchmark(group="voxels of 5 cm from 131,072 points")
@FLOORS
def test_floor(measure: Measure, contender: peers.Contender, xyz: Points) -> None:
    measure(contender(xyz))


@pytest.mark.benchmark(group="outliers removed from 131,072 points")
@among(peers.open3d_outliers_removed, peers.pcl_outliers_removed)
def test_outliers(measure: Measure, contender: peers.Contender, xyz: Points) -> None:
    assert 0.9 * len(xyz) < len(measure(contender(xyz))) < len(xyz)
