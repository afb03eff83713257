"""Printable tickets of loads, and the check by which anyone finds out whether one is true."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from volest.serve.problems import ProblemError
from volest.serve.records import document
from volest.serve.routes.answers import PROBLEMS, json_answer
from volest.serve.routes.loads import LoadId, scene_of, stored
from volest.serve.security import Reader, address_of
from volest.serve.tables import loads
from volest.serve.ticket import Texts, grouped, picture_svg, plain_code, qr_svg
from volest.serve.times import shown_time

__all__ = ["router"]

router = APIRouter(tags=["tickets"], responses=PROBLEMS)
PAGE = FilePath(__file__).parents[1] / "page"
Language = Literal["en", "id"]
Code = Annotated[str, Path(min_length=1, max_length=40)]
SHOWN = ("status", "volume_m3", "net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction", "waste_class")


@cache
def _texts(lang: str) -> Texts:
    try:
        return Texts(PAGE, lang)
    except FileNotFoundError:
        raise ProblemError(404, "this installation has no page") from None


@router.get("/v1/loads/{load_id}/ticket", summary="A ticket to print", response_class=HTMLResponse)
async def get_ticket(request: Request, _: Reader, load_id: LoadId, lang: Language = "en") -> Response:
    service = request.app.state.service
    row = await stored(request, load_id)
    texts, url = _texts(lang), f"{request.base_url!s}check/{row.ticket_code}"
    try:
        picture = picture_svg(await scene_of(service, row))
    except ProblemError:
        picture = ""
    content = texts.filled(
        "ticket.html",
        load=msgspec.json.decode(msgspec.json.encode(document(row))),
        code=grouped(row.ticket_code),
        check_url=url,
        qr_svg=qr_svg(url),
        picture_svg=picture,
        time=_local(request, row.time_us),
        demo=service.settings.demo,
    )
    return HTMLResponse(content)


@router.get("/v1/tickets/{code}", summary="Whether a ticket is true, and what it has to say")
async def get_check(request: Request, code: Code) -> Response:
    row = await _found(request, code)
    if row is None:
        raise ProblemError(404, "no ticket has this code")
    return json_answer(_ticket(row))


@router.get("/check/{code}", summary="The same as a page", response_class=HTMLResponse)
async def get_check_page(request: Request, code: Code, lang: Language = "id") -> Response:
    row = await _found(request, code)
    content = _texts(lang).filled(
        "check.html",
        valid=row is not None,
        ticket=None if row is None else _ticket(row),
        code=grouped(plain_code(code)),
        time=None if row is None else _local(request, row.time_us),
        demo=request.app.state.service.settings.demo,
    )
    return HTMLResponse(content, 200 if row is not None else 404)


async def _found(request: Request, code: str) -> Any:
    service = request.app.state.service
    service.open_rates.take(address_of(request))
    query = sa.select(loads).where(loads.c.ticket_code == plain_code(code))
    return await service.store.reading(lambda c: c.execute(query).one_or_none())


def _ticket(row: Any) -> dict[str, Any]:
    result = json.loads(row.result)
    told = {"valid": True, "load_id": row.load_id, "truck_id": row.truck_id, "time": shown_time(row.time_us)}
    return told | {"district": row.district} | {name: result[name] for name in SHOWN}


def _local(request: Request, time_us: int) -> str:
    zone = request.app.state.service.settings.timezone
    return datetime.fromtimestamp(time_us * 1e-6, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
