"""A table for Indonesia's national waste information system, SIPSN: tonnes a day and a year, by source, composition."""

from __future__ import annotations

import calendar
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from volest.durable import whole_file
from volest.errors import InputError
from volest.interfaces.city import City
from volest.quantity import Quantity
from volest.schema import read_toml

__all__ = ["YearTotal", "columns", "sipsn_row", "source_of", "write_sipsn"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class YearTotal:
    """What was weighed in one year. `source_t`: tonnes by source as loads tell it, None where they do not."""

    year: int
    mass_t: Quantity
    days: int  # from the first day of the year with loads to the last, both counted
    trips: int
    unmeasured: int  # trips without a mass, which are in no total
    wet_percent: float | None = None
    source_t: Mapping[str | None, float] = field(default_factory=dict)


@cache
def columns() -> dict[str, Any]:
    """The column names of volest/data/sipsn.toml."""
    return read_toml(Path(str(files("volest") / "data/sipsn.toml")), InputError)


def source_of(told: str | None) -> str:
    """The source in SIPSN's sense that a load's `source` is, by volest's word or SIPSN's; `other` for any other."""
    names: dict[str, str] = columns()["sources"]
    by_label = {label.partition("(")[0].casefold(): name for name, label in names.items()}
    text = (told or "").strip().casefold()
    return text if text in names else by_label.get(text, "other")


def sipsn_row(city: City, total: YearTotal) -> Row:
    """One year of a city under SIPSN's column names; None where there is nothing to tell.

    Tonnes a year are what was weighed, not scaled up to days that are not covered; a day's are those over the days
    covered.
    """
    told = columns()
    by_source = dict.fromkeys(told["sources"], 0.0)
    for name, tonnes in total.source_t.items():
        by_source[source_of(name)] += tonnes
    row: Row = dict(zip(told["place"], (total.year, city.province, city.name), strict=True))
    row |= {told["per_day"]: total.mass_t.value / total.days, told["per_year"]: total.mass_t.value}
    row |= {label: by_source[name] for name, label in told["sources"].items()}
    parts = {} if city.composition is None else msgspec.structs.asdict(city.composition)
    row |= {label: parts.get(name) for name, label in told["composition"].items()}
    added = {
        "days": total.days,
        "year_lower95": total.mass_t.lower95,
        "year_upper95": total.mass_t.upper95,
        "wet": total.wet_percent,
        "trips": total.trips,
        "unmeasured": total.unmeasured,
        "composition_from": parts.get("reference"),
    }
    return row | {label: added[name] for name, label in told["added"].items()}


def write_sipsn(city: City, totals: Sequence[YearTotal], path: Path) -> None:
    """A CSV of one row a year, UTF-8, decimal points, as SIPSN's own downloads; nothing where nothing is known."""
    rows = [sipsn_row(city, total) for total in sorted(totals, key=lambda total: total.year)]
    for total in totals:
        if not 1 <= total.days <= 366 or not 1970 <= total.year <= 9999:
            raise InputError(f"year {total.year}: found {total.days} days, expected 1 to {_days_of(total.year)}")
    if not rows:
        raise InputError(f"{path}: found no load with a mass and a day, expected one at least")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode("utf-8", "backslashreplace"))


def _days_of(year: int) -> int:
    return 366 if calendar.isleap(year) else 365


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
