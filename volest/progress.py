"""Tells on standard error what is being done, once it takes longer than a second."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID
    from rich.status import Status

__all__ = ["Bar", "Progress"]

PATIENCE_S = 1.0


class Bar:
    """A context in which `tell(done, total)` draws a bar with the remaining time: a line each tenth elsewhere.

    With a `unit` it tells, too, how many of them are done in a second.
    """

    def __init__(self, text: str, unit: str = "") -> None:
        self._text, self._unit = text, unit
        self._started = time.monotonic()
        self._tenth = 0
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as RichProgress
            from rich.progress import TextColumn

            columns = [*RichProgress.get_default_columns()]
            columns += [TextColumn("{task.fields[rate]}")] if self._unit else []
            self._bar = RichProgress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(self._text, total=None, rate="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, done: int, total: int, text: str = "") -> None:
        """So many of so many are done, of what is under way or of `text`, which begins; 0: of unknown many."""
        if text and text != self._text:
            self._text, self._tenth, self._started = text, 0, time.monotonic()
        if self._bar is not None and self._task is not None:
            told = f"{self._rate(done):.0f} {self._unit}/s"
            self._bar.update(self._task, description=self._text, completed=done, total=total or None, rate=told)
        elif total and 10 * done // total > self._tenth:
            self._tenth = 10 * done // total
            rate = self._rate(done)
            told = f", {rate:.0f} {self._unit}/s, {(total - done) / rate:.0f} s left" if self._unit else ""
            print(f"volest: {self._text}: {done} of {total}{told}", file=sys.stderr, flush=True)

    def _rate(self, done: int) -> float:
        return max(done, 1) / max(time.monotonic() - self._started, 1e-3)


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
