"""Files that others made, from real sensors and test suites: read as their list says."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from volest.errors import InputError, ScanError
from volest.io import SUPPORTED_SUFFIXES, read_points
from volest.pointcloud import PointCloud

# Malformed to the readers that made the list, and yet read here: what is in them is beyond doubt.
READ_NEVERTHELESS = {
    "ascii_with_empty_points.pcd": 0,  # a sound header that tells of no points
    "utm17_comma.pcd": 10,  # commas in place of spaces
    "simple_text.ply": 3,  # a space behind the word "ply"
    "simple-laszip-compressor-version-1.2r0.laz": 1065,  # LASzip before chunks
}
# Empty to those readers; the header tells of 1,065 points and none is there: a file that is cut short.
REFUSED_NEVERTHELESS = {"1.2-no-points.las"}
COUNT_UNKNOWN = {"ascii_multi_count.pcd": 8, "autzen-utm.pcd": 1065, "utm17_space.pcd": 10, "utm17_tab.pcd": 10}


@dataclass(frozen=True)
class Row:
    path: str
    expect: str
    points: int | None

    @property
    def name(self) -> str:
        return Path(self.path).name


@cache
def manifest(folder: Path) -> list[Row]:
    with open(folder / "manifest.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Row(row["path"], row["expect"], int(row["points"]) if row["points"] else None) for row in rows]


def listed(real: Path, expect: str, suffix: str = "") -> list[Row]:
    return [row for row in manifest(real) if row.expect == expect and row.path.lower().endswith(suffix)]


def one(real: Path, name: str) -> PointCloud:
    return read_points(next(real / row.path for row in manifest(real) if row.name == name))


@pytest.mark.parametrize("suffix", [".pcd", ".ply", ".las", ".laz", ".e57"])
def test_each_readable_file_gives_its_points(real: Path, suffix: str) -> None:
    rows = listed(real, "readable", suffix)
    assert rows
    found = {row.path: len(read_points(real / row.path)) for row in rows}
    assert found == {row.path: COUNT_UNKNOWN.get(row.name, row.points) for row in rows}


def test_all_readable_files_are_of_a_known_format(real: Path) -> None:
    assert {Path(row.path).suffix for row in listed(real, "readable")} <= set(SUPPORTED_SUFFIXES)


def test_each_empty_file_gives_no_points(real: Path) -> None:
    for row in listed(real, "empty"):
        if row.name in REFUSED_NEVERTHELESS:
            with pytest.raises(ScanError, match="cut short: found 0 points, expected 1065"):
                read_points(real / row.path)
        else:
            assert len(read_points(real / row.path)) == 0, row.path


def test_each_malformed_file_is_an_input_error(real: Path) -> None:
    rows = listed(real, "malformed")
    assert {row.name for row in rows} >= READ_NEVERTHELESS.keys()
    for row in rows:
        if row.name in READ_NEVERTHELESS:
            assert len(read_points(real / row.path)) == READ_NEVERTHELESS[row.name]
        else:
            with pytest.raises(InputError, match=row.name):
                read_points(real / row.path)


def test_what_is_no_scan_gives_an_input_error_or_points(real: Path) -> None:
    for row in listed(real, "other"):
        try:
            read_points(real / row.path)
        except InputError:
            continue
        assert Path(row.path).suffix == ".txt", row.path  # PDAL's tables of x y z
        assert "text" in row.path


def test_old_laszip_gives_the_points_of_the_uncompressed_file(real: Path) -> None:
    np.testing.assert_array_equal(
        one(real, "simple-laszip-compressor-version-1.2r0.laz").xyz, one(real, "1.2-with-color.las").xyz
    )


def test_encodings_of_one_bunny_agree(real: Path) -> None:
    """Double, float and integers of 19, 24 and 32 bits, the coarsest with steps of the bunny's extent / 2^19."""
    names = ("bunnyDouble.e57", "bunnyFloat.e57", "bunnyInt19.e57", "bunnyInt24.e57", "bunnyInt32.e57")
    bunnies = [one(real, name).xyz for name in names]
    for first, second in combinations(bunnies, 2):
        np.testing.assert_allclose(first, second, atol=1e-4)
    assert (np.ptp(bunnies[0], axis=0) > 0.1).all()
    assert (np.ptp(bunnies[0], axis=0) < 0.2).all()


def test_spherical_points_lie_where_they_should(real: Path) -> None:
    xyz = one(real, "tiny_spherical.e57").xyz
    valid = xyz[np.isfinite(xyz).all(axis=1)]
    assert np.linalg.norm(valid, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_a_pose_without_rotation_moves_the_scan(real: Path) -> None:
    np.testing.assert_array_equal(one(real, "translationWithoutRotation.e57").xyz[0], [4, 5, 6])


def test_livox_scans_lie_where_the_box_is(real: Path) -> None:
    folder = next(real.glob("H-Ekana*")) / "SCANS" / "Cloud_Compare_Files"
    full = read_points(folder / "Full_Bin" / "full_box_scan.pcd").xyz
    returns = full[np.any(full != 0, axis=1)]
    assert len(full) - len(returns) == 243_517
    assert returns.min(axis=0) == pytest.approx([-0.243, -0.178, -2.101], abs=5e-4)


def test_timestamp_and_ring_of_a_velodyne_are_read(real: Path) -> None:
    cloud = one(real, "1673400472138016708.pcd")
    assert cloud.ring is not None
    assert cloud.timestamp is not None
    assert cloud.intensity is not None
    assert set(np.unique(cloud.ring)) == set(range(1, 16))  # the beam 0 met nothing
    steps = np.diff(cloud.timestamp)
    assert steps[steps > 0].min() == pytest.approx(2.304e-6, abs=2e-9)  # from one laser to the next


def test_open3d_finds_the_same_points(real: Path, open3d: ModuleType) -> None:
    for row in [*listed(real, "readable", ".pcd"), *listed(real, "readable", ".ply")]:
        if row.name in COUNT_UNKNOWN or (row.points or 0) > 50_000 or row.name == "issue_2421.ply":
            continue
        theirs = np.asarray(
            open3d.io.read_point_cloud(
                str(real / row.path), remove_nan_points=False, remove_infinite_points=False
            ).points
        )
        if len(theirs):  # Open3D gives none, without a word, where it does not understand a file
            np.testing.assert_array_equal(read_points(real / row.path).xyz, theirs.astype(np.float32), err_msg=row.path)
