"""How a bench is run, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from volest.catalogue import SensorModel
from volest.sensorbench.optimum import MountMap
from volest.sensorbench.row import Row
from volest.sensorbench.summary import Summary
from volest.sensorbench.trial import REPEATS
from volest.truck import Truck

__all__ = ["SCHEMA", "Bench", "Options"]

SCHEMA = "volest/bench-sensor/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a bench is run; see docs/bench-sensor.md."""

    truck: Path | None = None
    mounts: tuple[str, ...] | None = None  # None: all there are
    loads: int = 40
    seed: int = 0
    frames: int = 1
    jobs: int | None = None
    optimise: bool = False
    limits: str | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """What came of a bench, and all that it takes to run it again."""

    options: Options
    truck: Truck | None
    models: dict[str, SensorModel]
    mounts: tuple[str, ...]
    rows: tuple[Row, ...]
    summary: Summary
    maps: tuple[MountMap, ...]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The bench without its rows, ready for JSON."""
        options = self.options
        return {
            "schema": SCHEMA,
            "seed": options.seed,
            "loads": options.loads,
            "repeats": REPEATS,
            "frames": options.frames,
            "truck": None if self.truck is None else self.truck.id,
            "mounts": list(self.mounts),
            "ranking": [asdict(entry) | {"advice": entry.advice} for entry in self.summary.entries],
            "better": [list(line) for line in self.summary.better],
            "maps": [asdict(each) for each in self.maps],
            "versions": self.versions,
        }
