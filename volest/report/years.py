"""What each year brought, for a city's return to the national waste information system."""

from __future__ import annotations

from volest.interfaces.city import City
from volest.interfaces.sipsn import YearTotal
from volest.report.loads import Loads
from volest.report.totals import totals

__all__ = ["year_totals"]

WEIGHED = "load AND day IS NOT NULL"
YEAR = "year(day)"


def year_totals(loads: Loads, city: City) -> list[YearTotal]:
    """A total for each year with a weighed load; a load's source is its own, or its district's in the city file."""
    tonnes = totals(loads, "net_mass_kg", factor=0.001, where=WEIGHED, group=YEAR)
    wet = {
        figure.group: figure.value
        for figure in totals(loads, "wet_mass_kg", over="net_mass_kg", factor=100.0, where=WEIGHED, group=YEAR)
    }
    told = loads.rows(
        f"SELECT {YEAR} AS year, date_diff('day', min(day), max(day)) + 1 AS days, "
        "count(*) FILTER (WHERE trip) AS trips, "
        "count(*) FILTER (WHERE trip AND (rejected OR net_mass_kg IS NULL)) AS unmeasured "
        "FROM loads WHERE day IS NOT NULL GROUP BY ALL"
    )
    years = {row["year"]: row for row in told}
    by_source = _by_source(loads, city)
    return [
        YearTotal(
            year=figure.group,
            mass_t=figure.quantity,
            days=years[figure.group]["days"],
            trips=years[figure.group]["trips"],
            unmeasured=years[figure.group]["unmeasured"],
            wet_percent=wet.get(figure.group),
            source_t=by_source.get(figure.group, {}),
        )
        for figure in tonnes
        if figure.quantity is not None
    ]


def _by_source(loads: Loads, city: City) -> dict[int, dict[str | None, float]]:
    rows = loads.rows(
        f"SELECT {YEAR} AS year, source, district, sum(net_mass_kg) / 1000 AS t FROM loads "
        f"WHERE {WEIGHED} AND net_mass_kg IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )
    found: dict[int, dict[str | None, float]] = {}
    for row in rows:
        source = row["source"] if row["source"] is not None else city.districts.get(row["district"])
        year = found.setdefault(row["year"], {})
        year[source] = year.get(source, 0.0) + row["t"]
    return found
