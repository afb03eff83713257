"""The main job on the data sets that come with the package: a table, a page and a picture for each load."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from volest.errors import InputError
from volest.load import estimate_files
from volest.page import Shown, page
from volest.picture import draw
from volest.result import Result
from volest.table import print_summary

__all__ = ["data_sets", "run"]


def run(directory: Path, tell: Callable[[str], None] = lambda _: None) -> list[Result]:
    """Estimate every data set, print a table, write `index.html` and a picture of each to `directory`."""
    with data_sets() as folders:
        shown = []
        for folder in folders:
            tell(f"estimating {folder.name}")
            shown.append(_estimate(folder))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for one in shown:
            tell(f"drawing {one.result.load_id}")
            draw(one.result, directory / f"{one.result.load_id}.png")
        index = directory / "index.html"
        index.write_text(page(shown, directory), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{directory}: cannot be written ({error.strerror}); expected a folder for the page"
        ) from error
    print_summary([(one.result, one.truth) for one in shown], f"The same with pictures: {index}")
    return [one.result for one in shown]


@contextmanager
def data_sets() -> Iterator[list[Path]]:
    """The folders of the data sets, by name."""
    with resources.as_file(_root()) as root:
        folders = sorted(path.parent for path in root.glob("*/truth.json"))
        if not folders:
            raise InputError(f"{root}: found no data sets, expected folders with a truth.json")
        yield folders


def _root() -> Any:
    try:
        return resources.files("volest.datasets")
    except ModuleNotFoundError:  # run from a checkout that is not installed
        return Path(__file__).parents[1] / "datasets"


def _estimate(folder: Path) -> Shown:
    """Estimate one data set as its truth.json tells, under the name of its folder."""
    case = json.loads((folder / "truth.json").read_text("utf-8"))
    command = _command(case["command"])
    result = estimate_files(command.truck, command.scans, command.weight, folder)
    return Shown(replace(result, load_id=folder.name), case["truth"])


def _command(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["estimate"])
    parser.add_argument("scans", nargs="+")
    parser.add_argument("--truck", required=True)
    parser.add_argument("--weight")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)
