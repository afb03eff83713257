"""A simulated load as files: truck.toml, scans, weight.csv, truth.json, README.md, card.md."""

from __future__ import annotations

import json
from pathlib import Path

from volest.errors import SceneError
from volest.simulate.card import card
from volest.simulate.day import SimulatedDay, simulate_day
from volest.simulate.dayfolder import write_day
from volest.simulate.dayscene import day_from_dict
from volest.simulate.files import rounded, toml, write_cloud, write_reference
from volest.simulate.scene import read_document, scene_from_dict
from volest.simulate.simulation import Simulated, simulate

__all__ = ["run", "write"]


def run(scene_path: str | Path, directory: str | Path) -> Simulated | SimulatedDay:
    """Simulate a scene file, of a load or (`kind = "day"`) of a day, into a directory, which is made if missing."""
    document = read_document(scene_path)
    try:
        if document.get("kind") == "day":
            day = simulate_day(day_from_dict(document, str(scene_path)))
            write_day(day, directory)
            return day
        scene = scene_from_dict(document, str(scene_path))
        simulated = simulate(scene)
    except SceneError as error:
        raise SceneError(_placed(error, scene_path)) from error
    write(simulated, directory, made_by=f"volest simulate {scene_path} -o {directory}")
    return simulated


def _placed(error: SceneError, path: str | Path) -> str:
    message = str(error)
    return message if message.startswith(str(path)) else f"{path}: {message}"


def write(simulated: Simulated, directory: str | Path, made_by: str = "") -> None:
    """Write the files of a simulated load; those of the same name are replaced. made_by: the command, for the card."""
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scans = _write_scans(simulated, folder)
        truck = dict(simulated.truck)
        if simulated.empty_scans:
            truck["bed"] = {
                **truck["bed"],
                "reference": write_reference(simulated.empty_scans, folder, simulated.scene.format),
            }
        (folder / "truck.toml").write_text(toml(truck), encoding="utf-8")
        command = ["estimate", *scans, "--truck", "truck.toml", *_write_weight(simulated, folder), "--json"]
        truth = rounded(simulated.truth)
        case = {"case": folder.name, "kind": "load", "command": command, "truth": truth, "scene": truth.pop("scene")}
        (folder / "truth.json").write_text(json.dumps(case, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        line = f"{simulated.scene.load.kind} load, simulated: `volest {' '.join(command)}`\n"
        (folder / "README.md").write_text(line, encoding="utf-8")
        (folder / "card.md").write_text(card(simulated, folder.name, made_by), encoding="utf-8")
    except OSError as error:
        raise SceneError(f"{folder}: cannot be written: {error.strerror}") from error


def _write_scans(simulated: Simulated, folder: Path) -> list[str]:
    """The scans, and the arguments that name them."""
    arguments = []
    single = len(simulated.scans) == 1
    for sensor, frames in simulated.scans.items():
        for index, cloud in enumerate(frames):
            name = (
                f"{sensor}.{simulated.scene.format}"
                if len(frames) == 1
                else f"{sensor}-{index}.{simulated.scene.format}"
            )
            write_cloud(folder / name, cloud)
            arguments.append(name if single and len(frames) == 1 else f"{sensor}={name}")
    return arguments


def _write_weight(simulated: Simulated, folder: Path) -> list[str]:
    """The weights, and the arguments that name them."""
    if simulated.gross_kg is not None:
        return ["--weight", f"{simulated.gross_kg:g}"]
    if simulated.weight is None:
        return []
    rows = "".join(f"{time:.3f},{gross:g}\n" for time, gross in simulated.weight)
    (folder / "weight.csv").write_text("time_s,gross_kg\n" + rows, encoding="utf-8")
    return ["--weight", "weight.csv"]
