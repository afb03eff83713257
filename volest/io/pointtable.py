"""Points as a table whose fields have names and types: what PCD and PLY have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from volest.io.cloud import COORDINATES, CloudBuilder, find_roles
from volest.io.rows import parse_rows
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["PointTable"]


@dataclass(frozen=True, slots=True)
class PointTable:
    """How the points of a file are laid out. A field holds `counts` numbers of its type, most often one."""

    names: list[str]
    types: list[np.dtype[Any]]
    counts: list[int]
    points: int

    @property
    def offsets(self) -> list[int]:
        """Bytes from the start of a point to each of its fields, and to its end."""
        sizes = (dtype.itemsize * count for dtype, count in zip(self.types, self.counts, strict=True))
        return list(accumulate(sizes, initial=0))

    def roles(self, scan: ScanFile) -> dict[str, int]:
        """The places of x, y, z and, where present, of intensity, timestamp and ring."""
        roles = find_roles(scan, self.names)
        for role, place in list(roles.items()):
            if self.counts[place] != 1:
                if role in COORDINATES:
                    scan.fail(f"found {self.counts[place]} numbers in the field {role}, expected 1")
                del roles[role]  # a histogram or the like
        return roles

    def builder(self, scan: ScanFile, roles: dict[str, int]) -> CloudBuilder:
        """Room for all points; the caller has checked their number against the file's size."""
        return CloudBuilder(scan, self.points, {role: self.types[place] for role, place in roles.items()})

    def read_binary(self, scan: ScanFile) -> PointCloud:
        """Point after point, without gaps."""
        roles, offsets = self.roles(scan), self.offsets
        scan.check_points(self.points, offsets[-1])
        layout = np.dtype(
            {
                "names": list(roles),
                "formats": [self.types[place] for place in roles.values()],
                "offsets": [offsets[place] for place in roles.values()],
                "itemsize": offsets[-1],
            }
        )
        builder = self.builder(scan, roles)
        for points in scan.records(layout, self.points):
            builder.add({role: points[role] for role in roles})
        return builder.finish()

    def read_ascii(self, scan: ScanFile, lines: Iterable[str]) -> PointCloud:
        """A point a line, until the lines end."""
        roles, first = self.roles(scan), list(accumulate(self.counts, initial=0))
        table = parse_rows(scan, lines)
        if len(table) != self.points:
            cut = "cut short: " if len(table) < self.points else ""
            scan.fail(f"{cut}found {len(table)} rows of points, expected {self.points}")
        if self.points and table.shape[1] != first[-1]:
            scan.fail(f"found {table.shape[1]} numbers in a row, expected {first[-1]}")
        builder = self.builder(scan, roles)
        if self.points:
            builder.add({role: table[:, first[place]] for role, place in roles.items()})
        return builder.finish()

    def check_text(self, scan: ScanFile) -> None:
        """Refuse a number of points for whose text the rest of the file is too short."""
        scan.check_count(self.points)
        width = sum(self.counts)
        if self.points * (2 * width) - 1 > scan.left():  # each number a digit, and a space or a line end behind it
            scan.fail(f"cut short: found {scan.left()} bytes of text, expected {self.points} rows of {width} numbers")
