"""What it costs as the work grows: points, cells, sensors.

    python benchmarks/growth.py --json FILE

Each series is a list of (size, Times); the floor beside it is np.copyto of the same points.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clock import pin, race

pin()

import loads  # noqa: E402
import peers  # noqa: E402
from loads import CELL_M, SCAN  # noqa: E402

from volest import voxel_centroids  # noqa: E402

POINTS = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
CELLS_M = [0.10, 0.07, 0.05, 0.035, 0.025, 0.02, 0.014, 0.01]
SENSORS = ["top", "mast", "rear", "side"]

Jobs = dict[str, Callable[[], Any]]


def by_points(count: int) -> Jobs:
    load = loads.plain(count)
    (xyz,) = load.scans.values()
    made, told = loads.estimator(load), loads.estimator(load, told=True)
    jobs: Jobs = {
        "copy": peers.copy(xyz),
        "voxel centroids, 5 cm": lambda: voxel_centroids(xyz, CELL_M),
        "estimate, bed found": lambda: made.estimate(load.scans),
    }
    if loads.takes_told_poses():
        jobs["estimate, pose as told"] = lambda: told.estimate(load.scans)
    return jobs


def by_cells(cell_m: float) -> Jobs:
    xyz = loads.plain(SCAN, walls=False).in_bed()
    return {"copy": peers.copy(xyz), "voxel centroids": lambda: voxel_centroids(xyz, cell_m)}


def by_sensors(count: int) -> Jobs:
    load = loads.simulated(*SENSORS[:count])
    made, copies = loads.estimator(load), [peers.copy(xyz) for xyz in load.scans.values()]
    return {"copy": lambda: [copy() for copy in copies], "estimate, bed found": lambda: made.estimate(load.scans)}


QUESTIONS: dict[str, tuple[Callable[[Any], Jobs], list[Any]]] = {
    "points": (by_points, POINTS),
    "cell, m": (by_cells, CELLS_M),
    "sensors": (by_sensors, [1, 2, 3, 4]),
}


def series(jobs_of: Callable[[Any], Jobs], sizes: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    """(job, size, times) of each job at each size."""
    for size in sizes:
        loads.plain.cache_clear()  # of which the largest take hundreds of megabytes
        for name, times in race(jobs_of(size), budget_s=1.0).items():
            print(f"{name:28s} {size:12g} {1e3 * times.median:12.3f} ms", flush=True)
            yield name, size, asdict(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="write the times there")
    arguments = parser.parse_args()
    measured = {question: list(series(*asked)) for question, asked in QUESTIONS.items()}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(measured, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
