"""The flat row of a load: what a dataset keeps is what was estimated, and a change shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from volest.errors import InputError
from volest.load import estimate_files
from volest.rows import COLUMNS, chained, open_rows, read_rows, row_digest, schema, to_row
from volest.truck import Truck

pa = pytest.importorskip("pyarrow")
LOAD = Path(__file__).parents[1] / "datasets" / "half-full-overhead"


@pytest.fixture(scope="module")
def row() -> dict[str, Any]:
    result = estimate_files("truck.toml", ["top.npz"], "weight.csv", LOAD)
    told = {"time": 1772348400000000, "utc_offset_min": 420, "lat": -6.2, "lon": 106.8, "district": "Jakarta Utara"}
    made = to_row(result, "load 1", told=told, truck=Truck.load(LOAD / "truck.toml"))
    assert made["volume_m3"] == result.volume_m3.value
    assert made["wet_mass_fraction_upper95"] == result.wet_mass_fraction.upper95
    return made | {"chain_sha256": chained(made, "")}


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow.parquet as pq

    folder = folder / "date=2026-03-01" / "truck=KT%20%2F1"
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=schema())
    pq.write_table(table, folder / "part.parquet", compression="zstd", write_page_checksum=True)
    return folder / "part.parquet"


def test_row_comes_back_bit_for_bit(tmp_path: Path, row: dict[str, Any]) -> None:
    write(tmp_path, [row, row])
    assert list(read_rows(tmp_path)) == [row, row]
    table = open_rows(tmp_path).to_table()
    assert table.column_names == [*COLUMNS, "date", "truck"]
    assert set(table["truck"].to_pylist()) == {"KT /1"}


def test_each_changed_column_changes_the_digest(row: dict[str, Any]) -> None:
    assert row_digest(row) == row["row_sha256"]
    for name in COLUMNS.keys() - {"row_sha256", "chain_sha256"}:
        assert row_digest(row | {name: "other"}) != row["row_sha256"], name


def test_flipped_bit_of_a_part_is_told(tmp_path: Path, row: dict[str, Any]) -> None:
    path = write(tmp_path, [row] * 50)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 8
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"part\.parquet: damaged"):
        list(read_rows(tmp_path))


def test_folder_without_results_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no results"):
        open_rows(tmp_path)
