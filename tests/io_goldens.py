"""Small sound files of every format of scans, made from one cloud, for the tests of the readers to break."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from volest.errors import ScanError
from volest.io import read_points
from volest.pointcloud import PointCloud

XYZ = np.array(
    [[0, 0, 0], [1.5, -2.25, 3], [np.nan, np.nan, np.nan], [4, 5.125, -6.5], [-0.25, 0, 1], [7, 8, 9]], np.float32
)
FINITE = np.array([[0, 0, 0], [1.5, -2.25, 3], [4, 5.125, -6.5], [-0.25, 0, 1], [7, 8, 9]], np.float32)
INTENSITY = np.array([0, 10, 20, 30, 40, 50], np.float32)
TIMESTAMP = np.array([0, 0.125, 0.25, 0.375, 0.5, 0.625])
RING = np.array([0, 1, 2, 3, 63, 127], np.uint16)
CLOUD = PointCloud(XYZ, INTENSITY, TIMESTAMP, RING)

Columns = dict[str, NDArray[Any]]


def columns(cloud: PointCloud = CLOUD) -> Columns:
    """x y z intensity timestamp ring, in the types of a PointCloud."""
    named = {axis: cloud.xyz[:, place] for place, axis in enumerate("xyz")}
    extras = {name: getattr(cloud, name) for name in ("intensity", "timestamp", "ring")}
    return named | {name: column for name, column in extras.items() if column is not None}


def read_bytes(folder: Path, suffix: str, data: bytes) -> PointCloud:
    path = folder / f"scan{suffix}"
    path.unlink(missing_ok=True)  # much faster than to write over a file
    path.write_bytes(data)
    return read_points(path)


def read_or_refuse(folder: Path, suffix: str, data: bytes) -> PointCloud | ScanError:
    """The cloud, or the error that says why there is none; anything else is raised."""
    try:
        return read_bytes(folder, suffix, data)
    except ScanError as error:
        return error


def assert_same(found: PointCloud, expected: PointCloud) -> None:
    assert found.xyz.dtype == np.float32
    assert found.xyz.flags.c_contiguous
    np.testing.assert_array_equal(found.xyz, expected.xyz)
    for name, dtype in (("intensity", np.float32), ("timestamp", np.float64), ("ring", np.uint16)):
        values, wanted = getattr(found, name), getattr(expected, name)
        assert (values is None) == (wanted is None), name
        if wanted is not None:
            assert values.dtype == dtype
            np.testing.assert_allclose(values, wanted, rtol=1e-12)


def lzf_compress(data: bytes) -> bytes:
    """A plain LZF compressor: the longest match of three bytes or more that a table of positions finds."""
    packed, literals, seen, place = bytearray(), bytearray(), dict[bytes, int](), 0

    def flush() -> None:
        for start in range(0, len(literals), 32):
            run = literals[start : start + 32]
            packed.append(len(run) - 1)
            packed.extend(run)
        literals.clear()

    while place < len(data):
        match, seen[data[place : place + 3]] = seen.get(data[place : place + 3], -1), place
        if match < 0 or place - match > 8192 or place + 3 > len(data):
            literals.append(data[place])
            place += 1
            continue
        length = 3
        while length < 264 and place + length < len(data) and data[match + length] == data[place + length]:
            length += 1
        flush()
        far, near = divmod(place - match - 1, 256)
        packed.extend([(length - 2) << 5 | far, near] if length < 9 else [0xE0 | far, length - 9, near])
        place += length
    flush()
    return bytes(packed)


def pcd(fields: Columns | None = None, encoding: str = "binary", head: str = "", **changes: object) -> bytes:
    """A PCD file; `changes` replaces lines of the header, None removes one."""
    fields = columns() if fields is None else fields
    count = len(next(iter(fields.values())))
    lines: dict[str, object] = {
        "VERSION": "0.7",
        "FIELDS": " ".join(fields),
        "SIZE": " ".join(str(column.dtype.itemsize) for column in fields.values()),
        "TYPE": " ".join(column.dtype.kind.upper() for column in fields.values()),
        "COUNT": " ".join(str(math.prod(column.shape[1:])) for column in fields.values()),
        "WIDTH": count,
        "HEIGHT": 1,
        "VIEWPOINT": "0 0 0 1 0 0 0",
        "POINTS": count,
        "DATA": encoding,
    } | changes
    header = head + "".join(f"{key} {value}\n" for key, value in lines.items() if value is not None)
    return header.encode() + pcd_body(fields, encoding)


def pcd_body(fields: Columns, encoding: str) -> bytes:
    count = len(next(iter(fields.values())))
    if encoding == "ascii":
        table = [
            [repr(number.item()) for column in fields.values() for number in column[row].flat] for row in range(count)
        ]
        return "".join(" ".join(row) + "\n" for row in table).encode()
    if encoding == "binary":
        return b"".join(column[row : row + 1].tobytes() for row in range(count) for column in fields.values())
    planes = b"".join(np.ascontiguousarray(column).tobytes() for column in fields.values())
    packed = lzf_compress(planes)
    return struct.pack("<II", len(packed), len(planes)) + packed


PLY_TYPES = {"f4": "float", "f8": "double", "u2": "ushort", "u4": "uint", "i4": "int32"}


def ply(encoding: str = "binary_little_endian", fields: Columns | None = None, count: int | None = None) -> bytes:
    fields = columns() if fields is None else fields
    rows = len(fields["x"])
    lines = [
        "ply",
        f"format {encoding} 1.0",
        "comment made by a test",
        f"element vertex {rows if count is None else count}",
    ]
    lines += [f"property {PLY_TYPES[column.dtype.str[1:]]} {name}" for name, column in fields.items()]
    header = "".join(line + "\n" for line in [*lines, "end_header"]).encode()
    if encoding == "ascii":
        return header + pcd_body(fields, "ascii")
    order = ">" if encoding == "binary_big_endian" else "<"
    return header + pcd_body(
        {name: column.astype(column.dtype.newbyteorder(order)) for name, column in fields.items()}, "binary"
    )


LAS_SCALE = 0.0005
LAS_RECORD_BYTES = (20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67)


def las(
    xyz: NDArray[np.float32] = FINITE, version: tuple[int, int] = (1, 2), point_format: int = 1, extra: int = 0
) -> bytes:
    """An uncompressed LAS file with the intensities 0, 10, 20 ... and the times 0, 0.125, 0.25 ..."""
    count, record_bytes = len(xyz), LAS_RECORD_BYTES[point_format] + extra
    header = bytearray({2: 227, 3: 235, 4: 375}[version[1]])
    header[:4], header[24:26] = b"LASF", bytes(version)
    struct.pack_into("<HIIBHI", header, 94, len(header), len(header), 0, point_format, record_bytes, count)
    struct.pack_into("<6d", header, 131, *[LAS_SCALE] * 3, 1.0, 2.0, 3.0)
    if version[1] == 4:
        struct.pack_into("<Q", header, 247, count)
    records = np.zeros((count, record_bytes), np.uint8)
    whole = np.rint((xyz.astype(np.float64) - [1, 2, 3]) / LAS_SCALE).astype("<i4")
    records[:, :12] = whole.view(np.uint8).reshape(count, 12)
    records[:, 12:14] = (np.arange(count) * 10).astype("<u2").view(np.uint8).reshape(count, 2)
    if point_format not in (0, 2):
        start = 20 if point_format < 6 else 22
        records[:, start : start + 8] = (np.arange(count) * 0.125).view(np.uint8).reshape(count, 8)
    return bytes(header) + records.tobytes()


def las_cloud(xyz: NDArray[np.float32] = FINITE, timed: bool = True) -> PointCloud:
    """What the file holds."""
    number = np.arange(len(xyz))
    return PointCloud(xyz, (number * 10).astype(np.float32), number * 0.125 if timed else None)


def laz(las_file: bytes) -> bytes:
    """The same, compressed."""
    laspy = pytest.importorskip("laspy")
    pytest.importorskip("lazrs")
    packed = io.BytesIO()
    laspy.read(io.BytesIO(las_file)).write(packed, do_compress=True)
    return packed.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def npz(compressed: bool = True, **arrays: NDArray[Any]) -> bytes:
    data = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(data, **arrays)
    return data.getvalue()


def rows(table: Iterable[Iterable[object]], separator: str = " ", end: str = "\n") -> bytes:
    return "".join(separator.join(map(str, row)) + end for row in table).encode()


def e57(
    path: Path, *clouds: dict[str, Any], poses: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] | None = None
) -> bytes:
    """An E57 file of scans, each with the columns told: double, or (8-bit) integers for states and constants."""
    libe57 = pytest.importorskip("pye57").libe57
    image = libe57.ImageFile(str(path), "w")
    image.extensionsAdd("", libe57.E57_V1_0_URI)
    root = image.root()
    for name, value in {"formatName": "ASTM E57 3D Imaging Data File", "guid": "{volest}"}.items():
        root.set(name, libe57.StringNode(image, value))
    root.set("versionMajor", libe57.IntegerNode(image, 1))
    root.set("versionMinor", libe57.IntegerNode(image, 0))
    scans = libe57.VectorNode(image, True)
    root.set("data3D", scans)
    for place, cloud in enumerate(clouds):
        scan = libe57.StructureNode(image)
        scans.append(scan)
        if poses and place in poses:
            scan.set("pose", _e57_pose(libe57, image, *poses[place]))
        _write_e57_points(libe57, image, scan, cloud)
    image.close()
    return path.read_bytes()


def _e57_pose(libe57: Any, image: Any, rotation: tuple[float, ...], translation: tuple[float, ...]) -> Any:
    pose = libe57.StructureNode(image)
    for part, names, numbers in (("rotation", "wxyz", rotation), ("translation", "xyz", translation)):
        node = libe57.StructureNode(image)
        pose.set(part, node)
        for name, number in zip(names, numbers, strict=True):
            node.set(name, libe57.FloatNode(image, number))
    return pose


def _write_e57_points(libe57: Any, image: Any, scan: Any, cloud: dict[str, Any]) -> None:
    prototype = libe57.StructureNode(image)
    buffers, held = libe57.VectorSourceDestBuffer(), []
    for name, column in cloud.items():
        array = np.array(column)
        if array.dtype.kind in "iu":
            low, high = int(array.min(initial=0)), int(array.max(initial=0))
            prototype.set(name, libe57.IntegerNode(image, low, low, high))
        else:
            prototype.set(name, libe57.FloatNode(image, 0.0, libe57.FloatPrecision.E57_DOUBLE, -1e9, 1e9))
        held.append(array.astype(np.float64))
        buffers.append(libe57.SourceDestBuffer(image, name, held[-1], max(1, len(array)), True, True))
    points = libe57.CompressedVectorNode(image, prototype, libe57.VectorNode(image, True))
    scan.set("points", points)
    writer = points.writer(buffers)
    count = len(next(iter(cloud.values())))
    if count:
        writer.write(count)
    writer.close()


def e57_columns(xyz: NDArray[np.float32] = FINITE) -> dict[str, Any]:
    return {f"cartesian{axis}": xyz[:, place].astype(np.float64) for place, axis in enumerate("XYZ")}


def with_e57_checksums(data: bytes) -> bytes:
    """The file with the checksum of each page of 1024 bytes set right, as a forger would."""
    sound = bytearray(data)
    for start in range(0, len(sound), 1024):
        struct.pack_into(">I", sound, start + 1020, crc32c(bytes(sound[start : start + 1020])))
    return bytes(sound)


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), as RFC 3720 defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
