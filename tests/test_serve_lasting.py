"""What was acknowledged is there: after a kill, on both databases, in a bucket, over MQTT, behind nginx."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from paho.mqtt.enums import CallbackAPIVersion
from serving import DATASETS, TRUCK, Served, free_port, post_load, postgresql, program, put_truck, served, wait_for
from test_serve_hostile import certificates

from volest.edge.event import key_of
from volest.errors import InputError
from volest.serve.store import Store, StoreError, migrations
from volest.serve.tables import audit, metadata, tokens

OPERATOR = ("--limit", "per_s=0")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database')}/volest.sqlite"
    else:
        with postgresql() as url:
            yield url


@pytest.fixture
def empty(database: str) -> Iterator[str]:
    """The database without tables."""
    yield database
    engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        found = sa.MetaData()
        found.reflect(connection)
        found.drop_all(connection)
    engine.dispose()


# --- the database -----------------------------------------------------------------------------------------------------


def test_migrations_make_the_tables_and_take_them_away(empty: str) -> None:
    store = Store(empty)
    try:
        with store.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
        with store.engine.connect() as connection:
            command.downgrade(migrations(connection), "base")
        with store.engine.connect() as connection:
            assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version"}
        with store.engine.connect() as connection:
            command.upgrade(migrations(connection), "head")
        assert store.read(lambda c: c.execute(sa.select(tokens)).all()) == []
    finally:
        store.close()


def entry(number: int) -> dict[str, Any]:
    return {"time_us": number, "who": "test", "address": "", "action": "count", "subject": str(number)}


def test_a_write_that_fails_takes_no_other_with_it(empty: str) -> None:
    store = Store(empty)

    def broken(connection: sa.Connection) -> None:
        connection.execute(sa.insert(audit).values(entry(-1)))
        raise InputError("not this one")

    try:
        gate = threading.Event()
        store.write(lambda _: gate.wait())  # so that the others come together
        futures = [store.write(lambda c, n=n: c.execute(sa.insert(audit).values(entry(n)))) for n in range(20)]
        failing = store.write(broken)
        last = store.write(lambda c: c.execute(sa.insert(audit).values(entry(20))))
        gate.set()
        last.result(10)
        assert all(future.exception(10) is None for future in futures)
        assert isinstance(failing.exception(10), InputError)
        found = store.read(lambda c: c.scalars(sa.select(audit.c.time_us).order_by(audit.c.seq)).all())
        assert found == list(range(21))
    finally:
        store.close()


def test_a_database_that_does_not_answer_is_told_of(empty: str) -> None:
    store = Store(empty)
    try:
        future = store.write(lambda c: c.execute(sa.text("SELECT * FROM nowhere")))
        assert future.exception(10) is not None
        with pytest.raises(StoreError):
            store.read(lambda c: c.execute(sa.text("SELECT * FROM nowhere")))
        assert store.write(lambda c: c.scalar(sa.select(1))).result(10) == 1
    finally:
        store.close()
    with pytest.raises(InputError, match="--database"):
        Store("mysql://x/y")


def test_a_second_server_is_not_let_at_the_same_data(empty: str, tmp_path: Path) -> None:
    store = Store(empty)
    try:
        if empty.startswith("postgresql"):
            with pytest.raises(InputError, match="another volest serve"):
                Store(empty)
    finally:
        store.close()
    with served(tmp_path / "data", "--no-auth"):
        command_ = [sys.executable, "-m", "volest", "serve", "--data", str(tmp_path / "data"), "--port", "0"]
        done = subprocess.run(command_, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "another volest serve" in done.stderr


# --- killed -----------------------------------------------------------------------------------------------------------


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(empty: str, tmp_path: Path) -> None:
    """Eight clients send until they are told that it is stored; the server is killed twice meanwhile."""
    server = Served(tmp_path / "data", "--database", empty, *OPERATOR)
    acknowledged: set[str] = set()
    ending, lock = threading.Event(), threading.Lock()

    def send(client_number: int) -> None:
        number = 0
        while not ending.is_set():
            number += 1
            name = f"k{client_number}-{number}"
            while not ending.is_set():
                with contextlib.suppress(httpx.HTTPError, OSError), server.operator() as client:
                    if post_load(client, load_id=name).status_code in (200, 201):
                        with lock:
                            acknowledged.add(name)
                        break
                time.sleep(0.05)

    try:
        with server.operator() as client:
            put_truck(client)
        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(1.0)
            server.kill()
            server.start()
        time.sleep(0.5)
        ending.set()
        for thread in threads:
            thread.join()
        with server.operator() as client:
            stored, scenes = (
                everything(client),
                [client.get(f"/v1/loads/{name}/scene") for name in list(acknowledged)[:3]],
            )
            sums = client.get("/v1/summaries", params={"by": "truck"}).json()["items"]
        assert len(acknowledged) > 20
        assert acknowledged <= set(stored)
        assert len(stored) == len(set(stored)) == sums[0]["loads"]
        assert {scene.status_code for scene in scenes} == {200}
        assert list((server.data / "incoming").iterdir()) == []
    finally:
        ending.set()
        server.stop()


def everything(client: httpx.Client) -> list[str]:
    names: list[str] = []
    params = {"limit": "500"}
    while True:
        answer = client.get("/v1/loads", params=params).json()
        names += [item["load_id"] for item in answer["items"]]
        if answer["next"] is None:
            return names
        params["cursor"] = answer["next"]


def test_a_job_goes_on_after_a_kill(tmp_path: Path) -> None:
    server = Served(tmp_path / "data", *OPERATOR, "--workers", "1")
    try:
        scan = (DATASETS / "half-full-overhead" / "top.npz").read_bytes()
        rows = "".join(f"r{number},{TRUCK},top.npz,{6000 + number}\n" for number in range(400))
        manifest = f"load_id,truck,scans,weight\n{rows}".encode()
        with server.operator() as client:
            put_truck(client)
            files = [("manifest", ("m.csv", manifest)), ("scan", ("top.npz", scan))]
            job = client.post("/v1/jobs/loads", files=files).headers["location"]
            while client.get(job).json()["done"] < 20:
                time.sleep(0.01)
        server.kill()
        server.start()
        with server.operator() as client:
            until = time.monotonic() + 60
            while (told := client.get(job).json())["state"] != "done":
                assert time.monotonic() < until, told
                time.sleep(0.05)
            assert [load["load_id"] for load in told["result"]] == [f"r{number}" for number in range(400)]
            assert not told["result"][0]["new"]
            assert len(everything(client)) == 400
    finally:
        server.stop()


def test_a_worker_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with served(tmp_path / "data", "--no-auth", "--workers", "1") as server, server.client() as client:
        put_truck(client)
        (worker,) = workers(server.process.pid)
        os.kill(worker, signal.SIGSTOP)
        threading.Timer(0.5, os.kill, (worker, signal.SIGKILL)).start()
        hurt = post_load(client, load_id="hurt")
        assert (hurt.status_code, "died" in hurt.json()["detail"]) == (422, True)
        assert post_load(client, load_id="healed").status_code == 201
        assert "volest_worker_restarts 1.0" in client.get("/metrics").text
        (worker,) = workers(server.process.pid)
        server.kill()
        until = time.monotonic() + 5
        while Path(f"/proc/{worker}/cmdline").exists() and b"worker" in Path(f"/proc/{worker}/cmdline").read_bytes():
            assert time.monotonic() < until, "a worker outlives its server"
            time.sleep(0.05)
        server.start()


def workers(parent: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        found += [int(text) for text in (task / "children").read_text().split()]
    return [pid for pid in found if b"volest.serve.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_it_stops_within_seconds_and_finishes_what_it_began(tmp_path: Path) -> None:
    server = Served(tmp_path / "data", "--no-auth")
    answers: list[int] = []
    with server.client() as client, server.client() as listener, listener.stream("GET", "/v1/stream") as stream:
        put_truck(client)
        thread = threading.Thread(target=lambda: answers.append(post_load(client, load_id="last").status_code))
        next(stream.iter_lines())
        thread.start()
        time.sleep(0.02)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 10
        thread.join()
    assert answers == [201]


# --- from trucks ------------------------------------------------------------------------------------------------------


def event(number: int, kind: str = "entry", truck_id: str = TRUCK) -> dict[str, Any]:
    quantity = {"value": 1.5, "std": 0.05, "lower95": 1.4, "upper95": 1.6}
    content = {
        "entry": {
            "kind": "load",
            "end_s": 1.77e9 + number,
            "lat": -1.2,
            "lon": 116.8,
            "volume_m3": quantity,
            "flags": [],
        },
        "health": {"flags": ["dirty_window"], "dirty_window": True},
    }[kind]
    name = f"{number:016x}"
    head = {"schema": "volest/event/1", "id": name, "truck_id": truck_id, "seq": number, "kind": kind}
    return head | {"recorded": "2026-03-01T06:12:42.031Z", kind: content}


def test_events_over_http_are_committed_once(empty: str, tmp_path: Path) -> None:
    with served(tmp_path / "data", "--database", empty) as server, server.operator() as client:
        put_truck(client)
        several = [event(number) for number in range(5)] + [event(9, "health")]
        key = {"Idempotency-Key": key_of([each["id"] for each in several])}
        first, again = (client.post("/v1/events", json=several, headers=key) for _ in range(2))
        assert (first.status_code, first.json()) == (201, {"committed": 6, "new": 6})
        assert (again.status_code, again.json()) == (200, {"committed": 6, "new": 0})
        assert client.post("/v1/events", json=event(5)).json()["new"] == 1
        loads = client.get("/v1/loads").json()["items"]
        assert [load["load_id"] for load in loads] == [f"{number:016x}" for number in range(5, -1, -1)]
        assert {load["origin"] for load in loads} == {"edge"}
        (truck,) = client.get("/v1/trucks").json()["items"]
        assert (truck["flags"], truck["window_dirt"]) == (["dirty_window"], 1.0)
        bad = client.post("/v1/events", json=[event(6), event(7) | {"kind": "x"}])
        assert (bad.status_code, bad.json()["place"]) == (422, "[1]")
        assert client.get(f"/v1/loads/{6:016x}").status_code == 404


def test_events_over_mqtt_are_acknowledged_when_they_are_committed(tmp_path: Path) -> None:
    mosquitto, port = program("mosquitto", "usr/sbin/mosquitto"), free_port()
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker = subprocess.Popen([mosquitto, "-c", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    acks: list[dict[str, Any]] = []
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _d, message: acks.append(json.loads(message.payload))
    client.on_subscribe = lambda *_: ready.set()
    try:
        wait_for(port)
        with served(tmp_path / "data", "--mqtt", f"mqtt://127.0.0.1:{port}") as server, server.operator() as operator:
            client.connect("127.0.0.1", port)
            client.subscribe(f"volest/{TRUCK}/acks", qos=1)
            client.loop_start()
            assert ready.wait(10)
            documents = [event(1), event(2), event(1), event(3) | {"kind": "x"}, event(4, truck_id="ANOTHER")]
            until = time.monotonic() + 20
            while {ack["id"] for ack in acks} < {document["id"] for document in documents}:
                for document in documents:  # as an agent does it, until it hears of them
                    client.publish(f"volest/{TRUCK}/events", json.dumps(document), qos=1)
                assert time.monotonic() < until, acks
                time.sleep(0.5)
            refused = {ack["id"]: ack.get("refused") for ack in acks}
            assert refused[event(1)["id"]] is None
            assert "kind" in str(refused[event(3)["id"]])
            assert "topic" in str(refused[event(4)["id"]])
            assert sorted(everything(operator)) == [event(1)["id"], event(2)["id"]]
    finally:
        client.disconnect()
        client.loop_stop()
        broker.terminate()
        broker.wait(10)


# --- in a bucket, behind nginx ----------------------------------------------------------------------------------------


def test_scans_lie_in_a_bucket(tmp_path: Path) -> None:
    port = free_port()
    moto = shutil.which("moto_server", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if moto is None:
        pytest.skip("moto_server is not installed")
    store = subprocess.Popen(
        [moto, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    environment = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    environment |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    try:
        wait_for(port)
        assert httpx.put(f"http://127.0.0.1:{port}/scans", trust_env=False).status_code == 200
        options = ("--no-auth", "--scans", "s3://scans/city")
        with served(tmp_path / "data", *options, environment=environment) as server, server.client() as client:
            put_truck(client)
            stored = post_load(client, load_id="kept")
            assert stored.status_code == 201, stored.text
            shutil.rmtree(tmp_path / "data" / "scans")
            shutil.rmtree(tmp_path / "data" / "trucks")
            (tmp_path / "data" / "scans").mkdir()
            (tmp_path / "data" / "trucks").mkdir()
            assert client.get("/v1/loads/kept/scene").content[:4] == b"VSC1"
    finally:
        store.terminate()
        store.wait(10)


def test_nginx_as_it_ships_lets_in_trucks_with_a_certificate(tmp_path: Path) -> None:
    nginx = program("nginx", "usr/sbin/nginx")
    doors = {name: free_port() for name in ("people", "trucks", "upstream")}
    authority, stranger = certificates(tmp_path / "ca"), certificates(tmp_path / "other")
    shipped = (Path(__file__).parents[1] / "examples" / "serve" / "nginx.conf").read_text()
    moved = {
        "/etc/volest/tls/server.pem": authority["server.pem"],
        "/etc/volest/tls/server.key": authority["server.key"],
        "/etc/volest/tls/trucks-ca.pem": authority["ca.pem"],
        "127.0.0.1:8080": f"127.0.0.1:{doors['upstream']}",
        "listen 443": f"listen 127.0.0.1:{doors['people']}",
        "listen 8443": f"listen 127.0.0.1:{doors['trucks']}",
        "/run/nginx.pid": f"{tmp_path}/nginx.pid",
        "/var/log/nginx/error.log": f"{tmp_path}/error.log",
        "worker_processes auto": "worker_processes 1",
    }
    for old, new in moved.items():
        assert old in shipped
        shipped = shipped.replace(old, new)
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        shipped = shipped.replace(
            "    access_log off;", f"    access_log off;\n    {kind}_temp_path {tmp_path}/{kind};", 1
        )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(f"user {'root' if os.geteuid() == 0 else 'nobody'};\n{shipped}")
    arguments = ["-p", str(tmp_path), "-e", f"{tmp_path}/error.log", "-c", str(configuration)]
    process = subprocess.Popen([nginx, *arguments, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        wait_for(doors["people"])
        options = ("--proxy", "127.0.0.1", "--port", str(doors["upstream"]))
        with served(tmp_path / "data", *options) as server:
            secret = (server.data / "operator.token").read_text().strip()
            behind_nginx(doors, authority, stranger, secret)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(10)


def behind_nginx(doors: dict[str, int], own: dict[str, str], other: dict[str, str], secret: str) -> None:
    token = {"Authorization": f"Bearer {secret}"}

    def ask(door: str, holder: dict[str, str] | None, path: str, **more: Any) -> httpx.Response:
        context = ssl.create_default_context(cafile=own["ca.pem"])
        if holder is not None:
            context.load_cert_chain(holder["client.pem"], holder["client.key"])
        with httpx.Client(verify=context, headers=token, trust_env=False) as client:
            return client.request(more.pop("method", "GET"), f"https://127.0.0.1:{doors[door]}{path}", **more)

    assert ask("people", None, "/v1/loads").json() == {"items": [], "next": None}
    assert ask("people", None, "/v1/events", method="POST", json=event(1)).status_code == 403
    assert ask("people", None, "/metrics").status_code == 403
    assert ask("trucks", None, "/v1/events", method="POST", json=event(1)).status_code == 400
    assert ask("trucks", other, "/v1/events", method="POST", json=event(1)).status_code == 400
    assert ask("trucks", own, "/v1/events", method="POST", json=event(1)).status_code == 201
    assert ask("trucks", own, "/v1/loads?limit=1").status_code == 200
    assert ask("trucks", own, "/v1/tokens").status_code == 403
    assert ask("people", None, "/v1/health", content=bytes(70 << 20), method="POST").status_code == 413
    half_open = [socket.create_connection(("127.0.0.1", doors["people"]), 10.0) for _ in range(20)]
    context = ssl.create_default_context(cafile=own["ca.pem"])
    held = [context.wrap_socket(each, server_hostname="127.0.0.1") for each in half_open]
    for each in held:
        each.sendall(b"GET /v1/health HTTP/1.1\r\nHost: loc")
    started = time.monotonic()
    assert ask("people", None, "/v1/health").status_code == 200
    for each in held:
        with contextlib.suppress(OSError):
            while each.recv(1000):
                pass
        each.close()
    assert time.monotonic() - started < 9.0


# --- all together -----------------------------------------------------------------------------------------------------


def test_the_demo_is_alive_within_ten_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    with served(tmp_path / "data", "--demo") as server, server.client() as client:
        while len(client.get("/v1/loads", params={"limit": 50}).json()["items"]) < 3:
            assert time.monotonic() - started < 30.0
            time.sleep(0.1)
        seconds = time.monotonic() - started
        assert client.get("/v1/health").json()["demo"]
        assert len(client.get("/v1/trucks").json()["items"]) == 3
        (load, *_) = client.get("/v1/loads").json()["items"]
        assert load["origin"] == "demo"
        assert client.get(f"/v1/loads/{load['load_id']}/scene").status_code == 200
    assert seconds < 30.0, seconds  # 10 on a machine that does nothing else
