"""Scenes drawn at random, as broad as the trucks, loads and mounts that the estimator must stand."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from volest.simulate.breadth import WIDE_LOADS, wide_bed, wide_extras, wide_load, wide_material
from volest.simulate.mounts import draw_pose_std, draw_sensor
from volest.simulate.scene import Scene, scene_from_dict

__all__ = ["LOADS", "MOUNTS", "SENSORS", "choose", "random_load", "random_scene"]

LOADS = {"smooth": 0.2, "rough": 0.27, "bags": 0.15, "flat": 0.1, "peaked": 0.15, "carryback": 0.08, "none": 0.05}
SENSORS = {"os128": 0.7, "vlp16": 0.15, "tof": 0.15}
MOUNTS = {"overhead": 0.35, "front": 0.35, "side": 0.1, "front+rear": 0.2}
Table = dict[str, Any]


def random_scene(
    rng: np.random.Generator,
    *,
    load: str | None = None,
    sensor: str | None = None,
    mount: str | None = None,
    reference: bool | None = None,
    columns: int = 1024,
    breadth: Literal["usual", "wide"] = "usual",
) -> Scene:
    """A scene drawn at random; what is named is fixed instead.

    load: a name in LOADS; sensor: in SENSORS; mount: in MOUNTS; columns: of os128, so that campaigns can go faster.
    breadth: "wide" draws beds of 1 to 40 m3 and loads of all trades (WIDE_LOADS in volest.simulate.breadth).
    A scene without a scan of the empty bed has a bed that is nearly its nominal box, else nobody could measure it.
    """
    wide = breadth == "wide"
    kind = load or choose(rng, WIDE_LOADS if wide else LOADS)
    device = sensor or choose(rng, SENSORS)
    place = mount or _mount_for(rng, device)
    share = 1.0 if wide else 0.75  # whose bed was scanned empty
    has_reference = bool(rng.random() < share) if reference is None else reference
    bed = _bed(rng) if has_reference or wide else _plain_bed(rng)
    bed = wide_bed(rng, bed) if wide else bed
    places = place.split("+")
    std = draw_pose_std(rng, gate=len(places) == 1)
    sensors = [draw_sensor(rng, bed, device, where, std, columns) for where in places]
    scene: Table = {
        "seed": int(rng.integers(0, 2**31)),
        "truck_id": f"KT-{rng.integers(1000, 10000)}-SIM",
        "bed": bed,
        "load": random_load(rng, kind, bed["length_m"], bed["width_m"], bed["height_m"]),
        "sensor": sensors,
        "weight": _weight(rng),
        "material": _material(rng),
        "reference": has_reference,
        "reference_pose": "anew" if std is not None and std["xyz_m"] >= 0.03 else "same",
        "merged": len(sensors) > 1 and bool(rng.random() < 0.15),
    }
    if wide:
        scene |= {"load": wide_load(rng, scene["load"]), "material": wide_material(rng, kind, scene["material"])}
        scene |= wide_extras(rng, kind)
    return scene_from_dict(scene, "random scene")


def choose(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """One of the names, with its share."""
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _mount_for(rng: np.random.Generator, device: str) -> str:
    """Where such a sensor is likely to sit: one with few rows or a narrow view alone at a mast sees half a bed."""
    if device == "tof":
        return "overhead"
    return choose(rng, MOUNTS if device == "os128" else {"overhead": 0.6, "front": 0.2, "front+rear": 0.2})


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 5)


def _plain_bed(rng: np.random.Generator) -> Table:
    """From a pick-up to a big tipper, nearly its nominal box."""
    length = _between(rng, 2.7, 6.0)
    bed: Table = {
        "length_m": round(length, 2),
        "width_m": round(_between(rng, max(1.6, 0.3 * length), min(2.45, 0.75 * length)), 2),
        "height_m": round(_between(rng, 0.45, 0.85) if length < 3.4 else _between(rng, 0.7, 1.7), 2),
        "d_length_m": round(float(rng.normal(0.0, 0.004)), 5),
        "d_width_m": round(float(rng.normal(0.0, 0.003)), 5),
        "d_height_m": round(float(rng.normal(0.0, 0.002)), 5),
        "lean_deg": [_between(rng, 0.0, 0.6) for _ in range(4)],
        "wall_m": _between(rng, 0.03, 0.08),
        "headboard_m": _between(rng, 0.1, 0.6) if rng.random() < 0.45 else 0.0,
        "sag_m": _between(rng, 0.0, 0.006),
        "bow_rise_m": _between(rng, 0.4, 0.8),
        "floor_above_ground_m": _between(rng, 0.7, 1.35),
    }
    if rng.random() < 0.2:
        bed["bows"] = int(rng.integers(2, 5))
    if rng.random() < 0.35:
        bed["tarp_roll"] = str(rng.choice(["front", "rear", "left", "right"]))
    if rng.random() < 0.3:
        bed["stakes"] = int(rng.integers(1, 9))
    return bed


def _bed(rng: np.random.Generator) -> Table:
    """A bed with all its departures from the nominal box."""
    bed = _plain_bed(rng)
    lean = _between(rng, 0.0, 5.0) if rng.random() < 0.7 else 0.1
    bed |= {
        "d_length_m": round(float(rng.normal(0.0, 0.008)), 5),
        "d_width_m": round(float(rng.normal(0.0, 0.006)), 5),
        "d_height_m": round(float(rng.normal(0.0, 0.004)), 5),
        "lean_deg": [round(float(np.clip(lean + rng.normal(0.0, 1.0), 0.0, 8.0)), 4) for _ in range(4)],
        "bulge_m": _between(rng, 0.0, 0.02),
        "sag_m": _between(rng, 0.0, 0.03),
        "dents": [_dent(rng, bed) for _ in range(rng.integers(0, 14))],
    }
    if rng.random() < 0.4:
        sizes = {"depth_m": _between(rng, 0.02, 0.07), "width_m": _between(rng, 0.05, 0.12)}
        bed["ribs"] = {"count": int(rng.integers(4, 10)), **sizes}
    if rng.random() < 0.3:
        bed["arches"] = _arches(rng, bed)
    if rng.random() < 0.4:
        bed["corner_m"] = _between(rng, 0.04, 0.2)
    if rng.random() < 0.2:
        bed["doghouse_m"] = [_between(rng, 0.2, 0.5), _between(rng, 0.3, 0.7), _between(rng, 0.3, bed["height_m"])]
    return bed


def _dent(rng: np.random.Generator, bed: Table) -> Table:
    return {
        "x_m": _between(rng, -0.4, 0.4) * bed["length_m"],
        "y_m": _between(rng, -0.4, 0.4) * bed["width_m"],
        "depth_m": round(float(rng.normal(0.0, 0.015)), 5),
        "radius_m": _between(rng, 0.08, 0.25),
    }


def _arches(rng: np.random.Generator, bed: Table) -> list[Table]:
    """A pair, alike on both sides."""
    arch = {
        "x_m": _between(rng, -0.3, 0.1) * bed["length_m"],
        "length_m": _between(rng, 0.6, 1.1),
        "width_m": _between(rng, 0.1, 0.25),
        "height_m": _between(rng, 0.12, 0.3),
        "shape": "round" if rng.random() < 0.5 else "box",
    }
    return [{"side": "left", **arch}, {"side": "right", **arch}]


def random_load(rng: np.random.Generator, kind: str, length_m: float, width_m: float, height_m: float) -> Table:
    """A load of this kind that can lie in a bed of these dimensions; a few are still too steep to fit."""
    repose = _between(rng, 25.0, 45.0)
    # A roof of this slope on all four sides holds that much above struck level; loads stay well below it.
    length, width = max(length_m, width_m), min(length_m, width_m)
    roof = math.tan(math.radians(repose)) * (3.0 * length - width) * width / (12.0 * length * height_m)
    fills = {"flat": (0.05, 1.02), "peaked": (0.2, 1.0 + 0.85 * roof), "carryback": (0.003, 0.03), "none": (0.0, 0.0)}
    textures = {"flat": 0.006, "smooth": 0.01, "peaked": 0.03, "carryback": 0.005}
    load: Table = {
        "kind": kind,
        "fill_ratio": _between(rng, *fills.get(kind, (0.05, 1.0 + 0.45 * roof))),
        "repose_deg": repose,
        "roughness_m": _between(rng, 0.0, textures.get(kind, 0.035)),
    }
    if kind in ("rough", "bags"):
        load["bag_m"] = _between(rng, 0.35, 0.8) if kind == "bags" or rng.random() < 0.5 else 0.0
        load |= {"lump_m": _between(rng, 0.1, 0.45), "cover": _between(rng, 0.3, 1.0)}
        if rng.random() < 0.12:
            load |= {"overhang_m": _between(rng, 0.05, 0.25), "fill_ratio": _between(rng, 0.8, 1.0 + 0.45 * roof)}
    return load


def _weight(rng: np.random.Generator) -> Table:
    return {
        "kind": str(rng.choice(["series", "number", "none"], p=[0.7, 0.2, 0.1])),
        "tare_kg": float(rng.integers(250, 900) * 10),
        "tare_std_kg": float(rng.integers(5, 25)),
        "gain_std": _between(rng, 0.002, 0.01),
        "resolution_kg": float(rng.choice([1.0, 2.0, 5.0, 10.0, 20.0])),
        "noise_kg": _between(rng, 2.0, 10.0),
        "bounce_kg": _between(rng, 10.0, 150.0),
        "bounce_hz": _between(rng, 1.0, 3.0),
        "drift_kg": _between(rng, 0.0, 10.0),
        "spike_rate": _between(rng, 0.0, 0.006),
        "gap_rate": _between(rng, 0.0, 0.05),
    }


def _material(rng: np.random.Generator) -> Table:
    return {
        "dry_bulk_density_kg_m3": _between(rng, 65.0, 160.0),
        "wet_bulk_density_kg_m3": _between(rng, 320.0, 560.0),
        "wet_mass_fraction": _between(rng, 0.0, 1.0),
    }
