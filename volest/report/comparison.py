"""The same loads by two versions of the engine: what changed, and whether their intervals still meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from volest.quantity import COVERAGE_95
from volest.report.charts import Bins, histogram
from volest.report.language import Language
from volest.report.loads import Loads
from volest.report.section import Cell, Chart, Section, Sheet
from volest.report.totals import ERRORS, Figure, totals
from volest.rows import QUANTITIES

__all__ = ["EACH_LOAD", "Comparison", "Difference", "compared", "comparison_section"]

MOST_CHANGES = 20
_DIGITS = {"volume_m3": 3, "net_mass_kg": 1, "bulk_density_kg_m3": 1, "wet_mass_fraction": 3}  # on the page
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


def comparison_section(loads: Loads, language: Language) -> Section:
    """What the page tells of it."""
    found = compared(loads)
    counts = {name: language.number(getattr(found, name)) for name in ("both", "only_this", "only_other")}
    note = language("comparison_note", this=found.this, other=found.other, **counts)
    sheets = [
        (language("differences"), _differences(found, language)),
        (language("status_change"), _statuses(found, language)),
        (language("largest_changes"), _changes(found, language)),
    ]
    return Section(
        language("comparison"), notes=[note], charts=_difference_chart(loads, found, language), sheets=sheets
    )


def _difference_chart(loads: Loads, found: Comparison, language: Language) -> list[Chart]:
    low, high = found.differences["volume_m3"].low, found.differences["volume_m3"].high
    if low is None or high is None or not high > low:
        return []
    step = (high - low) / 30
    place = f"CAST(least(greatest(floor((a.volume_m3 - b.volume_m3 - {low!r}) / {step!r}), -1), 30) AS INTEGER)"
    told = loads.rows(
        f"SELECT {place} AS k, count(*) AS n FROM loads a JOIN others b USING (load_id) "
        "WHERE a.load AND b.load GROUP BY k"
    )
    counts = {row["k"]: row["n"] for row in told}
    bins = Bins(low - step, step, [counts.get(k, 0) for k in range(-1, 31)])
    marks = [(0.0, language.number(0))] if low < 0.0 < high else []
    title = language("difference_title")
    return [Chart(title, histogram(language, bins, title, language("axis_difference"), marks=marks))]


def _differences(found: Comparison, language: Language) -> Sheet:
    heads = [language("quantity"), language("column_loads")]
    heads += [language(f"difference_{name}") for name in ("mean", "rms", "most", "beyond")]
    heads += [language("total_there"), language("total_here")]
    rows: list[list[Cell]] = []
    for name, told in found.differences.items():
        digits = _DIGITS[name]
        row: list[Cell] = [language(f"quantity_{name}"), language.number(told.loads)]
        row += [language.number(value, digits) for value in (told.mean, told.rms, told.most)]
        row.append(language.number(told.beyond))
        for figure in (told.there, told.here):
            row.append("" if figure is None else (language.number(figure.value), language.interval(figure.quantity)))
        rows.append(row)
    return Sheet(heads, rows)


def _statuses(found: Comparison, language: Language) -> Sheet:
    heads = [language("status_change"), language("column_loads")]
    rows: list[list[Cell]] = [
        [f"{language('status_' + row['there'])} → {language('status_' + row['here'])}", language.number(row["n"])]
        for row in found.statuses
    ]
    return Sheet(heads, rows)


def _changes(found: Comparison, language: Language) -> Sheet:
    volume = language("quantity_volume_m3")
    heads = [language("column_load"), language("group_truck")]
    heads += [language(f"column_{side}", name=volume) for side in ("there", "here")]
    rows: list[list[Cell]] = [
        [str(row["load_id"]), str(row["truck"]), language.number(row["there"], 3), language.number(row["here"], 3)]
        for row in found.changes
    ]
    return Sheet(heads, rows, texts=(1,))
