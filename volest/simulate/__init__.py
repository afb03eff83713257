"""Scans whose true volume is known: a bed, a load, sensors and scales from a scene file."""

from __future__ import annotations

from volest.simulate.day import SimulatedDay, simulate_day
from volest.simulate.dayfolder import write_day
from volest.simulate.dayscene import DayScene, day_from_dict, load_day
from volest.simulate.output import run, write
from volest.simulate.scene import Scene, load_scene
from volest.simulate.simulation import Simulated, simulate
from volest.simulate.variety import random_scene

__all__ = [
    "DayScene", "Scene", "Simulated", "SimulatedDay", "day_from_dict", "load_day", "load_scene", "random_scene",
    "run", "simulate", "simulate_day", "write", "write_day",
]  # fmt: skip
