"""The tables of a report as files: CSV under the words of its language, Parquet under names for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from volest.durable import whole_file
from volest.report.indicator import Group, Indicator, figures
from volest.report.language import Language
from volest.report.loads import Loads
from volest.report.totals import Figure

__all__ = ["Column", "Table", "table_of", "write_rows", "write_table"]

Row = dict[str, Any]
BATCH_ROWS = 16_384
_RISKY = ("=", "+", "-", "@", "\t", "\r")


class Column(NamedTuple):
    """Of a table: its name in Parquet, its heading in CSV, and what is in it."""

    key: str
    words: str
    kind: Literal["number", "count", "day", "source", "text"] = "number"


class Table:
    """The figures of some indicators by group; a group that an indicator does not know has none."""

    def __init__(self, group: Group | None, indicators: Sequence[Indicator]) -> None:
        self.group, self.indicators = group, list(indicators)
        self.figures: dict[Any, dict[str, Figure]] = {}

    @property
    def groups(self) -> list[Any]:
        """Sorted; what is not told comes last."""
        return sorted(self.figures, key=lambda group: (group is None, group if group is not None else ""))

    def columns(self, language: Language) -> list[Column]:
        """Of `rows`: the group, and each indicator with its unit."""
        columns = []
        if self.group is not None:
            kind: Any = self.group if self.group in ("day", "source") else "text"
            columns.append(Column(self.group, language(f"group_{self.group}"), kind))
        for indicator in self.indicators:
            name = language.heading(indicator.name, indicator.unit)
            columns.append(Column(indicator.key, name))
            if indicator.total is not None:
                columns += [
                    Column(f"{indicator.key}_{part}", language(f"column_{part}", name=name))
                    for part in ("std", "lower95", "upper95")
                ]
        return columns

    def rows(self) -> list[Row]:
        """Each with value and, where there is one, standard uncertainty and 95 % interval of each indicator."""
        return [self._row(group) for group in self.groups]

    def _row(self, group: Any) -> Row:
        row: Row = {} if self.group is None else {self.group: group}
        for indicator in self.indicators:
            figure = self.figures[group].get(indicator.key)
            row[indicator.key] = None if figure is None else figure.value
            if indicator.total is not None:
                quantity = None if figure is None else figure.quantity
                row[f"{indicator.key}_std"] = None if quantity is None else quantity.std
                row[f"{indicator.key}_lower95"] = None if quantity is None else quantity.lower95
                row[f"{indicator.key}_upper95"] = None if quantity is None else quantity.upper95
        return row


def table_of(loads: Loads, indicators: Sequence[Indicator], group: Group | None = None) -> Table:
    """All indicators over all loads, or those that are told `by` this group for each of them."""
    chosen = [indicator for indicator in indicators if group is None or group in indicator.by]
    table = Table(group, chosen)
    for indicator in chosen:
        for figure in figures(loads, indicator, group):
            table.figures.setdefault(figure.group, {})[indicator.key] = figure
    return table


def write_table(table: Table, folder: Path, language: Language) -> None:
    """Under the name of its group, or `all`."""
    write_rows(folder / (table.group or "all"), table.columns(language), table.rows(), language)


def write_rows(path: Path, columns: Sequence[Column], rows: Iterable[Row], language: Language) -> None:
    """`path`.csv and `path`.parquet, both whole or not there; no more than some thousand rows are held."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"number": pa.float64(), "count": pa.int64(), "day": pa.date32()}
    schema = pa.schema(
        [pa.field(c.key, types.get(c.kind, pa.string()), metadata={"description": c.words}) for c in columns]
    )
    with (
        whole_file(path.with_name(f"{path.name}.csv")) as text,
        whole_file(path.with_name(f"{path.name}.parquet")) as file,
        pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as parquet,
    ):
        lines = io.TextIOWrapper(text, "utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(column.words for column in columns)
        waiting = iter(rows)
        while batch := list(islice(waiting, BATCH_ROWS)):
            writer.writerows([_cell(row[c.key], c.kind, language) for c in columns] for row in batch)
            parquet.write_table(pa.Table.from_pylist(batch, schema=schema))
        lines.detach()


def _cell(value: Any, kind: str, language: Language) -> str:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front, as spreadsheets write it."""
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    text = language.name_of(kind, value)
    return f"'{text}" if text.startswith(_RISKY) else text
