"""What a scene file asks for, made: a load, a truck's day, or a collection of loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from volest.errors import SceneError
from volest.simulate.collection import collection_from_dict
from volest.simulate.collectionfolder import Made, make_collection
from volest.simulate.day import SimulatedDay, simulate_day
from volest.simulate.dayfolder import write_day
from volest.simulate.dayscene import day_from_dict
from volest.simulate.output import write
from volest.simulate.scene import read_document, scene_from_dict
from volest.simulate.simulation import Simulated, simulate

__all__ = ["run"]


def run(
    scene_path: str | Path, directory: str | Path, tell: Callable[[str], None] = lambda _: None
) -> Simulated | SimulatedDay | Made:
    """Simulate a scene file into a directory, which is made if missing: a load, or what its `kind` names.

    `kind` may be `"day"` or `"collection"`; `tell` hears how far a collection is.
    """
    document, source = read_document(scene_path), str(scene_path)
    try:
        if document.get("kind") == "collection":
            return make_collection(collection_from_dict(document, source), Path(scene_path), Path(directory), tell)
        if document.get("kind") == "day":
            day = simulate_day(day_from_dict(document, source))
            write_day(day, directory)
            return day
        simulated = simulate(scene_from_dict(document, source))
    except SceneError as error:
        raise SceneError(_placed(error, scene_path)) from error
    write(simulated, directory, made_by=f"volest simulate {scene_path} -o {directory}")
    return simulated


def _placed(error: SceneError, path: str | Path) -> str:
    message = str(error)
    return message if message.startswith(str(path)) else f"{path}: {message}"
