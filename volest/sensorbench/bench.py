"""A bench of sensors: contenders to rows, rows to a summary, and both to files."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from volest._version import __version__
from volest.catalogue import SensorModel, load_sensor
from volest.errors import InputError, MissingExtraError
from volest.sensorbench.campaign import Campaign
from volest.sensorbench.mounts import MOUNTS, TRUCK_MOUNT, Mount, default_mount, truck_mount
from volest.sensorbench.optimum import default_limits, optimise, read_limits
from volest.sensorbench.outcome import Bench, Options
from volest.sensorbench.page import page
from volest.sensorbench.parquet import write_rows
from volest.sensorbench.recorded import recorded_rows
from volest.sensorbench.summary import summarise
from volest.sensorbench.trial import Contender, Stage
from volest.truck import Bed, Truck

__all__ = ["bench"]

TYPICAL_BED = Bed(4.2, 2.1, 1.3)
MAP_LOADS = 8
MOST_FRAMES = 16
Tell = Callable[[int, int], None]


def bench(sensors: Sequence[str], output: Path, options: Options, tell: Tell | None = None) -> Bench:
    """Bench sensors, write results.parquet and report.html to `output`, and return what came of it.

    A sensor is a name of the catalogue, a sensor's .toml file, or a folder with a truth.json or of such folders. `tell`
    hears how many of how many trials are done. The same sensors, options and versions give the same rows, times apart.
    Raises InputError for sensors, mounts, limits and folders that cannot be used.
    """
    _needs_extras()
    folders, models = _told_apart(sensors)
    truck = None if options.truck is None else Truck.load(options.truck)
    mounts = _mounts(options, truck) if models else []
    if not 1 <= options.frames <= MOST_FRAMES:
        raise InputError(f"frames: found {options.frames}, expected 1 to {MOST_FRAMES}")
    limits = None if options.limits is None else read_limits(options.limits)
    _prepare(output)
    stage = _stage(options, truck)
    contenders = [Contender(name, model, mount) for name, model in models.items() for mount in mounts]
    trials = [(stage, contender, number) for contender in contenders for number in range(options.loads)]
    rows = [row for folder in folders for row in recorded_rows(folder)]
    maps = []
    with Campaign(options.jobs) as campaign:
        rows += [row for found in campaign.rows(trials, tell) for row in found]
        if options.optimise:
            bed = stage.bed or TYPICAL_BED
            tried = Stage(options.seed, bed, stage.reference, options.frames, repeats=1)
            loads = min(options.loads, MAP_LOADS)
            for name, model in models.items():
                found = limits or default_limits(bed)
                maps.append(optimise(campaign, tried, name, model, found, loads, tell or (lambda _done, _total: None)))
    names = tuple(mount.name for mount in mounts)
    summary = summarise(rows, options.seed)
    done = Bench(options, truck, models, names, tuple(rows), summary, tuple(maps), _versions())
    _write(done, output)
    return done


def _needs_extras() -> None:
    """Find out before the work what would stop it after."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import pyarrow  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("volest bench-sensor", "server,bench") from error


def _told_apart(sensors: Sequence[str]) -> tuple[list[Path], dict[str, SensorModel]]:
    """The recordings, and the models by name."""
    folders, models = [], {}
    for sensor in sensors:
        if Path(sensor).is_dir():
            folders.append(Path(sensor))
            continue
        name, model = Path(sensor).stem if sensor.endswith(".toml") else sensor, load_sensor(sensor)
        if name in models:
            raise InputError(f"{sensor}: found a second sensor {name!r}, expected each name once")
        if model.scan.pattern == "line":
            raise InputError(
                f"{sensor}: a scanner of one line sees a bed only while it drives past; expected a recording of it"
            )
        models[name] = model
    names = [folder.resolve().name for folder in folders]
    for name in names:
        if names.count(name) > 1 or name in models:
            raise InputError(f"{name}: found two sensors of this name, expected each name once")
    return folders, models


def _mounts(options: Options, truck: Truck | None) -> list[Mount]:
    """The mounts by their names; all that there are if none are named."""
    named = options.mounts or (*([TRUCK_MOUNT] if truck is not None and truck.sensors else []), *MOUNTS)
    if len(set(named)) < len(named):
        raise InputError(f"mounts: found {', '.join(named)}, expected each name once")
    if TRUCK_MOUNT in named and truck is None:
        raise InputError(f"mounts: found {TRUCK_MOUNT!r}, expected --truck, whose sensors' places are meant")
    return [truck_mount(truck) if name == TRUCK_MOUNT and truck else default_mount(name) for name in named]


def _stage(options: Options, truck: Truck | None) -> Stage:
    if truck is None:
        return Stage(options.seed, frames=options.frames)
    return Stage(options.seed, truck.bed, bool(truck.bed.reference) or truck.commissioned is not None, options.frames)


def _prepare(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror}); expected a folder for the report") from error


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "numba")
    return {"volest": __version__, "python": platform.python_version()} | {name: version(name) for name in packages}


def _write(done: Bench, output: Path) -> None:
    try:
        write_rows(done.rows, output / "results.parquet", {"seed": str(done.options.seed), **done.versions})
        (output / "report.html").write_text(page(done), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror}); expected a folder for the report") from error
