"""Many loads by one recipe, in parts that share no seed: some to learn from, others to test on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from volest.errors import SceneError
from volest.schema import check, nearest
from volest.simulate.scene import Scene, scene_from_dict, scene_to_dict
from volest.simulate.simulation import Simulated, simulate
from volest.simulate.variety import LOADS, MOUNTS, SENSORS, random_scene

__all__ = ["Beds", "Collection", "Entry", "Part", "collection_from_dict", "entries", "simulate_entry"]

MOST_LOADS = 100_000
MOST_SEED = 2**40
MOST_DRAWS = 200
PLACED = ("id", "pose", "pose_std")  # of a sensor

_Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,40}$", description="a word of small letters, digits and -")]
_Names = Annotated[tuple[str, ...], Meta(min_length=1, max_length=200, description="a list of one name or more")]
_Count = Annotated[int, Meta(ge=1, le=MOST_LOADS, description=f"a number of loads from 1 to {MOST_LOADS}")]
_Seed = Annotated[int, Meta(ge=0, le=MOST_SEED, description=f"a whole number from 0 to {MOST_SEED}")]
_Columns = Annotated[int, Meta(ge=16, le=4096, description="columns from 16 to 4096")]
_Metres = Annotated[float, Meta(ge=0.0, le=20.0, description="metres from 0 to 20")]
_Step = Annotated[float, Meta(ge=0.0, le=0.1, description="metres from 0 to 0.1")]
_Span = tuple[_Metres, _Metres]


class Beds(Struct, frozen=True, forbid_unknown_fields=True):
    """Nominal inside dimensions, each from a least to a greatest; others are drawn anew."""

    length_m: Annotated[_Span, Meta(description="two lengths in metres")] = (0.0, 20.0)
    width_m: Annotated[_Span, Meta(description="two widths in metres")] = (0.0, 20.0)
    height_m: Annotated[_Span, Meta(description="two heights in metres")] = (0.0, 20.0)

    def hold(self, scene: Scene) -> bool:
        """Whether the scene's bed lies between them."""
        spans = [(getattr(self, name), getattr(scene.bed, name)) for name in self.__struct_fields__]
        return all(low <= size <= high for (low, high), size in spans)


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Loads that belong together. The kinds take turns fastest, then the views, so that all meet equally often."""

    name: _Word
    first_seed: _Seed  # the loads' seeds follow each other
    count: _Count
    loads: _Names  # kinds that random_scene knows
    views: _Names  # SENSOR@MOUNT
    beds: Beds = Beds()
    reference: Annotated[bool, Meta(description="true or false")] | None = None  # None: three in four have one
    columns: _Columns = 1024  # of os128
    scene: Annotated[dict[str, Any], Meta(description="tables of a scene file")] = {}  # told instead of drawn


class Collection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The recipe."""

    kind: Literal["collection"]
    part: Annotated[tuple[Part, ...], Meta(min_length=1, max_length=100, description="one [[part]] or more")]
    title: str = ""
    format: Annotated[Literal["pcd", "npz"], Meta(description="pcd or npz")] = "npz"
    point_step_m: _Step = 0.0
    crop_m: _Metres = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One load of a part."""

    part: Part
    number: int

    @property
    def kind(self) -> str:
        """The kind of load."""
        return self.part.loads[self.number % len(self.part.loads)]

    @property
    def drawn_view(self) -> tuple[str, str]:
        """Sensor and mount, as random_scene takes them."""
        sensor, _, mount = self.part.views[self.number // len(self.part.loads) % len(self.part.views)].partition("@")
        return sensor, mount

    @property
    def sensor(self) -> str:
        """The sensor, or the model that the part's scene tells in its place."""
        told = self.part.scene.get("sensor")
        return str((told.get("model") if isinstance(told, dict) else None) or self.drawn_view[0])

    @property
    def view(self) -> str:
        """SENSOR@MOUNT."""
        return f"{self.sensor}@{self.drawn_view[1]}"

    @property
    def seed(self) -> int:
        """Of its random stream."""
        return self.part.first_seed + self.number

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.number:04d}-{self.kind}-{self.view.replace('@', '-')}"


def collection_from_dict(document: dict[str, Any], source: str) -> Collection:
    """A recipe from nested dicts, as TOML gives them; SceneError names the key, what was found and what expected."""
    collection = check(document, Collection, source, SceneError)
    names = [part.name for part in collection.part]
    if len(set(names)) != len(names):
        raise SceneError(f"{source}: part.name: found {names}, expected each name once")
    for index, part in enumerate(collection.part):
        where = f"{source}: part[{index}]"
        for load in part.loads:
            _known(load, LOADS, f"{where}.loads")
        for view in part.views:
            sensor, _, mount = view.partition("@")
            _known(sensor, SENSORS, f"{where}.views: {view}")
            _known(mount, MOUNTS, f"{where}.views: {view}")
    _keep_apart(collection.part, source)
    return collection


def _known(name: str, names: dict[str, float], where: str) -> None:
    if name not in names:
        raise SceneError(f"{where}: found {name!r}, expected {nearest(name, names)}")


def _keep_apart(parts: tuple[Part, ...], source: str) -> None:
    """No load of one part may be one of another."""
    ordered = sorted(parts, key=lambda part: part.first_seed)
    for one, other in pairwise(ordered):
        if one.first_seed + one.count > other.first_seed:
            raise SceneError(
                f"{source}: part.first_seed: found seeds that {one.name} and {other.name} share, "
                f"expected {other.name} to begin at {one.first_seed + one.count} or later"
            )


def entries(collection: Collection) -> Iterator[Entry]:
    """All loads, part after part."""
    for part in collection.part:
        for number in range(part.count):
            yield Entry(part, number)


def simulate_entry(collection: Collection, entry: Entry) -> Simulated:
    """The first load of the entry's seed that lies in a bed as the part wants it and can lie there."""
    part, (sensor, mount) = entry.part, entry.drawn_view
    written = {"format": collection.format, "point_step_m": collection.point_step_m, "crop_m": collection.crop_m}
    told = "no bed drawn lies within part.beds"
    for attempt in range(MOST_DRAWS):
        rng = np.random.default_rng([entry.seed, attempt])
        scene = random_scene(
            rng, load=entry.kind, sensor=sensor, mount=mount, reference=part.reference, columns=part.columns
        )
        if not part.beds.hold(scene):
            continue
        scene = _told(msgspec.structs.replace(scene, **written), part)
        try:
            return simulate(scene)
        except SceneError as error:  # too steep to lie in this bed
            told = str(error)
    raise SceneError(f"{part.name}/{entry.name}: {MOST_DRAWS} loads were drawn and none can be simulated: {told}")


def _told(scene: Scene, part: Part) -> Scene:
    """The scene with what the part tells of it: a sensor is all the part's but for its place, tables else are laid over
    those that were drawn."""
    if not part.scene:
        return scene
    drawn = scene_to_dict(scene)
    for key, value in part.scene.items():
        if key == "sensor" and isinstance(value, dict):
            places = [{name: each[name] for name in PLACED if name in each} for each in drawn["sensor"]]
            drawn[key] = [place | value for place in places]
        elif isinstance(value, dict) and isinstance(drawn.get(key, {}), dict):
            drawn[key] = drawn.get(key, {}) | value
        else:
            drawn[key] = value
    return scene_from_dict(drawn, f"part {part.name}: scene")
