"""A case with known truth: its truth.json, and a run of its command."""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import msgspec

from volest.errors import InputError
from volest.load import estimate_files
from volest.schema import check

__all__ = ["Accept", "Case", "Outcome", "Truth", "read_case", "read_cases", "run_case"]

MAX_FILE_BYTES = 2**24

_Number = Annotated[float, msgspec.Meta(description="a number")]
_Positive = Annotated[float, msgspec.Meta(gt=0.0, description="a number above 0")]
_Words = Annotated[list[str], msgspec.Meta(description="a list of words")]
_Exits = Annotated[list[int], msgspec.Meta(description="a list of exit statuses")]
_Asked = Annotated[Literal["null", "covers", "not negative"], msgspec.Meta(description="null, covers or not negative")]


class Truth(msgspec.Struct, frozen=True):
    """What is known to be true of a load, under the names of a result; what is not known is None."""

    volume_m3: _Number
    struck_capacity_m3: _Positive
    net_mass_kg: _Number | None = None
    bulk_density_kg_m3: _Number | None = None
    wet_mass_fraction: _Number | None = None
    fill_ratio: _Number | None = None
    visible_fraction: _Number | None = None


class Accept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome of a fault that is right when all that is named here holds."""

    exit: _Exits | None = None
    status: _Words | None = None
    flags_any: _Words | None = None
    flags: Annotated[Literal[True], msgspec.Meta(description="true")] | None = None
    volume: Annotated[Literal["covers"], msgspec.Meta(description="covers")] | None = None
    mass: _Asked | None = None
    stderr_all: _Words | None = None


class _Expect(msgspec.Struct, frozen=True):
    accept: Annotated[list[Accept], msgspec.Meta(min_length=1, description="a list of outcomes that are right")]


class Case(msgspec.Struct, frozen=True):
    """A truth.json, and the folder that holds it."""

    command: _Words
    truth: Truth
    kind: Annotated[Literal["load", "fault"], msgspec.Meta(description="load or fault")] = "load"
    scene: Annotated[dict[str, Any], msgspec.Meta(description="a table")] = {}
    expect: _Expect | None = None
    folder: str = ""  # given by read_cases

    @property
    def name(self) -> str:
        """The name of the folder."""
        return Path(self.folder).name

    @property
    def hard(self) -> str:
        """Why more should not be asked of this case, or nothing."""
        return str(self.scene.get("hard") or "")

    @property
    def load(self) -> str:
        """The kind of load."""
        load = self.scene.get("load")
        return str((load.get("kind") if isinstance(load, dict) else load) or "other")

    @property
    def sensors(self) -> str:
        """The sensors and their places: "os128@front+os128@rear", or MODEL@ID of a scene of `volest simulate`."""
        sensors = self.scene.get("sensors") or self.scene.get("sensor")
        if isinstance(sensors, list):
            return "+".join(_sensor(each) for each in sensors if isinstance(each, dict)) or "other"
        return str(sensors or "other")


def _sensor(sensor: dict[str, Any]) -> str:
    parts = "-".join(str(sensor[key]) for key in ("pattern", "rows") if key in sensor)
    return f"{sensor.get('model') or parts or 'other'}@{sensor.get('id', '')}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of a case's command left behind."""

    exit: int
    result: dict[str, Any] | None = None  # the JSON that `volest estimate` prints
    stderr: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0  # the most memory the process ever used, where this run raised it
    touched: tuple[str, ...] = ()  # files that were made, changed or removed in the folder


def read_cases(directory: Path) -> list[Case]:
    """The cases in the folders of a directory, by name; a truth.json that cannot be used raises InputError."""
    cases = [read_case(path) for path in sorted(directory.glob("*/truth.json"))]
    if not cases:
        raise InputError(f"{directory}: found no case, expected a directory of folders with a truth.json each")
    return cases


def read_case(path: Path) -> Case:
    """The case of a truth.json; one that cannot be used raises InputError."""
    try:
        with path.open("rb") as file:
            document = msgspec.json.decode(file.read(MAX_FILE_BYTES))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected the truth of a case") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error
    case = check(document, Case, str(path), InputError)
    if case.kind == "fault" and case.expect is None:
        raise InputError(f"{path}: expect: missing, expected the outcomes that are right for this fault")
    return msgspec.structs.replace(case, folder=str(path.parent))


def run_case(case: Case) -> Outcome:
    """Run the command in its folder as `volest` would, in this process."""
    folder = Path(case.folder)
    before, peak, started = _files(folder), _peak_bytes(), time.perf_counter()
    status, result, stderr = _estimate(case.command, folder)
    seconds = time.perf_counter() - started
    risen = _peak_bytes()
    touched = tuple(sorted({name for name, _ in before ^ _files(folder)}))
    return Outcome(status, result, stderr, seconds, risen if risen > peak else 0, touched)


def _estimate(command: list[str], folder: Path) -> tuple[int, dict[str, Any] | None, str]:
    """Exit status, result and standard error of a command."""
    try:
        told = _arguments(command)
        result = estimate_files(told.truck, told.scans, told.weight, folder)
        printed: dict[str, Any] = json.loads(result.to_json())
    except InputError as error:
        return 2, None, f"volest: {error}"
    except Exception as error:
        return 1, None, f"volest: unforeseen: {type(error).__name__}: {error}"
    if result.status != "rejected":
        return 0, printed, ""
    return 3, printed, "volest: " + "; ".join(("rejected", *result.flags, *result.reasons))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _arguments(command: list[str]) -> argparse.Namespace:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("verb", choices=["estimate"])
    parser.add_argument("scans", nargs="+")
    parser.add_argument("--truck", required=True)
    parser.add_argument("--weight")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(command)


def _files(folder: Path) -> set[tuple[str, int]]:
    return {(path.name, path.lstat().st_mtime_ns) for path in folder.iterdir()}


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
