"""Kills `volest edge` at random instants while it replays a day, and counts what arrives.

    python benchmarks/edge_kills.py --way mqtt                  200 kills, and a broker that is killed now and then
    python benchmarks/edge_kills.py --way http                  the same against an HTTP receiver
    python benchmarks/edge_kills.py --way mqtt --fault outage   the broker away for an hour of the truck's day
    python benchmarks/edge_kills.py --way http --fault disk     a full disk (tmpfs: needs root) in the middle of the day
    python benchmarks/edge_kills.py --way mqtt --fault clock    the wall clock jumps back two hours (libfaketime)
    python benchmarks/edge_kills.py --fault syscalls            the outbox killed, or its disk failing, at each write,
                                                                sync and unlink in turn (strace)
    python benchmarks/edge_kills.py --way http --fault live     no fault: two VLP-16 on the wire, memory and stop

Broker: mosquitto, as it comes. The receivers commit to SQLite before they answer. Exit status 1 where an entry is lost,
arrives with two contents, or is one too many.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from volest.track import Day, track_day

FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)
ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Store:
    """What a receiver has committed: each document once, and how often it came."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, body TEXT, times INT, differs INT, at INT)"
        )
        self._lock = threading.Lock()

    def commit(self, documents: list[dict[str, Any]]) -> None:
        """All of them, or none."""
        with self._lock, self._db:
            for document in documents:
                body = json.dumps(document[document["kind"]], sort_keys=True)
                self._insert(document["id"], document["kind"], body)

    def _insert(self, name: str, kind: str, body: str) -> None:
        row = self._db.execute("SELECT body FROM event WHERE id = ?", (name,)).fetchone()
        if row is None:
            count = self._db.execute("SELECT count(*) FROM event").fetchone()[0]
            self._db.execute("INSERT INTO event VALUES (?, ?, 1, 0, ?)", (name, f"{kind} {body}", count))
        else:
            differs = int(row[0] != f"{kind} {body}")
            self._db.execute("UPDATE event SET times = times + 1, differs = differs + ? WHERE id = ?", (differs, name))

    def rows(self) -> list[tuple[str, str, dict[str, Any], int, int]]:
        """Id, kind, content, how often it came and how often with another content, in the order of arrival."""
        with self._lock:
            rows = self._db.execute("SELECT id, body, times, differs FROM event ORDER BY at").fetchall()
        split = [(name, *body.split(" ", 1), times, differs) for name, body, times, differs in rows]
        return [(name, kind, json.loads(body), times, differs) for name, kind, body, times, differs in split]

    def close(self) -> None:
        self._db.close()


class HttpReceiver:
    """Answers 204 when it has committed; `answers` are given first, one a request, as (status, headers)."""

    def __init__(self, store: Store, context: Any = None) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), content))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                if status < 300:
                    told = json.loads(content)
                    store.commit(told if isinstance(told, list) else [told])
                self.send_response(status)
                for name, value in ({"Content-Length": "0"} | headers).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None: ...  # the agent was killed in the middle of a request

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Broker:
    """A mosquitto of one's own."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.port, self._config = free_port(), folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\n{more or 'allow_anonymous true'}\n", "utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([binary, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.05)
        raise RuntimeError("mosquitto does not start")

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    close = kill


class MqttReceiver:
    """Acknowledges what it has committed, each time that it comes; `refuses` names ids that it will not have."""

    def __init__(self, store: Store, port: int, truck: str, **settings: Any) -> None:
        import paho.mqtt.client as paho

        self.refuses: dict[str, str] = {}
        self.silent = False

        def connected(client: Any, *_: Any) -> None:
            client.subscribe(f"volest/{truck}/events", 1)

        def came(client: Any, _: Any, message: Any) -> None:
            document = json.loads(message.payload)
            ack = {"schema": "volest/ack/1", "id": document["id"], "time_s": time.time()}
            if document["id"] in self.refuses:
                ack["refused"] = self.refuses[document["id"]]
            else:
                store.commit([document])
            if not self.silent:
                client.publish(f"volest/{truck}/acks", json.dumps(ack), 1)

        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="receiver")
        self._client.on_connect, self._client.on_message = connected, came
        self._client.reconnect_delay_set(1, 1)
        if "username" in settings:
            self._client.username_pw_set(settings["username"], settings["password"])
        if "context" in settings:
            self._client.tls_set_context(settings["context"])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Rig:
    """A day, a receiver that commits to SQLite, and an agent that is started and killed."""

    def __init__(self, folder: Path, day: Path, way: str, speed: float | None, outbox: Path | None = None) -> None:
        self.folder, self.way = folder, way
        self.expected = {entry.id: entry.to_dict() for entry in track_day(Day.load(day))}
        self.truck = Day.load(day).truck.id
        self.store = Store(folder / "received.sqlite")
        self.broker = Broker(folder) if way == "mqtt" else None
        self.receiver: HttpReceiver | MqttReceiver
        if self.broker is not None:
            self.receiver = MqttReceiver(self.store, self.broker.port, self.truck)
            ways = f"[mqtt]\nhost = '127.0.0.1'\nport = {self.broker.port}\ntls = false\nack_timeout_s = 1.0\n"
        else:
            self.receiver = HttpReceiver(self.store)
            ways = f"[http]\nurl = 'http://127.0.0.1:{self.receiver.port}/v1/events'\nbatch = 4\ntimeout_s = 5.0\n"
        pace = "" if speed is None else f"speed = {speed}\n"
        self.status_file, self.config = folder / "status.json", folder / "edge.toml"
        self.outbox = outbox or folder / "outbox.sqlite"
        self.config.write_text(
            f"schema = 1\n[replay]\nday = '{day.resolve()}'\n{pace}[outbox]\npath = '{self.outbox}'\n"
            f"scan_voxel_m = 0.1\n{ways}[health]\nevery_s = 2\nstatus_every_s = 0.2\n"
            f"status_file = '{self.status_file}'\n",
            "utf-8",
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.peak_kb = 0

    def start(self, **environment: str) -> None:
        """Start the agent."""
        command = [sys.executable, "-m", "volest", "edge", "--config", str(self.config)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self.log = (self.folder / "edge.log").open("ab")
        self.process = subprocess.Popen(command, env=environment, stderr=self.log)

    def wait(self, seconds: float) -> int | None:
        """Its exit status, None where it still runs."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill it, and wait for its end."""
        if self.process is not None:
            with contextlib.suppress(OSError):
                told = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
                peak = [line.split()[1] for line in told.splitlines() if line.startswith("VmHWM")]
                self.peak_kb = max([self.peak_kb, *map(int, peak)])
            self.process.send_signal(number)
            self.process.wait()
            self.process = None
            self.log.close()

    def status(self) -> dict[str, Any]:
        """What it told of itself last."""
        return dict(json.loads(self.status_file.read_text("utf-8"))) if self.status_file.exists() else {}

    def count(self) -> dict[str, int]:
        """What arrived of the day's entries."""
        rows = [
            (name, content, times, differs)
            for name, kind, content, times, differs in self.store.rows()
            if kind == "entry"
        ]
        came = {name: json.loads(json.dumps(content)) for name, content, _, _ in rows}
        told = {name: json.loads(json.dumps(content)) for name, content in self.expected.items()}
        return {
            "expected": len(told),
            "arrived": len(came),
            "lost": len(told.keys() - came.keys()),
            "too many": len(came.keys() - told.keys()),
            "of another content": sum(differs for *_, differs in rows)
            + sum(came[name] != told[name] for name in came.keys() & told.keys()),
            "came again": sum(times - 1 for _, _, times, _ in rows),
        }

    def close(self) -> None:
        """Stop all that was started."""
        self.kill()
        self.receiver.close()
        if self.broker is not None:
            self.broker.close()
        self.store.close()


def is_whole(count: dict[str, int]) -> bool:
    """Whether each entry arrived once, after deduplication by id, and nothing else."""
    return not (count["lost"] or count["too many"] or count["of another content"])


def kills(rig: Rig, number: int, seed: int, longest_s: float = 3.5) -> dict[str, int]:
    """Kill the agent so often, each time at a random instant after its start; then let it end."""
    rng = random.Random(seed)
    running = broken = 0
    for _ in range(number):
        rig.start()
        left_s = rng.uniform(0.0, longest_s)
        if rig.broker is not None and rng.random() < 0.15:
            first = rng.uniform(0.0, left_s)
            rig.wait(first)
            rig.broker.kill()
            rig.wait(left_s - first)
            rig.broker.start()
            broken += 1
        else:
            rig.wait(left_s)
        running += rig.wait(0.0) is None
        rig.kill()
    rig.start()
    while rig.wait(5.0) is None:
        print("waiting:", rig.status().get("queued"), "queued", file=sys.stderr)
    told = {"kills": number, "of them while it ran": running, "broker killed": broken}
    return told | rig.count()


def outage(rig: Rig, speed: float) -> dict[str, Any]:
    """The broker is away for the first hour of the day."""
    assert rig.broker is not None
    rig.broker.kill()
    rig.start()
    rig.wait(3600.0 / speed)
    status = rig.status()
    queued, flags = status["queued"], status["problems"]
    rig.broker.start()
    back_s = time.monotonic()
    while rig.status().get("queued") and rig.wait(0.1) is None:
        pass
    drained_s = time.monotonic() - back_s
    rig.wait(1e6)
    return {
        "queued after the hour": queued,
        "problem": flags,
        "seconds to deliver them": round(drained_s, 1),
    } | rig.count()


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A tmpfs of some size."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def full_disk(rig: Rig) -> dict[str, Any]:
    """Twice the disk is full for some time; in the second the agent is killed, too."""
    filler, seen = rig.outbox.parent / "filler", []
    rig.start()
    for is_killed in (False, True):
        rig.wait(4.0)
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        rig.wait(5.0)
        seen.append("disk_full" in rig.status()["flags"])
        if is_killed:
            rig.kill()
            rig.start()
            rig.wait(3.0)
        filler.unlink()
    rig.wait(3.0)
    after = "disk_full" in rig.status()["flags"]
    rig.wait(1e6)
    return {"told of the full disk": all(seen), "told of it afterwards": after} | rig.count()


def clock_back(rig: Rig) -> dict[str, Any]:
    """The wall clock jumps back two hours while it runs, and two more over a restart."""
    library = next(name for name in FAKETIME if Path(name).exists())
    offset = rig.folder / "offset"
    offset.write_text("+0", "ascii")
    fake = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    rig.start(**fake)
    rig.wait(6.0)
    offset.write_text("-2h", "ascii")
    rig.wait(6.0)
    skew_s = rig.status()["clock_skew_s"]
    rig.kill()
    offset.write_text("-4h", "ascii")
    rig.start(**fake)
    rig.wait(1e6)
    order = [content["end_s"] for _, kind, content, _, _ in rig.store.rows() if kind == "entry"]
    return {"skew told [s]": skew_s, "in order": order == sorted(order)} | rig.count()


WRITER = """
import sys
from volest.edge.event import Document
from volest.edge.outbox import Outbox, OutboxFullError
with Outbox(path := sys.argv[1], "KT-1") as outbox:
    told = int(outbox.mark("live") or b"0")
    for at in range(2):
        both = [Document(f"{2 * at + i:016x}", "entry", b'{"text":"%s"}' % (b"x" * 9000)) for i in (0, 1)]
        while True:
            try:
                if at >= told:
                    outbox.append(both, "live", b"%d" % (at + 1))
                outbox.done([both[0].id])  # a receiver that is asked again says it again
                break
            except OutboxFullError:
                pass
"""
CALLS = ("pwrite64", "fsync", "fdatasync", "unlink")


def syscalls(folder: Path) -> dict[str, Any]:
    """A writer is killed, and its disk fails, at each write, sync and unlink in turn; then it is started again."""
    from volest.edge.outbox import Outbox

    path, result, failed = folder / "o", {}, 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for call in CALLS:
        for fault in ("signal=SIGKILL", "error=ENOSPC", "error=EIO"):
            count = 0
            while True:
                for leftover in folder.glob("o*"):
                    leftover.unlink()
                trace = ["strace", "-f", "-qq", "-o", str(folder / "trace"), "-e", f"trace={call}"]
                trace += ["-e", f"inject={call}:{fault}:when={count + 1}"]
                command = [*trace, sys.executable, "-c", WRITER, str(path)]
                subprocess.run(command, env=environment, capture_output=True)
                if not re.search("INJECTED|SIGKILL", (folder / "trace").read_text("utf-8")):
                    break  # there are no more calls of the kind
                count += 1
                with contextlib.suppress(Exception), Outbox(path, "KT-1") as outbox:
                    at = int(outbox.mark("live") or b"0")
                    known = {row[0] for row in outbox._db.execute("SELECT id FROM event")}
                    failed += known != {f"{number:016x}" for number in range(2 * at)} or bool(outbox.told)
                subprocess.run([sys.executable, "-c", WRITER, str(path)], env=environment, check=True)
                with Outbox(path, "KT-1") as outbox:
                    failed += [row.id for row in outbox.queued(99)] != [f"{2 * at + 1:016x}" for at in range(2)]
            result[f"{call} {fault}"] = count
    return result | {"wrong": failed}


def live(rig: Rig, day: Path, seconds: float = 30.0) -> dict[str, Any]:
    """The day's truck with its two sensors, which send as many packets as VLP-16 do; what the agent takes for it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from recording_goldens import FIRING_S, velodyne_packet

    text, tables, ports = rig.config.read_text("utf-8"), "", {}
    for sensor in Day.load(day).truck.sensor_ids:
        ports[sensor] = free_port()
        tables += f"[[lidar]]\nsensor = '{sensor}'\nkind = 'velodyne'\nport = {ports[sensor]}\n"
    begin, end = text.index("[replay]"), text.index("[outbox]")
    rig.config.write_text(f"{text[:begin]}truck = '{day}/truck.toml'\n{tables}{text[end:]}", "utf-8")
    packets, stop = [velodyne_packet(number, 3.0) for number in range(75)], threading.Event()

    def send() -> None:
        begin_s, number = time.monotonic(), 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not stop.wait(0.01):
                while number * 24 * FIRING_S < time.monotonic() - begin_s:
                    for port in ports.values():
                        sender.sendto(packets[number % 75], ("127.0.0.1", port))
                    number += 1

    thread = threading.Thread(target=send)
    thread.start()
    rig.start()
    rig.wait(seconds)
    assert rig.process is not None
    children = Path(f"/proc/{rig.process.pid}/task/{rig.process.pid}/children").parent.parent.glob("*/children")
    pids = [pid for file in children for pid in file.read_text("ascii").split()]
    kilobytes = [_resident_kb(pid) for pid in pids]
    rates, begin_s = rig.status()["rate_hz"], time.monotonic()
    rig.kill(signal.SIGTERM)
    stopped_s = time.monotonic() - begin_s
    stop.set()
    thread.join()
    decoders = [round(kb / 1024) for kb in kilobytes]
    return {"turns a second": rates, "each decoder's RSS [MB]": decoders, "stops within [s]": round(stopped_s, 2)}


def _resident_kb(pid: str) -> int:
    told = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in told if line.startswith("VmRSS"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--way", choices=["mqtt", "http"], default="mqtt")
    parser.add_argument("--fault", choices=["kills", "outage", "disk", "clock", "live", "syscalls"], default="kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, help="how many times as fast as the day was")
    parser.add_argument("--recipe", type=Path, default=ROOT / "datasets/recipes/day-two-trips.toml")
    told = parser.parse_args()
    speed = told.speed or {"kills": 25.0, "outage": 60.0}.get(told.fault, 200.0)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        if told.fault == "syscalls":
            result = syscalls(folder)
            for key, value in result.items():
                print(f"{key:26s}{value}")
            return 1 if result["wrong"] else 0
        make = [sys.executable, "-m", "volest", "simulate", str(told.recipe), "-o", str(folder / "day")]
        subprocess.run(make, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
        disk = stack.enter_context(small_disk(folder / "disk", "600k")) if told.fault == "disk" else folder
        rig = Rig(folder, folder / "day", told.way, speed, disk / "outbox.sqlite")
        stack.callback(rig.close)
        begin_s = time.monotonic()
        if told.fault == "kills":
            result = kills(rig, told.kills, told.seed)
        elif told.fault == "outage":
            result = outage(rig, speed)
        elif told.fault == "live":
            result = live(rig, folder / "day")
        else:
            result = full_disk(rig) if told.fault == "disk" else clock_back(rig)
        result |= {"seconds": round(time.monotonic() - begin_s), "peak RSS [MB]": round(rig.peak_kb / 1024)}
        for key, value in result.items():
            print(f"{key:26s}{value}")
        return 0 if told.fault == "live" or is_whole(rig.count()) else 1


if __name__ == "__main__":
    sys.exit(main())
