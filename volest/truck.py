"""What is known of a truck before any load: the bed, the sensors, the scale, the waste."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from volest import truckfile
from volest.errors import TruckError
from volest.io.mesh import MESH_SUFFIXES
from volest.pose import Pose
from volest.scale import Scale, contradiction, resolved, scale_table
from volest.schema import check, nearest, read_toml

__all__ = ["Bed", "Limits", "Scale", "Sensor", "Truck", "WasteProfile"]

DEFAULT_RANGE_NOISE_M = 0.02
DEFAULT_POSE_STD_XYZ_M = 0.01
DEFAULT_POSE_STD_RPY_DEG = 0.2
_WASTE_NUMBERS = ("dry_kg_m3", "dry_log_std", "wet_kg_m3", "wet_log_std")
DATA = Path(__file__).parent / "data"
DEFAULT_PROFILE = "msw-indonesia-loose"


@dataclass(frozen=True, slots=True)
class Bed:
    """The nominal inside of the bed, and the scans of it when empty."""

    length_m: float
    width_m: float
    height_m: float
    reference: tuple[tuple[str | None, Path], ...] = ()  # (sensor id, or None for the bed frame; file)


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor and where it sits; `pose` is T_bed_sensor."""

    id: str
    pose: Pose
    model: str | None = None
    range_noise_m: float = DEFAULT_RANGE_NOISE_M  # 1-sigma
    pose_std_xyz_m: float = DEFAULT_POSE_STD_XYZ_M  # 1-sigma along each axis
    pose_std_rpy_rad: float = math.radians(DEFAULT_POSE_STD_RPY_DEG)  # 1-sigma about each of the sensor's axes
    pose_std_told: bool = False  # False: the two above are defaults
    wavelength_nm: float | None = None  # None: the catalogue does not know it


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the truck may carry; the [limits] table as it stands in the file."""

    max_gross_kg: Annotated[float, Meta(gt=0, le=200_000, description="kilograms, above 0 to 200000")] | None = None
    max_height_m: Annotated[float, Meta(gt=0, le=30, description="metres over the floor, above 0 to 30")] | None = None


@dataclass(frozen=True, slots=True)
class WasteProfile:
    """What is known of the waste ahead of its loads; see `docs/wetness.md`.

    Log-normal bulk densities of its dry and of its wet part, as loaded, and the Beta distribution of the wet mass
    fraction; 1, 1: nothing is known of it.
    """

    name: str
    dry_kg_m3: float  # median
    dry_log_std: float
    wet_kg_m3: float  # median
    wet_log_std: float
    prior_a: float = 1.0
    prior_b: float = 1.0


@dataclass(frozen=True, slots=True)
class Truck:
    """One truck, as its truck.toml tells."""

    id: str
    bed: Bed
    sensors: tuple[Sensor, ...] = ()  # none: scans are in the bed frame already
    scale: Scale | None = None
    waste: WasteProfile = field(default_factory=lambda: _waste(_WasteTable(), "waste"))
    path: Path | None = None
    directory: Path = Path()
    limits: Limits | None = None
    commissioned: truckfile.Commissioned | None = None  # what a truck.volest holds beyond a truck.toml

    @classmethod
    def load(cls, path: str | Path) -> Truck:
        """The truck of a truck.toml or truck.volest.

        Raises TruckError naming file, key or byte, what was found and what was expected.
        """
        path = Path(path)
        if path.suffix == truckfile.SUFFIX:
            return _commissioned(path)
        return _build(read_toml(path, TruckError), str(path), path, path.parent)

    @classmethod
    def from_dict(cls, document: dict[str, Any], directory: str | Path = ".") -> Truck:
        """The truck of a document with the keys of a truck.toml; reference scans are looked up below `directory`."""
        return _build(document, "truck", None, Path(directory))

    def to_dict(self) -> dict[str, Any]:
        """A document with the keys of a truck.toml; without reference scans, which lie in other files."""
        waste: dict[str, Any] = {name: getattr(self.waste, name) for name in _WASTE_NUMBERS}
        waste |= {"profile": self.waste.name, "prior": {"a": self.waste.prior_a, "b": self.waste.prior_b}}
        bed = {"length_m": self.bed.length_m, "width_m": self.bed.width_m, "height_m": self.bed.height_m}
        document = {"schema": 1, "id": self.id, "bed": bed, "waste": waste}
        if self.sensors:
            document["sensor"] = [_sensor_table(sensor) for sensor in self.sensors]
        if self.scale is not None:
            document["scale"] = scale_table(self.scale, self.directory)
        if self.limits is not None:
            told = msgspec.structs.asdict(self.limits)
            document["limits"] = {name: value for name, value in told.items() if value is not None}
        return document

    def with_reference(self, scans: Sequence[str]) -> Truck:
        """The same truck with other scans of its empty bed, each "PATH" or "SENSOR=PATH", from the working folder."""
        where = str(self.path or "truck")
        if self.commissioned is not None:
            raise TruckError(f"{where}: found a commissioned truck, expected its truck.toml")
        found = tuple(_reference(scan, list(self.sensor_ids), Path(), where) for scan in scans)
        return replace(self, bed=replace(self.bed, reference=found))

    @property
    def sensor_ids(self) -> tuple[str, ...]:
        """The ids in the order of the file."""
        return tuple(sensor.id for sensor in self.sensors)


# --- the file ---------------------------------------------------------------------------------------------------------

_ID = r"^[A-Za-z0-9_-]{1,64}\Z"
_TEXT = r"^[^\x00-\x1f\x7f-\x9f]{1,200}\Z"
_Extent = Annotated[float, Meta(ge=0.05, le=30, description="metres, 0.05 to 30")]
_Coordinate = Annotated[float, Meta(ge=-100, le=100, description="metres, -100 to 100")]
_Angle = Annotated[float, Meta(ge=-360, le=360, description="degrees, -360 to 360")]
_File = Annotated[str, Meta(pattern=_TEXT, description="a file name, or SENSOR=FILE")]
_Density = Annotated[float, Meta(gt=0, le=5_000, description="kg/m3, above 0 and at most 5000")]
_LogStd = Annotated[float, Meta(gt=0, le=2, description="a standard deviation of the logarithm, above 0 and at most 2")]
_Beta = Annotated[float, Meta(ge=0.1, le=1_000, description="a parameter of a Beta distribution, 0.1 to 1000")]
_Files = Annotated[list[_File], Meta(min_length=1, max_length=64, description="a list of those")]


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _BedTable(_Table):
    length_m: _Extent
    width_m: _Extent
    height_m: _Extent
    reference: _File | _Files | None = None


class _PoseTable(_Table):
    xyz_m: Annotated[tuple[_Coordinate, _Coordinate, _Coordinate], Meta(description="three numbers in metres")]
    rpy_deg: Annotated[tuple[_Angle, _Angle, _Angle], Meta(description="three numbers in degrees")]


class _PoseStdTable(_Table):
    xyz_m: Annotated[float, Meta(ge=0, le=10, description="metres, 0 to 10")] = DEFAULT_POSE_STD_XYZ_M
    rpy_deg: Annotated[float, Meta(ge=0, le=180, description="degrees, 0 to 180")] = DEFAULT_POSE_STD_RPY_DEG


class _SensorTable(_Table):
    id: Annotated[str, Meta(pattern=_ID, description="1 to 64 of A-Z a-z 0-9 _ -")]
    pose: _PoseTable
    model: Annotated[str, Meta(pattern=_TEXT, description="a name from the sensor catalogue")] | None = None
    range_noise_m: Annotated[float, Meta(gt=0, le=1, description="metres, above 0 and at most 1")] | None = None
    pose_std: _PoseStdTable | None = None


class _PriorTable(_Table):
    a: _Beta
    b: _Beta


class _WasteTable(_Table):
    profile: Annotated[str, Meta(description="the name of a waste profile")] = DEFAULT_PROFILE
    loading: Annotated[str, Meta(description="a way of loading")] | None = None
    source: Annotated[str, Meta(description="where the waste comes from")] | None = None
    prior: _PriorTable | None = None
    dry_kg_m3: _Density | None = None
    dry_log_std: _LogStd | None = None
    wet_kg_m3: _Density | None = None
    wet_log_std: _LogStd | None = None


class _TruckTable(_Table):
    schema: Annotated[Literal[1], Meta(description="1")]
    id: Annotated[str, Meta(pattern=_TEXT, description="1 to 200 printable characters")]
    bed: _BedTable
    sensor: list[_SensorTable] = []
    scale: Scale | None = None
    waste: _WasteTable = msgspec.field(default_factory=_WasteTable)
    limits: Limits | None = None


def _build(document: dict[str, Any], where: str, path: Path | None, directory: Path) -> Truck:
    table = check(document, _TruckTable, where, TruckError)
    sensors = tuple(_sensor(entry, f"{where}: sensor[{i}]") for i, entry in enumerate(table.sensor))
    ids = [sensor.id for sensor in sensors]
    for i, sensor_id in enumerate(ids):
        if sensor_id in ids[:i]:
            raise TruckError(f"{where}: sensor[{i}].id: found {sensor_id!r} a second time, expected unique ids")
    names = [table.bed.reference] if isinstance(table.bed.reference, str) else table.bed.reference or []
    reference = tuple(_reference(name, ids, directory, where) for name in names)
    bed = Bed(table.bed.length_m, table.bed.width_m, table.bed.height_m, reference)
    scale, waste = _scale(table.scale, where, directory), _waste(table.waste, where)
    return Truck(table.id, bed, sensors, scale, waste, path, directory, limits=table.limits)


def _scale(scale: Scale | None, where: str, directory: Path) -> Scale | None:
    if scale is None:
        return None
    wrong = contradiction(scale)
    if wrong is not None:
        raise TruckError(f"{where}: {wrong}")
    return resolved(scale, directory)


def _sensor(table: _SensorTable, where: str) -> Sensor:
    told, known = table.pose_std or _PoseStdTable(), _catalogued(table.model)
    return Sensor(
        id=table.id,
        pose=Pose.from_xyz_rpy_deg(table.pose.xyz_m, table.pose.rpy_deg),
        model=table.model,
        range_noise_m=_range_noise(table, known, where),
        pose_std_xyz_m=told.xyz_m,
        pose_std_rpy_rad=math.radians(told.rpy_deg),
        pose_std_told=table.pose_std is not None,
        wavelength_nm=None if known is None else known.get("wavelength_nm"),  # a model it lacks is told of elsewhere
    )


def _sensor_table(sensor: Sensor) -> dict[str, Any]:
    table: dict[str, Any] = {
        "id": sensor.id,
        "pose": {"xyz_m": sensor.pose.translation.tolist(), "rpy_deg": list(sensor.pose.rpy_deg)},
        "range_noise_m": sensor.range_noise_m,
    }
    if sensor.model is not None:
        table["model"] = sensor.model
    if sensor.pose_std_told:
        std_deg = math.degrees(sensor.pose_std_rpy_rad)
        table["pose_std"] = {"xyz_m": sensor.pose_std_xyz_m, "rpy_deg": std_deg}
    return table


def _commissioned(path: Path) -> Truck:
    """The truck of a truck.volest; numbers of sensors are those of its binary part, for they are exact."""
    contents = truckfile.read(path)
    truck = _build(contents.truck, f"{path}: section TRCK", path, path.parent)
    if truck.bed.reference:
        raise TruckError(f"{path}: section TRCK: bed.reference: found one, expected the empty bed in section BEDM")
    ids = tuple(stored.id for stored in contents.sensors)
    if ids != truck.sensor_ids:
        raise TruckError(f"{path}: section SENS: found {', '.join(ids)}, expected {', '.join(truck.sensor_ids)}")
    sensors = tuple(
        Sensor(
            id=stored.id,
            pose=stored.pose,
            model=sensor.model,
            range_noise_m=stored.range_noise_m,
            pose_std_xyz_m=stored.pose_std_xyz_m,
            pose_std_rpy_rad=stored.pose_std_rpy_rad,
            pose_std_told=stored.pose_std_told,
            wavelength_nm=sensor.wavelength_nm,
        )
        for stored, sensor in zip(contents.sensors, truck.sensors, strict=True)
    )
    return replace(truck, sensors=sensors, commissioned=contents.commissioned)


def _catalogued(model: str | None) -> dict[str, Any] | None:
    """The catalogue's file of a model, and no other: not checked, as volest.catalogue would, for that takes time."""
    if model is None or re.match(r"^[a-z0-9-]{1,64}\Z", model) is None:
        return None
    path = DATA / "sensors" / f"{model}.toml"
    return read_toml(path, TruckError) if path.is_file() else None


def _range_noise(table: _SensorTable, known: dict[str, Any] | None, where: str) -> float:
    """The truck file's own value, else the catalogue's, else the default."""
    if table.range_noise_m is not None:
        return table.range_noise_m
    if table.model is None:
        return DEFAULT_RANGE_NOISE_M
    if known is not None and "bed_std_m" in known["noise"]:
        return float(known["noise"]["bed_std_m"])
    from volest.catalogue import load_sensor, sensor_names

    if known is None:
        raise TruckError(f"{where}.model: found {table.model!r}, expected {nearest(table.model, sensor_names())}")
    return load_sensor(table.model).bed_std_m


def _waste(table: _WasteTable, where: str) -> WasteProfile:
    profile = _entry("waste", table.profile, f"{where}: waste.profile")
    own = {name: getattr(table, name) for name in _WASTE_NUMBERS if getattr(table, name) is not None}
    numbers = {name: float(value) for name, value in (_loaded(profile, table.loading, where) | own).items()}
    a, b = _wet_prior(table, where)
    waste = WasteProfile(table.profile, **numbers, prior_a=a, prior_b=b)
    if waste.dry_kg_m3 >= waste.wet_kg_m3:
        raise TruckError(
            f"{where}: waste.dry_kg_m3: found {waste.dry_kg_m3:g}, expected less than wet_kg_m3 ({waste.wet_kg_m3:g})"
        )
    return waste


def _loaded(profile: dict[str, Any], loading: str | None, where: str) -> dict[str, float]:
    """The densities of a profile whose waste is loaded otherwise than the profile has it."""
    numbers = {name: float(profile[name]) for name in _WASTE_NUMBERS}
    own = profile.get("loading", "loose")
    if loading is None:
        return numbers
    to, since = _entry("loading", loading, f"{where}: waste.loading"), _entry("loading", own, where)
    if loading == own:
        return numbers
    for part in ("dry", "wet"):
        numbers[f"{part}_kg_m3"] *= to[f"{part}_factor"] / since[f"{part}_factor"]
        added = (to[f"{part}_log_std"], since[f"{part}_log_std"])
        numbers[f"{part}_log_std"] = math.hypot(numbers[f"{part}_log_std"], *added)
    return numbers


def _wet_prior(table: _WasteTable, where: str) -> tuple[float, float]:
    """What is believed of the wet mass fraction: told, or by where the waste comes from, or nothing."""
    if table.prior is not None and table.source is not None:
        raise TruckError(f"{where}: waste.source: found it beside waste.prior, expected one of the two")
    if table.prior is not None:
        return table.prior.a, table.prior.b
    if table.source is None:
        return 1.0, 1.0
    entry = _entry("source", table.source, f"{where}: waste.source")
    return float(entry["a"]), float(entry["b"])


def _reference(name: str, sensor_ids: list[str], directory: Path, where: str) -> tuple[str | None, Path]:
    """A scan of the empty bed and the sensor that took it: "mast=empty.pcd", or "empty.pcd" where that is clear."""
    prefix, equals, rest = name.partition("=")
    if equals and prefix in sensor_ids and rest:
        return prefix, directory / rest
    if equals and re.match(_ID, prefix) and not (directory / name).exists():
        known = ", ".join(sensor_ids) or "none"
        raise TruckError(
            f"{where}: bed.reference: found sensor {prefix!r}, expected one of the file's sensors: {known}"
        )
    if len(sensor_ids) > 1 and not name.lower().endswith(MESH_SUFFIXES):
        known = ", ".join(f"{sensor_id}={name}" for sensor_id in sensor_ids)
        raise TruckError(f"{where}: bed.reference: found {name!r}, expected to be told the sensor: {known}")
    return (sensor_ids[0] if len(sensor_ids) == 1 else None), directory / name


# --- what comes with the package --------------------------------------------------------------------------------------


@cache
def _catalogue(name: str) -> dict[str, dict[str, Any]]:
    return read_toml(DATA / f"{name}.toml", TruckError)


def _entry(catalogue: str, name: str, where: str) -> dict[str, Any]:
    """An entry of volest/data/{catalogue}.toml; TruckError at `where` when there is none."""
    entries = _catalogue(catalogue)
    if name not in entries:
        raise TruckError(f"{where}: found {name!r}, expected {nearest(name, entries)}")
    return entries[name]
