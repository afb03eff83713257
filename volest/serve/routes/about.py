"""The service itself: is it well, who asks, what does it count."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from volest._version import __version__
from volest.serve.routes.answers import PROBLEMS, json_answer
from volest.serve.security import Anyone, now_us
from volest.serve.times import shown_time

__all__ = ["router"]

router = APIRouter(tags=["about"], responses=PROBLEMS)


@router.get("/v1/health", summary="Whether it is well: its database answers")
async def get_health(request: Request) -> Response:
    service = request.app.state.service
    await service.store.reading(lambda c: c.scalar(sa.select(1)))
    told = {"status": "ok", "version": __version__, "now": shown_time(now_us()), "demo": service.settings.demo}
    return json_answer(told)


@router.get("/v1/me", summary="The role of the token")
async def get_me(request: Request, who: Anyone) -> Response:
    settings = request.app.state.service.settings
    return json_answer(
        {"role": who.role, "name": who.name, "auth": "token" if settings.auth else "off", "demo": settings.demo}
    )


@router.get("/metrics", summary="Counts, for Prometheus")
async def get_metrics(request: Request) -> Response:
    service = request.app.state.service
    metrics = service.metrics
    metrics.waiting.set(service.crew.waiting)
    metrics.restarts.set(service.crew.restarts)
    metrics.listeners.set(service.stream.listeners)
    return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
