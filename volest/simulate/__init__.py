"""Scans whose true volume is known: a bed, a load, sensors and scales from a scene file."""

from __future__ import annotations

from volest.simulate.output import run, write
from volest.simulate.scene import Scene, load_scene
from volest.simulate.simulation import Simulated, simulate
from volest.simulate.variety import random_scene

__all__ = ["Scene", "Simulated", "load_scene", "random_scene", "run", "simulate", "write"]
