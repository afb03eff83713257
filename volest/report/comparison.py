"""The same loads by two versions of the engine: what changed, and whether their intervals still meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from volest.quantity import COVERAGE_95
from volest.report.loads import Loads
from volest.report.totals import Figure, totals

__all__ = ["Comparison", "compared"]

MOST_CHANGES = 20
_PAIRS = "FROM loads a JOIN others b USING (load_id)"
_BOTH = f"{_PAIRS} WHERE a.load AND b.load"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two datasets say of the same loads; volumes of the loads that have one in both."""

    this: str
    other: str
    both: int
    only_this: int
    only_other: int
    measured: int
    difference: dict[str, float | None]  # mean, rms, most, beyond (loads), low, high
    statuses: list[dict[str, Any]]  # there, here, n
    changes: list[dict[str, Any]]  # load_id, truck, there, here
    total_this: Figure | None
    total_other: Figure | None


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
    # Two intervals of 95 % do not meet where the difference exceeds the sum of their halves.
    beyond = f"abs(a.volume_m3 - b.volume_m3) > {COVERAGE_95} * (a.volume_m3_std + b.volume_m3_std)"
    difference = loads.row(
        f"SELECT count(*) AS n, avg(d) AS mean, sqrt(avg(d * d)) AS rms, max(abs(d)) AS most, "
        f"count(*) FILTER (WHERE beyond) AS beyond, quantile_cont(d, 0.01) AS low, quantile_cont(d, 0.99) AS high "
        f"FROM (SELECT a.volume_m3 - b.volume_m3 AS d, {beyond} AS beyond {_BOTH})"
    )
    return Comparison(
        _versions(loads, "loads"),
        _versions(loads, "others"),
        both,
        this,
        other,
        difference.pop("n"),
        difference,
        loads.rows(f"SELECT b.status AS there, a.status AS here, count(*) AS n {_PAIRS} GROUP BY ALL ORDER BY ALL"),
        loads.rows(
            f"SELECT load_id, a.truck AS truck, b.volume_m3 AS there, a.volume_m3 AS here {_BOTH} "
            f"ORDER BY abs(a.volume_m3 - b.volume_m3) DESC, load_id LIMIT {MOST_CHANGES}"
        ),
        _total(loads, "loads", "others"),
        _total(loads, "others", "loads"),
    )


def _versions(loads: Loads, view: str) -> str:
    told = loads.rows(
        f"SELECT DISTINCT engine_version AS v, substr(engine_sha256, 1, 8) AS s FROM {view} ORDER BY ALL LIMIT 4"
    )
    names = [f"{row['v']} ({row['s']})" if row["s"] else str(row["v"]) for row in told]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _total(loads: Loads, view: str, other: str) -> Figure | None:
    """Over the loads that both have a volume of."""
    found = totals(loads, "volume_m3", where=f"load AND load_id IN (SELECT load_id FROM {other} WHERE load)", view=view)
    return found[0] if found else None
