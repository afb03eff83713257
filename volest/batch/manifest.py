"""A manifest: the loads to estimate, one a row, read row by row; a row that cannot be used is told for itself."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from volest.batch.query import MOST_QUERY_BYTES, is_query, query_rows
from volest.batch.storage import Storage, open_file
from volest.errors import InputError
from volest.rows import pyarrow
from volest.schema import nearest

__all__ = ["COLUMNS", "Entry", "read_manifest"]

NEEDED = ("load_id", "truck", "scans", "weight")
COLUMNS = (*NEEDED, "time", "lat", "lon", "district", "source")
MOST_LINE_CHARACTERS = 1 << 16
MOST_CHARACTERS = {"load_id": 200, "truck": 4096, "scans": 1 << 15, "weight": 4096, "district": 200, "source": 200}
FEW_CHARACTERS = 200  # which all may have
TEXTS = {"truck_file": "truck", "scans": "scans", "weight": "weight", "district": "district", "source": "source"}
NOTHING = (None, "")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a manifest: what it tells under the names of `volest.rows.TOLD`, or what is wrong with it; no None."""

    place: str  # "manifest.csv:12", the line of a CSV, the row of a Parquet
    load_id: str  # empty where it tells none
    told: dict[str, Any]
    fault: str = ""


def read_manifest(path: str) -> Iterator[Entry]:
    """The rows of a CSV (UTF-8, with a header) or Parquet file, or of a query's answer (`volest.batch.query`).

    The file is local or on an object store; memory stays bounded.

    Raises InputError for a file that is no manifest: missing, another format, unknown or missing columns.
    """
    name = Storage.name_of(path)
    with closing(open_file(path)) as file:
        magic = file.read(4)
        file.seek(0)
        if is_query(path):
            columns, rows = query_rows(file.read(MOST_QUERY_BYTES + 1), path, Storage.base_of(path))
            _check_columns(path, columns)
        else:
            rows = _parquet_rows(file, path) if magic == b"PAR1" else _csv_rows(file, path)
        for number, row in rows:
            yield _entry(f"{name}:{number}", row)


def _check_columns(path: str, columns: list[str]) -> list[str]:
    for column in columns:
        if column not in COLUMNS:
            raise InputError(f"{path}: found the column {column[:60]!r}, expected {nearest(column, COLUMNS)}")
        if columns.count(column) > 1:
            raise InputError(f"{path}: found the column {column!r} {columns.count(column)} times, expected it once")
    missing = [column for column in NEEDED if column not in columns]
    if missing:
        raise InputError(f"{path}: found no column {missing[0]!r}, expected a manifest with {', '.join(COLUMNS)}")
    return columns


def _csv_rows(file: IO[bytes], path: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line by line, so that a quote that is never closed costs its own line."""
    columns: list[str] = []
    for number, raw in enumerate(iter(lambda: file.readline(MOST_LINE_CHARACTERS), b""), start=1):
        line = raw.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape").rstrip("\r\n")
        if len(raw) == MOST_LINE_CHARACTERS:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(MOST_LINE_CHARACTERS)
            yield number, f"found a line of {MOST_LINE_CHARACTERS} bytes or more, expected a shorter one"
        elif line.strip():
            cells = _cells(line)
            if not columns:
                if isinstance(cells, str):
                    raise InputError(f"{path}: line 1: {cells}; expected a manifest, CSV or Parquet")
                columns = _check_columns(path, [cell.strip() for cell in cells])
            elif isinstance(cells, str):
                yield number, cells
            elif len(cells) != len(columns):
                yield number, f"found {len(cells)} fields, expected {len(columns)}: {','.join(columns)}"
            else:
                yield number, dict(zip(columns, cells, strict=True))
    if not columns:
        raise InputError(f"{path}: found an empty file, expected a manifest with {', '.join(COLUMNS)}")


def _cells(line: str) -> list[str] | str:
    """The fields of a line, or what is wrong with it."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader((line,), strict=True))
    except csv.Error as error:
        return f"found no CSV: {error}"


def _parquet_rows(file: IO[bytes], path: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    pa = pyarrow()
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as table:
            _check_columns(path, list(table.schema_arrow.names))
            number = 0
            for batch in table.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not valid Parquet: {' '.join(str(error).split())[:200]}") from None


def _entry(place: str, row: dict[str, Any] | str) -> Entry:
    if isinstance(row, str):
        return Entry(place, "", {}, row)
    load_id = ""
    try:
        load_id = _text(row, "load_id", needed=True) or ""
        told: dict[str, Any] = {}
        for name, column in TEXTS.items():
            value = _text(row, column, needed=column in NEEDED and column != "weight")
            if value is not None:
                told[name] = value
        time, lat, lon = row.get("time"), row.get("lat"), row.get("lon")
        if time is not None and time != "":
            told["time"], told["utc_offset_min"] = _time(time)
        if lat not in NOTHING or lon not in NOTHING:
            if lat in NOTHING or lon in NOTHING:
                raise ValueError("lat, lon: found one of them, expected both or none")
            told["lat"], told["lon"] = _degrees(lat, "lat", 90.0), _degrees(lon, "lon", 180.0)
    except ValueError as error:
        return Entry(place, load_id, {}, str(error))
    return Entry(place, load_id, told)


def _text(row: Mapping[str, Any], name: str, *, needed: bool = False) -> str | None:
    value = row.get(name)
    if isinstance(value, str) and value and len(value) <= FEW_CHARACTERS and value.isprintable() and value.strip():
        return value.strip()
    if isinstance(value, int | float) and name == "weight" and not isinstance(value, bool):
        value = repr(float(value))
    if value is None or (isinstance(value, str) and not value.strip()):
        if needed:
            raise ValueError(f"{name}: found nothing, expected one")
        return None
    if not isinstance(value, str):
        raise ValueError(f"{name}: found {str(value)[:60]!r}, expected text")
    value = value.strip()
    if len(value) > MOST_CHARACTERS[name]:
        raise ValueError(f"{name}: found {len(value)} characters, expected at most {MOST_CHARACTERS[name]}")
    if not value.isprintable():  # surrogates of bytes that are no UTF-8 are not printable either
        shown = "".join(c if c.isprintable() else "?" for c in value[:60])
        raise ValueError(f"{name}: found {shown!r}, expected printable UTF-8")
    return value


def _time(value: str | datetime) -> tuple[int, int]:
    """Microseconds since 1970, and minutes that the local time is ahead of UTC."""
    try:
        if isinstance(value, str):
            if not RFC_3339.fullmatch(value):
                raise ValueError
            value = datetime.fromisoformat(value.upper())
        offset = value.utcoffset()
        if offset is None:
            raise ValueError
        return (value - EPOCH) // MICROSECOND, offset // timedelta(minutes=1)
    except (ValueError, OverflowError, AttributeError):
        shown = str(value)[:60]
        raise ValueError(f"time: found {shown!r}, expected RFC 3339, as 2026-03-01T07:00:00+07:00") from None


def _degrees(value: Any, name: str, most: float) -> float:
    try:
        degrees = float(value)
    except (TypeError, ValueError):
        degrees = math.nan
    if not -most <= degrees <= most:
        raise ValueError(f"{name}: found {str(value)[:60]!r}, expected degrees from {-most:g} to {most:g}")
    return degrees
