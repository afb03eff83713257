"""What the rows of a bench say of each sensor at each mount, how sure that is, and which is better.

Loads are what is drawn at random, so loads are resampled, and with the same draw for all contenders: loads that are
hard for one are hard for all, which leaves their differences. Shares have exact binomial intervals (Clopper and
Pearson, Biometrika 26, 1934), of the first scan of each load.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volest.quantity import COVERAGE_95
from volest.sensorbench.row import SOURCES, Row

__all__ = ["RESAMPLES", "Entry", "Interval", "Summary", "share", "summarise"]

Floats = NDArray[np.float64]
RESAMPLES = 2000
SURE = 0.975  # one is better than another when so many of the resamples say so
MOST_REJECTED = 0.5  # who rejects more comes last, whatever its error
FEWEST = 5  # of fewer loads there is no telling how sure a figure is, nor which rank it has
ADVICE = {
    "hidden": "What it does not see costs most: move it higher or nearer to the middle, or add a second one.",
    "pose": "Where it sits costs most: fix it better, survey its pose, or let it see more of the wall tops.",
    "reference": "The empty bed costs most: scan it again with more frames, or from where all of it is seen.",
    "range": "Its ranges cost most: buy a less noisy sensor, or fuse more frames.",
    "surface": "The spacing of its rays costs most: buy one with more rows, or fuse frames that differ.",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % confidence interval, None where too few loads tell of it."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A sensor at a mount; percentages are of struck capacity, shares from 0 to 1. None: nothing to tell it from."""

    rank: int
    rank_best: int  # no more contenders than that are surely better ...
    rank_worst: int  # ... and all but so many surely worse
    sensor: str
    mount: str
    recorded: bool
    loads: int
    estimates: int
    rms_percent: Interval | None
    bias_percent: Interval | None
    repeatability_percent: Interval | None  # standard deviation of scans of the same load (VIM 2.21)
    limits_percent: tuple[float, float] | None  # 95 % limits of the error: bias +- 1.96 standard deviations
    coverage: Interval | None  # of the estimates' own 95 % intervals
    width_percent: Interval | None  # of those, full, on average
    rejected: Interval
    seen: Interval | None
    hidden: float | None  # 1 - seen
    visible: float | None  # true part of the opening in sight
    budget_percent: dict[str, float]  # root mean square of what each source adds to the standard uncertainty
    ms: float | None  # median
    points: float | None  # returns, median
    points_per_s: float | None

    @property
    def name(self) -> str:
        """Sensor and mount."""
        return f"{self.sensor} @ {self.mount}"

    @property
    def advice(self) -> str:
        """What the budget says, and what to buy or move."""
        if not self.budget_percent:
            return "No estimate: this sensor cannot do the job from there."
        order = sorted(self.budget_percent, key=lambda source: -self.budget_percent[source])
        words = {"hidden": "hidden parts", "reference": "the empty bed", "range": "ranges", "surface": "spacing"}
        costs = [f"{words.get(source, source)} {self.budget_percent[source]:.2f} %" for source in order[:3]]
        return f"{', '.join(costs)}. {ADVICE[order[0]]}"


@dataclass(frozen=True, slots=True)
class Summary:
    """The entries in the order of their ranks, and how sure it is that one is better than another."""

    entries: tuple[Entry, ...]
    better: tuple[tuple[float, ...], ...]  # [i][j]: share of the resamples in which the RMS of i is less than j's

    @property
    def sensors(self) -> tuple[Entry, ...]:
        """The best entry of each sensor, in the order of their ranks."""
        first: dict[str, Entry] = {}
        for entry in self.entries:
            first.setdefault(entry.sensor, entry)
        return tuple(first.values())


def summarise(rows: Sequence[Row], seed: int) -> Summary:
    """The summary of all rows; `seed` draws the resamples."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.sensor, row.mount), []).append(row)
    sums = [_Sums(group, seed) for group in groups.values()]
    sums.sort(key=lambda each: each.order)
    draws = np.array([each.rms_draws for each in sums])
    better = [[_share_less(a, b) for b in draws] for a in draws]
    entries = []
    for i, each in enumerate(sums):
        best = 1 + sum(better[j][i] > SURE for j in range(len(sums)))
        worst = len(sums) - sum(better[i][j] > SURE for j in range(len(sums)))
        entries.append(_entry(each, i + 1, min(best, i + 1), max(worst, i + 1)))
    return Summary(tuple(entries), tuple(map(tuple, better)))


def _share_less(a: Floats, b: Floats) -> float:
    """In which share of the draws a is less than b; a half where that cannot be told, or they are the same."""
    known = ~(np.isnan(a) | np.isnan(b))
    return float(np.mean(a[known] < b[known]) + 0.5 * np.mean(a[known] == b[known])) if known.any() else 0.5


class _Sums:
    """The rows of one contender, summed up load by load, and resamples of those sums."""

    def __init__(self, rows: list[Row], seed: int) -> None:
        self.rows = rows
        self.first = [row for row in rows if row.repeat == 0]
        loads = sorted({row.load for row in rows})
        # A simulation's loads are the same for all; a recording's are its own.
        words = [seed, *(list(rows[0].sensor.encode()) if rows[0].recorded else [])]
        rng = np.random.default_rng(words)
        self.times = rng.multinomial(len(loads), np.full(len(loads), 1.0 / len(loads)), RESAMPLES).astype(np.float64)
        self._at = {load: i for i, load in enumerate(loads)}
        self.made = [row for row in rows if row.error_percent is not None]
        self.error = np.array([row.error_percent for row in self.made], dtype=np.float64)
        self.count = self.by_load(np.ones(len(self.made)))
        self.few = len(loads) < FEWEST
        self.unfit = not self.made or share(self.first, lambda row: row.error_percent is None).value > MOST_REJECTED
        self.rms_draws = np.sqrt(self._ratio(self.by_load(self.error**2), self.count))
        if self.unfit:
            self.rms_draws = np.full(RESAMPLES, np.inf)
        if self.few:
            self.rms_draws = np.full(RESAMPLES, np.nan)

    @property
    def order(self) -> tuple[bool, bool, float, str, str]:
        """By which contenders are ranked."""
        rms = float(np.sqrt(np.mean(self.error**2))) if self.made else math.inf
        return self.unfit, self.few, rms, self.rows[0].sensor, self.rows[0].mount

    def by_load(self, values: Floats) -> Floats:
        """Sums (loads,) of a figure of each row with an estimate."""
        at = np.array([self._at[row.load] for row in self.made], dtype=np.intp)
        return np.asarray(np.bincount(at, values, minlength=len(self._at)), np.float64)

    def mean(self, values: Floats) -> Interval:
        """The mean of a figure of each row with an estimate."""
        return self._interval(float(values.mean()), self._ratio(self.by_load(values), self.count))

    def rms(self) -> Interval:
        """The root mean square error."""
        return self._root_interval(self.by_load(self.error**2), self.count)

    def repeatability(self) -> Interval | None:
        """The standard deviation of scans of the same load, from the loads with several."""
        spread = np.maximum(self.by_load(self.error**2) - self._squared_means(), 0.0)
        free = np.maximum(self.count - 1.0, 0.0)
        if free.sum() == 0.0:
            return None
        return self._root_interval(spread, free)

    def _interval(self, value: float, draws: Floats) -> Interval:
        if self.few:
            return Interval(value, None, None)
        low, high = np.nanquantile(draws, (0.025, 0.975))
        return Interval(value, float(low), float(high))

    def _squared_means(self) -> Floats:
        return np.divide(self.by_load(self.error) ** 2, self.count, out=np.zeros_like(self.count), where=self.count > 0)

    def _root_interval(self, over: Floats, under: Floats) -> Interval:
        """The root of a quotient of sums, its interval from bootstrap t of its logarithm.

        (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, 12.5.) Errors have long tails, and plain
        quantiles of the resamples would be too narrow, above all upwards.
        """
        value = math.sqrt(over.sum() / under.sum())
        if self.few or value == 0.0:
            return Interval(value, None, None)
        drawn, error = self._log_ratio(self.times, over, under)
        (true,), (own,) = self._log_ratio(np.ones((1, len(over))), over, under)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (drawn - true) / error
        t = t[np.isfinite(t)]
        low, high = np.quantile(t, (0.025, 0.975)) if len(t) else (0.0, 0.0)  # all loads alike
        return Interval(value, value * math.exp(-0.5 * high * own), value * math.exp(-0.5 * low * own))

    @staticmethod
    def _log_ratio(times: Floats, over: Floats, under: Floats) -> tuple[Floats, Floats]:
        """The logarithm of a quotient of sums over loads that count `times`, and its standard error; NaN of nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            above, below = times @ over, times @ under
            ratio = above / below
            square = times @ over**2 - 2.0 * ratio * (times @ (over * under)) + ratio**2 * (times @ under**2)
            return np.log(ratio), np.sqrt(np.maximum(square, 0.0)) / above

    def _ratio(self, over: Floats, under: Floats) -> Floats:
        """The quotient of two sums in each resample; NaN where there is nothing in it."""
        above, below = self.times @ over, self.times @ under
        return np.asarray(np.divide(above, below, out=np.full(RESAMPLES, np.nan), where=below > 0))


def share(rows: Sequence[Row], holds: Callable[[Row], bool | None]) -> Interval:
    """The share of rows for which `holds(row)`, with its exact binomial interval; of no rows, 0 to 1."""
    from scipy.stats import binomtest

    if not rows:
        return Interval(math.nan, 0.0, 1.0)
    found = binomtest(sum(bool(holds(row)) for row in rows), len(rows))
    bounds = found.proportion_ci(method="exact")
    return Interval(float(found.statistic), float(bounds.low), float(bounds.high))


def _entry(sums: _Sums, rank: int, best: int, worst: int) -> Entry:
    made, rows = sums.made, sums.rows
    bias = sums.mean(sums.error) if made else None
    spread = COVERAGE_95 * float(sums.error.std(ddof=1)) if len(made) > 1 else 0.0
    seen = [row.seen_fraction for row in made]
    ms = _median([row.ms for row in made])
    points = _median([row.points for row in rows])
    visible = [row.visible_fraction for row in rows if row.visible_fraction is not None]
    return Entry(
        rank=rank,
        rank_best=best,
        rank_worst=worst,
        sensor=rows[0].sensor,
        mount=rows[0].mount,
        recorded=rows[0].recorded,
        loads=len(sums.first),
        estimates=len(made),
        rms_percent=sums.rms() if made else None,
        bias_percent=bias,
        repeatability_percent=sums.repeatability() if made else None,
        limits_percent=None if bias is None else (bias.value - spread, bias.value + spread),
        coverage=share([row for row in sums.first if row.covered is not None], lambda row: row.covered)
        if any(row.covered is not None for row in sums.first)
        else None,
        width_percent=sums.mean(np.array([row.width_percent for row in made], dtype=np.float64)) if made else None,
        rejected=share(sums.first, lambda row: row.error_percent is None),
        seen=sums.mean(np.array(seen, dtype=np.float64)) if made else None,
        hidden=1.0 - float(np.mean(np.array(seen, dtype=np.float64))) if made else None,
        visible=float(np.mean(visible)) if visible else None,
        budget_percent=_budget(made),
        ms=ms,
        points=points,
        points_per_s=None if ms is None or points is None else 1e3 * points / ms,
    )


def _budget(made: Sequence[Row]) -> dict[str, float]:
    if not made:
        return {}
    columns = {source: [getattr(row, f"{source}_percent") for row in made] for source in SOURCES}
    return {
        source: float(np.sqrt(np.mean(np.square(np.array(values, dtype=np.float64)))))
        for source, values in columns.items()
        if None not in values
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
