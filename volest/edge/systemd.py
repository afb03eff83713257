"""What systemd is told of the agent (sd_notify(3)): a datagram to the socket that it names."""

from __future__ import annotations

import contextlib
import os
import socket
import time

__all__ = ["Notifier"]


class Notifier:
    """Says that the agent runs; nothing happens where nobody asked."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._every_s = _watchdog_s() / 3.0
        self._next_s = 0.0

    def tell(self, state: str) -> None:
        """Such as READY=1, STOPPING=1 or STATUS=..."""
        if self._address:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0.1)
                sender.sendto(state.encode(), self._address)

    def alive(self) -> None:
        """The loop that measures has come round; told three times in a watchdog's time."""
        now = time.monotonic()
        if self._every_s and now >= self._next_s:
            self._next_s = now + self._every_s
            self.tell("WATCHDOG=1")


def _watchdog_s() -> float:
    micro = os.environ.get("WATCHDOG_USEC", "")
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(micro) * 1e-6 if micro.isdecimal() and ours else 0.0
