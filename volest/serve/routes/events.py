"""Documents of `volest edge` over HTTP, as docs/edge.md has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Header, Request, Response

from volest.edge.event import key_of
from volest.errors import InputError
from volest.serve.events import Event, add_event, read_event
from volest.serve.problems import ProblemError
from volest.serve.routes.answers import PROBLEMS, json_answer
from volest.serve.security import Edge

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["events"], responses=PROBLEMS)
MOST_EVENTS = 1000
_EVENT = {
    "type": "object",
    "required": ["schema", "id", "truck_id", "seq", "kind", "recorded"],
    "properties": {
        "schema": {"const": "volest/event/1"},
        "id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "truck_id": {"type": "string", "minLength": 1, "maxLength": 200},
        "seq": {"type": "integer", "minimum": 0},
        "kind": {"enum": ["entry", "scan", "health"]},
        "recorded": {"type": "string"},
        "entry": {"type": "object"},
        "scan": {"type": "object"},
        "health": {"type": "object"},
    },
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT}]}}},
    }
}


@router.post("/events", openapi_extra=_BODY, summary="One document of an agent, or an array; answered when committed")
async def post_events(
    request: Request, who: Edge, idempotency_key: Annotated[str | None, Header(max_length=100)] = None
) -> Response:
    service = request.app.state.service
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ProblemError(415, "found another content type, expected application/json")
    told = _read(await request.body(), service.offset_min)
    if idempotency_key is not None and idempotency_key != key_of([event.event_id for event in told]):
        raise ProblemError(400, "Idempotency-Key: found another than that of the documents", place="Idempotency-Key")

    def write(connection: sa.Connection) -> list[bool]:
        return [add_event(connection, event, who.name) for event in told]

    new = await service.store.writing(write)
    service.committed(told, new)
    return json_answer({"committed": len(told), "new": sum(new)}, 201 if any(new) else 200)


def _read(body: bytes, offset_min: Callable[[int], int]) -> list[Event]:
    try:
        several = body.lstrip()[:1] == b"["
        raw = msgspec.json.decode(body, type=list[msgspec.Raw]) if several else [body]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, f"no valid JSON: {error}") from None
    if not 0 < len(raw) <= MOST_EVENTS:
        raise ProblemError(422, f"found {len(raw)} documents, expected 1 to {MOST_EVENTS}")
    found = []
    for number, document in enumerate(raw):
        try:
            found.append(read_event(bytes(document), offset_min))
        except InputError as error:
            raise ProblemError(422, str(error), place=f"[{number}]" if several else None) from None
    return found
