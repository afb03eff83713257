"""A box of a truck with a level load, as files: small, and known in closed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRUCK = """\
schema = 1
id = "BOX-1"
[bed]
length_m = 4.0
width_m = 2.0
height_m = 1.0
[[sensor]]
id = "top"
range_noise_m = 0.01
pose = { xyz_m = [0.0, 0.0, 4.0], rpy_deg = [0.0, 0.0, 0.0] }
pose_std = { xyz_m = 0.005, rpy_deg = 0.1 }
[scale]
tare_kg = 4000.0
tare_std_kg = 10.0
"""


def scan(level_m: float = 0.5, step_m: float = 0.04) -> NDArray[np.float32]:
    """What a sensor 4 m over the floor sees of a 4 x 2 x 1 m box filled to `level_m`: (N, 3) m, sensor frame."""

    def between(low: float, high: float) -> NDArray[np.float64]:
        return np.arange(low + step_m / 2, high, step_m)

    def patch(x: object, y: object, z: object) -> NDArray[np.float64]:
        return np.stack(np.broadcast_arrays(x, y, z), axis=-1).reshape(-1, 3).astype(np.float64)  # type: ignore[arg-type]

    along, across, up = between(-2, 2), between(-1, 1), between(level_m, 1)
    rim = np.array([0.01, 0.03, 0.05])
    parts = [patch(along[:, None], across, level_m)]
    for side in (-1.0, 1.0):
        parts += [patch(side * 2.0, across[:, None], up), patch(side * (2.0 + rim), across[:, None], 1.0)]
        parts += [patch(along[:, None], side * 1.0, up), patch(along[:, None], side * (1.0 + rim), 1.0)]
    return (np.concatenate(parts) - [0.0, 0.0, 4.0]).astype(np.float32)


def write_box(folder: Path, level_m: float = 0.5, truck: str = TRUCK) -> Path:
    """A folder with truck.toml, top.npy, weight.csv (5000 kg) and truth.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truck.toml").write_text(truck)
    np.save(folder / "top.npy", scan(level_m))
    rows = "".join(f"{0.1 * i:.1f},{5000 + 10 * (-1) ** i}\n" for i in range(100))
    (folder / "weight.csv").write_text("time_s,gross_kg\n" + rows)
    truth = {"volume_m3": 8.0 * level_m, "struck_capacity_m3": 8.0}
    command = ["estimate", "top=top.npy", "--truck", "truck.toml", "--weight=weight.csv", "--json"]
    (folder / "truth.json").write_text(
        json.dumps({"case": folder.name, "kind": "load", "command": command, "truth": truth})
    )
    return folder
