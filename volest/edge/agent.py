"""The agent: events from the source to the tracker, its entries to the outbox, and a thread that delivers them."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from volest.edge.config import EdgeConfig
from volest.edge.delivery import Contact, Delivery
from volest.edge.event import Document
from volest.edge.health import Health, Watched
from volest.edge.http import HttpDelivery
from volest.edge.mark import Mark
from volest.edge.mqtt import MqttDelivery
from volest.edge.outbox import Outbox, OutboxFullError
from volest.edge.source import Event, Live, Replay, Source
from volest.edge.systemd import Notifier
from volest.estimator import Estimator
from volest.track import Entry, Tracker

__all__ = ["Agent", "run"]

REACHED_EVERY_S = 1.0  # as often a replay notes how far it is
RETRY_S = 1.0  # as often what found no room on the disk is tried again
SAME_WORDS_S = 60.0  # as often the same is said
TICK_S = 0.1
STOP_S = 0.3  # as long a delivery under way is waited for; it will be made again


def run(config: EdgeConfig) -> None:
    """Run the agent until SIGTERM or SIGINT, or until a replay is over and delivered.

    Raises InputError for what cannot be used of that which the configuration names.
    """
    say = _Speaker()
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        source: Source = Live(config, say.tell) if config.replay is None else Replay(config.replay)
        most_bytes = int(config.outbox.most_mb * 1e6)
        with closing(Outbox(config.outbox.path, source.truck.id, most_bytes)) as outbox:
            for sentence in outbox.told:
                say.tell(sentence)
            contact = Contact()
            delivery: Delivery
            if config.http is not None:
                delivery = HttpDelivery(config.http, source.truck.id, outbox, contact)
            else:
                assert config.mqtt is not None
                delivery = MqttDelivery(config.mqtt, source.truck.id, outbox, contact)
            Agent(config, source, outbox, delivery, contact, say.tell).run(stop)
    finally:
        stop.set()
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one event made: kept together, or not at all."""

    documents: list[Document]
    mark: Mark


class Agent:
    """Runs one source into one outbox."""

    def __init__(
        self,
        config: EdgeConfig,
        source: Source,
        outbox: Outbox,
        delivery: Delivery,
        contact: Contact,
        tell: Callable[[str], None],
    ) -> None:
        self._config, self._source, self._outbox, self._delivery = config, source, outbox, delivery
        self._tell = tell
        self._watched = Watched(Estimator(source.truck), config.outbox.scan_voxel_m, source.truck.id)
        self._health, self._contact = Health(config.health, outbox, contact, self._watched), contact
        self._notify = Notifier()
        self._mark = Mark.read(outbox.mark(source.name))
        self._unwritten: deque[_Batch] = deque()  # while the disk is full
        self._next_s = dict.fromkeys(("health", "status", "reached", "retry"), 0.0)
        self._next_s["health"] = time.monotonic() + min(config.health.every_s, 10.0)
        self._scanned_s = self._mark.reached_s

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set, or the source's day is over and delivered."""
        tracker = self._tracker()
        delivering = threading.Thread(target=self._delivery.run, args=(stop,), daemon=True, name="delivery")
        delivering.start()
        self._notify.tell("READY=1")
        time_s: float | None = None
        for event in self._source.events(stop, self._mark.reached_s):
            if not delivering.is_alive() and not stop.is_set():
                raise RuntimeError("the thread that delivers has ended")  # to be started again by systemd
            if event is not None:
                time_s = event.time_s
                self._take(tracker, event)
            self._tick(time_s)
            while isinstance(self._source, Replay) and self._unwritten and not stop.is_set():
                stop.wait(TICK_S)  # a day in files can wait until there is room
                self._tick(time_s)
            if stop.is_set():
                break
        if not stop.is_set():
            self._keep(tracker.finish(), [], self._mark)
            self._drain(stop, delivering, time_s)
        self._notify.tell("STOPPING=1")
        delivering.join(STOP_S)
        self._health.write_status(self._health.told(time_s))

    def _tracker(self) -> Tracker:
        """A replay goes through its day again, and makes the same entries; sensors go on from what is on the truck."""
        standing = self._mark.standing
        known = [] if isinstance(self._source, Replay) or standing is None else [standing]
        estimator: Estimator = self._watched  # type: ignore[assignment]  # all that the tracker calls of it
        return Tracker(self._source.truck, estimator=estimator, ledger=known)

    def _take(self, tracker: Tracker, event: Event) -> None:
        entries = event.happen(tracker)
        wanted = event.time_s > self._mark.reached_s
        due = event.time_s - self._scanned_s >= self._config.outbox.scan_every_s
        scans = self._watched.thinned(event.time_s, wanted and due)
        if scans:
            self._scanned_s = event.time_s
        self._keep(entries, scans, self._mark.reached(event.time_s))

    def _keep(self, entries: list[Entry], scans: list[Document], mark: Mark) -> None:
        """Entries that were told before are passed over; what is new goes to disk with the mark."""
        if entries and max(entry.end_s for entry in entries) <= mark.told_s:
            entries = []
        self._mark = mark.after(entries)
        now = time.monotonic()
        due = isinstance(self._source, Replay) and now >= self._next_s["reached"]
        if entries or scans or due:
            self._next_s["reached"] = now + REACHED_EVERY_S
            documents = [Document.entry(entry.to_dict()) for entry in entries] + scans
            self._unwritten.append(_Batch(documents, self._mark))
            self._write()

    def _write(self) -> None:
        """Write what waits for the disk, in its order; what finds no room is tried again."""
        while self._unwritten:
            batch = self._unwritten[0]
            try:
                self._outbox.append(batch.documents, self._source.name, batch.mark.written())
            except OutboxFullError as error:
                if self._health.disk_problem is None:
                    self._tell(str(error))
                self._health.disk_problem = str(error)
                self._next_s["retry"] = time.monotonic() + RETRY_S
                return
            self._unwritten.popleft()
            if self._health.disk_problem is not None:
                self._health.disk_problem = None
                self._tell(f"{self._outbox.path}: written again")

    def _tick(self, time_s: float | None) -> None:
        """What is to be done now and then: watchdog, health, status, another try to write."""
        self._notify.alive()
        now = time.monotonic()
        if self._unwritten and now >= self._next_s["retry"]:
            self._write()
        table = self._config.health
        if now >= self._next_s["status"] or now >= self._next_s["health"]:
            self._next_s["status"] = now + table.status_every_s
            self._health.count(self._source.counts())
            told = self._health.told(time_s)
            self._health.write_status(told)
            for problem in told["problems"]:
                self._tell(problem)
            if now >= self._next_s["health"]:
                self._next_s["health"] = now + table.every_s
                self._tell_health(told)
            self._notify.tell(f"STATUS={told['queued']} queued, {told['delivered']} delivered")

    def _tell_health(self, told: dict[str, object]) -> None:
        if self._unwritten:
            return  # results first
        mark = self._mark.written()
        try:
            self._outbox.append([Document.health(told)], self._source.name, mark)
        except OutboxFullError as error:
            self._health.disk_problem = str(error)
            self._unwritten.append(_Batch([], self._mark))  # found out again when there is room

    def _drain(self, stop: threading.Event, delivering: threading.Thread, time_s: float | None) -> None:
        """Wait until all is written and delivered."""
        while not stop.is_set() and delivering.is_alive():
            if not self._unwritten and self._outbox.waiting() <= len(self._contact.refused()):
                return
            self._tick(time_s)
            stop.wait(TICK_S)


class _Speaker:
    """Says things on standard error, the same thing once a minute."""

    def __init__(self) -> None:
        self._said_s: dict[str, float] = {}

    def tell(self, sentence: str) -> None:
        """From any thread."""
        now = time.monotonic()
        line = "".join(c if c.isprintable() else "?" for c in sentence)[:1000]
        self._said_s = {said: at_s for said, at_s in self._said_s.items() if now - at_s < SAME_WORDS_S}
        if line not in self._said_s and len(self._said_s) < 100:
            self._said_s[line] = now
            print(f"volest edge: {line}", file=sys.stderr, flush=True)
