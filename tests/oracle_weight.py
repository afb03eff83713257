"""The gross mass of a series as docs/weights.md tells it, slowly and with NumPy: the twin of cpp/src/weighing.cpp."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MISSING, MOVING, DRIFTS, LOST, STUCK, SATURATED, SHORT, CLOCK, SWINGS, WIDE = (1 << bit for bit in range(10))


def settle(
    time_s: Array, gross_kg: Array, resolution_kg: float, moving: NDArray[np.bool_] | None = None
) -> tuple[float, float, float, int, int, int]:
    """kg, std_kg, drift_kg, used, at_rest, flags."""
    moving = np.zeros(len(time_s), dtype=bool) if moving is None else moving
    told = np.abs(time_s) < 1e12
    sound = told & (gross_kg > 0.0) & (gross_kg < 200_000.0)
    clock = time_s[told]
    flags = CLOCK * bool((clock < np.maximum.accumulate(clock) - 1.0).any())
    at_rest = int((~moving).sum())
    if not (sound & ~moving).any():
        return 0.0, 0.0, 0.0, 0, at_rest, flags | MISSING | MOVING * bool((sound & moving).any())
    time_s, gross_kg = time_s[sound & ~moving], gross_kg[sound & ~moving]
    order = np.lexsort((gross_kg, time_s))
    time_s, gross_kg = time_s[order], gross_kg[order]

    stuck, all_stuck = find_stuck(time_s, gross_kg, resolution_kg)
    time_s, gross_kg = time_s[~stuck], gross_kg[~stuck]
    blocks, used, cut_off, rail = weigh_blocks(time_s, gross_kg, resolution_kg)
    kg, variance, drift, scatter = level(blocks)
    std = math.sqrt(variance)

    lost = 2 * used < at_rest
    saturated = rests_at_rail(gross_kg, resolution_kg) or (
        20 * cut_off > len(gross_kg) and kg > rail - 1.5 * max(resolution_kg, 1e-6)
    )
    for bit, raised in (
        (DRIFTS, drift > max(resolution_kg, kg / 2000.0)),
        (LOST, lost),
        (STUCK, all_stuck or (lost and bool(stuck.any()))),
        (SATURATED, saturated or (lost and rail > 0.0)),
        (SHORT, time_s[-1] - time_s[0] < 1.0),
        (SWINGS, scatter > (0.025 * kg) ** 2),
        (WIDE, std > 0.01 * kg),
    ):
        flags |= bit * bool(raised)
    return kg, std, drift, used, at_rest, flags


def find_stuck(time_s: Array, kg: Array, step: float) -> tuple[NDArray[np.bool_], bool]:
    """Which samples (N,) stand still amid a bounce, and whether the reading is stuck throughout."""
    starts = np.flatnonzero(np.r_[True, np.diff(kg) != 0.0])
    ends = np.r_[starts[1:], len(kg)]
    stuck = np.zeros(len(kg), dtype=bool)
    if len(starts) == 1:
        return stuck, len(kg) >= 50 and time_s[-1] - time_s[0] >= 4.0 and 300.0 * step < kg[0]
    for i, j in zip(starts, ends, strict=True):
        if j - i < 8 or time_s[j - 1] - time_s[i] < 1.0:
            continue
        before, after = slice(max(i - 32, 0), i), slice(j, j + 32)
        near = [
            kg[before][gaps_closed(time_s[i] - time_s[before][::-1])[::-1]],
            kg[after][gaps_closed(time_s[after] - time_s[j - 1])],
        ]
        stuck[i:j] = any(len(x) >= 4 and np.median(np.abs(x - np.median(x))) > 1.5 * step for x in near)
    return (np.zeros_like(stuck), True) if stuck.all() else (stuck, False)


def gaps_closed(since: Array) -> NDArray[np.bool_]:
    """Which of the samples, ordered by how far off they are, are within a second."""
    return np.logical_and.accumulate(since <= 1.0)


def rests_at_rail(kg: Array, step: float) -> bool:
    step, off = max(step, 1e-6), kg - np.median(kg)
    a, b = off[:-1], off[1:]
    above = ((b > 0.0) & (b < 2.5 * step)) | ((a > 0.0) & (b > 0.0))
    return bool(not above.any() and ((a < -1.5 * step) & (b < -1.5 * step)).sum() >= 2)


def weigh_blocks(time_s: Array, kg: Array, step: float) -> tuple[Array, int, int, float]:
    """Rows of mean, variance, rounding, scatter; samples used and cut off; where they are cut off, or 0."""
    gap = max(2.5, 8.0 * float(np.median(np.diff(time_s)))) if len(kg) > 1 else 2.5
    cuts = np.flatnonzero(np.diff(time_s) > gap) + 1
    fewest = min(8, len(kg))
    stretches = [(t, x) for t, x in zip(np.split(time_s, cuts), np.split(kg, cuts), strict=True) if len(x) >= fewest]
    parts = [part for t, x in stretches for part in cut(t, x) if len(part[1]) >= fewest]
    parts = parts or [part for part in cut(time_s, kg) if len(part[1])]
    rows, used, lost, rail = [], 0, 0, 0.0
    for t, x, start, duration in parts:
        median = np.median(x)
        reach = 4.0 * max(1.4826 * np.median(np.abs(x - median)), step, 1e-6)
        at = cut_off(x, median + reach, step)
        kept = (x >= median - reach) & (x <= median + reach)
        row = weigh(t[kept], x[kept], start, duration, step)
        if at:
            row[1] += row[3]
            lost, rail = lost + kept.sum(), max(rail, at)
        else:
            used += int(kept.sum())
        rows.append(row)
    return np.array(rows), used, int(lost), rail


def cut(time_s: Array, kg: Array) -> list[tuple[Array, Array, float, float]]:
    """A stretch in parts of the same duration: times, masses, start, duration."""
    span = float(time_s[-1] - time_s[0])
    parts = int(min(max(span // 2.5, 1), max(len(kg) // 16, 1)))
    ends = time_s[0] + span * (np.arange(1, parts) / parts)
    edges = np.searchsorted(time_s, ends)
    starts = [float(time_s[0]), *ends]
    return [
        (t, x, start, span / parts)
        for t, x, start in zip(np.split(time_s, edges), np.split(kg, edges), starts, strict=True)
    ]


def cut_off(kg: Array, limit: float, step: float) -> float:
    step, top = max(step, 1e-6), float(kg[kg <= limit].max())
    at, near, far = (kg == top).sum(), ((kg < top) & (kg > top - 1.5 * step)).sum(), (kg < top - 2.5 * step).sum()
    return top if at >= 8 and 5 * at >= len(kg) and 10 * far >= len(kg) and at > 3 * near else 0.0


def weigh(time_s: Array, kg: Array, start: float, duration: float, step: float) -> list[float]:
    """Mean, variance without rounding, rounding and scatter of one block."""
    n = len(kg)
    u = 2.0 * (time_s - start) / duration - 1.0 if duration > 0.0 else np.zeros(n)
    mean = float(np.average(kg, weights=(1.0 - u**2) ** 2 + 1e-6))
    squares = (kg - mean) ** 2
    scatter = float(squares.mean())
    first_half = 2 * np.arange(n) < n
    change = abs(float(squares[first_half].sum() - squares[~first_half].sum())) / n
    if n >= 8:
        steps = float(np.mean(np.diff(kg, 4) ** 2)) / 70.0, float(np.mean(np.diff(kg)[3:] ** 2))
    else:
        steps = scatter, 0.0
    noise = min(steps[0] * (1.0 + 4.0 / n), scatter)
    bounce = scatter - noise
    frequency = 1.0
    if bounce > 0.0 and duration > 0.0:
        first = max(steps[1] - 2.0 * steps[0], 0.0)
        frequency = max(1.0, 0.9 * math.sqrt(first / bounce) / (2.0 * math.pi * duration / n))
    z = math.pi * frequency * duration
    leak = min(112.5 / z**6, 1.0) if z > 0.1 else 1.0
    variance = bounce * min(leak + holes(time_s, start, duration), 1.0) + min(change, bounce) * 0.05**2
    variance += noise * min(10.0 / 7.0 / n, 1.0) + (0.01 * mean * max(1.0 - duration, 0.0)) ** 2 + 1e-12
    own = scatter / step**2 - 1.0 / 12.0 if step else 0.0
    return [mean, variance, step / math.sqrt(12.0) / (1.0 + 15.0 * max(own, 0.0)), scatter]


def holes(time_s: Array, start: float, duration: float) -> float:
    if duration == 0.0:
        return 0.0
    edges = np.r_[start, time_s, start + duration]
    gap, middle = np.diff(edges), (edges[1:] + edges[:-1]) / 2.0
    taper = (1.0 - (2.0 * (middle - start) / duration - 1.0) ** 2) ** 2 + 1e-6
    long = gap > 3.0 * duration / len(time_s)
    return float(np.sum((taper * np.minimum(gap, 0.2))[long] ** 2)) / (duration * 8.0 / 15.0) ** 2


def level(blocks: Array) -> tuple[float, float, float, float]:
    """Mean, variance, drift, and the scatter of the samples."""
    mean, variance, rounding, scatter = blocks.T
    weights = 1.0 / (variance + rounding**2)
    freedom = len(mean) - 1
    q = float(np.sum(weights * (mean - np.average(mean, weights=weights)) ** 2))
    between = 0.0
    if freedom and q > freedom:
        # The sum of the weights less their squares over it, without a difference: one weight may outdo the others.
        pairs = float(np.sum(weights[1:] * np.cumsum(weights)[:-1]))
        between = (q - freedom) * float(weights.sum()) / (2.0 * pairs)
    weights = 1.0 / (variance + rounding**2 + between)
    kg = float(np.average(mean, weights=weights))
    drift = 0.0
    if freedom and q > freedom * (1.0 - 2.0 / (9.0 * freedom) + 3.1 * math.sqrt(2.0 / (9.0 * freedom))) ** 3:
        drift = max(math.sqrt(between), 0.6 * float(np.max(np.abs(mean - kg) - 2.0 * np.sqrt(variance))))
    own = float(np.sum(weights**2 * (variance + between)))
    common = float(np.sum(weights * rounding))
    total = (own + common**2) / float(weights.sum()) ** 2 + drift**2
    return kg, total, drift, float(np.average(scatter, weights=weights))
