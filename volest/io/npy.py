"""NumPy's own format: an array of points (N, 3), (N, 4) with intensity, (H, W, 3), or one with named fields.

Read here and not by numpy.load, which allocates what a header claims; nothing is unpickled.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest.io.cloud import COORDINATES, CloudBuilder
from volest.io.pointtable import PointTable
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["coordinate_columns", "read_array", "read_npy"]

MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 10_000
MAX_COLUMNS = 16
"""A wider array is likelier a (3, N) one, lying on its side."""
NUMBER = re.compile(r"[<>=|]?(f[248]|[iu][1248])")
PADDING = re.compile(r"\|V(\d{1,4})")


def read_npy(scan: ScanFile) -> PointCloud:
    """The points of a .npy file."""
    start = scan.stream.tell()
    descr, _, shape = _read_header(scan)
    if isinstance(descr, list):
        return _fields(scan, descr, math.prod(shape)).read_binary(scan)
    scan.stream.seek(start)
    columns = coordinate_columns(scan, read_array(scan))
    builder = CloudBuilder(scan, len(columns["x"]), {role: column.dtype for role, column in columns.items()})
    builder.add(columns)
    return builder.finish()


def read_array(scan: ScanFile) -> NDArray[Any]:
    """The one array of numbers in a .npy file; read-only."""
    descr, is_fortran, shape = _read_header(scan)
    if not isinstance(descr, str) or not NUMBER.fullmatch(descr):
        scan.fail(f"found an array of type {str(descr)[:60]!r}, expected numbers")
    dtype: np.dtype[Any] = np.dtype(descr)
    data = scan.read(math.prod(shape) * dtype.itemsize, f"an array of shape {shape}")
    return np.ndarray(shape, dtype, data, order="F" if is_fortran else "C")


def coordinate_columns(scan: ScanFile, array: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The columns x y z and, from four on, intensity of points (N, C) or (H, W, C)."""
    if array.ndim not in (2, 3) or not 3 <= array.shape[-1] <= MAX_COLUMNS or array.dtype.kind != "f":
        scan.fail(f"found an array of shape {array.shape} and type {array.dtype}, expected (N, 3) of floats, in metres")
    scan.check_count(array.size // array.shape[-1])
    points = array.reshape(-1, array.shape[-1])
    return {role: points[:, place] for place, role in enumerate((*COORDINATES, "intensity")[: points.shape[1]])}


def _read_header(scan: ScanFile) -> tuple[Any, bool, tuple[int, ...]]:
    """The type's description, whether columns come first (Fortran order), and the shape."""
    start = scan.read(8, "the magic string")
    if start[:6] != MAGIC or start[6] not in (1, 2, 3):
        scan.fail(f"found {start!r} at the start, expected a .npy file of version 1 to 3")
    length = "<H" if start[6] == 1 else "<I"
    (size,) = struct.unpack(length, scan.read(struct.calcsize(length), "the header's length"))
    if size > MAX_HEADER_BYTES:
        scan.fail(f"found a header of {size} bytes, expected at most {MAX_HEADER_BYTES}")
    text = scan.read(size, "the header").decode("utf-8", "replace")
    try:
        header = ast.literal_eval(text.strip())
        descr, is_fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError):
        scan.fail(f"found the header {text[:80]!r}, expected descr, fortran_order and shape")
    whole = isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)
    if not whole or len(shape) > 3 or math.prod(max(side, 1) for side in shape) > 1 << 40 or is_fortran not in (0, 1):
        scan.fail(f"found the header {text[:80]!r}, expected a shape of up to three whole numbers")
    return descr, is_fortran, shape


def _fields(scan: ScanFile, descr: list[Any], points: int) -> PointTable:
    """The layout of an array with named fields, as numpy describes it: (name, type) or (name, type, shape) each."""
    table = PointTable([], [], [], points)
    for entry in descr:
        match entry:
            case (str(name), str(kind)) if NUMBER.fullmatch(kind):
                count = 1
            case (str(name), str(kind), (int(count),)) if NUMBER.fullmatch(kind) and 0 < count < 10_000:
                pass
            case ("", str(kind)) if padding := PADDING.fullmatch(kind):
                name, kind, count = "", "|u1", int(padding[1])
            case _:
                scan.fail(f"found the field {str(entry)[:60]!r}, expected a name and a type of number")
        table.names.append(name)
        table.types.append(np.dtype(kind))
        table.counts.append(count)
    return table
