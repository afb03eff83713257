"""E57: all scans of a file in its frame, and forged files that keep their checksums."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from io_goldens import FINITE, assert_same, e57, e57_columns, read_bytes, read_or_refuse, with_e57_checksums

from volest.errors import MissingExtraError, ScanError
from volest.io import read_points, sandbox
from volest.pointcloud import PointCloud

pytest.importorskip("pye57")
TURN = (float(np.cos(np.pi / 4)), 0.0, 0.0, float(np.sin(np.pi / 4)))  # 90 degrees about z


def test_cartesian_points_are_read(tmp_path: Path) -> None:
    columns = e57_columns() | {"intensity": np.arange(5.0), "timeStamp": np.arange(5) * 0.125}
    path = tmp_path / "a.e57"
    e57(path, columns)
    assert_same(read_points(path), PointCloud(FINITE, np.arange(5, dtype=np.float32), np.arange(5) * 0.125))


def test_spherical_points_are_turned_into_cartesian_ones(tmp_path: Path) -> None:
    distance = np.linalg.norm(FINITE, axis=1).astype(np.float64)
    columns = {
        "sphericalRange": distance,
        "sphericalAzimuth": np.arctan2(FINITE[:, 1], FINITE[:, 0]).astype(np.float64),
        "sphericalElevation": np.arcsin(FINITE[:, 2] / np.maximum(distance, 1e-9)),
    }
    path = tmp_path / "a.e57"
    e57(path, columns)
    np.testing.assert_allclose(read_points(path).xyz, FINITE, atol=1e-6)


def test_all_scans_are_moved_to_the_frame_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.e57"
    shifted = e57_columns() | {"intensity": np.full(5, 7.0)}
    e57(path, e57_columns(), shifted, poses={1: (TURN, (10.0, 20.0, 30.0))})
    cloud = read_points(path)
    turned = np.column_stack([10 - FINITE[:, 1], 20 + FINITE[:, 0], 30 + FINITE[:, 2]])
    np.testing.assert_allclose(cloud.xyz, np.concatenate([FINITE, turned]), atol=1e-5)
    np.testing.assert_array_equal(cloud.intensity, [np.nan] * 5 + [7] * 5)


@pytest.mark.parametrize("state", [1, 2])
def test_invalid_points_become_nan_and_keep_their_row(tmp_path: Path, state: int) -> None:
    columns = e57_columns() | {"cartesianInvalidState": np.array([0, state, 0, 0, state])}
    path = tmp_path / "a.e57"
    e57(path, columns)
    expected = FINITE.copy()
    expected[[1, 4]] = np.nan
    assert_same(read_points(path), PointCloud(expected))


def test_files_without_scans_or_points_give_an_empty_cloud(tmp_path: Path) -> None:
    path = tmp_path / "a.e57"
    e57(path)
    assert len(read_points(path)) == 0
    e57(path, e57_columns(FINITE[:0]))
    assert len(read_points(path)) == 0


def test_more_points_than_are_read_at_a_time(tmp_path: Path) -> None:
    xyz = np.random.default_rng(4).normal(size=(150_000, 3)).astype(np.float32)
    path = tmp_path / "a.e57"
    e57(path, e57_columns(xyz))
    assert_same(read_points(path), PointCloud(xyz))


@pytest.mark.parametrize(
    ("form", "place", "number", "told"),
    [
        ("8s", 0, b"ASTM-E58", "found b'ASTM-E58'"),
        ("I", 8, 2, "version 2.0"),
        ("Q", 16, 1 << 40, "cut short"),
        ("Q", 16, 1024, "expected 1024, as the header tells"),
        ("Q", 24, 1 << 40, "XML at byte 1099511627776"),
        ("Q", 24, 0, "XML at byte 0"),
        ("Q", 32, 1 << 40, "found 1099511627776 bytes of XML"),
        ("Q", 32, 0, "found 0 bytes of XML"),
        ("Q", 40, 512, "pages of 512 bytes"),
        ("Q", 40, 0, "pages of 0 bytes"),
    ],
)
def test_a_header_that_cannot_be_is_told_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, place: int, number: int, told: str
) -> None:
    data = bytearray(e57(tmp_path / "a.e57", e57_columns()))
    struct.pack_into("<" + form, data, place, number)
    monkeypatch.setattr("volest.io.e57.run_decoder", None)
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".e57", bytes(data))
    assert told in str(error.value)
    assert error.value.flag == "unreadable"


def test_a_file_that_is_cut_short_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = e57(tmp_path / "a.e57", e57_columns())
    monkeypatch.setattr("volest.io.e57.run_decoder", None)
    for length in range(0, len(data), 7):
        with pytest.raises(ScanError):
            read_bytes(tmp_path, ".e57", data[:length])


def test_a_flipped_bit_is_found_by_its_checksum(tmp_path: Path) -> None:
    data = e57(tmp_path / "a.e57", e57_columns())
    for place in np.random.default_rng(5).integers(48, len(data), 8):
        changed = bytearray(data)
        changed[place] ^= 4
        with pytest.raises(ScanError, match="cannot be decoded"):
            read_bytes(tmp_path, ".e57", bytes(changed))


def forged(tmp_path: Path, old: str, new: str, **columns: object) -> bytes:
    """A file whose XML was changed and whose checksums are right; old and new have the same length."""
    data = e57(tmp_path / "a.e57", e57_columns() | columns)
    assert len(old) == len(new)
    start = struct.unpack_from("<Q", data, 24)[0]
    assert old.encode() in data[start:]
    return with_e57_checksums(data[:start] + data[start:].replace(old.encode(), new.encode(), 1))


def test_the_forger_knows_the_checksum(tmp_path: Path) -> None:
    data = e57(tmp_path / "a.e57", e57_columns())
    assert with_e57_checksums(data) == data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('recordCount="5"', 'recordCount="6"'),
        ('recordCount="5"', 'recordCount="x"'),
        ('recordCount="5"', 'recordCount=""5'),
        ('fileOffset="48"', 'fileOffset="49"'),
        ('fileOffset="48"', 'fileOffset="99"'),
        ("<cartesianX ", "<cartesianY "),
        ("<cartesianX ", "<cartesianW "),
        ("<prototype ", "<prototyqe "),
        ("<data3D ", "<data4D "),
        ("</e57Root>", "</e57Roof>"),
    ],
)
def test_forged_descriptions_never_crash_the_caller(tmp_path: Path, old: str, new: str) -> None:
    found = read_or_refuse(tmp_path, ".e57", forged(tmp_path, old, new))
    assert found.flag == "unreadable" if isinstance(found, ScanError) else len(found) in (0, 5)


def test_constant_fields_cannot_claim_points_without_end(tmp_path: Path) -> None:
    """An integer whose bounds are equal takes no bits: 99999 million points fit into no bytes at all."""
    count = 12_345
    columns = {f"cartesian{axis}": np.ones(count, int) for axis in "XYZ"}
    data = e57(tmp_path / "a.e57", columns)
    few = read_bytes(tmp_path, ".e57", data)
    np.testing.assert_array_equal(few.xyz, np.ones((count, 3)))
    digits = f'recordCount="{count}"'.encode()
    many = with_e57_checksums(data.replace(digits, b'recordCount="99999"'))
    assert many != data
    with pytest.raises(ScanError, match=r"found a count of 99999 points|cannot be decoded"):
        read_bytes(tmp_path, ".e57", many)


def test_without_pye57_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    e57(tmp_path / "a.e57", e57_columns())
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"reading \.e57 needs the extra \[formats\]"):
        read_points(tmp_path / "a.e57")
