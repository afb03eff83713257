"""The parts of a report's page, as its template takes them."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Cell", "Chart", "Section", "Sheet"]

Cell = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its heading and what must be said below it."""

    title: str
    svg: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table on the page: heads and cells, all of them printed; the first cell of a row names it.

    A cell of two is a value and its interval; `texts` are the columns that hold no numbers.
    """

    heads: list[str]
    rows: list[list[Cell]]
    note: str = ""
    open: bool = False
    texts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    notes: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    sheets: list[tuple[str, Sheet]] = field(default_factory=list)
