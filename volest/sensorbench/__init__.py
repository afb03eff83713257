"""What a sensor is worth on a truck: sensors, mounts and loads to errors, ranks and a report."""

from __future__ import annotations

from volest.sensorbench.bench import bench
from volest.sensorbench.mounts import MOUNTS, Mount, Place
from volest.sensorbench.optimum import MountMap
from volest.sensorbench.outcome import Bench, Options
from volest.sensorbench.row import Row
from volest.sensorbench.summary import Entry, Interval, Summary

__all__ = ["MOUNTS", "Bench", "Entry", "Interval", "Mount", "MountMap", "Options", "Place", "Row", "Summary", "bench"]
