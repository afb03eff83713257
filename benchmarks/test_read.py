"""From a file to points: 131,072 of them, x y z and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import loads
import numpy as np
import peers
import pytest
from conftest import Measure
from loads import Points

from volest import PointCloud, read_points
from volest.io import write_pcd


@pytest.fixture(scope="module")
def xyz() -> Points:
    return loads.plain().scans["top"]


@pytest.fixture(scope="module")
def files(xyz: Points, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same points in each format."""
    folder = tmp_path_factory.mktemp("scans")
    paths = {kind: folder / f"scan.{kind}" for kind in ("npy", "npz", "pcd", "ply", "las")}
    np.save(paths["npy"], xyz)
    np.savez(paths["npz"], xyz=xyz)
    write_pcd(paths["pcd"], PointCloud(xyz))
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(xyz)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    paths["ply"].write_bytes(header.encode() + xyz.tobytes())
    laspy = peers.need("laspy")
    las = laspy.create(point_format=0)
    las.header.scales = np.full(3, 1e-4)
    las.x, las.y, las.z = xyz.T.astype(np.float64)
    las.write(paths["las"])
    return paths


def open3d(path: Path) -> Any:
    return np.asarray(peers.need("open3d").io.read_point_cloud(str(path)).points)


def numpy(path: Path) -> Any:
    return np.load(path) if path.suffix == ".npy" else np.load(path)["xyz"]


def plyfile(path: Path) -> Any:
    vertex = peers.need("plyfile").PlyData.read(path)["vertex"]
    return np.column_stack([vertex[axis] for axis in "xyz"])


def laspy(path: Path) -> Any:
    return peers.need("laspy").read(path).xyz


def volest(path: Path) -> Any:
    return read_points(path).xyz


READERS = [
    *((kind, volest) for kind in ("npy", "npz", "pcd", "ply", "las")),
    *(("npy", numpy), ("npz", numpy), ("pcd", open3d), ("ply", open3d), ("ply", plyfile), ("las", laspy)),
]


@pytest.mark.parametrize(("kind", "reader"), READERS, ids=lambda one: getattr(one, "__name__", one))
def test_read(benchmark: Any, measure: Measure, kind: str, reader: Any, files: dict[str, Path], xyz: Points) -> None:
    benchmark.group = f"131,072 points from .{kind}"
    reader(files[kind])  # skips here where the reader is not installed
    np.testing.assert_allclose(measure(lambda: reader(files[kind])), xyz, atol=1e-4)
