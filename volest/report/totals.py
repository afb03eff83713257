"""Totals and ratios of many loads, with intervals that know what the errors of one truck's loads have in common.

A load's error is a sum of independent ones, a source each. Of the error of source k with standard uncertainty a_ik in
load i, the part COMMON[k] of the variance is the same in all loads of a truck, and the rest is new in each:

    e_ik = a_ik (sqrt(c_k) u_tk + sqrt(1 - c_k) z_ik)

so that the variance of a sum over loads is the sum over sources of

    c_k sum over trucks (sum over the truck's loads a_ik)^2 + (1 - c_k) sum over loads a_ik^2

(the law of propagation with correlated inputs, JCGM 100:2008, 5.2.2). What is common to all trucks (FLEET) adds up over
them, too. Formulas and their test: docs/report.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from volest.quantity import Quantity
from volest.report.loads import Loads
from volest.rows import BUDGET

__all__ = ["COMMON", "ERRORS", "FLEET", "SOURCES", "Figure", "totals"]

COMMON: Mapping[str, float] = {
    "hidden": 0.5,
    "pose": 0.9,
    "reference": 0.95,
    "range": 1.0,
    "surface": 0.38,
    "other": 0.0,
    "gain": 1.0,
    "tare": 1.0,
    "reading": 0.0,
    "wetness": 1.0,
}
"""The part of each source's variance that is the same in all loads of a truck; see docs/report.md."""

FLEET = frozenset({"wetness"})
"""What is the same in all trucks: wet and dry densities of the waste profile."""

SOURCES = tuple(COMMON)

_BUDGET_VARIANCE = " + ".join(f"pow(coalesce(volume_budget_m3_{part}, 0), 2)" for part in BUDGET)
_TOLD = f"({_BUDGET_VARIANCE}) > 0"  # else nothing is known of the parts, and all of it may be common
_VOLUME = {part: f"coalesce(volume_budget_m3_{part}, 0)" for part in BUDGET}
_VOLUME |= {"range": f"CASE WHEN {_TOLD} THEN coalesce(volume_budget_m3_range, 0) ELSE volume_m3_std END"}
_VOLUME |= {
    "other": f"CASE WHEN {_TOLD} THEN sqrt(greatest(pow(volume_m3_std, 2) - ({_BUDGET_VARIANCE}), 0)) ELSE 0 END"
}
# Without the scale's data all may be the gain's.
_GAIN = "least(net_mass_kg_std, coalesce(scale_gain_std * net_mass_kg, net_mass_kg_std))"
_TARE = (
    f"least(sqrt(greatest(pow(net_mass_kg_std, 2) - pow({_GAIN}, 2), 0)), coalesce(scale_tare_std_kg, net_mass_kg_std))"
)
_READING = f"sqrt(greatest(pow(net_mass_kg_std, 2) - pow({_GAIN}, 2) - pow({_TARE}, 2), 0))"
_MASS = {"gain": _GAIN, "tare": _TARE, "reading": _READING}

ERRORS: Mapping[str, Mapping[str, str]] = {
    "volume_m3": _VOLUME,
    "net_mass_kg": _MASS,
    "wet_mass_kg": {name: f"wet_mass_fraction * {sql}" for name, sql in _MASS.items()}
    | {"wetness": "net_mass_kg * wet_mass_fraction_std"},
    "struck_capacity_m3": {},
}
"""For each quantity of a load that can be added up, its standard uncertainty by source, as SQL over a row."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A total or a ratio of one group of loads; `sources`: what each source adds to its standard uncertainty."""

    group: Any
    loads: int
    value: float | None
    std: float = 0.0
    sources: Mapping[str, float] | None = None

    @property
    def quantity(self) -> Quantity | None:
        """With its 95 % interval, cut at nothing."""
        return None if self.value is None else Quantity.normal(self.value, self.std, low=0.0)


def totals(
    loads: Loads,
    quantity: str,
    *,
    over: str | None = None,
    where: str = "load",
    per: str = "1",
    factor: float = 1.0,
    group: str = "'all'",
    view: str = "loads",
) -> list[Figure]:
    """factor x sum(quantity) / sum(over) / per of each group, of the loads that are `where` and have both.

    quantity, over: keys of ERRORS; where, group: SQL over a row; per: an SQL aggregate without an error.
    """
    names = sorted(ERRORS[quantity].keys() | (ERRORS[over].keys() if over else set()), key=SOURCES.index)
    rows = loads.rows(_sql(quantity, over, where, per, factor, group, view, names))
    return [_figure(row, names) for row in rows]


def _sql(
    quantity: str, over: str | None, where: str, per: str, factor: float, group: str, view: str, names: Sequence[str]
) -> str:
    below = over or "NULL"
    both = f"({quantity}) IS NOT NULL" + (f" AND ({over}) IS NOT NULL" if over else "")
    errors = {name: (ERRORS[quantity].get(name, "0"), ERRORS[over].get(name, "0") if over else "0") for name in names}
    # The error of n / d is (e_n - n/d e_d) / d, to first order.
    scaled = ", ".join(f"(({n}) - ratio * ({d})) * scale AS a_{name}" for name, (n, d) in errors.items())
    each_truck = "".join(f", sum(a_{k}) AS c_{k}, sum(a_{k} * a_{k}) AS q_{k}" for k in names)
    across = "".join(
        f", {f'pow(sum(c_{k}), 2)' if k in FLEET else f'sum(c_{k} * c_{k})'} AS c_{k}, sum(q_{k}) AS q_{k}"
        for k in names
    )
    return f"""
WITH chosen AS (SELECT *, {group} AS g FROM {view} WHERE ({where}) AND {both}),
whole AS (
  SELECT g, count(*) AS n, sum({quantity}) AS above, {f"sum({below})" if over else "1.0"} AS below, {per} AS per
  FROM chosen GROUP BY g),
figures AS (
  SELECT g, n, {factor!r} * above / nullif(below, 0) / nullif(per, 0) AS value,
    {"above / nullif(below, 0)" if over else "0.0"} AS ratio, {factor!r} / nullif(below, 0) / nullif(per, 0) AS scale
  FROM whole),
errors AS (
  SELECT chosen.g, truck{", " if scaled else ""}{scaled}
  FROM chosen JOIN figures ON chosen.g IS NOT DISTINCT FROM figures.g),
trucks AS (SELECT g, truck{each_truck} FROM errors GROUP BY g, truck),
spread AS (SELECT g{across} FROM trucks GROUP BY g)
SELECT figures.g, n, value{"".join(f", c_{k}, q_{k}" for k in names)}
FROM figures JOIN spread ON figures.g IS NOT DISTINCT FROM spread.g ORDER BY figures.g"""


def _figure(row: Mapping[str, Any], names: Sequence[str]) -> Figure:
    if row["value"] is None or not math.isfinite(row["value"]):
        return Figure(row["g"], row["n"], None)
    variances = {k: COMMON[k] * row[f"c_{k}"] + (1.0 - COMMON[k]) * row[f"q_{k}"] for k in names}
    std = math.sqrt(math.fsum(variances.values()))
    return Figure(row["g"], row["n"], row["value"], std, {k: math.sqrt(max(v, 0.0)) for k, v in variances.items()})
