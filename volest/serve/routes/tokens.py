"""Tokens, and the record of who did what."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from volest.serve.problems import ProblemError
from volest.serve.routes.answers import PROBLEMS, json_answer
from volest.serve.security import Operator, Role, record
from volest.serve.tables import audit, tokens
from volest.serve.times import shown_time

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["tokens"], responses=PROBLEMS)


class NewToken(BaseModel):
    """What a token is for."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
    role: Role


@router.get("/tokens", summary="All tokens, without their secrets")
async def get_tokens(request: Request, _: Operator) -> Response:
    query = sa.select(tokens).order_by(tokens.c.created_us)
    rows = await request.app.state.service.store.reading(lambda c: c.execute(query).all())
    return json_answer({"items": [_token(row._mapping) for row in rows]})


@router.post("/tokens", status_code=201, summary="A new token; its secret is told this once")
async def post_token(request: Request, who: Operator, wanted: NewToken) -> Response:
    service = request.app.state.service
    row, secret = service.tokens.create(wanted.name, wanted.role)

    def write(connection: sa.Connection) -> None:
        connection.execute(sa.insert(tokens).values(row))
        record(connection, who, "create token", f"{row['token_id']} {wanted.role} {wanted.name}")

    await service.store.writing(write)
    await service.store.reading(lambda _: service.tokens.load())
    return json_answer(_token(row) | {"secret": secret}, 201)


@router.delete("/tokens/{token_id}", status_code=204, summary="Take a token back")
async def delete_token(
    request: Request, who: Operator, token_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
) -> Response:
    service = request.app.state.service

    def write(connection: sa.Connection) -> None:
        row = connection.execute(sa.select(tokens).where(tokens.c.token_id == token_id)).one_or_none()
        if row is None:
            raise ProblemError(404, f"there is no token {token_id}")
        operators = connection.scalar(sa.select(sa.func.count()).where(tokens.c.role == "operator"))
        if row.role == "operator" and operators == 1:
            raise ProblemError(409, "it is the last operator's, and nobody could make another")
        connection.execute(sa.delete(tokens).where(tokens.c.token_id == token_id))
        record(connection, who, "delete token", f"{token_id} {row.role} {row.name}")

    await service.store.writing(write)
    await service.store.reading(lambda _: service.tokens.load())
    return Response(status_code=204)


def _token(row: Any) -> dict[str, Any]:
    told = {name: row[name] for name in ("token_id", "name", "role")}
    return told | {"created": shown_time(row["created_us"])}


@router.get("/audit", summary="Who did what, the latest first")
async def get_audit(
    request: Request,
    _: Operator,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
) -> Response:
    query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    query = query if before is None else query.where(audit.c.seq < before)
    rows = await request.app.state.service.store.reading(lambda c: c.execute(query).all())
    names = ("seq", "who", "address", "action", "subject")
    items = [{name: row._mapping[name] for name in names} | {"time": shown_time(row.time_us)} for row in rows]
    return json_answer({"items": items})
