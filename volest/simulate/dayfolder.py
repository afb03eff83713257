"""A simulated day as a folder: truck.toml, scans.csv with its scans, weight.csv, gps.csv, truth.json, README.md."""

from __future__ import annotations

import json
from pathlib import Path

from volest.errors import SceneError
from volest.simulate.day import SimulatedDay
from volest.simulate.files import rounded, toml, write_cloud, write_reference

__all__ = ["write_day"]


def write_day(day: SimulatedDay, directory: str | Path) -> None:
    """Write the files of a simulated day; those of the same name are replaced."""
    folder = Path(directory)
    try:
        (folder / "scans").mkdir(parents=True, exist_ok=True)
        truck = dict(day.truck)
        if day.empty_scans:
            truck["bed"] = {**truck["bed"], "reference": write_reference(day.empty_scans, folder, day.scene.format)}
        (folder / "truck.toml").write_text(toml(truck), encoding="utf-8")
        _write_scans(day, folder)
        weights = "".join(f"{time:.3f},{gross:g}\n" for time, gross in day.weight)
        (folder / "weight.csv").write_text("time_s,gross_kg\n" + weights, encoding="utf-8")
        positions = "".join(f"{t:.1f},{lat:.6f},{lon:.6f},{speed:.2f}\n" for t, lat, lon, speed in day.positions)
        (folder / "gps.csv").write_text("time_s,lat,lon,speed_m_s\n" + positions, encoding="utf-8")
        truth = rounded(day.truth)
        command = ["track", ".", "-o", "ledger.jsonl"]
        case = {"case": folder.name, "kind": "day", "command": command, "truth": truth, "scene": truth.pop("scene")}
        (folder / "truth.json").write_text(json.dumps(case, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        line = f"{day.scene.title or 'A truck’s day.'} Simulated: `volest {' '.join(command)}`\n"
        (folder / "README.md").write_text(line, encoding="utf-8")
    except OSError as error:
        raise SceneError(f"{folder}: cannot be written: {error.strerror}") from error


def _write_scans(day: SimulatedDay, folder: Path) -> None:
    rows = []
    for index, taken in enumerate(day.scans):
        path = f"scans/{index:04d}-{taken.sensor}.{day.scene.format}"
        write_cloud(folder / path, taken.cloud)
        rows.append(f"{taken.time_s:.3f},{taken.sensor},{path}\n")
    (folder / "scans.csv").write_text("time_s,sensor,path\n" + "".join(rows), encoding="utf-8")
