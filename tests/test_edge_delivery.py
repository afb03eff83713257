"""Delivery: done only when the receiver has committed; whatever the network does, nothing is lost."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx")
pytest.importorskip("paho.mqtt.client")

from volest.edge.config import EdgeError, HttpTable, MqttTable
from volest.edge.delivery import Backoff, Contact, Delivery
from volest.edge.event import Document, key_of, packed, read_ack, topic
from volest.edge.http import HttpDelivery, _retry_after_s
from volest.edge.mqtt import MqttDelivery
from volest.edge.outbox import Outbox

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from edge_kills import Broker, HttpReceiver, MqttReceiver, Store, free_port

TRUCK = "KT-1"
mosquitto = pytest.mark.skipif(
    not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()), reason="mosquitto is not installed"
)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        yield outbox


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "received.sqlite")
    yield store
    store.close()


def fill(outbox: Outbox, *numbers: int) -> list[str]:
    documents = [Document(f"{number:016x}", "entry", b'{"n":%d}' % number) for number in numbers]
    outbox.append(documents, "live")
    return [document.id for document in documents]


def until(done: Callable[[], Any], seconds: float = 20.0) -> None:
    end_s = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end_s, "it took too long"
        time.sleep(0.02)


class Running:
    """A delivery that runs as long as the context lasts."""

    def __init__(self, delivery: Delivery) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=delivery.run, args=(self._stop,), daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10.0)
        assert not self._thread.is_alive()


def arrived(store: Store) -> list[str]:
    return [row[0] for row in store.rows()]


# --- documents --------------------------------------------------------------------------------------------------------


def test_a_document_is_what_the_page_says() -> None:
    sent = packed(TRUCK, 7, "entry", "abc", "2026-01-01T00:00:00.000Z", b'{"kind":"load"}')
    assert json.loads(sent) == {
        "schema": "volest/event/1",
        "id": "abc",
        "truck_id": TRUCK,
        "seq": 7,
        "kind": "entry",
        "recorded": "2026-01-01T00:00:00.000Z",
        "entry": {"kind": "load"},
    }


def test_a_topic_has_none_of_the_signs_of_mqtt() -> None:
    assert topic("KT-8123-AB", "events") == "volest/KT-8123-AB/events"
    assert topic("a/+b#", "acks") == "volest/a%2F%2Bb%23/acks"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"schema":"volest/ack/1"}',
        b'{"schema":"volest/ack/1","id":7}',
        b'{"schema":"volest/ack/2","id":"a"}',
        b'{"schema":"volest/ack/1","ids":["a",null]}',
        b'{"schema":"volest/ack/1","ids":' + b'["a"]'.replace(b'"a"', b",".join([b'"a"'] * 1001)) + b"}",
        b"[" * 60000,
        b" " * 70000,
    ],
)
def test_what_is_no_acknowledgement_is_none(payload: bytes) -> None:
    assert read_ack(payload) is None


def test_acknowledgements_are_read() -> None:
    assert read_ack(b'{"schema":"volest/ack/1","id":"a","time_s":5}') == read_ack(
        b'{"schema":"volest/ack/1","ids":["a"],"time_s":5.0,"more":1}'
    )
    refused = read_ack(b'{"schema":"volest/ack/1","ids":["a","b"],"refused":"no such truck"}')
    assert refused is not None
    assert refused.refused == "no such truck"


def test_waits_double_up_to_a_minute_and_heed_the_receiver() -> None:
    backoff = Backoff(draw=max)
    assert [backoff.wait_s() for _ in range(9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert backoff.wait_s(120.0) == 121.0
    backoff.reset()
    assert backoff.wait_s() == 0.5
    drawn = {Backoff().wait_s() for _ in range(20)}
    assert len(drawn) > 10
    assert all(0.25 <= wait <= 0.5 for wait in drawn)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("120", 120.0), ("0", 0.0), ("-5", None), ("soon", None), ("99999999", 3600.0), (None, None), ("1e3", None)],
)
def test_retry_after_is_read(text: str | None, expected: float | None) -> None:
    assert _retry_after_s(text, 1000.0) == expected


def test_a_date_to_retry_after_counts_from_the_receivers_clock() -> None:
    assert _retry_after_s(formatdate(1_000_030, usegmt=True), 1_000_000.0) == 30.0
    assert _retry_after_s(formatdate(999_000, usegmt=True), 1_000_000.0) == 0.0


# --- HTTP -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver(store: Store) -> Iterator[HttpReceiver]:
    receiver = HttpReceiver(store)
    yield receiver
    receiver.close()


def post(receiver_port: int, outbox: Outbox, contact: Contact, **told: Any) -> HttpDelivery:
    table = HttpTable(url=f"http://127.0.0.1:{receiver_port}/v1/events", **{"timeout_s": 5.0, **told})
    return HttpDelivery(table, TRUCK, outbox, contact)


def test_documents_are_posted_in_order_and_done(outbox: Outbox, store: Store, receiver: HttpReceiver) -> None:
    names, contact = fill(outbox, *range(1, 8)), Contact()
    with Running(post(receiver.port, outbox, contact, batch=3)):
        until(lambda: not outbox.waiting())
    assert arrived(store) == names
    assert contact.delivered == 7
    assert contact.skew_s is not None
    assert abs(contact.skew_s) < 5.0
    keys = [headers["Idempotency-Key"] for _, headers, _ in receiver.requests]
    assert keys == [key_of(names[:3]), key_of(names[3:6]), names[6]]
    assert {path for path, _, _ in receiver.requests} == {"/v1/events"}
    assert isinstance(json.loads(receiver.requests[0][2]), list)
    assert json.loads(receiver.requests[2][2])["id"] == names[6]


def test_a_token_goes_along(outbox: Outbox, receiver: HttpReceiver, tmp_path: Path) -> None:
    fill(outbox, 1)
    (tmp_path / "token").write_text("s3cret\n", "ascii")
    with Running(post(receiver.port, outbox, Contact(), token_file=str(tmp_path / "token"))):
        until(lambda: not outbox.waiting())
    assert receiver.requests[0][1]["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("status", [500, 503, 401, 403, 404, 409, 429, 301])
def test_what_is_not_committed_is_sent_again_under_the_same_key(
    outbox: Outbox, store: Store, receiver: HttpReceiver, status: int
) -> None:
    names, contact = fill(outbox, 1, 2), Contact()
    receiver.answers = [(status, {"Location": "http://127.0.0.1:1/"})]
    with Running(post(receiver.port, outbox, contact)):
        until(lambda: contact.problem is not None)
        assert outbox.waiting() == 2
        assert str(status) in str(contact.problem)
        until(lambda: not outbox.waiting())
    assert arrived(store) == names
    bodies = {body for _, _, body in receiver.requests}
    keys = {headers["Idempotency-Key"] for _, headers, _ in receiver.requests}
    assert len(receiver.requests) == 2
    assert len(bodies) == len(keys) == 1


def test_retry_after_is_heeded(outbox: Outbox, receiver: HttpReceiver) -> None:
    fill(outbox, 1)
    receiver.answers = [(429, {"Retry-After": "1"})]
    begin_s = time.monotonic()
    with Running(post(receiver.port, outbox, Contact())):
        until(lambda: not outbox.waiting())
    assert time.monotonic() - begin_s >= 1.0


def test_one_refused_document_does_not_hold_up_the_others(outbox: Outbox, store: Store, receiver: HttpReceiver) -> None:
    names, contact = fill(outbox, 1, 2, 3), Contact()
    receiver.answers = [(422, {}), (204, {}), (400, {})]  # the batch; the first alone; the second alone
    with Running(post(receiver.port, outbox, contact)):
        until(lambda: outbox.waiting() == 1)
        fill(outbox, 4)
        until(lambda: outbox.waiting() == 1)
    assert arrived(store) == [names[0], names[2], f"{4:016x}"]
    assert list(contact.refused()) == [names[1]]
    assert [row.id for row in outbox.queued(9)] == [names[1]]


def test_a_receiver_that_is_away_is_no_error(outbox: Outbox, store: Store) -> None:
    names, contact = fill(outbox, 1), Contact()
    port = free_port()
    with Running(post(port, outbox, contact)):
        until(lambda: contact.problem is not None)
        assert outbox.waiting() == 1
    receiver = HttpReceiver(store)
    try:
        with Running(post(receiver.port, outbox, contact)):
            until(lambda: not outbox.waiting())
    finally:
        receiver.close()
    assert arrived(store) == names
    assert contact.problem is None


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a server's and a client's certificate of its, in PEM."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1", "ascii")
    for name in ("server", "client"):
        openssl(*new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        openssl(*signing, "-extfile", "names", "-days", "2", "-out", f"{name}.pem")
    return folder


def server_context(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_tls_both_sides_show_certificates(outbox: Outbox, store: Store, certificates: Path) -> None:
    fill(outbox, 1)
    receiver, contact = HttpReceiver(store, server_context(certificates)), Contact()
    url = f"https://127.0.0.1:{receiver.port}/v1/events"
    ca, own = str(certificates / "ca.pem"), str(certificates / "client.pem")
    try:
        for told in ({}, {"ca_file": ca}):  # an unknown authority; no certificate of one's own
            stranger = HttpDelivery(HttpTable(url=url, timeout_s=5.0, **told), TRUCK, outbox, contact)
            contact.problem = None
            with Running(stranger):
                until(lambda: contact.problem is not None)
            assert outbox.waiting() == 1
        table = HttpTable(url=url, ca_file=ca, client_cert_file=own, client_key_file=str(certificates / "client.key"))
        with Running(HttpDelivery(table, TRUCK, outbox, contact)):
            until(lambda: not outbox.waiting())
    finally:
        receiver.close()


def test_a_certificate_that_cannot_be_read_is_told_at_the_start(outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense", "ascii")
    table = HttpTable(url="https://127.0.0.1/v1/events", ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(EdgeError, match=r"http.ca_file: cannot be read"):
        HttpDelivery(table, TRUCK, outbox, Contact())


# --- MQTT -------------------------------------------------------------------------------------------------------------


def publish(port: int, outbox: Outbox, contact: Contact, **told: Any) -> MqttDelivery:
    table = MqttTable(host="127.0.0.1", port=port, **{"tls": False, "ack_timeout_s": 0.5, **told})
    return MqttDelivery(table, TRUCK, outbox, contact)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.close()


@mosquitto
def test_a_document_is_done_when_the_receiver_says_so_and_not_when_the_broker_has_it(
    outbox: Outbox, store: Store, broker: Broker
) -> None:
    names, contact = fill(outbox, *range(30)), Contact()
    receiver = MqttReceiver(store, broker.port, TRUCK)
    receiver.silent = True
    try:
        with Running(publish(broker.port, outbox, contact, window=10)):
            until(lambda: len(arrived(store)) >= 10)
            until(lambda: contact.problem is not None)
            assert outbox.waiting() == 30
            assert arrived(store) == names[:10]
            receiver.silent = False
            until(lambda: not outbox.waiting())
    finally:
        receiver.close()
    assert sorted(arrived(store)) == names
    assert contact.delivered == 30
    assert contact.skew_s == pytest.approx(0.0, abs=5.0)


@mosquitto
def test_a_killed_broker_loses_nothing(outbox: Outbox, store: Store, broker: Broker) -> None:
    names, contact = fill(outbox, *range(200)), Contact()
    receiver = MqttReceiver(store, broker.port, TRUCK)
    try:
        with Running(publish(broker.port, outbox, contact, window=5)):
            until(lambda: len(arrived(store)) >= 20)
            broker.kill()
            until(lambda: contact.problem is not None)
            broker.start()
            until(lambda: not outbox.waiting())
    finally:
        receiver.close()
    assert sorted(arrived(store)) == names


@mosquitto
def test_what_the_receiver_refuses_waits_and_the_others_pass(outbox: Outbox, store: Store, broker: Broker) -> None:
    names, contact = fill(outbox, 1, 2, 3), Contact()
    receiver = MqttReceiver(store, broker.port, TRUCK)
    receiver.refuses = {names[1]: "no such truck"}
    try:
        with Running(publish(broker.port, outbox, contact)):
            until(lambda: outbox.waiting() == 1)
            until(lambda: contact.refused())
    finally:
        receiver.close()
    assert contact.refused() == {names[1]: "no such truck"}
    assert arrived(store) == [names[0], names[2]]


@mosquitto
def test_a_wrong_password_is_told_and_the_right_one_over_tls_goes(
    outbox: Outbox, store: Store, certificates: Path, tmp_path: Path
) -> None:
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(tmp_path / "users"), "truck", "good"], check=True)
    (tmp_path / "users").chmod(0o644)
    tmp_path.chmod(0o755)
    certificates.chmod(0o755)
    (certificates / "server.key").chmod(0o644)
    more = (
        f"password_file {tmp_path}/users\ncafile {certificates}/ca.pem\n"
        f"certfile {certificates}/server.pem\nkeyfile {certificates}/server.key\nuser root\n"
    )
    broker, contact = Broker(tmp_path, more), Contact()
    (tmp_path / "bad").write_text("bad", "ascii")
    (tmp_path / "good").write_text("good", "ascii")
    fill(outbox, 1)
    told: dict[str, Any] = {"tls": True, "username": "truck", "ca_file": str(certificates / "ca.pem")}
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    try:
        receiver = MqttReceiver(store, broker.port, TRUCK, username="truck", password="good", context=context)
        with Running(publish(broker.port, outbox, contact, **told, password_file=str(tmp_path / "bad"))):
            until(lambda: contact.problem is not None)
            assert "the broker answered: Not authorized" in str(contact.problem)
        with Running(publish(broker.port, outbox, contact, **told, password_file=str(tmp_path / "good"))):
            until(lambda: not outbox.waiting())
        receiver.close()
    finally:
        broker.close()
    assert len(arrived(store)) == 1
