"""The rows of a bench as Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from volest.sensorbench.row import Row

__all__ = ["write_rows"]


def write_rows(rows: Sequence[Row], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a row an estimate; pages carry checksums, as a flipped bit goes unseen without. Raises OSError."""
    import pyarrow as pa
    from pyarrow import parquet

    types: dict[str, Any] = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema(
        [
            pa.field(field.name, pa.list_(pa.string()))
            if field.name == "flags"
            else pa.field(field.name, types[str(field.type).partition(" ")[0]])
            for field in fields(Row)
        ],
        metadata=dict(metadata),
    )
    table = pa.Table.from_pylist([asdict(row) | {"flags": list(row.flags)} for row in rows], schema)
    parquet.write_table(table, path, compression="zstd", write_page_checksum=True)
