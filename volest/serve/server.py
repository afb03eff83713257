"""The HTTP server: uvicorn, which by itself waits for ever for a request that does not come in whole."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from volest.edge.systemd import Notifier
from volest.errors import InputError
from volest.serve.app import application
from volest.serve.service import Service
from volest.serve.settings import Settings

__all__ = ["serve"]

MOST_HEAD_BYTES = 32768
STOP_S = 20
BACKLOG = 512
REFUSAL = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def serve(settings: Settings) -> None:
    """Serve until a signal ends it. Raises InputError where it cannot be set up."""
    service = Service(settings)
    config = uvicorn.Config(
        application(service),
        host=settings.host,
        port=settings.port,
        http=_protocol(settings),
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        proxy_headers=settings.proxy is not None,
        forwarded_allow_ips=settings.proxy or "",
        timeout_graceful_shutdown=STOP_S,
        timeout_keep_alive=30,
        **_tls(settings),
    )
    _Server(config, service).run()


class _Server(uvicorn.Server):
    """Ends the stream first when it is to stop: uvicorn waits for all answers."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service, self._notifier = service, Notifier()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            scheme = "https" if self.config.is_ssl else "http"
            port = self.servers[0].sockets[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            print(f"volest serve: {scheme}://{host}:{port}/", flush=True)
            self._notifier.tell("READY=1")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the service with status 0; uvicorn's own would raise them again."""
        handlers = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        self._notifier.alive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: Any = None) -> None:
        self._notifier.tell("STOPPING=1")
        await self._service.stream.end()
        await super().shutdown(sockets)


def _protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """HTTP/1.1 whose heads have to come in time and not too long."""
    dawdle_s = settings.limits.dawdle_s

    class Protocol(HttpToolsProtocol):
        """Between a connection's first byte, or its being made, and a whole head runs a clock."""

        _clock: asyncio.TimerHandle | None = None
        _head_bytes = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            if self._clock is None and (self.cycle is None or self.cycle.response_complete):
                self._head_bytes = 0
                self._wait()
            if self._clock is not None:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._clock is not None and self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

        def on_headers_complete(self) -> None:
            self._rest()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._rest()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._clock = self.loop.call_later(dawdle_s, self._refuse, b"408 Request Timeout")

        def _rest(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
            self._clock, self._head_bytes = None, 0

        def _refuse(self, status: bytes) -> None:
            self._rest()
            if not self.transport.is_closing():
                self.transport.write(REFUSAL % status)
                self.transport.close()

    return Protocol


def _tls(settings: Settings) -> dict[str, Any]:
    if settings.tls_cert is None:
        return {}
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.tls_client_ca)
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"--tls-cert: cannot be used ({error}), expected certificates and a key in PEM") from None
    told = {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key, "ssl_ca_certs": settings.tls_client_ca}
    return told | {"ssl_cert_reqs": ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE}
