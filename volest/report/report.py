"""A dataset of results to a folder: index.html and tables/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from volest.durable import whole_file
from volest.errors import InputError, MissingExtraError
from volest.interfaces import City, write_ngsi_ld, write_sipsn
from volest.report.comparison import EACH_LOAD
from volest.report.indicator import Group, Indicator, known_groups, read_indicators
from volest.report.language import Language
from volest.report.loads import Loads
from volest.report.page import page
from volest.report.tables import Column, Table, table_of, write_rows, write_table
from volest.report.years import year_totals
from volest.rows import QUANTITIES, read_rows

__all__ = ["Summary", "report"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was reported."""

    page: Path
    loads: int
    rejected: int
    indicators: dict[str, float | None]  # over all loads, as tables/all has them

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"schema": "volest/report/1"} | asdict(self) | {"page": str(self.page)}


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
        tables = _tables(loads, told, folder, words, tell)
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
    return Summary(output / "index.html", counts["n"], counts["rejected"], next(iter(tables[None].rows()), {}))


def _tables(
    loads: Loads, indicators: list[Indicator], folder: Path, language: Language, tell: Callable[[str], None]
) -> dict[Group | None, Table]:
    tables: dict[Group | None, Table] = {}
    for group in (None, *known_groups(loads)):
        tell(f"adding up by {group}" if group else "adding up")
        tables[group] = table_of(loads, indicators, group)
        write_table(tables[group], folder, language)
    _write_flags(loads, folder, language)
    if "others" in loads.parts:
        tell("comparing")
        _write_comparison(loads, folder, language)
    return tables


def _write_flags(loads: Loads, folder: Path, language: Language) -> None:
    """How many loads have each flag, by status: why loads were rejected, or are less sure."""
    statuses = ("rejected", "degraded", "ok")
    columns = [Column("flag", language("column_flag"), "text"), Column("meaning", language("column_meaning"), "text")]
    columns += [Column(status, language(f"status_{status}"), "count") for status in statuses]
    counts = ", ".join(f"count(*) FILTER (WHERE status = '{status}') AS {status}" for status in statuses)
    rows = loads.rows(f"SELECT flag, {counts} FROM (SELECT unnest(flags) AS flag, status FROM loads) GROUP BY ALL")
    told = [row | {"meaning": language.flag(row["flag"])} for row in sorted(rows, key=lambda row: str(row["flag"]))]
    write_rows(folder / "flags", columns, told, language)


def _write_comparison(loads: Loads, folder: Path, language: Language) -> None:
    columns = [
        Column(name, language(word), "text") for name, word in (("load_id", "column_load"), ("truck", "group_truck"))
    ]
    for name in ("status", *QUANTITIES):
        kind: Any = "text" if name == "status" else "number"
        columns += [
            Column(f"{name}_{side}", language(f"column_{side}", name=language(f"quantity_{name}")), kind)
            for side in ("there", "here")
        ]
    write_rows(folder / "comparison", columns, loads.stream(EACH_LOAD), language)


def _require(*packages: str) -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in packages):
        raise MissingExtraError("volest report", "server")
