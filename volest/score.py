"""How good estimates are: errors against the truth, summed up over groups of cases."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest._version import __version__
from volest.case import Case, Outcome
from volest.judge import complaints, holds_truth

__all__ = [
    "SCHEMA",
    "VISIBLE",
    "Level",
    "Score",
    "Scored",
    "Statistics",
    "binomial_band",
    "part_of",
    "reliability",
    "score_case",
    "statistics",
]

SCHEMA = "volest/evaluate/1"
VISIBLE = (0.0, 0.5, 0.7, 0.9, 1.0)
FILL = (0.0, 0.25, 0.5, 0.75, math.inf)
COVERED = {"mass": "net_mass_kg", "density": "bulk_density_kg_m3", "wet": "wet_mass_fraction"}
LEVELS = (*(i / 20 for i in range(1, 20)), 0.99)


@dataclass(frozen=True, slots=True)
class Scored:
    """A case, its outcome and the error of its volume; percentages are of true struck capacity. None: not known."""

    case: str
    kind: str  # load or fault
    hard: str  # why more should not be asked of it, or nothing
    sensors: str
    load: str
    visible_fraction: float | None
    fill_ratio: float | None
    right: bool
    complaint: str  # why it is not right, or nothing
    exit: int
    status: str  # of the result, or "error"
    flags: tuple[str, ...]
    seconds: float
    truth_volume_m3: float
    volume_m3: float | None = None
    volume_m3_std: float | None = None
    volume_m3_lower95: float | None = None
    volume_m3_upper95: float | None = None
    error_percent: float | None = None
    lower95_percent: float | None = None  # the ends of the interval less the truth
    upper95_percent: float | None = None
    z: float | None = None  # error over standard uncertainty; None also where that is 0 and the error is not
    volume_covered: bool | None = None
    mass_covered: bool | None = None
    density_covered: bool | None = None
    wet_covered: bool | None = None


def score_case(case: Case, outcome: Outcome) -> Scored:
    """The case with what its outcome is worth."""
    result, truth = outcome.result or {}, case.truth
    wrong = "; ".join(complaints(case, outcome))
    figures: dict[str, Any] = {}
    for name, key in COVERED.items():
        if result.get(key) is not None and getattr(truth, key) is not None:
            figures[f"{name}_covered"] = holds_truth(result[key], getattr(truth, key))
    if (volume := result.get("volume_m3")) is not None:
        percent = 100.0 / truth.struck_capacity_m3
        error = volume["value"] - truth.volume_m3
        figures |= {
            "volume_m3": volume["value"],
            "volume_m3_std": volume["std"],
            "volume_m3_lower95": volume["lower95"],
            "volume_m3_upper95": volume["upper95"],
            "error_percent": percent * error,
            "lower95_percent": percent * (volume["lower95"] - truth.volume_m3),
            "upper95_percent": percent * (volume["upper95"] - truth.volume_m3),
            "z": error / volume["std"] if volume["std"] > 0.0 else None if error else 0.0,
            "volume_covered": holds_truth(volume, truth.volume_m3),
        }
    return Scored(
        case.name,
        case.kind,
        case.hard,
        case.sensors,
        case.load,
        truth.visible_fraction,
        truth.fill_ratio,
        not wrong,
        wrong,
        outcome.exit,
        result.get("status", "error"),
        tuple(result.get("flags", ())),
        outcome.seconds,
        truth.volume_m3,
        **figures,
    )


@dataclass(frozen=True, slots=True)
class Statistics:
    """The errors of a group of loads, in % of struck capacity. None: no load to tell it from."""

    n: int  # loads with an estimate; the rest is about these
    rejected: int  # loads without
    bias_percent: float | None = None
    rms_percent: float | None = None
    p95_percent: float | None = None  # 95th percentile of the error's size
    coverage: float | None = None  # part of the 95 % intervals that hold the truth
    width_percent: float | None = None  # mean full width of the 95 % interval
    mass_n: int = 0  # loads with a true and an estimated mass
    mass_coverage: float | None = None
    density_n: int = 0
    density_coverage: float | None = None
    wet_n: int = 0
    wet_coverage: float | None = None


def statistics(loads: Sequence[Scored]) -> Statistics:
    """The statistics of these loads."""
    made = [load for load in loads if load.error_percent is not None]
    figures: dict[str, Any] = {}
    for name in COVERED:
        held = [held for load in loads if (held := getattr(load, f"{name}_covered")) is not None]
        figures |= {f"{name}_n": len(held), f"{name}_coverage": sum(held) / len(held) if held else None}
    if made:
        error = _array(load.error_percent for load in made)
        width = _array(load.upper95_percent for load in made) - _array(load.lower95_percent for load in made)
        figures |= {
            "bias_percent": float(error.mean()),
            "rms_percent": math.sqrt(float(np.mean(error**2))),
            "p95_percent": float(np.quantile(np.abs(error), 0.95)),
            "coverage": sum(bool(load.volume_covered) for load in made) / len(made),
            "width_percent": float(width.mean()),
        }
    return Statistics(len(made), len(loads) - len(made), **figures)


def _array(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array(list(values), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Score:
    """All cases of a directory, by name."""

    cases: tuple[Scored, ...]

    @property
    def loads(self) -> list[Scored]:
        """The sound loads that are not marked hard."""
        return [case for case in self.cases if case.kind == "load" and not case.hard]

    @property
    def hard(self) -> list[Scored]:
        """The sound loads that are marked hard."""
        return [case for case in self.cases if case.kind == "load" and case.hard]

    @property
    def faults(self) -> list[Scored]:
        """The faulty inputs."""
        return [case for case in self.cases if case.kind == "fault"]

    def groups(self) -> dict[str, dict[str, list[Scored]]]:
        """The loads that are not marked hard, by what may make a difference; a load is in one group of each."""
        labels: dict[str, Callable[[Scored], str]] = {
            "sensors": lambda load: load.sensors,
            "load": lambda load: load.load,
            "visible_fraction": lambda load: part_of(load.visible_fraction, VISIBLE),
            "fill_ratio": lambda load: part_of(load.fill_ratio, FILL),
        }
        return {
            name: {
                part: [load for load in self.loads if label(load) == part]
                for part in sorted({label(load) for load in self.loads})
            }
            for name, label in labels.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """The score, ready for JSON."""
        faults = self.faults
        return {
            "schema": SCHEMA,
            "volest": __version__,
            "all": asdict(statistics(self.loads)),
            "by": {
                name: {part: asdict(statistics(loads)) for part, loads in parts.items()}
                for name, parts in self.groups().items()
            },
            "hard": asdict(statistics(self.hard)),
            "faults": {"n": len(faults), "right": sum(fault.right for fault in faults)},
            "reliability": [asdict(level) for level in reliability(self.loads)],
            "cases": [asdict(case) for case in self.cases],
        }


def part_of(value: float | None, bounds: Sequence[float]) -> str:
    """The part between two bounds that a value falls into, in words that sort in order."""
    if value is None:
        return "other"
    index = min(max(bisect_right(bounds, value) - 1, 0), len(bounds) - 2)
    low, high = bounds[index], bounds[index + 1]
    return f"{100 * low:.0f} to {100 * high:.0f} %" if math.isfinite(high) else f"{100 * low:.0f} % and more"


@dataclass(frozen=True, slots=True)
class Level:
    """How many of the central intervals of a nominal coverage, made from the standard uncertainty, hold the truth."""

    nominal: float
    observed: float
    low: float  # in 95 of 100 campaigns with right uncertainties `observed` lies between these
    high: float


def reliability(loads: Sequence[Scored]) -> list[Level]:
    """Nominal against observed coverage over the loads that have an estimate."""
    made = [load for load in loads if load.error_percent is not None]
    if not made:
        return []
    size = np.array([math.inf if load.z is None else abs(load.z) for load in made])
    reach = [NormalDist().inv_cdf(0.5 + 0.5 * level) for level in LEVELS]
    return [
        Level(level, float(np.mean(size <= k)), *binomial_band(len(made), level))
        for level, k in zip(LEVELS, reach, strict=True)
    ]


def binomial_band(n: int, p: float) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of a binomial distribution's share of successes, n > 0 and 0 < p < 1."""
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))  # of the factorials
    k = np.arange(n + 1)
    chance = np.exp(logs[n] - logs - logs[::-1] + k * math.log(p) + (n - k) * math.log1p(-p))
    low, high = np.searchsorted(np.cumsum(chance), (0.025, 0.975))
    return float(low) / n, float(high) / n
