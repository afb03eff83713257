"""PCD, the Point Cloud Library's format: ascii, binary and binary_compressed.

The points stay in the frame of the file: VIEWPOINT tells where the sensor stood, and is not applied.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest.io.pointtable import PointTable
from volest.io.rows import data_lines, read_text
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["read_pcd", "write_pcd"]

MAX_HEADER_BYTES = 64 << 10
SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
ENCODINGS = ("ascii", "binary", "binary_compressed")


def read_pcd(scan: ScanFile) -> PointCloud:
    """The points of a PCD file."""
    table, encoding = _read_header(scan)
    if encoding == "binary":
        return table.read_binary(scan)
    if encoding == "binary_compressed":
        return _read_compressed(scan, table)
    table.check_text(scan)
    text = read_text(scan)
    return table.read_ascii(scan, data_lines(text.replace(b",", b" ") if b"," in text else text))


def _read_header(scan: ScanFile) -> tuple[PointTable, str]:
    entries: dict[str, list[str]] = {}
    while "DATA" not in entries:
        line = scan.stream.readline(MAX_HEADER_BYTES)
        if not line or scan.stream.tell() > MAX_HEADER_BYTES:
            scan.fail("found no line DATA, expected a PCD header that ends with one")
        words = line.decode("ascii", "replace").split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in entries:
            scan.fail(f"header: found two lines {words[0][:20]!r}, expected one")
        entries[words[0]] = words[1:]
    if entries["DATA"] not in [[encoding] for encoding in ENCODINGS]:
        scan.fail(f"header: found DATA {' '.join(entries['DATA'])[:40]!r}, expected one of {', '.join(ENCODINGS)}")
    names = entries.get("FIELDS") or entries.get("COLUMNS")
    if not names:
        scan.fail("header: found no line FIELDS, expected the names of the fields")
    counts = [_whole(scan, "COUNT", word) for word in _per_field(scan, entries, "COUNT", names)]
    return PointTable(names, _types(scan, entries, names), counts, _points(scan, entries)), entries["DATA"][0]


def _per_field(scan: ScanFile, entries: dict[str, list[str]], key: str, names: list[str]) -> list[str]:
    words = entries.get(key, ["1"] * len(names) if key == "COUNT" else [])
    if len(words) != len(names):
        scan.fail(f"header: found {len(words)} entries of {key}, expected {len(names)}, one a field")
    return words


def _types(scan: ScanFile, entries: dict[str, list[str]], names: list[str]) -> list[np.dtype[Any]]:
    kinds = _per_field(scan, entries, "TYPE", names)
    sizes = [_whole(scan, "SIZE", word) for word in _per_field(scan, entries, "SIZE", names)]
    for kind, size in zip(kinds, sizes, strict=True):
        if size not in SIZES.get(kind, ()):
            scan.fail(f"header: found TYPE {kind[:20]!r} of SIZE {size}, expected F of 4 or 8, I or U of 1, 2, 4 or 8")
    return [np.dtype(f"<{kind.lower()}{size}") for kind, size in zip(kinds, sizes, strict=True)]


def _points(scan: ScanFile, entries: dict[str, list[str]]) -> int:
    told = {key: _single(scan, entries, key) for key in ("WIDTH", "HEIGHT", "POINTS") if key in entries}
    if "WIDTH" not in told and "POINTS" not in told:
        scan.fail("header: found neither POINTS nor WIDTH, expected the number of points")
    points = told.get("POINTS", told.get("WIDTH", 0) * told.get("HEIGHT", 1))
    if "WIDTH" in told and told["WIDTH"] * told.get("HEIGHT", 1) != points:
        scan.fail(f"header: found POINTS {points}, expected WIDTH x HEIGHT: {told['WIDTH']} x {told.get('HEIGHT', 1)}")
    return points


def _single(scan: ScanFile, entries: dict[str, list[str]], key: str) -> int:
    if len(entries[key]) != 1:
        scan.fail(f"header: found {len(entries[key])} entries of {key}, expected 1")
    return _whole(scan, key, entries[key][0])


def _whole(scan: ScanFile, key: str, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 20):
        scan.fail(f"header: found {key} {word[:40]!r}, expected a whole number")
    return int(word)


def _read_compressed(scan: ScanFile, table: PointTable) -> PointCloud:
    """Field after field, each for all points, compressed by LZF as one block behind its two sizes."""
    from volest._core import lzf_decompress

    roles, offsets, points = table.roles(scan), table.offsets, table.points
    scan.check_count(points)
    scan.check_unpacking(scan.left(), points * offsets[-1])
    packed, unpacked = struct.unpack("<II", scan.read(8, "sizes")) if points else (0, 0)
    if unpacked != points * offsets[-1]:
        scan.fail(f"found {unpacked} bytes of unpacked points, expected {points * offsets[-1]}")
    try:
        data = lzf_decompress(scan.read(packed, "compressed points"), unpacked)
    except ValueError as error:
        scan.fail(f"{error}: found {packed} bytes, expected them to unpack to {unpacked}")
    builder = table.builder(scan, roles)
    builder.add(
        {role: np.ndarray(points, table.types[place], data, points * offsets[place]) for role, place in roles.items()}
    )
    return builder.finish()


def write_pcd(path: str | os.PathLike[str], cloud: PointCloud) -> None:
    """Write a cloud as binary PCD: x y z and, where present, intensity, ring and timestamp [s]."""
    columns: list[tuple[str, NDArray[Any]]] = [(axis, cloud.xyz[:, place]) for place, axis in enumerate("xyz")]
    for name in ("intensity", "ring", "timestamp"):
        column = getattr(cloud, name)
        if column is not None:
            columns.append((name, column))
    records = np.empty(len(cloud), [(name, column.dtype.newbyteorder("<")) for name, column in columns])
    for name, column in columns:
        records[name] = column
    header: dict[str, list[Any]] = {
        "VERSION": ["0.7"],
        "FIELDS": [name for name, _ in columns],
        "SIZE": [column.dtype.itemsize for _, column in columns],
        "TYPE": [column.dtype.kind.upper() for _, column in columns],
        "COUNT": [1] * len(columns),
        "WIDTH": [len(cloud)],
        "HEIGHT": [1],
        "VIEWPOINT": [0, 0, 0, 1, 0, 0, 0],
        "POINTS": [len(cloud)],
        "DATA": ["binary"],
    }
    lines = [" ".join(map(str, (key, *values))) + "\n" for key, values in header.items()]
    with open(path, "wb") as file:
        file.write("".join(lines).encode("ascii"))
        file.write(records.tobytes())
