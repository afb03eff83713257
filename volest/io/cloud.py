"""From a file's columns to a PointCloud: which column is what, and in which type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest.errors import ScanError
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["COORDINATES", "CloudBuilder", "find_roles", "match_roles"]

COORDINATES = ("x", "y", "z")
NAMES: dict[str, tuple[str, ...]] = {
    "x": ("x", "x_m", "points_m_xyz:0"),
    "y": ("y", "y_m", "points_m_xyz:1"),
    "z": ("z", "z_m", "points_m_xyz:2"),
    "intensity": ("intensity", "i", "scalar_intensity", "reflectivity", "reflectance"),
    "timestamp": (
        "timestamp",
        "time_stamp",
        "gps_time",
        "gpstime",
        "time",
        "timestamp_s",
        "time_s",
        "t",
        "offset_time",
    ),
    "ring": ("ring", "channel", "line", "laser_id", "laser", "beam"),
}
"""The names that drivers and programs give to a point's fields, the likelier first, without regard to case."""
NANOSECOND = 1e-9
FLOAT32_RANGE_M = 16384.0
"""Beyond this distance from the origin neighbouring float32 numbers lie more than 1 mm apart."""


def match_roles(scan: ScanFile, names: Iterable[str]) -> dict[str, int]:
    """Which of the columns so named holds what, of x, y, z, intensity, timestamp and ring."""
    places: dict[str, int] = {}
    lowered = [name.lower() for name in names]
    for role, aliases in NAMES.items():
        alias = next((alias for alias in aliases if alias in lowered), None)
        if alias is None:
            continue
        if lowered.count(alias) > 1:
            scan.fail(f"found {lowered.count(alias)} fields named {alias}, expected one")
        places[role] = lowered.index(alias)
    return places


def find_roles(scan: ScanFile, names: Sequence[str]) -> dict[str, int]:
    """As `match_roles`, where x, y and z must be among them."""
    places = match_roles(scan, names)
    missing = [axis for axis in COORDINATES if axis not in places]
    if missing:
        scan.fail(f"found the fields {' '.join(names)[:200]!r}, expected x y z: {' '.join(missing)} missing")
    return places


class CloudBuilder:
    """Takes columns piece by piece and makes them the arrays of a PointCloud, each number converted once."""

    def __init__(self, scan: ScanFile, count: int, types: Mapping[str, np.dtype[Any]]) -> None:
        """Room for `count` points, which the caller has checked against the file's size.

        `types` tells the roles that the file has and the type in which it keeps each.
        """
        self._scan = scan
        self._filled = 0
        self._xyz = np.empty((count, 3), np.float32)
        self._intensity = np.empty(count, np.float32) if "intensity" in types else None
        self._timestamp = np.empty(count, np.float64) if "timestamp" in types else None
        self._ring = np.empty(count, np.uint16) if "ring" in types else None
        # Drivers send whole nanoseconds or broken seconds.
        self._time_unit_s = NANOSECOND if "timestamp" in types and types["timestamp"].kind in "iu" else 1.0
        self._rounded = False

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Append points: one column (n,) a role, in any type."""
        here = slice(self._filled, self._filled + len(columns["x"]))
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold becomes infinite
            for axis, role in enumerate(COORDINATES):
                self._xyz[here, axis] = columns[role]
                self._rounded |= columns[role].dtype.itemsize > 4 or columns[role].dtype.kind != "f"
            if self._intensity is not None:
                self._intensity[here] = columns["intensity"]
            if self._timestamp is not None:
                self._timestamp[here] = columns["timestamp"] * self._time_unit_s
        if self._ring is not None:
            ring = columns["ring"]
            if _is_uint16(ring):
                self._ring[here] = ring
            else:  # not the number of a beam, whatever its name says
                self._ring = None
        self._filled = here.stop

    def finish(self) -> PointCloud:
        """The cloud, once all points are in."""
        if self._filled != len(self._xyz):
            raise ScanError(
                f"{self._scan.name}: cut short: found {self._filled} points, expected {len(self._xyz)}",
                flag="unreadable",
            )
        if self._rounded:
            self._warn_when_coarse()
        return PointCloud(self._xyz, self._intensity, self._timestamp, self._ring)

    def _warn_when_coarse(self) -> None:
        """Tell when most points lie so far out that float32 rounds them visibly; single stray ones do not count."""
        reaches_m = np.maximum.reduce([np.abs(self._xyz[:, axis]) for axis in range(3)])
        reaches_m = reaches_m[np.isfinite(reaches_m)]
        if np.count_nonzero(reaches_m > FLOAT32_RANGE_M) <= len(reaches_m) / 2:
            return
        import logging

        reach_m = float(np.median(reaches_m))
        logging.getLogger(__name__).warning(
            "%s: coordinates of %.6g m, which float32 rounds to about %.1g m; expected a sensor's or the bed's frame",
            self._scan.name,
            reach_m,
            reach_m * float(np.finfo(np.float32).eps),
        )


def _is_uint16(values: NDArray[Any]) -> bool:
    if values.dtype.kind in "iu":
        return len(values) == 0 or bool(values.min() >= 0 and values.max() <= 65535)
    return bool(np.all((values >= 0) & (values <= 65535) & (values == np.floor(values))))
