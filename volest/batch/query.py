"""A query in the place of a manifest: one SELECT over files, that DuckDB answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from volest.errors import InputError, MissingExtraError

__all__ = ["MOST_QUERY_BYTES", "is_query", "query_rows"]

SUFFIX = ".sql"
MOST_QUERY_BYTES = 1 << 16
BLOCK_ROWS = 4096
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is fetched
    "autoload_known_extensions": False,
    "memory_limit": "1GB",
    "threads": 1,  # the same rows in the same order
    "preserve_insertion_order": True,
}


def is_query(path: str) -> bool:
    """Whether a manifest's name is that of a query."""
    return path.endswith(SUFFIX)


def query_rows(raw: bytes, path: str, folder: str) -> tuple[list[str], Iterator[tuple[int, dict[str, Any] | str]]]:
    """The columns and numbered rows of a query's answer; files that it names are relative to `folder`.

    Raises InputError for what is not one SELECT, and where DuckDB refuses it; MissingExtraError without DuckDB.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise MissingExtraError("a query in the place of a manifest", "server") from None
    if len(raw) > MOST_QUERY_BYTES:
        raise InputError(f"{path}: found more than {MOST_QUERY_BYTES} bytes, expected one SELECT")
    try:
        base = duckdb.connect(config=SETTINGS | {"file_search_path": folder})
        statements = base.extract_statements(raw.decode("utf-8"))
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise InputError(f"{path}: found {len(statements)} statements, expected one SELECT and nothing else")
        answer = base.execute(statements[0])
        columns = [str(column[0]) for column in answer.description or ()]
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {_shown(error)}; expected one SELECT over files") from None

    def rows() -> Iterator[tuple[int, dict[str, Any] | str]]:
        number = 0
        try:
            while block := answer.fetchmany(BLOCK_ROWS):
                for row in block:
                    number += 1
                    yield number, dict(zip(columns, row, strict=True))
        except duckdb.Error as error:
            raise InputError(f"{path}: {_shown(error)}, after row {number}") from None
        finally:
            base.close()

    return columns, rows()


def _shown(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
