"""Rows of text: .xyz, .csv and .txt, with or without a line that names the columns.

Without names the columns are x y z and, where there is a fourth, intensity. Such files tell no number of points:
one that was cut at the end of a line cannot be told from a whole one.
"""

from __future__ import annotations

import re
from itertools import islice

import numpy as np

from volest.io.cloud import COORDINATES, CloudBuilder, find_roles, match_roles
from volest.io.rows import data_lines, parse_rows, read_text
from volest.io.scanfile import ScanFile
from volest.pointcloud import PointCloud

__all__ = ["read_xyz"]

COMMENTS = ("#", "//")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_xyz(scan: ScanFile) -> PointCloud:
    """The points of a text file."""
    text = read_text(scan).removeprefix(BYTE_ORDER_MARK)
    lines = list(islice(data_lines(text, COMMENTS), 2))
    if not lines:
        scan.fail("found neither numbers nor names of columns, expected rows of x y z")
    named = not _is_row(lines[0])
    names = _words(lines[0]) if named else _names_in_comment(scan, text, len(_words(lines[0])))
    sample = lines[-1] if named else lines[0]
    delimiter = _delimiter(sample) if len(lines) > named else None
    if delimiter is not None:
        text = _fill_gaps(text, delimiter)
    roles = find_roles(scan, names) if names else _positional_roles(scan, len(_words(sample)))
    # With names there may be columns of words, which are not read. Without, all rows must be equally long.
    columns = _columns_to_read(roles, sample) if names else None
    rows = islice(data_lines(text, COMMENTS), int(named), None)
    table = parse_rows(scan, rows, delimiter=delimiter, columns=columns)
    builder = CloudBuilder(scan, len(table), dict.fromkeys(roles, np.dtype(np.float64)))
    if len(table):
        places = {role: columns.index(place) if columns else place for role, place in roles.items()}
        builder.add({role: table[:, place] for role, place in places.items()})
    return builder.finish()


def _delimiter(line: str) -> str | None:
    """What separates the numbers; None for spaces and tabs."""
    return next((mark for mark in (";", ",") if mark in line), None)


def _words(line: str) -> list[str]:
    return [word.strip().strip("\"'").strip() for word in line.strip().split(_delimiter(line))]


def _is_row(line: str) -> bool:
    return all(_is_number(word) for word in _words(line))


def _is_number(word: str) -> bool:
    try:
        float(word or "nan")
    except ValueError:
        return False
    return True


def _names_in_comment(scan: ScanFile, text: bytes, width: int) -> list[str]:
    """The names of columns in a comment above the numbers, as CloudCompare writes them; none if there are none."""
    for line in islice(data_lines(text), 20):
        if not line.lstrip().startswith(COMMENTS):
            break
        names = _words(line.strip().lstrip("#/"))
        if len(names) == width and all(axis in match_roles(scan, names) for axis in COORDINATES):
            return names
    return []


def _positional_roles(scan: ScanFile, width: int) -> dict[str, int]:
    if width < 3:
        scan.fail(f"found {width} numbers in the first row, expected x y z")
    return {role: place for place, role in enumerate((*COORDINATES, "intensity")[:width])}


def _columns_to_read(roles: dict[str, int], sample: str) -> list[int]:
    """The columns of the roles, and the last one where it holds numbers: a row that is cut short lacks it."""
    last = len(_words(sample)) - 1
    return sorted({*roles.values(), *([last] if _is_number(_words(sample)[last]) else [])})


def _fill_gaps(text: bytes, delimiter: str) -> bytes:
    """Write nan where a row has nothing between two delimiters: so do programs write a return that is missing."""
    mark = re.escape(delimiter).encode()
    gap = rb"(?<=%b)[ \t]*(?=%b|[\r\n]|\Z)|^[ \t]*(?=%b)" % (mark, mark, mark)
    return re.sub(gap, b"nan", text, flags=re.MULTILINE)
