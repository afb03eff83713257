"""The tables of a report as files: a row a group, a column an indicator, as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from volest.durable import whole_file
from volest.report.indicator import Group, Indicator, figures
from volest.report.loads import Loads
from volest.report.totals import Figure

__all__ = ["Table", "table_of", "write_table"]

Row = dict[str, Any]
_RISKY = ("=", "+", "-", "@", "\t", "\r")


class Table:
    """The figures of some indicators by group; a group that an indicator does not know has none."""

    def __init__(self, group: Group | None, indicators: Sequence[Indicator]) -> None:
        self.group, self.indicators = group, list(indicators)
        self.figures: dict[Any, dict[str, Figure]] = {}

    @property
    def groups(self) -> list[Any]:
        """Sorted; what is not told comes last."""
        return sorted(self.figures, key=lambda group: (group is None, group if group is not None else ""))

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


def write_table(table: Table, folder: Path) -> None:
    """NAME.csv and NAME.parquet, NAME the group or `all`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, rows = table.group or "all", table.rows()
    columns = list(table._row(table.groups[0])) if rows else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    with whole_file(folder / f"{name}.csv") as file:
        file.write(text.getvalue().encode("utf-8", "backslashreplace"))
    types = {"day": pa.date32(), "truck": pa.string(), "district": pa.string(), "source": pa.string()}
    schema = pa.schema([(column, types.get(column, pa.float64())) for column in columns])
    with whole_file(folder / f"{name}.parquet") as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd", write_page_checksum=True)


def _cell(value: Any) -> str:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front, as spreadsheets write it."""
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    text = str(value)
    return f"'{text}" if text.startswith(_RISKY) else text
