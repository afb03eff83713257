"""Indicators: what a report counts, as files tell it, and their values by day, truck, district or source."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from volest.errors import InputError
from volest.report.formula import checked
from volest.report.loads import Loads
from volest.report.totals import Figure, totals
from volest.schema import check, read_toml

__all__ = ["GROUPS", "Group", "Indicator", "figures", "known_groups", "read_indicators"]

MOST_INDICATORS = 200
Group = Literal["day", "truck", "district", "source"]
GROUPS: dict[Group, str] = {"day": "day", "truck": "truck", "district": "district", "source": "source"}
ALL = "'all'"
_NUMBERS = ("BIGINT", "BOOLEAN", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "INTEGER", "SMALLINT", "TINYINT", "U")

_Text = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,200}\Z", description="1 to 200 printable characters")]
_Unit = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,20}\Z", description="at most 20 printable characters")]
_Sql = Annotated[str, Meta(min_length=1, max_length=2000, description="an SQL expression of 1 to 2000 characters")]
_QUANTITIES = '"volume_m3", "net_mass_kg", "wet_mass_kg" or "struck_capacity_m3"'
_Quantity = Annotated[
    Literal["volume_m3", "net_mass_kg", "wet_mass_kg", "struck_capacity_m3"], Meta(description=_QUANTITIES)
]


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name in each language of reports."""

    en: _Text
    id: _Text


class Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One indicator; see the head of volest/data/report/indicators.toml."""

    name: Names
    source: _Text
    unit: _Unit = ""
    formula: _Sql | None = None
    total: _Quantity | None = None
    over: _Quantity | None = None
    where: _Sql | None = None
    per: _Sql | None = None
    factor: Annotated[float, Meta(ge=-1e9, le=1e9, description="a number, -1e9 to 1e9")] = 1.0
    digits: Annotated[int, Meta(ge=0, le=6, description="0 to 6")] = 0
    by: Annotated[
        tuple[Group, ...], Meta(max_length=4, description='some of "day", "truck", "district", "source"')
    ] = ()
    key: str = ""
    told: str = ""  # the formula as it stands in the file, for people

    def words(self) -> str:
        """The formula in one line, as its file has it."""
        if self.formula is not None:
            return self.formula
        text = f"sum({self.total})" + (f" / sum({self.over})" if self.over else "")
        text = text if self.factor == 1.0 else f"{self.factor:g} * {text}"
        return f"{text}{f' / {self.per}' if self.per else ''}{f' WHERE {self.where}' if self.where else ''}"


def read_indicators(loads: Loads, path: Path | None = None) -> list[Indicator]:
    """The indicators of every report and, in `path`, those of a city, which may take the place of others by key."""
    own = read_toml(Path(str(files("volest") / "data/report/indicators.toml")), InputError)
    found = _checked(loads, own, "indicators.toml")
    if path is not None:
        found |= _checked(loads, read_toml(path, InputError), str(path))
    if len(found) > MOST_INDICATORS:
        raise InputError(f"{path}: found {len(found)} indicators in all, expected at most {MOST_INDICATORS}")
    return list(found.values())


def _checked(loads: Loads, document: dict[str, object], where: str) -> dict[str, Indicator]:
    found = {}
    for key, table in document.items():
        if not key.isidentifier() or len(key) > 60 or not key.isascii():
            raise InputError(f"{where}: {key[:60]!r}: found no name, expected 1 to 60 of A-Z a-z 0-9 _")
        if not isinstance(table, dict) or {"key", "told"} & table.keys():
            raise InputError(f"{where}: {key}: found no indicator, expected a table [{key}] with name and formula")
        indicator = check(table, Indicator, f"{where}: {key}", InputError)
        found[key] = _safe(loads, indicator, key, f"{where}: {key}")
    return found


def _safe(loads: Loads, told: Indicator, key: str, where: str) -> Indicator:
    """With formulas that may be asked."""
    if (told.formula is None) == (told.total is None):
        raise InputError(f"{where}: found {'both' if told.formula else 'neither'}, expected either formula or total")
    if told.formula is not None and (told.over or told.where or told.per or told.factor != 1.0):
        raise InputError(f"{where}: found over, where, per or factor with a formula, expected them with total")
    safe = {
        field: checked(loads, text, f"{where}.{field}", aggregate=field != "where")
        for field in ("formula", "where", "per")
        if (text := getattr(told, field)) is not None
    }
    indicator = msgspec.structs.replace(told, key=key, told=told.words(), **safe)
    _try(loads, indicator, where)
    return indicator


def _try(loads: Loads, indicator: Indicator, where: str) -> None:
    """Types that do not fit show before the report is begun."""
    import duckdb

    parts = [indicator.formula, indicator.per, f"count(*) FILTER (WHERE {indicator.where or 'true'})"]
    asked = ", ".join(part for part in parts if part is not None)
    try:
        found = loads.rows(f"DESCRIBE SELECT {asked} FROM loads")
    except duckdb.Error as error:
        reason = " ".join(str(error).split("\n\n")[0].split())[:200]
        raise InputError(f"{where}: found a formula that cannot be asked ({reason}); expected a number") from None
    for column in found:
        if not column["column_type"].startswith(_NUMBERS):
            raise InputError(f"{where}: found a formula of type {column['column_type']}, expected a number")


def figures(loads: Loads, indicator: Indicator, group: Group | None = None, view: str = "loads") -> list[Figure]:
    """The indicator over all loads, or for each day, truck, district or source; None stands for those without one."""
    import duckdb

    try:
        return _figures(loads, indicator, GROUPS[group] if group else ALL, view)
    except duckdb.Error as error:
        reason = " ".join(str(error).split("\n\n")[0].split())[:200]
        raise InputError(f"indicator {indicator.key}: {reason}; expected a formula that holds for all loads") from None


def _figures(loads: Loads, indicator: Indicator, by: str, view: str) -> list[Figure]:
    if indicator.total is not None:
        return totals(
            loads,
            indicator.total,
            over=indicator.over,
            where=indicator.where or "load",
            per=indicator.per or "1",
            factor=indicator.factor,
            group=by,
            view=view,
        )
    asked = f"SELECT {by} AS g, count(*) AS n, CAST({indicator.formula} AS DOUBLE) AS value"
    rows = loads.rows(f"{asked} FROM {view} GROUP BY ALL ORDER BY g")
    return [Figure(row["g"], row["n"], _finite(row["value"])) for row in rows]


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None


def known_groups(loads: Loads) -> list[Group]:
    """By what the loads can be grouped: those of which at least one is told."""
    counts = loads.row(f"SELECT {', '.join(f'count({sql}) AS {group}' for group, sql in GROUPS.items())} FROM loads")
    return [group for group in GROUPS if counts[group]]
