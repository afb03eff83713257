"""One load, from the files that tell of it to its result."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volest.errors import InputError, ScanError, WeightError
from volest.estimator import Estimator
from volest.io import read_points, select
from volest.result import Result
from volest.truck import Truck
from volest.weight import gross_mass
from volest.wetness import Evidence

__all__ = ["PreparedTruck", "estimate_files"]

SMALL_BYTES = 1 << 23


class PreparedTruck:
    """A truck from its file, the digests of the files that describe it, and its estimator, made when first needed.

    Raises TruckError for a truck file that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.truck = Truck.load(path)
        self.files = [(f"reference {name or ''}", file, _sha256(file)) for name, file in self.truck.bed.reference]
        self.files.append(("truck", path, _sha256(path)))
        told = self.truck.scale.files if self.truck.scale is not None else ()
        self.formats = [("weight's format", file, _sha256(file)) for file in told]
        self._estimator: Estimator | InputError | None = None

    @property
    def estimator(self) -> Estimator:
        """The same at each call; raises what making it raised."""
        if self._estimator is None:
            try:
                self._estimator = Estimator(self.truck)
            except InputError as error:
                self._estimator = error
        if isinstance(self._estimator, InputError):
            raise self._estimator
        return self._estimator


def estimate_files(
    truck_file: str | Path,
    scans: Sequence[str],
    weight: str | None = None,
    directory: Path = Path(),
    *,
    rain_mm: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
    prepare: Callable[[Path], PreparedTruck] = PreparedTruck,
    digests: Mapping[str, str] | None = None,
) -> Result:
    """The result of one load; `scans` are "PATH" or "SENSOR=PATH", `weight` a number in kg or the name of a file,
    `rain_mm` the rain that the load took up since it lay open.

    Paths are relative to `directory`; `tell` hears what is being done; `prepare` may keep trucks that it knows;
    `digests` tells the SHA-256 of files, by their paths, that need not be read for it. A scan
    that cannot be read gives a result with the status `rejected`; a truck file, weight or sensor id that cannot be used
    raises InputError.
    """
    started = time.perf_counter()
    evidence = Evidence(rain_mm=rain_mm)
    prepared = prepare(directory / truck_file)
    truck = prepared.truck
    digest_of = _digests(digests or {})
    frames = _distinct([_frame(text, truck, directory, digest_of) for text in scans])
    source = _weight(weight, truck, directory)
    gross = None if source is None or truck.scale is None else gross_mass(source, truck.scale)
    inputs = _Inputs(prepared, frames, source, digest_of)
    try:
        clouds: dict[str, list[NDArray[np.floating]]] = {}
        for frame in frames:
            tell(f"reading {select(frame.path).name}")
            clouds.setdefault(frame.sensor_id, []).append(read_points(frame.path).xyz)
        tell("preparing the empty bed")
        estimator = prepared.estimator
        read = time.perf_counter()
        tell("estimating")
        result = estimator.estimate(clouds, gross, inputs.load_id, evidence=evidence)
    except ScanError as error:
        read = time.perf_counter()
        flags = (error.flag or "unreadable",)
        result = Result(truck.id, "rejected", flags, inputs.load_id, reasons=(str(error),))
    timing = {"read": 1e3 * (read - started), "estimate": 1e3 * (time.perf_counter() - read)}
    return replace(result, inputs=inputs.digests, timing_ms={name: round(ms, 3) for name, ms in timing.items()})


@dataclass(frozen=True, slots=True)
class _Frame:
    sensor_id: str  # empty where the truck has no sensors: the bed frame
    path: Path
    digest: str | None


def _digests(known: Mapping[str, str]) -> Callable[[Path], str | None]:
    """What gives the digest of a file."""
    return lambda path: known.get(str(path)) or _sha256(path)


def _frame(text: str, truck: Truck, directory: Path, digest_of: Callable[[Path], str | None]) -> _Frame:
    """The sensor and the file that "SENSOR=PATH" or "PATH" names."""
    ids = truck.sensor_ids
    prefix, equals, rest = text.partition("=")
    if equals and prefix in ids:
        return _Frame(prefix, directory / rest, digest_of(directory / rest))
    known = ", ".join(ids) or "none: its scans are given as bare paths"
    if equals and re.fullmatch(r"[A-Za-z0-9_-]+", prefix) and not (directory / text).exists():
        raise InputError(f"{text}: found the sensor {prefix!r}, expected one of truck {truck.id}: {known}")
    if len(ids) > 1:
        raise InputError(f"{text}: expected SENSOR={text} with one of the sensors of truck {truck.id}: {known}")
    return _Frame(ids[0] if ids else "", directory / text, digest_of(directory / text))


def _distinct(frames: list[_Frame]) -> list[_Frame]:
    """The frames without those that a sensor gave before, byte for byte or from the same place of a recording."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for frame in frames:
        key = (frame.sensor_id, frame.digest + select(frame.path).part if frame.digest else str(frame.path))
        if key not in seen:
            seen.add(key)
            kept.append(frame)
    return kept


def _weight(text: str | None, truck: Truck, directory: Path) -> float | Path | None:
    """The gross mass [kg] or the file that a weight argument means."""
    if text is None:
        return None
    if truck.scale is None:
        raise WeightError(f"{truck.path}: scale: missing, expected a [scale] table with tare_kg to use a weight")
    try:
        return float(text)
    except ValueError:
        return directory / text


class _Inputs:
    """Digests of all files that a result comes from, and the load's id made of them."""

    def __init__(
        self,
        prepared: PreparedTruck,
        frames: list[_Frame],
        weight: float | Path | None,
        digest_of: Callable[[Path], str | None],
    ) -> None:
        files = prepared.files + [(f"scan {frame.sensor_id}", frame.path, frame.digest) for frame in frames]
        if isinstance(weight, Path):
            files += [("weight", weight, digest_of(weight)), *prepared.formats]
        contents = [f"{role} {digest + select(path).part if digest else path}" for role, path, digest in files]
        contents += [f"weight {weight!r}"] if isinstance(weight, float) else []
        self.load_id = hashlib.sha256("\n".join(sorted(contents)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        digests = {path: digest for _, path, digest in files if digest}
        names = {path: select(path).name for path in digests}
        self.digests = {
            name if list(names.values()).count(name) == 1 else str(path): f"sha256:{digests[path]}"
            for path, name in names.items()
        }


def _sha256(path: Path) -> str | None:
    """The digest of the content of a regular file, or of a folder's files; None where there is none to read."""
    try:
        path = Path(select(path).path)
        if path.is_dir():
            lines = [f"{file.name} {_sha256(file)}" for file in sorted(path.iterdir()) if file.is_file()]
            return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        if not path.is_file():
            return None
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size <= SMALL_BYTES:
                return hashlib.sha256(file.readall()).hexdigest()  # file_digest clears 256 kB for each file
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
