"""Text: any separator, with and without names, as the programs of the field write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from io_goldens import CLOUD, INTENSITY, XYZ, assert_same, columns, read_bytes, rows

from volest.errors import ScanError
from volest.pointcloud import PointCloud

TABLE = np.column_stack(list(columns().values())).tolist()
NAMES = ["x", "y", "z", "intensity", "timestamp", "ring"]


@pytest.mark.parametrize("suffix", [".xyz", ".csv", ".txt", ".XYZ"])
@pytest.mark.parametrize("separator", [" ", "  ", "\t", ",", ", ", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_separator_and_line_end_is_read(tmp_path: Path, suffix: str, separator: str, end: str) -> None:
    numbers = rows(TABLE, separator, end)
    named = rows([NAMES], separator, end) + numbers
    assert_same(read_bytes(tmp_path, suffix, named), CLOUD)
    assert_same(read_bytes(tmp_path, suffix, named[: -len(end)]), CLOUD)
    assert_same(read_bytes(tmp_path, suffix, numbers), PointCloud(XYZ, INTENSITY))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\n\n",
        b"# made by hand\n",
        b"// made by hand\n",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf# made by hand\n\n",
    ],
)
def test_comments_and_blank_lines_are_passed_over(tmp_path: Path, head: bytes) -> None:
    data = head + b"1 2 3 # a corner\n# a line\n\n4 5 6\n// another\n7 8 9 // the end\n"
    expected = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)
    assert_same(read_bytes(tmp_path, ".xyz", data), PointCloud(expected))


@pytest.mark.parametrize(
    "header",
    [
        '"X","Y","Z","Intensity"\n',
        "X Y Z I\n",
        " x , y , z , reflectivity \n",
        "//X Y Z Scalar_Intensity\n",
        "# x y z intensity\n",
        "x_m;y_m;z_m;intensity\n",
        "Points_m_XYZ:0,Points_m_XYZ:1,Points_m_XYZ:2,intensity\n",
    ],
)
def test_the_names_that_programs_write_are_known(tmp_path: Path, header: str) -> None:
    assert_same(
        read_bytes(tmp_path, ".csv", header.encode() + b"1,2,3,40\n"),
        PointCloud(np.array([[1, 2, 3]], np.float32), np.array([40], np.float32)),
    )


def test_a_comment_that_names_colours_keeps_them_from_being_intensity(tmp_path: Path) -> None:
    cloud = read_bytes(tmp_path, ".xyz", b"//X Y Z R G B\n1 2 3 10 20 30\n")
    assert cloud.intensity is None
    np.testing.assert_array_equal(cloud.xyz, [[1, 2, 3]])


def test_columns_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    data = b"frame,z,ring,label,y,x,time\nA,3,7,tree,2,1,0.5\nB,6,8,truck,5,4,0.75\n"
    expected = PointCloud(
        np.array([[1, 2, 3], [4, 5, 6]], np.float32), None, np.array([0.5, 0.75]), np.array([7, 8], np.uint16)
    )
    assert_same(read_bytes(tmp_path, ".csv", data), expected)


def test_fields_left_empty_are_returns_that_are_missing(tmp_path: Path) -> None:
    """So does pandas write NaN."""
    nan = np.nan
    data = b"x,y,z,intensity\n1,2,3,4\n,,,0\n5,6,7,\n , ,8,1\n"
    expected = PointCloud(
        np.array([[1, 2, 3], [nan, nan, nan], [5, 6, 7], [nan, nan, 8]], np.float32),
        np.array([4, 0, nan, 1], np.float32),
    )
    assert_same(read_bytes(tmp_path, ".csv", data), expected)
    assert_same(
        read_bytes(tmp_path, ".csv", b"1,2,3\n,,\n"), PointCloud(np.array([[1, 2, 3], [nan, nan, nan]], np.float32))
    )


def test_names_without_rows_are_an_empty_cloud(tmp_path: Path) -> None:
    assert len(read_bytes(tmp_path, ".csv", b"x,y,z,intensity\n")) == 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"1 2\n3 4\n", "found 2 numbers in the first row"),
        (b"1 2 3\n4 5\n", "row 2"),
        (b"1 2 3\n4 5 6 7\n", "row 2"),
        (b"x,y,z,intensity\n1,2,3,4\n5,6,7\n", "row 2"),
        (b"x,y,z\n1,2,three\n", "'three'"),
        (b"a,b,c\n1,2,3\n", "x y z missing"),
        (b"x,y,x\n1,2,3\n", "2 fields named x"),
        (b"x_mm,y_mm,z_mm\n1,2,3\n", "x y z missing"),
        (b"1,5;2,5;3,5\n", "found the fields '1,5 2,5 3,5'"),
        (b"\n\n \n", "neither numbers nor names"),
        (b"# nothing here\n", "neither numbers nor names"),
        (b"This is a letter about a truck.\n", "x y z missing"),
        (b"1 2 3\n\x00 5 6\n", "zero byte"),
        (b"1 2 3\n" + b"4 " * 40_000, "a line of more than"),
        ("1 2 3\n4\u00a05\u00a06\n".encode(), "row 2"),
        (b"time_s,gross_kg\n0.0,4310\n", "x y z missing"),
    ],
)
def test_what_is_no_table_of_points_is_told(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".csv", data)
    assert told in str(error.value)
    assert error.value.flag == "unreadable"


def test_a_file_that_is_cut_inside_a_row_is_refused(tmp_path: Path) -> None:
    """Cut inside the last number or at the end of a row nothing tells: docs/formats.md says so."""
    for data in (rows(TABLE), rows([NAMES], ",") + rows(TABLE, ",")):
        last_row = data[:-1].rfind(b"\n") + 1
        last_number = max(data.rfind(b" "), data.rfind(b","))
        for length in range(last_row + 1, last_number + 1):
            with pytest.raises(ScanError):
                read_bytes(tmp_path, ".csv", data[:length])
