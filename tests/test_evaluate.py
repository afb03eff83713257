"""Cases with known truth: who is right, how good the estimates are, and what is written about it."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from boxes import write_box
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from volest import case as case_module
from volest import evaluate
from volest.case import Case, Outcome, Truth, read_cases, run_case
from volest.cli import main
from volest.errors import InputError, MissingExtraError
from volest.evaluate import run
from volest.judge import complaints
from volest.score import FILL, VISIBLE, Score, Scored, binomial_band, part_of, reliability, score_case, statistics
from volest.scoreplot import score_figure
from volest.scoretable import print_score

DATASETS = Path(__file__).parents[1] / "datasets"
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

TRUTH = {"volume_m3": 5.0, "struck_capacity_m3": 10.0, "net_mass_kg": 1000.0, "visible_fraction": 0.8}


def quantity(value: float, std: float) -> dict[str, float]:
    return {"value": value, "std": std, "lower95": value - 2.0 * std, "upper95": value + 2.0 * std}


def a_case(kind: str = "load", accept: list[dict[str, Any]] | None = None, **changes: Any) -> Case:
    document = {"command": ["estimate"], "truth": TRUTH, "kind": kind} | changes
    return msgspec.convert(document | ({"expect": {"accept": accept}} if accept else {}), Case)


def an_outcome(status: int = 0, value: float = 5.1, std: float = 0.1, **changes: Any) -> Outcome:
    """An estimate of 5.1 m3 and 1010 kg, or what `changes` make of its result."""
    result = {"status": "ok", "flags": [], "volume_m3": quantity(value, std), "net_mass_kg": quantity(1010.0, 10.0)}
    return Outcome(status, result | changes)


def a_load(error: float = 1.0, std: float = 1.0, **changes: Any) -> Scored:
    """A scored load; error and standard uncertainty in % of struck capacity."""
    scored = score_case(a_case(), an_outcome(value=5.0 + 0.1 * error, std=0.1 * std))
    return replace(scored, **changes)


def write_case(folder: Path, **changes: Any) -> Path:
    """A box of 4 m3 whose truth.json is changed."""
    path = write_box(folder) / "truth.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


# --- right or wrong ---------------------------------------------------------------------------------------------------

REJECTED = Outcome(3, {"status": "rejected", "flags": ["no_points"], "volume_m3": None, "net_mass_kg": None})
REFUSED = Outcome(2, None, "volest: truck.toml: colour: unknown key")
FLAGGED = an_outcome(flags=["dust"])


@pytest.mark.parametrize(
    ("entry", "right", "wrong", "words"),
    [
        ({"exit": [2, 3]}, REJECTED, an_outcome(), r"exit 0, expected \[2, 3\]"),
        ({"status": ["rejected"]}, REJECTED, REFUSED, "status None"),
        ({"flags_any": ["no_points", "sparse"]}, REJECTED, FLAGGED, r"flags \['dust'\], expected one of"),
        ({"flags": True}, FLAGGED, an_outcome(), "no flag"),
        ({"volume": "covers"}, an_outcome(), an_outcome(value=5.3), "volume 5.100 to 5.500 m3, expected 5.000 m3"),
        ({"volume": "covers"}, an_outcome(std=1.49), an_outcome(std=1.5), "less than 60%"),
        ({"volume": "covers"}, an_outcome(), REJECTED, "no volume"),
        ({"mass": "covers"}, an_outcome(), an_outcome(net_mass_kg=quantity(1030.0, 10.0)), "mass .*, expected covers"),
        ({"mass": "null"}, an_outcome(net_mass_kg=None), an_outcome(), "expected null"),
        ({"mass": "null"}, REJECTED, REFUSED, "expected null"),
        ({"mass": "not negative"}, an_outcome(), an_outcome(net_mass_kg=quantity(-1.0, 1.0)), "expected not negative"),
        ({"stderr_all": ["colour", "truck"]}, REFUSED, replace(REFUSED, stderr="colour"), r"lacks \['truck'\]"),
    ],
)
def test_each_rule_tells_right_from_wrong(entry: dict[str, Any], right: Outcome, wrong: Outcome, words: str) -> None:
    case = a_case("fault", [entry])
    assert complaints(case, right) == []
    (complaint,) = complaints(case, wrong)
    assert re.search(words, complaint)


def test_all_that_an_entry_names_must_hold_and_any_entry_will_do() -> None:
    strict = {"exit": [3], "flags_any": ["wrong_unit"]}
    assert complaints(a_case("fault", [strict]), REJECTED) != []
    assert complaints(a_case("fault", [strict, {"exit": [3]}]), REJECTED) == []


def test_load_is_due_an_estimate() -> None:
    assert complaints(a_case(), an_outcome(value=9.0)) == []  # how good it is, the score tells
    assert "expected an estimate" in complaints(a_case(), REJECTED)[0]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"exit": 1, "stderr": "volest: unforeseen: KeyError"}, "KeyError"),
        ({"touched": ("new.txt",)}, "new.txt"),
        ({"seconds": 121.0}, "121 s"),
        ({"peak_bytes": 7 * 1024**3}, "7.0 GB"),
    ],
)
def test_no_outcome_may_crash_litter_or_take_too_much(trouble: dict[str, Any], words: str) -> None:
    for case in (a_case(), a_case("fault", [{}])):
        assert words in complaints(case, replace(an_outcome(), **trouble))[0]


# --- reading and running ----------------------------------------------------------------------------------------------


KNOWN = '"command": [], "truth": {"volume_m3": 1, "struck_capacity_m3": 1}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "document: found an array"),
        ('{"command": ["estimate"]}', "truth: missing"),
        ('{"command": [], "truth": {"volume_m3": NaN, "struck_capacity_m3": 1}}', "not valid JSON"),
        ('{"command": [], "truth": {"volume_m3": 1, "struck_capacity_m3": 0}}', "struck_capacity_m3: found 0"),
        (f'{{{KNOWN}, "kind": "fault"}}', "expect: missing"),
        (f'{{{KNOWN}, "expect": {{"accept": []}}}}', "accept: found an array of 0"),
        (f'{{{KNOWN}, "expect": {{"accept": [{{"colour": 1}}]}}}}', r"accept\[0\].colour: unknown key"),
    ],
)
def test_truth_that_cannot_be_used_names_file_and_key(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "truth.json").write_text(content)
    with pytest.raises(InputError, match=rf"one/truth\.json: .*{words}"):
        read_cases(tmp_path)


@pytest.mark.parametrize(
    ("scene", "sensors", "load"),
    [
        ({}, "other", "other"),
        ({"sensors": "os128@front+os128@rear", "load": "rough"}, "os128@front+os128@rear", "rough"),
        (
            {"sensor": [{"id": "top", "rows": 16}, {"id": "rear", "model": "m"}], "load": {"kind": "flat"}},
            "16@top+m@rear",
            "flat",
        ),
    ],
)
def test_groups_come_from_what_the_scene_tells(scene: dict[str, Any], sensors: str, load: str) -> None:
    case = a_case(scene=scene)
    assert (case.sensors, case.load, case.hard) == (sensors, load, "")


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["estimate", "top=top.npy", "--truck", "truck.toml", "--weight=weight.csv", "--json"], 0, ""),
        (["estimate", "lost.npy", "--truck", "truck.toml"], 3, "rejected; unreadable"),
        (["estimate", "top.npy", "--truck", "lost.toml"], 2, "lost.toml"),
        (["estimate", "top.npy", "--truck", "truck.toml", "--colour"], 2, "--colour"),
    ],
)
def test_command_ends_as_it_would_in_a_shell(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture, command: list[str], status: int, words: str
) -> None:
    write_case(tmp_path / "box", command=command)
    outcome = run_case(read_cases(tmp_path)[0])
    assert (outcome.exit, outcome.touched) == (status, ())
    assert words in outcome.stderr
    monkeypatch.chdir(tmp_path / "box")
    assert main(command) == status
    assert words in capsys.readouterr().err


def test_crash_and_litter_are_seen(tmp_path: Path, monkeypatch: Patch) -> None:
    def litter(*arguments: Any) -> None:
        (arguments[-1] / "litter.txt").touch()
        raise ZeroDivisionError("nothing left")

    monkeypatch.setattr(case_module, "estimate_files", litter)
    write_case(tmp_path / "box")
    outcome = run_case(read_cases(tmp_path)[0])
    assert (outcome.exit, outcome.touched) == (1, ("litter.txt",))
    assert "ZeroDivisionError: nothing left" in outcome.stderr


def dies_of_b(case: Case) -> Outcome:
    """Ends the process in the case b; found by the processes that the test starts."""
    if case.name == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(0)


def test_case_that_ends_its_process_is_wrong_and_alone(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(evaluate, "run_case", dies_of_b)
    for name in "abc":
        write_case(tmp_path / name)
    score = run(tmp_path, jobs=2)
    assert [(case.case, case.exit, case.right) for case in score.cases] == [
        ("a", 0, True),
        ("b", 1, False),
        ("c", 0, True),
    ]
    assert "without a word" in score.cases[1].complaint


# --- the figures ------------------------------------------------------------------------------------------------------


def test_statistics_have_their_closed_forms() -> None:
    figures = statistics([a_load(3.0), a_load(-1.0), a_load(1.0, std=2.0), score_case(a_case(), REJECTED)])
    assert (figures.n, figures.rejected) == (3, 1)
    assert figures.bias_percent == pytest.approx(1.0)
    assert figures.rms_percent == pytest.approx(math.sqrt(11.0 / 3.0))
    assert figures.p95_percent == pytest.approx(np.quantile([1.0, 1.0, 3.0], 0.95))
    assert figures.coverage == pytest.approx(2.0 / 3.0)
    assert figures.width_percent == pytest.approx(4.0 * 4.0 / 3.0)
    assert (figures.mass_n, figures.mass_coverage) == (3, 1.0)
    assert (figures.wet_n, figures.wet_coverage) == (0, None)


def test_nothing_estimated_has_no_statistics() -> None:
    figures = statistics([score_case(a_case(), REJECTED)])
    assert (figures.n, figures.rejected, figures.rms_percent, figures.coverage) == (0, 1, None, None)


def test_hard_cases_and_faults_are_kept_apart() -> None:
    score = Score((a_load(case="a"), a_load(case="b", hard="fog"), a_load(case="c", kind="fault"), a_load(case="d")))
    assert [load.case for load in score.loads] == ["a", "d"]
    assert [load.case for load in score.hard] == ["b"]
    assert [fault.case for fault in score.faults] == ["c"]
    for parts in score.groups().values():
        assert sorted(load.case for loads in parts.values() for load in loads) == ["a", "d"]


@given(st.lists(st.floats(0.0, 2.0), min_size=1))
def test_parts_hold_what_they_say_and_sort_in_order(values: list[float]) -> None:
    for bounds in (VISIBLE, FILL):
        parts = [part_of(value, bounds) for value in sorted(values)]
        assert parts == sorted(parts)
    assert part_of(1.0, VISIBLE) == part_of(0.9, VISIBLE) == "90 to 100 %"
    assert part_of(1.3, FILL) == "75 % and more"
    assert part_of(None, FILL) == "other"


@given(st.integers(1, 400), st.floats(0.02, 0.98))
def test_binomial_band_is_that_of_scipy(n: int, p: float) -> None:
    edges = binom.cdf(np.arange(n + 1), n, p)
    if np.abs(edges[:, None] - (0.025, 0.975)).min() > 1e-9:  # else rounding decides
        assert binomial_band(n, p) == pytest.approx(binom.ppf((0.025, 0.975), n, p) / n)


def test_right_uncertainties_lie_within_the_band_and_halved_ones_do_not() -> None:
    errors = np.random.default_rng(3).normal(size=400)
    assert all(level.low <= level.observed <= level.high for level in reliability([a_load(error) for error in errors]))
    halved = reliability([a_load(error, std=0.5) for error in errors])
    assert all(level.observed < level.low for level in halved if level.nominal > 0.2)


def test_error_without_uncertainty_is_held_by_no_interval() -> None:
    levels = reliability([a_load(1.0, std=0.0), a_load(0.0, std=0.0)])
    assert {level.observed for level in levels} == {0.5}


# --- what is printed and written --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cases",
    [
        (),
        (score_case(a_case(), REJECTED),),
        (a_load(hard="fog"), a_load(kind="fault", right=False, complaint="no [flag]")),
        (a_load(9.0), a_load(1.0, std=0.0), a_load(visible_fraction=None, fill_ratio=None)),
    ],
)
def test_any_score_can_be_printed_and_drawn(cases: tuple[Scored, ...]) -> None:
    from rich.console import Console

    named = tuple(replace(case, case=f"case-{i}") for i, case in enumerate(cases))
    score = Score(named)
    json.dumps(score.to_dict(), allow_nan=False)
    score_figure(score).draw_without_rendering()
    console = Console(width=80, record=True, quiet=True)
    print_score(score, console)


def test_table_names_what_went_wrong(capsys: Capture) -> None:
    from rich.console import Console

    missed, lost = a_load(5.0, case="missed"), replace(score_case(a_case(), REJECTED), case="lost")
    fault = a_load(case="fault-1", kind="fault", right=False, complaint="no [flag], expected one")
    print_score(Score((missed, lost, a_load(case="fog-1", hard="fog"), fault)), Console())
    printed = capsys.readouterr().out
    for words in (
        "missed: missed: error +5.00 %, the interval +3.00 to +7.00 misses the truth",
        "wrong: lost: exit 3",
        "hard: fog-1 (fog): error +1.00 %",
        "wrong: fault-1: no [flag], expected one",
        "0 of 1 faults",
        "70 to 90 %",
    ):
        assert words in printed


def test_data_sets_are_scored(tmp_path: Path, capsys: Capture) -> None:
    assert main(["evaluate", str(DATASETS), "--jobs=2", "--json", "-o", str(tmp_path / "new" / "score")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    score = json.loads(printed, parse_constant=pytest.fail)
    loads = score["cases"]
    assert [load["case"] for load in loads] == [
        "carry-back",
        "half-full-overhead",
        "heaped-front-mast",
        "two-sensors-wet",
    ]
    assert (score["all"]["n"], score["all"]["rejected"], score["faults"]["n"]) == (4, 0, 0)
    assert set(score["by"]["load"]) == {"carryback", "smooth", "rough", "peaked"}
    errors = [100.0 * (load["volume_m3"] - load["truth_volume_m3"]) / struck(load["case"]) for load in loads]
    assert score["all"]["rms_percent"] == pytest.approx(math.sqrt(np.mean(np.square(errors))))
    assert score["all"]["rms_percent"] < 3.0
    folder = tmp_path / "new" / "score"
    assert json.loads((folder / "score.json").read_text()) == score
    assert (folder / "calibration.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "loads.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["error_percent"]) for row in rows] == pytest.approx(errors)
    assert rows[0]["flags"].split() == loads[0]["flags"]


def struck(name: str) -> float:
    truth: Truth = next(case.truth for case in read_cases(DATASETS) if case.name == name)
    return truth.struck_capacity_m3


def test_score_does_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    for name in "abc":
        write_case(tmp_path / name)
    one, two = ([replace(case, seconds=0.0) for case in run(tmp_path, jobs=jobs).cases] for jobs in (1, 2))
    assert one == two
    assert [case.case for case in one] == ["a", "b", "c"]


def test_directory_without_cases_is_a_usage_error(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path, tmp_path / "lost"):
        assert main(["evaluate", str(folder)]) == 2
        assert "found no case" in capsys.readouterr().err


def test_bad_score_is_no_bad_status(tmp_path: Path, capsys: Capture) -> None:
    write_case(tmp_path / "box", truth={"volume_m3": 1.0, "struck_capacity_m3": 8.0})
    assert main(["evaluate", str(tmp_path), "--jobs=1"]) == 0
    assert "misses the truth" in capsys.readouterr().out


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_number_of_processes_is_checked(tmp_path: Path, capsys: Capture, jobs: str) -> None:
    assert main(["evaluate", str(tmp_path), f"--jobs={jobs}"]) == 2
    assert "expected a number from 1 on" in capsys.readouterr().err


def test_place_that_cannot_be_written_is_found_before_the_work(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(evaluate, "run_case", pytest.fail)
    write_case(tmp_path / "box")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        run(tmp_path, tmp_path / "file", jobs=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="server"):
        run(tmp_path, tmp_path / "score", jobs=1)


def test_without_matplotlib_the_table_is_there(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_case(tmp_path / "box")
    assert main(["evaluate", str(tmp_path), "--jobs=1"]) == 0
    assert "marked hard" in capsys.readouterr().out


def test_cases_of_another_simulator_are_all_scored(cases: Path) -> None:
    score = run(cases)
    assert (len(score.loads) + len(score.hard), len(score.faults)) == (24, 16)
