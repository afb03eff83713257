"""What some loads add up to, by day, truck, district or source: for a service that keeps rows of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import chain
from typing import Any

from volest.report.indicator import GROUPS, Group
from volest.report.loads import Loads
from volest.report.totals import Figure, totals
from volest.rows import Row

__all__ = ["summaries"]

_ALL = "'all'"
_TOLD: dict[str, tuple[str, str | None]] = {
    "volume_m3": ("volume_m3", None),
    "net_mass_kg": ("net_mass_kg", None),
    "bulk_density_kg_m3": ("net_mass_kg", "volume_m3"),
    "wet_mass_fraction": ("wet_mass_kg", "net_mass_kg"),
    "fill_ratio": ("volume_m3", "struck_capacity_m3"),
}


def summaries(rows: Iterable[Row], by: Group | None = None) -> list[dict[str, Any]]:
    """Of rows as `volest.rows.to_row` makes them: one dictionary a group, in the order of the groups; none of no rows.

    Each has `key` (an ISO date, a text, or None for those that do not tell it; "all" without `by`), `loads` and
    `rejected` (how many rows), and under the names of a result `value`, `std`, `lower95`, `upper95`, or None. Totals
    and ratios are those of `volest report`: their intervals know what a truck's loads have in common (docs/report.md).
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return []
    group = _ALL if by is None else GROUPS[by]
    with Loads(chain([first], rows)) as loads:
        counts = loads.rows(
            f"SELECT {group} AS g, count(*) AS n, count(*) FILTER (WHERE rejected) AS rejected "
            "FROM loads GROUP BY g ORDER BY g NULLS LAST"
        )
        told = {
            name: {figure.group: figure for figure in totals(loads, above, over=below, group=group)}
            for name, (above, below) in _TOLD.items()
        }
    return [
        {"key": _key(row["g"]), "loads": row["n"], "rejected": row["rejected"]}
        | {name: _quantity(figures.get(row["g"])) for name, figures in told.items()}
        for row in counts
    ]


def _key(group: Any) -> str | None:
    return group.isoformat() if isinstance(group, date) else group


def _quantity(figure: Figure | None) -> dict[str, float] | None:
    quantity = None if figure is None else figure.quantity
    return None if quantity is None else quantity.to_dict()
