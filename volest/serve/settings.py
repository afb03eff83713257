"""How a service is set up: the options of `volest serve`, checked against each other."""

from __future__ import annotations

import ipaddress
import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from volest.errors import InputError
from volest.schema import nearest

__all__ = ["Limits", "Settings"]

DEMO_ZONE = "Asia/Makassar"  # Balikpapan's


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may ask for."""

    body_bytes: int = 64 << 20  # of a request with scans
    points: int = 8_000_000  # of one scan
    memory_bytes: int = 4 << 30  # of a process that reads and estimates
    load_s: float = 60.0  # from the moment that a process takes it
    queue: int = 128  # loads that wait for a process
    per_s: float = 200.0  # requests of one token or address; 0: as many as come
    open_per_s: float = 5.0  # requests of one address without a token: checks of tickets, wrong tokens
    dawdle_s: float = 10.0  # a request, or a piece of one, that does not come
    bytes_per_s: float = 4096.0  # of a body, at least, on the whole
    streams: int = 200

    @classmethod
    def of(cls, told: Sequence[str]) -> Limits:
        """The limits with those that are told as NAME=NUMBER."""
        kinds: dict[str, type[int | float]] = {name: type(value) for name, value in asdict(cls()).items()}
        changed: dict[str, Any] = {}
        for text in told:
            name, _, number = text.partition("=")
            if name not in kinds:
                raise InputError(f"--limit: found {name!r}, expected {nearest(name, kinds)}")
            try:
                changed[name] = kinds[name](float(number))
            except (ValueError, OverflowError):
                raise InputError(f"--limit {name}: found {number!r}, expected a number") from None
            if not 0 <= changed[name] < 1e15:
                raise InputError(f"--limit {name}: found {number}, expected a number from 0 on")
        return replace(cls(), **changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the service listens, where it keeps what it is given, and who may ask."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    database: str | None = None  # None: a file in `data`
    scans: str | None = None  # None: a folder in `data`; else a folder or the URL of a bucket
    auth: bool = True
    proxy: str | None = None  # addresses whose X-Forwarded-For is believed
    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    mqtt: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    districts: Path | None = None
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    demo: bool = False
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, told: Namespace) -> Settings:
        """From the options of the command line; InputError for what does not go together."""
        names = ("host", "port", "database", "scans", "proxy", "mqtt", "tls_cert", "tls_key", "tls_client_ca")
        chosen = {name: getattr(told, name) for name in (*names, "districts", "demo")}
        chosen |= {} if told.workers is None else {"workers": told.workers}
        chosen |= {} if told.timezone is None else {"timezone": _timezone(told.timezone)}
        chosen |= {"timezone": ZoneInfo(DEMO_ZONE)} if told.demo and told.timezone is None else {}
        settings = cls(data=told.data or Path("volest-data"), auth=True, limits=Limits.of(told.limit), **chosen)
        return replace(settings, auth=not (told.no_auth or (told.demo and settings.on_loopback)))

    def __post_init__(self) -> None:
        if not self.auth and not self.on_loopback:
            raise InputError(f"--no-auth: found --host {self.host}, expected 127.0.0.1, ::1 or localhost")
        if not self.auth and self.proxy is not None:
            raise InputError("--no-auth: found --proxy, behind which anyone may come; expected one of the two")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("--tls-cert: found one of --tls-cert and --tls-key, expected both or none")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise InputError("--tls-client-ca: found no --tls-cert, expected one")

    @property
    def on_loopback(self) -> bool:
        """Whether only this computer can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _timezone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"--timezone: found {name!r}, expected a name such as Asia/Makassar") from None
