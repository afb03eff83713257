"""What others do with the same points. Each function prepares, and returns the job that is timed."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from loads import CELL_M, HEIGHT_M, LENGTH_M, WIDTH_M, Matrix, Points

Job = Callable[[], Any]
Contender = Callable[[Points], Job]
Starter = Callable[[], Job]
Missing = pytest.skip.Exception  # a peer is not installed
Registrar = Callable[[Points, Matrix], Job]  # points, told T_bed_sensor

NEIGHBOURS, SIGMAS = 20, 2.0  # of statistical outlier removal
REACH_M, ITERATIONS = 0.1, 30  # of ICP
CELLS = (round(LENGTH_M / CELL_M), round(WIDTH_M / CELL_M))
EXTENT = [[-LENGTH_M / 2, LENGTH_M / 2], [-WIDTH_M / 2, WIDTH_M / 2]]


def need(module: str) -> ModuleType:
    """An installed module; the benchmark is skipped where it or a library of the system is missing."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        pytest.skip(f"{module} does not load: {error}; scripts/setup bench installs it")


def versions() -> dict[str, str]:
    """Which peers are there."""
    found = {"NumPy": np.__version__}
    for name in ("scipy", "open3d-cpu", "open3d", "small_gicp", "kiss-icp", "laspy", "plyfile"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    with contextlib.suppress(Missing):
        found["PCL"] = pcl_library().pcl_version().decode()
    if shutil.which("dpkg-query"):
        asked = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "cloudcompare"], capture_output=True, text=True)
        found |= {"CloudCompare": asked.stdout} if asked.stdout else {}
    return found


# --- floors -----------------------------------------------------------------------------------------------------------


def copy(xyz: Points) -> Job:
    """C: what it costs to copy the points."""
    to = np.empty_like(xyz)
    return lambda: np.copyto(to, xyz)


def bincount(xyz: Points) -> Job:
    """The heart of a height map in NumPy, cells known beforehand."""
    cell = np.ravel_multi_index(tuple(_cell(xyz[:, a], a) for a in (0, 1)), CELLS)
    z = xyz[:, 2].astype(np.float64)
    return lambda: np.bincount(cell, z)


def _cell(at: Points, axis: int) -> Any:
    low, high = EXTENT[axis]
    return np.clip((at - low) / (high - low) * CELLS[axis], 0, CELLS[axis] - 1).astype(int)


# --- volumes of points in the bed frame, all on the load --------------------------------------------------------------


def volume_of_cells(heights: Matrix) -> float:
    """From mean heights, empty cells at the mean of the others."""
    return float(np.nanmean(heights)) * LENGTH_M * WIDTH_M


def numpy_bincount_map(xyz: Points) -> Job:
    def job() -> float:
        cell = _cell(xyz[:, 0], 0) * CELLS[1] + _cell(xyz[:, 1], 1)
        count, total = np.bincount(cell), np.bincount(cell, xyz[:, 2])
        with np.errstate(invalid="ignore"):
            return volume_of_cells(total / count)

    return job


def scipy_binned_statistic_2d(xyz: Points) -> Job:
    stats = need("scipy.stats")
    x, y, z = xyz.T.astype(np.float64)
    return lambda: volume_of_cells(stats.binned_statistic_2d(x, y, z, "mean", CELLS, EXTENT).statistic)


def scipy_delaunay(xyz: Points) -> Job:
    """Prisms under the triangles, stretched to the whole floor."""
    spatial = need("scipy.spatial")
    places = xyz[:, :2].astype(np.float64)

    def job() -> float:
        corners = xyz[spatial.Delaunay(places).simplices].astype(np.float64)
        sides = corners[:, 1:, :2] - corners[:, :1, :2]
        area = 0.5 * np.abs(sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0])
        return float(area @ corners[:, :, 2].mean(axis=1) / area.sum()) * LENGTH_M * WIDTH_M

    return job


def scipy_griddata(xyz: Points) -> Job:
    interpolate = need("scipy.interpolate")
    x, y = (low + (np.arange(n) + 0.5) * (high - low) / n for (low, high), n in zip(EXTENT, CELLS, strict=True))
    grid = tuple(np.meshgrid(x, y, indexing="ij"))
    places = xyz[:, :2].astype(np.float64)
    return lambda: volume_of_cells(interpolate.griddata(places, xyz[:, 2], grid, "linear"))


def open3d_alpha_shape(xyz: Points) -> Job:
    """The closed surface around points and a floor beneath them, thinned to 5 cm."""
    o3d = need("open3d")
    floor = xyz * np.float32([1, 1, 0])
    cloud = open3d_cloud(np.concatenate([xyz, floor])).voxel_down_sample(CELL_M)

    def job() -> float:
        mesh = o3d.geometry.TriangleMesh.create_from_point_cloud_alpha_shape(cloud, 0.5)
        return float(mesh.get_volume()) if mesh.is_watertight() else float("nan")

    return job


def open3d_cloud(xyz: Points) -> Any:
    o3d = need("open3d")
    return o3d.geometry.PointCloud(o3d.utility.Vector3dVector(xyz.astype(np.float64)))


# --- voxels -----------------------------------------------------------------------------------------------------------


def numpy_bincount_centroids(xyz: Points) -> Job:
    def job() -> Matrix:
        voxel = np.floor(xyz * np.float32(1 / CELL_M)).astype(np.int64)
        voxel -= voxel.min(axis=0)
        flat = np.ravel_multi_index(tuple(voxel.T), tuple(voxel.max(axis=0) + 1))
        count = np.bincount(flat)
        held = np.flatnonzero(count)
        return np.stack([np.bincount(flat, axis)[held] / count[held] for axis in xyz.T], axis=1)

    return job


def open3d_voxel_down_sample(xyz: Points) -> Job:
    cloud = open3d_cloud(xyz)
    return lambda: np.asarray(cloud.voxel_down_sample(CELL_M).points)


def open3d_tensor_voxel_down_sample(xyz: Points) -> Job:
    o3d = need("open3d")
    cloud = o3d.t.geometry.PointCloud(o3d.core.Tensor(xyz))
    return lambda: cloud.voxel_down_sample(CELL_M).point.positions.numpy()


def small_gicp_voxelgrid(xyz: Points) -> Job:
    small_gicp = need("small_gicp")
    cloud = small_gicp.PointCloud(xyz.astype(np.float64))
    return lambda: small_gicp.voxelgrid_sampling(cloud, CELL_M).points()[:, :3]


def kiss_icp_voxel_down_sample(xyz: Points) -> Job:
    voxelization = need("kiss_icp.voxelization")
    points = xyz.astype(np.float64)
    return lambda: voxelization.voxel_down_sample(points, CELL_M)


def pcl_voxel_grid(xyz: Points) -> Job:
    pcl, cloud, out = pcl_library(), PclCloud(xyz), np.empty_like(xyz)
    return lambda: out[: pcl.pcl_voxel_grid(cloud.held, CELL_M, out)]


# --- outliers ---------------------------------------------------------------------------------------------------------


def open3d_outliers_removed(xyz: Points) -> Job:
    cloud = open3d_cloud(xyz)
    return lambda: np.asarray(cloud.remove_statistical_outlier(NEIGHBOURS, SIGMAS)[0].points)


def pcl_outliers_removed(xyz: Points) -> Job:
    pcl, cloud, out = pcl_library(), PclCloud(xyz), np.empty_like(xyz)
    return lambda: out[: pcl.pcl_outliers_removed(cloud.held, NEIGHBOURS, SIGMAS, out)]


# --- the bed, found by ICP against points of its empty walls and rim --------------------------------------------------


def bed_template(step_m: float = 0.03) -> tuple[Matrix, Matrix]:
    """Points (N, 3) of the inner walls and wall tops in the bed frame, and their normals."""

    def grid(*axes: Any) -> Matrix:
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    along, across = (np.arange(-extent / 2, extent / 2, step_m) for extent in (LENGTH_M, WIDTH_M))
    up, out = np.arange(0.0, HEIGHT_M, step_m), np.arange(0.0, 0.061, step_m)
    parts = []
    for sign in (-1.0, 1.0):
        parts += [(grid([sign * LENGTH_M / 2], across, up), [-sign, 0, 0])]
        parts += [(grid(along, [sign * WIDTH_M / 2], up), [0, -sign, 0])]
        parts += [(grid(sign * (LENGTH_M / 2 + out), across, [HEIGHT_M]), [0, 0, 1])]
        parts += [(grid(along, sign * (WIDTH_M / 2 + out), [HEIGHT_M]), [0, 0, 1])]
    points = np.concatenate([points for points, _ in parts])
    normals = np.concatenate([np.tile(np.float64(normal), (len(points), 1)) for points, normal in parts])
    return points, normals


def open3d_icp(xyz: Points, told: Matrix) -> Job:
    """Thinned to 5 cm, then point to plane."""
    registration = need("open3d").pipelines.registration
    points, normals = bed_template()
    template = open3d_cloud(points)
    template.normals = need("open3d").utility.Vector3dVector(normals)
    cloud = open3d_cloud(xyz)
    loss = registration.TransformationEstimationPointToPlane(registration.TukeyLoss(k=REACH_M))
    stop = registration.ICPConvergenceCriteria(max_iteration=ITERATIONS)

    def job() -> Matrix:
        thin = cloud.voxel_down_sample(CELL_M)
        return np.asarray(registration.registration_icp(thin, template, REACH_M, told, loss, stop).transformation)

    return job


def small_gicp_plane_icp(xyz: Points, told: Matrix) -> Job:
    """Thinned to 5 cm, then point to plane."""
    small_gicp = need("small_gicp")
    target = small_gicp.PointCloud(bed_template()[0])
    tree = small_gicp.KdTree(target)
    small_gicp.estimate_normals_covariances(target, tree)
    cloud = small_gicp.PointCloud(xyz.astype(np.float64))

    def job() -> Matrix:
        thin = small_gicp.voxelgrid_sampling(cloud, CELL_M)
        small_gicp.estimate_covariances(thin)
        found = small_gicp.align(
            target, thin, tree, told, "PLANE_ICP", max_correspondence_distance=REACH_M, max_iterations=ITERATIONS
        )
        return np.asarray(found.T_target_source)

    return job


def pcl_icp(xyz: Points, told: Matrix) -> Job:
    """Point to plane, on points thinned to 5 cm beforehand."""
    pcl, cloud = pcl_library(), PclCloud(pcl_voxel_grid(xyz)())
    template = np.hstack(bed_template()).astype(np.float32)
    target = pcl.pcl_oriented_cloud(template, len(template))

    def job() -> Matrix:
        pose = np.asfortranarray(told, np.float32)
        pcl.pcl_icp(cloud.held, target, REACH_M, ITERATIONS, pose.ctypes.data_as(ctypes.c_void_p))
        return pose.astype(np.float64)

    return job


# --- the whole way ----------------------------------------------------------------------------------------------------


def open3d_pipeline(xyz: Points, told: Matrix, voxel_m: float) -> Job:
    """Crop, voxels, outlier removal, ICP to the bed, then a height map with NumPy."""
    o3d = need("open3d")
    registration = o3d.pipelines.registration
    points, normals = bed_template()
    template = open3d_cloud(points)
    template.normals = o3d.utility.Vector3dVector(normals)
    cloud = open3d_cloud(xyz)
    estimation, half = registration.TransformationEstimationPointToPlane(), np.array([LENGTH_M, WIDTH_M]) / 2
    around = o3d.geometry.AxisAlignedBoundingBox(np.array([*(-half - 0.2), -0.3]), np.array([*(half + 0.2), 2.0]))
    box = o3d.geometry.OrientedBoundingBox.create_from_axis_aligned_bounding_box(around)
    back = np.linalg.inv(told)
    box.rotate(back[:3, :3], [0, 0, 0]).translate(back[:3, :3] @ around.get_center() + back[:3, 3], relative=False)

    def job() -> float:
        thin = cloud.crop(box).voxel_down_sample(voxel_m)
        clean, _ = thin.remove_statistical_outlier(NEIGHBOURS, SIGMAS)
        found = registration.registration_icp(clean, template, REACH_M, told, estimation).transformation
        x, y, z = np.asarray(clean.transform(found).points).T
        inside = (np.abs(x) < half[0] - 0.03) & (np.abs(y) < half[1] - 0.03) & (z < HEIGHT_M + 0.5)
        return numpy_bincount_map(np.stack([x, y, z], axis=1)[inside].astype(np.float32))()

    return job


def cloudcompare(scan: Path) -> Job:
    """Volume over z = 0 from a file of points in the bed frame, by its command line."""
    program = shutil.which("CloudCompare")
    if program is None:
        pytest.skip("CloudCompare is not installed; on Debian: sudo apt-get install cloudcompare")
    command = [program, "-SILENT", "-AUTO_SAVE", "OFF", "-O", str(scan), "-VOLUME"]
    command += ["-GRID_STEP", str(CELL_M), "-CONST_HEIGHT", "0"]
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}

    def job() -> float:
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=scan.parent)
        report = max(scan.parent.glob("VolumeCalculationReport*.txt"), key=lambda path: path.stat().st_mtime_ns)
        return float(report.read_text().split()[1])

    return job


# --- PCL, by way of a small library that is compiled where its headers are --------------------------------------------


class PclCloud:
    """Points in PCL's own form."""

    def __init__(self, xyz: Points) -> None:
        self.held = pcl_library().pcl_cloud(np.ascontiguousarray(xyz), len(xyz))


@functools.cache
def pcl_library() -> Any:
    """The functions of pcl.cpp."""
    source = Path(__file__).with_name("pcl.cpp")
    headers = next(Path("/usr/include").glob("pcl-*"), None)
    if headers is None or shutil.which("c++") is None:
        pytest.skip("PCL's headers are not installed; on Debian: sudo apt-get install libpcl-dev g++")
    built = Path(__file__).parents[2] / "build" / "peers" / "libpcl_peer.so"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        built.parent.mkdir(parents=True, exist_ok=True)
        includes = [f"-I{headers}", "-I/usr/include/eigen3"]
        libraries = [f"-lpcl_{name}" for name in ("filters", "registration", "search", "kdtree", "common")]
        command = ["c++", "-std=c++17", "-O3", "-w", "-shared", "-fPIC", *includes, str(source), *libraries]
        subprocess.run([*command, "-o", str(built)], check=True)
    library = ctypes.CDLL(str(built))
    points = np.ctypeslib.ndpointer(np.float32, flags="C")
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "pcl_version": (ctypes.c_char_p, []),
        "pcl_cloud": (ctypes.c_void_p, [points, ctypes.c_int64]),
        "pcl_oriented_cloud": (ctypes.c_void_p, [points, ctypes.c_int64]),
        "pcl_voxel_grid": (ctypes.c_int64, [ctypes.c_void_p, ctypes.c_float, points]),
        "pcl_outliers_removed": (ctypes.c_int64, [ctypes.c_void_p, ctypes.c_int, ctypes.c_double, points]),
        "pcl_icp": (None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double, ctypes.c_int, ctypes.c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
