"""Loads in the store: written once each, found again, and told as the API tells them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from volest.serve.problems import ProblemError
from volest.serve.tables import loads
from volest.serve.times import shown_time

__all__ = ["Filter", "add_load", "document", "find_load", "list_loads", "summary"]

_COLUMNS = [column.name for column in loads.columns if column.name != "seq"]
_ADD = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(loads)
    .values({name: sa.bindparam(name) for name in _COLUMNS})
    .on_conflict_do_nothing(index_elements=["load_id"])
    .returning(loads.c.seq)
    for dialect in (sqlite, postgresql)
}
CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
UNTOLD = ("provenance", "timing_ms")


def ticket_code() -> str:
    """Sixteen characters that nobody guesses (80 bits), without those that are mistaken for others."""
    return base64.b32encode(secrets.token_bytes(10)).decode().translate(CROCKFORD)


def add_load(connection: Connection, values: dict[str, Any]) -> tuple[Any, bool]:
    """The load as it is stored, and whether it is new; ProblemError 409 where its id is another's."""
    told = dict.fromkeys(_COLUMNS) | values | {"ticket_code": ticket_code()}
    seq = connection.execute(_ADD[connection.dialect.name], told).scalar_one_or_none()
    if seq is not None:
        return SimpleNamespace(**told, seq=seq), True
    known = find_load(connection, values["load_id"])
    if known is None or known.content_sha256 != values["content_sha256"]:
        raise ProblemError(409, f"load_id: found {values['load_id']!r} already, with other content", place="load_id")
    return known, False


def find_load(connection: Connection, load_id: str) -> Row[Any] | None:
    """A load by its id."""
    return connection.execute(sa.select(loads).where(loads.c.load_id == load_id)).one_or_none()


def document(row: Row[Any]) -> dict[str, Any]:
    """A Load."""
    return _told(row) | {"result": msgspec.Raw(row.result.encode())}


def summary(row: Row[Any]) -> dict[str, Any]:
    """A LoadSummary."""
    result = msgspec.json.decode(row.result)
    return _told(row) | {"result": {name: value for name, value in result.items() if name not in UNTOLD}}


def _told(row: Row[Any]) -> dict[str, Any]:
    return {
        "load_id": row.load_id,
        "truck_id": row.truck_id,
        "time": shown_time(row.time_us),
        "district": row.district,
        "source": row.source,
        "lat": row.lat,
        "lon": row.lon,
        "received": shown_time(row.received_us),
        "origin": row.origin,
        "has_scene": row.scans != "[]",
        "ticket_code": row.ticket_code,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which loads."""

    equal: dict[str, str] = field(default_factory=dict)
    since_us: int | None = None
    until_us: int | None = None

    def of(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """A query of these loads alone."""
        for name, value in self.equal.items():
            query = query.where(loads.c[name] == value)
        if self.since_us is not None:
            query = query.where(loads.c.time_us >= self.since_us)
        if self.until_us is not None:
            query = query.where(loads.c.time_us < self.until_us)
        return query


def list_loads(
    connection: Connection, wanted: Filter, limit: int, cursor: str | None
) -> tuple[Sequence[Row[Any]], str | None]:
    """The newest loads first, and the cursor of those that follow."""
    query = wanted.of(sa.select(loads)).order_by(loads.c.time_us.desc(), loads.c.seq.desc()).limit(limit + 1)
    if cursor is not None:
        time_us, seq = _read_cursor(cursor)
        earlier = sa.or_(loads.c.time_us < time_us, sa.and_(loads.c.time_us == time_us, loads.c.seq < seq))
        query = query.where(loads.c.time_us <= time_us, earlier)
    rows = connection.execute(query).all()
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], f"{rows[limit - 1].time_us}.{rows[limit - 1].seq}"


def _read_cursor(cursor: str) -> tuple[int, int]:
    time_us, _, seq = cursor.partition(".")
    if not (time_us.isascii() and time_us.isdigit() and seq.isascii() and seq.isdigit() and len(cursor) < 40):
        raise ProblemError(422, f"cursor: found {cursor[:50]!r}, expected the `next` of an answer", place="cursor")
    if max(int(time_us), int(seq)) >= 2**63:
        raise ProblemError(422, "cursor: found a number beyond all, expected the `next` of an answer", place="cursor")
    return int(time_us), int(seq)
