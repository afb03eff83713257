"""Scans whose true volume is known: a bed, a load, sensors and scales from a scene file."""

from __future__ import annotations

from volest.simulate.collection import Collection, collection_from_dict
from volest.simulate.collectionfolder import Made, make_collection
from volest.simulate.day import SimulatedDay, simulate_day
from volest.simulate.dayfolder import write_day
from volest.simulate.dayscene import DayScene, day_from_dict, load_day
from volest.simulate.output import write
from volest.simulate.scene import Scene, load_scene
from volest.simulate.scenefile import run
from volest.simulate.simulation import Simulated, simulate
from volest.simulate.variety import random_scene

__all__ = [
    "Collection", "DayScene", "Made", "Scene", "Simulated", "SimulatedDay", "collection_from_dict", "day_from_dict",
    "load_day", "load_scene", "make_collection", "random_scene", "run", "simulate", "simulate_day", "write",
    "write_day",
]  # fmt: skip
