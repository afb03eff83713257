"""Totals of what is stored, with the intervals of `volest.report`: its table, fed with each load as it comes."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from volest.report.loads import READ, Loads, derived_view
from volest.report.totals import Figure, totals
from volest.rows import schema
from volest.serve.store import Store
from volest.serve.tables import loads

__all__ = ["GROUPS", "Figures"]

GROUPS = {"day": "day", "truck": "truck_id", "district": "district", "source": "source"}
AT_ONCE = 5000
TOTALS = {
    "volume_m3": ("volume_m3", None),
    "net_mass_kg": ("net_mass_kg", None),
    "bulk_density_kg_m3": ("net_mass_kg", "volume_m3"),
    "wet_mass_fraction": ("wet_mass_kg", "net_mass_kg"),
    "fill_ratio": ("volume_m3", "struck_capacity_m3"),
}


class Figures(Loads):
    """The loads of a store, for SQL and for `totals`; safe to share between threads, which take turns."""

    def __init__(self, store: Store) -> None:
        import duckdb
        import pyarrow as pa

        self._store, self._lock, self._last = store, threading.Lock(), 0
        self._duckdb, self._folder = duckdb, tempfile.TemporaryDirectory(prefix="volest-serve-")
        self.connection = self._connected(Path(self._folder.name) / "loads.duckdb")
        fields = [f.with_type(pa.timestamp("us")) if f.name == "time" else f for f in schema() if f.name in READ]
        fields += [pa.field("day_folder", pa.date32()), pa.field("truck_folder", pa.string())]
        self._schema = pa.schema(fields)
        self._insert(self._schema.empty_table(), "CREATE TABLE loads_rows AS SELECT * FROM source_rows")
        self.connection.execute(derived_view("loads"))
        self._cache: dict[Any, Any] = {}

    def catch_up(self) -> None:
        """Take in what was stored since."""
        with self._lock:
            self._catch_up()

    def _catch_up(self) -> None:
        import pyarrow as pa

        query = sa.select(loads.c.seq, loads.c.row).order_by(loads.c.seq).limit(AT_ONCE)
        while found := self._store.read(lambda c: c.execute(query.where(loads.c.seq > self._last)).all()):
            rows = [msgspec.json.decode(entry.row) for entry in found]
            table = pa.Table.from_pylist(rows, self._schema)
            self._insert(table, "INSERT INTO loads_rows SELECT * FROM source_rows")
            self._last = found[-1].seq
            self._cache.clear()

    def _insert(self, table: Any, sql: str) -> None:
        self.connection.register("source_rows", table)
        try:
            self.connection.execute(sql).fetchall()
        finally:
            self.connection.unregister("source_rows")

    def summaries(self, by: str, since_us: int | None, until_us: int | None) -> list[dict[str, Any]]:
        """The totals of each day, truck, district or source."""
        where = "true"
        where += "" if since_us is None else f" AND epoch_us(time) >= {since_us:d}"
        where += "" if until_us is None else f" AND epoch_us(time) < {until_us:d}"
        with self._lock:
            self._catch_up()
            return self._grouped(GROUPS[by], where)

    def _grouped(self, group: str, where: str) -> list[dict[str, Any]]:
        key = (group, where)
        if key not in self._cache:
            counts = self.rows(
                f"SELECT {group} AS key, count(*) AS loads, count(*) FILTER (WHERE rejected) AS rejected "
                f"FROM loads WHERE {where} GROUP BY ALL ORDER BY key NULLS LAST"
            )
            figures = {
                name: {f.group: f for f in totals(self, above, over=over, group=group, where=f"load AND {where}")}
                for name, (above, over) in TOTALS.items()
            }
            self._cache[key] = [_item(row, figures) for row in counts]
        items: list[dict[str, Any]] = self._cache[key]
        return items

    def day(self, day: str) -> dict[str, Any]:
        """The figures of one local day, YYYY-MM-DD."""
        where = f"day = DATE '{day}'"
        with self._lock:
            self._catch_up()
            whole = self._grouped("'all'", where)
            flags = self.rows(
                f"SELECT flag, count(*) AS n FROM (SELECT unnest(flags) AS flag FROM loads WHERE {where}) "
                "GROUP BY 1 ORDER BY 2 DESC, 1"
            )
            hours = self.rows(f"SELECT hour AS h, sum(volume_m3) AS v FROM loads WHERE load AND {where} GROUP BY 1")
            trucks = self.row(f"SELECT count(DISTINCT truck_id) AS n FROM loads WHERE {where}")["n"]
        by_hour = {row["h"]: row["v"] for row in hours}
        empty: dict[str, Any] = {"loads": 0, "rejected": 0, **dict.fromkeys(TOTALS)}
        told = whole[0] if whole else empty
        return {
            "date": day,
            **{name: told[name] for name in ("loads", "rejected", *TOTALS)},
            "trucks": trucks,
            "flags": {row["flag"]: row["n"] for row in flags},
            "hours": [by_hour.get(hour, 0.0) for hour in range(24)],
        }

    def districts(self) -> list[dict[str, Any]]:
        """Of each district its totals and the middle of its loads."""
        with self._lock:
            self._catch_up()
            items = self._grouped("district", "true")
            places = {
                row["d"]: row
                for row in self.rows("SELECT district AS d, avg(lat) AS lat, avg(lon) AS lon FROM loads GROUP BY 1")
            }
        names = ("loads", "rejected", "volume_m3", "net_mass_kg", "wet_mass_fraction")
        return [
            {"district": item["key"], **{name: item[name] for name in names}}
            | {axis: places[item["key"]][axis] for axis in ("lat", "lon")}
            for item in items
            if item["key"] is not None
        ]


def _item(row: dict[str, Any], figures: dict[str, dict[Any, Figure]]) -> dict[str, Any]:
    key = row["key"]
    item: dict[str, Any] = {
        "key": None if key is None else str(key),
        "loads": row["loads"],
        "rejected": row["rejected"],
    }
    for name, by_group in figures.items():
        quantity = by_group[key].quantity if key in by_group else None
        item[name] = None if quantity is None else quantity.to_dict()
    return item
