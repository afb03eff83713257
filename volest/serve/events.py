"""What agents deliver (docs/edge.md): each document once, and the loads that it tells of."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from volest.edge.event import EVENT_SCHEMA
from volest.errors import InputError
from volest.quantity import Quantity
from volest.result import FLAGS, Result
from volest.rows import json_text, to_row
from volest.serve.problems import ProblemError
from volest.serve.records import add_load
from volest.serve.security import now_us
from volest.serve.tables import events, trucks
from volest.serve.times import parse_time

__all__ = ["Event", "add_event", "read_event"]

KINDS = ("entry", "scan", "health")
EVENT_ID, NO_CONTROL = re.compile(r"[0-9a-f]{16}\Z"), re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}\Z")
HARMLESS = {"weight_missing", "overhang", "empty", "carry_back"}
EARLIEST_S, LATEST_S = 1e9, 1e11  # before it the agent counts from the day's begin
MOST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One document of an agent; `load` is what it tells of a load, without its place in the store."""

    event_id: str
    truck_id: str
    seq: int
    kind: str
    content: dict[str, Any]
    body: bytes
    load: dict[str, Any] | None


def read_event(body: bytes, offset_min: Callable[[int], int]) -> Event:
    """The event in a document; InputError that names the key, what was found and what was expected.

    offset_min: minutes from UTC at a time [us].
    """
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"event: no valid JSON ({error})") from None
    if not isinstance(told, dict):
        raise InputError("event: found no object, expected one")
    _expect("schema", told.get("schema"), told.get("schema") == EVENT_SCHEMA, EVENT_SCHEMA)
    found: list[Any] = [told.get(key) for key in ("id", "truck_id", "seq", "kind")]
    name, truck_id, seq, kind = found
    _expect("id", name, isinstance(name, str) and EVENT_ID.match(name), "16 hexadecimal digits")
    _expect("truck_id", truck_id, isinstance(truck_id, str) and NO_CONTROL.match(truck_id), "1 to 200 characters")
    _expect("seq", seq, type(seq) is int and 0 <= seq < 2**62, "a whole number from 0 on")
    _expect("kind", kind, kind in KINDS, " or ".join(KINDS))
    content: Any = told.get(kind)
    _expect(str(kind), content, isinstance(content, dict), "an object")
    load = None
    if kind == "entry" and content.get("kind") == "load":
        load = _load(name, truck_id, content, told.get("recorded"), offset_min)
    return Event(name, truck_id, seq, kind, content, body, load)


def _expect(key: str, found: Any, holds: Any, expected: str) -> None:
    if not holds:
        raise InputError(f"event: {key}: found {repr(found)[:60]}, expected {expected}")


def _load(
    name: str, truck_id: str, entry: dict[str, Any], recorded: Any, offset_min: Callable[[int], int]
) -> dict[str, Any]:
    """What was added at one stop, as a load."""
    flags = tuple(flag for flag in _texts(entry, "flags") if flag in FLAGS)
    volume = _quantity(entry, "volume_m3")
    known = "degraded" if set(flags) - HARMLESS else "ok"
    result = Result(
        truck_id,
        "rejected" if volume is None else known,  # type: ignore[arg-type]
        flags,
        name,
        volume_m3=volume,
        net_mass_kg=_quantity(entry, "mass_kg"),
        bulk_density_kg_m3=_quantity(entry, "bulk_density_kg_m3"),
        wet_mass_fraction=_quantity(entry, "wet_mass_fraction"),
        waste_class=entry["waste_class"] if entry.get("waste_class") in ("wet", "dry", "mixed") else None,
        reasons=tuple(_texts(entry, "reasons")),
    )
    time_us = _time_us(entry, recorded)
    told: dict[str, Any] = {"time": time_us, "utc_offset_min": offset_min(time_us)}
    told |= {"lat": _number(entry, "lat", -90.0, 90.0), "lon": _number(entry, "lon", -180.0, 180.0)}
    return {
        "load_id": name,
        "truck_id": truck_id,
        "time_us": told["time"],
        "origin": "edge",
        "status": result.status,
        "lat": told["lat"],
        "lon": told["lon"],
        "scans": "[]",
        "result": json_text(result.to_dict()),
        "row": json_text(to_row(result, name, told=told)),
        "content_sha256": hashlib.sha256(f"event {truck_id} {name}".encode()).hexdigest(),
    }


def _number(entry: dict[str, Any], key: str, low: float, high: float) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    sound = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    _expect(f"entry.{key}", value, sound, f"a number from {low:g} to {high:g}, or null")
    return float(value)


def _quantity(entry: dict[str, Any], key: str) -> Quantity | None:
    told = entry.get(key)
    if told is None:
        return None
    parts = [told.get(part) if isinstance(told, dict) else None for part in ("value", "std", "lower95", "upper95")]
    sound = all(isinstance(part, int | float) and not isinstance(part, bool) and math.isfinite(part) for part in parts)
    _expect(f"entry.{key}", told, sound and max(map(abs, parts)) < 1e9, "value, std, lower95 and upper95")  # type: ignore[arg-type]
    return Quantity(*(float(part) for part in parts))  # type: ignore[arg-type]


def _texts(entry: dict[str, Any], key: str) -> list[str]:
    told = entry.get(key) or []
    sound = isinstance(told, list) and len(told) <= 100 and all(isinstance(text, str) for text in told)
    _expect(f"entry.{key}", told, sound, "a list of texts")
    return [text[:MOST_TEXT].replace("\0", " ").encode("utf-8", "replace").decode() for text in told]


def _time_us(entry: dict[str, Any], recorded: Any) -> int:
    """When the entry ended; by the clock on the wall where the agent counts from the day's begin."""
    end_s = _number(entry, "end_s", -LATEST_S, LATEST_S)
    if end_s is not None and end_s > EARLIEST_S:
        return round(end_s * 1e6)
    try:
        return parse_time(str(recorded), "recorded")
    except ProblemError:
        return now_us()


def add_event(connection: Connection, event: Event, sender: str) -> bool:
    """Keep an event with what follows from it; whether it is new."""
    known = sa.select(events.c.event_id).where(events.c.event_id == event.event_id)
    if connection.scalar(known) is not None:
        return False
    received_us = now_us()
    values = {"event_id": event.event_id, "truck_id": event.truck_id, "truck_seq": event.seq, "kind": event.kind}
    connection.execute(sa.insert(events).values(values | {"received_us": received_us, "body": event.body}))
    if event.load is not None:
        add_load(connection, event.load | {"received_us": received_us, "sender": sender})
    if event.kind == "health":
        health = msgspec.json.encode(event.content).decode().replace("\\u0000", " ")
        changed = {"health": health, "health_us": received_us}
        connection.execute(sa.update(trucks).where(trucks.c.truck_id == event.truck_id).values(changed))
    return True
