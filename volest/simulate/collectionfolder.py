"""A collection as a folder: a folder a load in one a part, loads.csv with the truth, SHA256SUMS, and the recipe."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volest.errors import SceneError
from volest.simulate.collection import Collection, Entry, entries, simulate_entry
from volest.simulate.output import write

__all__ = ["Made", "make_collection"]

SUMS, TABLE, RECIPE, UNDONE = "SHA256SUMS", "loads.csv", "recipe.toml", ".undone"
TRUTHS = ("volume_m3", "struck_capacity_m3", "heaped_volume_m3", "net_mass_kg", "visible_fraction")
LABELS = ("part", "load", "seed", "kind", "sensor", "mount")
TOLERANCE = 1e-4  # of a truth, relative and absolute: what other processors' rounding may move
MOST_BYTES = 2**26
_Table = dict[tuple[str, str], dict[str, str]]  # the rows of a loads.csv by part and load


@dataclass(frozen=True, slots=True)
class Made:
    """What has been made, and how it compares with what is kept beside the recipe."""

    folder: Path
    loads: int
    new: int  # made in this run; the others were there
    compared: int | None  # how many files have a checksum beside the recipe; None: there are no checksums
    differing: tuple[str, ...]  # files with another checksum, or missing, or unknown there

    @property
    def summary(self) -> str:
        """One line."""
        text = f"{self.folder}: {self.loads} loads, {self.new} of them made now"
        if self.compared is None:
            return f"{text}; there are no checksums beside the recipe to compare with"
        if not self.differing:
            return f"{text}; the checksums of all {self.compared} files are those beside the recipe"
        return (
            f"{text}; the truth of each is that beside the recipe, but {len(self.differing)} files have another "
            f"checksum, as those made on another machine may: {self.differing[0]} first"
        )


def make_collection(
    collection: Collection, recipe: Path, directory: Path, tell: Callable[[str], None] = lambda _: None
) -> Made:
    """Make all loads that are not there yet; what a run leaves undone the next one does.

    A folder that holds loads of another recipe, or a truth other than that in the recipe's loads.csv, is a SceneError.
    """
    wanted, new = list(entries(collection)), 0
    try:
        kept_sums, kept_rows = _kept(recipe)
        _claim(recipe, directory)
        for number, entry in enumerate(wanted):
            if number % 20 == 0:
                tell(f"simulating load {number + 1} of {len(wanted)}")
            new += _make(collection, entry, directory)
        tell("comparing checksums")
        table = _table(wanted, directory)
        _compare(_rows(table), kept_rows, directory)
        (directory / TABLE).write_text(table, encoding="utf-8")
        sums = _digests(wanted, directory)
        (directory / SUMS).write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)), encoding="utf-8")
    except OSError as error:
        raise SceneError(f"{error.filename or directory}: {error.strerror}; expected a folder to write to") from error
    if kept_sums is None:
        return Made(directory, len(wanted), new, None, ())
    differing = sorted(name for name in {*sums, *kept_sums} if sums.get(name) != kept_sums.get(name))
    return Made(directory, len(wanted), new, len(kept_sums), tuple(differing))


def _kept(recipe: Path) -> tuple[dict[str, str] | None, _Table]:
    """The checksums (None: there are none) and truths beside the recipe."""
    sums, table = recipe.with_name(SUMS), recipe.with_name(TABLE)
    try:
        rows = _rows(table.read_text("utf-8")) if table.is_file() else {}
        if not sums.is_file():
            return None, rows
        lines = [line.partition("  ") for line in sums.read_text("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise SceneError(f"{recipe.parent}: {SUMS} or {TABLE}: found no text, expected what was written") from error
    return {name: digest for digest, _, name in lines}, rows


def _claim(recipe: Path, directory: Path) -> None:
    """Make the folder this recipe's."""
    text = recipe.read_bytes()
    directory.mkdir(parents=True, exist_ok=True)
    there = directory / RECIPE
    if there.is_file() and there.read_bytes() != text:
        raise SceneError(f"{there}: found another recipe than {recipe}, expected a folder of its own for each")
    if not there.exists():
        there.write_bytes(text)
    shutil.rmtree(directory / UNDONE, ignore_errors=True)


def _make(collection: Collection, entry: Entry, directory: Path) -> bool:
    """Make a load whose folder is not there: first aside, so that a folder that is there is whole."""
    folder = directory / entry.part.name / entry.name
    if folder.is_dir():
        return False
    aside = directory / UNDONE / entry.name
    write(simulate_entry(collection, entry), aside)
    for path in aside.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(folder)
    aside.parent.rmdir()
    return True


def _table(wanted: list[Entry], directory: Path) -> str:
    """loads.csv."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow((*LABELS, *TRUTHS))
    for entry in wanted:
        truth = _truth(directory / entry.part.name / entry.name / "truth.json")
        labels = (entry.part.name, entry.name, entry.seed, entry.kind, *entry.view.split("@"))
        rows.writerow((*labels, *(truth[name] for name in TRUTHS)))
    return text.getvalue()


def _truth(path: Path) -> dict[str, Any]:
    """The truth of a load that was written."""
    try:
        with path.open("rb") as file:
            truth: dict[str, Any] = json.loads(file.read(MOST_BYTES))["truth"]
        if all(isinstance(truth[name], int | float) for name in TRUTHS):
            return truth
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise SceneError(f"{path}: damaged, expected the truth of a load; remove its folder to have it made again")


def _digests(wanted: list[Entry], directory: Path) -> dict[str, str]:
    """SHA-256 of loads.csv and of each file of the loads, by its path in the folder."""
    folders = [directory / entry.part.name / entry.name for entry in wanted]
    paths = [directory / TABLE, *(path for folder in folders for path in folder.iterdir() if path.is_file())]
    found = {}
    for path in paths:
        with path.open("rb") as file:
            found[path.relative_to(directory).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _rows(table: str) -> _Table:
    """The rows of a loads.csv by part and load."""
    return {(row.get("part", ""), row.get("load", "")): row for row in csv.DictReader(io.StringIO(table))}


def _compare(found: _Table, expected: _Table, directory: Path) -> None:
    """SceneError where a load's truth is not the one that is expected."""
    for (part, load), row in expected.items():
        for name in TRUTHS:
            there, due = found.get((part, load), {}).get(name), row.get(name)
            if not math.isclose(_number(there), _number(due), rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                where = f"{directory / part / load}: {name}"
                raise SceneError(f"{where}: found {there}, expected {due} as in the {TABLE} beside the recipe")


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
