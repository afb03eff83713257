"""Who may ask, for what, and how often: tokens with roles, and buckets that fill again."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy.engine import Connection

from volest.serve.problems import ProblemError
from volest.serve.store import Store
from volest.serve.tables import audit, tokens

__all__ = [
    "ANYONE",
    "Edge",
    "Operator",
    "Rates",
    "Reader",
    "Role",
    "Tokens",
    "Who",
    "now_us",
    "record",
    "sender",
]

Role = Literal["edge", "reader", "operator"]
ROLES: tuple[Role, ...] = ("edge", "reader", "operator")
SENDERS: tuple[Role, ...] = ("edge", "operator")
PREFIX = "volest_"  # by which scanners of sources find a secret that was left in one
MOST_BUCKETS = 50_000
BURST_S = 4.0


@dataclass(frozen=True, slots=True)
class Who:
    """The token of a request, or that there need be none."""

    name: str
    role: Role
    address: str


ANYONE = "anyone on this computer"


class Tokens:
    """The tokens of a service. Of a secret only its SHA-256 is kept: it has 256 bits, which nobody tries out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[str, Role]] = {}

    def load(self) -> None:
        """Read them all; they are few."""
        rows = self._store.read(lambda c: c.execute(sa.select(tokens)).all())
        self._known = {row.secret_sha256: (row.name, row.role) for row in rows}

    def find(self, secret: str) -> tuple[str, Role] | None:
        """Name and role of a token."""
        return self._known.get(_digest(secret))

    @property
    def has_operator(self) -> bool:
        """Whether anybody may make others."""
        return any(role == "operator" for _, role in self._known.values())

    def create(self, name: str, role: Role) -> tuple[dict[str, Any], str]:
        """A new token's row, to be written, and its secret."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = {"token_id": secrets.token_hex(8), "name": name, "role": role, "created_us": now_us()}
        return row | {"secret_sha256": _digest(secret)}, secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class Rates:
    """How often each may ask: a bucket a name, which fills at a rate and holds so many seconds of it."""

    def __init__(self, per_s: float, burst_s: float = BURST_S) -> None:
        self._per_s, self._burst = per_s, per_s * burst_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Take one; ProblemError 429 from an empty bucket."""
        if self._per_s <= 0:
            return
        now = time.monotonic()
        left, since = self._buckets.pop(name, (self._burst, now))
        left = min(self._burst, left + self._per_s * (now - since))
        self._buckets[name] = (max(left - 1.0, 0.0) if left >= 1.0 else left, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if left < 1.0:
            raise ProblemError(429, "too many requests", retry_after_s=(1.0 - left) / self._per_s)


_bearer = HTTPBearer(auto_error=False, description="A token of the service")


def address_of(request: Request) -> str:
    """Where a request comes from; behind a proxy that is believed, from whom it says."""
    return request.client.host if request.client else "unknown"


async def _who(request: Request) -> Who:  # no thread of its own: it waits for nothing
    service = request.app.state.service
    address = address_of(request)
    if not service.settings.auth:
        service.rates.take(address)
        return Who(ANYONE, "operator", address)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        service.open_rates.take(address)
        raise ProblemError(401, "found no token, expected Authorization: Bearer TOKEN")
    found = service.tokens.find(secret.strip())
    if found is None:
        service.open_rates.take(address)
        service.refused(address)
        raise ProblemError(401, "found a token that is not known, or was taken back")
    service.rates.take(found[0])
    name, role = found
    return Who(name, role, address)


def _with_role(*roles: Role) -> Any:
    async def check(who: Annotated[Who, Depends(_who)], _: Annotated[Any, Depends(_bearer)]) -> Who:
        return _in_role(who, roles)

    return Depends(check)


def _in_role(who: Who, roles: tuple[Role, ...]) -> Who:
    if who.role not in roles:
        raise ProblemError(403, f"found a token with the role {who.role}, expected {' or '.join(roles)}")
    return who


async def sender(request: Request) -> Who:
    """What `Edge` stands for, of a request that FastAPI does not see."""
    return _in_role(await _who(request), SENDERS)


Anyone = Annotated[Who, _with_role("edge", "reader", "operator")]
Reader = Annotated[Who, _with_role("reader", "operator")]
Operator = Annotated[Who, _with_role("operator")]
Edge = Annotated[Who, _with_role(*SENDERS)]


def record(connection: Connection, who: Who, action: str, subject: str) -> None:
    """Note who did what, in the same transaction."""
    values = {"time_us": now_us(), "who": who.name, "address": who.address, "action": action, "subject": subject[:200]}
    connection.execute(sa.insert(audit).values(values))


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
