"""Tells on standard error what is being done, once it takes longer than a second."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

__all__ = ["Progress"]

PATIENCE_S = 1.0


class Progress:
    """A context in which `tell(text)` names the step under way: a spinner on a terminal, a line a step elsewhere."""

    def __init__(self) -> None:
        self._step = ""
        self._status: Status | None = None
        self._speaking = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE_S, self._speak)
        self._timer.daemon = True

    def __enter__(self) -> Progress:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._speaking = False
            if self._status is not None:
                self._status.stop()

    def tell(self, text: str) -> None:
        """Name the step that begins."""
        with self._lock:
            self._step = text
            if self._speaking:
                self._show()

    def _speak(self) -> None:
        with self._lock:
            self._speaking = True
            self._show()

    def _show(self) -> None:
        if not sys.stderr.isatty():
            print(f"volest: {self._step} ...", file=sys.stderr, flush=True)
        elif self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True).status(f"{self._step} ...")
            self._status.start()
        else:
            self._status.update(f"{self._step} ...")
