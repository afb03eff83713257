"""Weighbridge tickets: read, and matched to the loads that a truck's own scale weighed."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from volest.errors import WeightError

__all__ = ["Matching", "Pair", "Ticket", "WeighedLoad", "check_pair", "match_tickets", "read_tickets"]

COLUMNS = ("plate", "time", "net_kg")
MAX_BYTES, MAX_TICKETS, MAX_LINE = 50_000_000, 500_000, 10_000
MAX_NET_KG = 200_000.0
LATEST_S = 1e10  # the year 2286
MAX_CROWD = 2000  # tickets and loads of one plate, each within a window of the next
WINDOW_S = 1800.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A net mass [kg] that a weighbridge printed; `line` is where it stands in its file."""

    plate: str
    time_s: float  # since 1970, UTC
    net_kg: float
    line: int = 0


@dataclass(frozen=True, slots=True)
class WeighedLoad:
    """A net mass by the truck's own scale; `std_kg` is of reading and tare, without the gain's part."""

    load_id: str
    plate: str
    time_s: float
    net_kg: float
    std_kg: float


# --- the file ---------------------------------------------------------------------------------------------------------


def read_tickets(path: Path) -> list[Ticket]:
    """The tickets of a CSV file with the columns `plate,time,net_kg`, more may stand beside them; in its order.

    Times are those of RFC 3339, with their zone. Raises WeightError naming file, line and column.
    """
    try:
        if not path.is_file():
            raise WeightError(f"{path}: not a file; expected a CSV file with the columns {','.join(COLUMNS)}")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise WeightError(f"{path}: found {size} bytes, expected at most {MAX_BYTES}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_tickets(csv.reader(_lines(file, path), strict=True), path))
    except (OSError, ValueError, csv.Error) as exc:
        if isinstance(exc, WeightError):
            raise
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise WeightError(f"{path}: cannot be read ({reason}); expected a CSV file of tickets") from exc


def _lines(file: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if len(line) > MAX_LINE:
            raise WeightError(f"{path}: line {number}: found {len(line)} characters, expected at most {MAX_LINE}")
        yield line


def _tickets(rows: Any, path: Path) -> Iterator[Ticket]:
    header = [name.strip() for name in next(rows, [])]
    if any(header.count(name) != 1 for name in COLUMNS):
        found = ",".join(header)[:80]
        raise WeightError(f"{path}: line 1: found {found!r}, expected a header with the columns {','.join(COLUMNS)}")
    plate, time, net = (header.index(name) for name in COLUMNS)
    for count, row in enumerate(row for row in rows if row):
        where = f"{path}: line {rows.line_num}"
        if len(row) != len(header):
            raise WeightError(f"{where}: found {len(row)} columns, expected {len(header)}")
        if count >= MAX_TICKETS:
            raise WeightError(f"{where}: found more than {MAX_TICKETS} tickets, expected fewer")
        yield Ticket(
            _plate(row[plate], f"{where}: plate"),
            _time(row[time], f"{where}: time"),
            _net(row[net], f"{where}: net_kg"),
            rows.line_num,
        )


def _plate(text: str, where: str) -> str:
    """Letters and digits alone, for spaces and hyphens come and go between offices."""
    plate = re.sub(r"[\s.\-]", "", text).upper()
    if not (0 < len(plate) <= 20 and plate.isalnum()):
        raise WeightError(f"{where}: found {text[:40]!r}, expected letters and digits, at most 20")
    return plate


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _time(text: str, where: str) -> float:
    text = text.strip()
    try:
        time_s = datetime.fromisoformat(text.upper()).timestamp() if _RFC3339.fullmatch(text) else -1.0
        if 0.0 <= time_s < LATEST_S:
            return time_s
    except (ValueError, OverflowError):  # a month 13, an hour 25
        pass
    raise WeightError(f"{where}: found {text[:40]!r}, expected a time with its zone like 2026-03-01T08:30:00+07:00")


def _net(text: str, where: str) -> float:
    text = text.strip()
    if re.fullmatch(r"\+?\d{1,9}(\.\d{0,9})?", text, re.ASCII) and 0.0 < float(text) < MAX_NET_KG:
        return float(text)
    raise WeightError(f"{where}: found {text[:40]!r}, expected kilograms, above 0 and below {MAX_NET_KG:g}")


# --- matching ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """A ticket and the load that it is of; `clear` when no other was near enough to be it."""

    ticket: Ticket
    load: WeighedLoad
    clear: bool = True


@dataclass(frozen=True, slots=True)
class Matching:
    """Which ticket is whose; `conflicts` tells in words what was not clear."""

    pairs: tuple[Pair, ...]
    lone_tickets: tuple[Ticket, ...]
    lone_loads: tuple[WeighedLoad, ...]
    conflicts: tuple[str, ...]

    @property
    def clear(self) -> tuple[Pair, ...]:
        """The pairs to calibrate with."""
        return tuple(pair for pair in self.pairs if pair.clear)


def match_tickets(tickets: Sequence[Ticket], loads: Sequence[WeighedLoad], *, window_s: float = WINDOW_S) -> Matching:
    """Tickets and loads of one plate no more than `window_s` apart, one to one: as many as can be, then the nearest.

    Tickets of the same plate and time count once where they agree on the mass, and not at all where they do not.
    Raises WeightError where more than 2000 of one plate follow each other within the window.
    """
    if not 0.0 < window_s <= 86_400.0:
        raise WeightError(f"tickets: window_s: found {window_s}, expected above 0 and at most 86400")
    kept, dropped, conflicts = _once(tickets)
    crowds: dict[str, tuple[list[Ticket], list[WeighedLoad]]] = defaultdict(lambda: ([], []))
    for ticket in kept:
        crowds[_plate(ticket.plate, "ticket: plate")][0].append(ticket)
    for load in loads:
        _check_load(load)
        crowds[_plate(load.plate, f"load {load.load_id}: plate")][1].append(load)
    pairs = [pair for plate in sorted(crowds) for crowd in _crowds(*crowds[plate], window_s) for pair in crowd]
    conflicts += [
        f"the ticket of line {pair.ticket.line} ({pair.ticket.plate}) went to load {pair.load.load_id}, but another "
        f"ticket or load lies within {window_s:g} s of them"
        for pair in pairs
        if not pair.clear
    ]
    taken_tickets, taken_loads = {id(pair.ticket) for pair in pairs}, {id(pair.load) for pair in pairs}
    return Matching(
        tuple(pairs),
        (*(ticket for ticket in kept if id(ticket) not in taken_tickets), *dropped),
        tuple(load for load in loads if id(load) not in taken_loads),
        tuple(conflicts),
    )


def _once(tickets: Sequence[Ticket]) -> tuple[list[Ticket], list[Ticket], list[str]]:
    """Tickets to keep, tickets that contradict each other, and what was found."""
    same: dict[tuple[str, float], list[Ticket]] = defaultdict(list)
    for ticket in tickets:
        _check_ticket(ticket)
        same[_plate(ticket.plate, "ticket: plate"), ticket.time_s].append(ticket)
    kept: list[Ticket] = []
    dropped: list[Ticket] = []
    conflicts = []
    for group in same.values():
        agree = len({ticket.net_kg for ticket in group}) == 1
        (kept if agree else dropped).extend(group[:1] if agree else group)
        if len(group) > 1:
            lines = ", ".join(str(ticket.line) for ticket in group[:5])
            verdict = "the mass, and count once" if agree else "no mass, and do not count"
            conflicts.append(f"tickets of lines {lines} ({group[0].plate}) have one time; they agree on {verdict}")
    return kept, dropped, conflicts


def check_pair(pair: Pair) -> None:
    """Raise WeightError for numbers that no ticket and no load has."""
    _check_ticket(pair.ticket)
    _check_load(pair.load)


def _check_ticket(ticket: Ticket) -> None:
    if not (0.0 <= ticket.time_s < LATEST_S and 0.0 < ticket.net_kg < MAX_NET_KG):
        found = f"time {ticket.time_s} s, net mass {ticket.net_kg} kg"
        raise WeightError(f"ticket of line {ticket.line}: found {found}, expected what a ticket may say")


def _check_load(load: WeighedLoad) -> None:
    sound = 0.0 <= load.time_s < LATEST_S and abs(load.net_kg) < MAX_NET_KG and 0.0 <= load.std_kg < MAX_NET_KG
    if not sound:  # NaN is in no range
        numbers = f"time {load.time_s} s, net mass {load.net_kg} kg, std {load.std_kg} kg"
        raise WeightError(f"load {load.load_id}: found {numbers}, expected what a scale may show")


def _crowds(tickets: list[Ticket], loads: list[WeighedLoad], window_s: float) -> Iterator[list[Pair]]:
    """The pairs of each run of tickets and loads that follow each other within the window."""
    everyone: list[Ticket | WeighedLoad] = sorted([*tickets, *loads], key=lambda each: each.time_s)
    gaps = np.diff([each.time_s for each in everyone])
    edges = [0, *(np.flatnonzero(gaps > window_s) + 1).tolist(), len(everyone)]
    for begin, end in pairwise(edges):
        crowd = everyone[begin:end]
        if len(crowd) > MAX_CROWD:
            raise WeightError(
                f"tickets: found {len(crowd)} tickets and loads of {crowd[0].plate} that follow each other within "
                f"{window_s:g} s, expected at most {MAX_CROWD}"
            )
        yield _assigned(
            [each for each in crowd if isinstance(each, Ticket)],
            [each for each in crowd if isinstance(each, WeighedLoad)],
            window_s,
        )


def _assigned(tickets: list[Ticket], loads: list[WeighedLoad], window_s: float) -> list[Pair]:
    from scipy.optimize import linear_sum_assignment

    if not tickets or not loads:
        return []
    apart = np.abs(np.subtract.outer([t.time_s for t in tickets], [x.time_s for x in loads]))
    near = apart <= window_s
    # A pair more is worth more than all of the time that it may cost.
    worth = window_s * (1.0 + min(apart.shape))
    rows, columns = linear_sum_assignment(np.where(near, apart - worth, 0.0))
    return [
        Pair(tickets[i], loads[j], bool(near[i].sum() == 1 and near[:, j].sum() == 1))
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        if near[i, j]
    ]
