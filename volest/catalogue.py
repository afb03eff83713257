"""The catalogue of sensors: what a data sheet tells of one, a file a sensor.

`volest/data/sensors/NAME.toml` is a sensor's own file; any other file of the same keys will do in its place.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import ArrayLike, NDArray

from volest.errors import InputError
from volest.schema import check, nearest, read_toml

__all__ = ["Beam", "Detection", "Noise", "Scan", "SensorModel", "is_sensor_name", "load_sensor", "sensor_names"]

FOLDER = Path(__file__).parent / "data" / "sensors"
REFERENCE_RANGE_M = 5.0
FALSE_ALARM = 1e-4
"""How often noise alone counts as a return: as Ouster's data sheets tell; others tell nothing."""
BED_RANGE_M = 4.0
"""Where the middle of a truck bed is from its sensor, more or less."""

_NAME = r"[a-z0-9-]{1,64}"
_Text = Annotated[str, Meta(min_length=1, max_length=500, description="a text of at most 500 letters")]
_Angle = Annotated[float, Meta(ge=-90, le=90, description="an angle from -90 to 90 degrees")]
_Metres = Annotated[float, Meta(ge=0, le=1000, description="0 to 1000 m")]
_Share = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
_Reflectivity = Annotated[float, Meta(gt=0, le=1, description="a reflectivity above 0, up to 1")]
_Divergence = Annotated[float, Meta(ge=0, le=10, description="0 to 10 degrees")]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Scan(_Strict, frozen=True, kw_only=True):
    """Where the rays go: `spinning` (rows x columns about z), `camera` (pixels about x), `rosette` or one `line`."""

    pattern: Annotated[
        Literal["spinning", "camera", "rosette", "line"], Meta(description="spinning, camera, rosette or line")
    ]
    rate_hz: Annotated[float, Meta(gt=0, le=1000, description="frames a second, above 0 up to 1000")]
    horizontal_fov_deg: Annotated[float, Meta(gt=0, le=360, description="above 0 up to 360 degrees")]
    vertical_fov_deg: Annotated[list[_Angle], Meta(min_length=2, max_length=2, description="[lower, upper] in degrees")]
    rows: Annotated[int, Meta(ge=1, le=4096, description="a whole number from 1 to 4096")] = 1
    columns: Annotated[int, Meta(ge=1, le=65536, description="a whole number from 1 to 65536")] | None = None
    elevations_deg: Annotated[list[_Angle], Meta(max_length=4096, description="an angle for each row")] | None = None
    points_per_s: Annotated[float, Meta(gt=0, le=1e8, description="above 0 up to 1e8")] | None = None

    @property
    def points(self) -> int:
        """Rays of one frame."""
        if self.columns is not None:
            return self.rows * self.columns
        assert self.points_per_s is not None
        return round(self.points_per_s / self.rate_hz)


class Noise(_Strict, frozen=True, kw_only=True):
    """How ranges err.

    `std_m` holds pairs [range, standard deviation] at one `reflectivity`; without one it is the same for all. The
    weaker a return, the noisier: a target counts as that of the pairs that would send as much light back. `bed_std_m`
    is the one figure that a truck file without `range_noise_m` is estimated with; None: that at 4 m.
    """

    std_m: Annotated[
        list[Annotated[list[_Metres], Meta(min_length=2, max_length=2, description="[range_m, std_m]")]],
        Meta(min_length=1, max_length=32, description="pairs [range_m, std_m]"),
    ]
    reflectivity: _Reflectivity | None = None
    bias_std_m: Annotated[float, Meta(ge=0, le=1, description="0 to 1 m, the same for all rays of a unit")] = 0.0
    quantum_m: Annotated[float, Meta(ge=0, le=1, description="0 to 1 m, the step of its ranges")] = 0.0
    bed_std_m: Annotated[float, Meta(gt=0, le=1, description="above 0, up to 1 m, in a truck bed")] | None = None


class Detection(_Strict, frozen=True, kw_only=True):
    """How far it sees: `probability` of a return from `range_m` at `reflectivity`, and what is lost at any distance.

    `half_range_m` is where half the returns from such a target are lost, if the maker tells a second point.
    """

    min_m: _Metres
    max_m: _Metres
    range_m: _Metres
    reflectivity: _Reflectivity
    probability: Annotated[float, Meta(gt=0.5, lt=1, description="a number between 0.5 and 1")] = 0.9
    half_range_m: _Metres | None = None
    dropout: _Share = 0.0


class Beam(_Strict, frozen=True, kw_only=True):
    """The beam's width: at the window, and how it opens, across the rays' rows and along them."""

    divergence_deg: Annotated[list[_Divergence], Meta(min_length=2, max_length=2, description="[horizontal, vertical]")]
    aperture_m: Annotated[float, Meta(ge=0, le=1, description="0 to 1 m")] = 0.0


class SensorModel(_Strict, frozen=True, kw_only=True):
    """A sensor, as its maker describes it."""

    schema: Annotated[Literal[1], Meta(description="1")]
    name: _Text
    source: _Text
    wavelength_nm: Annotated[float, Meta(ge=300, le=3000, description="300 to 3000 nm")] | None = None
    scan: Scan
    noise: Noise
    detection: Detection
    beam: Beam
    unchecked: list[_Text] = []
    """Keys whose figures are of the order that such sensors have, and were not seen in a data sheet."""

    def range_std_m(self, range_m: ArrayLike, reflectivity: ArrayLike = 0.5) -> NDArray[np.float64]:
        """The standard deviation [m] of single ranges to diffuse targets that face the sensor.

        Between the pairs of `noise.std_m` straight lines, beyond them the outermost. Light comes back as reflectivity
        over range squared (Lambert): a target of another reflectivity counts as one at range * sqrt(reference / own).
        """
        ranges = np.asarray(range_m, np.float64)
        if self.noise.reflectivity is not None:
            ranges = ranges * np.sqrt(self.noise.reflectivity / np.asarray(reflectivity, np.float64))
        pairs = np.array(self.noise.std_m)
        return np.asarray(np.interp(ranges, pairs[:, 0], pairs[:, 1]))

    @property
    def bed_std_m(self) -> float:
        """The standard deviation [m] of single ranges in a truck bed."""
        told = self.noise.bed_std_m
        return float(self.range_std_m(BED_RANGE_M)) if told is None else told

    @property
    def faint(self) -> float:
        """The signal of which half the returns get lost, relative to a white target at 5 m (volest.simulate)."""
        told, half_m = self.detection, self.detection.half_range_m
        if half_m is not None:
            return told.reflectivity * (REFERENCE_RANGE_M / half_m) ** 2
        return told.reflectivity * (REFERENCE_RANGE_M / told.range_m) ** 2 / _over_half(told.probability)

    @property
    def steepness(self) -> float:
        """By which power of its signal the odds that a return is found grow."""
        told, half_m = self.detection, self.detection.half_range_m
        times = _over_half(told.probability) if half_m is None else (half_m / told.range_m) ** 2
        return float(np.log(told.probability / (1.0 - told.probability)) / np.log(times))

    def return_probability(self, range_m: ArrayLike, reflectivity: ArrayLike = 0.5) -> NDArray[np.float64]:
        """How likely a diffuse target that faces the sensor gives a return.

        1 / (1 + (faint / signal)^steepness), as volest.simulate has it, less what is lost at any distance.
        """
        ranges = np.asarray(range_m, np.float64)
        signal = np.asarray(reflectivity) * (REFERENCE_RANGE_M / np.maximum(ranges, 1e-3)) ** 2
        seen = (ranges >= self.detection.min_m) & (ranges <= self.detection.max_m)
        found = 1.0 / (1.0 + (self.faint / signal) ** self.steepness)
        return np.where(seen, (1.0 - self.detection.dropout) * found, 0.0)


def _over_half(probability: float) -> float:
    """How much stronger a signal that is found so often is than one found half the time, both in noise of one size.

    What stands above a threshold is found (Kay, Fundamentals of Statistical Signal Processing II, 1998, chapter 3).
    """
    normal = NormalDist()
    return 1.0 + normal.inv_cdf(probability) / normal.inv_cdf(1.0 - FALSE_ALARM)


def sensor_names() -> list[str]:
    """The names of the catalogue."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def is_sensor_name(name: str) -> bool:
    """Whether the catalogue has a sensor of this name; looks at no other."""
    return re.fullmatch(_NAME, name) is not None and (FOLDER / f"{name}.toml").is_file()


def load_sensor(sensor: str | os.PathLike[str]) -> SensorModel:
    """A sensor by its name in the catalogue, or from a file; InputError where it is neither or contradicts itself."""
    path = FOLDER / f"{sensor}.toml" if is_sensor_name(str(sensor)) else Path(sensor)
    if path.suffix != ".toml":
        near = nearest(str(sensor), sensor_names())
        raise InputError(f"{sensor}: found no such sensor, expected a .toml file or {near}")
    model = check(read_toml(path, InputError), SensorModel, str(path), InputError)
    problem = _contradiction(model)
    if problem:
        raise InputError(f"{path}: {problem}")
    return model


def _contradiction(model: SensorModel) -> str | None:
    """What in a model does not go together, if anything."""
    pairs, detection = model.noise.std_m, model.detection
    if any(first[0] >= second[0] for first, second in pairwise(pairs)):
        return "noise.std_m: found ranges out of order, expected them to grow"
    if not detection.min_m < detection.range_m <= detection.max_m:
        told = f"{detection.min_m}, {detection.range_m}, {detection.max_m} m"
        return f"detection: found {told}, expected min < range <= max"
    if detection.half_range_m is not None and not detection.half_range_m > detection.range_m:
        return f"detection.half_range_m: found {detection.half_range_m} m, expected more than {detection.range_m} m"
    parts = {name: getattr(model, name) for name in ("scan", "noise", "detection", "beam")}
    keys = {f"{name}.{key}" for name, part in parts.items() for key in part.__struct_fields__} | {"wavelength_nm"}
    for key in model.unchecked:
        if key not in keys:
            return f"unchecked: found {key!r}, expected the name of a key, like noise.std_m"
    return _scan_contradiction(model.scan)


def _scan_contradiction(scan: Scan) -> str | None:
    if scan.columns is None and scan.points_per_s is None:
        return "scan: found neither columns nor points_per_s, expected one of them"
    if scan.pattern == "rosette" and scan.points_per_s is None:
        return "scan.points_per_s: missing, expected it for a rosette"
    if scan.pattern != "rosette" and scan.columns is None:
        return f"scan.columns: missing, expected it for the pattern {scan.pattern}"
    if scan.pattern == "line" and scan.rows != 1:
        return f"scan.rows: found {scan.rows}, expected 1 for a line"
    if scan.elevations_deg is not None and len(scan.elevations_deg) != scan.rows:
        return f"scan.elevations_deg: found {len(scan.elevations_deg)} angles, expected {scan.rows}, one a row"
    if scan.vertical_fov_deg[0] > scan.vertical_fov_deg[1]:
        return f"scan.vertical_fov_deg: found {scan.vertical_fov_deg}, expected the lower angle first"
    return None
