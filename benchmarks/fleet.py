"""Measures what is learned from many loads of one truck: the tare, slow drifts, and what weighbridge tickets teach.

    python benchmarks/fleet.py tare --years 100       coverage of the tare's interval, RMS against the ideal filter
    python benchmarks/fleet.py drift --runs 400       false alarms over truck-years, power over 500 loads
    python benchmarks/fleet.py tickets --runs 1000    coverage of gain, of corrected masses, of the matching

Everything is made up here, with known truth; --seed is that of the first run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volest.tare import TareTracker
from volest.truck import Scale, Truck

Floats = NDArray[np.float64]
Rng = np.random.Generator

HOUR_S, DAY_S, YEAR_S = 3600.0, 86_400.0, 31_557_600.0
SCALE = Scale(tare_kg=4300.0, tare_std_kg=15.0, gain_std=0.01, resolution_kg=5.0)
WASTE = Truck.from_dict({"schema": 1, "id": "A", "bed": {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}}).waste


# --- the tare ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tip:
    """One empty state and its truth."""

    time_s: float
    tare_kg: float
    gross_kg: float
    gross_std_kg: float
    left_m3: float
    left_std_m3: float
    mad: bool
    jumped: bool  # since the last
    step: tuple[float, float] | None  # told: kg and std


class TareYear(NamedTuple):
    """What one simulated year of a truck showed, a number for each tip; the tare is asked for just before it."""

    error: Floats
    std: Floats
    ideal: Floats  # errors of the Kalman filter that knows which readings are mad and when the tare jumped
    jumped: Floats  # 1: since the last tip
    doubt: Floats  # 1: the last reading is doubted
    after: Floats  # error just after the tip, and its std
    after_std: Floats


def tips(rng: Rng, days: int = 300, rate: float = 10.0, mad: float = 0.02, jump_days: float = 10.0) -> Iterator[Tip]:
    """A year of tips: five on a working day, the tank filled every second day, now and then a jump nobody tells of."""
    tare = SCALE.tare_kg + rng.normal(0.0, SCALE.tare_std_kg)
    own_density, excess = np.exp(rng.normal(np.log(180.0), 0.35)), rng.normal(0.0, 0.02)
    last = 0.0
    for day in range(days):
        for number in range(5):
            time_s = day * DAY_S + (7.0 + 2.0 * number + rng.uniform(0.0, 1.5)) * HOUR_S
            tare += rng.normal(0.0, rate * np.sqrt((time_s - last) / HOUR_S)) if last else 0.0
            last = time_s
            step = None
            if number == 0 and day % 2:
                step = (float(rng.uniform(-30.0, 50.0)), 5.0)  # filled up, less what two days burn
                tare += rng.normal(*step)
            jumped = rng.random() < 1.0 / (5.0 * jump_days)
            if jumped:
                tare += rng.choice([-1.0, 1.0]) * rng.uniform(60.0, 150.0)
            left = rng.exponential(0.08) if rng.random() < 0.7 else 0.0
            density = max(own_density + rng.normal(0.0, 70.0), 20.0)
            gross_std, left_std = rng.uniform(3.0, 8.0), 0.03
            seen = left + excess + rng.normal(0.0, np.sqrt(left_std**2 - 0.02**2))
            is_mad = rng.random() < mad
            gross = tare + left * density + rng.normal(0.0, gross_std)
            gross += rng.choice([-1.0, 1.0]) * rng.uniform(100.0, 1500.0) if is_mad else 0.0
            yield Tip(time_s, tare, gross, gross_std, seen, left_std, is_mad, jumped, step)


def tare_year(rng: Rng) -> TareYear:
    """The tracker and the ideal filter on the same year."""
    tracker, ideal = TareTracker(SCALE, WASTE), IdealFilter()
    rows = []
    for tip in tips(rng):
        if tip.step:
            tracker.step(tip.time_s, *tip.step)
        tare, best, doubt = tracker.tare(tip.time_s), ideal.expect(tip), tracker.in_doubt
        tracker.empty(tip.time_s, tip.gross_kg, tip.gross_std_kg, tip.left_m3, tip.left_std_m3)
        ideal.learn(tip)
        after, true = tracker.tare(), tip.tare_kg
        rows.append((tare.value - true, tare.std, best - true, tip.jumped, doubt, after.value - true, after.std))
    return TareYear(*np.array(rows, dtype=float).T)


class IdealFilter:
    """Kalman's filter of the model that made the year, told which readings are mad and when the tare jumped."""

    def __init__(self) -> None:
        self.mean = np.array([SCALE.tare_kg, 180.0, 0.0])
        self.covariance = np.diag([SCALE.tare_std_kg**2, 65.0**2, 0.02**2])
        self.time_s: float | None = None

    def expect(self, tip: Tip) -> float:
        """The tare just before the tip is weighed."""
        hours = 0.0 if self.time_s is None else (tip.time_s - self.time_s) / HOUR_S
        self.covariance[0, 0] += 10.0**2 * hours + 110.0**2 * tip.jumped
        self.time_s = tip.time_s
        if tip.step:
            self.mean[0] += tip.step[0]
            self.covariance[0, 0] += tip.step[1] ** 2
        return float(self.mean[0])

    def learn(self, tip: Tip) -> None:
        if tip.mad:
            return
        tare, density, excess = self.mean
        left = tip.left_m3 - excess
        slope = np.array([1.0, left, -density])
        noise = tip.gross_std_kg**2 + (70.0 * left) ** 2 + density**2 * (tip.left_std_m3**2 - 0.02**2)
        gain = self.covariance @ slope / (slope @ self.covariance @ slope + noise)
        self.mean = self.mean + gain * (tip.gross_kg - tare - density * left)
        self.covariance = self.covariance - np.outer(gain, slope @ self.covariance)


def tare_table(years: int, seed: int) -> None:
    """Coverage and RMS over many years, before and after the tips."""
    made = [tare_year(np.random.default_rng([seed, year])) for year in range(years)]
    every = TareYear(*np.concatenate([np.array(year) for year in made], axis=1))
    calm = (every.jumped == 0.0) & (every.doubt == 0.0)
    print(f"{'tips':<36}{'n':>8}{'cover':>8}{'RMS kg':>8}{'ideal':>8}{'ratio':>8}{'std kg':>8}")
    for name, chosen in (
        ("all", every.error < np.inf),
        ("the tare did not just jump", every.jumped == 0.0),
        ("nor is the last reading doubted", calm),
    ):
        rms, best = (float(np.sqrt(np.mean(each[chosen] ** 2))) for each in (every.error, every.ideal))
        cover, std = covers(every.error, every.std)[chosen].mean(), np.median(every.std[chosen])
        print(f"{name:<36}{chosen.sum():>8}{cover:>8.3f}{rms:>8.1f}{best:>8.1f}{rms / best:>8.2f}{std:>8.1f}")
    rms, std = float(np.sqrt(np.mean(every.after**2))), np.median(every.after_std)
    cover = covers(every.after, every.after_std).mean()
    print(f"{'just after the tip':<36}{len(every.after):>8}{cover:>8.3f}{rms:>8.1f}{'':>16}{std:>8.1f}")
    yearly = [covers(year.error, year.std).mean() for year in made]
    print(f"coverage of single years, before the tips: {min(yearly):.3f} to {max(yearly):.3f}")


def covers(error: Floats, std: Floats) -> NDArray[np.bool_]:
    return np.abs(error) <= 1.96 * std


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, count, default in (("tare", "--years", 100), ("drift", "--runs", 400), ("tickets", "--runs", 1000)):
        options = verbs.add_parser(verb)
        options.add_argument(count, type=int, default=default, dest="runs")
        options.add_argument("--seed", type=int, default=9_000_000)
    arguments = parser.parse_args()
    {"tare": tare_table}[arguments.verb](arguments.runs, arguments.seed)


if __name__ == "__main__":
    main()
