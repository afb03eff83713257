"""Scores `volest track` on simulated days whose true ledger is known.

    python benchmarks/days.py --days 60            coverage of added volumes, masses, densities, wetness; the balance

Days are drawn from --seed on: beds, mounts and sensors as `random_scene` draws them, 64 x 512 rays.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import replace

from volest.errors import InputError
from volest.quantity import Quantity
from volest.simulate import DayScene, SimulatedDay, random_scene, simulate_day, write_day
from volest.simulate.dayscene import RouteScene, TripScene
from volest.simulate.scene import PoseStd, WeightScene
from volest.track import Day, Entry, Uncertain, track_day

MOUNTS = {"front": 0.35, "overhead": 0.25, "front+rear": 0.3, "side": 0.1}


def random_day(seed: int) -> DayScene:
    """A day drawn at random, of a truck whose empty bed was scanned."""
    rng = np.random.default_rng([seed, 77])
    mount = str(rng.choice(list(MOUNTS), p=list(MOUNTS.values())))
    drawn = random_scene(rng, load="rough", sensor="os128", mount=mount, reference=True, columns=512)
    std = PoseStd(float(rng.uniform(0.002, 0.01)), float(rng.uniform(0.03, 0.2)))
    sensors = tuple(replace(sensor, rows=64, pose_std=std, frames=1) for sensor in drawn.sensor)
    trips = tuple(
        TripScene(stops=int(rng.integers(3, 7)), fill_ratio=float(rng.uniform(0.4, 1.05)))
        for _ in range(int(rng.integers(1, 3)))
    )
    return DayScene(
        kind="day",
        seed=seed,
        bed=drawn.bed,
        sensor=sensors,
        trip=trips,
        route=RouteScene(leg_km=(0.3, 1.5)),
        weight=WeightScene(
            tare_kg=4000.0,
            tare_std_kg=float(rng.uniform(5.0, 20.0)),
            gain_std=float(rng.uniform(0.002, 0.01)),
            resolution_kg=float(rng.choice([1.0, 5.0, 10.0])),
            rate_hz=10.0,
        ),
        repose_deg=float(rng.uniform(32.0, 45.0)),
        roughness_m=float(rng.uniform(0.005, 0.035)),
        lump_m=float(rng.uniform(0.1, 0.3)),
        bag_m=float(rng.uniform(0.3, 0.6)),
    )


@dataclass(frozen=True, slots=True)
class Score:
    """What was said of one quantity of one entry, against the truth."""

    name: str
    error: float
    std: float
    covered: bool
    alone: float = np.nan  # standard uncertainty, if both ends of a difference erred independently


@dataclass(frozen=True, slots=True)
class Scored:
    """One day: its scores, how many true events have no entry and entries no event, how far the sums are off."""

    scores: list[Score]
    missing: int
    invented: int
    unbalanced: float
    seconds: float
    scans: int


def tracked(day: SimulatedDay) -> tuple[list[Entry], float]:
    """The entries of a simulated day, through its folder, and how long tracking took."""
    with tempfile.TemporaryDirectory() as folder:
        write_day(day, folder)
        started = time.perf_counter()
        entries = list(track_day(Day.load(folder)))
        return entries, time.perf_counter() - started


def scored(day: SimulatedDay) -> Scored:
    """Track a day and hold its entries against the true ledger."""
    entries, seconds = tracked(day)
    true = [t for t in day.truth["ledger"] if t["kind"] in ("load", "tip")]
    told = [e for e in entries if e.kind in ("load", "tip")]
    scores: list[Score] = []
    found = 0
    for entry in entries:
        match = [t for t in day.truth["ledger"] if t["kind"] == entry.kind and abs(t["end_s"] - entry.end_s) < 15.0]
        found += entry.kind in ("load", "tip") and bool(match)
        if match:
            scores += _scores(entry, match[0])
    return Scored(scores, len(true) - found, len(told) - found, unbalance(entries), seconds, len(day.scans))


def _scores(entry: Entry, true: dict[str, Any]) -> list[Score]:
    told: list[tuple[str, Uncertain | Quantity | None, float | None]] = [
        (f"{entry.kind} volume", entry.volume_m3, true["volume_m3"]),
        (f"{entry.kind} mass", entry.mass_kg, true["mass_kg"]),
        ("on truck volume", entry.on_truck_m3, true["on_truck_m3"]),
        ("on truck mass", entry.on_truck_kg, true["on_truck_kg"]),
        ("tare", entry.tare_kg, true["tare_kg"]),
        ("carry-back volume", entry.carry_back_m3, true.get("carry_back_m3")),
        ("load density", entry.fused.bulk_density_kg_m3, true.get("bulk_density_kg_m3")),
        ("load wetness", entry.fused.wet_mass_fraction, true.get("wet_mass_fraction")),
    ]
    alone = _alone(entry)
    return [
        _score(name, value, truth, alone if name.startswith(entry.kind) and name.endswith("volume") else np.nan)
        for name, value, truth in told
        if value is not None and truth is not None
    ]


def _alone(entry: Entry) -> float:
    """The root of the sum of squares of a difference's two ends."""
    if entry.on_truck_m3 is None or entry.volume_m3 is None:
        return np.nan
    return float(np.hypot(entry.on_truck_m3.std, (entry.on_truck_m3 - entry.volume_m3).std))


def _score(name: str, value: Uncertain | Quantity, truth: float, alone: float) -> Score:
    quantity = value.quantity() if isinstance(value, Uncertain) else value
    covered = quantity.lower95 <= truth <= quantity.upper95
    return Score(name, quantity.value - truth, quantity.std, covered, alone)


def unbalance(entries: Sequence[Entry]) -> float:
    """By how much the sum of all entries differs from what is on the truck, in value or in standard uncertainty."""
    worst = 0.0
    for changes, there in (
        ([e.volume_m3 for e in entries], [e.on_truck_m3 for e in entries]),
        ([e.mass_kg for e in entries], [e.on_truck_kg for e in entries]),
    ):
        total = Uncertain(0.0)
        for change, now in zip(changes, there, strict=True):
            total = total if change is None else total + change
            if now is not None:
                worst = max(worst, abs(total.value - now.value), abs(total.std - now.std))
    return worst


def report(days: Sequence[Scored]) -> str:
    """A table of all days."""
    lines = [f"{'':18} {'n':>5} {'bias':>9} {'RMS':>9} {'mean std':>9} {'cover':>6} {'if independent':>15}"]
    names = dict.fromkeys(score.name for day in days for score in day.scores)
    for name in sorted(names):
        rows = [score for day in days for score in day.scores if score.name == name]
        error, std = np.array([s.error for s in rows]), np.array([s.std for s in rows])
        alone = np.array([s.alone for s in rows])
        known = "" if np.isnan(alone).all() else f"{np.nanmean(alone):9.4f} {np.mean(abs(error) < 1.96 * alone):5.3f}"
        cover = np.mean([s.covered for s in rows])
        lines.append(
            f"{name:18} {len(rows):5} {error.mean():9.4f} {np.sqrt(np.mean(error**2)):9.4f} {std.mean():9.4f} "
            f"{cover:6.3f} {known:>15}"
        )
    lines.append(
        f"{len(days)} days; events without an entry: {sum(d.missing for d in days)}, entries without an event: "
        f"{sum(d.invented for d in days)}; sums off by at most {max(d.unbalanced for d in days):.1e}; "
        f"{1e3 * sum(d.seconds for d in days) / sum(d.scans for d in days):.0f} ms a scan"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5000)
    told = parser.parse_args()
    days = []
    for seed in range(told.seed, told.seed + told.days):
        try:
            days.append(scored(simulate_day(random_day(seed))))
        except InputError as error:  # a heap that does not fit, an empty bed that is not found
            print(f"day {seed}: {error}")
    print(report(days))


if __name__ == "__main__":
    main()
