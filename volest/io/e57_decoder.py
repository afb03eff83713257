"""Decodes E57 to a binary PCD. Runs in child.py and imports nothing of volest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pye57 import libe57

CARTESIAN = ("cartesianX", "cartesianY", "cartesianZ")
SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
EXTRAS = {"intensity": "<f4", "timeStamp": "<f8"}
STEP_POINTS = 1 << 16


def decode(_: BinaryIO, output: BinaryIO, most_points: str) -> None:
    """Write the points of all scans; of the extras those that any scan has, NaN for the others."""
    image = libe57.ImageFile("/proc/self/fd/0", "r")
    root = image.root()
    scans = [root["data3D"][place] for place in range(len(root["data3D"]))] if root.isDefined("data3D") else []
    scans = [scan for scan in scans if scan["points"].childCount()]
    points = sum(scan["points"].childCount() for scan in scans)
    if points > int(most_points):
        raise ValueError(f"found a count of {points} points, expected at most {most_points}")
    extras = [name for name in EXTRAS if any(name in field_names(scan) for scan in scans)]
    record = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), *((name, EXTRAS[name]) for name in extras)])
    output.write(pcd_header(record, points))
    for scan in scans:
        for columns in read_scan(image, scan):
            records = np.full(len(columns["x"]), np.nan, record)
            for name, column in columns.items():
                records[name] = column
            output.write(records.tobytes())


def field_names(scan: Any) -> list[str]:
    """The fields of a scan's points."""
    prototype = libe57.StructureNode(scan["points"].prototype())
    return [prototype.get(place).elementName() for place in range(prototype.childCount())]


def read_scan(image: Any, scan: Any) -> Iterator[dict[str, NDArray[Any]]]:
    """The scan's points, some at a time, in the frame of the file."""
    names = field_names(scan)
    axes = next((axes for axes in (CARTESIAN, SPHERICAL) if all(name in names for name in axes)), None)
    if axes is None:
        raise ValueError(f"found the fields {' '.join(names)[:200]}, expected {' '.join(CARTESIAN)}")
    state = axes[0].removesuffix("X").removesuffix("Range") + "InvalidState"
    rotation, translation = pose(scan)
    wanted = [*axes, *(name for name in (state, *EXTRAS) if name in names)]
    step = min(STEP_POINTS, scan["points"].childCount())
    buffers = {name: np.empty(step, np.int8 if name == state else np.float64) for name in wanted}
    handed = libe57.VectorSourceDestBuffer()
    for name, buffer in buffers.items():
        handed.append(libe57.SourceDestBuffer(image, name, buffer, step, True, True))
    reader = scan["points"].reader(handed)
    left = scan["points"].childCount()
    while number := reader.read():
        part = {name: buffer[:number] for name, buffer in buffers.items()}
        xyz = np.stack([part[name] for name in axes], axis=1)
        xyz = (xyz if axes is CARTESIAN else cartesian(xyz)) @ rotation.T + translation
        if state in part:
            xyz[part[state] != 0] = np.nan
        left -= number
        yield dict(zip("xyz", xyz.T, strict=True)) | {name: part[name] for name in EXTRAS if name in part}
    if left:
        raise ValueError(f"cut short: found {scan['points'].childCount() - left} points, expected {left} more")


def cartesian(spherical: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 3) from range [m], azimuth and elevation [rad] (ASTM E2807-11, 8.4.4)."""
    distance, azimuth, elevation = spherical.T
    level = distance * np.cos(elevation)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(elevation)], axis=1)


def pose(scan: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation (3, 3) and translation (3,) [m] from the scan's frame to the file's; the identity where none is told."""
    w, x, y, z = 1.0, 0.0, 0.0, 0.0
    translation = np.zeros(3)
    if scan.isDefined("pose/rotation"):
        w, x, y, z = (scan["pose"]["rotation"][name].value() for name in "wxyz")
    if scan.isDefined("pose/translation"):
        translation = np.array([scan["pose"]["translation"][name].value() for name in "xyz"])
    norm = float(np.linalg.norm([w, x, y, z]))
    if not 0.5 < norm < 2.0 or not np.isfinite(translation).all():
        raise ValueError(f"found the pose {w} {x} {y} {z}, {translation}, expected a unit quaternion and metres")
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    rotation = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rotation), translation


def pcd_header(record: np.dtype[np.void], points: int) -> bytes:
    """The header of a binary PCD of such records."""
    names = record.names or ()
    lines = [
        "VERSION 0.7",
        f"FIELDS {' '.join(names)}",
        f"SIZE {' '.join(str(record[name].itemsize) for name in names)}",
        f"TYPE {' '.join('F' for _ in names)}",
        f"POINTS {points}",
        "DATA binary",
    ]
    return "".join(line + "\n" for line in lines).encode()
