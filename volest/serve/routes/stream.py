"""New loads as they come."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from volest.serve.problems import ProblemError
from volest.serve.routes.answers import PROBLEMS
from volest.serve.security import Reader

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["stream"], responses=PROBLEMS)


@router.get(
    "/stream",
    summary="Server-sent events of new loads; Last-Event-ID goes on from there",
    response_class=StreamingResponse,
)
async def get_stream(request: Request, _: Reader) -> Response:
    service = request.app.state.service
    told = request.headers.get("last-event-id", "")
    if told and not re.fullmatch(r"[0-9]{1,18}", told):
        raise ProblemError(422, f"Last-Event-ID: found {told[:40]!r}, expected a number", place="Last-Event-ID")
    if service.stream.listeners >= service.settings.limits.streams:
        raise ProblemError(503, "as many listen as may", retry_after_s=30)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    events = service.stream.events(int(told) if told else None)
    return StreamingResponse(events, headers=headers, media_type="text/event-stream")
