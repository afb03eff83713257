"""What both ways of delivery share: when to try again, and what is known of the receiver."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Backoff", "Contact", "Delivery", "Pause"]

FIRST_S, MOST_S = 0.5, 60.0
REFUSED_AGAIN_S = 3600.0  # a document that was refused for good is offered again: the receiver may have been mended


class Delivery(Protocol):
    """Takes documents from the outbox to the receiver, in a thread of its own, until `stop` is set."""

    def run(self, stop: threading.Event) -> None:
        """Deliver; whatever the network does is no error."""


class Backoff:
    """How long to wait after each failure in a row: twice as long each time, up to a minute; no two trucks alike."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._failures, self._draw = 0, draw

    def wait_s(self, told_s: float | None = None) -> float:
        """The next wait; the receiver's own wish (Retry-After) is heeded, and a little more."""
        most = min(MOST_S, FIRST_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        wait = self._draw(0.5 * most, most)
        return wait if told_s is None else max(wait, told_s + self._draw(0.0, 1.0))

    def reset(self) -> None:
        """It worked."""
        self._failures = 0


@dataclass(slots=True)
class Contact:
    """What the receiver said; written by the thread that delivers, read by the one that tells of health."""

    delivered: int = 0
    skew_s: float | None = None  # our clock less the receiver's
    problem: str | None = None  # what hinders delivery now
    heard_s: float | None = None  # monotonic
    _refused: dict[str, tuple[float, str]] = field(default_factory=dict)

    def heard(self, receiver_s: float | None = None, about_s: float = 0.0) -> None:
        """The receiver answered; its clock, since 1970, is known to `about_s`."""
        self.heard_s, self.problem = time.monotonic(), None
        if receiver_s is not None:
            skew_s = time.time() - receiver_s
            self.skew_s = skew_s if abs(skew_s) > about_s else 0.0

    def refuse(self, name: str, reason: str) -> None:
        """A document that the receiver will not have: it waits, and the others pass it."""
        self._refused[name] = (time.monotonic() + REFUSED_AGAIN_S, reason)

    def refused(self) -> dict[str, str]:
        """Ids and reasons of those that are not to be offered now."""
        now = time.monotonic()
        self._refused = {name: entry for name, entry in self._refused.items() if entry[0] > now}
        return {name: reason for name, (_, reason) in self._refused.items()}


class Pause(Exception):  # noqa: N818
    """Delivery has to wait: why, and how long if the receiver said so."""

    def __init__(self, reason: str, told_s: float | None = None) -> None:
        super().__init__(" ".join(reason.split())[:300])
        self.told_s = told_s
