"""The loads of a dataset as a table that SQL can be asked of: checked, on disk, and closed to the outside."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from volest.errors import InputError, MissingExtraError
from volest.rows import BUDGET, COLUMNS, QUANTITIES, Row, part_files, schema

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

__all__ = ["FIELDS", "READ", "Loads", "derived_view"]

MEMORY = "512MB"
THREADS = 1  # sums of floats then come in the same order in every run, and so do the last digits
BATCH_ROWS = 65_536
UNKNOWN = "__HIVE_DEFAULT_PARTITION__"  # the folder of rows whose truck or day is not told
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
    "dry_mass_kg": "net_mass_kg * (1 - wet_mass_fraction)",
}
_FROM_DERIVED = {
    "trip": "NOT residue",
    "load": "estimated AND NOT residue",
    "half_empty": f"coalesce(estimated AND NOT residue AND fill_ratio < {HALF}, false)",
}
FIELDS = (*READ, *_DERIVED, *_FROM_DERIVED)

_WRONG = (  # column, which rows are wrong, what is expected
    *((name, f"{name} IS NOT NULL AND NOT isfinite({name})", "a finite number") for name in MEASURED),
    *((name, f"{name} < 0", "0 or more") for name in NOT_NEGATIVE),
    ("lat", "lat NOT BETWEEN -90 AND 90", "degrees, -90 to 90"),
    ("lon", "lon NOT BETWEEN -180 AND 180", "degrees, -180 to 180"),
    ("status", "coalesce(status, '') NOT IN ('ok', 'degraded', 'rejected')", "ok, degraded or rejected"),
)


def derived_view(name: str) -> str:
    """SQL that makes the view NAME of all FIELDS over the table NAME_rows."""
    derived = ", ".join(f"{sql} AS {field}" for field, sql in _DERIVED.items())
    further = ", ".join(f"{sql} AS {field}" for field, sql in _FROM_DERIVED.items())
    return f"CREATE VIEW {name} AS SELECT *, {further} FROM (SELECT *, {derived} FROM {name}_rows)"


class Loads:
    """The rows of one dataset, or of two to be compared, in a DuckDB file that lives as long as this context.

    `source` is the folder of a dataset, or rows as `volest.rows.to_row` makes them. Views: `loads`, and `others` where
    there is another dataset. Rows of a folder come through pyarrow, which verifies the pages'
    checksums; the database can open no file, load no extension and change no setting.
    """

    def __init__(
        self,
        source: Path | Iterable[Row],
        other: Path | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        try:
            import duckdb
        except ModuleNotFoundError:
            raise MissingExtraError("volest report", "server") from None
        self._folder = tempfile.TemporaryDirectory(prefix="volest-report-")
        self._duckdb = duckdb
        self.parts: dict[str, int] = {}
        try:
            self.connection = self._connected(Path(self._folder.name) / "loads.duckdb")
            for name, one in (("loads", source), ("others", other)):
                if one is not None:
                    tell(f"reading {one}" if isinstance(one, Path) else "reading")
                    self._fill(name, _Parts(one) if isinstance(one, Path) else _Rows(one))
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

    def _fill(self, name: str, source: _Source) -> None:
        import pyarrow as pa

        self.parts[name] = source.parts
        self.connection.register("source_rows", pa.RecordBatchReader.from_batches(source.schema, source.batches()))
        try:
            self.connection.execute(f"CREATE TABLE {name}_rows AS SELECT * FROM source_rows").fetchall()
        except self._duckdb.Error as error:
            raise source.error or InputError(f"{source}: cannot be read: {' '.join(str(error).split())}") from None
        finally:
            self.connection.unregister("source_rows")
        self.connection.execute(derived_view(name))
        self._check(name, source)

    def _check(self, name: str, source: _Source) -> None:
        """Each load once, and no number that cannot be."""
        if not self.row(f"SELECT count(*) AS n FROM {name}")["n"]:
            raise InputError(f"{source}: found no loads in {source.parts} files, expected one at least")
        twice = self.rows(f"SELECT load_id, count(*) n FROM {name} GROUP BY load_id HAVING n > 1 ORDER BY 1 LIMIT 1")
        if twice:
            found = f"the load {_short(twice[0]['load_id'])} {twice[0]['n']} times"
            raise InputError(f"{source}: found {found}, expected each load once")
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for _, condition, _ in _WRONG)
        (found_wrong,) = self.connection.execute(f"SELECT {counts} FROM {name}_rows").fetchall()
        for (column, condition, expected), count in zip(_WRONG, found_wrong, strict=True):
            if count:
                sql = f"SELECT load_id, {column} AS value FROM {name} WHERE {condition} ORDER BY 1 LIMIT 1"
                first = self.row(sql)
                where = f"{source}: load {_short(first['load_id'])}: {column}"
                raise InputError(f"{where}: found {_short(first['value'])} ({count} such loads), expected {expected}")

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


class _Source:
    """Where rows come from, as record batches of the columns that a report reads, each checked as it comes."""

    parts = 0
    """Of how many files."""

    def __init__(self) -> None:
        import pyarrow as pa

        expected = schema()
        self.error: InputError | None = None
        self.read = pa.schema([expected.field(name) for name in READ])
        plain = [field.with_type(pa.timestamp("us")) if field.name == "time" else field for field in self.read]
        self.schema = pa.schema([*plain, pa.field("day_folder", pa.date32()), pa.field("truck_folder", pa.string())])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Ends with what is wrong, of which `error` then tells."""
        try:
            yield from self._batches()
        except InputError as error:
            self.error = error
            raise

    def _batches(self) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError


class _Rows(_Source):
    def __init__(self, rows: Iterable[Row]) -> None:
        super().__init__()
        self._rows = iter(rows)

    def __str__(self) -> str:
        return "rows"

    def _batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        while rows := list(islice(self._rows, BATCH_ROWS)):
            try:
                yield pa.RecordBatch.from_pylist(rows, schema=self.schema)
            except (pa.ArrowException, TypeError, OverflowError) as error:
                reason = " ".join(str(error).split())[:200]
                raise InputError(f"rows: {reason}; expected rows as volest.rows.to_row makes them") from None


class _Parts(_Source):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory, self._paths = directory, part_files(directory)
        self.parts = len(self._paths)
        if not self.parts:
            raise InputError(f"{directory}: found no results, expected a folder of volest batch (date=.../truck=...)")

    def __str__(self) -> str:
        return str(self._directory)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for path in self._paths:
            yield from self._part(path)

    def _part(self, path: Path) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        day, truck = _folder_day(path), _folder_truck(path)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as part:
                self._check(path, part.schema_arrow)
                # Parts are small: threads of their own cost more than they bring.
                for batch in part.iter_batches(batch_size=BATCH_ROWS, columns=list(READ), use_threads=False):
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


def _folder_truck(path: Path) -> str | None:
    text = unquote(path.parent.name.partition("=")[2])
    return None if text == UNKNOWN else text


def _short(text: object) -> str:
    return repr(str(text)[:80])
