"""Commissioning a truck: from scans of its empty bed to all that is learned of it ahead of its loads.

Thousands of loads are rehearsed in the bed as it was measured, by the rays that measured it, and estimated as real ones
would be. From half of them the network of what is hidden is taught on, from the generic one; from the others, which it
has not seen, come the size and the share of the errors and the factor that makes 95 % intervals hold 95 times in 100.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest._version import __version__
from volest.bed import LEVELS, BedModel, PlacedScan
from volest.calibration import Sample, calibrated, errors_and_stds
from volest.errors import InputError
from volest.estimator import Estimator
from volest.hidden import generic_weights
from volest.network import fit
from volest.pointcloud import Frame
from volest.pose import Pose
from volest.simulate.heightfield import HeightField
from volest.simulate.rehearsal import MeasuredBed, Rehearsal, View, rehearse
from volest.truck import Sensor, Truck
from volest.truckfile import Commissioned, Contents, Grid, StoredSensor, write
from volest.uncertainty import GENERIC, Calibration

__all__ = ["Summary", "commission"]

Floats = NDArray[np.float64]
Tell = Callable[[int, int], None]
LOADS = 1600
CELLS_A_LOAD = 250
PLACES = 4  # a cell's true height is the mean of so many places along each axis
FEWEST = 40  # estimated loads of each half, with fewer nothing can be learned
EPOCHS, RATE = 12, 5e-4
BELIEF = 0.7  # 1-sigma of the logarithm of each coefficient of the budget about its generic value
HEDGE = 0.5  # of the way from the generic coefficients to the learned: loads in the world are not those of a rehearsal


@dataclass(frozen=True, slots=True)
class Summary:
    """What the rehearsals that were not learned from say of this truck, in % of its struck capacity."""

    loads: int
    rejected: int
    bias: float
    rms: float
    coverage: float  # part of the 95 % intervals that hold the truth
    width: float  # mean, full


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """One rehearsed load: what the network can learn from it, and how far the estimate was off."""

    features: NDArray[np.float32]
    drops: NDArray[np.float32]
    sample: Sample | None  # None: rejected


def commission(
    truck: Truck,
    output: str | Path,
    *,
    loads: int = LOADS,
    seed: int = 0,
    jobs: int | None = None,
    tell: Tell | None = None,
) -> Summary:
    """Write the truck.volest of a truck whose truck.toml names scans of its empty bed.

    `tell` hears how many of how many loads are done. The same truck, scans, seed and version give the same bytes,
    whatever `jobs` is. Raises InputError for a truck without reference scans or sensors and for scans that do not show
    its bed.
    """
    if loads < 4 * FEWEST:
        raise InputError(f"loads: found {loads}, expected at least {4 * FEWEST}")
    if not truck.sensors:
        raise InputError(f"{truck.path}: sensor: missing, expected the sensors whose rays are to be rehearsed")
    estimator = Estimator(truck)
    if not estimator.reference:
        raise InputError(f"{truck.path}: bed.reference: missing, expected scans of the empty bed")
    found = _found_sensors(truck, estimator.reference)
    bed = MeasuredBed(estimator.bed)
    stage = _Stage(replace(truck, sensors=found), bed, _views(found, estimator.reference))
    half = loads // 2
    workers = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_enter, initargs=(stage,)) as pool:
        learned = _rehearsed(pool, generic_weights(), False, seed, range(half), lambda n: tell and tell(n, loads))
        weights = _taught(learned)
        held_out = range(half, loads)
        tried = _rehearsed(pool, weights, True, seed, held_out, lambda n: tell and tell(half + n, loads))
    sound = [lesson.sample for lesson in tried if lesson.sample is not None]
    if len(sound) < FEWEST:
        raise InputError(f"{truck.path}: {len(sound)} of {len(tried)} rehearsed loads could be estimated: too few")
    # The reference is the truth of what is rehearsed in it: its error is not to be learned here.
    known = [replace(sample, terms=sample.terms._replace(reference=0.0)) for sample in sound]
    learned_factor = calibrated(known, GENERIC, BELIEF, HEDGE)
    # Rehearsals are tamer than the world.
    calibration = replace(learned_factor, factor=max(learned_factor.factor, GENERIC.factor))
    summary = _summary(sound, len(tried) - len(sound), calibration, bed.struck_m3)
    learned_of_it = Commissioned(
        estimator.bed.fields(), weights, astuple(calibration), _provenance(truck, loads, seed, summary)
    )
    document = replace(truck, sensors=found).to_dict()
    write(Path(output), Contents(document, tuple(_stored(s) for s in found), learned_of_it), _grid(estimator.bed))
    return summary


# --- what is rehearsed ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """All that a worker needs to rehearse."""

    truck: Truck
    bed: MeasuredBed
    views: tuple[View, ...]


_stage: _Stage | None = None  # of this worker


def _enter(stage: _Stage) -> None:
    global _stage
    _stage = stage


@lru_cache(maxsize=1)
def _estimator(weights: bytes, lowers: bool) -> Estimator:
    """An estimator on this worker's stage with another network."""
    assert _stage is not None
    learned = Commissioned(_stage.bed.model.fields(), np.frombuffer(weights, dtype=np.float32), (), {})
    return Estimator(replace(_stage.truck, commissioned=learned), lower_hidden=lowers)


def _found_sensors(truck: Truck, reference: Sequence[tuple[str, PlacedScan]]) -> tuple[Sensor, ...]:
    """The sensors with the poses that their first scan of the empty bed shows."""
    poses = {name: scan.pose for name, scan in reversed(reference)}  # the first counts
    missing = [sensor.id for sensor in truck.sensors if sensor.id not in poses]
    if missing:
        raise InputError(f"{truck.path}: bed.reference: none of sensor {missing[0]}, expected one of each sensor")
    return tuple(
        replace(sensor, pose=Pose(poses[sensor.id][:3, :3], poses[sensor.id][:3, 3])) for sensor in truck.sensors
    )


def _views(sensors: Sequence[Sensor], reference: Sequence[tuple[str, PlacedScan]]) -> tuple[View, ...]:
    scans = dict(reversed(reference))
    return tuple(View.of(scans[s.id], s.range_noise_m, (s.pose_std_xyz_m, s.pose_std_rpy_rad)) for s in sensors)


def _rehearsed(
    pool: ProcessPoolExecutor,
    weights: NDArray[np.float32],
    lowers: bool,
    seed: int,
    numbers: Iterable[int],
    tell: Callable[[int], None],
) -> list[_Lesson]:
    """The lessons of the numbered loads, in their order."""
    tasks: dict[Future[_Lesson], int] = {
        pool.submit(_lesson, weights, lowers, seed, number): number for number in numbers
    }
    for done, _ in enumerate(as_completed(tasks), 1):
        tell(done)
    return [task.result() for task in tasks]


def _lesson(weights: NDArray[np.float32], lowers: bool, seed: int, number: int) -> _Lesson:
    """Rehearse and estimate one load; nothing but the seed and its number decide what it is."""
    assert _stage is not None
    rng = np.random.default_rng([seed, number])
    bed = _stage.bed
    load = rehearse(bed, _stage.views, rng)
    estimator = _estimator(weights.tobytes(), lowers)
    frames = [
        (replace(sensor, pose=told), Frame.of(xyz))
        for sensor, told, xyz in zip(_stage.truck.sensors, load.told, load.scans, strict=True)
    ]
    result = estimator.measure(frames)
    nothing = np.zeros(0, np.float32)
    if result.volume_m3 is None or estimator.terms is None:
        return _Lesson(nothing, nothing, None)
    features, drops = (nothing, nothing) if lowers else _cells(estimator, bed, load, rng)
    return _Lesson(features, drops, Sample(estimator.integral().volume, load.volume_m3, estimator.terms))


def _cells(
    estimator: Estimator, bed: MeasuredBed, load: Rehearsal, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (N, F) and drops (N,) [m at the scale of a truck bed] of some cells without returns."""
    cells, features = estimator.hidden_features()
    height, seen = estimator.height_m(), estimator.seen()
    true, inside = mean_heights(bed, load.load)
    above = height - true
    sound = seen & inside
    if sound.sum() < 100:
        return features[:0], np.zeros(0, np.float32)
    # Where the bed was put is not the network's affair.
    drop = (above - np.median(above[sound])).ravel()[cells] / bed.model.layout.scale
    usable = np.flatnonzero(inside.ravel()[cells] & np.isfinite(drop))
    chosen = rng.choice(usable, min(CELLS_A_LOAD, len(usable)), replace=False)
    return features[chosen], drop[chosen].astype(np.float32)


def mean_heights(bed: MeasuredBed, load: HeightField | None) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean true height (ny, nx) of each cell, and whether all of it lies in the opening."""
    layout = bed.model.layout
    nx, ny = layout.shape
    offsets = ((np.arange(PLACES) + 0.5) / PLACES - 0.5) * layout.cell_m
    x, y = ((layout.centres_m(cells)[:, None] + offsets).ravel() for cells in (nx, ny))
    xx, yy = np.meshgrid(x, y)
    empty = bed.empty_m(xx, yy)
    top = empty if load is None else np.fmax(load.at(xx, yy), empty)
    x0, x1, y0, y1 = bed.footprint_m
    within = ((xx > x0) & (xx < x1) & (yy > y0) & (yy < y1)).astype(np.float64)

    def over_cells(values: Floats) -> Floats:
        means: Floats = values.reshape(ny, PLACES, nx, PLACES).mean(axis=(1, 3))
        return means

    return over_cells(top), over_cells(within) == 1.0


def _taught(lessons: Sequence[_Lesson]) -> NDArray[np.float32]:
    """The generic network, taught on with the cells of this bed."""
    kept = [lesson for lesson in lessons if len(lesson.drops)]
    if len(kept) < FEWEST:
        return generic_weights()
    features = np.concatenate([lesson.features for lesson in kept])
    drops = np.concatenate([lesson.drops for lesson in kept])
    return fit(features, drops, start=generic_weights(), epochs=EPOCHS, rate=RATE)


def _summary(samples: Sequence[Sample], rejected: int, calibration: Calibration, struck_m3: float) -> Summary:
    error, std = errors_and_stds(samples, calibration)
    percent = 100.0 / struck_m3
    return Summary(
        loads=len(samples),
        rejected=rejected,
        bias=float(percent * error.mean()),
        rms=float(percent * np.sqrt(np.mean(error**2))),
        coverage=float(np.mean(np.abs(error) <= 1.96 * std)),
        width=float(percent * 3.92 * std.mean()),
    )


# --- what is written --------------------------------------------------------------------------------------------------


def _grid(bed: BedModel) -> Grid:
    layout = bed.layout
    nx, ny = layout.shape
    x0, y0 = -0.5 * nx * layout.cell_m, -0.5 * ny * layout.cell_m
    return Grid(nx, ny, LEVELS, x0, y0, layout.cell_m, layout.lowest_m, layout.level_m, layout.scale)


def _stored(sensor: Sensor) -> StoredSensor:
    return StoredSensor(
        sensor.id,
        sensor.pose,
        sensor.pose_std_xyz_m,
        sensor.pose_std_rpy_rad,
        sensor.range_noise_m,
        sensor.pose_std_told,
    )


def _provenance(truck: Truck, loads: int, seed: int, summary: Summary) -> dict[str, Any]:
    digests = {path.name: _sha256(path) for _, path in truck.bed.reference}
    if truck.path is not None:
        digests[truck.path.name] = _sha256(truck.path)
    rehearsed = {name: round(value, 6) for name, value in zip(Summary.__slots__, astuple(summary), strict=True)}
    return {"volest": __version__, "loads": loads, "seed": seed, "rehearsed": rehearsed, "inputs": digests}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
