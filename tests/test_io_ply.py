"""PLY: the three encodings, with other elements before and behind the vertices."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from io_goldens import CLOUD, XYZ, assert_same, columns, ply, read_bytes

from volest.errors import ScanError
from volest.pointcloud import PointCloud

ENCODINGS = ["ascii", "binary_little_endian", "binary_big_endian"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_encoding_gives_the_same_points(tmp_path: Path, encoding: str) -> None:
    assert_same(read_bytes(tmp_path, ".ply", ply(encoding)), CLOUD)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_double_coordinates_and_foreign_properties_are_read(tmp_path: Path, encoding: str) -> None:
    fields = {
        "red": np.zeros(6, np.uint16),
        **{axis: XYZ[:, place].astype(np.float64) for place, axis in enumerate("xyz")},
    }
    assert_same(read_bytes(tmp_path, ".ply", ply(encoding, fields)), PointCloud(XYZ))


def test_spaces_and_carriage_returns_at_line_ends_do_not_matter(tmp_path: Path) -> None:
    data = ply("ascii")
    assert_same(read_bytes(tmp_path, ".ply", data.replace(b"\n", b" \n")), CLOUD)
    assert_same(read_bytes(tmp_path, ".ply", data.replace(b"\n", b"\r\n")), CLOUD)


def mesh(encoding: str, order: str = "<") -> bytes:
    """Three points behind a camera of one row, before two triangles."""
    header = (
        f"ply\nformat {encoding} 1.0\nobj_info none\nelement camera 1\nproperty float f\nproperty uchar id\n"
        "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if encoding == "ascii":
        return header + b"1.5 7\n0 0 0\n1 0 0\n0 1 0.25\n3 0 1 2\n3 2 1 0\n"
    camera = np.array([(1.5, 7)], [("f", f"{order}f4"), ("id", "u1")])
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.25]], f"{order}f4")
    faces = np.array([(3, (0, 1, 2)), (3, (2, 1, 0))], [("n", "u1"), ("of", f"{order}i4", 3)])
    return header + camera.tobytes() + vertices.tobytes() + faces.tobytes()


@pytest.mark.parametrize(
    ("encoding", "order"), [("ascii", ""), ("binary_little_endian", "<"), ("binary_big_endian", ">")]
)
def test_elements_before_and_behind_the_vertices_are_passed_over(tmp_path: Path, encoding: str, order: str) -> None:
    cloud = read_bytes(tmp_path, ".ply", mesh(encoding, order))
    np.testing.assert_array_equal(cloud.xyz, np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.25]], np.float32))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_file_that_is_cut_short_is_never_a_short_cloud(tmp_path: Path, encoding: str) -> None:
    data = ply(encoding)
    last_number = len(data) - len(data.rsplit(b" ", 1)[1]) if encoding == "ascii" else len(data)
    for length in range(len(data)):
        try:
            cloud = read_bytes(tmp_path, ".ply", data[:length])
        except ScanError:
            continue
        assert length > last_number  # inside the last number of the text
        np.testing.assert_array_equal(cloud.xyz, XYZ)


def test_a_mesh_that_is_cut_before_its_faces_is_refused(tmp_path: Path) -> None:
    for data in (mesh("ascii")[:-8], mesh("binary_little_endian")[:-26]):
        with pytest.raises(ScanError, match="cut short"):
            read_bytes(tmp_path, ".ply", data)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"ply\n", b"plx\n", "no line 'ply'"),
        (b"binary_little_endian", b"binary_middle_endian", "expected a format: one of ascii"),
        (b"element vertex 6", b"element points 6", "no element vertex"),
        (b"element vertex 6", b"element vertex -6", "'element vertex -6'"),
        (b"element vertex 6", b"element vertex 4000000000", "a count of 4000000000 points"),
        (b"element vertex 6", b"element vertex 7", "found 6 points, expected 7"),
        (b"element vertex 6\n", b"", "'property float x'"),
        (b"property float z", b"property float w", "z missing"),
        (b"property float z", b"property half z", "'property half z'"),
        (b"property float z", b"property list uchar float z", "a list among the properties"),
        (b"property float intensity", b"property list uchar float intensity", "a list among the properties"),
        (b"end_header\n", b"end_head\n", "found 'end_head', expected an element"),
        (b"end_header\n", b"", "no line end_header"),
        (b"comment made by a test\n", b"comment " + b"x" * 70_000 + b"\n", "no line end_header"),
        (
            b"comment made by a test\n",
            b"element face 9\nproperty list int int i\n",
            "found lists in the element 'face'",
        ),
        (b"comment made by a test\n", b"element e 9999999999\nproperty int i\n", "bytes of element 'e'"),
    ],
)
def test_a_header_that_is_wrong_is_told(tmp_path: Path, old: bytes, new: bytes, told: str) -> None:
    assert old in ply()
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".ply", ply().replace(old, new, 1))
    assert told in str(error.value)
    assert str(tmp_path / "scan.ply") in str(error.value)
    assert error.value.flag == "unreadable"


def test_rows_that_are_no_points_are_told(tmp_path: Path) -> None:
    data = ply("ascii")
    for changed, told in ((data.replace(b"nan", b"none"), "'none'"), (data.replace(b" nan", b""), "row 3")):
        with pytest.raises(ScanError) as error:
            read_bytes(tmp_path, ".ply", changed)
        assert told in str(error.value)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_sound_file_without_points_gives_an_empty_cloud(tmp_path: Path, encoding: str) -> None:
    empty = columns(PointCloud(np.empty((0, 3), np.float32)))
    assert len(read_bytes(tmp_path, ".ply", ply(encoding, empty))) == 0


@pytest.mark.parametrize(("text", "byte_order"), [(True, "="), (False, "<"), (False, ">")])
def test_what_plyfile_writes_is_read(tmp_path: Path, text: bool, byte_order: str) -> None:
    plyfile = pytest.importorskip("plyfile")
    vertices = np.zeros(6, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "f4")])
    for place, axis in enumerate("xyz"):
        vertices[axis] = XYZ[:, place]
    data = io.BytesIO()
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")], text=text, byte_order=byte_order).write(data)
    assert_same(read_bytes(tmp_path, ".ply", data.getvalue()), PointCloud(XYZ, np.zeros(6, np.float32)))
