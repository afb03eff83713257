"""How much is in the bed: the method, from scans and weight to a result."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import astuple
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest import _core
from volest._core import Integral, RayReach
from volest.bed import BedModel, Layout, PlacedScan
from volest.errors import InputError, ScanError
from volest.frames import Change, change_between
from volest.fusion import fuse
from volest.hidden import generic_weights
from volest.io import read_points
from volest.io.mesh import is_mesh
from volest.meshbed import points_of_mesh
from volest.pointcloud import Frame, PackedPoints, RangeImage, is_return
from volest.quantity import Quantity
from volest.reference import bed_from_scans, refined_bed
from volest.registration import COVERED, FLIPS, Misfit, Placement, Prior, check_reference, place, prior_of
from volest.result import SEEN, Result, Surface
from volest.truck import Scale, Sensor, Truck
from volest.uncertainty import GENERIC, Calibration, Terms
from volest.weight import GrossMass, gross_mass, mass_budget, net_mass
from volest.wetness import NO_EVIDENCE, Evidence

__all__ = ["Estimator", "Scan"]

Scan = NDArray[np.floating] | PackedPoints | RangeImage
_Found = dict[str, Any]  # fields of a result
_Outcome = SimpleQueue[Result | BaseException]  # of one load
_Task = tuple[Mapping[str, Any], _Outcome]

WEIGHED = ("net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction", "waste_class")
NOTHING_INSIDE = "no return comes from inside the bed"
MESH_PRIOR = Prior(np.eye(4), np.array([1e-3] * 3 + [3e-4] * 3), rays=False)  # a mesh is told in the bed frame
AHEAD = 4  # loads that are asked for ahead, for each worker
MOST_FRAMES = 64
MOST_RAYS = 16  # tables of directions that are remembered
MOST_POINTS = 2**24 - 1  # what a voxel can count


class Estimator:
    """Estimates loads of one truck; what does not change from load to load is done once, here.

    Raises InputError when the truck's reference scans cannot be used. Safe to share between threads, which then take
    turns; `estimate_many` uses all cores. `find_bed=False` believes the poses as the truck file tells them, and does
    not look for the bed in the scans. `lower_hidden=False` leaves what is hidden on the membrane, as the network that
    lowers it was taught.
    """

    def __init__(self, truck: Truck, *, find_bed: bool = True, lower_hidden: bool = True) -> None:
        self.truck = truck
        self._finds_bed = find_bed
        self._sensors: dict[str | None, Sensor | None] = {sensor.id: sensor for sensor in truck.sensors} or {None: None}
        self._priors = {name: prior_of(sensor) for name, sensor in self._sensors.items()}
        learned = truck.commissioned
        self.reference: Sequence[
            tuple[str, PlacedScan]
        ] = ()  # the scans of the empty bed, by sensor, as they lie in it
        if learned is None:
            self._empty, self.reference = _bed(truck, self._sensors)
        else:
            self._empty = BedModel.stored(_layout(truck), learned.bed)
        self._is_nominal = learned is None and not truck.bed.reference
        weights = generic_weights() if learned is None else learned.hidden_weights
        calibration = GENERIC if learned is None else Calibration.stored(learned.calibration)
        self._known = _core.Knowledge(
            weights if lower_hidden else None, np.array(astuple(calibration)), learned is not None
        )
        self._set_bed(self._empty)
        self._rays: deque[tuple[NDArray[np.float32], Prior, RayReach]] = deque(maxlen=MOST_RAYS)
        self._assessed: _core.Assessment | None = None
        self._lock = threading.Lock()
        self._idle: SimpleQueue[Estimator] = SimpleQueue()  # twins of `estimate_many`

    def _set_bed(self, bed: BedModel) -> None:
        """The bed and its engine, of the load that was measured last."""
        self.bed, self._engine = bed, bed.engine()

    def estimate_many(
        self,
        loads: Iterable[Mapping[str, Any]],
        *,
        workers: int | None = None,
    ) -> Generator[Result, None, None]:
        """The results of many loads in their order, several at once; a load is what `estimate` takes, by name.

        `workers` threads (None: one a core), each with an engine of its own, share the truck; no more than four
        times as many loads as there are workers are asked for ahead. An error that a load raises comes in its turn.
        """
        count = workers or len(os.sched_getaffinity(0))
        # Plain queues: what a pool keeps of each task costs a tenth of a load.
        tasks: SimpleQueue[_Task | None] = SimpleQueue()
        pending: deque[_Outcome] = deque()
        threads = [threading.Thread(target=self._work_off, args=(tasks,), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for load in loads:
                pending.append(SimpleQueue())
                tasks.put((load, pending[-1]))
                if len(pending) >= AHEAD * count:
                    yield _result(pending.popleft())
            while pending:
                yield _result(pending.popleft())
        finally:
            with suppress(Empty):
                while True:  # what nobody waits for any more
                    tasks.get_nowait()
            for _ in threads:
                tasks.put(None)
            for thread in threads:
                thread.join()

    def _work_off(self, tasks: SimpleQueue[_Task | None]) -> None:
        """Estimates one load after the other until there is None."""
        twin = self._idle_twin()
        while (task := tasks.get()) is not None:
            load, outcome = task
            try:
                outcome.put(twin.estimate(**load))
            except BaseException as error:
                outcome.put(error)  # raised where it is asked for
        self._idle.put(twin)

    def _idle_twin(self) -> Estimator:
        """An estimator of the same truck with an engine of its own, made when all others are at work."""
        try:
            return self._idle.get_nowait()
        except Empty:
            twin = copy(self)
            twin._lock = threading.Lock()
            twin._set_bed(self._empty)
            return twin

    def estimate(
        self,
        scans: Scan | Mapping[str, Scan | Sequence[Scan]],
        gross_kg: float | GrossMass | None = None,
        load_id: str = "",
        *,
        evidence: Evidence = NO_EVIDENCE,
    ) -> Result:
        """One load from scans in the sensors' own frames, and the gross mass [kg] if it is known.

        `evidence` is what tells of its wet mass fraction beside the density.

        `scans` is one array (N, 3) [m], PackedPoints or RangeImage, or a mapping from sensor id to one or to several
        frames of it; rows of NaN or 0 0 0 are rays without a return. What is in the scans is never an error: a load
        that cannot be measured gives a result with the status `rejected`. Raises InputError for arrays of another shape
        and for unknown sensors.
        """
        started = time.perf_counter()
        frames = self._frames(scans)
        count = sum(len(frame) for _, frame in frames)
        if count > MOST_POINTS:
            raise InputError(f"scans: found {count:,} points, expected at most {MOST_POINTS:,} in all frames together")
        gross = self._gross(gross_kg)
        with self._lock:
            found = self._measured(frames)
        if gross is not None:
            self._weigh(found, *gross, evidence)
        elif found["status"] != "rejected":
            found["flags"] = (*found["flags"], "weight_missing")
        found["flags"] = tuple(sorted(set(found["flags"])))
        found["timing_ms"] = {"estimate": 1e3 * (time.perf_counter() - started)}
        return Result(load_id=load_id, **found)

    def measure(self, frames: Sequence[tuple[Sensor | None, Frame]]) -> Result:
        """The volume alone, of frames whose sensors' poses may be told otherwise than the truck's."""
        return Result(**self._measured(frames))

    def _measured(self, frames: Sequence[tuple[Sensor | None, Frame]]) -> _Found:
        """The method: find the bed in each scan, gather their points, complete the surface, integrate."""
        if self._is_nominal and self.bed is not self._empty:
            self._set_bed(self._empty)
        self._engine.clear()
        placed: dict[str | None, list[Placement]] = {}
        for sensor, frame in frames:
            if not frame.has_return():
                continue
            prior = self._prior(sensor)
            found = place(self._engine, prior, self._ahead(frame, prior), find_bed=self._finds_bed)
            if isinstance(found, Misfit):
                return self._rejected(found.flag, found.reason)
            placed.setdefault(sensor.id if sensor else None, []).append(found)
        if not placed:
            return self._rejected("no_points", "no scan has a single return")
        placements = [placement for series in placed.values() for placement in series]
        if self._is_nominal:
            self._refine(placements)
        changes = [self._change(series) for series in placed.values() if len(series) > 1]
        # Passed over once more only where another bed or single frames came between.
        if changes or self.bed is not self._empty:
            self._look(placements)
        noise = max(s.range_noise_m if s else 0.01 for s, _ in frames)
        scans = [(p.frame.points, p.core, i) for i, series in enumerate(placed.values()) for p in series]
        return self._told(_core.assess(self._engine, scans, self._known, noise, changes))

    def _refine(self, placements: Sequence[Placement]) -> None:
        """Puts the walls of a nominal bed where these scans show them, if it seems to be elsewhere."""
        if not any(p.found.walls_off for p in placements):
            return
        self._complete(placements)
        scans = [PlacedScan(p.xyz, p.pose, p.rays, 0.0) for p in placements]
        refined = refined_bed(self.bed, scans, self.height_m())
        if refined is not self.bed:
            self._set_bed(refined)

    def _look(self, placements: Sequence[Placement]) -> None:
        """Gives the engine these scans instead of what it holds."""
        engine = self._engine
        engine.clear()
        for p in placements:
            engine.pass_over(p.frame.points, p.found, p.rays)
            engine.keep()

    def _complete(self, placements: Sequence[Placement]) -> None:
        """The surface of these scans, which the engine holds."""
        _core.complete(self._engine, [(p.frame.points, p.core, 0) for p in placements], self._known)

    def _change(self, series: Sequence[Placement]) -> Change:
        """What changed between the frames of one sensor."""
        heights, volumes = [], []
        for frame in series:
            self._look([frame])
            self._complete([frame])
            heights.append(np.where(self.seen(), self.height_m(), np.float32(np.nan)))
            volumes.append(self.integral().volume)
        return change_between(np.stack(heights), volumes, self.bed.layout.scale)

    def placed(self, scans: Scan | Mapping[str, Scan | Sequence[Scan]]) -> list[PlacedScan]:
        """Scans, as `estimate` takes them, where they lie in the bed; those that do not show it are left out."""
        with self._lock:
            self._engine.clear()
            frames = [(self._prior(sensor), frame) for sensor, frame in self._frames(scans) if frame.has_return()]
            found = [place(self._engine, prior, frame, find_bed=self._finds_bed) for prior, frame in frames]
        return [PlacedScan(p.xyz, p.pose, p.rays, 0.0) for p in found if not isinstance(p, Misfit)]

    @property
    def terms(self) -> Terms | None:
        """What the error grows with of the load that was estimated last."""
        return None if self._assessed is None else Terms(*self._assessed.terms.tolist())

    def integral(self) -> Integral:
        """The integrals of the load that was measured last."""
        return self._engine.integral()

    def hidden_features(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Of that load: the cells without returns as flat indices (N,), and what each shows of itself (N, F)."""
        return self._engine.hidden_features()

    def height_m(self) -> NDArray[np.float32]:
        """Of that load: the surface (ny, nx)."""
        return self._engine.height

    def seen(self) -> NDArray[np.bool_]:
        """Of that load: which cells (ny, nx) have returns of their own."""
        seen: NDArray[np.bool_] = self._engine.state == SEEN
        return seen

    def _told(self, load: _core.Assessment) -> _Found:
        """What the core found, as fields of the result."""
        if load.verdict == "nothing_inside":
            return self._rejected("no_points", NOTHING_INSIDE)
        if load.verdict == "covered":
            return self._rejected("tarp", COVERED)
        if load.verdict == "dust":
            return self._rejected("dust", f"{100 * load.sight.rejected:.0f} % of the returns are of no surface")
        self._assessed = load
        integral = load.integral
        return {
            "truck_id": self.truck.id,
            "status": load.verdict,
            "flags": load.flags,
            "volume_m3": Quantity(*load.volume_m3),
            "struck_capacity_m3": integral.struck_capacity,
            "fill_ratio": load.fill_ratio,
            "seen_fraction": load.seen_fraction,
            "rejected_fraction": load.sight.rejected,
            "centroid_m": load.centroid_m,
            "heaped_volume_m3": integral.heaped,
            "volume_budget_m3": load.budget_m3,
            "surface": self._surface(),
        }

    def _gross(self, gross_kg: float | GrossMass | None) -> tuple[GrossMass, Scale] | None:
        """The gross mass with the scale that read it."""
        if gross_kg is None:
            return None
        scale = self.truck.scale
        if scale is None:
            raise InputError(f"truck {self.truck.id}: found a weight but no [scale], expected its tare_kg")
        return (gross_kg if isinstance(gross_kg, GrossMass) else gross_mass(gross_kg, scale)), scale

    def _weigh(self, found: _Found, gross: GrossMass, scale: Scale, evidence: Evidence) -> None:
        """Adds what the scale tells."""
        found["flags"], found["reasons"] = (*found["flags"], *gross.flags), (*found.get("reasons", ()), *gross.reasons)
        if found["status"] == "rejected":
            return
        fused = fuse(
            found["volume_m3"],
            net_mass(gross, scale),
            self.truck.waste,
            evidence,
            volume_budget_m3=found["volume_budget_m3"],
            mass_budget_kg=mass_budget(gross, scale),
        )
        if "weight_volume_mismatch" in fused.flags:
            found["status"] = "degraded"
        found["flags"] += fused.flags
        found["reasons"] += fused.reasons
        for name in WEIGHED:
            found[name] = getattr(fused, name)

    def _rejected(self, flag: str, reason: str) -> _Found:
        return {"truck_id": self.truck.id, "status": "rejected", "flags": (flag,), "reasons": (reason,)}

    def _surface(self) -> Surface:
        """Copies of the height maps of the load that was measured last."""
        engine = self._engine
        return Surface(self.bed, engine.height, engine.bound, engine.state)

    def _prior(self, sensor: Sensor | None) -> Prior:
        """What is told of a sensor's pose."""
        name = None if sensor is None else sensor.id
        return self._priors[name] if self._sensors.get(name) is sensor else prior_of(sensor)

    def _ahead(self, frame: Frame, prior: Prior) -> Frame:
        """A range image with what is known ahead of its rays, worked out once for each table of directions."""
        if frame.image is None:
            return frame
        directions = frame.image.directions
        for known, told, reach in tuple(self._rays):  # twins add to it, too
            if known is directions and told is prior:
                return frame.along(reach)
        reach = self._engine.look_along(directions, prior.pose, prior.core.reach_m(self._engine))
        self._rays.append((directions, prior, reach))
        return frame.along(reach)

    def _frames(self, scans: Scan | Mapping[str, Scan | Sequence[Scan]]) -> list[tuple[Sensor | None, Frame]]:
        """The scans as (sensor, frame); the same frame twice says nothing new and is dropped."""
        known = self._sensors
        if isinstance(scans, Mapping):
            entries = [(name, scan) for name, given in scans.items() for scan in _several(given)]
        elif len(known) == 1:
            entries = [(next(iter(known)), scans)]  # type: ignore[list-item]
        else:
            raise InputError(f"scans: found one array, expected a mapping from {', '.join(map(str, known))} to scans")
        if not 0 < len(entries) <= MOST_FRAMES:
            raise InputError(f"scans: found {len(entries)} frames, expected 1 to {MOST_FRAMES}")
        frames: list[tuple[Sensor | None, Frame]] = []
        for name, scan in entries:
            key = None if not self.truck.sensors else name
            if key not in known:
                raise InputError(f"scans: found the sensor {name!r}, expected {', '.join(map(str, known))}")
            frame = _frame(scan, str(name))
            if not any(known[key] is sensor and frame.same_as(other) for sensor, other in frames):
                frames.append((known[key], frame))
        return frames


def _layout(truck: Truck) -> Layout:
    return Layout(truck.bed.length_m, truck.bed.width_m, truck.bed.height_m)


def _bed(
    truck: Truck, sensors: Mapping[str | None, Sensor | None]
) -> tuple[BedModel, Sequence[tuple[str, PlacedScan]]]:
    """The empty bed of a truck, from its reference scans if it has any, and those as they lie in it."""
    layout = _layout(truck)
    if not truck.bed.reference:
        return BedModel.nominal(layout), ()
    clouds = [_reference_cloud(path, sensors, name, layout) for name, path in truck.bed.reference]

    def fit(flip: NDArray[np.float64]) -> tuple[BedModel, Sequence[PlacedScan], str, Misfit | None]:
        told = [PlacedScan(xyz, prior.pose @ flip, prior.rays, prior.std_m) for _, _, prior, xyz in clouds]
        bed, scans = bed_from_scans(layout, told)
        engine = bed.engine()
        for (path, *_), scan in zip(clouds, scans, strict=True):
            misfit = check_reference(engine, scan)
            if misfit is not None:
                return bed, scans, str(path), misfit
        return bed, scans, "", None

    bed, scans, culprit, misfit = fit(np.eye(4))
    if misfit is None:
        return bed, [(name, scan) for (_, name, *_), scan in zip(clouds, scans, strict=True) if name is not None]
    if any(fit(flip)[3] is None for flip in FLIPS):
        misfit = Misfit("upside_down", "the bed is found only with the sensor turned over")
    raise ScanError(f"{culprit}: reference scan: {misfit.reason}", flag=misfit.flag)


def _reference_cloud(
    path: Path, sensors: Mapping[str | None, Sensor | None], name: str | None, layout: Layout
) -> tuple[Path, str | None, Prior, NDArray[np.float32]]:
    """What shows the empty bed, with the sensor that took it, None for a mesh, and where it was taken from."""
    if is_mesh(path):
        return path, None, MESH_PRIOR, points_of_mesh(path, layout)
    if name is None and len(sensors) > 1:
        known = ", ".join(f"{sensor}={path.name}" for sensor in sensors)
        raise ScanError(f"{path}: found a scan, expected to be told its sensor: {known}", flag="no_bed")
    sensor = sensors[name] if name is not None else next(iter(sensors.values()))
    xyz = read_points(path).xyz
    if not is_return(xyz).any():
        raise ScanError(f"{path}: reference scan without a single return", flag="no_points")
    return path, sensor.id if sensor is not None else "", prior_of(sensor), xyz


def _result(of: _Outcome) -> Result:
    """What became of a load, or the error that it raised."""
    outcome = of.get()
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _several(given: Scan | Sequence[Scan]) -> Sequence[Scan]:
    return [given] if isinstance(given, np.ndarray | PackedPoints | RangeImage) else given


def _frame(scan: Scan, name: str) -> Frame:
    if isinstance(scan, PackedPoints | RangeImage):
        return Frame.of(scan)
    if not isinstance(scan, np.ndarray) or scan.ndim != 2 or scan.shape[1] < 3 or scan.dtype.kind not in "fiu":
        found = f"{scan.dtype}{scan.shape}" if isinstance(scan, np.ndarray) else type(scan).__name__
        raise InputError(f"scan {name}: found {found}, expected an (N, 3) array of numbers in metres")
    return Frame.of(scan)
