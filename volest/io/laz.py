"""LAZ, LAS compressed by LASzip: decoded by lazrs, in a process of its own, to the records that it holds.

Source of the laszip record's layout: LASzip, laszip.hpp (compressor, coder, version, options, chunk size, items).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from volest.io.las_header import VLR, LasHeader
from volest.io.sandbox import Limits, decoding_seconds, require, run_decoder
from volest.io.scanfile import ScanFile

__all__ = ["decompressed"]

LASZIP = (b"laszip encoded\0\0", 22204)
POINTWISE = 1
CHUNKED = (2, 3)
MAX_ITEMS = 16
MAX_VLRS = 10_000
ANY_NUMBER = 0xFFFFFFFF
"""As the number of points a chunk: it differs from chunk to chunk."""


@contextmanager
def decompressed(scan: ScanFile, header: LasHeader) -> Iterator[ScanFile]:
    """The records of a LAZ file, in a file in memory."""
    require("lazrs", f"{scan.name}: reading .laz")
    scan.check_count(header.points)
    size = header.points * header.record_bytes
    scan.check_unpacking(scan.size - header.start, size)
    laszip = _laszip_record(scan, header)
    _check_laszip(scan, header, laszip)
    limits = Limits(
        memory_bytes=(512 << 20) + 2 * scan.size, output_bytes=size, seconds=decoding_seconds(header.points)
    )
    arguments = [str(header.start), str(header.record_bytes), str(header.points), laszip.hex()]
    with run_decoder(scan, "laz_decoder", arguments, limits) as records:
        if records.size != size:
            scan.fail(f"found {records.size // header.record_bytes} compressed points, expected {header.points}")
        yield records


def _laszip_record(scan: ScanFile, header: LasHeader) -> bytes:
    """The variable length record that tells how the points are compressed."""
    place = header.header_bytes
    for _ in range(min(header.vlrs, MAX_VLRS)):
        if header.start - place < VLR.size:
            break
        scan.stream.seek(place)
        _, user, record_id, length, _ = VLR.unpack(scan.read(VLR.size, "a record's header"))
        place += VLR.size + length
        if (user, record_id) == LASZIP and place <= header.start:
            return scan.read(length, "the laszip record")
    scan.fail("found no laszip record, expected one in a compressed LAS file")


def _check_laszip(scan: ScanFile, header: LasHeader, laszip: bytes) -> None:
    """Refuse a laszip record whose items do not make up a point, or whose chunks cannot be in the file."""
    items = struct.unpack_from("<H", laszip, 32)[0] if len(laszip) >= 34 else 0
    if not 0 < items <= MAX_ITEMS or len(laszip) != 34 + 6 * items:
        scan.fail(f"found a laszip record of {len(laszip)} bytes and {items} items, expected 34 and 6 an item")
    item_bytes = sum(struct.unpack_from("<H", laszip, 36 + 6 * item)[0] for item in range(items))
    if item_bytes != header.record_bytes:
        scan.fail(f"found laszip items of {item_bytes} bytes, expected {header.record_bytes}, the length of a record")
    compressor, chunk_points = struct.unpack_from("<H10xI", laszip)
    if compressor not in (POINTWISE, *CHUNKED):
        scan.fail(f"found the laszip compressor {compressor}, expected 1, 2 or 3")
    if compressor in CHUNKED:
        _check_chunks(scan, header, chunk_points)


def _check_chunks(scan: ScanFile, header: LasHeader, chunk_points: int) -> None:
    """Refuse a table of chunks that lies outside of the file or has another number than the points need."""
    scan.stream.seek(header.start)
    (table,) = struct.unpack("<q", scan.read(8, "the place of the chunk table"))
    if table == -1:  # written without going back: the place stands at the end
        scan.stream.seek(scan.size - 8)
        (table,) = struct.unpack("<q", scan.read(8, "the place of the chunk table"))
    if not header.start + 8 <= table <= scan.size - 8:
        scan.fail(f"cut short: found the chunk table at byte {table}, expected it in the {scan.size} bytes of the file")
    scan.stream.seek(table)
    _, chunks = struct.unpack("<II", scan.read(8, "the chunk table"))
    # Each chunk starts with a point that is not compressed.
    most = min(header.points, (table - header.start - 8) // header.record_bytes)
    expected = range(1, most + 1)
    if chunk_points != ANY_NUMBER:
        needed = -(-header.points // chunk_points) if chunk_points else 0
        expected = range(needed, min(needed, most) + 1)
    if chunks not in expected:
        scan.fail(f"found {chunks} chunks, expected {expected.start} to {expected.stop - 1} for {header.points} points")
