"""Slow drift of the scale's gain or of the sensor's height, found over many loads of one truck.

Model and figures: `docs/scale.md`. The logarithm of the density scatters and wanders from load to load, by what is
learned from the loads themselves. A gain that drifts moves it for all loads alike; a sensor that sinks or is raised
moves it by - area dz / volume, most where the load is small, and shows in the empty bed as well.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volest.errors import InputError
from volest.jit import kernel
from volest.quantity import Quantity

__all__ = ["Drift", "EmptySeries", "LoadSeries", "find_drift"]

Floats = NDArray[np.float64]
Kind = Literal["scale", "sensor_height"]
KINDS: tuple[Kind, Kind] = ("scale", "sensor_height")

YEAR_S, DAY_S = 31_557_600.0, 86_400.0
FALSE_ALARM = 0.005  # of the records without drift, were their noise known; below 0.01 is promised
VAGUE = 1e-4  # of a unit, precision of what nothing is known of beforehand
SEASON_LOG_STD = 0.05  # of the amplitude of the density's yearly round
LEAST_LOADS, MOST_LOADS, MOST_ROUTES = 40, 200_000, 50
WANDER_DAYS = (1.0, 5.0, 25.0)  # time constants that are tried
WANDER_SHARES = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0)  # of the scatter as a whole
DOUBT, DOUBT_EMPTY = 0.5, 2.7  # of twice the log likelihood; empty beds tell enough to be asked for more
RAMPS = np.arange(6) / 7.0  # where in the record a ramp may begin
STEPS = np.arange(1, 10) / 10.0
OUTLIER_MADS = 5.0
DRAWS = 20_000  # for the threshold


@dataclass(frozen=True, slots=True, eq=False)
class LoadSeries:
    """Loads of one truck, (N,) each, in any order; the volume is over a bed of `area_m2`.

    `net_std_kg` need not hold what all loads have in common. `route` tells loads apart whose density is not alike.
    """

    time_s: ArrayLike
    volume_m3: ArrayLike
    volume_std_m3: ArrayLike
    net_kg: ArrayLike
    net_std_kg: ArrayLike
    area_m2: float
    route: ArrayLike | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EmptySeries:
    """Mean heights of the empty bed over its reference, after tips, as the lidar has them; (M,) each."""

    time_s: ArrayLike
    height_m: ArrayLike
    height_std_m: ArrayLike


@dataclass(frozen=True, slots=True)
class Drift:
    """What drifted, by how much and since when; `kind` is None where nothing was found.

    Sizes of the scale's gain are relative (0.02: the scale shows 2 % more), those of the sensor's height in metres
    (0.02: all is seen 2 cm higher). `evidence` is the logarithm of how much likelier each kind makes the record than
    no drift does. `linear` holds, found or not, what each would have changed from the first load to the last were it
    steady, both fitted together: its interval tells how great a drift would still have gone unseen.
    """

    evidence: dict[Kind, float]
    linear: dict[Kind, Quantity]
    largest_z: float  # of all shapes of both kinds
    threshold_z: float
    log_density_std: float  # learned: from load to load, what wanders included
    loads: int  # that told something
    empties: int
    kind: Kind | None = None
    kind_probability: float | None = None  # that it is this kind and not the other
    shape: Literal["ramp", "step"] | None = None
    total: Quantity | None = None  # from the first load to the last
    per_year: Quantity | None = None  # of a ramp
    since_time_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


def find_drift(
    loads: LoadSeries,
    empties: EmptySeries | None = None,
    *,
    season_log_std: float = SEASON_LOG_STD,
    false_alarm: float = FALSE_ALARM,
) -> Drift:
    """The likeliest drift in a record of one truck's loads, if any is beyond chance.

    `season_log_std` is how much the density's yearly round is thought to have as amplitude; the shorter the record, the
    more of a drift could be that. Loads of less than three standard deviations of volume or mass tell nothing. Raises
    InputError for arrays of unequal length, for what is not finite, and for fewer than 40 loads that tell something.
    """
    if not (0.0 <= season_log_std <= 1.0 and 0.0 < false_alarm < 1.0):
        raise InputError(f"drift: found season_log_std {season_log_std}, false_alarm {false_alarm}, expected 0 to 1")
    record = _record(loads, empties)
    span_s = float(record.time_s[0]), float(record.time_s[-1])
    if span_s[1] - span_s[0] < DAY_S:
        raise InputError(f"drift: loads: found {span_s[1] - span_s[0]:g} s between first and last, expected days")
    system = _system(record, season_log_std)
    slopes, z = system.scores()
    evidence = {kind: _evidence(z[kind]) for kind in KINDS}
    drift = Drift(
        evidence=evidence,
        linear=_linear(system),
        largest_z=max(float(np.abs(z[kind]).max()) for kind in KINDS),
        threshold_z=_threshold(system.candidates, false_alarm),
        log_density_std=system.log_density_std,
        loads=len(record.time_s),
        empties=len(record.empty_s),
    )
    if drift.largest_z <= drift.threshold_z:
        return drift
    likelier = max(KINDS, key=evidence.__getitem__)
    apart = abs(evidence["scale"] - evidence["sensor_height"])
    shape, total, per_year, since_time_s = _found(likelier, z[likelier], slopes[likelier], span_s)
    return replace(
        drift,
        kind=likelier,
        kind_probability=1.0 / (1.0 + math.exp(-apart)),
        shape=shape,
        total=total,
        per_year=per_year,
        since_time_s=since_time_s,
    )


# --- the record -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """In order of time, outliers clipped: (N,) loads and (M,) empty states."""

    time_s: Floats
    log_density: Floats
    variance: Floats  # of the log density, by measurement
    log_volume: Floats
    per_m: Floats  # change of the log density by a metre of sensor height
    route: NDArray[np.intp]
    empty_s: Floats
    height_m: Floats
    height_variance: Floats


def _record(loads: LoadSeries, empties: EmptySeries | None) -> _Record:
    time_s, volume, volume_std, net, net_std = _arrays(loads, "loads")
    if not 0.0 < loads.area_m2 < 1000.0:
        raise InputError(f"drift: area_m2: found {loads.area_m2}, expected above 0 and below 1000")
    route = np.zeros(len(time_s), np.intp) if loads.route is None else np.unique(loads.route, return_inverse=True)[1]
    if len(route) != len(time_s) or route.max(initial=0) >= MOST_ROUTES:
        raise InputError(f"drift: route: expected one for each load, at most {MOST_ROUTES} different ones")
    telling = np.flatnonzero((volume > 3.0 * volume_std) & (net > 3.0 * net_std) & (volume > 0.0) & (net > 0.0))
    if len(telling) < LEAST_LOADS:
        raise InputError(f"drift: loads: found {len(telling)} that tell of density, expected at least {LEAST_LOADS}")
    order = telling[np.argsort(time_s[telling], kind="stable")]
    time_s, volume, volume_std, net, net_std = (each[order] for each in (time_s, volume, volume_std, net, net_std))
    empty_s, height, height_std = _arrays(empties, "empties") if empties is not None else [np.zeros(0)] * 3
    later = np.argsort(empty_s, kind="stable")
    return _Record(
        time_s=time_s,
        log_density=_clipped(np.log(net / volume)),
        variance=(volume_std / volume) ** 2 + (net_std / net) ** 2,
        log_volume=np.log(volume),
        per_m=-loads.area_m2 / volume,
        route=route[order],
        empty_s=empty_s[later],
        height_m=_clipped(height[later]),
        height_variance=height_std[later] ** 2,
    )


def _arrays(series: LoadSeries | EmptySeries, name: str) -> list[Floats]:
    """Its columns as arrays of one length, all finite, no standard deviation below 0."""
    names = [each.name for each in fields(series) if each.name not in ("area_m2", "route")]
    columns: list[Floats] = []
    for each in names:
        try:
            column = np.asarray(getattr(series, each), dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"drift: {name}.{each}: expected numbers") from None
        if column.ndim != 1 or (columns and len(column) != len(columns[0])) or len(column) > MOST_LOADS:
            length = f"({len(columns[0])},)" if columns else f"(N,), N at most {MOST_LOADS}"
            raise InputError(f"drift: {name}.{each}: found shape {column.shape}, expected {length}")
        wrong = ~np.isfinite(column) | (np.abs(column) > 1e12) | ((column < 0.0) if "_std_" in each else False)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise InputError(f"drift: {name}.{each}[{first}]: found {column[first]}, expected a finite number")
        columns.append(column)
    return columns


def _clipped(values: Floats) -> Floats:
    """What is far from the median of its neighbours in time is drawn near: a step stays, a mad value does not."""
    if len(values) < 11:
        return values
    padded = np.pad(values, 5, mode="reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 11), axis=1)
    off = values - middle
    most = OUTLIER_MADS * 1.4826 * float(np.median(np.abs(off)))
    return np.asarray(middle + np.clip(off, -most, most))


# --- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _System:
    """Least squares with unit variance: what is not asked for taken out of observations and candidates."""

    observed: Floats  # (R,)
    candidates: dict[Kind, Floats]  # (R, K) each; every one grows to 1 at the last load
    log_density_std: float

    def scores(self) -> tuple[dict[Kind, Floats], dict[Kind, Floats]]:
        """For each candidate its size with its standard uncertainty (2, K), and how many of the latter it is."""
        slopes, z = {}, {}
        for kind, columns in self.candidates.items():
            square = np.maximum(np.sum(columns**2, axis=0), 1e-30)
            size, std = columns.T @ self.observed / square, 1.0 / np.sqrt(square)
            slopes[kind], z[kind] = np.array([size, std]), size / std
        return slopes, z


def _system(record: _Record, season_log_std: float) -> _System:
    """Loads over empty states over what is thought beforehand, loads and empty states whitened by their own noise."""
    loads, empties = len(record.time_s), len(record.empty_s)
    known = _known(record, season_log_std)
    width = known.shape[1]
    believed = np.diag([VAGUE] * (width - 2) + [1.0, 1.0])
    shapes = _shapes(record.time_s, record.time_s)
    columns = np.column_stack([record.log_density, known, shapes, record.per_m[:, None] * shapes])
    upper, log_density_std = _whiten(columns, record.time_s, record.variance, believed, DOUBT)
    count = shapes.shape[1]
    nuisance, asked = np.zeros((loads + empties + width, width + 1)), np.zeros((loads + empties + width, 1 + 2 * count))
    nuisance[:loads, :width], nuisance[loads + empties :, :width] = upper[:, 1 : 1 + width], believed
    asked[:loads, 0], asked[:loads, 1:] = upper[:, 0], upper[:, 1 + width :]
    if empties:
        seen = np.column_stack([record.height_m, np.ones(empties), _shapes(record.empty_s, record.time_s)])
        lower, _ = _whiten(seen, record.empty_s, record.height_variance, np.array([[VAGUE]]), DOUBT_EMPTY)
        within = slice(loads, loads + empties)
        asked[within, 0], nuisance[within, width], asked[within, 1 + count :] = lower[:, 0], lower[:, 1], lower[:, 2:]
    basis, _ = np.linalg.qr(nuisance if empties else nuisance[:, :width])
    left = asked - basis @ (basis.T @ asked)
    # A step where the route changes is all route: nothing is left to judge by.
    left[:, np.linalg.norm(left, axis=0) < 1e-6 * np.linalg.norm(asked, axis=0)] = 0.0
    candidates: dict[Kind, Floats] = {"scale": left[:, 1 : 1 + count], "sensor_height": left[:, 1 + count :]}
    return _System(left[:, 0], candidates, log_density_std)


def _known(record: _Record, season_log_std: float) -> Floats:
    """What log density follows without any drift (N, P): its route, the volume (compaction), last two the season."""
    year = 2.0 * math.pi * record.time_s / YEAR_S
    season = season_log_std * np.column_stack([np.sin(year), np.cos(year)])
    level = np.eye(MOST_ROUTES)[record.route][:, : record.route.max() + 1]
    return np.column_stack([level, record.log_volume - record.log_volume.mean(), season])


def _shapes(time_s: Floats, span_s: Floats) -> Floats:
    """Ramps and steps (N, K) that begin at 0 and have grown to 1 at the end of the span."""
    phase = ((time_s - span_s[0]) / (span_s[-1] - span_s[0]))[:, None]
    return np.column_stack([np.clip((phase - RAMPS) / (1.0 - RAMPS), 0.0, 1.0), (phase >= STEPS).astype(np.float64)])


def _whiten(columns: Floats, time_s: Floats, variance: Floats, believed: Floats, doubt: float) -> tuple[Floats, float]:
    """Columns with the noise of the first made white, and the learned standard deviation of that noise.

    The noise is white scatter, beyond what measurement adds, and an Ornstein-Uhlenbeck process. How great they are is
    learned by restricted maximum likelihood (Patterson and Thompson, Biometrika 58, 1971) with the known columns after
    it, with what is `believed` of them, and a ramp taken out. What wanders slowly looks like drift and is hard to see:
    of all that is nearly as likely as the best, that which wanders most is taken.
    """
    from scipy.optimize import minimize_scalar

    known = len(believed)
    days = np.diff(time_s, prepend=time_s[0]) / DAY_S
    learned_from = np.ascontiguousarray(columns[:, : known + 2])  # the first shape is the ramp over all of the record
    rough = max(float(np.std(columns[:, 0])), 1e-6)
    order = [*range(1, known + 2), 0]
    prior = np.zeros((known + 2, known + 2))
    prior[:known, :known] = believed.T @ believed

    def surprise(log_scatter: float, wander: float, tau: float) -> float:
        scatter = (rough * math.exp(log_scatter)) ** 2
        white, log_det = _filtered(learned_from, days, variance + scatter, wander**2, tau)
        normal = (white.T @ white)[np.ix_(order, order)] + prior
        normal[np.diag_indices_from(normal)] *= 1.0 + 1e-12
        diagonal = np.diag(np.linalg.cholesky(normal))
        return float(log_det + 2.0 * np.sum(np.log(diagonal[:-1])) + diagonal[-1] ** 2)

    tried = [(share * rough, tau) for share in WANDER_SHARES for tau in WANDER_DAYS]
    options = {"xatol": 0.02}
    found = [
        minimize_scalar(surprise, bounds=(-7.0, 0.7), args=each, method="bounded", options=options) for each in tried
    ]
    near = min(result.fun for result in found) + doubt
    least = [i for i, result in enumerate(found) if result.fun <= near]
    chosen = max(least, key=lambda i: tried[i][0] ** 2 * tried[i][1])
    (wander, tau), scatter = tried[chosen], rough * math.exp(found[chosen].x)
    white, _ = _filtered(np.ascontiguousarray(columns), days, variance + scatter**2, wander**2, tau)
    return white, math.hypot(scatter, wander)


@kernel
def _filtered(columns: Floats, days: Floats, variance: Floats, wander: float, tau: float) -> tuple[Floats, float]:
    """The columns (N, K) with their noise made white, and the logarithm of its determinant.

    They are the innovations of Kalman's filter, run on each column with the gains of the noise (Kohn and Ansley, 1985).
    """
    count, width = columns.shape
    white = np.empty((count, width))
    state = np.zeros(width)
    spread, log_det = wander, 0.0
    for i in range(count):
        decay = math.exp(-days[i] / tau)
        spread = decay * decay * spread + (1.0 - decay * decay) * wander
        total = spread + variance[i]
        gain, root = spread / total, math.sqrt(total)
        for k in range(width):
            innovation = columns[i, k] - decay * state[k]
            state[k] = decay * state[k] + gain * innovation
            white[i, k] = innovation / root
        spread *= 1.0 - gain
        log_det += math.log(total)
    return white, log_det


# --- the judgement ----------------------------------------------------------------------------------------------------


def _threshold(candidates: dict[Kind, Floats], false_alarm: float) -> float:
    """What the largest of all |z| stays below but for a share `false_alarm` of records without drift, by drawing them.

    Without drift the z of the candidates are jointly normal, with the correlations of their columns.
    """
    columns = np.column_stack([candidates[kind] for kind in KINDS])
    columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-15)
    values, vectors = np.linalg.eigh(columns.T @ columns)
    drawn = np.random.default_rng(0).standard_normal((DRAWS, len(values)))
    z = drawn * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return float(np.quantile(np.abs(z).max(axis=1), 1.0 - false_alarm))


def _evidence(z: Floats) -> float:
    """The logarithm of the mean likelihood of all shapes, over that of no drift, each at its best size."""
    best = float(np.max(z**2)) / 2.0
    return best + math.log(float(np.mean(np.exp(z**2 / 2.0 - best))))


def _found(
    kind: Kind, z: Floats, slopes: Floats, span_s: tuple[float, float]
) -> tuple[Literal["ramp", "step"], Quantity, Quantity | None, float]:
    """Shape, total, yearly size and beginning; sizes are averaged over the shapes, by how likely each is."""
    share = np.exp(z**2 / 2.0 - np.max(z**2) / 2.0) * (z != 0.0)
    share /= share.sum()
    ramps = len(RAMPS)
    shape: Literal["ramp", "step"] = "ramp" if share[:ramps].sum() >= 0.5 else "step"
    first, last = (0, ramps) if shape == "ramp" else (ramps, len(share))
    starts = np.concatenate([RAMPS, STEPS])
    begin, end = span_s
    since = begin + (end - begin) * float(starts[first + int(np.argmax(share[first:last]))])
    total, per_year = _averaged(share, slopes), None
    if shape == "ramp":
        years = (end - begin) * (1.0 - RAMPS) / YEAR_S
        per_year = _averaged(share[:ramps], slopes[:, :ramps] / years)
    if kind == "scale":
        total, per_year = _relative(total), None if per_year is None else _relative(per_year)
    return shape, total, per_year, since


def _averaged(share: Floats, slopes: Floats) -> Quantity:
    size, std = slopes
    mean = float(np.average(size, weights=share))
    return Quantity.normal(mean, math.sqrt(float(np.average(std**2 + (size - mean) ** 2, weights=share))))


def _relative(log_gain: Quantity) -> Quantity:
    """A change of the logarithm of the gain as a part of the gain."""
    value = math.expm1(log_gain.value)
    lower, upper = math.expm1(log_gain.lower95), math.expm1(log_gain.upper95)
    return Quantity(value, (1.0 + value) * log_gain.std, lower, upper)


def _linear(system: _System) -> dict[Kind, Quantity]:
    """Both kinds' steady change over all of the record, fitted together."""
    columns = np.column_stack([system.candidates[kind][:, 0] for kind in KINDS])
    covariance = np.linalg.inv(columns.T @ columns + 0.01 * np.eye(2))  # loads all alike do not tell them apart
    sizes = covariance @ (columns.T @ system.observed)
    return {kind: Quantity.normal(float(sizes[i]), math.sqrt(float(covariance[i, i]))) for i, kind in enumerate(KINDS)}
