"""Delivery over MQTT: a document is done when the receiver, not the broker, has acknowledged it."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

from volest.edge.config import MqttTable, secret
from volest.edge.delivery import Backoff, Contact, Pause
from volest.edge.event import packed, read_ack, topic
from volest.edge.http import tls_context
from volest.edge.outbox import Outbox, OutboxFullError
from volest.errors import MissingExtraError

__all__ = ["MqttDelivery"]

KEEPALIVE_S = 30
CONNECT_S = 10.0
LOOP_S = 0.1
QOS = 1


class MqttDelivery:
    """Publishes what waits, the oldest first, some at a time, until it is acknowledged.

    paho's own queue is never leant on: after each break the session is new, and what waits is published again.
    """

    def __init__(self, table: MqttTable, truck_id: str, outbox: Outbox, contact: Contact) -> None:
        """Raises EdgeError for a secret or certificate that cannot be read, MissingExtraError without paho."""
        try:
            import paho.mqtt.client
        except ImportError as error:
            raise MissingExtraError("delivery over MQTT", "edge") from error
        self._paho: Any = paho.mqtt.client
        self._table, self._truck_id, self._outbox, self._contact = table, truck_id, outbox, contact
        self._events = table.events_topic or topic(truck_id, "events")
        self._acks = table.acks_topic or topic(truck_id, "acks")
        key = "mqtt.password_file" if table.password_file else "mqtt.password_env"
        self._password = secret(table.password_file, table.password_env, key)
        self._tls = tls_context(table, "mqtt") if table.tls else None
        self._backoff = Backoff()
        self._under_way: dict[str, float] = {}  # by id: when to publish it again, monotonic
        self._acked: list[str] = []
        self._ready, self._lost = False, ""

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set."""
        while not stop.is_set():
            try:
                self._session(stop)
            except Pause as pause:
                self._contact.problem = str(pause)
                stop.wait(self._backoff.wait_s())

    def _session(self, stop: threading.Event) -> None:
        """One connection, until it breaks (Pause) or `stop` is set."""
        client = self._client()
        self._ready, self._lost, self._under_way, self._acked = False, "", {}, []
        try:
            client.connect(self._table.host, self._table.port, KEEPALIVE_S)
            since_s = time.monotonic()
            while not stop.is_set():
                code = client.loop(LOOP_S)
                if code != self._paho.MQTT_ERR_SUCCESS or self._lost:
                    raise Pause(f"the broker is gone ({self._lost or self._paho.error_string(code)})")
                if self._ready:
                    self._turn(client)
                elif time.monotonic() - since_s > CONNECT_S:
                    raise Pause("the broker does not answer")
            client.disconnect()
            client.loop(LOOP_S)
        except (OSError, ValueError) as error:
            raise Pause(f"no broker ({type(error).__name__}: {error})") from error
        finally:
            _hang_up(client)

    def _turn(self, client: Any) -> None:
        """Note what was acknowledged, and publish what waits and is not under way, or has been for too long."""
        now = time.monotonic()
        try:
            if self._acked:
                self._contact.delivered += self._outbox.done(self._acked)
            for name in self._acked:
                self._under_way.pop(name, None)
            self._acked.clear()
        except OutboxFullError as error:  # acknowledged, but not noted: asked for again
            self._contact.problem = str(error)
            self._acked.clear()
        late = [name for name, until_s in self._under_way.items() if until_s <= now]
        for name in late:
            del self._under_way[name]
        if late:
            self._contact.problem = f"no acknowledgement of {late[0]} within {self._table.ack_timeout_s:g} s"
        room = self._table.window - len(self._under_way)
        beside = (*self._contact.refused(), *self._under_way)
        for row in self._outbox.queued(room, beside) if room > 0 else []:
            content = packed(self._truck_id, row.seq, row.kind, row.id, row.recorded, row.body)
            client.publish(self._events, content, qos=QOS)
            self._under_way[row.id] = now + self._table.ack_timeout_s

    # --- paho ---------------------------------------------------------------------------------------------------------

    def _client(self) -> Any:
        name = hashlib.sha256(self._truck_id.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        client = self._paho.Client(
            self._paho.CallbackAPIVersion.VERSION2, client_id=f"volest-{name}", protocol=self._paho.MQTTv311
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(2 * self._table.window)
        if self._table.username is not None:
            client.username_pw_set(self._table.username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect, client.on_subscribe = self._connected, self._subscribed
        client.on_disconnect, client.on_message = self._disconnected, self._answered
        return client

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._lost = f"the broker answered: {reason}"
        else:
            client.subscribe(self._acks, qos=QOS)

    def _subscribed(self, _client: Any, _data: Any, _mid: Any, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._lost = f"the broker does not let it read {self._acks}"
        else:
            self._ready = True

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._lost = self._lost or str(reason)

    def _answered(self, _client: Any, _data: Any, message: Any) -> None:
        ack = read_ack(message.payload) if message.topic == self._acks else None
        if ack is None:
            return
        self._backoff.reset()
        self._contact.heard(ack.time_s)
        if ack.refused is None:
            self._acked += ack.ids
        else:
            for name in ack.ids:
                if name in self._under_way:
                    self._contact.refuse(name, ack.refused)


def _hang_up(client: Any) -> None:
    """Close the connection, whatever state it is in."""
    connection = client.socket()
    if connection is not None:
        connection.close()
