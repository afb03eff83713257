"""A simulated load as files: truck.toml, scans, weight.csv, truth.json, README.md, card.md."""

from __future__ import annotations

import json
from pathlib import Path

from volest.errors import SceneError
from volest.simulate.card import card
from volest.simulate.files import rounded, toml, write_cloud, write_reference
from volest.simulate.simulation import Simulated

__all__ = ["write"]


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
