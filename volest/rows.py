"""The flat row of a load, as a dataset of results keeps it: its columns, how it is made, sealed and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volest._version import __version__
from volest.errors import InputError, MissingExtraError
from volest.quantity import Quantity
from volest.result import Result
from volest.truck import Truck

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.dataset import Dataset

__all__ = [
    "BUDGET",
    "COLUMNS",
    "PARTITIONS",
    "QUANTITIES",
    "TOLD",
    "Row",
    "chained",
    "json_text",
    "open_rows",
    "read_rows",
    "row_digest",
    "schema",
    "to_row",
]

Row = dict[str, Any]
PARTITIONS = ("date", "truck")
"""The folders of a dataset, date=2026-03-01/truck=KT-1: the local day of the load and the truck's id."""
QUANTITIES = ("volume_m3", "net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction")
PARTS = {"": "value", "_std": "std", "_lower95": "lower95", "_upper95": "upper95"}
BUDGET = ("hidden", "pose", "reference", "range", "surface")
TOLD = {  # by the manifest
    "truck_file": "string",
    "scans": "string",
    "weight": "string",
    "time": "time",
    "utc_offset_min": "int",
    "lat": "float",
    "lon": "float",
    "district": "string",
    "source": "string",
}
SCALARS = ("struck_capacity_m3", "fill_ratio", "seen_fraction", "rejected_fraction", "heaped_volume_m3")
TRUCK = ("scale_tare_kg", "scale_tare_std_kg", "scale_gain_std", "max_gross_kg")
COLUMNS: dict[str, str] = {
    "load_id": "string",
    "truck_id": "string",
    "status": "string",
    "flags": "strings",
    "reasons": "strings",
    **TOLD,
    **{name + part: "float" for name in QUANTITIES for part in PARTS},
    "waste_class": "string",
    **dict.fromkeys(SCALARS, "float"),
    **{f"centroid_m_{axis}": "float" for axis in "xyz"},
    **{f"volume_budget_m3_{source}": "float" for source in BUDGET},
    **dict.fromkeys(TRUCK, "float"),
    "engine_version": "string",
    "engine_sha256": "string",
    "config_sha256": "string",
    "inputs": "inputs",
    "row_sha256": "string",
    "chain_sha256": "string",
}
"""Each column of a row and what it holds; `time` is microseconds since 1970 in a row, a UTC timestamp in a dataset."""
SEALS = ("row_sha256", "chain_sha256")
_SEALED = sorted(COLUMNS.keys() - set(SEALS))
_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))
_TEXTS = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def to_row(
    result: Result,
    load_id: str,
    *,
    told: Mapping[str, Any] | None = None,
    truck: Truck | None = None,
    engine_sha256: str = "",
    config_sha256: str | None = None,
) -> Row:
    """The row of a result: every column of COLUMNS, None where there is nothing, sealed but not yet chained.

    `told` is what the manifest tells, under the names of TOLD; `truck` adds what its errors and limits are. Timings are
    left out: the same load gives the same row.
    """
    told = told or {}
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"load_id": load_id, "truck_id": result.truck_id or None, "status": result.status}
    row |= {"flags": list(result.flags), "reasons": [_text(reason) for reason in result.reasons]}
    row |= {name: told.get(name) for name in TOLD}
    for name in QUANTITIES:
        quantity: Quantity | None = getattr(result, name)
        if quantity is not None:
            row |= {name + part: float(getattr(quantity, field)) for part, field in PARTS.items()}
    row["waste_class"] = result.waste_class
    row |= {name: _number(getattr(result, name)) for name in SCALARS}
    if result.centroid_m is not None:
        row |= {f"centroid_m_{axis}": float(m) for axis, m in zip("xyz", result.centroid_m, strict=True)}
    if result.volume_budget_m3 is not None:
        row |= {f"volume_budget_m3_{source}": float(result.volume_budget_m3[source]) for source in BUDGET}
    row |= _of_truck(truck)
    row |= {"engine_version": __version__, "engine_sha256": engine_sha256, "config_sha256": config_sha256}
    row["inputs"] = [{"name": _text(name), "sha256": _hex(digest)} for name, digest in sorted(result.inputs.items())]
    row["row_sha256"] = row_digest(row)
    return row


def _of_truck(truck: Truck | None) -> Row:
    if truck is None:
        return {}
    scale, limits = truck.scale, truck.limits
    return {
        "scale_tare_kg": None if scale is None else scale.tare_kg,
        "scale_tare_std_kg": None if scale is None else scale.tare_std_kg,
        "scale_gain_std": None if scale is None else scale.gain_std,
        "max_gross_kg": None if limits is None else limits.max_gross_kg,
    }


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _text(text: str) -> str:
    """What of a file name is no UTF-8, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def row_digest(row: Mapping[str, Any]) -> str:
    """SHA-256 over all columns but the seals, as JSON with sorted keys."""
    return hashlib.sha256(_ENCODER.encode({name: row[name] for name in _SEALED}).encode()).hexdigest()


def json_text(value: Any) -> str:
    """A row or result as it is stored; NaN and infinity are errors."""
    return _TEXTS.encode(value)


def chained(row: Row, before: str) -> str:
    """The `chain_sha256` of a row that follows one with the chain `before`: it covers all rows up to this one."""
    return hashlib.sha256(f"{before}{row['row_sha256']}".encode()).hexdigest()


def schema() -> pa.Schema:
    """The Arrow schema of a part of a dataset."""
    pa = pyarrow()
    types = {
        "string": pa.string(),
        "strings": pa.list_(pa.string()),
        "float": pa.float64(),
        "int": pa.int32(),
        "time": pa.timestamp("us", tz="UTC"),
        "inputs": pa.list_(pa.struct([("name", pa.string()), ("sha256", pa.string())])),
    }
    return pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])


def open_rows(directory: str | Path) -> Dataset:
    """The dataset of results in a folder, with the columns of `schema` and the partitions `date` and `truck` as text.

    Page checksums are verified while it is scanned: a flipped bit is an OSError. InputError where there is no dataset.
    """
    pa = pyarrow()
    import pyarrow.dataset as ds

    files = [str(path) for path in part_files(Path(directory))]
    if not files:
        raise InputError(f"{directory}: found no results, expected a folder of volest batch (date=.../truck=...)")
    keys = pa.schema([(name, pa.string()) for name in PARTITIONS])
    return ds.dataset(
        files,
        schema=pa.schema([*schema(), *keys]),
        format=ds.ParquetFileFormat(
            default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        ),
        partitioning=ds.partitioning(keys, flavor="hive"),
        partition_base_dir=str(directory),
    )


def part_files(directory: Path) -> list[Path]:
    """The parts of a dataset, in the order of their names; files that are being written are none."""
    return sorted(directory.glob("date=*/truck=*/[!._]*.parquet"))


def read_rows(directory: str | Path, columns: list[str] | None = None) -> Iterator[Row]:
    """The rows of a dataset one by one, as `to_row` makes them and with their chain, in the order of the parts."""
    pyarrow()
    for path in part_files(Path(directory)):
        yield from read_part(path, columns)


def read_part(path: Path, columns: list[str] | None = None) -> Iterator[Row]:
    """The rows of one part, its page checksums verified; InputError names the file where it is damaged."""
    pa = pyarrow()
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as part:
            for batch in part.iter_batches(batch_size=4096, columns=columns):
                for index, name in enumerate(batch.schema.names):
                    if name == "time":
                        batch = batch.set_column(index, name, batch.column(index).cast(pa.int64()))
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged: {reason}; expected a part of a dataset of volest batch") from None


def pyarrow() -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError:
        raise MissingExtraError("a dataset of results", "server") from None
    return pyarrow
