"""Measures what is learned from many loads of one truck: the tare, slow drifts, and what weighbridge tickets teach.

    python benchmarks/fleet.py tare --runs 100        coverage of a year of tares, RMS against the ideal filter
    python benchmarks/fleet.py alarms --runs 300      how often a drift is found where there is none
    python benchmarks/fleet.py power --runs 50        how often drifts over 500 loads are found, and how well sized
    python benchmarks/fleet.py tickets --runs 1000    coverage of gain and of corrected masses, right matches

Everything is made up here, with known truth; --seed is that of the first run.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volest.drift import Drift, EmptySeries, LoadSeries, find_drift
from volest.errors import InputError
from volest.tare import TareTracker
from volest.tickets import Ticket, WeighedLoad, match_tickets
from volest.truck import Scale, Truck
from volest.weighbridge import Weighbridge, calibrate

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


# --- slow drifts ------------------------------------------------------------------------------------------------------

AREA_M2 = 8.8


@dataclass(frozen=True, slots=True)
class World:
    """A record of one truck: its loads, how its density scatters, what drifts."""

    loads: int = 1500
    days: float = 300.0
    scatter: float = 0.25  # of the log density, from load to load
    wander: float = 0.08  # of the same, slowly, at most
    season: float = 0.05  # amplitude of the yearly round, 1-sigma
    gain: float = 0.0  # grown to at the end
    height_m: float = 0.0
    shape: str = "ramp"  # or "late": from the middle on; or "step": in the middle
    empties: bool = True


def wandering(rng: Rng, time_s: Floats, std: float, days: float) -> Floats:
    """An Ornstein-Uhlenbeck process at sorted times."""
    decay = np.exp(-np.diff(time_s, prepend=-np.inf) / (days * DAY_S))
    kicks = rng.normal(size=len(time_s)) * std * np.sqrt(1.0 - decay**2)
    values = np.zeros(len(time_s))
    for i, (keep, kick) in enumerate(zip(decay, kicks, strict=True)):
        values[i] = keep * values[i - 1] + kick
    return values


def grown(shape: str, time_s: Floats) -> Floats:
    phase = (time_s - time_s[0]) / (time_s[-1] - time_s[0])
    return {"ramp": phase, "late": np.clip(2.0 * phase - 1.0, 0.0, 1.0), "step": (phase > 0.5) * 1.0}[shape]


def record(world: World, rng: Rng) -> tuple[LoadSeries, EmptySeries | None]:
    """Loads whose log density scatters half by a skewed law, with 1 % of all readings mad."""
    n = world.loads
    day = np.sort(rng.integers(0, int(world.days), n))
    time_s = np.sort(day * DAY_S + rng.uniform(7.0, 17.0, n) * HOUR_S) + rng.uniform(0.0, YEAR_S)
    grows = grown(world.shape, time_s)
    volume = AREA_M2 * 1.3 * rng.uniform(0.05, 1.1, n)
    skewed = rng.beta(4.0, 2.0, n)
    log_density = np.log(250.0) + world.scatter * np.sqrt(0.5) * (rng.normal(size=n) + (skewed - 2 / 3) / 0.178)
    log_density += wandering(rng, time_s, rng.uniform(0.0, world.wander), rng.uniform(0.5, 20.0))
    year = 2.0 * np.pi * time_s / YEAR_S
    log_density += world.season * (rng.normal() * np.sin(year) + rng.normal() * np.cos(year))
    volume_std = np.hypot(0.03, 0.012 * volume)
    net_std = np.full(n, 18.0)
    net = volume * np.exp(log_density) * (1.0 + world.gain * grows) + rng.normal(0.0, net_std)
    seen = volume + AREA_M2 * world.height_m * grows + rng.normal(0.0, volume_std)
    mad = rng.random(n) < 0.01
    net[mad] *= rng.uniform(0.4, 2.5, mad.sum())
    loads = LoadSeries(time_s, seen, volume_std, net, net_std, AREA_M2)
    if not world.empties:
        return loads, None
    height = world.height_m * grows + rng.normal(0.0, 0.006, n) + wandering(rng, time_s, 0.003, 3.0)
    height[rng.random(n) < 0.01] += 0.1
    return loads, EmptySeries(time_s + 0.5 * HOUR_S, height, np.full(n, 0.004))


def alarms_table(runs: int, seed: int) -> None:
    """False alarms over records in which nothing drifts."""
    print(f"{'no drift':<44}{'n':>6}{'alarms':>8}{'of them scale':>14}")
    for name, world, believed in (
        ("a year, 1500 loads", World(), 0.05),
        ("the same without empty states", World(empties=False), 0.05),
        ("100 days, 500 loads", World(loads=500, days=100.0), 0.05),
        ("100 days, no season, none believed in", World(loads=500, days=100.0, season=0.0), 0.0),
        ("100 days, no season, scatter 0.10", World(500, 100.0, 0.1, 0.03, 0.0), 0.0),
        ("a year, season twice what is believed", World(season=0.1), 0.05),
    ):
        found = [_drift(world, believed, seed + run) for run in range(runs)]
        alarms = [drift.kind for drift in found if drift.kind]
        print(f"{name:<44}{runs:>6}{len(alarms) / runs:>8.4f}{alarms.count('scale'):>14}")


def power_table(runs: int, seed: int) -> None:
    """How often drifts over 500 loads are found, and how well sized."""
    heads = f"{'found':>7}{'kind':>6}{'at best':>8}{'bias':>8}{'RMS':>8}{'cover':>7}{'lin.':>6}"
    print(f"{'500 loads in 100 days':<44}{heads}")
    calm = World(500, 100.0, 0.1, 0.03, 0.0)
    for title, base, believed in (
        ("scatter 0.25, season 0.05", World(500, 100.0), 0.05),
        ("scatter 0.25, no season", World(500, 100.0, season=0.0), 0.0),
        ("scatter 0.10, no season", calm, 0.0),
    ):
        for gain in (0.01, 0.02, 0.05, 0.10, 0.20)[0 if believed or base is calm else 2 :]:
            world = replace(base, gain=gain)
            _power(f"{title}, scale {100 * gain:.0f} %", world, believed, runs, seed)
    for title, base, believed in (
        ("scatter 0.25, season 0.05", World(500, 100.0), 0.05),
        ("the same without empty states", World(500, 100.0, empties=False), 0.05),
        ("scatter 0.10, no empty states", replace(calm, empties=False), 0.0),
    ):
        for height in (0.01, 0.02, 0.05):
            world = replace(base, height_m=height)
            _power(f"{title}, height {100 * height:.0f} cm", world, believed, runs, seed)
    for shape in ("late", "step"):
        _power(f"scatter 0.10, {shape}, scale 10 %", replace(calm, gain=0.1, shape=shape), 0.0, runs, seed)
        world = World(500, 100.0, height_m=0.02, shape=shape)
        _power(f"scatter 0.25, {shape}, height 2 cm", world, 0.05, runs, seed)


def _drift(world: World, believed: float, seed: int) -> Drift:
    return find_drift(*record(world, np.random.default_rng(seed)), season_log_std=believed)


def _power(name: str, world: World, believed: float, runs: int, seed: int) -> None:
    """How often a drift is found, is of the right kind, and has the true size in its interval.

    `at best`: how often a test would find it that knows the shape, the scatter and that nothing wanders.
    """
    found = [_drift(world, believed, seed + 500_000 + run) for run in range(runs)]
    true, kind = (world.gain, "scale") if world.gain else (world.height_m, "sensor_height")
    right = [drift.total for drift in found if drift.kind == kind and drift.total]
    errors = np.array([total.value - true for total in right])
    hit = np.mean([total.lower95 <= true <= total.upper95 for total in right]) if right else np.nan
    linear = [drift.linear[kind] for drift in found]  # type: ignore[index]
    held = np.mean([each.lower95 <= true <= each.upper95 for each in linear])
    any_kind = sum(drift.kind is not None for drift in found)
    z = np.log1p(world.gain) / (world.scatter * np.sqrt(12.0 / world.loads)) if world.gain else np.nan
    best = NormalDist().cdf(z - 2.81) if world.gain else np.nan
    bias, rms = (100.0 * errors.mean(), 100.0 * np.sqrt(np.mean(errors**2))) if right else (np.nan, np.nan)
    kinds = len(right) / any_kind if any_kind else np.nan
    row = f"{name:<44}{any_kind / runs:>7.2f}{kinds:>6.2f}{best:>8.2f}{bias:>8.2f}{rms:>8.2f}{hit:>7.2f}"
    print(row + (f"{held:>6.2f}" if world.shape == "ramp" else ""), flush=True)


# --- weighbridge tickets ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weighed:
    """A truck's loads with tickets, what its scale has wrong, and which ticket belongs to which load."""

    loads: list[WeighedLoad]
    tickets: list[Ticket]
    gain: float
    offset_kg: float


def weighed(rng: Rng, count: int, bridge: Weighbridge, mad: float = 0.03) -> Weighed:
    """Six loads a day; tickets within ten minutes, one in twenty lost, one in thirty of something else.

    The weighbridge errs by anything that is permitted in service, the same in all tickets, and rounds each weighing.
    """
    gain, offset = 1.0 + rng.normal(0.0, SCALE.gain_std), rng.normal(0.0, SCALE.tare_std_kg)
    number = np.arange(count)
    time_s = 1.7e9 + number // 6 * DAY_S + number % 6 * 1.8 * HOUR_S + rng.uniform(0.0, 0.5, count) * HOUR_S
    true, std = rng.uniform(800.0, 5000.0, count), np.full(count, 12.0)
    net = (true - offset) / gain + rng.normal(0.0, std)
    empty = 4300.0 + rng.uniform(-50.0, 50.0, count)
    shown = _rounded(true + empty, bridge.d_kg) - _rounded(empty, bridge.d_kg)
    shown += rng.uniform(-1.0, 1.0) * np.array([bridge.mpe_kg(each) for each in true])
    is_mad = rng.random(count) < mad
    shown[is_mad] = rng.uniform(500.0, 6000.0, is_mad.sum())
    loads = [WeighedLoad(str(i), "A1", *each) for i, each in enumerate(zip(time_s, net, std, strict=True))]
    written = rng.random(count) >= 0.05
    at = time_s + rng.uniform(-600.0, 600.0, count)
    tickets = [Ticket("A1", float(at[i]), float(shown[i]), i) for i in number if written[i] and shown[i] > 0.0]
    return Weighed(loads, tickets, gain, offset)


def _rounded(kg: Floats, d_kg: float) -> Floats:
    return np.round(kg / d_kg) * d_kg


def tickets_table(runs: int, seed: int) -> None:
    """Coverage of gain and of corrected masses, and how much narrower the gain is known."""
    heads = f"{'right':>7}{'gain cover':>12}{'mass cover':>12}{'RMS kg':>8}{'before':>8}"
    heads += f"{'gain_std':>10}{'reference':>11}{'refused':>9}"
    print(f"{'tickets':<22}{heads}")
    for count in (6, 24, 120):
        for d_kg in (10.0, 20.0, 50.0):
            rows = [_calibrated(np.random.default_rng([seed, run]), count, Weighbridge(d_kg)) for run in range(runs)]
            right, gain, mass, after, before, std, reference = np.array([row for row in rows if row]).T
            rms = [float(np.sqrt(np.mean(each**2))) for each in (after, before)]
            print(
                f"{f'{count} loads, d = {d_kg:g} kg':<22}{right.mean():>7.4f}{gain.mean():>12.3f}{mass.mean():>12.3f}"
                f"{rms[0]:>8.1f}{rms[1]:>8.1f}{np.median(std):>10.4f}{np.median(reference):>11.4f}"
                f"{rows.count(None) / runs:>9.3f}",
                flush=True,
            )


def _calibrated(rng: Rng, count: int, bridge: Weighbridge) -> tuple[float, ...] | None:
    """Share of right pairs, whether gain and a new load's corrected mass hold the truth, the mass's error and more."""
    world = weighed(rng, count, bridge)
    matching = match_tickets(world.tickets, world.loads)
    right = [pair.load.load_id == str(pair.ticket.line) for pair in matching.clear]
    try:
        told = calibrate(matching.clear, SCALE, bridge)
    except InputError:  # too few tickets that agree
        return None
    true = rng.uniform(800.0, 5000.0)
    net = (true - world.offset_kg) / world.gain + rng.normal(0.0, 12.0)
    as_it_was = (net, math.hypot(12.0, SCALE.tare_std_kg, SCALE.gain_std * net))
    kg, std = told.apply(net, 12.0) if told.worthwhile else as_it_was
    gain_held = abs(told.gain - world.gain) <= 1.96 * told.gain_std
    held = abs(kg - true) <= 1.96 * std
    return np.mean(right), gain_held, held, kg - true, net - true, told.new_gain_std, told.budget["reference"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    tables = {"tare": (tare_table, 100), "alarms": (alarms_table, 300), "power": (power_table, 50)}
    tables["tickets"] = (tickets_table, 1000)
    for verb, (_, default) in tables.items():
        options = verbs.add_parser(verb)
        options.add_argument("--runs", type=int, default=default)
        options.add_argument("--seed", type=int, default=9_200_000)
    arguments = parser.parse_args()
    tables[arguments.verb][0](arguments.runs, arguments.seed)


if __name__ == "__main__":
    main()
