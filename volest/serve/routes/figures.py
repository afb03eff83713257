"""Figures of many loads: totals, today, districts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from volest.serve.problems import ProblemError
from volest.serve.routes.answers import PROBLEMS, json_answer
from volest.serve.routes.filters import filter_of
from volest.serve.security import Reader

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["figures"], responses=PROBLEMS)


async def _beside(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


@router.get("/summaries", summary="Totals with their intervals")
async def get_summaries(
    request: Request,
    _: Reader,
    by: Literal["day", "truck", "district", "source"] = "day",
    since: str | None = None,
    until: str | None = None,
) -> Response:
    wanted = filter_of(since, until)
    figures = request.app.state.service.figures
    return json_answer({"items": await _beside(figures.summaries, by, wanted.since_us, wanted.until_us)})


@router.get("/today", summary="The figures of this day, in the service's time zone")
async def get_today(request: Request, _: Reader) -> Response:
    service = request.app.state.service
    day = datetime.now(service.settings.timezone).date().isoformat()
    return json_answer(await _beside(service.figures.day, day))


@router.get("/districts", summary="Totals of each district, and where its loads are")
async def get_districts(request: Request, _: Reader) -> Response:
    service = request.app.state.service
    items = await _beside(service.figures.districts)
    return json_answer({"items": items, "has_borders": service.settings.districts is not None})


@router.get("/districts.geojson", summary="The city's own map of its districts")
async def get_map(request: Request, _: Reader) -> Response:
    file = request.app.state.service.settings.districts
    if file is None:
        raise ProblemError(404, "the service was started without --districts")
    return FileResponse(file, media_type="application/geo+json")
