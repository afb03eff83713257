"""How much is in the bed? From points to a volume with its interval."""

from __future__ import annotations

import loads
import peers
import pytest
from conftest import VOLUMES, Measure, among
from loads import STRUCK_M3

TOLD = pytest.mark.benchmark(group="a volume from 131,072 points on the load, pose as told")
FOUND = pytest.mark.benchmark(group="a volume from 131,072 points, bed found")
IMAGE = pytest.mark.benchmark(group="a volume from a 128 x 1024 range image, bed found")
FLOORS = among(peers.copy, peers.bincount)


@TOLD
def test_volest_told(measure: Measure) -> None:
    load = loads.plain(walls=not loads.takes_told_poses())
    made = loads.estimator(load, told=True)
    measure.off(loads.volume_error(measure(lambda: made.estimate(load.scans)), load), 0.01)


@TOLD
@VOLUMES
def test_peer_told(measure: Measure, contender: peers.Contender) -> None:
    load = loads.plain(walls=False)
    measure.off(abs(measure(contender(load.in_bed())) - load.volume_m3) / STRUCK_M3, 0.03)


@TOLD
@FLOORS
def test_floor_told(measure: Measure, contender: peers.Contender) -> None:
    measure(contender(loads.plain(walls=False).in_bed()))


@FOUND
def test_volest_found(measure: Measure) -> None:
    load = loads.plain(nudged=True)
    made = loads.estimator(load)
    measure.off(loads.volume_error(measure(lambda: made.estimate(load.scans)), load), 0.01)


@FOUND
@pytest.mark.parametrize("voxel_m", [0.02, 0.05], ids="open3d pipeline, voxels of {:g} m".format)
def test_open3d_pipeline(measure: Measure, voxel_m: float) -> None:
    load = loads.plain(nudged=True)
    job = peers.open3d_pipeline(load.scans["top"], loads.TOLD.matrix(), voxel_m)
    measure.off(abs(measure(job) - load.volume_m3) / STRUCK_M3, 0.03)


@FOUND
@FLOORS
def test_floor_found(measure: Measure, contender: peers.Contender) -> None:
    measure(contender(loads.plain(nudged=True).scans["top"]))


@IMAGE
def test_volest_image(measure: Measure) -> None:
    load, image = loads.range_image("top")
    made = loads.estimator(load)
    measure.off(loads.volume_error(measure(lambda: made.estimate(image)), load), 0.01)


@IMAGE
def test_points_of_the_image_alone(measure: Measure) -> None:
    _, image = loads.range_image("top")
    assert len(measure(image.to_points)) == loads.SCAN


@IMAGE
@FLOORS
def test_floor_image(measure: Measure, contender: peers.Contender) -> None:
    measure(contender(loads.plain(walls=False).in_bed()))
