"""Delivery by HTTPS POST: a document is done when the receiver has answered 2xx, for it has then committed."""

from __future__ import annotations

import math
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from volest.edge.config import EdgeError, HttpTable, MqttTable, secret
from volest.edge.delivery import Backoff, Contact, Pause
from volest.edge.event import key_of, packed
from volest.edge.outbox import Outbox, OutboxFullError, Queued
from volest.errors import MissingExtraError

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpDelivery", "tls_context"]

REFUSALS = (400, 413, 415, 422)  # of the document, not of the truck; RFC 9110
MOST_ANSWER_BYTES = 65536
MOST_RETRY_AFTER_S = 3600.0
LOOK_S = 0.5
DATE_STEP_S = 1.0  # an HTTP date has whole seconds


class HttpDelivery:
    """POSTs documents, one or a batch a request, the oldest first."""

    def __init__(self, table: HttpTable, truck_id: str, outbox: Outbox, contact: Contact) -> None:
        """Raises EdgeError for a secret or certificate that cannot be read, MissingExtraError without httpx."""
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError("delivery by HTTP", "edge") from error
        self._table, self._truck_id, self._outbox, self._contact = table, truck_id, outbox, contact
        headers = {"Content-Type": "application/json", "User-Agent": "volest-edge"}
        token = secret(table.token_file, table.token_env, "http.token_file" if table.token_file else "http.token_env")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        verify = tls_context(table, "http") if table.url.startswith("https:") else True
        self._client = httpx.Client(
            verify=verify, headers=headers, timeout=table.timeout_s, trust_env=False, follow_redirects=False
        )
        self._backoff, self._single = Backoff(), 0

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set."""
        with self._client:
            self._deliver(stop)

    def _deliver(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._outbox.news.clear()
            try:
                if not self._offer():
                    self._outbox.news.wait(LOOK_S)
                self._backoff.reset()
            except Pause as pause:
                self._contact.problem = str(pause)
                stop.wait(self._backoff.wait_s(pause.told_s))
            except OutboxFullError as error:  # delivered, but not noted: it will be again, under the same key
                self._contact.problem = str(error)
                stop.wait(self._backoff.wait_s())

    def _offer(self) -> int:
        """POST what waits; how many documents were offered."""
        most = 1 if self._single else self._table.batch
        rows = self._outbox.queued(most, tuple(self._contact.refused()))
        if not rows:
            return 0
        status, reason = self._post(rows)
        if 200 <= status < 300:
            self._contact.delivered += self._outbox.done([row.id for row in rows])
            self._single = max(0, self._single - 1)
        elif status in REFUSALS and len(rows) > 1:
            self._single = len(rows)  # one of them is at fault: find out which
        elif status in REFUSALS:
            self._contact.refuse(rows[0].id, f"{status} {reason}")
            self._single = max(0, self._single - 1)
        else:
            raise Pause(f"the receiver answered {status} {reason}")
        return len(rows)

    def _post(self, rows: list[Queued]) -> tuple[int, str]:
        """Status and reason of the answer; Pause where there is none, or one that says when to come again."""
        import httpx

        documents = [packed(self._truck_id, row.seq, row.kind, row.id, row.recorded, row.body) for row in rows]
        content = documents[0] if len(documents) == 1 else b"[" + b",".join(documents) + b"]"
        headers = {"Idempotency-Key": key_of([row.id for row in rows])}
        try:
            with self._client.stream("POST", self._table.url, content=content, headers=headers) as answer:
                self._read(answer)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise Pause(f"no answer ({type(error).__name__}: {error})") from error
        receiver_s = _date_s(answer.headers.get("Date"))
        self._contact.heard(None if receiver_s is None else receiver_s + 0.5 * DATE_STEP_S, DATE_STEP_S)
        told_s = _retry_after_s(answer.headers.get("Retry-After"), receiver_s)
        if told_s is not None and not answer.is_success and answer.status_code not in REFUSALS:
            raise Pause(f"the receiver answered {answer.status_code} and Retry-After", told_s)
        return answer.status_code, answer.reason_phrase[:100]

    def _read(self, answer: httpx.Response) -> None:
        """Read a short answer to its end, so that the connection can serve again; a long or slow one is cut off."""
        size, until_s = 0, time.monotonic() + self._table.timeout_s
        for chunk in answer.iter_raw():
            size += len(chunk)
            if size > MOST_ANSWER_BYTES or time.monotonic() > until_s:
                return


def tls_context(table: HttpTable | MqttTable, key: str) -> ssl.SSLContext:
    """Certificates are verified always: against the system's authorities, or against those of `ca_file` alone."""
    name = "ca_file"
    try:
        context = ssl.create_default_context(cafile=table.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        name = "client_cert_file"
        if table.client_cert_file is not None:
            context.load_cert_chain(table.client_cert_file, table.client_key_file)
    except (OSError, ValueError) as error:
        raise EdgeError(f"{key}.{name}: cannot be read ({error}), expected certificates in PEM") from error
    return context


def _date_s(text: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date."""
    try:
        return None if text is None else parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _retry_after_s(text: str | None, now_s: float | None) -> float | None:
    """Seconds or a date, which counts from the receiver's own clock; at most an hour."""
    if text is None:
        return None
    seconds = float(text) if text.strip().isdecimal() and len(text) < 12 else math.nan
    date_s = _date_s(text)
    if math.isnan(seconds) and date_s is not None and now_s is not None:
        seconds = date_s - now_s
    return min(max(seconds, 0.0), MOST_RETRY_AFTER_S) if math.isfinite(seconds) else None
