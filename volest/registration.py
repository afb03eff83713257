"""Where each scan was taken from: what is told of it, what is found, and why the bed cannot be found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from volest import _core
from volest._core import Engine, PassCounts, Registration
from volest.bed import PlacedScan
from volest.pointcloud import Frame, is_return
from volest.pose import Pose
from volest.truck import DEFAULT_POSE_STD_RPY_DEG, DEFAULT_POSE_STD_XYZ_M, Sensor

__all__ = ["FLIPS", "Misfit", "Placement", "Prior", "check_reference", "place", "prior_of"]

UNITS = dict(zip(("millimetres", "centimetres", "inches", "feet", "kilometres"), _core.UNITS_M, strict=True))
FLIPS = tuple(np.diag([*signs, 1.0]) for signs in _core.FLIPS)
COVERED = "a sheet lies over the bed from wall to wall: what is under it cannot be seen"


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A scan put into the bed frame."""

    frame: Frame
    core: _core.Placement

    @property
    def xyz(self) -> NDArray[np.float32]:
        """(N, 3) m, sensor frame."""
        return self.frame.xyz

    @property
    def pose(self) -> NDArray[np.float64]:
        """(4, 4) T_bed_sensor."""
        return self.core.found.pose

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(6, 6) of a translation and a rotation about the sensor's place; m, rad."""
        return self.core.found.covariance

    @property
    def rays(self) -> bool:
        """Whether the points share the sensor's place as their origin."""
        return self.core.rays

    @property
    def moved(self) -> bool:
        """Whether the sensor is not where the truck file has it."""
        return self.core.moved

    @property
    def found(self) -> Registration:
        """What the bed was found by."""
        return self.core.found

    @property
    def counts(self) -> PassCounts:
        """Its points by where they are."""
        return self.core.counts


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a scan does not show the bed."""

    flag: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What the truck file tells of a sensor's pose."""

    pose: NDArray[np.float64]  # (4, 4) T_bed_sensor
    std: NDArray[np.float64]  # (6,) m along and rad about the axes
    rays: bool
    std_m: float = field(init=False)  # how far the pose may put a point of the bed off, 1-sigma
    # (6,) the same where the empty bed was scanned from a told pose, too: the two err independently.
    relative_std: NDArray[np.float64] = field(init=False)
    core: _core.SensorPrior = field(init=False)

    def __post_init__(self) -> None:
        core = _core.SensorPrior(self.pose, self.std, self.rays)
        object.__setattr__(self, "std_m", core.std_m)
        object.__setattr__(self, "relative_std", core.relative_std)
        object.__setattr__(self, "core", core)


def prior_of(sensor: Sensor | None) -> Prior:
    """The told pose with its uncertainty; None is a cloud that is in the bed frame already."""
    pose = Pose.identity() if sensor is None else sensor.pose
    xyz = DEFAULT_POSE_STD_XYZ_M if sensor is None else sensor.pose_std_xyz_m
    rpy = np.radians(DEFAULT_POSE_STD_RPY_DEG) if sensor is None else sensor.pose_std_rpy_rad
    # A pose told as exact is still no better than the model of the bed.
    std = np.array([max(xyz, 1e-3)] * 3 + [max(rpy, 1e-3)] * 3)
    return Prior(pose.matrix(), std, sensor is not None)


def place(engine: Engine, prior: Prior, frame: Frame, *, find_bed: bool = True) -> Placement | Misfit:
    """Puts one scan with at least one return into the engine, or tells why the bed is not in it.

    Without `find_bed` the pose is believed as it is told, unless the points say that the bed cannot be there. The
    method stands in `cpp/src/placement.cpp`.
    """
    why, unit, placement = _core.place(engine, frame.points, prior.core, find_bed)
    if why == "none":
        return Placement(frame, placement)
    return Misfit(*_misfit(why, unit, placement, frame.xyz))


def check_reference(engine: Engine, scan: PlacedScan) -> Misfit | None:
    """Whether the bed made from this scan is in it; a bed that was put together from anything else is not."""
    why, unit, placement = _core.check_reference(engine, scan.xyz, scan.pose, scan.rays)
    return None if why == "none" else Misfit(*_misfit(why, unit, placement, scan.xyz))


def _misfit(why: str, unit: int, placement: _core.Placement, xyz: NDArray[np.float32]) -> tuple[str, str]:
    """Flag and reason of a bed that is nowhere near the told pose."""
    found, counts = placement.found, placement.counts
    if why == "covered":
        return "tarp", COVERED
    if why == "unit":
        return "wrong_unit", f"the coordinates are in {list(UNITS)[unit]}, expected metres"
    if why == "upside_down":
        return "upside_down", "the bed is found only with the sensor turned over"
    if why == "no_returns":
        return "no_bed", f"{counts.inside} of {int(is_return(xyz).sum())} returns lie over the bed"
    if why == "beside":
        return "wrong_truck", f"{counts.beside} returns lie beside the bed above its walls: it is larger than told"
    if why == "through":
        return "sensor_moved", f"{counts.through} returns lie behind walls that their rays would have had to pass"
    if why == "tops":
        where = f"{100 * found.tops:.0f} % of the returns about the wall tops lie on them"
        return "sensor_moved", f"{where}: its height is off"
    return "no_bed", f"walls were found along {100 * found.evidence:.0f} % of the bed's outline"
