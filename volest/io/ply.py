"""PLY: ascii, binary_little_endian and binary_big_endian; the element `vertex` holds the points.

Read here and not by a library: what a point cloud needs of the format is a header and one table, and the field's
library is under a licence that its users would inherit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from volest.io.pointtable import PointTable
from volest.io.rows import data_lines, read_text
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["face_count", "read_ply"]

MAX_HEADER_BYTES = 64 << 10
FORMATS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}


@dataclass(slots=True)
class Element:
    """One kind of thing in the file, such as vertex or face: `count` rows of properties."""

    name: str
    count: int
    names: list[str] = field(default_factory=list)
    types: list[np.dtype[Any]] = field(default_factory=list)
    has_lists: bool = False

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in a binary file, of which a list has at least its length."""
        return sum(dtype.itemsize for dtype in self.types)


def read_ply(scan: ScanFile) -> PointCloud:
    """The vertices of a PLY file."""
    encoding, elements = _read_header(scan)
    place = next((place for place, element in enumerate(elements) if element.name == "vertex"), None)
    if place is None:
        scan.fail("header: found no element vertex, expected the points there")
    before, vertex, after = elements[:place], elements[place], elements[place + 1 :]
    if vertex.has_lists:
        scan.fail("header: found a list among the properties of vertex, expected single numbers")
    table = PointTable(vertex.names, vertex.types, [1] * len(vertex.names), vertex.count)
    read = _read_ascii if encoding == "ascii" else _read_binary
    return read(scan, before, table, after)


def face_count(scan: ScanFile) -> int:
    """How many faces the header of a PLY file tells of: it is a mesh then."""
    _, elements = _read_header(scan)
    return next((element.count for element in elements if element.name == "face"), 0)


def _read_header(scan: ScanFile) -> tuple[str, list[Element]]:
    if _header_words(scan) != ["ply"]:
        scan.fail("found no line 'ply' at the start, expected a PLY file")
    words = _header_words(scan)
    if len(words) != 3 or words[0] != "format" or words[1] not in FORMATS:
        scan.fail(f"header: found {' '.join(words)[:60]!r}, expected a format: one of {', '.join(FORMATS)}")
    encoding = words[1]
    elements: list[Element] = []
    while (words := _header_words(scan)) != ["end_header"]:
        match words:
            case ["comment" | "obj_info", *_]:
                pass
            case ["element", name, count] if count.isascii() and count.isdigit() and len(count) < 20:
                elements.append(Element(name, int(count)))
            case ["property", "list", length, entry, _] if elements and length in TYPES and entry in TYPES:
                elements[-1].has_lists = True
                elements[-1].types.append(np.dtype(TYPES[length]))
                elements[-1].names.append("")
            case ["property", kind, name] if elements and kind in TYPES:
                elements[-1].types.append(np.dtype(FORMATS[encoding] + TYPES[kind]))
                elements[-1].names.append(name)
            case _:
                scan.fail(f"header: found {' '.join(words)[:60]!r}, expected an element, a property or end_header")
    return encoding, elements


def _header_words(scan: ScanFile) -> list[str]:
    line = scan.stream.readline(MAX_HEADER_BYTES)
    if not line.endswith(b"\n") or scan.stream.tell() > MAX_HEADER_BYTES:
        scan.fail("found no line end_header, expected a PLY header that ends with one")
    return line.decode("ascii", "replace").split()


def _read_ascii(scan: ScanFile, before: list[Element], table: PointTable, after: list[Element]) -> PointCloud:
    """A row a line."""
    table.check_text(scan)
    lines = data_lines(read_text(scan))
    for _ in islice(lines, sum(element.count for element in before)):
        pass
    cloud = table.read_ascii(scan, islice(lines, table.points))
    rest, expected = sum(1 for _ in lines), sum(element.count for element in after)
    if rest < expected:
        scan.fail(f"cut short: found {rest} rows behind vertex, expected {expected}")
    return cloud


def _read_binary(scan: ScanFile, before: list[Element], table: PointTable, after: list[Element]) -> PointCloud:
    """A row behind the other, without gaps."""
    for element in before:
        if element.has_lists:
            scan.fail(f"found lists in the element {element.name[:40]!r} before vertex, expected vertex first")
        scan.skip(element.count * element.row_bytes, f"element {element.name[:40]!r}")
    cloud = table.read_binary(scan)
    for element in after:
        scan.skip(element.count * element.row_bytes, f"element {element.name[:40]!r}")
    return cloud
