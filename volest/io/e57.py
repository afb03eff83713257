"""E57, the imaging format of ASTM E2807: all scans of the file, moved to the file's frame by their poses.

The format is decoded by libE57 (pye57), in a process of its own, which writes the points as binary PCD.
Source of the header's layout: ASTM E2807-11, table 4.
"""

from __future__ import annotations

import struct

from volest.io.pcd import read_pcd
from volest.io.sandbox import Limits, decoding_seconds, require, run_decoder
from volest.io.scanfile import MAX_POINTS, ScanFile
from volest.pointcloud import PointCloud

__all__ = ["read_e57"]

HEADER = struct.Struct("<8sIIQQQQ")
PAGE_BYTES = 1024
MAX_XML_BYTES = 64 << 20
POINT_BYTES = 24
"""The most that the decoder writes for a point."""


def read_e57(scan: ScanFile) -> PointCloud:
    """The points of all scans of an E57 file. Points that the file calls invalid become NaN."""
    _check_header(scan)
    require("pye57", f"{scan.name}: reading .e57")
    # A field may take no bits at all where it is the same for all points; scans take at least one bit a point.
    points = min(MAX_POINTS, 8 * scan.size)
    limits = Limits(
        memory_bytes=(1 << 30) + 4 * scan.size,
        output_bytes=points * POINT_BYTES + 4096,
        seconds=decoding_seconds(min(points, scan.size)),
    )
    with run_decoder(scan, "e57_decoder", [str(points)], limits) as decoded:
        return read_pcd(decoded)


def _check_header(scan: ScanFile) -> None:
    magic, major, minor, size, xml_place, xml_bytes, page = HEADER.unpack(scan.read(HEADER.size, "header"))
    if magic != b"ASTM-E57" or major != 1:
        scan.fail(f"found {magic!r}, version {major}.{minor}, expected an E57 file of version 1")
    if size != scan.size:
        cut = "cut short: " if size > scan.size else ""
        scan.fail(f"{cut}found {scan.size} bytes, expected {size}, as the header tells")
    if page != PAGE_BYTES or size % page:
        scan.fail(f"found pages of {page} bytes, expected whole pages of {PAGE_BYTES}")
    if not (HEADER.size <= xml_place < size and 0 < xml_bytes <= min(MAX_XML_BYTES, size - xml_place)):
        scan.fail(f"found {xml_bytes} bytes of XML at byte {xml_place}, expected them in the {size} bytes of the file")
