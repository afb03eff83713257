"""volest verify: the same bit for bit, or why not."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from batch_loads import make_loads, run

from volest.batch.verification import Verdict, verify
from volest.cli import main
from volest.errors import InputError
from volest.rows import read_part

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with in/ and out/, and a row of no load."""
    folder = tmp_path_factory.mktemp("verify")
    manifest = make_loads(folder / "in", 12)
    with manifest.open("a") as file:
        file.write("broken\n")
    run(manifest, folder / "out")
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of the results that may be harmed; inputs stay where they are."""
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


def rewrite(part: Path, change: Any) -> None:
    """A part whose rows somebody has changed, and has written with good checksums."""
    table = pq.read_table(part)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(type(table).from_pylist(rows, table.schema), part, write_page_checksum=True)


def bad(directory: Path, **asked: Any) -> list[Verdict]:
    return [verdict for verdict in verify(directory, jobs=1, **asked) if not verdict.same]


def test_all_is_the_same(results: Path) -> None:
    verdicts = list(verify(results, jobs=1))
    assert len(verdicts) == 13
    assert all(verdict.same for verdict in verdicts)


def test_one_load(results: Path) -> None:
    assert list(verify(results, ["load-00003"], jobs=1)) == [Verdict("load-00003", True)]
    with pytest.raises(InputError, match="found no load 'none'"):
        list(verify(results, ["none"], jobs=1))


def test_a_value_that_was_changed(results: Path) -> None:
    part = next(results.glob("**/*.parquet"))
    victim = next(read_part(part))["load_id"]

    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["volume_m3"] += 1e-12

    rewrite(part, change)
    (row, *others) = bad(results, load_ids=[victim])
    assert row.load_id == victim
    assert row.reasons[0] == "the row was changed: its seal does not fit"
    assert row.reasons[1].startswith("volume_m3: stored ")
    assert others  # the file's chain


def test_a_row_that_was_taken_out(results: Path) -> None:
    part = max(results.glob("**/*.parquet"), key=lambda path: path.stat().st_size)
    rewrite(part, lambda rows: rows.pop())
    assert any("its rows are not those that the run left there" in verdict.reasons[0] for verdict in bad(results))


def test_a_flipped_bit_is_told_or_changes_nothing(results: Path) -> None:
    part = next(results.glob("**/*.parquet"))
    raw, rows, told = part.read_bytes(), list(read_part(part)), 0
    for at in range(0, len(raw), max(1, len(raw) // 60)):
        part.write_bytes(raw[:at] + bytes([raw[at] ^ 8]) + raw[at + 1 :])
        try:
            found = list(read_part(part))
        except InputError:
            verdicts = bad(results, load_ids=[rows[0]["load_id"]])
            assert any("damaged" in verdict.reasons[0] for verdict in verdicts)
            told += 1
            if told == 3:
                return
        else:
            assert found == rows  # it was in what no value comes from
    pytest.fail("no flipped bit was told")


def test_a_strange_file(results: Path) -> None:
    part = next(results.glob("**/*.parquet"))
    shutil.copy(part, part.with_name("part-999999.parquet"))
    assert any("part-999999.parquet: no run has written it" in verdict.reasons[0] for verdict in bad(results))


def test_an_input_that_was_changed_or_is_gone(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "in", tmp_path / "in")
    run(tmp_path / "in" / "manifest.csv", tmp_path / "out")
    (tmp_path / "in" / "scan0.csv").write_text("x,y,z\n0,0,0.1\n", "utf-8")
    (tmp_path / "in" / "scan1.csv").unlink()
    told = {verdict.load_id: " ".join(verdict.reasons) for verdict in bad(tmp_path / "out")}
    assert told.keys() == {f"load-{i:05d}" for i in (0, 1, 4, 5, 8, 9)}
    assert "input scan0.csv was changed" in told["load-00000"]
    assert "input scan1.csv is gone" in told["load-00001"]


def test_a_chain_that_was_kept_elsewhere(results: Path) -> None:
    assert bad(results, chain="0" * 64)[0].reasons[0].endswith("expected " + "0" * 64)
    with sqlite3.connect(results / "_ledger.sqlite") as ledger:
        ledger.execute("update part set chain = 'x'")
    ledger.close()
    assert any("the chain of the runs does not fit" in verdict.reasons[0] for verdict in bad(results))


def test_verb(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(results), "--jobs", "1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 13
    assert all(line["same"] for line in lines)
    rewrite(next(results.glob("**/*.parquet")), lambda rows: rows[0].update(district="Selatan"))
    assert main(["verify", str(results), "--jobs", "1"]) == 3
    assert "not the same: the row was changed" in capsys.readouterr().out
    assert main(["verify", str(results / "none")]) == 2
