"""The empty bed from a mesh: closed forms, every format alike, only the inside counts, and hostile files."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from simulated_loads import BED, MAST, REAR, TOP, covers, error_of, scans_of, scene

from volest import Estimator, InputError, ScanError, Truck
from volest.commission import commission
from volest.io.mesh import is_mesh, read_mesh
from volest.io.points import read_points
from volest.simulate import simulate
from volest.simulate.parts import Part

trimesh = pytest.importorskip("trimesh")

Floats = NDArray[np.float64]
SIZE = (4.0, 2.0, 1.2)


def quad(a: Any, b: Any, c: Any, d: Any) -> Floats:
    """Two triangles (2, 3, 3)."""
    return np.array([[a, b, c], [a, c, d]], dtype=float)


def frustum(bottom: tuple[float, float], top: tuple[float, float], height: float, thickness: float) -> Floats:
    """Triangles of a bed with these sides at its floor and at its opening; thick walls have tops and outsides."""

    def ring(sides: tuple[float, float], z: float, more: float = 0.0) -> list[list[float]]:
        x, y = sides[0] / 2 + more, sides[1] / 2 + more
        return [[x, y, z], [-x, y, z], [-x, -y, z], [x, -y, z]]

    foot, edge = ring(bottom, 0.0), ring(top, height)
    pieces = [quad(*foot)]
    rings = [(foot, edge)]
    if thickness:
        outer, under = ring(top, height, thickness), ring(bottom, -0.1, thickness)
        rings += [(edge, outer), (outer, under)]
        pieces.append(quad(*under))
    for low, high in rings:
        pieces += [quad(low[i], low[(i + 1) % 4], high[(i + 1) % 4], high[i]) for i in range(4)]
    return np.concatenate(pieces)


def frustum_volume(bottom: tuple[float, float], top: tuple[float, float], height: float) -> float:
    """The prismatoid's (bottom + 4 middle + top) height / 6."""
    middle = (bottom[0] + top[0]) * (bottom[1] + top[1]) / 4
    return height * (bottom[0] * bottom[1] + 4 * middle + top[0] * top[1]) / 6


def block(low: tuple[float, float, float], high: tuple[float, float, float]) -> Floats:
    box = trimesh.creation.box(bounds=[low, high])
    return np.asarray(box.triangles)


def saved(triangles: Floats, path: Path) -> Path:
    mesh = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)
    if path.name.endswith("ascii.stl"):
        path.write_text(trimesh.exchange.stl.export_stl_ascii(mesh))
    elif path.name.endswith("ascii.ply"):
        path.write_bytes(mesh.export(file_type="ply", encoding="ascii"))
    else:
        mesh.export(path)
    return path


def estimator(path: Path, size: tuple[float, float, float] = SIZE, **rest: Any) -> Estimator:
    length, width, height = size
    bed = {"length_m": length, "width_m": width, "height_m": height, "reference": path.name}
    return Estimator(Truck.from_dict({"schema": 1, "id": "M", "bed": bed} | rest, path.parent))


def struck_m3(made: Estimator) -> float:
    """Struck capacity of an estimator's bed, from a level scan of nothing but the tops of its walls."""
    engine = made.bed.engine()
    engine.finish()
    return float(engine.integral().struck_capacity)


@pytest.mark.parametrize("thickness", [0.0, 0.08], ids=["sheet", "solid"])
@pytest.mark.parametrize("lean", [0.0, 0.03, 0.08])
def test_a_frustum_has_its_closed_form(lean: float, thickness: float, tmp_path: Path) -> None:
    length, width, height = SIZE
    top = (length + 2 * lean * height, width + 2 * lean * height)
    path = saved(frustum((length, width), top, height, thickness), tmp_path / "bed.stl")
    assert struck_m3(estimator(path)) == pytest.approx(frustum_volume((length, width), top, height), rel=2e-3)


@settings(max_examples=5, deadline=None)
@given(length=st.floats(2.5, 7.0), width=st.floats(1.6, 2.5), height=st.floats(0.5, 1.8))
def test_boxes_of_all_sizes(
    length: float, width: float, height: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("box")
    path = saved(frustum((length, width), (length, width), height, 0.06), folder / "bed.stl")
    assert struck_m3(estimator(path, (length, width, height))) == pytest.approx(length * width * height, rel=2e-3)


def test_wheel_arches_and_a_dent_are_taken_off(tmp_path: Path) -> None:
    length, width, height = SIZE
    arch = (0.8, 0.25, 0.3)
    shell = frustum((length, width), (length, width), height, 0.06)
    arches = [block((-0.4, s * 0.875 - 0.125, 0.0), (0.4, s * 0.875 + 0.125, 0.3)) for s in (-1, 1)]
    path = saved(np.concatenate([shell, *arches]), tmp_path / "bed.stl")
    assert struck_m3(estimator(path)) == pytest.approx(math.prod(SIZE) - 2 * math.prod(arch), rel=2e-3)


def test_a_bed_that_is_not_where_the_nominal_one_is_counts_as_it_stands(tmp_path: Path) -> None:
    """The mesh, and not the nominal box, tells the inside: 2 cm longer, 3 cm wider."""
    sides = (SIZE[0] + 0.02, SIZE[1] + 0.03)
    path = saved(frustum(sides, sides, SIZE[2], 0.06), tmp_path / "bed.stl")
    assert struck_m3(estimator(path)) == pytest.approx(sides[0] * sides[1] * SIZE[2], rel=2e-3)


@pytest.mark.parametrize("name", ["bed.stl", "bed-ascii.stl", "bed.obj", "bed.ply", "bed-ascii.ply"])
def test_every_format_gives_the_same_triangles(name: str, tmp_path: Path) -> None:
    triangles = frustum(SIZE[:2], SIZE[:2], SIZE[2], 0.06)
    path = saved(triangles, tmp_path / name)
    assert is_mesh(path)
    mesh = read_mesh(path)
    found = mesh.vertices[mesh.faces]
    assert found.shape == triangles.shape
    order = [np.lexsort(t.mean(axis=1).round(4).T) for t in (found, triangles)]
    assert found[order[0]].mean(axis=1) == pytest.approx(triangles[order[1]].mean(axis=1), abs=1e-5)


@pytest.mark.parametrize("sensors", [(TOP,), (MAST, REAR)], ids=["top", "mast and rear"])
def test_a_load_over_a_mesh_is_estimated(sensors: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    arches = [
        {"side": side, "x_m": -0.3, "length_m": 0.9, "width_m": 0.2, "height_m": 0.25} for side in ("left", "right")
    ]
    made = simulate(scene("rough", 0.7, *sensors, bed=BED | {"arches": arches}, reference=False))
    shell = made.world.mesh
    solid = np.isin(shell.part, [Part.WALL, Part.RIM, Part.OUTSIDE])
    x, y = np.meshgrid(np.linspace(-2.1, 2.1, 169), np.linspace(-1.05, 1.05, 85))
    z = made.world.bed.floor.at(x, y)
    corners = np.stack([x, y, z], axis=-1)
    floor = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2).reshape(-1, 4, 3)
    floor = floor[np.isfinite(floor).all(axis=(1, 2))]
    triangles = np.concatenate([shell.triangles[solid], floor[:, [0, 1, 2]], floor[:, [0, 2, 3]]])
    saved(triangles, tmp_path / "bed.stl")
    document = made.truck | {"bed": made.truck["bed"] | {"reference": "bed.stl"}}
    result = Estimator(Truck.from_dict(document, tmp_path)).estimate(scans_of(made))
    assert covers(result, made)
    assert abs(error_of(result, made)) < 0.015
    assert result.struck_capacity_m3 == pytest.approx(made.truth["struck_capacity_m3"], rel=5e-3)


def test_a_ply_without_faces_is_a_scan(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    path.write_text(f"ply\nformat ascii 1.0\n{CORNERS.format(v=1)}end_header\n1 2 3\n")
    assert not is_mesh(path)
    assert read_points(path).xyz.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(("factor", "flag"), [(1000.0, "wrong_unit"), (39.37, "wrong_unit"), (0.3, "no_bed")])
def test_another_unit_or_size_is_told(factor: float, flag: str, tmp_path: Path) -> None:
    path = saved(factor * frustum(SIZE[:2], SIZE[:2], SIZE[2], 0.06), tmp_path / "bed.stl")
    with pytest.raises(ScanError, match=r"bed\.stl: found a mesh of .* expected a bed of 4 x 2 x 1\.2 m") as caught:
        estimator(path)
    assert caught.value.flag == flag


def test_a_mesh_elsewhere_or_upside_down_is_refused(tmp_path: Path) -> None:
    shell = frustum(SIZE[:2], SIZE[:2], SIZE[2], 0.06)
    for name, moved in (("far", shell + np.array([20.0, 0.0, 0.0])), ("over", shell * np.array([1.0, -1.0, -1.0]))):
        with pytest.raises(ScanError, match=rf"{name}\.stl"):
            estimator(saved(moved, tmp_path / f"{name}.stl"))


def test_a_truck_with_a_mesh_alone_cannot_be_commissioned(tmp_path: Path) -> None:
    path = saved(frustum(SIZE[:2], SIZE[:2], SIZE[2], 0.06), tmp_path / "bed.stl")
    sensor = {"id": "top", "pose": {"xyz_m": [0.0, 0.0, 4.0], "rpy_deg": [0.0, 90.0, 0.0]}}
    truck = estimator(path, sensor=[sensor]).truck
    with pytest.raises(InputError, match="expected scans of the empty bed"):
        commission(truck, tmp_path / "truck.volest", loads=160)


def binary_stl(triangles: Floats, claimed: int | None = None) -> bytes:
    record = np.zeros(len(triangles), dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    record["v"] = triangles
    return b"\0" * 80 + struct.pack("<I", len(triangles) if claimed is None else claimed) + record.tobytes()


BOX = frustum(SIZE[:2], SIZE[:2], SIZE[2], 0.06)
NAN = np.where(np.arange(9).reshape(3, 3) == 4, np.nan, BOX[0])[None]
CORNERS = "element vertex {v}\nproperty float x\nproperty float y\nproperty float z\n"
FACES = "element face {f}\nproperty list uchar int vertex_indices\n"
PLY = f"ply\nformat ascii 1.0\n{CORNERS}{FACES}end_header\n"
HOSTILE: dict[str, bytes] = {
    "empty.stl": b"",
    "cut.stl": binary_stl(BOX)[:-7],
    "long.stl": binary_stl(BOX) + b"x",
    "claims.stl": binary_stl(BOX, 4_000_000_000),
    "none.stl": binary_stl(BOX[:0]),
    "nan.stl": binary_stl(np.concatenate([BOX, NAN])),
    "inf.stl": binary_stl(np.concatenate([BOX, np.where(np.isnan(NAN), np.inf, NAN)])),
    "noise.stl": bytes(range(256)) * 9,
    "words.stl": b"solid x\nfacet normal 0 0 1\nouter loop\nvertex 1 2\nendloop\nendfacet\nendsolid",
    "points.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\n",
    "index.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n",
    "binary.obj": bytes(range(256)),
    "index.ply": (PLY.format(v=3, f=1) + "0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n").encode(),
    "negative.ply": (PLY.format(v=3, f=1) + "0 0 0\n1 0 0\n0 1 0\n3 0 1 -2\n").encode(),
    "claims.ply": (PLY.format(v=3, f=4_000_000_000) + "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n").encode(),
    "cut.ply": (PLY.format(v=3, f=2) + "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n").encode(),
    "nan.ply": (PLY.format(v=3, f=1) + "0 0 0\n1 nan 0\n0 1 0\n3 0 1 2\n").encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mesh_is_an_input_error_that_names_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ScanError, match=rf"{name}: ") as caught:
        read_mesh(path)
    assert caught.value.flag == "unreadable"


def test_materials_and_other_files_are_never_opened(tmp_path: Path) -> None:
    """An OBJ may name any path as its materials: a FIFO there would hold up whoever opened it."""
    import os

    os.mkfifo(tmp_path / "trap.mtl")
    path = saved(BOX, tmp_path / "bed.obj")
    path.write_text("mtllib trap.mtl\nmtllib ../../../etc/passwd\n" + path.read_text() + "usemtl x\n")
    assert len(read_mesh(path).faces) == len(BOX)


def test_without_trimesh_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(BOX, tmp_path / "bed.stl")
    monkeypatch.setattr("volest.io.sandbox.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"bed\.stl: reading the mesh.*volest\[formats\]"):
        read_mesh(path)
