"""Volumes of one truck, scan after scan, with what their errors have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from volest.result import Result, Surface
from volest.track.uncertain import Uncertain, carried_on

__all__ = ["VolumeErrors"]

# Correlations from one scan of a truck to its next, chosen on 120 simulated days; benchmarks/days.py scores others.
RANGE, POSE, REFERENCE, SURFACE = 1.0, 0.9, 0.95, 0.95
ALIKE_HIDDEN = 0.5  # part of what is wrong with hidden places that is wrong alike under another surface
ALIKE_SURFACE = 0.4  # the same of places in sight
SAME_M = 0.03  # a surface that rose or sank less is the same
HIDDEN_STATE = 1  # of the core


class VolumeErrors:
    """Gives each scan's volume its errors. Of the budget's parts

    - `range` is the same in all scans of a truck, and `pose` mostly;
    - `reference`, the empty bed's error, counts where load covers it: it is the same as far as the same places are
      covered;
    - `hidden` is the same as far as the same places are hidden, half of it only under the same surface;
    - `surface` is the same where the surface did not change, and partly elsewhere;
    - anything else is new in each scan.
    """

    def __init__(self) -> None:
        self._units: dict[str, dict[str, float]] = {}  # by part: the latest error, of unit variance
        self._surface: Surface | None = None

    def restore(self, on_truck: Uncertain) -> None:
        """Go on from what a ledger says of the volume on the truck; the surface it was measured on is not known."""
        parts: dict[str, dict[str, float]] = {}
        for source, c in on_truck.errors.items():
            parts.setdefault(source.partition("@")[0], {})[source] = c
        for part, errors in parts.items():
            norm = math.sqrt(math.fsum(c * c for c in errors.values()))
            if norm > 0.0:
                self._units[part] = {source: c / norm for source, c in errors.items()}

    def volume(self, time_s: float, result: Result, settled: bool) -> Uncertain:
        """The volume [m3] of an estimate that has one; `settled`: nothing was added or tipped since the last."""
        assert result.volume_m3 is not None
        errors: dict[str, float] = {}
        correlations = self._correlations(result.surface, settled)
        for part, std in _budget(result).items():
            before = self._units.get(part)
            source = f"{part}@{time_s:.3f}"
            unit = {source: 1.0} if before is None else carried_on(before, correlations.get(part, 0.0), source)
            self._units[part] = unit
            errors |= {name: std * c for name, c in unit.items()}
        self._surface = result.surface
        return Uncertain(result.volume_m3.value, errors)

    def _correlations(self, now: Surface | None, settled: bool) -> Mapping[str, float]:
        common, before = {"range": RANGE, "pose": POSE}, self._surface
        if now is None or before is None or now.height.shape != before.height.shape:
            unchanged = 1.0 if settled else 0.0
            return common | {"reference": REFERENCE * unchanged, "surface": _surface_correlation(unchanged)}
        inside = now.state > 0
        same = inside if settled else inside & (np.abs(now.height - before.height) < SAME_M)
        alike = inside & (_covered(now) == _covered(before))
        old, new = before.state == HIDDEN_STATE, now.state == HIDDEN_STATE
        shares = [_share(old & new, old, new), _share(old & new & same, old, new)]
        hidden = ALIKE_HIDDEN * math.sqrt(shares[0]) + (1.0 - ALIKE_HIDDEN) * math.sqrt(shares[1])
        surface = _surface_correlation(_share(same, inside, inside))
        return common | {"reference": REFERENCE * _share(alike, inside, inside), "hidden": hidden, "surface": surface}


def _surface_correlation(unchanged: float) -> float:
    return SURFACE * (ALIKE_SURFACE + (1.0 - ALIKE_SURFACE) * unchanged)


def _covered(surface: Surface) -> NDArray[np.bool_]:
    """Cells in which load lies on the bed."""
    covered: NDArray[np.bool_] = surface.height - surface.bed.floor > SAME_M
    return covered


def _share(both: NDArray[np.bool_], one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """What two sets of cells have in common, over the root of their sizes' product."""
    sizes = float(np.count_nonzero(one)) * float(np.count_nonzero(other))
    return float(np.count_nonzero(both)) / math.sqrt(max(sizes, 1.0))


def _budget(result: Result) -> dict[str, float]:
    """The budget's parts; what the volume's standard uncertainty has beyond them is a part of its own."""
    assert result.volume_m3 is not None
    parts = {name: std for name, std in (result.volume_budget_m3 or {}).items() if std > 0.0}
    rest = result.volume_m3.std**2 - math.fsum(std * std for std in parts.values())
    return parts | ({"other": math.sqrt(rest)} if rest > 1e-12 else {})
