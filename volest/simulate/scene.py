"""What is to be simulated: a scene file and its structs. Metres and degrees, as the field names say."""

from __future__ import annotations

import difflib
import math
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from volest.errors import SceneError
from volest.schema import convert
from volest.simulate.sensortable import with_catalogue

__all__ = [
    "Arch", "BeamScene", "BedScene", "BranchScene", "Dent", "Dirt", "LoadScene", "MaterialScene", "MotionScene",
    "Noise", "PoseScene", "PoseStd", "Ribs", "Scene", "SensorScene", "TarpScene", "WeatherScene", "WeightScene",
    "load_scene", "read_document", "scene_from_dict", "scene_to_dict", "structured",
]  # fmt: skip

S = TypeVar("S", bound=Struct)
MOST_RAYS = 2**23
Speed = Annotated[float, Meta(ge=-50, le=50)]
Divergence = Annotated[float, Meta(ge=0, le=10)]
Lean = Annotated[float, Meta(ge=0, le=30)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
XYZ = tuple[float, float, float]
Side = Literal["left", "right", "front", "rear"]
LoadKind = Literal[
    "smooth", "rough", "flat", "peaked", "bags", "boxes", "sheets", "tipped", "compacted", "bulk", "carryback", "none",
    "box", "wedge", "cone",
]  # fmt: skip
Profile = Literal["", "heaps", "ridge", "ramp", "crater", "plane"]


class _Strict(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the scene file: unknown keys are errors."""


class Arch(_Strict, frozen=True, kw_only=True):
    """A wheel arch on the floor along a side wall."""

    side: Literal["left", "right"]
    x_m: float
    length_m: Annotated[float, Meta(gt=0)]
    width_m: Annotated[float, Meta(gt=0)]
    height_m: Annotated[float, Meta(gt=0)]
    shape: Literal["box", "round"] = "box"


class Ribs(_Strict, frozen=True):
    """Upright ribs on the inside of both side walls."""

    count: Annotated[int, Meta(ge=0, le=40)] = 0
    depth_m: NotNegative = 0.04
    width_m: Annotated[float, Meta(gt=0)] = 0.08


class Dent(_Strict, frozen=True, kw_only=True):
    """A dent (depth > 0) or bump (depth < 0) in the floor, of Gaussian shape."""

    x_m: float
    y_m: float
    depth_m: Annotated[float, Meta(ge=-0.2, le=0.2)]
    radius_m: Annotated[float, Meta(ge=0.03)]


class BedScene(_Strict, frozen=True, kw_only=True):
    """The nominal box, and how the true bed departs from it. Four walls in the order front, rear, left, right."""

    length_m: Annotated[float, Meta(ge=0.5, le=20)]
    width_m: Annotated[float, Meta(ge=0.5, le=5)]
    height_m: Annotated[float, Meta(ge=0.1, le=4)]
    d_length_m: Annotated[float, Meta(ge=-0.2, le=0.2)] = 0.0
    d_width_m: Annotated[float, Meta(ge=-0.2, le=0.2)] = 0.0
    d_height_m: Annotated[float, Meta(ge=-0.05, le=0.2)] = 0.0
    lean_deg: tuple[Lean, Lean, Lean, Lean] = (0.0, 0.0, 0.0, 0.0)
    bulge_m: NotNegative = 0.0  # of the side walls, outwards at half height; kept so small that no wall overhangs
    wall_m: Annotated[float, Meta(ge=0.005, le=0.5)] = 0.05
    headboard_m: Annotated[float, Meta(ge=0, le=2)] = 0.0  # how far the front wall stands above the side walls
    sag_m: Annotated[float, Meta(ge=0, le=0.2)] = 0.0
    dents: tuple[Dent, ...] = ()
    ribs: Ribs = Ribs()
    arches: tuple[Arch, ...] = ()
    corner_m: Annotated[float, Meta(ge=0, le=0.4)] = 0.0  # radius of the fillets in the four upright corners
    chamfer_m: Annotated[float, Meta(ge=0, le=0.6)] = 0.0  # of the edges of the floor along the sides and the front
    gate_post_m: tuple[NotNegative, NotNegative] = (0.0, 0.0)  # two posts of the tailgate: how far in, and how wide
    doghouse_m: tuple[NotNegative, NotNegative, NotNegative] = (0.0, 0.0, 0.0)  # box at the front wall, over the hoist
    bows: Annotated[int, Meta(ge=0, le=12)] = 0  # hoops across the top
    bow_rise_m: Annotated[float, Meta(ge=0, le=2)] = 0.6
    tarp_roll: Literal["", "front", "rear", "left", "right"] = ""
    stakes: Annotated[int, Meta(ge=0, le=20)] = 0  # posts on the rims
    cab: bool = True
    floor_above_ground_m: Annotated[float, Meta(ge=0.2, le=3)] = 1.1


class LoadScene(_Strict, frozen=True, kw_only=True):
    """The load. `fill_ratio` is of struck capacity; box, wedge and cone take `height_m` instead."""

    kind: LoadKind
    fill_ratio: Annotated[float, Meta(ge=0, le=3)] = 0.5
    profile: Profile = ""  # of smooth, rough and bags; "" lets the seed choose
    repose_deg: Annotated[float, Meta(ge=5, le=70)] = 35.0
    roughness_m: NotNegative = 0.0  # standard deviation of the fine texture
    lump_m: NotNegative = 0.0  # greatest size of single lumps
    bag_m: NotNegative = 0.0  # greatest size of bags, boxes and sheets
    cover: Share = 0.6  # part of the surface covered by lumps and bags
    height_m: NotNegative = 0.0
    overhang_m: Annotated[float, Meta(ge=0, le=0.5)] = 0.0  # how far the load may reach over the side walls
    cell_m: Annotated[float, Meta(ge=0.005, le=0.1)] = 0.02


class TarpScene(_Strict, frozen=True, kw_only=True):
    """A sheet over the bed, fastened along the wall tops; it lies on what stands higher."""

    shape: Literal["dome", "ridge"] = "dome"  # what it is raised by: a middle, or a ridge along the bed
    rise_m: Annotated[float, Meta(ge=-1, le=1.5)] = -0.1  # of the middle over the wall tops; below 0 it sags
    wrinkle_m: Annotated[float, Meta(ge=0, le=0.05)] = 0.004  # standard deviation


class BranchScene(_Strict, frozen=True, kw_only=True):
    """Branches that stick out of the load. They count as nothing in its volume."""

    count: Annotated[int, Meta(ge=0, le=200)]
    length_m: Annotated[float, Meta(gt=0, le=3)] = 0.8  # of the longest, over the load
    radius_m: Annotated[float, Meta(gt=0, le=0.1)] = 0.015


class PoseScene(_Strict, frozen=True):
    """Where a sensor truly sits in the bed frame."""

    xyz_m: XYZ
    rpy_deg: XYZ


class PoseStd(_Strict, frozen=True):
    """Standard deviation of the told pose: along each axis, and as a rotation about each axis of the sensor."""

    xyz_m: NotNegative = 0.003
    rpy_deg: NotNegative = 0.05


class Noise(_Strict, frozen=True):
    """How a sensor errs."""

    range_std_m: Annotated[float, Meta(ge=0, le=0.2)] = 0.01
    beam_bias_std_m: Annotated[float, Meta(ge=0, le=0.1)] = 0.003  # one fixed error a row
    offset_std_m: Annotated[float, Meta(ge=0, le=0.1)] = 0.002  # one fixed error a sensor
    quantum_m: NotNegative = 0.001
    dropout: Share = 0.003  # part of sound returns that get lost
    faint: NotNegative = 0.02  # returns fainter than this (reflectance x cosine x (5 m / range)^2) tend to get lost
    steepness: Annotated[float, Meta(ge=1, le=20)] = 2.0  # the odds of a loss are (faint / signal)^steepness
    beam_deg: Annotated[float, Meta(ge=0, le=5)] = 0.2  # width of a beam: one that straddles an edge mixes both depths
    mix_reach_m: NotNegative = (
        1.0  # depths further apart than this are told apart, and the nearer to the beam's middle wins
    )
    stray: Annotated[float, Meta(ge=0, le=0.5)] = 0.0005  # part of the rays that return from dust or rain
    std_m: Annotated[tuple[tuple[NotNegative, NotNegative], ...], Meta(max_length=32)] = ()
    """Pairs of range and standard deviation, of targets of `std_reflectivity` (of any, if that is missing), as a data
    sheet has them; in place of `range_std_m`, which is then what the truck file tells."""
    std_reflectivity: Annotated[float, Meta(gt=0, le=1)] | None = None
    min_range_m: NotNegative = 0.3
    max_range_m: Annotated[float, Meta(gt=0)] = 50.0


class Dirt(_Strict, frozen=True, kw_only=True):
    """A dirty spot on a sensor's window, an ellipse in its view; the scan of the empty bed was taken before."""

    azimuth_deg: float  # of its middle, from the sensor's x axis towards its y axis
    elevation_deg: Annotated[float, Meta(ge=-90, le=90)]
    width_deg: Annotated[float, Meta(gt=0, le=360)]
    height_deg: Annotated[float, Meta(gt=0, le=360)]
    near_m: NotNegative = 0.0  # where rays return from the spot itself; 0: they do not return


class BeamScene(_Strict, frozen=True, kw_only=True):
    """The width of a beam, of which each part may meet another surface."""

    divergence_deg: tuple[Divergence, Divergence]  # across the sensor's z axis, and along it: full angles
    aperture_m: Annotated[float, Meta(ge=0, le=1)] = 0.0  # its width at the window
    tells: Literal["strongest", "first", "mean"] = "strongest"  # which of several returns becomes the range


class WeatherScene(_Strict, frozen=True, kw_only=True):
    """What is in the air between sensors and load; rain also wets all that lies open."""

    rain_mm_h: Annotated[float, Meta(ge=0, le=200)] = 0.0
    dust_mg_m3: Annotated[float, Meta(ge=0, le=1e5)] = 0.0


class MotionScene(_Strict, frozen=True, kw_only=True):
    """How a sensor moves against the truck while it scans: steadily, in its own axes. Its pose is that half-way."""

    velocity_m_s: tuple[Speed, Speed, Speed] = (0.0, 0.0, 0.0)
    yaw_rate_deg_s: Annotated[float, Meta(ge=-720, le=720)] = 0.0  # about its z axis


class SensorScene(_Strict, frozen=True, kw_only=True):
    """One sensor: `spinning` (rows x columns, full turn about z), `camera` (pixels about the x axis), `rosette` (one
    row of rays that never repeats, about the x axis), `line` (one row in the x-y plane, about the x axis).

    A table of a scene file that names a `model` of the catalogue and tells nothing of pattern, rays or noise has all of
    these from the catalogue (volest.simulate.sensortable).
    """

    id: str
    pose: PoseScene
    pattern: Literal["spinning", "camera", "rosette", "line"] = "spinning"
    model: str = ""
    rows: Annotated[int, Meta(ge=1, le=2048)] = 128
    columns: Annotated[int, Meta(ge=1, le=65536)] = 1024
    vertical_fov_deg: Annotated[float, Meta(gt=0, lt=179)] = 90.0
    vertical_middle_deg: Annotated[float, Meta(ge=-90, le=90)] = 0.0  # of a rosette's field of view
    horizontal_fov_deg: Annotated[float, Meta(gt=0, le=360)] = 70.0  # spinning: always a full turn
    elevations_deg: Annotated[tuple[float, ...], Meta(max_length=2048)] = ()  # of spinning rows that are not even
    rate_hz: Annotated[float, Meta(gt=0, le=1000)] = 10.0  # frames a second
    pose_std: PoseStd | None = None  # told in truck.toml; if missing the told pose is off by some millimetres
    noise: Noise = Noise()
    beam: BeamScene | None = None  # in place of noise.beam_deg and noise.mix_reach_m
    tell_noise: bool = True  # write range_noise_m in truck.toml
    frames: Annotated[int, Meta(ge=1, le=1000)] = 1
    motion: MotionScene | None = None  # of `line` then all frames become one scan, brought to the instant of the pose
    dirt: tuple[Dirt, ...] = ()


class WeightScene(_Strict, frozen=True, kw_only=True):
    """Load cells on the truck."""

    kind: Literal["series", "number", "none"] = "series"
    tare_kg: Annotated[float, Meta(gt=0)] = 4500.0
    tare_std_kg: NotNegative = 12.0
    gain_std: Annotated[float, Meta(ge=0, le=0.2)] = 0.005
    resolution_kg: NotNegative = 5.0
    duration_s: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    rate_hz: Annotated[float, Meta(gt=0, le=1000)] = 20.0
    noise_kg: NotNegative = 5.0
    bounce_kg: NotNegative = 60.0
    bounce_hz: Annotated[float, Meta(gt=0)] = 2.0
    drift_kg: NotNegative = 4.0
    spike_rate: Share = 0.003
    gap_rate: Share = 0.02


class MaterialScene(_Strict, frozen=True, kw_only=True):
    """Loose bulk densities of the dry and the wet part, and how much of the mass is wet."""

    dry_bulk_density_kg_m3: Annotated[float, Meta(gt=0)] = 100.0
    wet_bulk_density_kg_m3: Annotated[float, Meta(gt=0)] = 420.0
    wet_mass_fraction: Share = 0.5
    facets_deg: Annotated[float, Meta(ge=0, le=60)] = 0.0  # how facets smaller than a beam tilt, 1-sigma; 0: Lambert's
    wet_patch_m: Annotated[float, Meta(ge=0, le=5)] = 0.0  # size of patches that are wet, dry between; 0: evenly wet


class Scene(_Strict, frozen=True, kw_only=True):
    """A load in a bed, seen by sensors; everything random follows from `seed`."""

    bed: BedScene
    load: LoadScene
    sensor: Annotated[tuple[SensorScene, ...], Meta(min_length=1)]
    title: str = ""  # one sentence for the card
    tarp: TarpScene | None = None
    branches: BranchScene | None = None
    seed: Annotated[int, Meta(ge=0)] = 0
    truck_id: str = "KT-0001-SIM"
    weather: WeatherScene | None = None
    weight: WeightScene = WeightScene()
    material: MaterialScene = MaterialScene()
    reference: bool = True  # also scan the empty bed
    reference_pose: Literal["same", "anew"] = "same"  # anew: parked again, so with a pose error of its own
    merged: bool = False  # one scan of all sensors, put together in the bed frame by the told poses; no [[sensor]] told
    format: Literal["pcd", "npz"] = "pcd"
    point_step_m: NotNegative = 0.0  # round coordinates to multiples of this, so that npz files pack well; 0: do not
    crop_m: NotNegative = 0.0  # write only returns nearer than this to the bed's middle; 0: all


def load_scene(path: str | Path) -> Scene:
    """Read and check a scene file; SceneError names the file, the key, what was found and what was expected."""
    return scene_from_dict(read_document(path), str(path))


def read_document(path: str | Path) -> dict[str, Any]:
    """The tables of a scene file."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SceneError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SceneError(f"{path}: not TOML: {error}") from error


def scene_from_dict(raw: dict[str, Any], source: str = "scene") -> Scene:
    """A scene from nested dicts, as TOML gives them."""
    scene = structured(raw, Scene, source)
    if scene.load.kind in ("box", "wedge", "cone") and scene.load.height_m <= 0:
        raise SceneError(f"{source}: load.height_m: missing, expected > 0 for kind = {scene.load.kind!r}")
    return scene


def structured(raw: dict[str, Any], kind: type[S], source: str) -> S:
    """A document as a struct with a bed and sensors, its keys and numbers checked."""
    _check_keys(raw, kind, "", source)
    _check_finite(raw, "", source)
    try:
        scene = convert(with_catalogue(raw), kind)
    except msgspec.ValidationError as error:
        raise SceneError(f"{source}: {error}".replace("$.", "")) from error
    _check_whole(scene, source)
    return scene


def scene_to_dict(scene: Struct) -> dict[str, Any]:
    """The scene as nested dicts, without what stands at its default."""
    built: dict[str, Any] = msgspec.to_builtins(scene)
    return built


def _check_whole(scene: Any, source: str) -> None:
    """What no single key can tell."""
    names = [sensor.id for sensor in scene.sensor]
    for name in names:
        if not name.isidentifier():
            raise SceneError(f"{source}: sensor.id: found {name!r}, expected letters, digits and _")
    for sensor in scene.sensor:
        _check_rays(sensor, source)
    if len(set(names)) != len(names):
        raise SceneError(f"{source}: sensor.id: found {names}, expected each name once")
    if 2.0 * scene.bed.chamfer_m > min(scene.bed.height_m, 0.8 * scene.bed.width_m):
        raise SceneError(f"{source}: bed.chamfer_m: found {scene.bed.chamfer_m}, expected less than half of the height")
    if scene.bed.ribs.depth_m * 4 > scene.bed.width_m:
        raise SceneError(
            f"{source}: bed.ribs.depth_m: found {scene.bed.ribs.depth_m}, expected less than a quarter of the width"
        )


def _check_rays(sensor: SensorScene, source: str) -> None:
    """What of a sensor's rays does not go together."""
    where = f"{source}: sensor.{sensor.id}"
    if sensor.rows * sensor.columns > MOST_RAYS:
        raise SceneError(f"{where}: found {sensor.rows} x {sensor.columns} rays, expected at most {MOST_RAYS}")
    if sensor.pattern in ("rosette", "line") and sensor.rows != 1:
        raise SceneError(f"{where}.rows: found {sensor.rows}, expected 1 for the pattern {sensor.pattern}")
    if sensor.pattern == "camera" and sensor.horizontal_fov_deg >= 179.0:
        raise SceneError(f"{where}.horizontal_fov_deg: found {sensor.horizontal_fov_deg}, expected less than 179")
    if sensor.elevations_deg and len(sensor.elevations_deg) != sensor.rows:
        raise SceneError(
            f"{where}.elevations_deg: found {len(sensor.elevations_deg)} angles, expected {sensor.rows}, one a row"
        )
    ranges = [pair[0] for pair in sensor.noise.std_m]
    if any(a >= b for a, b in pairwise(ranges)):
        raise SceneError(f"{where}.noise.std_m: found ranges {ranges}, expected them to grow")


def _check_keys(table: Any, kind: Any, where: str, source: str) -> None:
    """Unknown keys at any depth, with the nearest known one."""
    struct = _struct_of(kind)
    if isinstance(table, list):
        for index, entry in enumerate(table):
            _check_keys(entry, kind, f"{where}[{index}]", source)
    elif isinstance(table, dict) and struct is not None:
        fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
        for key, value in table.items():
            path = f"{where}.{key}".lstrip(".")
            if key not in fields:
                near = difflib.get_close_matches(key, fields, n=1, cutoff=0.0)[0]
                raise SceneError(
                    f"{source}: {path}: unknown key; did you mean {near!r}? known: {', '.join(sorted(fields))}"
                )
            _check_keys(value, fields[key], path, source)


def _struct_of(kind: Any) -> Any:
    """The struct class within an annotation such as tuple[Dent, ...] or PoseStd | None, or None."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind
    inner = [_struct_of(part) for part in getattr(kind, "__args__", ())]
    if hasattr(kind, "__origin__") and not isinstance(kind.__origin__, type):
        inner.append(_struct_of(kind.__origin__))
    return next((struct for struct in inner if struct is not None), None)


def _check_finite(value: Any, where: str, source: str) -> None:
    if isinstance(value, dict):
        for key, entry in value.items():
            _check_finite(entry, f"{where}.{key}".lstrip("."), source)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            _check_finite(entry, f"{where}[{index}]", source)
    elif isinstance(value, float) and not math.isfinite(value):
        raise SceneError(f"{source}: {where}: found {value}, expected a finite number")
