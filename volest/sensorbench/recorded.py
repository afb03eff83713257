"""Recordings whose true volume is known, as contenders of a bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from volest.case import Case, read_case, read_cases, run_case
from volest.errors import InputError
from volest.quantity import Quantity
from volest.result import Result
from volest.sensorbench.row import Row

__all__ = ["recorded_rows"]

MOUNT = "recorded"


def recorded_rows(folder: Path) -> list[Row]:
    """A row for each load of a folder that holds a truth.json, or folders with one each; faults are left out."""
    cases = [read_case(folder / "truth.json")] if (folder / "truth.json").is_file() else read_cases(folder)
    loads = [case for case in cases if case.kind == "load"]
    if not loads:
        raise InputError(f"{folder}: found {len(cases)} cases and no load among them, expected one with known truth")
    return [_row(folder.resolve().name, number, case) for number, case in enumerate(loads)]


def _row(sensor: str, number: int, case: Case) -> Row:
    truth, outcome = case.truth, run_case(case)
    row = Row(
        sensor=sensor,
        mount=MOUNT,
        load=number,
        repeat=0,
        kind=case.load,
        recorded=True,
        status="",
        struck_capacity_m3=truth.struck_capacity_m3,
        truth_m3=truth.volume_m3,
        visible_fraction=truth.visible_fraction,
    )
    if outcome.result is None:
        raise InputError(f"{case.folder}: cannot be estimated: {outcome.stderr.removeprefix('volest: ')}")
    return row.estimated(_result(outcome.result), None, outcome.result["timing_ms"].get("estimate"))


def _result(printed: dict[str, Any]) -> Result:
    """The parts of a printed result that a row holds."""
    volume = printed["volume_m3"]
    return Result(
        printed["truck_id"],
        printed["status"],
        tuple(printed["flags"]),
        volume_m3=None if volume is None else Quantity(**volume),
        seen_fraction=printed["seen_fraction"],
        rejected_fraction=printed["rejected_fraction"],
        volume_budget_m3=printed["volume_budget_m3"],
        reasons=tuple(printed["reasons"]),
    )
