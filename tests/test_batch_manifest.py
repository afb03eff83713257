"""Manifests: CSV, Parquet and queries give the same rows; each fault costs its own row and names its place."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from batch_loads import HEADER, make_loads, rows_of, run
from hypothesis import given
from hypothesis import strategies as st

from volest.batch.manifest import COLUMNS, read_manifest
from volest.errors import InputError

pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")
ROW = "a,t.toml,s.csv,1200,2026-03-01T07:00:00+07:00,Utara\n"


def manifest(folder: Path, text: str | bytes) -> str:
    path = folder / "m.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_row(tmp_path: Path) -> None:
    (entry,) = read_manifest(manifest(tmp_path, HEADER + ROW))
    assert (entry.place, entry.load_id, entry.fault) == ("m.csv:2", "a", "")
    assert entry.told == {
        "truck_file": "t.toml",
        "scans": "s.csv",
        "weight": "1200",
        "district": "Utara",
        "time": int(datetime.fromisoformat("2026-03-01T00:00:00+00:00").timestamp() * 1e6),
        "utc_offset_min": 420,
    }


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"a,t.toml,s.csv,1200,2026-03-01,Utara\n", "time: found '2026-03-01', expected RFC 3339"),
        (b"a,t.toml,s.csv,1200,2026-02-30T07:00:00Z,\n", "time: found '2026-02-30T07:00:00Z'"),
        (b",t.toml,s.csv,1200,,\n", "load_id: found nothing"),
        (b"a,,s.csv,1200,,\n", "truck: found nothing"),
        (b"a,t.toml,,1200,,\n", "scans: found nothing"),
        (b"a,t.toml,s.csv,1200\n", "found 4 fields, expected 6"),
        (b'a,"t.toml,s.csv,1200,,\n', "found no CSV"),
        (b"a,t\xff.toml,s.csv,1200,,\n", "truck: found 't?.toml', expected printable UTF-8"),
        (b"a,t\x00.toml,s.csv,1200,,\n", "truck: found 't?.toml', expected printable UTF-8"),
        (b"a" * 201 + b",t.toml,s.csv,,,\n", "load_id: found 201 characters, expected at most 200"),
        (b"a" * 70_000 + b",t.toml,s.csv,,,\n", "found a line of 65536 bytes or more"),
    ],
)
def test_a_row_that_cannot_be_used_costs_itself(tmp_path: Path, row: bytes, fault: str) -> None:
    found = list(read_manifest(manifest(tmp_path, HEADER.encode() + row + ROW.encode())))
    assert found[0].place == "m.csv:2"
    assert fault in found[0].fault
    assert (found[1].place, found[1].load_id, found[1].fault) == ("m.csv:3", "a", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "found an empty file"),
        ("load_id,truck,scans\na,b,c\n", "found no column 'weight'"),
        ("load_id,truck,scans,weigth\n", "found the column 'weigth', expected"),
        ("load_id,load_id,truck,scans,weight\n", "found the column 'load_id' 2 times"),
        (b"PAR1" + bytes(64), "not valid Parquet"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = manifest(tmp_path, text)
    with pytest.raises(InputError) as error:
        list(read_manifest(path))
    assert told in str(error.value)
    assert path in str(error.value)


@given(st.binary(max_size=400))
def test_any_bytes_are_rows_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = manifest(tmp_path_factory.mktemp("any"), HEADER.encode() + raw)
    for entry in read_manifest(path):
        assert entry.place.startswith("m.csv:")
        assert entry.fault or {"truck_file", "scans"} <= entry.told.keys() <= {*COLUMNS, "truck_file", "utc_offset_min"}


def test_csv_parquet_and_query_give_the_same_rows(tmp_path: Path) -> None:
    from pyarrow import csv, parquet

    path = make_loads(tmp_path / "in", 24)
    texts = dict.fromkeys(HEADER.strip().split(","), pa.string())
    table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=texts))
    parquet.write_table(table, path.with_suffix(".parquet"))
    query = path.with_suffix(".sql")
    query.write_text("SELECT * FROM 'manifest.parquet' WHERE weight >= '1200' ORDER BY load_id", "utf-8")
    for number, each in enumerate((path, path.with_suffix(".parquet"), query)):
        assert run(each, tmp_path / str(number)).estimated == 24
    first = rows_of(tmp_path / "0")
    assert rows_of(tmp_path / "1") == first
    assert rows_of(tmp_path / "2") == first
    query.write_text("SELECT * FROM 'manifest.parquet' WHERE load_id < 'load-00010'", "utf-8")
    assert run(query, tmp_path / "0").rows == 10  # the others stay as they are
    assert rows_of(tmp_path / "0") == first


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT load_id FROM 'm.csv'", "found no column 'truck'"),
        ("SELECT * FROM 'none.parquet'", "expected one SELECT over files"),
        ("SELEC", "expected one SELECT over files"),
        ("COPY (SELECT 1) TO 'out.csv'", "expected one SELECT and nothing else"),
        ("SELECT 1; SELECT 2", "found 2 statements"),
        ("INSTALL httpfs", "expected one SELECT and nothing else"),
        ("SELECT * FROM 'https://127.0.0.1:1/m.parquet'", "expected one SELECT over files"),
    ],
)
def test_queries_that_are_refused(tmp_path: Path, query: str, told: str) -> None:
    manifest(tmp_path, HEADER + ROW)
    path = tmp_path / "q.sql"
    path.write_text(query, "utf-8")
    with pytest.raises(InputError) as error:
        list(read_manifest(str(path)))
    assert told in str(error.value)
    assert not (tmp_path / "out.csv").exists()
