"""A simulated load as files: truck.toml, scans, weight.csv, truth.json, README.md, card.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from volest.errors import SceneError
from volest.pointcloud import PointCloud
from volest.simulate.card import card
from volest.simulate.scene import load_scene
from volest.simulate.simulation import Simulated, simulate

__all__ = ["run", "write"]


def run(scene_path: str | Path, directory: str | Path) -> Simulated:
    """Simulate a scene file into a directory, which is made if it is missing."""
    scene = load_scene(scene_path)
    try:
        simulated = simulate(scene)
    except SceneError as error:
        raise SceneError(f"{scene_path}: {error}") from error
    write(simulated, directory, made_by=f"volest simulate {scene_path} -o {directory}")
    return simulated


def write(simulated: Simulated, directory: str | Path, made_by: str = "") -> None:
    """Write the files of a simulated load; those of the same name are replaced. made_by: the command, for the card."""
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scans = _write_scans(simulated, folder)
        truck = dict(simulated.truck)
        if simulated.empty_scans:
            truck["bed"] = {**truck["bed"], "reference": _write_reference(simulated, folder)}
        (folder / "truck.toml").write_text(_toml(truck), encoding="utf-8")
        command = ["estimate", *scans, "--truck", "truck.toml", *_write_weight(simulated, folder), "--json"]
        truth = _rounded(simulated.truth)
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
            _write_cloud(folder / name, cloud)
            arguments.append(name if single and len(frames) == 1 else f"{sensor}={name}")
    return arguments


def _write_reference(simulated: Simulated, folder: Path) -> str | list[str]:
    """The scans of the empty bed, and what truck.toml says of them."""
    suffix = simulated.scene.format
    if len(simulated.empty_scans) == 1:
        _write_cloud(folder / f"empty.{suffix}", next(iter(simulated.empty_scans.values())))
        return f"empty.{suffix}"
    for sensor, cloud in simulated.empty_scans.items():
        _write_cloud(folder / f"empty-{sensor}.{suffix}", cloud)
    return [f"{sensor}=empty-{sensor}.{suffix}" for sensor in simulated.empty_scans]


def _write_cloud(path: Path, cloud: PointCloud) -> None:
    if path.suffix == ".npz":
        fields = {"xyz": cloud.xyz, "intensity": cloud.intensity, "ring": cloud.ring}
        np.savez_compressed(
            path, allow_pickle=False, **{name: values for name, values in fields.items() if values is not None}
        )
        return
    from volest.io import write_pcd

    write_pcd(path, cloud)


def _write_weight(simulated: Simulated, folder: Path) -> list[str]:
    """The weights, and the arguments that name them."""
    if simulated.gross_kg is not None:
        return ["--weight", f"{simulated.gross_kg:g}"]
    if simulated.weight is None:
        return []
    rows = "".join(f"{time:.3f},{gross:g}\n" for time, gross in simulated.weight)
    (folder / "weight.csv").write_text("time_s,gross_kg\n" + rows, encoding="utf-8")
    return ["--weight", "weight.csv"]


def _toml(truck: dict[str, Any]) -> str:
    """A truck file; values are numbers, strings, lists of them, and inline tables."""
    top = [f"{key} = {_value(value)}" for key, value in truck.items() if not isinstance(value, (dict, list))]
    tables = [("[bed]", truck["bed"]), *(("[[sensor]]", sensor) for sensor in truck["sensor"])]
    tables += [("[scale]", truck["scale"])] if "scale" in truck else []
    blocks = [
        "\n".join([head, *(f"{key} = {_value(value)}" for key, value in table.items())]) for head, table in tables
    ]
    return "\n\n".join(["\n".join(top), *blocks]) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    return json.dumps(value)


def _rounded(value: Any) -> Any:
    """Numbers to seven significant digits, which is far below their error."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value
