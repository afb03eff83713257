"""What it costs as the work grows: points, cells, sensors, workers; and what memory it takes.

    python benchmarks/growth.py --json FILE

Each series is a list of (job, size, Times); the floor beside it is np.copyto of the same points.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clock import CORES, pin, race

pin()

import loads  # noqa: E402
import numpy as np  # noqa: E402
import peers  # noqa: E402
from loads import CELL_M  # noqa: E402

from volest import voxel_centroids  # noqa: E402
from volest.hidden import generic_weights  # noqa: E402

POINTS = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
CELLS_M = [0.10, 0.07, 0.05, 0.035, 0.025, 0.02, 0.014, 0.01]
SENSORS = ["top", "mast", "rear", "side"]
BATCH = 1000  # loads of one truck; the floor takes as many turns
STATUS = Path("/proc/self/status")

Jobs = dict[tuple[str, Any], Callable[[], Any]]


def by_points(count: int) -> Jobs:
    load = loads.plain(count)
    (xyz,) = load.scans.values()
    made, told = loads.estimator(load), loads.estimator(load, told=True)
    jobs = {
        "copy": peers.copy(xyz),
        "voxel centroids, 5 cm": lambda: voxel_centroids(xyz, CELL_M),
        "estimate, bed found": lambda: made.estimate(load.scans),
        "estimate, pose as told": lambda: told.estimate(load.scans),
    }
    return {(name, count): job for name, job in jobs.items()}


def dense() -> loads.Load:
    """143,170 returns from the mast, the rear slopes in shadow: enough for cells of a centimetre."""
    return loads.simulated("mast", columns=4096)


def by_cells(cell_m: float) -> Jobs:
    """The whole way and its stages, one after the other; the bed is nominal."""
    load = dense()
    (xyz,), (pose,) = load.scans.values(), load.poses.values()
    made, on_bed = loads.celled_estimator(load, cell_m), load.in_bed()
    engine = made._engine
    assert loads.volume_error(made.estimate(load.scans), load) < 0.01

    def pass_over() -> None:
        engine.clear()
        engine.add(xyz, pose, True)

    jobs = {
        "copy": peers.copy(xyz),
        "voxel centroids": lambda: voxel_centroids(on_bed, cell_m),
        "estimate": lambda: made.estimate(load.scans),
        "find the bed": loads.bed_finder(load, made),
        "pass": pass_over,
        "surface": engine.finish,
        "hidden part": lambda: engine.lower_hidden(generic_weights()),
        "integral": engine.integral,
    }
    return {(name, round(100 * cell_m, 1)): job for name, job in jobs.items()}


def by_sensors(count: int) -> Jobs:
    load = loads.simulated(*SENSORS[:count])
    made, copies = loads.estimator(load), [peers.copy(xyz) for xyz in load.scans.values()]
    jobs = {"copy": lambda: [copy() for copy in copies], "estimate, bed found": lambda: made.estimate(load.scans)}
    return {(name, count): job for name, job in jobs.items()}


def by_workers(most: int) -> Jobs:
    """Loads of one truck, and what so many threads of this machine can do at most: sines, without Python's lock."""
    load = loads.simulated("top")
    made, batch = loads.estimator(load), [load.scans] * BATCH
    angles = np.linspace(0.0, 6.0, 40_000)
    into = [np.empty_like(angles) for _ in range(most)]

    def estimates(workers: int) -> Callable[[], Any]:
        return lambda: loads.estimate_many(made, batch, workers)

    def sines(workers: int) -> Callable[[], Any]:
        def turns(worker: int) -> None:
            for _ in range(BATCH // workers):
                np.sin(angles, out=into[worker])

        def job() -> None:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(turns, range(workers)))

        return job

    jobs: Jobs = {("one after another", 1): lambda: [made.estimate(scans) for scans in batch]}
    for workers in range(1, most + 1):
        jobs |= {("estimate_many", workers): estimates(workers), ("NumPy's sine", workers): sines(workers)}
    return jobs


def timed(jobs: Jobs, budget_s: float = 1.0) -> Iterator[tuple[str, Any, Any]]:
    """(job, size, times) of each."""
    for (name, size), times in race(jobs, budget_s).items():
        print(f"{name:28s} {size:12g} {1e3 * times.median:12.3f} ms", flush=True)
        yield name, size, asdict(times)


def series(jobs_of: Callable[[Any], Jobs], sizes: Iterable[Any]) -> list[tuple[str, Any, Any]]:
    """The times of each job at each size."""
    rows = []
    for size in sizes:
        loads.plain.cache_clear()  # of which the largest take hundreds of megabytes
        rows += timed(jobs_of(size))
    return rows


def resident_bytes(what: str) -> int:
    """Of this process: VmRSS, or its peak VmHWM."""
    return 1024 * int(re.findall(rf"^{what}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)[0])


def extra_bytes(count: int) -> int:
    """What an estimate of so many points takes beside them and beside the engine, at its peak."""
    loads.plain.cache_clear()
    load = loads.plain(count)
    made = loads.estimator(load)
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system, and the peak begins anew
    Path("/proc/self/clear_refs").write_text("5")
    before = resident_bytes("VmRSS")
    made.estimate(load.scans)
    return resident_bytes("VmHWM") - before


class Heap(ctypes.Structure):
    """What glibc's mallinfo2() tells, bytes: in blocks of their own at 4, in those of the heap at 7."""

    _fields_ = [("of", ctypes.c_size_t * 10)]


def held_bytes() -> int:
    """What has been allocated in this process and not freed."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Heap
    heap = mallinfo2().of
    return int(heap[4] + heap[7])


def engine_bytes(cell_m: float) -> int:
    """What an engine holds, whatever the points."""
    bed = loads.celled_estimator(dense(), cell_m).bed
    before = held_bytes()
    engine = bed.engine()
    taken = held_bytes() - before
    del engine
    return taken


def memory() -> dict[str, Any]:
    """Bytes by points and by cells, where the system tells them (Linux with glibc)."""
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        return {}
    return {
        "points": [(n, extra_bytes(n)) for n in POINTS],
        "cells": [(round(100 * c, 1), engine_bytes(c)) for c in CELLS_M],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="write the times there")
    arguments = parser.parse_args()
    times = {
        "points": series(by_points, POINTS),
        "cell, cm": series(by_cells, CELLS_M),
        "sensors": series(by_sensors, range(1, len(SENSORS) + 1)),
    }
    bytes_held = memory()
    pin(len(CORES))
    most = max(len(CORES), 1)
    batch = list(timed(by_workers(most), budget_s=10.0))
    measured = {"times": times, "memory": bytes_held, "batch": {"loads": BATCH, "times": batch}}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(measured, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
