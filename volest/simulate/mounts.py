"""Sensors drawn at random: which, where, how well their place is known and how they err."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["draw_pose_std", "draw_sensor"]

Table = dict[str, Any]
NAMES = {"overhead": "top", "front": "mast", "side": "side", "rear": "rear"}


def draw_pose_std(rng: np.random.Generator, gate: bool) -> Table | None:
    """From a surveyed mast to, where it may be, a gate where trucks park by eye; None where the truck file is mute."""
    kind = rng.random()
    if kind < 0.12:
        return None
    if kind < 0.88 or not gate:
        size = math.exp(rng.uniform(math.log(0.002), math.log(0.03)))
        return {"xyz_m": round(size, 4), "rpy_deg": round(size * rng.uniform(10.0, 25.0), 3)}
    return {"xyz_m": round(rng.uniform(0.03, 0.06), 4), "rpy_deg": round(rng.uniform(0.4, 1.0), 3)}


def draw_sensor(
    rng: np.random.Generator, bed: Table, device: str, place: str, std: Table | None, columns: int
) -> Table:
    """The table of one sensor of a scene."""
    sensor: Table = {"id": NAMES[place], "pose": _pose(rng, bed, device, place), "noise": _noise(rng, device)}
    if std is not None:
        sensor["pose_std"] = std
    sensor["tell_noise"] = device != "os128" or bool(rng.random() < 0.75)
    if device == "os128":
        return sensor | {"model": "ouster-os0-128", "rows": 128, "columns": columns, "vertical_fov_deg": 90.0}
    if device == "vlp16":
        return sensor | {"rows": 16, "columns": 1800, "vertical_fov_deg": 30.0, "frames": int(rng.integers(1, 3))}
    fov = {
        "vertical_fov_deg": round(rng.uniform(50.0, 75.0), 2),
        "horizontal_fov_deg": round(rng.uniform(70.0, 100.0), 2),
    }
    return sensor | {"pattern": "camera", "rows": 240, "columns": 320} | fov


def _noise(rng: np.random.Generator, device: str) -> Table:
    low, high = (0.012, 0.03) if device == "vlp16" else (0.004, 0.02)
    bounds = {
        "range_std_m": (low, high),
        "beam_bias_std_m": (0.0, 0.006),
        "offset_std_m": (0.0, 0.006),
        "dropout": (0.0, 0.02),
        "faint": (0.003, 0.03),
        "beam_deg": (0.05, 0.4) if device == "os128" else (0.05, 0.2),
        "mix_reach_m": (0.4, 3.0),
        "stray": (0.0, 0.004) if rng.random() < 0.85 else (0.004, 0.02),
    }
    return {name: round(float(rng.uniform(*bound)), 5) for name, bound in bounds.items()}


def _pose(rng: np.random.Generator, bed: Table, device: str, place: str) -> Table:
    """A place 1.3 to 3.3 m above the rim, and an attitude that turns the sensor's x axis towards the load."""
    half_x, half_y = bed["length_m"] / 2.0, bed["width_m"] / 2.0
    tilt, roll, above = rng.normal(0.0, 1.2), rng.normal(0.0, 1.0), rng.uniform(1.3, 3.3)
    if place == "overhead":
        turned = 0.0 if device == "os128" else 90.0  # the wide side along the bed
        above = max(above, 2.0) if device == "tof" else above
        xyz = (rng.normal(0.0, 0.12), rng.normal(0.0, 0.1), above)
        rpy = (roll, 88.5 + tilt, turned + rng.normal(0.0, 3.0))
    elif place == "side":
        side = rng.choice([-1.0, 1.0])
        xyz = (rng.normal(0.0, 0.3), side * (half_y + rng.uniform(0.1, 0.6)), above)
        rpy = (roll, 55.0 + 3.0 * tilt, -90.0 * side + rng.normal(0.0, 2.0))
    else:
        end = 1.0 if place == "front" else -1.0
        above = max(min(above, 2.4), bed["headboard_m"] + 0.9)
        xyz = (end * (half_x + rng.uniform(0.0, 0.5)), rng.normal(0.0, 0.1), above)
        rpy = (roll, 54.0 + 2.5 * tilt, (180.0 if end > 0.0 else 0.0) + rng.normal(0.0, 1.5))
    place_m = (xyz[0], xyz[1], bed["height_m"] + xyz[2])
    return {"xyz_m": [round(float(v), 5) for v in place_m], "rpy_deg": [round(float(v), 5) for v in rpy]}
