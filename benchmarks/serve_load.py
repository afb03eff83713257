"""How many loads a second the service takes from 64 clients, against the engine's own rate on the same machine.

    .venv/bin/python benchmarks/serve_load.py --seconds 60 --kill
    .venv/bin/python benchmarks/serve_load.py --seconds 60 --cases FOLDER     the loads of these cases in turn

The engine's own rate: the same files read and estimated in as many worker processes, with nothing before or after it.
Server and clients then share the cores. With --kill the server is killed (SIGKILL) in the middle and started again;
each client sends a load again until it is told that it is stored, and at the end all that was told has to be there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402
from batch import loads  # noqa: E402
from serving import DATASETS, Served  # noqa: E402

from volest.serve.crew import Crew  # noqa: E402
from volest.serve.settings import Limits  # noqa: E402

WARM_S = 2.0
FLOOR = 0.85
BOUNDARY = "6f1c2a83d95b47e0a1f3c8d27b6e9054"  # as long as those of httpx


@dataclass
class Tally:
    """What the clients found out."""

    seconds: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    again: int = 0
    refused: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """A load to be sent: scans by sensor (or by none), and a weight in kg or a file with one."""

    folder: Path
    scans: tuple[tuple[str, Path], ...]
    weight: str | None = None

    @property
    def truck(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "truck.toml").read_text("utf-8"))

    def put_truck(self, operator: httpx.Client) -> None:
        """Its truck, with the scans of the empty bed that it names."""
        told = self.truck["bed"].get("reference", [])
        names = [name.rpartition("=")[2] for name in ([told] if isinstance(told, str) else told)]
        files = [("truck", ("truck.toml", (self.folder / "truck.toml").read_bytes()))]
        files += [("file", (name, (self.folder / name).read_bytes())) for name in names]
        operator.put(f"/v1/trucks/{self.truck['id']}", files=files).raise_for_status()

    @property
    def body(self) -> tuple[bytes, bytes]:
        """A form, before and after the load's id."""
        texts = {"truck_id": self.truck["id"], "district": "Kota"}
        files = [(f"scan.{sensor}" if sensor else "scan", path) for sensor, path in self.scans]
        if self.weight and self.weight.endswith(".csv"):
            files.append(("weight", self.folder / self.weight))
        elif self.weight:
            texts["gross_kg"] = self.weight
        head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        parts = [f'{head}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in texts.items()]
        for name, path in files:
            parts += [f'{head}"{name}"; filename="{path.name}"\r\n\r\n'.encode(), path.read_bytes(), b"\r\n"]
        after = b"\r\n" + b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
        return f'{head}"load_id"\r\n\r\n'.encode(), after

    @property
    def task(self) -> dict[str, Any]:
        """For a worker that keeps nothing."""
        weight = str(self.folder / self.weight) if self.weight and self.weight.endswith(".csv") else self.weight
        scans = [(sensor, str(path), path.name) for sensor, path in self.scans]
        task = {"kind": "estimate", "truck": str(self.folder / "truck.toml"), "load_id": "x", "scans": scans}
        return task | {"weight": weight, "told": {}, "names": [], "digests": {}, "keep": []}


def of_cases(folder: Path) -> list[Load]:
    """The loads of a folder of cases."""
    found = []
    for place, scans, weight in loads(folder):
        named = [scan.rpartition("=") for scan in scans]
        found.append(Load(Path(place), tuple((sensor, Path(place) / name) for sensor, _, name in named), weight))
    return found


def engine_rate(sent: list[Load], workers: int, seconds: float) -> float:
    """Loads a second of so many processes that read and estimate the same files."""
    crew = Crew(workers, Limits())
    crew.warm()
    turns = [load.task for load in sent]
    counts = [0] * workers
    begun = threading.Barrier(workers + 1)
    ending = threading.Event()

    def work(number: int) -> None:
        for turn in range(max(20, 3 * len(turns))):  # each process learns each truck
            crew._do(turns[turn % len(turns)])
        begun.wait()
        while not ending.is_set():
            crew._do(turns[(number + workers * counts[number]) % len(turns)])
            counts[number] += 1

    with ThreadPoolExecutor(workers) as pool:
        for number in range(workers):
            pool.submit(work, number)
        begun.wait()
        started = time.perf_counter()
        time.sleep(seconds)
        ending.set()
        took = time.perf_counter() - started
    crew.close()
    return sum(counts) / took


async def client(
    number: int,
    host: tuple[str, int],
    bodies: list[tuple[bytes, bytes]],
    turns: Iterator[int],
    tally: Tally,
    until: float,
) -> None:
    """Sends one load after the other over a connection that is kept, each until it is stored."""
    reader = writer = None
    while time.perf_counter() < until:
        turn = next(turns)
        name = f"c{number:03d}-{turn:06d}"
        before, after = bodies[turn % len(bodies)]
        head = "POST /v1/loads HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        head += f"Content-Length: {len(before) + len(name) + len(after)}\r\n\r\n"
        started = time.perf_counter()
        while True:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(*host, limit=1 << 20)
                writer.writelines((head.encode() + before + name.encode(), after))
                await writer.drain()
                told = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(re.search(rb"content-length: (\d+)", told)[1]))
            except (OSError, asyncio.IncompleteReadError, TypeError):
                tally.again += 1
                if writer is not None:
                    writer.close()
                writer = None
                await asyncio.sleep(0.05)
                if time.perf_counter() > until + 15.0:
                    return
                continue
            status = int(told[9:12])
            if status in (200, 201):
                break
            tally.refused[status] = tally.refused.get(status, 0) + 1
            await asyncio.sleep(0.05)
        tally.stored.add(name)
        tally.seconds.append(time.perf_counter() - started)
        tally.at.append(time.perf_counter())
    if writer is not None:
        writer.close()


def run(told: argparse.Namespace, sent: list[Load]) -> dict[str, object]:
    workers = told.workers
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="volest-load-") as folder:
        options = ["--no-auth", "--workers", str(workers), "--limit", "per_s=0", "--limit", "queue=256"]
        server = Served(Path(folder) / "data", *options, *(["--database", told.database] if told.database else []))
        port = int(server.url.rpartition(":")[2])
        server._options = (*options, *(["--database", told.database] if told.database else []), "--port", str(port))
        try:
            bodies = [load.body for load in sent]
            with server.client() as operator:
                for load in sent:
                    load.put_truck(operator)

            async def send(prefix: int, clients: int, seconds: float, tally: Tally) -> None:
                turns, until = count(), time.perf_counter() + seconds
                host = ("127.0.0.1", port)
                await asyncio.gather(*(client(prefix + n, host, bodies, turns, tally, until) for n in range(clients)))

            asyncio.run(send(900, workers, WARM_S + 0.4 * len(sent), Tally()))  # each process learns each truck
            started = time.perf_counter()
            if told.kill:
                threading.Timer(told.seconds / 2, lambda: (server.kill(), server.start())).start()
            asyncio.run(send(0, told.clients, told.seconds, tally))
            took = time.perf_counter() - started
            stored = stored_ids(server)
        finally:
            server.stop()
    ordered = sorted(tally.seconds)
    return {
        "loads": len(tally.stored),
        "rate_per_s": len(tally.stored) / took,
        "p50_s": statistics.median(ordered),
        "p99_s": ordered[int(0.99 * len(ordered))],
        "most_s": ordered[-1],
        "sent_again": tally.again,
        "refused": tally.refused,
        "lost": len(tally.stored - set(stored)),
        "doubled": len(stored) - len(set(stored)),
    }


def stored_ids(server: Served) -> list[str]:
    names: list[str] = []
    query = "limit=500"
    while True:
        with urlopen(f"{server.url}/v1/loads?{query}", timeout=60) as answer:
            told = json.load(answer)
        names += [item["load_id"] for item in told["items"]]
        if told["next"] is None:
            return names
        query = f"limit=500&cursor={told['next']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scan", type=Path, default=DATASETS / "half-full-overhead" / "top.npz")
    parser.add_argument("--cases", type=Path, help="a folder of cases, in the place of --scan")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--database")
    parser.add_argument("--kill", action="store_true")
    told = parser.parse_args()
    one = Load(DATASETS / "half-full-overhead", (("", told.scan),))
    sent = of_cases(told.cases) if told.cases else [one]
    before = engine_rate(sent, told.workers, min(told.seconds, 10.0))
    found = run(told, sent)
    after = engine_rate(sent, told.workers, min(told.seconds, 10.0))
    own = (before + after) / 2
    found |= {"engine_per_s": [round(before, 1), round(after, 1)], "share": found["rate_per_s"] / own}
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}))
    return 0 if not found["lost"] and not found["doubled"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
