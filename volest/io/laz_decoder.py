"""Decodes LAZ to the point records that it holds. Runs in child.py and imports nothing of volest."""

from __future__ import annotations

import struct
from typing import BinaryIO

STEP_BYTES = 4 << 20
POINTWISE = 1
"""LASzip's compressor before 2.0: all points in one piece, without a table of chunks."""


def decode(scan: BinaryIO, output: BinaryIO, start: str, record_bytes: str, points: str, laszip_hex: str) -> None:
    """Write the records (points x record_bytes) that begin, compressed, at byte `start`."""
    import lazrs

    laszip = bytearray.fromhex(laszip_hex)
    (compressor,) = struct.unpack_from("<H", laszip)
    if compressor == POINTWISE:
        struct.pack_into("<I", laszip, 12, int(points))  # to lazrs it is one chunk that holds them all
    scan.seek(int(start))
    decompressor = lazrs.LasZipDecompressor(scan, bytes(laszip))
    length, left = int(record_bytes), int(points)
    step = max(1, STEP_BYTES // length)
    while left:
        records = bytearray(min(step, left) * length)
        decompressor.decompress_many(records)
        output.write(records)
        left -= len(records) // length
