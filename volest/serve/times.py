"""Times as the API tells them: RFC 3339 outside, microseconds since 1970 inside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from volest.serve.problems import ProblemError

__all__ = ["parse_time", "shown_time"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_US = 253_402_214_400_000_000  # a day before the year 10000


def shown_time(time_us: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    text = (EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parse_time(text: str, place: str) -> int:
    """Microseconds since 1970; ProblemError where it is no RFC 3339 time."""
    try:
        told = datetime.fromisoformat(text)
        if told.utcoffset() is None or len(text) < 20:
            raise ValueError
        time_us = (told - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        found = repr(text[:40])
        raise ProblemError(
            422, f"{place}: found {found}, expected RFC 3339, as 2026-03-01T06:12:42+08:00", place=place
        ) from None
    if not 0 <= time_us <= MOST_US:
        raise ProblemError(422, f"{place}: found {text[:40]}, expected 1970 to 9999", place=place)
    return time_us
