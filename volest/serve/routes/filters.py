"""Which loads a query means."""

from __future__ import annotations

from typing import Any

from volest.serve.problems import ProblemError
from volest.serve.records import Filter
from volest.serve.times import parse_time

__all__ = ["filter_of"]


def filter_of(since: str | None, until: str | None, **equal: str | None) -> Filter:
    """Those since and until a time, RFC 3339, with equal columns; ProblemError for the nul that PostgreSQL refuses."""
    told: dict[str, Any] = {name: value for name, value in equal.items() if value is not None}
    for name, value in told.items():
        if "\0" in value:
            raise ProblemError(422, f"{name}: found a nul character, expected none", place=name)
    return Filter(
        equal=told,
        since_us=None if since is None else parse_time(since, "since"),
        until_us=None if until is None else parse_time(until, "until"),
    )
