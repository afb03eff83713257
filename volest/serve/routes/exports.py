"""Loads for other systems: rows as CSV or Parquet, entities of NGSI-LD."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response

from volest.interfaces import waste_container, waste_observed
from volest.rows import COLUMNS, schema
from volest.serve.records import list_loads
from volest.serve.routes.answers import PROBLEMS
from volest.serve.routes.filters import filter_of
from volest.serve.security import Reader
from volest.serve.tables import loads

__all__ = ["CSV", "MOST_ROWS", "PARQUET", "exported", "router"]

router = APIRouter(prefix="/v1", tags=["exports"], responses=PROBLEMS)
CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
MOST_ROWS = 20_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would run
Row = dict[str, Any]


def exported(rows: Sequence[Any], kind: str) -> bytes:
    """Stored loads as a file of `volest.rows`."""
    told = [msgspec.json.decode(row.row) for row in rows]
    return _csv(told) if kind == CSV else _parquet(told)


def _csv(rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    names = [name for name in COLUMNS if name != "inputs"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(name, row[name]) for name in names] for row in rows)
    return text.getvalue().encode()


def _cell(name: str, value: Any) -> Any:
    if value is None or isinstance(value, float):
        return value
    if name == "time":
        from volest.serve.times import shown_time

        return shown_time(value)
    told = " ".join(value) if isinstance(value, list) else str(value)
    return f"'{told}" if told.startswith(FORMULA) and not isinstance(value, int) else told


def _parquet(rows: list[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = io.BytesIO()
    table = pa.Table.from_pylist(rows, schema())
    pq.write_table(table, content, compression="zstd", write_page_checksum=True)
    return content.getvalue()


@router.get("/ngsi-ld/entities", summary="Entities of FIWARE: WasteObserved of each load, WasteContainer of each truck")
async def get_entities(
    request: Request,
    _: Reader,
    type: Literal["WasteObserved", "WasteContainer"] | None = None,
    truck_id: Annotated[str | None, Query(max_length=200)] = None,
    district: Annotated[str | None, Query(max_length=200)] = None,
    since: str | None = None,
    until: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=50)] = None,
) -> Response:
    wanted = filter_of(since, until, truck_id=truck_id, district=district)

    def read(connection: sa.Connection) -> tuple[Any, Any, str | None]:
        rows, following = list_loads(connection, wanted, limit, cursor)
        latest = sa.select(sa.func.max(loads.c.seq).label("seq")).where(loads.c.status != "rejected")
        last = latest.group_by(loads.c.truck_id).subquery()
        return rows, connection.execute(sa.select(loads.c.row).join(last, loads.c.seq == last.c.seq)).all(), following

    rows, latest, following = await request.app.state.service.store.reading(read)
    observed = [waste_observed(msgspec.json.decode(row.row)) for row in rows] if type != "WasteContainer" else []
    beds = [waste_container(msgspec.json.decode(row.row)) for row in latest] if type != "WasteObserved" else []
    entities = [*observed, *(bed for bed in beds if bed is not None)]
    headers = {} if following is None else {"X-Next-Cursor": following}
    return Response(msgspec.json.encode(entities), headers=headers, media_type="application/ld+json")
