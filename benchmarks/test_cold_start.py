"""Whole processes: does `volest estimate` cost no more than a small multiple of importing what it could have used?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import loads
import numpy as np
import peers
import pytest
from clock import race
from conftest import Measure, among
from loads import STRUCK_M3
from peers import Job

from volest.io import write_pcd
from volest.pointcloud import PointCloud

PROCESS = pytest.mark.benchmark(group="a volume by the command line")


def process(*arguments: str) -> Job:
    """A fresh interpreter."""
    return lambda: subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def import_numpy() -> Job:
    return process("-c", "import numpy")


def import_numpy_and_numba() -> Job:
    return process("-c", "import numpy, numba")


@pytest.fixture(scope="module")
def estimate(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The command line on a PCD of 131,072 points."""
    load, folder = loads.plain(), tmp_path_factory.mktemp("load")
    truck, _ = loads.written(load, folder)
    write_pcd(folder / "top.pcd", PointCloud(load.scans["top"]))
    return process("-m", "volest", "estimate", str(folder / "top.pcd"), "--truck", str(truck), "--json")


@PROCESS
def test_volest(measure: Measure, estimate: Job) -> None:
    measure(estimate)


@PROCESS
@among(import_numpy, import_numpy_and_numba)
def test_floor(measure: Measure, contender: peers.Starter) -> None:
    measure(contender())


@PROCESS
def test_cloudcompare(measure: Measure, tmp_path: Path) -> None:
    """A text file, as it reads no PCD without a plugin; its grid reaches half a cell beyond the points."""
    load = loads.plain(walls=False)
    np.savetxt(tmp_path / "load.xyz", load.in_bed(), fmt="%.4f")
    measure.off(abs(measure(peers.cloudcompare(tmp_path / "load.xyz")) - load.volume_m3) / STRUCK_M3, 0.06)


def test_import_volest_takes_less_than_a_fifth_of_a_second_more_than_python() -> None:
    times = race({"pass": process("-c", "pass"), "import": process("-c", "import volest")})
    assert times["import"].low - times["pass"].low < 0.2


def test_estimate_takes_at_most_two_and_a_half_imports(estimate: Job) -> None:
    """The claim of the README: 2.5 times `python -c "import numpy, numba"`, medians of interleaved runs."""
    times = race({"import": import_numpy_and_numba(), "estimate": estimate}, budget_s=5.0)
    ratio = times["estimate"].median / times["import"].median
    print(f"estimate / import numpy, numba = {ratio:.2f}")
    assert ratio < 2.5
