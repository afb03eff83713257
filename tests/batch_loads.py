"""Loads that cost about a millisecond, for tests of batches: scans in the bed frame of trucks with a nominal bed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from volest.batch.run import Summary, run_batch
from volest.rows import read_rows, row_digest

FAST_TRUCK = """schema = 1
id = "{id}"
[bed]
length_m = 2.0
width_m = 1.0
height_m = 0.5
[scale]
tare_kg = 1000.0
"""
HEADER = "load_id,truck,scans,weight,time,district\n"


def make_loads(folder: Path, count: int, trucks: int = 2) -> Path:
    """A manifest of small loads that cost about a millisecond: scans in the bed frame, a nominal bed."""
    folder.mkdir(exist_ok=True)
    for truck in range(trucks):
        (folder / f"truck{truck}.toml").write_text(FAST_TRUCK.format(id=f"KT {truck}"), "utf-8")
    chance = random.Random(1)
    for scan in range(4):
        heights = [
            f"{x / 40 - 1 + 0.01:.3f},{y / 40 - 0.5 + 0.01:.3f},{0.1 + 0.05 * scan + 0.02 * chance.random():.3f}\n"
            for x in range(80)
            for y in range(40)
        ]
        rim = [f"{x / 100 - 1:.3f},{y:.3f},0.5\n" for x in range(201) for y in (-0.52, -0.51, -0.5, 0.5, 0.51, 0.52)]
        rim += [f"{x:.3f},{y / 100 - 0.5:.3f},0.5\n" for y in range(101) for x in (-1.02, -1.01, -1, 1, 1.01, 1.02)]
        (folder / f"scan{scan}.csv").write_text("x,y,z\n" + "".join(heights + rim), "utf-8")
    rows = [
        f"load-{i:05d},truck{i % trucks}.toml,scan{i % 4}.csv,{1200 + i % 50},"
        f"2026-03-{1 + i // 40 % 28:02d}T07:00:00+07:00,Utara\n"
        for i in range(count)
    ]
    (folder / "manifest.csv").write_text(HEADER + "".join(rows), "utf-8")
    return folder / "manifest.csv"


def rows_of(directory: Path) -> dict[str, dict[str, Any]]:
    """The rows by load, each there once, sealed, without what tells in which file it lies."""
    rows = list(read_rows(directory))
    assert all(row_digest(row) == row["row_sha256"] for row in rows)
    found = {row["load_id"]: {k: v for k, v in row.items() if k != "chain_sha256"} for row in rows}
    assert len(found) == len(rows)
    return found


def run(manifest: Path, output: Path, **more: Any) -> Summary:
    return run_batch(str(manifest), output, jobs=1, **more)
