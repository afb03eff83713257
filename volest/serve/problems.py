"""Problem documents (RFC 9457): what went wrong, in the command line's words."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from volest.errors import InputError
from volest.serve.store import StoreError

__all__ = ["ProblemError", "install", "problem"]

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("volest.serve")


class ProblemError(Exception):
    """An answer that is a problem document."""

    def __init__(
        self, status: int, detail: str, *, place: str | None = None, retry_after_s: float | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.place, self.retry_after_s = status, detail, place, retry_after_s
        self.more = more


def problem(error: ProblemError, instance: str) -> Response:
    """The response that tells of it."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
    }
    if error.place is not None:
        document["place"] = error.place
    headers = {} if error.retry_after_s is None else {"Retry-After": str(max(1, round(error.retry_after_s)))}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="volest"'
    return Response(msgspec.json.encode(document | error.more), error.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer each error of the application with a problem document."""

    @app.exception_handler(ProblemError)
    async def _told(request: Request, error: ProblemError) -> Response:
        return problem(error, request.url.path)

    @app.exception_handler(InputError)
    async def _input(request: Request, error: InputError) -> Response:
        return problem(ProblemError(422, str(error)), request.url.path)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return problem(ProblemError(422, f"{place or 'body'}: {first['msg']}", place=place), request.url.path)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        answer = problem(ProblemError(error.status_code, str(error.detail)), request.url.path)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> Response:
        _log.error("the database: %s", error)
        told = ProblemError(503, "the database cannot be used now; nothing of this request was kept", retry_after_s=5)
        return problem(told, request.url.path)

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, error: Exception) -> Response:
        _log.error("unforeseen in %s %s", request.method, request.url.path, exc_info=error)
        return problem(ProblemError(500, f"unforeseen: {type(error).__name__}"), request.url.path)
