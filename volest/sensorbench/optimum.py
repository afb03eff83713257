"""Where a sensor sits best: the pose, within limits, whose estimates have the smallest 95 % interval.

All poses are tried on the same loads, so that chance is the same for all and the interval's width a plain function of
the pose: first on a coarse map, then from its best place by Nelder and Mead's simplex (scipy), within the limits.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest.catalogue import SensorModel
from volest.errors import InputError
from volest.schema import nearest, read_toml
from volest.sensorbench.campaign import Campaign, Tell
from volest.sensorbench.mounts import Place, aimed, fixed_mount
from volest.sensorbench.trial import Contender, Stage, drawn_scene
from volest.truck import Bed

__all__ = ["EVALUATIONS", "MountMap", "default_limits", "optimise", "read_limits"]

Limits = Mapping[str, tuple[float, float]]
AXES = {"x": "m", "y": "m", "z": "m", "roll": "deg", "pitch": "deg", "yaw": "deg"}
BOUNDS = {"m": 100.0, "deg": 360.0}
CELLS = 5  # of the coarse map, along each axis; of one axis alone twice as many
REFINEMENTS = 30  # evaluations of the simplex
EVALUATIONS = CELLS**2 + REFINEMENTS
NOTHING_KNOWN = 100.0  # % of struck capacity: the width of the interval where there is no estimate
AROUND_M, LOW_M, HIGH_M = 0.5, 1.0, 3.5  # default limits: beyond the ends, and over the wall tops


@dataclass(frozen=True, slots=True)
class MountMap:
    """The width of the 95 % interval, in % of struck capacity, against the pose."""

    sensor: str
    limits: dict[str, tuple[float, float]]
    axes: tuple[str, ...]  # one or two, of the map
    values: tuple[tuple[float, ...], ...]  # of each axis
    widths: tuple[tuple[float, ...], ...]  # (second axis, first axis)
    xyz_m: tuple[float, float, float]  # of the best pose found
    rpy_deg: tuple[float, float, float]
    width_percent: float  # there
    map_width_percent: float  # of the best of the map
    evaluations: int
    loads: int


def read_limits(text: str) -> Limits:
    """Limits from "x=-2..2,z=2..5,pitch=30..90", or from a TOML file with x = [-2, 2]; metres and degrees."""
    if text.endswith(".toml"):
        document = read_toml(Path(text), InputError)
    else:
        try:
            document = tomllib.loads("\n".join(_toml_line(part) for part in text.split(",")))
        except (tomllib.TOMLDecodeError, ValueError):
            raise InputError(f"limits: found {text!r}, expected like x=-2..2,z=2..5 or a .toml file") from None
    return {name: _bounds(name, value) for name, value in document.items()}


def _toml_line(part: str) -> str:
    name, low, high = part.strip().replace("..", "=").split("=")
    return f"{name} = [{float(low)}, {float(high)}]"


def _bounds(name: str, value: object) -> tuple[float, float]:
    if name not in AXES:
        raise InputError(f"limits: found {name!r}, expected {nearest(name, AXES)}")
    most = BOUNDS[AXES[name]]
    numbers = isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)
    if not numbers or not -most <= value[0] < value[1] <= most:  # type: ignore[index]
        raise InputError(f"limits: {name}: found {value}, expected two numbers that grow, from -{most:g} to {most:g}")
    return float(value[0]), float(value[1])  # type: ignore[index]


def default_limits(bed: Bed) -> Limits:
    """Above the bed's middle line, up to where a gate or a mast may reach."""
    reach = bed.length_m / 2.0 + AROUND_M
    return {"x": (-reach, reach), "z": (bed.height_m + LOW_M, bed.height_m + HIGH_M)}


def optimise(
    campaign: Campaign, stage: Stage, sensor: str, model: SensorModel, limits: Limits, loads: int, tell: Tell
) -> MountMap:
    """The map and the best pose of one sensor; `tell` hears how many of how many poses are done.

    What is not limited is not searched: the position is that over the bed's middle, 2.5 m over the wall tops, and the
    sensor is turned to the middle of the bed.
    """
    if stage.bed is None:
        raise InputError("optimise: found no bed, expected the stage of one truck")
    names = list(limits)
    low, high = (np.array([limits[name][end] for name in names]) for end in (0, 1))
    known: dict[tuple[float, ...], float] = {}
    total = _cells(names) ** min(len(names), 2) + REFINEMENTS

    def place(at: NDArray[np.float64]) -> Place:
        return _place(dict(zip(names, (low + at * (high - low)).tolist(), strict=True)), stage, model)

    def widths(points: Sequence[NDArray[np.float64]]) -> list[float]:
        """Of several poses at once, side by side."""
        contenders = [Contender(sensor, model, fixed_mount("tried", place(at))) for at in points]
        trials = [(stage, contender, number) for contender in contenders for number in range(loads)]
        rows = campaign.rows(trials)
        per_pose = [rows[i * loads : (i + 1) * loads] for i in range(len(points))]
        found = [
            float(np.mean([NOTHING_KNOWN if r.width_percent is None else r.width_percent for part in p for r in part]))
            for p in per_pose
        ]
        known.update({tuple(at.tolist()): width for at, width in zip(points, found, strict=True)})
        tell(min(len(known), total), total)
        return found

    axes, grid = _grid(names)
    table = [widths(line) for line in grid]
    map_best = min(known, key=lambda at: known[at])
    _refined(np.array(map_best), lambda at: widths([at])[0])
    best = min(known, key=lambda at: known[at])
    found = place(np.array(best))
    values = [np.linspace(*limits[name], _cells(names)).tolist() for name in axes]
    return MountMap(
        sensor,
        dict(limits),
        axes,
        tuple(map(tuple, values)),
        tuple(map(tuple, table)),
        found.xyz_m,
        found.rpy_deg,
        known[best],
        known[map_best],
        len(known),
        loads,
    )


def _cells(names: Sequence[str]) -> int:
    return CELLS if len(names) > 1 else 2 * CELLS


def _grid(names: Sequence[str]) -> tuple[tuple[str, ...], list[list[NDArray[np.float64]]]]:
    """The first two axes, and a line of points for each value of the second; what else there is lies in the middle."""
    steps = np.linspace(0.0, 1.0, _cells(names))
    middle = np.full(len(names), 0.5)
    lines: list[list[NDArray[np.float64]]] = [[] for _ in (steps if len(names) > 1 else (0,))]
    for (j, line), u in product(enumerate(lines), steps):
        at = middle.copy()
        at[0] = u
        if len(names) > 1:
            at[1] = steps[j]
        line.append(at)
    return tuple(names[:2]), lines


def _refined(start: NDArray[np.float64], width: Callable[[NDArray[np.float64]], float]) -> None:
    """Walks on from the best place of the map; what is tried on the way is remembered by `width`."""
    from scipy.optimize import minimize

    step = 0.5 / (CELLS - 1)
    corners = np.tile(start, (len(start) + 1, 1))
    for axis in range(len(start)):
        corners[axis + 1, axis] += step if start[axis] + step <= 1.0 else -step
    options = {"initial_simplex": corners, "maxfev": REFINEMENTS, "xatol": 0.01, "fatol": 0.01}
    minimize(width, start, method="Nelder-Mead", bounds=[(0.0, 1.0)] * len(start), options=options)


def _place(told: Mapping[str, float], stage: Stage, model: SensorModel) -> Place:
    assert stage.bed is not None
    bed = msgspec.structs.replace(drawn_scene(stage, 0).bed, height_m=stage.bed.height_m)
    xyz = (told.get("x", 0.0), told.get("y", 0.0), told.get("z", stage.bed.height_m + 2.5))
    place = aimed("s0", xyz, bed, model)
    roll, pitch, yaw = (told.get(n, v) for n, v in zip(("roll", "pitch", "yaw"), place.rpy_deg, strict=True))
    return Place("s0", _rounded(*xyz), _rounded(roll, pitch, yaw))


def _rounded(a: float, b: float, c: float) -> tuple[float, float, float]:
    """Millimetres, and thousandths of a degree: nobody mounts a sensor closer."""
    return round(a, 3) + 0.0, round(b, 3) + 0.0, round(math.remainder(c, 360.0) if abs(c) > 360 else c, 3) + 0.0
