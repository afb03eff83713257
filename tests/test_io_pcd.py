"""PCD: every encoding and type is read, and nothing but a whole and sound file."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from io_goldens import CLOUD, XYZ, assert_same, columns, lzf_compress, pcd, pcd_body, read_bytes

from volest.errors import ScanError
from volest.io import read_points, write_pcd
from volest.pointcloud import PointCloud

ENCODINGS = ["ascii", "binary", "binary_compressed"]
HEADER = pcd(encoding="binary").partition(b"DATA")[0]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_encoding_gives_the_same_points(tmp_path: Path, encoding: str) -> None:
    assert_same(read_bytes(tmp_path, ".pcd", pcd(encoding=encoding)), CLOUD)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_fields_of_any_order_type_and_count_are_read(tmp_path: Path, encoding: str) -> None:
    number = np.arange(len(XYZ))
    fields: dict[str, Any] = {
        "_": np.zeros((len(XYZ), 3), np.uint8),
        "Z": XYZ[:, 2].astype(np.float64),
        "normals": np.ones((len(XYZ), 4), np.float32),
        "Intensity": number.astype(np.int8),
        "Y": XYZ[:, 1],
        "rgb": number.astype(np.uint32),
        "t": (number * 1_000_000).astype(np.uint32),
        "X": XYZ[:, 0].astype(np.float64),
        "channel": number.astype(np.uint8),
        "tag": number.astype(np.int64),
    }
    data = pcd(fields, encoding).replace(b"normals", b"_")  # two fields of padding with one name
    expected = PointCloud(XYZ, number.astype(np.float32), number * 1e-3, number.astype(np.uint16))
    assert_same(read_bytes(tmp_path, ".pcd", data), expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "changes",
    [
        {"VIEWPOINT": "1 2 3 0.7071 0.7071 0 0"},
        {"VIEWPOINT": None},
        {"WIDTH": 3, "HEIGHT": 2},
        {"POINTS": None, "WIDTH": 2, "HEIGHT": 3},
        {"WIDTH": None, "HEIGHT": None},
        {"COUNT": None},
        {"VERSION": ".7"},
        {"head": "# FIELDS a b\n#DATA ascii\n\n"},
    ],
)
def test_what_a_header_may_lack_or_add_changes_nothing(tmp_path: Path, encoding: str, changes: dict[str, Any]) -> None:
    assert_same(read_bytes(tmp_path, ".pcd", pcd(encoding=encoding, **changes)), CLOUD)


def test_tabs_commas_line_ends_and_a_missing_last_line_end_are_read(tmp_path: Path) -> None:
    data = pcd(encoding="ascii")
    head, mark, body = data.partition(b"DATA ascii\n")
    for changed in (
        body.replace(b" ", b"\t"),
        body.replace(b" ", b", "),
        body.replace(b"\n", b"\r\n"),
        body[:-1],
        body + b"\n\n",
    ):
        assert_same(read_bytes(tmp_path, ".pcd", head + mark + changed), CLOUD)
    assert_same(read_bytes(tmp_path, ".pcd", data.replace(b"\n", b"\r\n")), CLOUD)


def test_the_header_ends_at_the_line_data_whatever_the_points_spell(tmp_path: Path) -> None:
    """PCL #6122: a float32 whose bytes read DATA."""
    spelled = np.frombuffer(b"DATA" * 3, "<f4").reshape(1, 3)
    cloud = PointCloud(spelled)
    assert_same(read_bytes(tmp_path, ".pcd", pcd(columns(cloud))), cloud)


def test_a_sound_file_without_points_gives_an_empty_cloud(tmp_path: Path) -> None:
    empty = {axis: np.empty(0, np.float32) for axis in "xyz"}
    for encoding in ENCODINGS:
        assert len(read_bytes(tmp_path, ".pcd", pcd(empty, encoding))) == 0
    assert (
        len(
            read_bytes(
                tmp_path, ".pcd", pcd(empty, "binary_compressed").partition(b"compressed\n")[0] + b"compressed\n"
            )
        )
        == 0
    )


def test_numbers_beyond_float32_become_infinite_and_stay_in_their_row(tmp_path: Path) -> None:
    fields = columns(PointCloud(XYZ)) | {"x": np.array([1e300, 1, np.nan, -1e300, 2, 3])}
    xyz = read_bytes(tmp_path, ".pcd", pcd(fields)).xyz
    np.testing.assert_array_equal(xyz[:, 0], [np.inf, 1, np.nan, -np.inf, 2, 3])


def test_a_ring_that_is_no_number_of_a_beam_is_left_out(tmp_path: Path) -> None:
    for ring in (np.full(6, 0.5, np.float32), np.full(6, -1, np.int32), np.full(6, np.nan, np.float32)):
        assert read_bytes(tmp_path, ".pcd", pcd(columns() | {"ring": ring})).ring is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"FIELDS": None}, "no line FIELDS"),
        ({"FIELDS": "x y i intensity timestamp ring"}, "z missing"),
        ({"FIELDS": "x y z x timestamp ring"}, "2 fields named x"),
        ({"SIZE": "4 4 4"}, "3 entries of SIZE, expected 6"),
        ({"SIZE": "4 4 4 4 8 3"}, "TYPE 'U' of SIZE 3"),
        ({"SIZE": "2 4 4 4 8 2"}, "TYPE 'F' of SIZE 2"),
        ({"TYPE": "F F F F F X"}, "TYPE 'X'"),
        ({"TYPE": None}, "0 entries of TYPE"),
        ({"COUNT": "2 1 1 1 1 1"}, "2 numbers in the field x"),
        ({"COUNT": "1 1 1 1 1 -1"}, "COUNT '-1', expected a whole number"),
        ({"COUNT": "1 1 1 1 1 99999999"}, "bytes a point"),
        ({"WIDTH": 5}, "POINTS 6, expected WIDTH x HEIGHT: 5 x 1"),
        ({"HEIGHT": 0}, "POINTS 6, expected WIDTH x HEIGHT"),
        ({"POINTS": "many"}, "POINTS 'many'"),
        ({"POINTS": "1e3", "WIDTH": None}, "POINTS '1e3'"),
        ({"POINTS": None, "WIDTH": None}, "neither POINTS nor WIDTH"),
        ({"POINTS": "6 6"}, "2 entries of POINTS"),
        ({"POINTS": 7, "WIDTH": 7}, "found 6 points, expected 7"),
        ({"POINTS": 10**30, "WIDTH": None}, "expected a whole number"),
        ({"DATA": "zipped"}, "expected one of ascii, binary, binary_compressed"),
        ({"DATA": ""}, "expected one of ascii, binary, binary_compressed"),
        ({"head": "POINTS 6\n"}, "two lines 'POINTS'"),
        ({"head": "#" * 70_000 + "\n"}, "no line DATA"),
    ],
)
def test_a_header_that_contradicts_itself_is_told(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    data = pcd(**changes) if "POINTS" not in changes.get("head", "") else changes["head"].encode() + pcd()
    with pytest.raises(ScanError, match=r"scan\.pcd: ") as error:
        read_bytes(tmp_path, ".pcd", data)
    assert told in str(error.value)
    assert error.value.flag == "unreadable"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_file_that_is_cut_short_is_never_a_short_cloud(tmp_path: Path, encoding: str) -> None:
    data = pcd(encoding=encoding)
    last_number = len(data) - len(data.rsplit(b" ", 1)[1]) if encoding == "ascii" else len(data)
    for length in range(len(data)):
        try:
            cloud = read_bytes(tmp_path, ".pcd", data[:length])
        except ScanError:
            continue
        # Text alone: a cut inside the very last number shortens that number, and nothing tells.
        assert length > last_number
        np.testing.assert_array_equal(cloud.xyz, XYZ)


def test_an_ascii_row_that_is_short_long_or_no_number_is_told(tmp_path: Path) -> None:
    head = HEADER + b"DATA ascii\n"
    row = b"10.5 2 3 4 5 6\n"
    for rows, told in (
        (row * 5 + b"1 2 3 4 5\n", "row 6"),
        (row * 5 + b"1 2 3 4 5 6 7\n", "row 6"),
        (b"1 2 3 4 5 6 7\n" * 6, "7 numbers in a row, expected 6"),
        (row * 5, "found 5 rows of points, expected 6"),
        (b"1 2 3 4 5 6\n" * 4, "found 48 bytes of text, expected 6 rows of 6 numbers"),
        (row * 7, "found 7 rows of points, expected 6"),
        (row * 5 + b"1 2 3 4 5 six\n", "'six'"),
        (row * 5 + b"1 2 3\0 5 6\n", "zero byte"),
        (row * 5 + b"1 2 3 4 5 " + b"6" * 70_000, "a line of more than"),
    ):
        with pytest.raises(ScanError) as error:
            read_bytes(tmp_path, ".pcd", head + rows)
        assert told in str(error.value)


def test_compressed_data_that_do_not_unpack_to_the_points_are_told(tmp_path: Path) -> None:
    head, mark, body = pcd(encoding="binary_compressed").partition(b"compressed\n")
    size = 6 * 26
    packed = body[8:]
    for sizes, told in (
        ([len(packed), size - 1], f"found {size - 1} bytes of unpacked points, expected {size}"),
        ([len(packed) + 1, size], "cut short"),
        ([len(packed) - 1, size], "LZF data"),
        ([0xFFFFFFFF, size], "cut short"),
        ([0, size], "cannot hold so many bytes"),
    ):
        with pytest.raises(ScanError) as error:
            read_bytes(tmp_path, ".pcd", head + mark + np.array(sizes, "<u4").tobytes() + packed)
        assert told in str(error.value)


def test_what_write_pcd_writes_is_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    for cloud in (CLOUD, PointCloud(XYZ), PointCloud(XYZ, ring=CLOUD.ring), PointCloud(np.empty((0, 3), np.float32))):
        write_pcd(path, cloud)
        assert_same(read_points(path), cloud)
    assert_same(read_points(str(path)), cloud)


@given(stn.arrays(np.float32, st.tuples(st.integers(0, 40), st.just(3)), elements=st.floats(width=32)))
def test_any_cloud_survives_each_encoding(tmp_path_factory: pytest.TempPathFactory, xyz: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("any")
    cloud = PointCloud(xyz)
    for encoding in ENCODINGS:
        assert_same(read_bytes(folder, ".pcd", pcd(columns(cloud), encoding)), cloud)


@given(
    st.binary(max_size=2000) | st.builds(lambda part, times: part * times, st.binary(max_size=20), st.integers(0, 200))
)
def test_lzf_unpacks_what_it_packed(data: bytes) -> None:
    from volest._core import lzf_decompress

    packed = lzf_compress(data)
    assert lzf_decompress(packed, len(data)) == data
    for wrong in (len(data) + 1, len(data) - 1):
        with pytest.raises(ValueError, match="LZF data"):
            lzf_decompress(packed, wrong)


def test_open3d_reads_what_write_pcd_writes(tmp_path: Path, open3d: ModuleType) -> None:
    path = tmp_path / "a.pcd"
    rng = np.random.default_rng(1)
    cloud = PointCloud(rng.normal(size=(500, 3)).astype(np.float32), rng.random(500, np.float32))
    write_pcd(path, cloud)
    np.testing.assert_array_equal(
        np.asarray(open3d.t.io.read_point_cloud(str(path)).point.positions.numpy()), cloud.xyz
    )


def test_a_field_of_many_numbers_is_passed_over(tmp_path: Path) -> None:
    fields = columns() | {"intensity": np.ones((6, 5), np.float32)}
    cloud = read_bytes(tmp_path, ".pcd", pcd(fields))
    assert cloud.intensity is None
    np.testing.assert_array_equal(cloud.xyz, XYZ)
    assert len(pcd_body(fields, "binary")) == 6 * (12 + 20 + 8 + 2)
