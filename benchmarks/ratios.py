"""The ratios that must hold: what volest takes, in copies of the points it is given, in the same run on one core.

    python benchmarks/ratios.py                  print the table
    python benchmarks/ratios.py --check          and fail where a ratio is missed
    python benchmarks/ratios.py --json FILE      and write it

C is np.copyto of the same 131,072 x 3 float32 points. It straddles caches, so that it shifts several-fold from one CPU
to the next while the work does not. The second yardstick does not: a map of mean heights of the same points by
np.bincount. Where the claims were laid down C was 79 us, such a map 0.82 ms (12.8 of 1,000,000 points, copied in
844 us; 177 of 10,000,000, in 17.1 ms), which says how many maps each claim amounts to. It holds when one of the two
does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from clock import pin, race

pin()

import loads  # noqa: E402
import peers  # noqa: E402

from volest import voxel_centroids  # noqa: E402

Job = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One claim: `job` against `floor`, at most so many times, or at least where a peer is the floor."""

    what: str
    floor_name: str
    must: float
    floor: Job
    job: Job
    faster: bool = False  # how many times faster than the floor
    error: Callable[[Any], float] | None = None  # of the job's answer
    most_error: float = 0.0
    maps: Job | None = None  # the second yardstick,
    floor_in_maps: float = 0.0  # and what the floor was of it where the claim was laid down


@dataclass(frozen=True, slots=True)
class Ratio:
    """A claim as it was measured; times in seconds."""

    what: str
    floor_name: str
    must: float
    faster: bool
    ratio: float
    job_s: float
    job_low_s: float
    job_high_s: float
    floor_s: float
    maps: float | None  # in maps by np.bincount,
    must_maps: float | None  # and what the claim amounts to in them
    error: float | None
    holds: bool


FINE_VOXEL_M = 0.02  # of Open3D's pipeline where the claim against it was laid down
C_IN_MAPS, COPY_IN_MAPS = 0.079 / 0.82, {1_000_000: 0.844 / 12.8, 10_000_000: 17.1 / 177.0}


def estimate_row(what: str, floor: str, must: float, load: loads.Load, *, told: bool = False) -> Row:
    """An estimate against a copy of its points; right to 1 % of struck capacity."""
    made = loads.estimator(load, told=told)
    (xyz,) = load.scans.values()
    return Row(
        what,
        floor,
        must,
        peers.copy(xyz),
        lambda: made.estimate(load.scans),
        error=lambda result: loads.volume_error(result, load),
        most_error=0.01,
        maps=peers.numpy_bincount_map(xyz),
        floor_in_maps=COPY_IN_MAPS.get(len(xyz), C_IN_MAPS),
    )


def rows(folder: Path) -> Iterator[Row]:
    """All claims; each is dropped before the next is made."""
    on_load = loads.plain(walls=not loads.takes_told_poses())
    yield estimate_row("131,072 points, pose as told, to a volume with its interval", "C", 6, on_load, told=True)
    found = loads.plain(nudged=True)
    yield estimate_row("the same with half on walls and ground, bed found", "C", 9, found)
    load, image = loads.range_image("top")
    made, copy = loads.estimator(load), peers.copy(found.scans["top"])
    maps = peers.numpy_bincount_map(found.scans["top"])
    yield Row(
        "raw 128 x 1024 range image, bed found",
        "C",
        4,
        copy,
        lambda: made.estimate(image),
        error=lambda result: loads.volume_error(result, load),
        most_error=0.01,
        maps=maps,
        floor_in_maps=C_IN_MAPS,
    )
    yield estimate_row("1,000,000 points, bed found", "copies of them", 3, loads.plain(1_000_000, nudged=True))
    many = loads.plain(10_000_000, walls=not loads.takes_told_poses())
    yield estimate_row("10,000,000 points, pose as told", "copies of them", 1.5, many, told=True)
    yield Row(
        "the bed alone, to 1 mm",
        "C",
        4,
        copy,
        loads.bed_finder(found),
        error=lambda pose: loads.pose_error_m(pose, found.poses["top"]),
        most_error=0.001,
        maps=maps,
        floor_in_maps=C_IN_MAPS,
    )
    xyz = loads.plain(walls=False).in_bed()
    expected = peers.numpy_bincount_centroids(xyz)()
    yield Row(
        "voxel centroids, 5 cm, to 1 micrometre",
        "C",
        7,
        peers.copy(xyz),
        lambda: voxel_centroids(xyz, loads.CELL_M),
        error=lambda found: float(np.abs(found - expected).max()),
        most_error=1e-6,
        maps=peers.numpy_bincount_map(xyz),
        floor_in_maps=C_IN_MAPS,
    )
    try:
        pipeline = peers.open3d_pipeline(found.scans["top"], loads.TOLD.matrix(), FINE_VOXEL_M)
        whole = estimate_row("the whole way against Open3D's, its voxels 2 cm", "Open3D", 500, found)
        yield Row(whole.what, whole.floor_name, whole.must, pipeline, whole.job, True, whole.error, whole.most_error)
    except peers.Missing as missing:
        print(missing, file=sys.stderr)
    truck, scan = loads.written(found, folder)
    command = ["-m", "volest", "estimate", str(scan), "--truck", str(truck), "--json"]
    yield Row("`volest estimate` of an .npz", "`import numpy`", 2.5, process("-c", "import numpy"), process(*command))


def process(*arguments: str) -> Job:
    """A fresh interpreter."""
    return lambda: subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def measured(row: Row) -> Ratio:
    """A claim, measured; its answer is looked at first."""
    error = None if row.error is None else row.error(row.job())
    times = race({"floor": row.floor, "job": row.job} | ({} if row.maps is None else {"maps": row.maps}))
    floor, job = times["floor"].median, times["job"]
    ratio = floor / job.median if row.faster else job.median / floor
    holds = ratio >= row.must if row.faster else ratio <= row.must
    maps = must_maps = None
    if row.maps is not None:
        maps, must_maps = job.median / times["maps"].median, row.must * row.floor_in_maps
        holds = holds or maps <= must_maps
    return Ratio(
        row.what,
        row.floor_name,
        row.must,
        row.faster,
        ratio,
        job.median,
        job.low,
        job.high,
        floor,
        maps,
        must_maps,
        error,
        holds and (error is None or error <= row.most_error),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where a ratio is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there")
    arguments = parser.parse_args()
    ratios = []
    print(f"{'':58s} {'median ms':>10s} {'ratio':>8s} {'must':>6s} {'of':15s} {'maps':>6s} {'must':>6s} {'error':>8s}")
    with TemporaryDirectory() as folder:
        for row in rows(Path(folder)):
            one = measured(row)
            ratios.append(one)
            error = "" if one.error is None else f"{one.error:.5f}"
            maps = " " * 13 if one.maps is None else f"{one.maps:6.3f} {one.must_maps:6.3f}"
            verdict = "" if one.holds else "  missed"
            print(
                f"{one.what:58s} {1e3 * one.job_s:10.3f} {one.ratio:8.2f} {one.must:6g} {one.floor_name:15s} "
                f"{maps} {error:>8s}{verdict}",
                flush=True,
            )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps([asdict(one) for one in ratios], indent=1))
    return int(arguments.check and not all(one.holds for one in ratios))


if __name__ == "__main__":
    sys.exit(main())
