"""Loads: sent, found, listed."""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.routing import Route

from volest.serve.intake import Form, Part, read_form
from volest.serve.measuring import Told, measure
from volest.serve.problems import ProblemError
from volest.serve.records import document, find_load, list_loads, summary
from volest.serve.routes.answers import PROBLEMS, form, json_answer
from volest.serve.routes.exports import CSV, MOST_ROWS, PARQUET, exported
from volest.serve.routes.filters import filter_of
from volest.serve.security import Edge, Reader, sender
from volest.serve.times import parse_time

__all__ = ["FAST", "router"]

router = APIRouter(prefix="/v1", tags=["loads"], responses=PROBLEMS)
LOAD_ID = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$"
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,200}\Z")
LoadId = Annotated[str, Path(pattern=LOAD_ID)]
TEXTS = ("truck_id", "load_id", "time", "district", "source", "lat", "lon", "gross_kg")
_FORM = form(
    {"truck_id": "text", "scan": "files"},
    {"load_id": "text", "time": "time", "district": "text", "source": "text"}
    | {"lat": "number", "lon": "number", "gross_kg": "number", "weight": "file"},
)


@router.post("/loads", status_code=201, openapi_extra=_FORM, summary="Send a load: its scans, its weight")
async def post_load(request: Request, who: Edge) -> Response:
    service = request.app.state.service
    service.crew.check_room()
    async with read_form(request, service.incoming) as sent:
        sent.only(*TEXTS)
        told, frames, weight = told_of(sent.texts), frames_of(sent), weight_of(sent)
        row, new = await measure(service, who, told, frames, weight)
    location = f"/v1/loads/{row.load_id}"
    return json_answer(document(row), 201 if new else 200, Location=location)


async def _receive(request: Request) -> Response:
    request.scope["route"] = FAST  # by which requests are counted
    return await post_load(request, await sender(request))


FAST = Route("/v1/loads", _receive, methods=["POST"])
"""Beside FastAPI's, which describes it: what is asked hundreds of times a second does without FastAPI's way there."""


def told_of(texts: dict[str, str]) -> Told:
    """What the texts of a form tell of a load."""
    for name in ("truck_id", "district", "source"):
        if name in texts and not TEXT.match(texts[name]):
            raise ProblemError(
                422, f"{name}: found {texts[name][:50]!r}, expected 1 to 200 printable characters", place=name
            )
    if "truck_id" not in texts:
        raise ProblemError(422, "truck_id: missing, expected it", place="truck_id")
    load_id = texts.get("load_id")
    if load_id is not None and not re.match(LOAD_ID.replace("$", r"\Z"), load_id):
        raise ProblemError(
            422, f"load_id: found {load_id[:50]!r}, expected 1 to 100 of A-Z a-z 0-9 _ . : -", place="load_id"
        )
    return Told(
        truck_id=texts["truck_id"],
        load_id=load_id,
        time_us=parse_time(texts["time"], "time") if "time" in texts else None,
        district=texts.get("district"),
        source=texts.get("source"),
        lat=_number(texts, "lat", -90.0, 90.0),
        lon=_number(texts, "lon", -180.0, 180.0),
        gross_kg=_number(texts, "gross_kg", 0.0, 200_000.0),
    )


def _number(texts: dict[str, str], name: str, low: float, high: float) -> float | None:
    if name not in texts:
        return None
    try:
        value = float(texts[name])
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ProblemError(
            422, f"{name}: found {texts[name][:50]!r}, expected a number from {low:g} to {high:g}", place=name
        )
    return value


def frames_of(sent: Form) -> list[tuple[str, Part]]:
    """The scans of a form with their sensors, as its parts are called."""
    frames = []
    for part in sent.files:
        kind, dot, sensor = part.field.partition(".")
        if kind == "scan" and (not dot or re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sensor)):
            frames.append((sensor, part))
        elif part.field != "weight":
            raise ProblemError(
                422, f"{part.field}: found a file, expected scan, scan.SENSOR or weight", place=part.field
            )
    if not frames:
        raise ProblemError(422, "scan: missing, expected one file at least", place="scan")
    return frames


def weight_of(sent: Form) -> Part | None:
    """The file of weights."""
    found = [part for part in sent.files if part.field == "weight"]
    if len(found) > 1 or (found and "gross_kg" in sent.texts):
        raise ProblemError(422, "weight: found two weights, expected one", place="weight")
    return found[0] if found else None


@router.get("/loads", summary="The newest loads first")
async def get_loads(
    request: Request,
    _: Reader,
    truck_id: Annotated[str | None, Query(max_length=200)] = None,
    district: Annotated[str | None, Query(max_length=200)] = None,
    status: Literal["ok", "degraded", "rejected"] | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: Annotated[int | None, Query(ge=1, le=500, description="50; of a file all, 20,000 at most")] = None,
    cursor: Annotated[str | None, Query(max_length=50)] = None,
) -> Response:
    wanted = filter_of(since, until, truck_id=truck_id, district=district, status=status)
    store = request.app.state.service.store
    accepted = request.headers.get("accept", "")
    kind = next((kind for kind in (CSV, PARQUET) if kind in accepted), None)
    most = limit or (50 if kind is None else MOST_ROWS)
    rows, following = await store.reading(lambda c: list_loads(c, wanted, most, cursor))
    if kind is None:
        return json_answer({"items": [summary(row) for row in rows], "next": following})
    content = await asyncio.get_running_loop().run_in_executor(None, exported, rows, kind)
    headers = {"Content-Disposition": f'attachment; filename="loads.{"csv" if kind == CSV else "parquet"}"'}
    return Response(content, headers=headers | ({"X-Next-Cursor": following} if following else {}), media_type=kind)


@router.get("/loads/{load_id}", summary="One load with its whole result")
async def get_load(request: Request, _: Reader, load_id: LoadId) -> Response:
    return json_answer(document(await stored(request, load_id)))


async def stored(request: Request, load_id: str) -> Any:
    """A load's row; ProblemError 404 without."""
    row = await request.app.state.service.store.reading(lambda c: find_load(c, load_id))
    if row is None:
        raise ProblemError(404, f"there is no load {load_id}")
    return row


@router.get("/loads/{load_id}/scene", summary="Bed, surface and points for a 3-D view; docs/serve.md has the format")
async def get_scene(request: Request, _: Reader, load_id: LoadId) -> Response:
    content = await scene_of(request.app.state.service, await stored(request, load_id))
    return Response(content, media_type="application/octet-stream")


async def scene_of(service: Any, row: Any) -> bytes:
    """The scene of a stored load; ProblemError 404 where its scans are not kept or show nothing."""
    frames = json.loads(row.scans)
    loop = asyncio.get_running_loop()
    paths = [await loop.run_in_executor(service.files, service.scans.path, kept) for _, kept in frames]
    if not paths or None in paths or row.status == "rejected":
        raise ProblemError(404, f"there are no scans of load {row.load_id} that show it")
    truck = await service.fleet.file(row.truck_version)
    output = service.incoming / secrets.token_hex(16)
    scans = [(sensor, str(path), kept) for (sensor, kept), path in zip(frames, paths, strict=True)]
    try:
        await service.crew.do(
            {"kind": "scene", "truck": str(truck), "scans": scans, "output": str(output), "names": []}
        )
        content: bytes = await loop.run_in_executor(service.files, output.read_bytes)
        return content
    finally:
        output.unlink(missing_ok=True)
