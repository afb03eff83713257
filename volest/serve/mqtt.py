"""Documents of `volest edge` over MQTT, as docs/edge.md has it: acknowledged to the truck when they are committed."""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote, urlsplit

from volest.edge.event import ACK_SCHEMA, topic
from volest.errors import InputError, MissingExtraError
from volest.serve.events import Event, add_event, read_event

__all__ = ["Mqtt"]

Service = Any  # volest.serve.service.Service, which stands above

PASSWORD = "VOLEST_MQTT_PASSWORD"  # noqa: S105  # the variable of the environment that holds it
PORTS = {"mqtt": 1883, "mqtts": 8883}
MOST_BYTES = 8 << 20
MOST_WAITING = 2000
KEEPALIVE_S = 30
_log = logging.getLogger("volest.serve")


class Mqtt:
    """Listens at a broker in a thread of its own, and connects again whenever the connection breaks."""

    def __init__(self, service: Service, url: str) -> None:
        try:
            import paho.mqtt.client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise MissingExtraError("events over MQTT", "server") from None
        told = urlsplit(url)
        if told.scheme not in PORTS or not told.hostname or told.path.strip("/") or told.password:
            expected = f"mqtts://USER@HOST:PORT, the password in {PASSWORD}"
            raise InputError(f"--mqtt: found {told.scheme}://{told.hostname}, expected {expected}")
        self._service, self._waiting = service, 0
        self._host, self._port = told.hostname, told.port or PORTS[told.scheme]
        self._client: Any = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        if told.username:
            self._client.username_pw_set(unquote(told.username), os.environ.get(PASSWORD))
        if told.scheme == "mqtts":
            self._client.tls_set_context(ssl.create_default_context())
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect, self._client.on_message = self._connected, self._came
        self._client.on_disconnect = self._lost

    def start(self) -> None:
        """Begin; a broker that is not there yet is waited for."""
        self._client.connect_async(self._host, self._port, KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """End; what was not acknowledged comes again."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            _log.error("the MQTT broker answers: %s", reason)
        else:
            client.subscribe("volest/+/events", qos=1)

    def _lost(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            _log.warning("the MQTT broker is gone: %s", reason)

    def _came(self, _client: Any, _data: Any, message: Any) -> None:
        truck = message.topic.split("/")[1]
        if len(message.payload) > MOST_BYTES or self._waiting >= MOST_WAITING:
            return  # without an acknowledgement it comes again
        try:
            event = read_event(message.payload, self._service.offset_min)
            if topic(event.truck_id, "events") != message.topic:
                raise InputError(f"event: truck_id: found {event.truck_id!r}, expected that of the topic")
        except InputError as error:
            self._refuse(truck, message.payload, str(error))
            return
        self._waiting += 1
        work = self._service.store.write(lambda c: add_event(c, event, f"mqtt {truck}"[:200]))
        work.add_done_callback(lambda done: self._committed(truck, event, done))

    def _committed(self, truck: str, event: Event, done: Future[bool]) -> None:
        self._waiting -= 1
        if done.exception() is not None:
            _log.error("event %s was not kept: %s", event.event_id, done.exception())
            return
        self._answer(truck, {"id": event.event_id})
        self._service.on_loop(self._service.committed, [event], [done.result()])

    def _refuse(self, truck: str, payload: bytes, reason: str) -> None:
        try:
            name = json.loads(payload)["id"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # nobody could tell what was refused
        if isinstance(name, str) and len(name) <= 64:
            self._answer(truck, {"id": name, "refused": reason})

    def _answer(self, truck: str, told: dict[str, Any]) -> None:
        document = {"schema": ACK_SCHEMA} | told | {"time_s": time.time()}
        self._client.publish(f"volest/{truck}/acks", json.dumps(document), qos=1)
