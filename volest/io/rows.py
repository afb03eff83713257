"""Rows of numbers in text: the one parser behind ascii PCD, ascii PLY, CSV and XYZ."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from volest.io.scanfile import ScanFile

__all__ = ["MAX_LINE_BYTES", "MAX_TEXT_BYTES", "data_lines", "parse_rows", "read_text"]

MAX_TEXT_BYTES = 512 << 20
MAX_LINE_BYTES = 64 << 10


def read_text(scan: ScanFile) -> bytes:
    """The rest of the file, seen to be text of bounded lines."""
    if scan.left() > MAX_TEXT_BYTES:
        scan.fail(f"found {scan.left()} bytes of text, expected at most {MAX_TEXT_BYTES}")
    text = scan.read(scan.left(), "text")
    if b"\0" in text:
        scan.fail(f"found a zero byte at byte {text.index(0)} of the text, expected rows of numbers")
    start = 0
    while len(text) - start > MAX_LINE_BYTES:
        window = start, start + MAX_LINE_BYTES
        end = max(text.rfind(b"\n", *window), text.rfind(b"\r", *window))
        if end < 0:
            scan.fail(f"found a line of more than {MAX_LINE_BYTES} bytes, expected rows of numbers")
        start = end + 1
    scan.check_count(text.count(b"\n"))
    return text


def data_lines(text: bytes, comments: Sequence[str] = ()) -> Iterator[str]:
    """The lines that hold something, without what stands after a comment mark."""
    marks = [mark for mark in comments if mark.encode() in text]
    # Anything but ASCII turns into a character that is neither a digit nor a space.
    for line in io.TextIOWrapper(io.BytesIO(text), encoding="ascii", errors="replace"):
        for mark in marks:
            line = line.partition(mark)[0]
        if line and not line.isspace():
            yield line


def parse_rows(
    scan: ScanFile, lines: Iterable[str], *, delimiter: str | None = None, columns: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """The numbers (N, C) of lines that all hold equally many; of all columns, or of those told.

    Without a delimiter numbers are separated by spaces and tabs.
    """
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        return np.empty((0, 0 if columns is None else len(columns)))
    try:
        return np.loadtxt(_chain(first, lines), delimiter=delimiter, usecols=columns, comments=None, ndmin=2)
    except ValueError as error:
        # "the number of columns changed from 4 to 3 at row 7; use ...": the rest is for programmers.
        scan.fail(f"expected rows of equally many numbers: {str(error).partition(';')[0][:200]}")


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
