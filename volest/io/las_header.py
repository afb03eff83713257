"""The public header block of a LAS file, seen to be possible before anything is done with what it tells.

Source: ASPRS LAS specification 1.4 R15, table 3 (header) and tables 7 to 17 (point data records).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from volest.io.scanfile import ScanFile

__all__ = ["VLR", "LasHeader", "read_header"]

HEADER_BYTES = {0: 227, 1: 227, 2: 227, 3: 235, 4: 375}
"""Least length of the header in versions 1.0 to 1.4."""
RECORD_BYTES = (20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67)
"""Least length of a record in point formats 0 to 10."""
COMPRESSED = 0xC0
VLR = struct.Struct("<H16sHH32s")
"""The header of a variable length record: reserved, user, record, length, description."""


@dataclass(frozen=True, slots=True)
class LasHeader:
    """What the header tells of the points."""

    point_format: int
    record_bytes: int
    points: int
    start: int  # bytes to the first record
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    is_compressed: bool
    header_bytes: int
    vlrs: int


def read_header(scan: ScanFile) -> LasHeader:
    """The header of a LAS or LAZ file. The number of points is still to be checked against the file's size."""
    data = scan.read(min(scan.size, HEADER_BYTES[4]), "header").ljust(HEADER_BYTES[4], b"\0")
    major, minor = data[24], data[25]
    if data[:4] != b"LASF" or major != 1 or minor not in HEADER_BYTES:
        scan.fail(f"found {data[:4]!r}, version {major}.{minor}, expected a LAS file of version 1.0 to 1.4")
    header_bytes, start, vlrs, packed_format, record_bytes, points = struct.unpack_from("<HIIBHI", data, 94)
    extended_vlrs, long_points = struct.unpack_from("<IQ", data, 243) if minor == 4 else (0, 0)
    numbers = struct.unpack_from("<6d", data, 131)
    if not HEADER_BYTES[minor] <= header_bytes <= start <= scan.size:
        scan.fail(f"found a header of {header_bytes} bytes and points at byte {start} of {scan.size}")
    if vlrs * VLR.size > start - header_bytes or extended_vlrs * VLR.size > scan.size:
        scan.fail(f"found a count of {vlrs} and {extended_vlrs} variable length records, more than the file can hold")
    if not all(map(math.isfinite, numbers)) or min(numbers[:3]) <= 0:
        scan.fail(f"found the scale {numbers[:3]} and the offset {numbers[3:]}, expected finite numbers, scale > 0")
    point_format = packed_format & ~COMPRESSED
    _check_format(scan, point_format, record_bytes)
    return LasHeader(
        point_format=point_format,
        record_bytes=record_bytes,
        points=long_points or points,
        start=start,
        scale=numbers[:3],
        offset=numbers[3:],
        is_compressed=bool(packed_format & COMPRESSED),
        header_bytes=header_bytes,
        vlrs=vlrs,
    )


def _check_format(scan: ScanFile, point_format: int, record_bytes: int) -> None:
    if point_format >= len(RECORD_BYTES):
        scan.fail(f"found the point format {point_format}, expected 0 to {len(RECORD_BYTES) - 1}")
    least = RECORD_BYTES[point_format]
    if record_bytes < least:
        scan.fail(f"found records of {record_bytes} bytes, expected at least {least} in point format {point_format}")
