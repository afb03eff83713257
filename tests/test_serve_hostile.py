"""What a hostile or a slow client can do to the service: not much, and not to others."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving import DATASETS, TRUCK, Served, post_load, put_truck, served

DAWDLE_S = 1.5
LIMITS = {"dawdle_s": DAWDLE_S, "body_bytes": 2_000_000, "points": 200_000, "bytes_per_s": 100_000}
HEAD = b"POST /v1/loads HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = [text for name, value in LIMITS.items() for text in ("--limit", f"{name}={value}")]
    with served(tmp_path_factory.mktemp("hostile") / "data", "--no-auth", *options) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[httpx.Client]:
    with server.client() as anyone:
        assert put_truck(anyone).status_code == 201
        yield anyone


def connect(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0), 5.0)


def answer_to(server: Served, *pieces: bytes) -> bytes:
    """All that the server sends before it closes, or within five seconds."""
    with connect(server) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except (TimeoutError, ConnectionResetError):
            pass
        return received


def pushed(connection: socket.socket, pieces: Iterable[bytes], pause_s: float = 0.0) -> int:
    """How many bytes the server takes before it hangs up."""
    sent = 0
    with contextlib.suppress(ConnectionError, TimeoutError):
        for piece in pieces:
            connection.sendall(piece)
            sent += len(piece)
            time.sleep(pause_s)
    return sent


def left_behind(server: Served) -> list[str]:
    return [path.name for path in (server.data / "incoming").iterdir()]


def test_requests_that_do_not_come_in_whole_are_closed_and_hinder_no_other(
    server: Served, client: httpx.Client
) -> None:
    boundary = b'--x\r\nContent-Disposition: form-data; name="scan"; filename="a.npz"\r\n\r\n'
    beginnings = [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: local",
        HEAD + b"Content-Length: 100000\r\n\r\n" + boundary + b"abc",
    ]
    beginnings.append(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x\r\n")
    open_ones = [connect(server) for _ in range(40) for _ in beginnings]
    started = time.monotonic()
    for number, connection in enumerate(open_ones):
        connection.sendall(beginnings[number % len(beginnings)])
    slowest = 0.0
    while time.monotonic() - started < DAWDLE_S + 1.5:
        asked = time.monotonic()
        assert client.get("/v1/health").status_code == 200
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.05)
    assert post_load(client).status_code in (200, 201)
    for connection in open_ones:
        connection.settimeout(1.0)
        while connection.recv(65536):
            pass  # the answer 408, and then the end
        connection.close()
    assert slowest < 1.0
    assert left_behind(server) == []


def test_a_head_that_trickles_is_no_second_chance(server: Served) -> None:
    started = time.monotonic()
    with connect(server) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in connection.recv(65536)
        second = b"GET /v1/health HTTP/1.1\r\nX-Long: " + b"a" * 1000
        assert pushed(connection, (bytes([byte]) for byte in second), 0.1) < len(second)
    assert time.monotonic() - started < DAWDLE_S + 2.0


def test_a_body_that_trickles_is_too_slow(server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n--x\r\n")
        assert pushed(connection, [b"a" * 10] * 100, 0.1) < 1000
        connection.settimeout(1.0)
        with contextlib.suppress(ConnectionError):  # what it answered may be lost with the connection
            assert b" 408 " in connection.recv(65536)
    assert left_behind(server) == []


def test_one_who_does_not_read_hinders_no_other(server: Served, client: httpx.Client) -> None:
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
        time.sleep(0.5)
        assert client.get("/v1/health").status_code == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"413"),
        (HEAD + b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 20_000, b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), b"400"),
        (b"\x00" * 1000, b"400"),
    ],
)
def test_what_is_no_sound_request_is_refused(server: Served, request_: bytes, status: bytes) -> None:
    assert answer_to(server, request_).split(b" ")[1:2] == [status]


def test_a_body_without_end_is_cut_off_before_it_fills_the_disk(server: Served) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    start = b'--x\r\nContent-Disposition: form-data; name="scan"; filename="a.npz"\r\n\r\n'
    chunk = b"%x\r\n" % 65536 + b"a" * 65536 + b"\r\n"
    with connect(server) as connection:
        connection.sendall(head + b"%x\r\n" % len(start) + start + b"\r\n")
        assert pushed(connection, [chunk] * 1000) < 20_000_000  # the limit and what the kernel holds
    assert left_behind(server) == []


FORMS = {
    "no boundary": ("multipart/form-data", b"", 400),
    "an empty body": ("multipart/form-data; boundary=x", b"", 400),
    "cut short": ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb', 400),
    "no name": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nb\r\n--x--\r\n", 400),
    "another type": ("application/json", b"{}", 415),
    "rubbish": ("multipart/form-data; boundary=x", bytes(range(256)) * 10, 400),
    "a long header": (
        "multipart/form-data; boundary=x",
        b"--x\r\nX: " + b"a" * 10_000 + b"\r\n\r\nb\r\n--x--\r\n",
        400,
    ),
    "a long text": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="district"\r\n\r\n' + b"a" * 10_000 + b"\r\n--x--\r\n",
        413,
    ),
    "many parts": (
        "multipart/form-data; boundary=x",
        b"".join(b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\nb\r\n' % i for i in range(3000))
        + b"--x--\r\n",
        413,
    ),
    "no UTF-8": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="district"\r\n\r\n\xff\xfe\r\n--x--\r\n',
        422,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_none_is_refused(server: Served, client: httpx.Client, name: str) -> None:
    kind, content, status = FORMS[name]
    answer = client.post("/v1/loads", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status
    assert left_behind(server) == []


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x.npz", "/etc/passwd.npz", "..\\..\\x.npz", "a\x00b.npz", "x" * 5000 + ".npz"]
)
def test_no_name_of_a_clients_becomes_one_of_a_file(server: Served, client: httpx.Client, name: str) -> None:
    before = {path for path in server.data.rglob("*") if path.is_file()}
    scan = (DATASETS / "half-full-overhead" / "top.npz").read_bytes()
    body = b"".join(
        [
            b'--x\r\nContent-Disposition: form-data; name="truck_id"\r\n\r\n' + TRUCK.encode() + b"\r\n",
            b'--x\r\nContent-Disposition: form-data; name="scan"; filename="' + name.encode() + b'"\r\n\r\n' + scan,
            b"\r\n--x--\r\n",
        ]
    )
    answer = client.post("/v1/loads", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (200, 201, 400, 413)
    for path in {path for path in server.data.rglob("*") if path.is_file()} - before:
        assert len(path.name) < 80
        assert path.suffix in (".npz", "")
        assert path.resolve().is_relative_to(server.data.resolve())


def zip_bomb(factor_bytes: int) -> bytes:
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xyz.npy", "w", force_zip64=True) as file,
    ):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (factor_bytes // 12, 3)}
        )
        file.write(header.getvalue())
        for _ in range(factor_bytes >> 20):
            file.write(bytes(1 << 20))
    return content.getvalue()


def npz(points: int) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, xyz=np.ones((points, 3), dtype=np.float32))
    return content.getvalue()


HOSTILE_SCANS = {
    "a bomb": (zip_bomb(768 << 20), ".npz", "unpacks"),
    "too many points": (npz(300_000), ".npz", "200000"),
    "rubbish": (b"\x00\xff" * 1000, ".las", "las"),
    "a pickle": (b"\x80\x04\x95cposix\nsystem\n", ".npy", "npy"),
    "a header that lies": (
        b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 4000000000\nHEIGHT 1\n"
        b"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 4000000000\nDATA binary\nabc",
        ".pcd",
        "expected",
    ),
}


@pytest.mark.parametrize("name", HOSTILE_SCANS)
def test_a_hostile_scan_is_refused_with_a_reason(client: httpx.Client, name: str) -> None:
    content, suffix, words = HOSTILE_SCANS[name]
    started = time.monotonic()
    answer = client.post("/v1/loads", data={"truck_id": TRUCK}, files={"scan": (f"evil{suffix}", content)})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith("evil")
    assert words in answer.json()["detail"]
    assert time.monotonic() - started < 10.0


def test_other_suffixes_are_no_scans(client: httpx.Client) -> None:
    answer = client.post("/v1/loads", data={"truck_id": TRUCK}, files={"scan": ("x.php", b"x")})
    assert answer.status_code == 422
    assert ".php" in answer.json()["detail"]


def test_events_that_are_none_are_refused(client: httpx.Client) -> None:
    head = {
        "schema": "volest/event/1",
        "id": "0123456789abcdef",
        "truck_id": "KT",
        "seq": 1,
        "kind": "health",
        "recorded": "",
    }
    quantity = {"value": 1e400, "std": 0, "lower95": 0, "upper95": 0}
    for content in (
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"null",
        b'"\xff"',
        json.dumps({**head, "id": "short"}).encode(),
        json.dumps({**head, "health": []}).encode(),
        json.dumps({**head, "seq": -1, "health": {}}).encode(),
        json.dumps({**head, "kind": "entry", "entry": {"kind": "load", "volume_m3": quantity}}).encode(),
        json.dumps({**head, "kind": "entry", "entry": {"kind": "load", "lat": "x"}}).encode(),
        json.dumps({**head, "truck_id": "\x00", "health": {}}).encode(),
    ):
        answer = client.post("/v1/events", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), content[:80]
    wrong_key = {"Idempotency-Key": "other"}
    assert client.post("/v1/events", json={**head, "health": {}}, headers=wrong_key).status_code == 400


def test_without_tokens_other_sites_and_other_names_are_kept_out(client: httpx.Client) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"X-Forwarded-For": "1.2.3.4"},
    ):
        answer = client.get("/v1/loads", headers=headers)
        assert answer.status_code == 403, headers
    own = str(client.base_url).rstrip("/")
    assert client.get("/v1/loads", headers={"Origin": own}).status_code == 200


def test_without_tokens_it_listens_on_this_computer_alone(tmp_path: Path) -> None:
    command = ["-m", "volest", "serve", "--no-auth", "--host", "0.0.0.0", "--data", str(tmp_path)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--no-auth" in done.stderr


def test_who_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    with served(tmp_path / "data", "--limit", "per_s=5", "--limit", "open_per_s=2") as server:
        with server.operator() as client:
            answers = [client.get("/v1/trucks") for _ in range(60)]
            late = [answer for answer in answers if answer.status_code == 429]
            assert 20 <= len(late) <= 45
            assert int(late[0].headers["retry-after"]) >= 1
        with server.client("volest_guess") as guesser:
            assert {guesser.get("/v1/trucks").status_code for _ in range(30)} == {401, 429}
        with server.client() as anyone:
            assert anyone.get("/v1/health").status_code == 200


def test_more_than_can_wait_is_sent_away(tmp_path: Path) -> None:
    options = ("--no-auth", "--workers", "1", "--limit", "queue=2", "--limit", "per_s=0")
    with served(tmp_path / "data", *options) as server:
        with server.client() as client:
            put_truck(client)
        statuses: list[int] = []
        retry: list[str] = []

        def send(number: int) -> None:
            with server.client() as client:
                answer = post_load(client, load_id=f"n{number}")
                statuses.append(answer.status_code)
                if answer.status_code == 503:
                    retry.append(answer.headers["retry-after"])

        threads = [threading.Thread(target=send, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) == {201, 503}
        assert all(int(seconds) >= 1 for seconds in retry)
        with server.client() as client:
            stored = client.get("/v1/loads", params={"limit": 500}).json()["items"]
        assert len(stored) == statuses.count(201)


def test_tls_asks_trucks_for_their_certificates(tmp_path: Path) -> None:
    authority, stranger = certificates(tmp_path / "ca"), certificates(tmp_path / "other")
    options = (
        "--tls-cert",
        authority["server.pem"],
        "--tls-key",
        authority["server.key"],
        "--tls-client-ca",
        authority["ca.pem"],
    )
    with served(tmp_path / "data", *options) as server:
        assert server.url.startswith("https://")
        context = ssl.create_default_context(cafile=authority["ca.pem"])
        for holder in (None, stranger):
            if holder is not None:
                context.load_cert_chain(holder["client.pem"], holder["client.key"])
            with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.TransportError):
                client.get(f"{server.url}/v1/health")
        context = ssl.create_default_context(cafile=authority["ca.pem"])
        context.load_cert_chain(authority["client.pem"], authority["client.key"])
        with httpx.Client(verify=context, trust_env=False) as client:
            answer = client.get(f"{server.url}/v1/health")
        assert answer.status_code == 200
        assert "strict-transport-security" in answer.headers


def certificates(folder: Path) -> dict[str, str]:
    """An authority, and a server's and a client's certificate of it."""
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    for name, extra in (
        ("server", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ("client", "extendedKeyUsage=clientAuth"),
    ):
        (folder / f"{name}.ext").write_text(extra)
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return {path.name: str(path) for path in folder.iterdir()}
