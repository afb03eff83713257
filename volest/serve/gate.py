"""What stands before the application: bounds on each request in size and time, headers of each answer, counts."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from volest.serve.problems import ProblemError, problem
from volest.serve.settings import Settings

__all__ = ["Gate"]

SMALL_BYTES = 1 << 20
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_HSTS = (b"strict-transport-security", b"max-age=31536000")
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Gate:
    """ASGI middleware. Without tokens it also keeps out what a browser sends for other sites."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Any) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send, self._settings)
        started = time.perf_counter()
        try:
            try:
                self._check(scope)
                passage.check_length()
                await self._app(scope, passage.receive, passage.send)
            except ProblemError as error:
                if not passage.begun:
                    await problem(error, scope["path"])(scope, receive, passage.send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(scope["method"][:10], route, passage.status).inc()
            if route != "/v1/stream":
                self._metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        if self._settings.auth:
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = urlsplit(f"//{headers.get(b'host', '')}").hostname
        if host not in LOCAL_NAMES:
            raise ProblemError(403, f"Host: found {str(host)[:50]!r}, expected localhost, for no tokens are asked for")
        if b"x-forwarded-for" in headers or b"forwarded" in headers:
            raise ProblemError(403, "found a proxy, expected none, for no tokens are asked for")
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
            raise ProblemError(403, "Origin: found another site, expected none, for no tokens are asked for")


class _Passage:
    """The two ways of one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._limits, self._tls = settings.limits, scope["scheme"] == "https"
        self._most = self._limits.body_bytes if scope["method"] in ("POST", "PUT") else SMALL_BYTES
        self._bytes, self._started = 0, time.monotonic()
        self.begun, self.status = False, 0
        self._whole = not {b"content-length", b"transfer-encoding"} & {name for name, _ in scope["headers"]}

    def check_length(self) -> None:
        """What the request says of its size."""
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:20]) > self._most:
                raise self._too_large()

    def _too_large(self) -> ProblemError:
        return ProblemError(413, f"found a body of more than {self._most} bytes, expected less")

    async def receive(self) -> Message:
        """The next piece, in time."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._limits.dawdle_s):
                message = await self._receive()
        except TimeoutError:
            raise ProblemError(408, f"nothing came for {self._limits.dawdle_s:g} s") from None
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._bytes > self._most:
                raise self._too_large()
            since_s = time.monotonic() - self._started - self._limits.dawdle_s
            if not self._whole and since_s > 0 and self._bytes < since_s * self._limits.bytes_per_s:
                raise ProblemError(408, f"found less than {self._limits.bytes_per_s:g} bytes a second, expected more")
        return message

    async def send(self, message: Message) -> None:
        """The next piece of the answer, in time: who does not read is let go."""
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            known = {name for name, _ in message["headers"]}
            added = [header for header in _HEADERS if header[0] not in known]
            added += [_HSTS] if self._tls else []
            added += [] if b"cache-control" in known else [(b"cache-control", b"no-store")]
            added += [(b"connection", b"close")] if not self._whole and self.status >= 400 else []
            message = {**message, "headers": [*message["headers"], *added]}
        async with asyncio.timeout(self._limits.dawdle_s * 3):
            await self._send(message)
