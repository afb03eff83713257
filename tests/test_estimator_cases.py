"""Scans with known truth that another simulator made: its rules for faults, and the error over all sound loads."""

from __future__ import annotations

import functools
import io
import json
import os
import resource
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volest.case import Outcome, read_cases
from volest.cli import main
from volest.judge import complaints, holds_truth

MOST_ERROR = 0.07  # of struck capacity, for each load that is not marked hard
MOST_RMS = 0.025
MOST_KIB = 6 * 1024 * 1024
MOST_SECONDS = 30.0

FOLDER = os.environ.get("VOLEST_CASES")
CASES = {Path(case.folder): case for case in read_cases(Path(FOLDER))} if FOLDER else {}
FOLDERS = list(CASES)
FAULTS = [folder for folder in FOLDERS if folder.name.startswith("fault")]
LOADS = [folder for folder in FOLDERS if not folder.name.startswith("fault")]

pytestmark = pytest.mark.skipif(not FOLDERS, reason="VOLEST_CASES is not set")


def truth_of(folder: Path) -> dict[str, Any]:
    """The contents of the case's truth.json."""
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return truth


def not_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@functools.cache
def outcome_of(folder: Path) -> Outcome:
    """Runs the case's command inside its folder; nothing may be left there."""
    printed, told = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    started = time.perf_counter()
    with chdir(folder), redirect_stdout(printed), redirect_stderr(told):
        status = main(truth_of(folder)["command"])
    assert time.perf_counter() - started < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MOST_KIB
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert "Traceback" not in told.getvalue()
    printed.seek(0)
    lines = printed.read().splitlines()
    assert len(lines) <= 1
    return Outcome(status, json.loads(lines[0], parse_constant=not_json) if lines else None, told.getvalue())


# --- the cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FAULTS, ids=lambda folder: folder.name)
def test_fault_has_an_outcome_that_is_accepted(folder: Path) -> None:
    case = CASES[folder]
    assert case.kind == "fault"
    assert complaints(case, outcome_of(folder)) == []


@pytest.mark.parametrize("folder", FAULTS, ids=lambda folder: folder.name)
def test_rejected_result_says_why_and_guesses_nothing(folder: Path) -> None:
    outcome = outcome_of(folder)
    if outcome.exit != 3:
        return
    result = outcome.result
    assert result is not None
    assert result["status"] == "rejected"
    assert result["flags"]
    assert result["reasons"]
    assert [key for key in result if key.endswith(("_m3", "_kg", "fraction", "ratio"))]
    assert all(result[key] is None for key in ("volume_m3", "bulk_density_kg_m3", "fill_ratio", "centroid_m"))


@pytest.mark.parametrize("folder", LOADS, ids=lambda folder: folder.name)
def test_load_is_estimated(folder: Path) -> None:
    document, outcome = truth_of(folder), outcome_of(folder)
    truth, result = document["truth"], outcome.result
    assert document["kind"] == "load"
    assert outcome.exit == 0, outcome.stderr
    assert result is not None
    error = (result["volume_m3"]["value"] - truth["volume_m3"]) / truth["struck_capacity_m3"]
    if not document["scene"]["hard"]:
        assert abs(error) < MOST_ERROR


def test_error_over_all_sound_loads_is_small() -> None:
    errors, covered = [], []
    for folder in LOADS:
        document, outcome = truth_of(folder), outcome_of(folder)
        if document["scene"]["hard"]:
            continue
        truth, result = document["truth"], outcome.result
        assert result is not None
        errors.append((result["volume_m3"]["value"] - truth["volume_m3"]) / truth["struck_capacity_m3"])
        covered.append(holds_truth(result["volume_m3"], truth["volume_m3"]))
    rms = float(np.sqrt(np.mean(np.square(errors))))
    worst = np.abs(errors).max()
    print(f"\n{len(errors)} loads: RMS {100 * rms:.2f} %, worst {100 * worst:.2f} %, {sum(covered)} covered")
    assert rms < MOST_RMS
    assert sum(covered) >= 0.8 * len(covered)  # of 21 with 95 % coverage fewer are covered once in 300
