"""Trucks: registered, told of, commissioned."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Path, Request, Response

from volest.serve.intake import read_form
from volest.serve.problems import ProblemError
from volest.serve.routes.answers import PROBLEMS, form, json_answer
from volest.serve.security import Operator, Reader, now_us
from volest.serve.tables import loads, trucks
from volest.serve.times import shown_time

__all__ = ["router", "truck_document"]

router = APIRouter(prefix="/v1", tags=["trucks"], responses=PROBLEMS)
TruckId = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
DAY_US = 86_400_000_000
_TRUCK = form({"truck": "file"}, {"file": "files"})


@router.get("/trucks", summary="All trucks, and how each is")
async def get_trucks(request: Request, _: Reader) -> Response:
    rows, seen = await request.app.state.service.store.reading(_trucks)
    return json_answer({"items": [truck_document(row, seen.get(row.truck_id)) for row in rows]})


def _trucks(connection: sa.Connection) -> tuple[Any, dict[str, Any]]:
    rows = connection.execute(sa.select(trucks).order_by(trucks.c.truck_id)).all()
    others = loads.alias()
    latest = sa.select(others.c.seq).where(others.c.truck_id == trucks.c.truck_id)
    latest = latest.order_by(others.c.time_us.desc(), others.c.seq.desc()).limit(1)
    columns = (loads.c.truck_id, loads.c.time_us, loads.c.result)
    last = connection.execute(sa.select(*columns).join(trucks, loads.c.seq == latest.scalar_subquery()))
    return rows, {row.truck_id: row for row in last}


def truck_document(row: Any, last: Any) -> dict[str, Any]:
    """A Truck."""
    told, health = msgspec.json.decode(row.told), msgspec.json.decode(row.health) if row.health else {}
    flags = set(health.get("flags") or ())
    result = msgspec.json.decode(last.result) if last is not None else {}
    flags |= {"dirty_window", "sensor_moved", "wrong_truck"} & set(result.get("flags") or ())
    dirt = 1.0 if health.get("dirty_window") or "dirty_window" in flags else 0.0
    heard = [us for us in (row.health_us, last.time_us if last is not None else None) if us is not None]
    return {
        "truck_id": row.truck_id,
        "struck_capacity_m3": result.get("struck_capacity_m3") or told["struck_capacity_m3"],
        "bed_m": told["bed_m"],
        "sensors": told["sensors"],
        "commissioned": told["commissioned"],
        "reference_age_days": (now_us() - row.registered_us) / DAY_US if told["has_reference"] else None,
        "tare_kg": told["tare_kg"],
        "last_seen": shown_time(max(heard)) if heard else None,
        "drift": msgspec.json.decode(row.drift) if row.drift else None,
        "window_dirt": dirt if health or last is not None else None,
        "flags": sorted(flags),
    }


@router.put("/trucks/{truck_id}", status_code=200, openapi_extra=_TRUCK, summary="Register a truck, or change it")
async def put_truck(request: Request, who: Operator, truck_id: TruckId) -> Response:
    service = request.app.state.service
    async with read_form(request, service.incoming) as sent:
        sent.only()
        mains = [part for part in sent.files if part.field == "truck"]
        beside = [part for part in sent.files if part.field == "file"]
        if len(mains) != 1 or len(mains) + len(beside) != len(sent.files):
            raise ProblemError(
                422, "truck: expected one truck.toml or truck.volest, and parts `file` beside it", place="truck"
            )
        if mains[0].path.suffix not in (".toml", ".volest"):
            raise ProblemError(422, f"truck: found {mains[0].path.suffix}, expected .toml or .volest", place="truck")
        told, new = await register(service, who, mains[0], beside, truck_id)
    return json_answer(told, 201 if new else 200)


async def register(service: Any, who: Any, main: Any, beside: Any, truck_id: str | None = None) -> tuple[Any, bool]:
    """Take a truck in; `truck_id` is what it has to be. Returns its Truck, and whether it is new."""
    import asyncio

    loop = asyncio.get_running_loop()
    version, path, name, files = await loop.run_in_executor(service.files, service.fleet.take, main, beside)
    named = [(str(path.parent) + "/", "")]
    told = await service.crew.do({"kind": "truck", "truck": str(path), "names": named})
    if truck_id is not None and told["truck_id"] != truck_id:
        raise ProblemError(
            422, f"id: found {told['truck_id']!r}, expected that of the address, {truck_id!r}", place="truck.id"
        )

    def write(connection: sa.Connection) -> tuple[Any, bool]:
        new = service.fleet.register(connection, who, told["truck_id"], version, name, files, told)
        row = connection.execute(sa.select(trucks).where(trucks.c.truck_id == told["truck_id"])).one()
        return row, new

    row, new = await service.store.writing(write)
    service.fleet.forget(told["truck_id"])
    return truck_document(row, None), new
