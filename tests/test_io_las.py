"""LAS and LAZ: all versions and point formats, and what is known to hang, mislead or kill the field's readers."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from io_goldens import FINITE, LAS_SCALE, assert_same, las, las_cloud, laz, read_bytes, read_or_refuse

from volest.errors import MissingExtraError, ScanError
from volest.io import laz as laz_module
from volest.io import read_points, sandbox

PLANE = np.round(np.random.default_rng(2).normal(size=(2000, 3)) * 2, 3).astype(np.float32)


def patched(data: bytes, form: str, place: int, *numbers: float) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + form, changed, place, *numbers)
    return bytes(changed)


@pytest.mark.parametrize("version", [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)])
@pytest.mark.parametrize("point_format", range(11))
@pytest.mark.parametrize("extra", [0, 5])
def test_each_version_and_point_format_is_read(
    tmp_path: Path, version: tuple[int, int], point_format: int, extra: int
) -> None:
    version = version if version[1] > 2 else (1, 2)
    cloud = read_bytes(tmp_path, ".las", las(FINITE, version, point_format, extra))
    assert_same(cloud, las_cloud(FINITE, timed=point_format not in (0, 2)))


@pytest.mark.parametrize(("version", "point_format"), [((1, 2), 0), ((1, 2), 3), ((1, 4), 6), ((1, 4), 7)])
def test_compressed_points_are_the_same(tmp_path: Path, version: tuple[int, int], point_format: int) -> None:
    data = las(PLANE, version, point_format)
    plain, packed = (read_bytes(tmp_path, suffix, form) for suffix, form in ((".las", data), (".laz", laz(data))))
    assert_same(packed, plain)
    np.testing.assert_allclose(plain.xyz, PLANE, atol=LAS_SCALE)


def test_the_header_decides_and_not_the_suffix(tmp_path: Path) -> None:
    assert_same(read_bytes(tmp_path, ".las", laz(las())), las_cloud())
    assert_same(read_bytes(tmp_path, ".laz", las()), las_cloud())


@pytest.mark.parametrize(("version", "point_format"), [((1, 2), 1), ((1, 3), 4), ((1, 4), 6)])
def test_laspy_reads_the_same(tmp_path: Path, version: tuple[int, int], point_format: int) -> None:
    laspy = pytest.importorskip("laspy")
    data = las(PLANE, version, point_format)
    theirs = laspy.read(io.BytesIO(data))
    ours = read_bytes(tmp_path, ".las", data)
    np.testing.assert_array_equal(ours.xyz, np.asarray(theirs.xyz, np.float32))
    np.testing.assert_array_equal(ours.intensity, np.asarray(theirs.intensity, np.float32))
    np.testing.assert_array_equal(ours.timestamp, np.asarray(theirs.gps_time))


@pytest.mark.parametrize("form", [las, lambda xyz: laz(las(xyz))])
def test_a_sound_file_without_points_gives_an_empty_cloud(tmp_path: Path, form: object) -> None:
    assert callable(form)
    assert len(read_bytes(tmp_path, ".las", form(FINITE[:0]))) == 0


def test_a_count_of_records_that_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    """laspy 2.7.0 reads 0xFFFFFFF0 variable length records for ever and grows by 50 MB a second."""
    for data in (las(), laz(las())):
        start = time.perf_counter()
        with pytest.raises(ScanError, match="variable length records, more than the file can hold"):
            read_bytes(tmp_path, ".las", patched(data, "I", 100, 0xFFFFFFF0))
        assert time.perf_counter() - start < 0.5
    with pytest.raises(ScanError, match="variable length records"):
        read_bytes(tmp_path, ".las", patched(las(FINITE, (1, 4), 6), "I", 243, 0xFFFFFFF0))


@pytest.mark.parametrize("scale", [0.0, -0.01, float("nan"), float("inf")])
def test_a_scale_that_makes_no_coordinates_is_refused(tmp_path: Path, scale: float) -> None:
    """laspy 2.7.0 gives all x = 0, or NaN, without a word."""
    for axis in range(3):
        with pytest.raises(ScanError, match="found the scale"):
            read_bytes(tmp_path, ".las", patched(las(), "d", 131 + 8 * axis, scale))
    with pytest.raises(ScanError, match="and the offset"):
        read_bytes(tmp_path, ".las", patched(las(), "d", 155, float("nan")))


def test_a_scale_out_of_all_bounds_makes_infinite_points(tmp_path: Path) -> None:
    assert np.isinf(read_bytes(tmp_path, ".las", patched(las(), "d", 131, 1e305)).xyz[:, 0]).all()


@pytest.mark.parametrize(
    ("form", "place", "number", "told"),
    [
        ("4s", 0, b"LASX", "found b'LASX'"),
        ("B", 24, 2, "version 2.2"),
        ("B", 25, 5, "version 1.5"),
        ("H", 94, 226, "a header of 226 bytes"),
        ("I", 96, 226, "points at byte 226"),
        ("I", 96, 0xFFFFFFFF, "points at byte 4294967295"),
        ("B", 104, 11, "point format 11"),
        ("H", 105, 27, "records of 27 bytes, expected at least 28"),
        ("H", 105, 29, "found 4 points, expected 5 of 29 bytes"),
        ("I", 107, 6, "found 5 points, expected 6 of 28 bytes"),
        ("I", 107, 4_000_000_000, "a count of 4000000000 points"),
    ],
)
def test_a_header_that_cannot_be_is_told(tmp_path: Path, form: str, place: int, number: float, told: str) -> None:
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".las", patched(las(), form, place, number))
    assert told in str(error.value)
    assert str(tmp_path / "scan.las") in str(error.value)
    assert error.value.flag == "unreadable"


def test_a_file_that_is_cut_short_is_never_a_short_cloud(tmp_path: Path) -> None:
    data = las()
    for length in range(len(data)):
        with pytest.raises(ScanError):
            read_bytes(tmp_path, ".las", data[:length])


def test_one_record_in_a_thousand_may_be_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Some writers count a record more than they write; such a file is read with a warning."""
    data = las(PLANE)
    cloud = read_bytes(tmp_path, ".las", data[: -2 * 28])
    assert len(cloud) == len(PLANE) - 2
    assert "found 1998 points, expected 2000" in caplog.text
    for lost in (1, 27, 29, 3 * 28):
        with pytest.raises(ScanError, match="cut short"):
            read_bytes(tmp_path, ".las", data[:-lost])


def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    data = laz(las())
    for length in [*range(0, len(data), 23), *range(len(data) - 30, len(data))]:
        with pytest.raises(ScanError):
            read_bytes(tmp_path, ".laz", data[:length])


def test_coordinates_that_float32_rounds_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half a metre is lost in the UTM zone's northing; the scan is read, and the log says so."""
    data = patched(patched(las(), "d", 155, 500_000.0), "d", 163, 4_877_429.0)
    assert len(read_bytes(tmp_path, ".las", data)) == len(FINITE)
    assert "coordinates of 4.87743e+06 m, which float32 rounds to about 0.6 m" in caplog.text


LASZIP = 227 + 54  # where the laszip record begins: compressor H, coder H, 2B, revision H, options I, chunk I, ...


@pytest.mark.parametrize(
    ("form", "place", "number", "told"),
    [
        ("I", 107, 0xFFFFFFF0, "a count of 4294967280 points"),
        ("I", 107, 40_000_000, "unpacks"),
        ("I", 107, 200_000, "found 1 chunks, expected 4"),
        ("I", 100, 0, "no laszip record"),
        ("H", 227 + 18, 1, "no laszip record"),
        ("H", 227 + 20, 60_000, "no laszip record"),
        ("H", 227 + 20, 33, "a laszip record of 33 bytes"),
        ("H", LASZIP + 32, 0, "and 0 items"),
        ("H", LASZIP + 32, 3, "and 3 items"),
        ("H", LASZIP + 36, 21, "laszip items of 29 bytes, expected 28"),
        ("H", LASZIP, 0, "laszip compressor 0"),
        ("H", LASZIP, 9, "laszip compressor 9"),
        ("I", LASZIP + 12, 0, "found 1 chunks"),
        ("I", LASZIP + 12, 1, "found 1 chunks"),
        ("q", LASZIP + 46, -2, "chunk table at byte -2"),
        ("q", LASZIP + 46, 1 << 40, "chunk table at byte 1099511627776"),
    ],
)
def test_a_laszip_record_that_cannot_be_is_told(tmp_path: Path, form: str, place: int, number: int, told: str) -> None:
    data = patched(laz(las()), form, place, number)
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".laz", data)
    assert told in str(error.value)


@pytest.mark.parametrize("version", [(1, 2), (1, 4)])
def test_a_panic_of_the_decoder_is_an_error(tmp_path: Path, version: tuple[int, int]) -> None:
    """lazrs panics, which is no Exception in Python, on items of versions that it does not know."""
    data = bytearray(laz(las(FINITE, version, 1 if version[1] == 2 else 6)))
    place = data.index(b"laszip encoded") - 2 + 54
    for item in range(struct.unpack_from("<H", data, place + 32)[0]):
        struct.pack_into("<H", data, place + 38 + 6 * item, 77)
    with pytest.raises(ScanError, match="cannot be decoded: "):
        read_bytes(tmp_path, ".laz", bytes(data))


def test_noise_in_place_of_compressed_points_neither_kills_nor_hangs(tmp_path: Path) -> None:
    data = bytearray(laz(las(PLANE)))
    rng = np.random.default_rng(3)
    start = struct.unpack_from("<I", data, 96)[0] + 8
    for _ in range(20):
        data[start : start + 2000] = rng.bytes(2000)
        found = read_or_refuse(tmp_path, ".laz", bytes(data))  # LAZ has no checksum
        assert found.flag == "unreadable" if isinstance(found, ScanError) else len(found) == len(PLANE)


def test_without_lazrs_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = laz(las())
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"reading \.laz needs the extra \[formats\]"):
        read_bytes(tmp_path, ".laz", data)
    assert_same(read_bytes(tmp_path, ".las", las()), las_cloud())


def test_a_decoder_that_gives_too_little_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.laz"
    path.write_bytes(laz(las()))
    lazy = tmp_path / "lazy.py"
    lazy.write_text("def decode(scan, output, *arguments):\n    output.write(bytes(28))\n")
    real = sandbox.run_decoder
    monkeypatch.setattr(laz_module, "run_decoder", lambda scan, _, *rest: real(scan, str(lazy.with_suffix("")), *rest))
    with pytest.raises(ScanError, match="found 1 compressed points, expected 5"):
        read_points(path)
