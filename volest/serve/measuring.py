"""One load, from the files that were sent to the row that is committed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Row

from volest.rows import json_text
from volest.serve.intake import Part
from volest.serve.records import add_load
from volest.serve.security import Who, now_us

__all__ = ["Told", "measure"]

Service = Any  # volest.serve.service.Service, which stands above

ORIGINS = ("upload", "edge", "demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told of a load beside its scans."""

    truck_id: str
    load_id: str | None = None
    time_us: int | None = None
    district: str | None = None
    source: str | None = None
    lat: float | None = None
    lon: float | None = None
    gross_kg: float | None = None

    def digest(self, frames: Sequence[tuple[str, Part]], weight: Part | None) -> str:
        """SHA-256 of all that was told and sent: what came twice is the same by it."""
        parts = [[sensor, part.sha256] for sensor, part in frames]
        own = [self.truck_id, self.time_us, self.district, self.source, self.lat, self.lon, self.gross_kg]
        return hashlib.sha256(json.dumps([own, parts, weight and weight.sha256]).encode()).hexdigest()


async def measure(
    service: Service,
    who: Who,
    told: Told,
    frames: Sequence[tuple[str, Part]],
    weight: Part | None,
    *,
    origin: str = "upload",
    urgent: bool = True,
) -> tuple[Row[Any], bool]:
    """The load as it is stored, and whether it is new; it is committed, and its files are synced, when this returns.

    frames: (sensor id or empty, file). Raises InputError for what cannot be read, and ProblemError.
    """
    if urgent:
        service.crew.check_room()
    version, truck_file = await service.fleet.find(told.truck_id)
    received_us = now_us()
    time_us = received_us if told.time_us is None else told.time_us
    row_told = {"time": time_us, "utc_offset_min": service.offset_min(time_us), "weight": _weight_name(told, weight)}
    row_told |= {name: getattr(told, name) for name in ("district", "source", "lat", "lon")}
    files = [part for _, part in frames] + ([weight] if weight else [])
    task = {
        "kind": "estimate",
        "truck": str(truck_file),
        "load_id": told.load_id,
        "scans": [(sensor, str(part.path), part.name) for sensor, part in frames],
        "weight": str(weight.path) if weight else None if told.gross_kg is None else repr(told.gross_kg),
        "told": row_told,
        "names": [(str(part.path), part.name) for part in files],
        "digests": {str(part.path): part.sha256 for part in files},
        "keep": [(str(part.path), str(place)) for part in files if (place := service.scans.place(part.kept))],
    }
    answer = await service.crew.do(task, urgent=urgent)
    loop = asyncio.get_running_loop()
    content = told.digest(frames, weight)
    for part in files if not task["keep"] else ():
        await loop.run_in_executor(service.files, service.scans.keep, part.path, part.kept)
    values = {
        "load_id": answer["load_id"],
        "truck_id": told.truck_id,
        "truck_version": version,
        "time_us": time_us,
        "received_us": received_us,
        "origin": origin,
        "sender": who.name,
        "content_sha256": content,
        "status": answer["status"],
        "district": told.district,
        "source": told.source,
        "lat": told.lat,
        "lon": told.lon,
        "scans": json_text([[sensor, part.kept] for sensor, part in frames]),
        "result": answer["result"],
        "row": answer["row"],
    }
    if task["keep"]:
        for part in files:
            part.taken = True
    stored, new = await service.store.writing(lambda connection: add_load(connection, values))
    if new:
        service.stream.notify()
        service.metrics.loads.labels(origin, stored.status).inc()
    return stored, new


def _weight_name(told: Told, weight: Part | None) -> str | None:
    if weight is not None:
        return weight.name
    return None if told.gross_kg is None else f"{told.gross_kg:g}"
