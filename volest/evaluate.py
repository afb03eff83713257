"""Estimates every case of a directory and tells how good the estimates are."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, fields
from pathlib import Path

from volest.case import Case, Outcome, read_cases, run_case
from volest.errors import InputError
from volest.score import Score, Scored, score_case
from volest.scoreplot import draw_score, needs_matplotlib

__all__ = ["run"]

Tell = Callable[[str], None]


def run(directory: Path, output: Path | None = None, jobs: int | None = None, tell: Tell = lambda _: None) -> Score:
    """Score all cases of a directory, `jobs` side by side (None: one a core), and write the score to `output`.

    A directory without cases, a truth.json that cannot be used or a folder that cannot be written raises InputError.
    """
    cases = read_cases(directory)
    if output is not None:
        _prepare(output)
    tell(f"evaluating {len(cases)} cases")
    score = Score(tuple(_scored(cases, min(jobs or len(os.sched_getaffinity(0)), len(cases)), tell)))
    if output is not None:
        tell("writing the score")
        _write(score, output)
    return score


def _prepare(output: Path) -> None:
    """Find out before the work what would stop it after."""
    needs_matplotlib()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(output, error) from error


def _unwritable(output: Path, error: OSError) -> InputError:
    return InputError(f"{output}: cannot be written ({error.strerror}); expected a folder for the score")


def _scored(cases: Sequence[Case], jobs: int, tell: Tell) -> Iterator[Scored]:
    step = max(1, len(cases) // 20)
    for done, (case, outcome) in enumerate(zip(cases, _outcomes(cases, jobs), strict=True), start=1):
        if done % step == 0:
            tell(f"evaluated {done} of {len(cases)} cases")
        yield score_case(case, outcome)


def _outcomes(cases: Sequence[Case], jobs: int) -> Iterator[Outcome]:
    """The outcome of each case, in order."""
    if jobs == 1:
        yield from map(run_case, cases)
        return
    pool = _pool(jobs)
    try:
        futures = [pool.submit(run_case, case) for case in cases]
        for case, future in zip(cases, futures, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:  # some case ended its process, and with it all that were not done
                yield _alone(case)
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(case: Case) -> Outcome:
    """The outcome of a case in a process that nothing else may end."""
    with _pool(1) as pool:
        try:
            return pool.submit(run_case, case).result()
        except BrokenProcessPool:
            return Outcome(1, stderr="volest: the process ended without a word")


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Spawned, as this process may have threads; deaf to Ctrl-C, which this process hears.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))


def _write(score: Score, output: Path) -> None:
    """Write score.json, loads.csv and calibration.png."""
    text = json.dumps(score.to_dict(), allow_nan=False, ensure_ascii=False, indent=1)
    try:
        (output / "score.json").write_text(f"{text}\n", "utf-8", "backslashreplace")
        with (output / "loads.csv").open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            rows = csv.DictWriter(file, [field.name for field in fields(Scored)], lineterminator="\n")
            rows.writeheader()
            rows.writerows(asdict(case) | {"flags": " ".join(case.flags)} for case in score.cases)
        draw_score(score, output / "calibration.png")
    except OSError as error:
        raise _unwritable(output, error) from error
