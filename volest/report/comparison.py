"""The same loads by two versions of the engine: what changed, and whether their intervals still meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from volest.quantity import COVERAGE_95
from volest.report.loads import Loads
from volest.report.totals import ERRORS, Figure, totals
from volest.rows import QUANTITIES

__all__ = ["EACH_LOAD", "Comparison", "Difference", "compared"]

MOST_CHANGES = 20
_PAIRS = "FROM loads a JOIN others b USING (load_id)"
_BOTH = f"{_PAIRS} WHERE a.load AND b.load"
_SIDES = ", ".join(f"b.{name} AS {name}_there, a.{name} AS {name}_here" for name in ("status", *QUANTITIES))
EACH_LOAD = f"SELECT load_id, a.truck AS truck, {_SIDES} {_PAIRS} ORDER BY load_id"
"""SQL: what both say of each load that both have."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Here less there, of a quantity over the loads that have it in both; None of no loads."""

    loads: int
    mean: float | None
    rms: float | None
    most: float | None
    beyond: int  # loads whose 95 % intervals do not meet
    low: float | None  # between low and high are 98 in 100
    high: float | None
    there: Figure | None  # totals over these loads, of what adds up
    here: Figure | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two datasets say of the same loads."""

    this: str
    other: str
    both: int
    only_this: int
    only_other: int
    differences: dict[str, Difference]  # by quantity
    statuses: list[dict[str, Any]]  # there, here, n
    changes: list[dict[str, Any]]  # of volume: load_id, truck, there, here


def compared(loads: Loads) -> Comparison:
    """Views `loads` and `others`, joined by load_id. Loads in only one of them are counted and left out."""
    both, this, other = (
        loads.row(f"SELECT count(*) AS n {sql}")["n"]
        for sql in (
            _PAIRS,
            "FROM loads ANTI JOIN others USING (load_id)",
            "FROM others ANTI JOIN loads USING (load_id)",
        )
    )
    return Comparison(
        _versions(loads, "loads"),
        _versions(loads, "others"),
        both,
        this,
        other,
        {quantity: _difference(loads, quantity) for quantity in QUANTITIES},
        loads.rows(f"SELECT b.status AS there, a.status AS here, count(*) AS n {_PAIRS} GROUP BY ALL ORDER BY ALL"),
        loads.rows(
            f"SELECT load_id, a.truck AS truck, b.volume_m3 AS there, a.volume_m3 AS here {_BOTH} "
            f"ORDER BY abs(a.volume_m3 - b.volume_m3) DESC, load_id LIMIT {MOST_CHANGES}"
        ),
    )


def _difference(loads: Loads, quantity: str) -> Difference:
    # Two intervals of 95 % do not meet where the difference exceeds the sum of their halves.
    a, b = f"a.{quantity}", f"b.{quantity}"
    beyond = f"abs({a} - {b}) > {COVERAGE_95} * ({a}_std + {b}_std)"
    told = loads.row(
        f"SELECT count(*) AS loads, avg(d) AS mean, sqrt(avg(d * d)) AS rms, max(abs(d)) AS most, "
        f"count(*) FILTER (WHERE beyond) AS beyond, quantile_cont(d, 0.01) AS low, quantile_cont(d, 0.99) AS high "
        f"FROM (SELECT {a} - {b} AS d, {beyond} AS beyond {_BOTH}) WHERE d IS NOT NULL"
    )
    there, here = _total(loads, quantity, "others", "loads"), _total(loads, quantity, "loads", "others")
    return Difference(**told, there=there, here=here)


def _total(loads: Loads, quantity: str, view: str, other: str) -> Figure | None:
    """Over the loads that both know it of; None of what does not add up."""
    if quantity not in ERRORS:
        return None
    known = f"SELECT load_id FROM {other} WHERE load AND {quantity} IS NOT NULL"
    found = totals(loads, quantity, where=f"load AND load_id IN ({known})", view=view)
    return found[0] if found else None


def _versions(loads: Loads, view: str) -> str:
    told = loads.rows(
        f"SELECT DISTINCT engine_version AS v, substr(engine_sha256, 1, 8) AS s FROM {view} ORDER BY ALL LIMIT 4"
    )
    names = [f"{row['v']} ({row['s']})" if row["s"] else str(row["v"]) for row in told]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
