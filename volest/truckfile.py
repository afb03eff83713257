"""The file of a commissioned truck, truck.volest: written here, read by the C++ core; see docs/truckfile.md."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest._core import read_truck_file
from volest.durable import whole_file
from volest.errors import TruckError
from volest.pose import Pose

__all__ = ["SUFFIX", "Commissioned", "Contents", "Grid", "StoredSensor", "read", "write"]

SUFFIX = ".volest"
MAGIC = b"\x8bVLST\r\n\x1a"
VERSION = 1
HEADER, ENTRY = struct.Struct("<8sHHIQ"), struct.Struct("<4sIQQ")
SENSOR = struct.Struct("<64s9d3d3dII")
MOST_BYTES, MOST_JSON_BYTES = 2**26, 2**20
BED_NUMBERS = 43  # of which the last five are spare
NUMBERS = (  # what is told in binary, too: section, table of a truck.toml, fields in the order of the file
    ("SCAL", "scale", ("tare_kg", "tare_std_kg", "gain_std", "resolution_kg")),
    ("WAST", "waste", ("dry_kg_m3", "dry_log_std", "wet_kg_m3", "wet_log_std", "prior.a", "prior.b")),
)
FIELDS = ("walls", "rim", "wall_std_m", "skin", "liner")  # in the order of the file


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells and voxels of the bed's maps lie; m, bed frame."""

    nx: int
    ny: int
    levels: int
    x0_m: float
    y0_m: float
    cell_m: float
    z0_m: float
    level_m: float
    scale: float


@dataclass(frozen=True, slots=True)
class StoredSensor:
    """A sensor as commissioning found it; `pose` is T_bed_sensor."""

    id: str
    pose: Pose
    pose_std_xyz_m: float
    pose_std_rpy_rad: float
    range_noise_m: float
    pose_std_told: bool


@dataclass(frozen=True, slots=True, eq=False)
class Commissioned:
    """What was learned of a truck ahead of its loads."""

    bed: dict[str, Any]  # the fields of volest.bed.BedModel but its layout
    hidden_weights: NDArray[np.float32]
    calibration: tuple[float, ...]  # empty: the generic one
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """All that a truck.volest holds; `truck` has the keys of a truck.toml, without reference scans."""

    truck: dict[str, Any]
    sensors: tuple[StoredSensor, ...]
    commissioned: Commissioned


def read(path: Path) -> Contents:
    """The contents of a file; raises TruckError naming the file, the byte and what was expected there."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise TruckError(f"{path}: found {size:,} bytes, expected at most {MOST_BYTES:,}")
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise TruckError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        found = read_truck_file(raw)
    except ValueError as error:
        raise TruckError(f"{path}: {error}") from None
    sensors = tuple(_sensor(entry) for entry in found["sensors"])
    truck = _table(found["truck"], f"{path}: section TRCK")
    for tag, name, fields in NUMBERS:
        stored = found[name].tolist()
        if stored and stored != _numbers(truck, name, fields):
            raise TruckError(f"{path}: section {tag}: found {stored}, expected what section TRCK tells of the {name}")
    learned = Commissioned(
        found["bed"],
        found["hidden"],
        tuple(found["calibration"].tolist()),
        _table(found["provenance"], f"{path}: section PROV"),
    )
    return Contents(truck, sensors, learned)


def write(path: Path, contents: Contents, grid: Grid) -> None:
    """Write a file whole or not at all; what stood there before is replaced."""
    learned = contents.commissioned
    sections = {
        b"TRCK": json.dumps(contents.truck, allow_nan=False).encode(),
        b"SENS": b"".join(_packed(sensor) for sensor in contents.sensors),
        b"BEDM": _bed_section(learned.bed, grid),
        b"HIDN": np.ascontiguousarray(learned.hidden_weights, dtype="<f4").tobytes(),
        b"PROV": json.dumps(learned.provenance, allow_nan=False).encode(),
    }
    if learned.calibration:
        sections[b"CALI"] = np.array(learned.calibration, dtype="<f8").tobytes()
    for tag, name, fields in NUMBERS:
        if known := _numbers(contents.truck, name, fields):
            sections[tag.encode()] = np.array(known, dtype="<f8").tobytes()
    with whole_file(path) as file:
        file.write(_file(sections))


def _numbers(truck: Mapping[str, Any], name: str, fields: tuple[str, ...]) -> list[float]:
    """The numbers of a table of a truck.toml, for those who read no JSON; none where it does not tell all of them."""
    told = [_told(truck.get(name), field) for field in fields]
    return [] if None in told else [float(number) for number in told if number is not None]


def _told(table: Any, field: str) -> float | None:
    """A number of a table, or of one in it: "prior.a"."""
    for part in field.split("."):
        table = table.get(part) if isinstance(table, Mapping) else None
    return float(table) if isinstance(table, int | float) else None


def _file(sections: Mapping[bytes, bytes]) -> bytes:
    table, body, at = b"", b"", HEADER.size + ENTRY.size * len(sections)
    for tag, content in sections.items():
        table += ENTRY.pack(tag, 0, at + len(body), len(content))
        body += content + bytes(-len(content) % 8)
    size = at + len(body)
    checked = struct.pack("<Q", size) + table + body
    return HEADER.pack(MAGIC, VERSION, len(sections), zlib.crc32(checked), size) + table + body


def _packed(sensor: StoredSensor) -> bytes:
    stds = (sensor.pose_std_xyz_m, sensor.pose_std_rpy_rad, sensor.range_noise_m)
    pose = (*sensor.pose.rotation.ravel().tolist(), *sensor.pose.translation.tolist())
    return SENSOR.pack(sensor.id.encode(), *pose, *stds, int(sensor.pose_std_told), 0)


def _bed_section(bed: Mapping[str, Any], grid: Grid) -> bytes:
    numbers = np.zeros(BED_NUMBERS)
    head = (grid.x0_m, grid.y0_m, grid.cell_m, grid.z0_m, grid.level_m, grid.scale, bed["floor_std_m"])
    known = np.concatenate([head, *(np.ravel(bed[name]) for name in FIELDS)])
    numbers[: len(known)] = known
    floor = np.ascontiguousarray(bed["floor"], dtype="<f4").tobytes()
    return b"".join(
        [
            struct.pack("<iiii", grid.nx, grid.ny, grid.levels, 0),
            numbers.astype("<f8").tobytes(),
            np.asarray(bed["covered"], dtype=np.uint8).tobytes() + bytes(4),
            floor + bytes(-len(floor) % 8),
            np.ascontiguousarray(bed["fixtures"], dtype="<u8").tobytes(),
        ]
    )


def _sensor(entry: Mapping[str, Any]) -> StoredSensor:
    return StoredSensor(
        entry["id"],
        Pose(entry["rotation"], entry["translation"]),
        entry["std_translation"],
        entry["std_rotation"],
        entry["range_noise"],
        entry["pose_std_told"],
    )


def _table(raw: bytes, where: str) -> dict[str, Any]:
    """A JSON object."""
    if len(raw) > MOST_JSON_BYTES:
        raise TruckError(f"{where}: found {len(raw):,} bytes, expected at most {MOST_JSON_BYTES:,}")
    try:
        table = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TruckError(f"{where}: expected a JSON object: {error}") from None
    return table
