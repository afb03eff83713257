"""Batches: each load once and right, whatever dies, changes or is wrong on the way."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from batch_loads import HEADER, make_loads, rows_of, run

from volest._version import __version__
from volest.batch.crew import Crew, Done
from volest.batch.ledger import Ledger, Load
from volest.batch.run import run_batch
from volest.errors import InputError
from volest.load import estimate_files

pytest.importorskip("pyarrow")
DATASET = Path(__file__).parents[1] / "datasets" / "half-full-overhead"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A manifest of 120 loads, and the rows of an undisturbed run."""
    folder = tmp_path_factory.mktemp("small")
    manifest = make_loads(folder / "in", 120)
    run(manifest, folder / "out")
    return manifest, rows_of(folder / "out")


def volest(*arguments: str | Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "volest", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_row_is_what_the_verb_estimates(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        HEADER + f"a,{DATASET}/truck.toml,{DATASET}/top.npz,{DATASET}/weight.csv,,\n", "utf-8"
    )
    assert run(tmp_path / "m.csv", tmp_path / "out").estimated == 1
    row = rows_of(tmp_path / "out")["a"]
    told = estimate_files("truck.toml", ["top.npz"], "weight.csv", DATASET).to_dict()
    for name in ("volume_m3", "net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction"):
        assert told[name] == {
            "value": row[name],
            **{part: row[f"{name}_{part}"] for part in ("std", "lower95", "upper95")},
        }
    assert {file["name"]: f"sha256:{file['sha256']}" for file in row["inputs"]} == told["provenance"]["inputs"]
    assert (row["status"], row["waste_class"], row["engine_version"]) == (
        told["status"],
        told["waste_class"],
        __version__,
    )


def test_second_run_skips_all(small: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    first = run(small[0], tmp_path)
    again = run(small[0], tmp_path)
    assert (first.estimated, again.estimated, again.skipped) == (120, 0, 120)
    assert first.chain_sha256 == again.chain_sha256
    assert rows_of(tmp_path) == small[1]


def test_changed_scan_truck_and_row_are_made_anew(tmp_path: Path) -> None:
    manifest = make_loads(tmp_path / "in", 12, trucks=3)
    run(manifest, tmp_path / "out")
    before = rows_of(tmp_path / "out")
    shutil.copy(tmp_path / "in" / "scan1.csv", tmp_path / "in" / "scan0.csv")  # loads 0, 4, 8
    with (tmp_path / "in" / "truck1.toml").open("a") as file:  # loads 1, 4, 7, 10
        file.write("# the same\n")
    manifest.write_text(manifest.read_text().replace("load-00002,truck2.toml", "load-00002,truck0.toml"), "utf-8")
    assert run(manifest, tmp_path / "out").estimated == 7
    after = rows_of(tmp_path / "out")
    changed = {load for load in before if before[load] != after[load]}
    assert changed == {f"load-{i:05d}" for i in (0, 1, 2, 4, 7, 8, 10)}
    assert after["load-00002"]["truck_id"] == "KT 0"
    shutil.rmtree(tmp_path / "out2", ignore_errors=True)
    run(manifest, tmp_path / "out2")
    assert rows_of(tmp_path / "out2") == after


def test_another_engine_makes_all_anew(
    small: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from volest.batch import plan

    with Ledger(tmp_path) as ledger:
        plan.plan(ledger, str(small[0]))
        ledger.db.execute("update load set state = 4")
        assert (plan.plan(ledger, str(small[0])), ledger.pending()) == (120, 0)
    monkeypatch.setattr(plan, "engine_digest", lambda: "another")
    with Ledger(tmp_path) as ledger:
        ledger.db.execute("update load set state = 4")
        plan.plan(ledger, str(small[0]))
        assert ledger.pending() == 120


def test_lost_file_is_made_anew(small: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run(small[0], tmp_path)
    next(tmp_path.glob("date=2026-03-02/*/*.parquet")).unlink()
    assert run(small[0], tmp_path).estimated == 20
    assert rows_of(tmp_path) == small[1]


def test_results_without_their_ledger_are_refused(small: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run(small[0], tmp_path)
    (tmp_path / "_ledger.sqlite").unlink()
    with pytest.raises(InputError, match="found results but not the ledger"):
        run(small[0], tmp_path)


def test_two_runs_at_once_one_is_refused(small: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with Ledger(tmp_path), pytest.raises(InputError, match="in use by another run"):
        run(small[0], tmp_path)
    first, second = volest("batch", small[0], "-o", tmp_path), volest("batch", small[0], "-o", tmp_path)
    ends = sorted([first.wait(), second.wait()])
    told = first.communicate()[1] + second.communicate()[1]
    assert ends == [0, 2] or ends == [0, 0]  # where one was done before the other began
    assert ends == [0, 0] or "in use by another run" in told
    assert rows_of(tmp_path) == small[1]


def test_driver_killed_at_random_instants(small: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    chance, killed = random.Random(3), 0
    for _ in range(5):
        process = volest("batch", small[0], "-o", tmp_path, "--jobs", "1")
        try:
            process.communicate(timeout=chance.uniform(0.3, 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
    assert killed
    run(small[0], tmp_path)
    assert rows_of(tmp_path) == small[1]


@pytest.mark.parametrize("stage", ["assigned", "written"])
def test_killed_between_file_and_ledger(
    small: tuple[Path, dict[str, Any]], tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from volest.batch import dataset

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "_write" if stage == "assigned" else "_sync_folders", die)
        with pytest.raises(Killed):
            run(small[0], tmp_path)
    assert run(small[0], tmp_path).estimated == 0
    assert rows_of(tmp_path) == small[1]


def test_workers_killed_at_random_instants(small: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    import psutil

    process, chance, killed = volest("batch", small[0], "-o", tmp_path, "--jobs", "2"), random.Random(5), 0
    while process.poll() is None and killed < 6:
        time.sleep(chance.uniform(0.1, 0.4))
        try:
            for child in psutil.Process(process.pid).children()[:1]:
                child.kill()
                killed += 1
        except psutil.NoSuchProcess:
            pass
    assert process.wait(60) == 0, process.communicate()
    process.communicate()
    assert killed
    assert rows_of(tmp_path) == small[1]


# --- loads that do harm -----------------------------------------------------------------------------------------------


def crew_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> Crew:
    """A crew whose workers die of a scan named poison.csv and never come back from one named hang.csv."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, time, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and 'poison.csv' in str(arguments[0]): os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    if event == 'open' and 'hang.csv' in str(arguments[0]): time.sleep(600)\n"
        "sys.addaudithook(hook)\n",
        "utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Crew(1, timeout_s)


def told(scan: str) -> str:
    return json.dumps({"truck_file": "truck0.toml", "scans": scan})


@pytest.mark.parametrize(("scan", "reason"), [("poison.csv", "Segmentation fault"), ("hang.csv", "took more than 1 s")])
def test_load_that_harms_its_worker_costs_its_own_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scan: str, reason: str
) -> None:
    make_loads(tmp_path / "in", 1)
    (tmp_path / "in" / scan).write_text("x,y,z\n0,0,0\n", "utf-8")
    scans = ["scan0.csv", scan, "scan1.csv"]
    due = [Load(i, f"l{i}", "truck0.toml", str(tmp_path / "in"), told(scan)) for i, scan in enumerate(scans)]

    def take(*_: object) -> list[Load]:
        taken = due[:]
        due.clear()
        return taken

    all_done = Done()
    with crew_of(tmp_path, monkeypatch, 1.0) as crew:
        for done in crew.run(take):
            all_done.rows += done.rows
            all_done.tries += done.tries
    rows = {id_: json.loads(row) for id_, row, _ in all_done.rows}
    assert sorted(id_ for id_, *_ in all_done.rows) == [0, 1, 2]
    assert [rows[id_][2] for id_ in (0, 2)] == ["ok", "ok"]
    assert rows[1][2:4] == ["rejected", ["quarantined"]]
    assert reason in rows[1][4][0]
    assert "3 times out of 3" in rows[1][4][0]
    assert all_done.tries == [(1, 1), (1, 2)]


def test_workers_end_with_a_driver_that_is_killed(small: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    import psutil

    process = volest("batch", small[0], "-o", tmp_path, "--jobs", "1")
    workers: list[psutil.Process] = []
    while process.poll() is None and not workers:
        workers = psutil.Process(process.pid).children()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert workers
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def test_every_fault_case_ends_with_its_row(cases: Path, tmp_path: Path) -> None:
    from volest.case import read_cases

    lines, faults = [], [case for case in read_cases(cases) if case.kind == "fault"]
    for case in faults:
        scans = [word for word in case.command[1:] if not word.startswith("-") and word != "truck.toml"]
        weight = next((word.partition("=")[2] for word in case.command if word.startswith("--weight=")), "")
        named = [scan.replace("=", f"={case.name}/") if "=" in scan else f"{case.name}/{scan}" for scan in scans]
        weight = f"{case.name}/{weight}" if weight.endswith("csv") else weight
        lines.append(f"{case.name},{case.name}/truck.toml,{' '.join(named)},{weight},,\n")
    link = tmp_path / "in"
    link.mkdir()
    for case in faults:
        (link / case.name).symlink_to(case.folder)
    (link / "m.csv").write_text(HEADER + "".join(lines), "utf-8")
    run_batch(str(link / "m.csv"), tmp_path / "out", jobs=2)
    rows = rows_of(tmp_path / "out")
    assert rows.keys() == {case.name for case in faults}
    for case in faults:
        assert case.expect is not None
        assert any(fits(rows[case.name], accept, case.truth.volume_m3) for accept in case.expect.accept), rows[
            case.name
        ]


def fits(row: dict[str, Any], accept: Any, volume_m3: float) -> bool:
    """Whether a row is an outcome that is right; what the verb tells by its exit status is a rejected row here."""
    wanted = accept.status or ["rejected"]
    if row["status"] not in wanted or (accept.flags and not row["flags"]):
        return False
    if accept.flags_any and not set(accept.flags_any) & set(row["flags"]):
        return False
    if accept.stderr_all and not all(word in " ".join(row["reasons"]) for word in accept.stderr_all):
        return False
    if accept.mass == "null" and row["net_mass_kg"] is not None:
        return False
    return accept.volume is None or row["volume_m3_lower95"] <= volume_m3 <= row["volume_m3_upper95"]
