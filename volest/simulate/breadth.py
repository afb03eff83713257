"""Beds and loads of all trades, drawn at random: 1 to 40 m3, waste, timber, crates, sheets, soil, ore and grain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["WIDE_LOADS", "wide_bed", "wide_extras", "wide_load", "wide_material"]

WIDE_LOADS = {
    "smooth": 0.08, "rough": 0.14, "bags": 0.1, "flat": 0.05, "peaked": 0.07, "boxes": 0.1, "sheets": 0.08,
    "tipped": 0.1, "compacted": 0.08, "bulk": 0.12, "carryback": 0.06, "none": 0.02,
}  # fmt: skip
LOOSE_KG_M3 = {  # loose bulk densities of what is dug or grown, dry and wet
    "bulk": (600.0, 2200.0),
    "tipped": (250.0, 1700.0),
    "compacted": (200.0, 650.0),
    "boxes": (60.0, 400.0),
    "sheets": (60.0, 350.0),
}
REPOSE_DEG = {"bulk": (21.0, 40.0), "tipped": (25.0, 45.0)}
Table = dict[str, Any]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 5)


def wide_bed(rng: np.random.Generator, bed: Table) -> Table:
    """A bed as it was drawn, made to another size between 1 and 40 m3, with chamfers, a tailgate and more lean."""
    capacity = math.exp(rng.uniform(math.log(1.0), math.log(40.0)))
    width = float(np.clip(1.55 * (capacity / 6.0) ** 0.2 * rng.uniform(0.9, 1.15), 1.0, 2.5))
    height = float(np.clip(0.75 * (capacity / 6.0) ** 0.35 * rng.uniform(0.8, 1.25), 0.35, 2.4))
    length = float(np.clip(capacity / (width * height), 1.3, 9.5))
    size = {"length_m": round(length, 2), "width_m": round(width, 2)}
    size["height_m"] = round(float(np.clip(capacity / (length * width), 0.35, 2.6)), 2)
    made = bed | size | _fitted(rng, bed, size)
    if "lean_deg" in made and rng.random() < 0.25:
        made["lean_deg"] = [_between(rng, 3.0, 15.0) for _ in range(4)]
    if rng.random() < 0.35:
        made["chamfer_m"] = _between(rng, 0.05, 0.25) * min(size["height_m"], size["width_m"])
    if rng.random() < 0.35:
        made["gate_post_m"] = [_between(rng, 0.04, 0.15), _between(rng, 0.05, 0.15)]
    if rng.random() < 0.3:
        made |= {"bows": int(rng.integers(2, 7)), "bow_rise_m": _between(rng, 0.3, 1.0)}
    return made


def _fitted(rng: np.random.Generator, bed: Table, size: Table) -> Table:
    """What lies in the bed, moved and scaled to its new size."""
    along, across = size["length_m"] / bed["length_m"], size["width_m"] / bed["width_m"]
    tall = size["height_m"] / bed["height_m"]
    made: Table = {}
    if "dents" in bed:
        made["dents"] = [dent | {"x_m": dent["x_m"] * along, "y_m": dent["y_m"] * across} for dent in bed["dents"]]
    if "arches" in bed:
        scale = {"x_m": along, "length_m": min(along, 1.0), "width_m": min(across, 1.0), "height_m": min(tall, 1.0)}
        made["arches"] = [arch | {key: arch[key] * by for key, by in scale.items()} for arch in bed["arches"]]
    if "doghouse_m" in bed:
        made["doghouse_m"] = [v * min(by, 1.0) for v, by in zip(bed["doghouse_m"], (along, across, tall), strict=True)]
    if "ribs" in bed:
        made["ribs"] = bed["ribs"] | {"count": max(2, int(rng.integers(1, 3) * size["length_m"]))}
    return made


def wide_load(rng: np.random.Generator, load: Table) -> Table:
    """A load as it was drawn, with the habits of its trade."""
    kind, made = load["kind"], dict(load)
    if kind in REPOSE_DEG:
        made["repose_deg"] = _between(rng, *REPOSE_DEG[kind])
        made["fill_ratio"] = min(load["fill_ratio"], 0.95)
    if kind in ("boxes", "sheets"):
        made |= {"bag_m": _between(rng, 0.3, 1.2), "cover": _between(rng, 0.4, 1.0)}
        made |= {"roughness_m": _between(rng, 0.0, 0.02), "fill_ratio": min(load["fill_ratio"], 1.0)}
    if kind == "compacted":
        made |= {"roughness_m": _between(rng, 0.0, 0.015), "fill_ratio": _between(rng, 0.3, 1.02)}
    if kind == "bulk":
        made["roughness_m"] = _between(rng, 0.0, 0.01)
        made["lump_m"] = _between(rng, 0.08, 0.3) if rng.random() < 0.3 else 0.0  # ore and clods
    if kind in ("rough", "bags", "boxes") and rng.random() < 0.2:
        made |= {"overhang_m": _between(rng, 0.05, 0.3), "fill_ratio": _between(rng, 0.8, 1.05)}
    return made


def wide_material(rng: np.random.Generator, kind: str, material: Table) -> Table:
    """Bulk densities of the trade; wet in patches as often as evenly."""
    made = dict(material)
    if kind in LOOSE_KG_M3:
        low, high = (math.log(v) for v in LOOSE_KG_M3[kind])
        dry = math.exp(rng.uniform(low, high))
        made |= {
            "dry_bulk_density_kg_m3": round(dry, 1),
            "wet_bulk_density_kg_m3": round(dry * rng.uniform(1.1, 1.6), 1),
        }
    if rng.random() < 0.5:
        made["wet_patch_m"] = _between(rng, 0.15, 0.8)
    return made


def wide_extras(rng: np.random.Generator, kind: str) -> Table:
    """What else there is: branches, and rain or dust."""
    made: Table = {}
    if kind in ("rough", "bags", "smooth", "tipped") and rng.random() < 0.25:
        sizes = {"length_m": _between(rng, 0.3, 1.5), "radius_m": _between(rng, 0.004, 0.03)}
        made["branches"] = {"count": int(rng.integers(3, 40)), **sizes}
    if rng.random() < 0.2:
        dust = rng.random() < 0.5
        made["weather"] = {"dust_mg_m3": _between(rng, 5.0, 60.0)} if dust else {"rain_mm_h": _between(rng, 1.0, 25.0)}
    return made
