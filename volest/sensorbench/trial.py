"""One trial: a load drawn at random, scanned by a sensor of the catalogue at a mount, and estimated."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from volest.catalogue import SensorModel
from volest.errors import InputError, ScanError, SceneError
from volest.estimator import Estimator
from volest.result import Result
from volest.schema import convert
from volest.sensorbench.mounts import Mount
from volest.sensorbench.row import Row
from volest.simulate import random_scene, simulate
from volest.simulate.catalogued import sensor_scene
from volest.simulate.files import write_reference
from volest.simulate.scene import BedScene, LoadScene, PoseScene, PoseStd, Scene, SensorScene, WeightScene
from volest.simulate.simulation import Simulated
from volest.simulate.variety import LOADS, choose, random_load
from volest.truck import Bed, Truck

__all__ = ["REPEATS", "Contender", "Stage", "drawn_scene", "rows_of"]

REPEATS = 2
MOST_TRIES = 20  # to draw a load that can lie in the bed
FACETS_DEG = (20.0, 40.0)  # of waste and earth: 30 for plaster, 35 for sand (volest.simulate.world.from_facets)


@dataclass(frozen=True, slots=True)
class Contender:
    """A sensor at a mount."""

    sensor: str
    model: SensorModel
    mount: Mount


@dataclass(frozen=True, slots=True)
class Stage:
    """What all trials share: the seed that the loads follow from, and the truck, or trucks of all sizes."""

    seed: int
    bed: Bed | None = None  # nominal inside dimensions; None: another truck each load
    reference: bool = True  # whether the empty bed is scanned
    frames: int = 1  # fused in one estimate
    repeats: int = REPEATS
    kinds: tuple[str, ...] | None = None  # of loads; None: all, with the shares that the generator has


def rows_of(stage: Stage, contender: Contender, number: int) -> list[Row]:
    """The rows of load `number`; nothing but the stage, the contender and the number decide what they say, ms apart."""
    for attempt in range(MOST_TRIES):
        scene = drawn_scene(stage, number, attempt)
        places = contender.mount.places(scene.bed, contender.model)
        frames = stage.frames * stage.repeats
        sensors = tuple(
            sensor_scene(
                contender.model,
                id=place.id,
                pose=PoseScene(place.xyz_m, place.rpy_deg),
                pose_std=PoseStd(place.pose_std_m, place.pose_std_deg),
                frames=frames,
            )
            for place in places
        )
        try:
            return _estimated(stage, contender, number, simulate(_with_sensors(scene, sensors)))
        except SceneError as error:  # too steep a heap for its volume: for all contenders alike
            problem = error
    raise SceneError(f"load {number}: no load can lie in the bed: {problem}")


def drawn_scene(stage: Stage, number: int, attempt: int = 0) -> Scene:
    """The truck and the load of that number, with a sensor that is to be replaced."""
    rng = np.random.default_rng([stage.seed, number, attempt])
    kind = None if stage.kinds is None else stage.kinds[number % len(stage.kinds)]
    scene = random_scene(rng, load=kind, sensor="os128", mount="front", reference=stage.reference)
    facets_deg = float(np.random.default_rng([stage.seed, number, attempt, 1]).uniform(*FACETS_DEG))
    scene = msgspec.structs.replace(scene, material=msgspec.structs.replace(scene.material, facets_deg=facets_deg))
    if stage.bed is None:
        return scene
    length, width, height = stage.bed.length_m, stage.bed.width_m, stage.bed.height_m
    load = random_load(rng, kind or choose(rng, LOADS), length, width, height)
    return msgspec.structs.replace(scene, bed=_resized(scene.bed, stage.bed), load=convert(load, LoadScene))


def _resized(bed: BedScene, to: Bed) -> BedScene:
    """A bed with these nominal dimensions that departs from them as this one does."""
    along, across, up = to.length_m / bed.length_m, to.width_m / bed.width_m, to.height_m / bed.height_m
    replace = msgspec.structs.replace
    length, width, height = bed.doghouse_m
    return replace(
        bed,
        length_m=to.length_m,
        width_m=to.width_m,
        height_m=to.height_m,
        dents=tuple(replace(dent, x_m=dent.x_m * along, y_m=dent.y_m * across) for dent in bed.dents),
        arches=tuple(
            replace(a, x_m=a.x_m * along, length_m=a.length_m * along, height_m=a.height_m * up) for a in bed.arches
        ),
        doghouse_m=(length * along, width * across, height * up),
    )


def _with_sensors(scene: Scene, sensors: tuple[SensorScene, ...]) -> Scene:
    return msgspec.structs.replace(
        scene, sensor=sensors, weight=WeightScene(kind="none"), merged=False, reference_pose="same"
    )


def _estimated(stage: Stage, contender: Contender, number: int, simulated: Simulated) -> list[Row]:
    truth = simulated.truth
    return [
        Row(
            sensor=contender.sensor,
            mount=contender.mount.name,
            load=number,
            repeat=repeat,
            kind=simulated.scene.load.kind,
            recorded=False,
            status="",
            struck_capacity_m3=truth["struck_capacity_m3"],
            truth_m3=truth["volume_m3"],
            visible_fraction=truth["visible_fraction"],
        ).estimated(result, points, result.timing_ms.get("estimate"))
        for repeat, (result, points) in enumerate(_results(stage, simulated))
    ]


def _results(stage: Stage, simulated: Simulated) -> Iterator[tuple[Result, int]]:
    """The result of each repeat, and of how many returns it was made."""
    try:
        estimator: Estimator | ScanError = _estimator(simulated)
    except ScanError as error:  # the bed is not found in the scan of it: the sensor's fault, not an error of the bench
        estimator = error
    except InputError as error:
        raise SceneError(str(error)) from error
    for repeat in range(stage.repeats):
        part = slice(repeat * stage.frames, (repeat + 1) * stage.frames)
        scans = {name: [cloud.xyz for cloud in clouds[part]] for name, clouds in simulated.scans.items()}
        points = sum(len(xyz) for clouds in scans.values() for xyz in clouds)
        if isinstance(estimator, ScanError):
            flags = () if estimator.flag is None else (estimator.flag,)
            reason = str(estimator).partition(": ")[2]  # without the path of a file that is gone
            yield Result(simulated.truck["id"], "rejected", flags, reasons=(reason,)), points
        else:
            yield estimator.estimate(scans), points


def _estimator(simulated: Simulated) -> Estimator:
    with tempfile.TemporaryDirectory(prefix="volest-") as folder:
        document = dict(simulated.truck)
        if simulated.empty_scans:
            names = write_reference(simulated.empty_scans, Path(folder), "npz")
            document["bed"] = {**document["bed"], "reference": names}
        return Estimator(Truck.from_dict(document, folder))
