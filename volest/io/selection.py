"""Which frame of a recording is meant: "run.bag#topic=/lidar/points,frame=12"."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import NoReturn

from volest.errors import ScanError
from volest.io.scanfile import shown_name

__all__ = ["Selection", "select"]

MAX_FRAME = 10**9
KEYS = ("topic", "frame", "meta", "velocity_m_s", "yaw_rate_rad_s")


@dataclass(frozen=True, slots=True)
class Selection:
    """A file or folder, and what of it is meant."""

    path: str
    topic: str = ""
    frame: int | None = None
    meta: str = ""  # the file that describes an Ouster, from the recording's folder
    velocity_m_s: tuple[float, ...] = ()  # of the sensor, along its x, or x y z
    yaw_rate_rad_s: float = 0.0
    part: str = ""  # as it was written, with its "#"

    @property
    def name(self) -> str:
        """The last part of the path, and what is selected of it."""
        return os.path.basename(os.path.normpath(self.path)) + self.part


def select(path: str | os.PathLike[str]) -> Selection:
    """Split what stands behind the last "#" from a path; a file that bears such a name is taken as it is.

    Raises ScanError where a key or a number is none.
    """
    whole = os.fspath(path)
    name, mark, rest = whole.rpartition("#")
    if not mark or not re.match(r"\w+=", rest) or _exists(whole):
        return Selection(whole)
    values: dict[str, str] = {}
    for part in re.split("[,&]", rest):
        key, equals, value = part.partition("=")
        if key not in KEYS or not equals or not value or key in values:
            _fail(whole, f"found {part!r} behind #, expected KEY=VALUE with the keys {', '.join(KEYS)}, each once")
        values[key] = value
    return Selection(
        name,
        values.get("topic", ""),
        _frame(whole, values["frame"]) if "frame" in values else None,
        values.get("meta", ""),
        _numbers(whole, "velocity_m_s", values["velocity_m_s"]) if "velocity_m_s" in values else (),
        _numbers(whole, "yaw_rate_rad_s", values.get("yaw_rate_rad_s", "0"))[0],
        f"#{rest}",
    )


def _frame(path: str, word: str) -> int:
    if not (word.isascii() and word.isdigit() and int(word[:12]) <= MAX_FRAME):
        _fail(path, f"found frame={word[:40]}, expected a whole number from 0 on")
    return int(word)


def _numbers(path: str, key: str, word: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in word.split(":"))
    except ValueError:
        _fail(path, f"found {key}={word[:40]}, expected a number, or several with : between them")


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a NUL in the name
        return False


def _fail(path: str, problem: str) -> NoReturn:
    raise ScanError(f"{shown_name(path)}: {problem}", flag="unreadable")
