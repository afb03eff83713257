"""Answers that are JSON already, and what OpenAPI says of them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response

__all__ = ["PROBLEMS", "form", "json_answer"]

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "place": {"type": "string"},
    },
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": _PROBLEM}}}
    for status, text in {
        400: "Not to be read as HTTP or as a form",
        401: "No token, or an unknown one",
        403: "The token's role is another",
        404: "Not there",
        408: "It came too slowly",
        409: "The id is another's",
        413: "Too large",
        415: "Another content type",
        422: "Input that cannot be used, for the reason told",
        429: "Too many requests; see Retry-After",
        503: "Too much to do; see Retry-After",
    }.items()
}


def json_answer(value: Any, status: int = 200, **headers: str) -> Response:
    """A response of JSON."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def form(required: dict[str, str], optional: dict[str, str]) -> dict[str, Any]:
    """OpenAPI of a form: name -> "text", "number", "file" or "files"."""
    kinds: dict[str, Any] = {
        "text": {"type": "string", "minLength": 1, "maxLength": 200},
        "time": {"type": "string", "format": "date-time"},
        "number": {"type": "number"},
        "file": {"type": "string", "format": "binary"},
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1},
    }
    schema = {
        "type": "object",
        "required": list(required),
        "properties": {name: kinds[kind] for name, kind in (required | optional).items()},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
