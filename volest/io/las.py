"""LAS, the laser exchange format of ASPRS, versions 1.0 to 1.4, and by `laz` its compressed form.

What a scan needs of LAS is a header of fixed layout and records of fixed length, so they are read here. Intensity
stands at the same place in all point formats. Source: ASPRS LAS specification 1.4 R15, tables 7 to 17.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from volest.io.cloud import CloudBuilder
from volest.io.las_header import LasHeader, read_header
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["read_las"]

GPS_TIME_OFFSET = {1: 20, 3: 20, 4: 20, 5: 20, 6: 22, 7: 22, 8: 22, 9: 22, 10: 22}
"""Bytes from the start of a record to its time, in the point formats that have one."""
TOLERATED_LOSS = 1e-3
"""Share of whole records that may be missing at the end: some writers count a record more than they write."""


def read_las(scan: ScanFile) -> PointCloud:
    """The points of a LAS or LAZ file; its suffix does not matter, its header does."""
    header = read_header(scan)
    if not header.is_compressed or not header.points:
        return _read_records(scan, header)
    from volest.io.laz import decompressed

    with decompressed(scan, header) as records:
        return _read_records(records, replace(header, start=0))


def _read_records(scan: ScanFile, header: LasHeader) -> PointCloud:
    scan.stream.seek(header.start)
    header = _without_loss(scan, header)
    scan.check_points(header.points, header.record_bytes)
    fields = {"X": ("<i4", 0), "Y": ("<i4", 4), "Z": ("<i4", 8), "intensity": ("<u2", 12)}
    if header.point_format in GPS_TIME_OFFSET:
        fields["timestamp"] = ("<f8", GPS_TIME_OFFSET[header.point_format])
    record = np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [place for _, place in fields.values()],
            "itemsize": header.record_bytes,
        }
    )
    builder = CloudBuilder(scan, header.points, {role.lower(): record[role] for role in fields})
    for points in scan.records(record, header.points):
        columns = {role: points[role] for role in fields if role not in ("X", "Y", "Z")}
        with np.errstate(over="ignore", invalid="ignore"):  # a forged scale makes infinite coordinates
            for role, scale, offset in zip("XYZ", header.scale, header.offset, strict=True):
                columns[role.lower()] = points[role] * scale + offset
        builder.add(columns)
    return builder.finish()


def _without_loss(scan: ScanFile, header: LasHeader) -> LasHeader:
    """The header with the number of points that are there, where that is almost the number told."""
    found, rest = divmod(scan.left(), header.record_bytes)
    missing = header.points - found
    if rest or not 0 < missing <= TOLERATED_LOSS * header.points:
        return header
    logging.getLogger(__name__).warning("%s: found %d points, expected %d", scan.name, found, header.points)
    return replace(header, points=found)
