"""A dataset of results to a folder: index.html and tables/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from volest.durable import whole_file
from volest.errors import InputError, MissingExtraError
from volest.interfaces import City, write_ngsi_ld, write_sipsn
from volest.report.indicator import Group, Indicator, known_groups, read_indicators
from volest.report.language import Language
from volest.report.loads import Loads
from volest.report.page import page
from volest.report.tables import Table, table_of, write_table
from volest.report.years import year_totals
from volest.rows import read_rows

__all__ = ["Summary", "report"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was reported."""

    page: Path
    loads: int
    rejected: int


def report(
    directory: Path,
    output: Path,
    *,
    language: str = "en",
    compare: Path | None = None,
    indicators: Path | None = None,
    city: Path | None = None,
    ngsi_ld: Path | None = None,
    sipsn: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Write index.html and tables/*.csv, *.parquet to `output`, made if missing; files of these names are replaced.

    compare: another dataset of the same loads; indicators: a file of more of them; city: a city file
    (docs/interfaces.md); ngsi_ld, sipsn: files to write, the second needs the city.
    """
    _require("jinja2", "babel", "matplotlib", "pyarrow", "duckdb")
    words = Language(language)
    if sipsn is not None and city is None:
        raise InputError("--sipsn: found no city file, expected --city FILE with the city's name and province")
    told_city = None if city is None else City.load(city)
    with Loads(directory, compare, tell) as loads:
        told = read_indicators(loads, indicators)
        folder = output / "tables"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror}); expected a place for tables") from error
        tables = _tables(loads, told, folder, tell)
        tell("drawing")
        text = page(loads, told, tables, words)
        with whole_file(output / "index.html") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        if sipsn is not None and told_city is not None:
            write_sipsn(told_city, year_totals(loads, told_city), sipsn)
        counts = loads.row("SELECT count(*) AS n, count(*) FILTER (WHERE rejected) AS rejected FROM loads")
    if ngsi_ld is not None:
        tell(f"writing {ngsi_ld}")
        write_ngsi_ld(read_rows(directory), ngsi_ld)
    return Summary(output / "index.html", counts["n"], counts["rejected"])


def _tables(
    loads: Loads, indicators: list[Indicator], folder: Path, tell: Callable[[str], None]
) -> dict[Group | None, Table]:
    tables: dict[Group | None, Table] = {}
    for group in (None, *known_groups(loads)):
        tell(f"adding up by {group}" if group else "adding up")
        tables[group] = table_of(loads, indicators, group)
        write_table(tables[group], folder)
    return tables


def _require(*packages: str) -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in packages):
        raise MissingExtraError("volest report", "server")
