"""Scores the gross mass of made-up weight series whose truth is known: does the 95 % interval hold it, is it as wide as
it must be, and is what is broken flagged?

    python benchmarks/weights.py --series 500          of each kind
    python benchmarks/weights.py --time                a million short series at once, one of a million samples

Of sound kinds an interval is due, unflagged; of broken ones a flag, or an interval that holds the truth. `RMS z` is
that of error / stated standard uncertainty, `wide` the median stated one over 1.48 times the median error (1: as wide
as need be), `wrong` the share of series off by more than three stated ones with no flag. Sound kinds are scored where
nothing is flagged.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from volest import _core
from volest.weight import REST_M_S, GrossMass, settle

Array = NDArray[np.float64]
Random = np.random.Generator
NAMES = {
    name.removeprefix("WEIGHT_").lower(): getattr(_core, name) for name in dir(_core) if name.startswith("WEIGHT_")
}


@dataclass(frozen=True)
class Series:
    time_s: Array
    gross_kg: Array
    truth_kg: float
    resolution_kg: float = 0.0
    speed_m_s: Array | None = None
    rounded: bool = False

    def settle(self) -> GrossMass:
        return settle(self.time_s, self.gross_kg, self.resolution_kg, self.speed_m_s)


def log_uniform(random: Random, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def bounce(time_s: Array, amplitude_kg: float, random: Random, steady: bool = False) -> Array:
    """One to three modes of the body on its springs and of its pitch, each dying away after one kick or several."""
    out = np.zeros_like(time_s)
    kicks = [time_s.min(), *random.uniform(time_s.min(), time_s.max(), random.poisson(np.ptp(time_s) / 20.0))]
    for start in kicks[: 1 if steady else None]:
        for share in (1.0, 0.4, 0.2)[: random.integers(1, 4)]:
            since = np.maximum(time_s - start, 0.0)
            decay = 1e9 if steady else log_uniform(random, 1.0, 30.0)
            wave = np.sin(2.0 * np.pi * random.uniform(0.8, 3.5) * since + random.uniform(0.0, 2.0 * np.pi))
            out += (time_s >= start) * share * amplitude_kg * np.exp(-since / decay) * wave
        amplitude_kg *= random.uniform(0.2, 1.0)
    return out


def at_rest(
    random: Random,
    duration_s: float | None = None,
    rate_hz: float | None = None,
    noise_kg: float | None = None,
    steady: bool = False,
    jitter: float = 0.05,
) -> Series:
    """A truck that bounces on its scale, before its readings are rounded."""
    duration_s = log_uniform(random, 5.0, 60.0) if duration_s is None else duration_s
    rate_hz = log_uniform(random, 8.0, 100.0) if rate_hz is None else rate_hz
    noise_kg = log_uniform(random, 1.0, 20.0) if noise_kg is None else noise_kg
    truth = random.uniform(3000.0, 30_000.0)
    count = max(int(duration_s * rate_hz), 1)
    time_s = np.sort((np.arange(count) + jitter * random.standard_normal(count)) / rate_hz)
    kg = truth + bounce(time_s, truth * log_uniform(random, 0.001, 0.03), random, steady)
    return Series(time_s, kg + noise_kg * random.standard_normal(count), truth)


def rounded(series: Series, random: Random, steps: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0)) -> Series:
    step = float(random.choice(steps))
    kg = np.round(series.gross_kg / step) * step
    return replace(series, gross_kg=kg, resolution_kg=step, rounded=True)


def spoil(series: Series, gross_kg: Array) -> Series:
    return replace(series, gross_kg=gross_kg)


def part(series: Series, random: Random, low: float, high: float) -> NDArray[np.bool_]:
    """A stretch of the series that takes between these parts of it."""
    count = len(series.time_s)
    length = int(count * random.uniform(low, high))
    start = int(random.integers(0, count - length + 1))
    return (np.arange(count) >= start) & (np.arange(count) < start + length)


# --- sound ------------------------------------------------------------------------------------------------------------


def plain(random: Random) -> Series:
    return at_rest(random)


def steady(random: Random) -> Series:
    return at_rest(random, steady=True)


def quiet(random: Random) -> Series:
    """Little noise and coarse steps: the rounding decides."""
    base = at_rest(random, noise_kg=log_uniform(random, 0.3, 10.0))
    return rounded(base, random, (5.0, 10.0, 20.0, 50.0))


def short(random: Random) -> Series:
    return at_rest(random, duration_s=random.uniform(1.5, 5.0), rate_hz=log_uniform(random, 10.0, 100.0))


def slow(random: Random) -> Series:
    return at_rest(random, duration_s=random.uniform(20.0, 90.0), rate_hz=random.uniform(2.0, 8.0))


def long(random: Random) -> Series:
    return at_rest(random, duration_s=600.0, rate_hz=random.uniform(5.0, 20.0))


def jittered(random: Random) -> Series:
    """Samples at random times, some twice, in slight disorder."""
    base = at_rest(random, jitter=random.uniform(0.2, 1.0))
    twice = np.sort(np.concatenate([np.arange(len(base.time_s)), random.integers(0, len(base.time_s), 5)]))
    order = twice[np.argsort(base.time_s[twice] + random.uniform(0.0, 0.3, len(twice)))]
    return replace(base, time_s=np.round(base.time_s[order], 3), gross_kg=base.gross_kg[order])


def spiked(random: Random) -> Series:
    base = at_rest(random)
    kg = base.gross_kg.copy()
    hit = random.random(len(kg)) < random.uniform(0.005, 0.05)
    kg[hit] += 300.0 * random.standard_t(1.5, int(hit.sum()))
    start = int(random.integers(0, len(kg)))
    kg[start : start + int(random.integers(2, 6))] += random.choice([-1, 1]) * random.uniform(200.0, 5000.0)
    return spoil(base, kg)


def dropouts(random: Random) -> Series:
    """NaN, 0, negative and absurd readings, one by one and in stretches."""
    base = at_rest(random)
    kg = base.gross_kg.copy()
    gone = (random.random(len(kg)) < random.uniform(0.0, 0.2)) | part(base, random, 0.02, 0.2)
    kg[gone] = random.choice([np.nan, 0.0, -50.0, 1e9, -np.inf], int(gone.sum()))
    return spoil(base, kg)


def gaps(random: Random) -> Series:
    base = at_rest(random, duration_s=random.uniform(15.0, 60.0))
    kept = ~part(base, random, 0.05, 0.3) & ~part(base, random, 0.02, 0.1)
    return replace(base, time_s=base.time_s[kept], gross_kg=base.gross_kg[kept])


def coloured(random: Random) -> Series:
    """An indicator that smooths its readings: noise that hangs together over some samples."""
    base = at_rest(random, noise_kg=0.0)
    pole, white = random.uniform(0.3, 0.9), log_uniform(random, 1.0, 20.0) * random.standard_normal(len(base.time_s))
    noise = np.zeros_like(white)
    for i in range(1, len(white)):
        noise[i] = pole * noise[i - 1] + (1.0 - pole) * white[i]
    return spoil(base, base.gross_kg + noise)


def stuck_briefly(random: Random) -> Series:
    """Holds its reading for a while amid a bounce."""
    base = at_rest(random, duration_s=random.uniform(15.0, 60.0), rate_hz=random.uniform(10.0, 50.0), steady=True)
    held = part(base, random, 0.08, 0.3)
    return spoil(base, np.where(held, base.gross_kg[held][0], base.gross_kg))


def comes_to_rest(random: Random) -> Series:
    """Drives in, its speed known."""
    base = at_rest(random, duration_s=random.uniform(20.0, 90.0))
    stop_s = random.uniform(0.2, 0.6) * base.time_s[-1]
    speed = np.clip(stop_s - base.time_s, 0.0, 5.0)  # brakes at 1 m/s2
    road = base.truth_kg * np.where(speed > 0, 0.03 * random.standard_normal(len(speed)) - 0.05 * (speed < 5.0), 0.0)
    return replace(base, gross_kg=base.gross_kg + road, speed_m_s=speed)


# --- broken -----------------------------------------------------------------------------------------------------------


def drift(random: Random) -> Series:
    base = at_rest(random, duration_s=random.uniform(15.0, 60.0))
    slope = random.choice([-1, 1]) * log_uniform(random, 50.0, 1000.0)
    return spoil(base, base.gross_kg + slope * base.time_s / base.time_s[-1])


def loaded(random: Random) -> Series:
    """Load is added on the way; the truth is the last level."""
    base = at_rest(random, duration_s=random.uniform(15.0, 60.0))
    step = random.choice([-1, 1]) * log_uniform(random, 100.0, 2000.0)
    return spoil(base, base.gross_kg - step * (base.time_s < random.uniform(0.2, 0.8) * base.time_s[-1]))


def stuck(random: Random) -> Series:
    """Stuck from the first sample on, at another truck's mass."""
    base = at_rest(random, duration_s=random.uniform(6.0, 60.0), rate_hz=random.uniform(10.0, 50.0))
    return spoil(base, np.full_like(base.gross_kg, np.round(random.uniform(2500.0, 40_000.0))))


def frozen(random: Random) -> Series:
    """Stuck in the bounce, for most of the time."""
    base = at_rest(random, duration_s=random.uniform(10.0, 60.0), rate_hz=random.uniform(10.0, 50.0), steady=True)
    from_here = int(len(base.gross_kg) * random.uniform(0.1, 0.4))
    return spoil(base, np.where(np.arange(len(base.gross_kg)) < from_here, base.gross_kg, base.gross_kg[from_here]))


def saturated(random: Random) -> Series:
    base = at_rest(
        random,
        steady=bool(random.random() < 0.5),
        duration_s=random.uniform(8.0, 60.0),
        rate_hz=random.uniform(10.0, 50.0),
    )
    rail = base.truth_kg + random.uniform(-0.5, 0.3) * (base.gross_kg.max() - base.truth_kg)
    return spoil(base, np.minimum(base.gross_kg, np.round(rail, -1)))


def mostly_lost(random: Random) -> Series:
    base = at_rest(random)
    gone = random.random(len(base.gross_kg)) < random.uniform(0.6, 0.99)
    return spoil(base, np.where(gone, 0.0, base.gross_kg))


def nothing(random: Random) -> Series:
    base = at_rest(random)
    return spoil(base, np.full_like(base.gross_kg, random.choice([np.nan, 0.0, -5000.0, 1e9])))


def glimpse(random: Random) -> Series:
    """One sample, or less than a bounce."""
    return at_rest(random, duration_s=random.choice([0.0, random.uniform(0.0, 0.9)]))


def driving(random: Random) -> Series:
    """Never at rest, and nobody tells."""
    base = at_rest(random, duration_s=random.uniform(10.0, 60.0))
    slow_kg = np.interp(base.time_s, np.arange(0.0, 64.0, 2.0), random.normal(0.0, 0.02, 32) * base.truth_kg)
    return spoil(base, base.gross_kg + slow_kg + 0.03 * base.truth_kg * random.standard_normal(len(slow_kg)))


def clock_back(random: Random) -> Series:
    base = at_rest(random, duration_s=random.uniform(10.0, 60.0))
    back = base.time_s > random.uniform(0.3, 0.7) * base.time_s[-1]
    return replace(base, time_s=base.time_s - back * log_uniform(random, 5.0, 1e5))


SOUND = (
    plain, steady, quiet, short, slow, long, jittered, spiked, dropouts, gaps, coloured, stuck_briefly, comes_to_rest,
)  # fmt: skip
BROKEN = (drift, loaded, stuck, frozen, saturated, mostly_lost, nothing, glimpse, driving, clock_back)


@dataclass(frozen=True)
class Scores:
    """What became of the series of one kind, (N,) each; the error of a missing mass is NaN."""

    error_kg: Array
    std_kg: Array
    bits: NDArray[np.uint32]

    def row(self, name: str, is_sound: bool) -> str:
        told = np.isfinite(self.error_kg)
        trusted = told & (self.bits == 0)
        wrong = trusted & (np.abs(self.error_kg) > 3.0 * self.std_kg)
        why = [f"{flag} {share:.0%}" for flag, bit in NAMES.items() if (share := np.mean(self.bits & bit > 0)) >= 0.005]
        tail = f"{np.mean(self.bits > 0):.1%} | {np.mean(wrong):.1%} | {', '.join(why)} |"
        counted = trusted if is_sound else told
        if not counted.any():
            return f"| {name} | | | | | | {tail}"
        error, std = self.error_kg[counted], self.std_kg[counted]
        z, rms, stated = error / std, np.sqrt(np.mean(error**2)), np.median(std)
        wide = 0.6745 * stated / np.median(np.abs(error))
        covered, rms_z = np.mean(np.abs(z) < 1.96), np.sqrt(np.mean(z**2))
        return f"| {name} | {covered:.1%} | {rms_z:.2f} | {rms:.1f} | {stated:.1f} | {wide:.1f} | {tail}"


def score(kind: Callable[[Random], Series], count: int, seed: int) -> Scores:
    random = np.random.default_rng([seed, *kind.__name__.encode()])
    rows = []
    for _ in range(count):
        series = kind(random)
        series = series if series.rounded else rounded(series, random)
        gross = series.settle()
        moving = None if series.speed_m_s is None else series.speed_m_s > REST_M_S
        bits = _core.settle(series.time_s, series.gross_kg, series.resolution_kg, moving)[-1]
        rows.append((np.nan if gross.kg is None else gross.kg - series.truth_kg, gross.std_kg, bits))
    errors, stds, bits_of = zip(*rows, strict=True)
    return Scores(np.array(errors), np.array(stds), np.array(bits_of, dtype=np.uint32))


def report(count: int, seed: int) -> None:
    print("| kind | coverage | RMS z | RMS error, kg | median std, kg | wide | flagged | wrong | why flagged |")
    print("|---|---|---|---|---|---|---|---|---|")
    sound = []
    for kind in SOUND:
        sound.append(score(kind, count, seed))
        print(sound[-1].row(kind.__name__, True), flush=True)
    columns = ([getattr(scores, name) for scores in sound] for name in ("error_kg", "std_kg", "bits"))
    print(Scores(*(np.concatenate(column) for column in columns)).row("**all of these**", True))
    for kind in BROKEN:
        print(score(kind, count, seed).row(kind.__name__, False), flush=True)


def time_many() -> None:
    random = np.random.default_rng(0)
    for series, samples in ((1_000_000, 20), (50_000, 400), (1, 1_000_000)):
        time_s = np.tile(np.arange(samples) * 0.05, series)
        kg = 5.0 * np.round((6000.0 + random.normal(0.0, 10.0, time_s.shape)) / 5.0)
        offsets = samples * np.arange(series + 1)
        started = perf_counter()
        _core.settle_many(time_s, kg, offsets, 5.0)
        took = perf_counter() - started
        print(f"{series} series of {samples} samples: {took:.2f} s, {1e9 * took / len(kg):.1f} ns a sample")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=500, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", action="store_true", help="time the work in place of scoring it")
    args = parser.parse_args()
    time_many() if args.time else report(args.series, args.seed)
