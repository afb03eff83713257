"""Finding the bed in a scan, and telling why it cannot be found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from volest._core import Engine, PassCounts, Registration
from volest.bed import BedModel, PlacedScan
from volest.pointcloud import Frame, is_return
from volest.pose import Pose
from volest.truck import DEFAULT_POSE_STD_RPY_DEG, DEFAULT_POSE_STD_XYZ_M, Sensor

if TYPE_CHECKING:
    from volest._core import Points

__all__ = ["FLIPS", "Misfit", "Placement", "Prior", "check_reference", "place", "prior_of", "reach_m"]

LARGEST_REACH_M = 0.3
LEAST_REACH_M = 0.06
LEVER_M = 3.0  # from the sensor to the bed: what an error of attitude is multiplied with

# A pose is believed with at least or at most so much of each; one that is not the told one must be surer.
LEAST_EVIDENCE, SURE_EVIDENCE = 0.2, 0.5  # part of the outline that is found
SURE_AGREEMENT = 0.5  # part of the returns about each wall that lie on it, on average
LEAST_TOPS, SURE_TOPS = 0.3, 0.4  # part of the returns about the wall tops that lie on them; walls hold no height
MOST_BESIDE, SURE_BESIDE = 0.1, 0.03  # points beside the bed for each point over it: load that hangs over
MOST_THROUGH = 0.0015  # points behind walls for each point over the bed: mixed returns
FEW, FEW_THROUGH = 10, 8
MOVED_SIGMAS, LEAST_STD = 5.0, 0.005  # and m or rad, that any pose is thought to be off
VAGUE_M = 0.02  # a told pose that may put the bed off by more is begun with in several places

LIFT_M = 0.15  # how much higher and lower a sensor is looked for that was found where it is told
PLAIN_TOPS, MUCH_ABOVE = 0.75, 0.5  # tops that are found so well, and faces that end at them, are at no other height
MUCH_BETTER = 12.0  # by score: told heights of sound scans are worse by up to 12, those of knocked sensors by 10 to 50
WIDE_XYZ_M = 0.3  # how far a sensor may have been knocked
WIDE_RPY_RAD = 0.12
KNOCKED_XYZ_M, KNOCKED_RPY_RAD = 0.01, 0.004  # how well the pose of a sensor that was knocked is found
_TILTS = np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [-1.5, 0.0, 0.0], [0.0, 1.5, 0.0], [0.0, -1.5, 0.0]])
UNITS = {"millimetres": 1e-3, "centimetres": 1e-2, "inches": 0.0254, "feet": 0.3048, "kilometres": 1e3}
FLIPS = (np.diag([1.0, -1.0, -1.0, 1.0]), np.diag([1.0, 1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, -1.0, 1.0]))


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A scan put into the bed frame."""

    frame: Frame
    covariance: NDArray[np.float64]  # (6, 6) of a translation and a rotation about the sensor's place; m, rad
    rays: bool  # the points share the sensor's place as their origin
    moved: bool  # the sensor is not where the truck file has it
    found: Registration
    counts: PassCounts  # its points by where they are

    @property
    def xyz(self) -> NDArray[np.float32]:
        """(N, 3) m, sensor frame."""
        return self.frame.xyz

    @property
    def pose(self) -> NDArray[np.float64]:
        """(4, 4) T_bed_sensor."""
        return self.found.pose


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "std_m", math.hypot(self.std[0], LEVER_M * self.std[3]))
        object.__setattr__(self, "relative_std", self.std * math.sqrt(2.0))


def prior_of(sensor: Sensor | None) -> Prior:
    """The told pose with its uncertainty; None is a cloud that is in the bed frame already."""
    pose = Pose.identity() if sensor is None else sensor.pose
    xyz = DEFAULT_POSE_STD_XYZ_M if sensor is None else sensor.pose_std_xyz_m
    rpy = np.radians(DEFAULT_POSE_STD_RPY_DEG) if sensor is None else sensor.pose_std_rpy_rad
    # A pose told as exact is still no better than the model of the bed.
    std = np.array([max(xyz, 1e-3)] * 3 + [max(rpy, 1e-3)] * 3)
    return Prior(pose.matrix(), std, sensor is not None)


def place(engine: Engine, bed: BedModel, prior: Prior, frame: Frame, *, find_bed: bool = True) -> Placement | Misfit:
    """Puts one scan with at least one return into the engine, or tells why the bed is not in it.

    Without `find_bed` the pose is believed as it is told, unless the points say that the bed cannot be there.
    """
    std = prior.relative_std
    if not find_bed:
        found, lifted = Engine.told(prior.pose, std), False
        counts = engine.pass_over(frame.points, found, prior.rays)
    else:
        found, counts = _likeliest(engine, bed, prior, frame.points)
        # Walls look alike from any height; of a vague pose other heights were tried.
        lifted = prior.std_m <= VAGUE_M * bed.layout.scale and (found.above > MUCH_ABOVE or found.tops < PLAIN_TOPS)
    if not _is_sound(found, counts):
        engine.drop()
        return _place_knocked(engine, bed, prior, frame) or _misfit(engine, bed, prior, frame, found, counts)
    # Farther from where it is told than that leaves open.
    strays = found.deviation(std, LEAST_STD) > MOVED_SIGMAS
    if lifted or strays:
        starts = _lifted(prior.pose, bed) if lifted else ()
        elsewhere = [_search(engine, bed, prior, frame.points, start) for start in starts]
        better = any(other is not None and other[0].score >= found.score + MUCH_BETTER for other in elsewhere)
        knocked = _place_knocked(engine, bed, prior, frame, found.score + MUCH_BETTER) if better or strays else None
        if knocked is not None:
            return knocked
        if better:
            return _misfit(engine, bed, prior, frame, found, counts)
        engine.pass_over(frame.points, found, prior.rays)
    engine.keep()
    return Placement(frame, found.covariance, prior.rays, strays, found, counts)


def reach_m(bed: BedModel, prior: Prior) -> float:
    """How far from where the prior has them walls are looked for."""
    return min(max(3.0 * prior.std_m, LEAST_REACH_M), LARGEST_REACH_M) * bed.layout.scale


def _likeliest(engine: Engine, bed: BedModel, prior: Prior, points: Points) -> tuple[Registration, PassCounts]:
    """The most probable pose about the told one."""
    starts = None if prior.std_m <= VAGUE_M * bed.layout.scale else _starts(prior, bed)
    return engine.place(points, prior.pose, prior.relative_std, prior.rays, reach_m(bed, prior), starts)


def _search(
    engine: Engine, bed: BedModel, prior: Prior, points: Points, pose: NDArray[np.float64]
) -> tuple[Registration, PassCounts] | None:
    """The bed, if it is surely within reach of a pose that nobody told."""
    wide = np.array([WIDE_XYZ_M] * 3 + [WIDE_RPY_RAD] * 3) * bed.layout.scale
    found, counts = engine.place(points, pose, wide, prior.rays, LARGEST_REACH_M * bed.layout.scale)
    engine.drop()
    return (found, counts) if _agrees(found) and not _overflows(counts, SURE_BESIDE) else None


def _place_knocked(
    engine: Engine, bed: BedModel, prior: Prior, frame: Frame, least_score: float = -math.inf
) -> Placement | None:
    """Puts in a scan whose sensor was knocked, if the bed is found from where it may be now."""
    searched = [_search(engine, bed, prior, frame.points, start) for start in _knocked(prior.pose, bed)]
    moved = [again for again in searched if again is not None and again[0].score >= least_score]
    if not moved:
        return None
    best, counts = max(moved, key=lambda again: again[0].score)
    doubt = np.diag(np.array([KNOCKED_XYZ_M] * 3 + [KNOCKED_RPY_RAD] * 3) ** 2)
    engine.pass_over(frame.points, best, prior.rays)
    engine.keep()
    return Placement(frame, best.covariance + doubt, prior.rays, True, best, counts)


def _misfit(
    engine: Engine, bed: BedModel, prior: Prior, frame: Frame, found: Registration, counts: PassCounts
) -> Misfit:
    """Why the bed is nowhere near: another unit, a sensor turned over, or another truck."""
    xyz = frame.xyz
    for unit, scale in UNITS.items():
        if _search(engine, bed, prior, xyz * np.float32(scale), prior.pose) is not None:
            return Misfit("wrong_unit", f"the coordinates are in {unit}, expected metres")
    for flip in FLIPS:
        if _search(engine, bed, prior, xyz, prior.pose @ flip) is not None:
            return Misfit("upside_down", "the bed is found only with the sensor turned over")
    return Misfit(*_why(found, counts, int(is_return(xyz).sum())))


def check_reference(engine: Engine, bed: BedModel, scan: PlacedScan) -> Misfit | None:
    """Whether the bed made from this scan is in it; a bed that was put together from anything else is not."""
    std = np.array([0.01] * 3 + [0.005] * 3)
    found, counts = engine.place(scan.xyz, scan.pose, std, scan.rays, LEAST_REACH_M * bed.layout.scale)
    engine.drop()
    return None if _is_sound(found, counts) else Misfit(*_why(found, counts, int(is_return(scan.xyz).sum())))


def _starts(prior: Prior, bed: BedModel) -> NDArray[np.float64]:
    """Corrections (K, 6) to begin with: the told pose, and the bed raised, lowered and tilted about its middle."""
    arm = np.array([0.0, 0.0, bed.layout.height_m / 2]) - prior.pose[:3, 3]
    turns = _TILTS * prior.relative_std[3:]
    shifts = -np.cross(turns, arm)
    starts = np.concatenate([shifts, turns], axis=1).repeat(3, axis=0)
    starts[:, 2] += np.tile([0.0, 1.5 * prior.std_m, -1.5 * prior.std_m], len(turns))
    return starts


def _lifted(pose: NDArray[np.float64], bed: BedModel) -> Iterator[NDArray[np.float64]]:
    """The same pose lower and higher."""
    for dz in (-LIFT_M, LIFT_M):
        shifted = pose.copy()
        shifted[2, 3] += dz * bed.layout.scale
        yield shifted


def _knocked(pose: NDArray[np.float64], bed: BedModel) -> Iterator[NDArray[np.float64]]:
    """Where a sensor that was knocked may be: as told, then nearer or farther, to each side."""
    for dz in (0.0, -0.25, 0.25):
        for dx, dy in ((0.0, 0.0), (0.25, 0.0), (-0.25, 0.0), (0.0, 0.25), (0.0, -0.25)):
            shifted = pose.copy()
            shifted[:3, 3] += np.array([dx, dy, dz]) * bed.layout.scale
            yield shifted


def _is_sound(found: Registration, counts: PassCounts) -> bool:
    """Whether the scan could have been taken of a bed that lies there."""
    return found.evidence >= LEAST_EVIDENCE and found.tops >= LEAST_TOPS and not _overflows(counts, MOST_BESIDE)


def _agrees(found: Registration) -> bool:
    """What is asked of a pose that nobody told."""
    agrees = found.agreement >= SURE_AGREEMENT and found.tops >= SURE_TOPS
    return found.evidence >= SURE_EVIDENCE and agrees


def _overflows(counts: PassCounts, most_beside: float) -> bool:
    """Whether too many points lie where none can be."""
    return (
        counts.through > FEW_THROUGH + MOST_THROUGH * counts.inside or counts.beside > FEW + most_beside * counts.inside
    )


def _why(found: Registration, counts: PassCounts, returns: int) -> tuple[str, str]:
    """Flag and reason of a bed that is nowhere near the told pose."""
    if counts.inside <= FEW:
        return "no_bed", f"{counts.inside} of {returns} returns lie over the bed"
    if counts.beside > FEW + MOST_BESIDE * counts.inside:
        return "wrong_truck", f"{counts.beside} returns lie beside the bed above its walls: it is larger than told"
    if counts.through > FEW_THROUGH + MOST_THROUGH * counts.inside:
        return "sensor_moved", f"{counts.through} returns lie behind walls that their rays would have had to pass"
    if found.tops < LEAST_TOPS:
        return (
            "sensor_moved",
            f"{100 * found.tops:.0f} % of the returns about the wall tops lie on them: its height is off",
        )
    return "no_bed", f"walls were found along {100 * found.evidence:.0f} % of the bed's outline"
