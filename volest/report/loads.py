"""The loads of a dataset as a table that SQL can be asked of: checked, on disk, and closed to the outside."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from volest.errors import InputError, MissingExtraError
from volest.rows import BUDGET, COLUMNS, QUANTITIES, part_files, schema

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

__all__ = ["FIELDS", "READ", "Loads", "derived_view"]

MEMORY = "512MB"
THREADS = 1  # sums of floats then come in the same order in every run, and so do the last digits
BATCH_ROWS = 65_536
HALF = 0.5  # fill ratio below which a trip counts as half-empty
READ = (
    *("load_id", "truck_id", "status", "flags", "time", "utc_offset_min", "lat", "lon", "district", "source"),
    *(name + part for name in QUANTITIES for part in ("", "_std")),
    *("waste_class", "struck_capacity_m3", "fill_ratio", "seen_fraction", "rejected_fraction", "heaped_volume_m3"),
    *(f"volume_budget_m3_{part}" for part in BUDGET),
    *("scale_tare_kg", "scale_tare_std_kg", "scale_gain_std", "max_gross_kg", "engine_version", "engine_sha256"),
)
MEASURED = tuple(name for name in READ if COLUMNS[name] == "float")
NOT_NEGATIVE = tuple(name for name in MEASURED if name.endswith("_std") or "_budget_" in name or name in QUANTITIES)

# What a formula may name, beside the columns that are read: what follows from them.
_DERIVED = {
    "truck": "coalesce(truck_id, truck_folder)",
    "day": "coalesce(day_folder, CAST(time + to_minutes(coalesce(utc_offset_min, 0)) AS DATE))",
    "hour": "hour(time + to_minutes(coalesce(utc_offset_min, 0)))",
    "rejected": "status = 'rejected'",
    "degraded": "status = 'degraded'",
    "estimated": "status <> 'rejected' AND volume_m3 IS NOT NULL",
    "residue": "status <> 'rejected' AND coalesce(list_has_any(flags, ['carry_back', 'empty']), false)",
    "overload": "coalesce(list_contains(flags, 'overload') OR net_mass_kg + scale_tare_kg > max_gross_kg, false)",
    "wet_mass_kg": "net_mass_kg * wet_mass_fraction",
}
_FROM_DERIVED = {
    "trip": "NOT residue",
    "load": "estimated AND NOT residue",
    "half_empty": f"coalesce(estimated AND NOT residue AND fill_ratio < {HALF}, false)",
}
FIELDS = (*READ, *_DERIVED, *_FROM_DERIVED)


def derived_view(name: str) -> str:
    """SQL that makes the view NAME of all FIELDS over the table NAME_rows."""
    derived = ", ".join(f"{sql} AS {field}" for field, sql in _DERIVED.items())
    further = ", ".join(f"{sql} AS {field}" for field, sql in _FROM_DERIVED.items())
    return f"CREATE VIEW {name} AS SELECT *, {further} FROM (SELECT *, {derived} FROM {name}_rows)"


class Loads:
    """The rows of one dataset, or of two to be compared, in a DuckDB file that lives as long as this context.

    Views: `loads`, and `others` where there is another dataset. Rows come through pyarrow, which verifies the pages'
    checksums; the database can open no file, load no extension and change no setting.
    """

    def __init__(self, directory: Path, other: Path | None = None, tell: Callable[[str], None] = lambda _: None):
        try:
            import duckdb
        except ModuleNotFoundError:
            raise MissingExtraError("volest report", "server") from None
        self._folder = tempfile.TemporaryDirectory(prefix="volest-report-")
        self._duckdb = duckdb
        self.parts: dict[str, int] = {}
        try:
            self.connection = self._connected(Path(self._folder.name) / "loads.duckdb")
            for name, source in (("loads", directory), ("others", other)):
                if source is not None:
                    tell(f"reading {source}")
                    self._fill(name, source)
        except BaseException:
            self.close()
            raise

    def _connected(self, path: Path) -> DuckDBPyConnection:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": "false",
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": MEMORY,
            "threads": str(THREADS),
            "lock_configuration": "true",
        }
        return self._duckdb.connect(str(path), config=settings)

    def _fill(self, name: str, directory: Path) -> None:
        import pyarrow as pa

        parts = part_files(directory)
        if not parts:
            raise InputError(f"{directory}: found no results, expected a folder of volest batch (date=.../truck=...)")
        self.parts[name] = len(parts)
        source = _Batches(parts)
        self.connection.register("source_rows", pa.RecordBatchReader.from_batches(source.schema, source.batches()))
        try:
            self.connection.execute(f"CREATE TABLE {name}_rows AS SELECT * FROM source_rows").fetchall()
        except self._duckdb.Error as error:
            raise source.error or InputError(f"{directory}: cannot be read: {' '.join(str(error).split())}") from None
        finally:
            self.connection.unregister("source_rows")
        self.connection.execute(derived_view(name))
        self._check(name, directory)

    def _check(self, name: str, directory: Path) -> None:
        """Each load once, and no number that cannot be."""
        if not self.row(f"SELECT count(*) AS n FROM {name}")["n"]:
            raise InputError(f"{directory}: found no loads in {self.parts[name]} files, expected one at least")
        twice = self.rows(f"SELECT load_id, count(*) n FROM {name} GROUP BY load_id HAVING n > 1 ORDER BY 1 LIMIT 1")
        if twice:
            found = f"the load {_short(twice[0]['load_id'])} {twice[0]['n']} times"
            raise InputError(f"{directory}: found {found}, expected each load once")
        wrong = [f"{column} IS NOT NULL AND NOT isfinite({column})" for column in MEASURED]
        wrong += [f"{column} < 0" for column in NOT_NEGATIVE]
        wrong += ["lat NOT BETWEEN -90 AND 90", "lon NOT BETWEEN -180 AND 180"]
        wrong += ["coalesce(status, '') NOT IN ('ok', 'degraded', 'rejected')"]
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in wrong)
        (found_wrong,) = self.connection.execute(f"SELECT {counts} FROM {name}_rows").fetchall()
        for condition, count in zip(wrong, found_wrong, strict=True):
            if count:
                first = self.rows(f"SELECT load_id FROM {name} WHERE {condition} ORDER BY 1 LIMIT 1")[0]["load_id"]
                raise InputError(
                    f"{directory}: load {_short(first)}: found {condition} ({count} loads), expected a sound number"
                )

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What SQL of our own answers, a dictionary a row."""
        cursor = self.connection.execute(sql, list(values))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, sql: str, values: Sequence[Any] = ()) -> dict[str, Any]:
        """The one row that SQL of our own answers."""
        return self.rows(sql, values)[0]

    def stream(self, sql: str) -> Iterator[dict[str, Any]]:
        """As `rows`, without holding all of them."""
        cursor = self.connection.cursor().execute(sql)
        names = [column[0] for column in cursor.description or ()]
        while batch := cursor.fetchmany(4096):
            for row in batch:
                yield dict(zip(names, row, strict=True))

    def close(self) -> None:
        """Take the database away."""
        with contextlib.suppress(AttributeError):
            self.connection.close()
        self._folder.cleanup()

    def __enter__(self) -> Loads:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Batches:
    """The parts of a dataset as record batches of the columns that a report reads, each part checked as it comes."""

    def __init__(self, parts: Sequence[Path]) -> None:
        import pyarrow as pa

        expected = schema()
        self.parts = parts
        self.error: InputError | None = None
        self.read = pa.schema([expected.field(name) for name in READ])
        plain = [field.with_type(pa.timestamp("us")) if field.name == "time" else field for field in self.read]
        self.schema = pa.schema([*plain, pa.field("day_folder", pa.date32()), pa.field("truck_folder", pa.string())])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Ends with the part that is wrong, which `error` then tells of."""
        try:
            for path in self.parts:
                yield from self._part(path)
        except InputError as error:
            self.error = error
            raise

    def _part(self, path: Path) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        day, truck = _folder_day(path), unquote(path.parent.name.partition("=")[2])
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as part:
                self._check(path, part.schema_arrow)
                for batch in part.iter_batches(batch_size=BATCH_ROWS, columns=list(READ)):
                    columns = [batch.column(field.name).cast(field.type) for field in self.schema if field.name in READ]
                    columns += [pa.array([day] * len(batch), pa.date32()), pa.array([truck] * len(batch), pa.string())]
                    yield pa.RecordBatch.from_arrays(columns, schema=self.schema)
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: damaged: {reason}; expected a part of a dataset of volest batch") from None

    def _check(self, path: Path, found: pa.Schema) -> None:
        for field in self.read:
            index = found.get_field_index(field.name)
            if index < 0:
                raise InputError(f"{path}: {field.name}: missing, expected a column of {field.type}")
            if found.field(index).type != field.type:
                raise InputError(f"{path}: {field.name}: found {found.field(index).type}, expected {field.type}")


def _folder_day(path: Path) -> Any:
    """The date in date=.../truck=.../part, or None where the day is not known."""
    from datetime import date

    text = unquote(path.parent.parent.name.partition("=")[2])
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _short(text: object) -> str:
    return repr(str(text)[:80])
