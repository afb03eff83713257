"""NumPy's .npy and .npz: read in full or refused before they are unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from io_goldens import CLOUD, INTENSITY, RING, TIMESTAMP, XYZ, assert_same, columns, npy, npz, read_bytes
from numpy.typing import NDArray

from volest.errors import ScanError
from volest.pointcloud import PointCloud

FOUR = np.column_stack([XYZ, INTENSITY])


@pytest.mark.parametrize(
    "array",
    [
        XYZ,
        XYZ.astype(np.float64),
        XYZ.astype(np.float16),
        XYZ.astype(">f4"),
        np.asfortranarray(XYZ),
        XYZ.reshape(2, 3, 3),
    ],
)
def test_arrays_of_any_float_order_and_shape_are_read(tmp_path: Path, array: NDArray[Any]) -> None:
    assert_same(read_bytes(tmp_path, ".npy", npy(array)), PointCloud(XYZ))


def test_a_fourth_column_is_intensity(tmp_path: Path) -> None:
    wider = np.column_stack([FOUR, np.ones((6, 2), np.float32)])
    for array in (FOUR, wider):
        assert_same(read_bytes(tmp_path, ".npy", npy(array)), PointCloud(XYZ, INTENSITY))


def test_an_array_with_named_fields_is_read(tmp_path: Path) -> None:
    fields = columns()
    packed = np.zeros(6, [(name, column.dtype) for name, column in fields.items()])
    aligned = np.zeros(6, np.dtype([("tag", "u1"), ("n", "f4", 3), *packed.dtype.descr], align=True))
    for array in (packed, aligned):
        for name, column in fields.items():
            array[name] = column
        assert_same(read_bytes(tmp_path, ".npy", npy(array)), CLOUD)


def forged(descr: str = "'<f4'", shape: str = "(6, 3)", order: str = "False", body: bytes = XYZ.tobytes()) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def test_a_header_written_by_hand_is_read(tmp_path: Path) -> None:
    assert_same(read_bytes(tmp_path, ".npy", forged()), PointCloud(XYZ))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (forged(shape="(7, 3)"), "cut short: found 72 bytes"),
        (forged(shape="(4000000000, 3)"), "cut short"),
        (forged(shape="(-6, 3)"), "expected a shape"),
        (forged(shape="(6.0, 3)"), "expected a shape"),
        (forged(shape="(True, 3)"), "expected a shape"),
        (forged(shape=f"({2**62}, {2**62}, 0)"), "expected a shape"),
        (forged(shape="(1, 1, 6, 3)"), "expected a shape"),
        (forged(shape="[6, 3]"), "expected a shape"),
        (forged(shape="(18,)"), "found an array of shape (18,)"),
        (forged(shape="(9, 2)"), "found an array of shape (9, 2)"),
        (npy(np.zeros((3, 500), np.float32)), "found an array of shape (3, 500)"),
        (npy(np.zeros((6, 3), np.int32)), "type int32, expected (N, 3) of floats"),
        (npy(np.zeros((6, 3), np.complex64)), "expected numbers"),
        (npy(np.zeros((6, 3), "U4")), "expected numbers"),
        (forged(descr="'|O'"), "expected numbers"),
        (forged(descr="'f1'"), "expected numbers"),
        (forged(descr="3"), "expected numbers"),
        (forged(descr="[('x', '<f4'), ('y', '|O')]"), "('y', '|O')"),
        (forged(descr="[('x', '<f4'), ('y', '<f4')]", shape="(6,)"), "z missing"),
        (forged(order="2"), "expected a shape"),
        (forged(descr="__import__('os').abort()"), "expected descr, fortran_order and shape"),
        (forged(shape="(" * 2000), "expected descr, fortran_order and shape"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b" " * 70_000, "found a header of 65535 bytes"),
        (b"\x93NUMPY\x09\x00" + forged()[8:], "version 1 to 3"),
        (b"PK\x03\x04" + forged(), "expected a .npy file"),
        (b"\x93NUMPY", "cut short"),
    ],
)
def test_arrays_that_are_no_points_are_told(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".npy", data)
    assert told in str(error.value)
    assert error.value.flag == "unreadable"


def test_a_pickle_in_an_array_is_never_loaded(tmp_path: Path) -> None:
    data = io.BytesIO()
    np.save(data, np.array([object()]), allow_pickle=True)
    with pytest.raises(ScanError, match="expected numbers"):
        read_bytes(tmp_path, ".npy", data.getvalue())
    with pytest.raises(ScanError, match="expected numbers"):
        read_bytes(tmp_path, ".npz", npz(xyz=np.array([object()])))


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"xyz": XYZ, "intensity": INTENSITY, "timestamp": TIMESTAMP, "ring": RING}, CLOUD),
        ({"points": XYZ.astype(np.float64)}, PointCloud(XYZ)),
        ({"Points": FOUR}, PointCloud(XYZ, INTENSITY)),
        ({"points": FOUR, "intensity": INTENSITY * 2}, PointCloud(XYZ, INTENSITY * 2)),
        ({"arr_0": XYZ}, PointCloud(XYZ)),
        (columns(), CLOUD),
        (
            {"xyz": XYZ.reshape(2, 3, 3), "intensity": INTENSITY.reshape(2, 3), "pose": np.eye(4)},
            PointCloud(XYZ, INTENSITY),
        ),
        ({"xyz": np.empty((0, 3), np.float32)}, PointCloud(np.empty((0, 3), np.float32))),
    ],
)
def test_archives_are_read(tmp_path: Path, compressed: bool, arrays: dict[str, Any], expected: PointCloud) -> None:
    assert_same(read_bytes(tmp_path, ".npz", npz(compressed, **arrays)), expected)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"a": XYZ, "b": XYZ}, "found the arrays 'a b', expected xyz"),
        ({"x": XYZ[:, 0], "y": XYZ[:, 1]}, "found the arrays 'x y', expected xyz"),
        ({"xyz": XYZ, "intensity": INTENSITY[:5]}, "found 5 numbers of intensity, expected 6"),
        ({"xyz": XYZ.T}, "shape (3, 6)"),
        ({"xyz": XYZ[:, :2]}, "shape (6, 2)"),
        ({}, "found the arrays ''"),
    ],
)
def test_archives_that_are_no_points_are_told(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    if told == "shape (3, 6)":  # six columns: taken for three points would be a silent mistake, were there more points
        arrays = {"xyz": np.zeros((3, 17), np.float32)}
        told = "shape (3, 17)"
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".npz", npz(**arrays))
    assert told in str(error.value)


@pytest.mark.parametrize("compressed", [True, False])
def test_an_archive_that_is_cut_short_is_refused(tmp_path: Path, compressed: bool) -> None:
    data = npz(compressed, xyz=XYZ)
    for length in range(len(data)):
        with pytest.raises(ScanError):
            read_bytes(tmp_path, ".npz", data[:length])


def test_an_array_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    data = npy(XYZ)
    for length in range(len(data)):
        with pytest.raises(ScanError):
            read_bytes(tmp_path, ".npy", data[:length])


def archive(name: str, body: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        file.writestr(name, body)
    return data.getvalue()


def test_an_archive_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file, file.open("xyz.npy", "w") as member:
        member.write(forged(shape=f"({1 << 24}, 4)", body=b""))
        block = bytes(1 << 24)
        for _ in range(16):
            member.write(block)
    with pytest.raises(ScanError, match="expected at most 200 times as many"):
        read_bytes(tmp_path, ".npz", data.getvalue())


def test_a_scan_of_zeros_alone_is_no_bomb(tmp_path: Path) -> None:
    zeros = np.zeros((131072, 3), np.float32)
    assert_same(read_bytes(tmp_path, ".npz", npz(xyz=zeros)), PointCloud(zeros))


def test_a_directory_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    sound = npz(xyz=XYZ)
    place = sound.index(b"PK\x01\x02") + 24
    for size in (0, 10, 199, 201, 10**6, 0xFFFFFFFE):
        with pytest.raises(ScanError):
            read_bytes(tmp_path, ".npz", sound[:place] + struct.pack("<I", size) + sound[place + 4 :])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (archive("xyz.npy", npy(XYZ) + b"more"), "4 bytes behind the array"),
        (archive("xyz.npy", npy(XYZ), zipfile.ZIP_BZIP2), "compression 12"),
        (archive("xyz.npy", npy(XYZ), zipfile.ZIP_LZMA), "compression 14"),
        (archive("xyz.npy", b"no array"), "expected a .npy file"),
        (archive("xyz.npy", b""), "cut short"),
        (npz(xyz=XYZ)[:-22], "no end of a zip directory"),
        (npz(xyz=XYZ).replace(b"PK\x01\x02", b"PK\x01\x03"), "damaged archive"),
        (b"PK\x05\x06" + bytes(8) + struct.pack("<IIH", 1 << 30, 0, 0), "zip directory of more than"),
        (b"PK\x06\x07" + bytes(16) + npz(xyz=XYZ)[-22:], "zip directory of more than"),
        (b"x" * 100, "no end of a zip directory"),
    ],
)
def test_archives_that_are_damaged_or_strange_are_told(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(ScanError) as error:
        read_bytes(tmp_path, ".npz", data)
    assert told in str(error.value)


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    data = bytearray(npz(False, xyz=XYZ))
    data[data.index(XYZ.tobytes()) + 13] ^= 1
    with pytest.raises(ScanError, match="CRC"):
        read_bytes(tmp_path, ".npz", bytes(data))
