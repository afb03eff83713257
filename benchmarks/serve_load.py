"""How many loads a second the service takes from 64 clients, against the engine's own rate on the same machine.

    .venv/bin/python benchmarks/serve_load.py --seconds 60 --kill

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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from serving import DATASETS, TRUCK, Served, put_truck  # noqa: E402

from volest.serve.crew import Crew  # noqa: E402
from volest.serve.settings import Limits  # noqa: E402

WARM_S = 2.0
FLOOR = 0.85


@dataclass
class Tally:
    """What the clients found out."""

    seconds: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    again: int = 0
    refused: dict[int, int] = field(default_factory=dict)


def engine_rate(scan: Path, workers: int, seconds: float) -> float:
    """Loads a second of so many processes that read and estimate the same file."""
    crew = Crew(workers, Limits())
    crew.warm()
    truck = DATASETS / "half-full-overhead" / "truck.toml"
    task = {
        "kind": "estimate",
        "truck": str(truck),
        "load_id": "x",
        "scans": [("top", str(scan), scan.name)],
        "weight": None,
    }
    task |= {"told": {}, "names": [(str(scan), scan.name)], "digests": {}, "keep": []}
    counts = [0] * workers
    begun = threading.Barrier(workers + 1)
    ending = threading.Event()

    def work(number: int) -> None:
        for _ in range(20):
            crew._do(task)
        begun.wait()
        while not ending.is_set():
            crew._do(task)
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


async def client(number: int, host: tuple[str, int], body: bytes, tally: Tally, until: float) -> None:
    """Sends one load after the other over a connection that is kept, each until it is stored."""
    reader = writer = None
    count = 0
    while time.perf_counter() < until:
        count += 1
        name = f"c{number:03d}-{count:06d}"
        content = body.replace(b"LOADIDLOADI", name.encode())
        head = "POST /v1/loads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        started = time.perf_counter()
        while True:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(*host, limit=1 << 20)
                writer.write(head.encode() + content)
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


def body_of(scan: Path) -> bytes:
    """A form with a place for the load's id."""
    texts = {"truck_id": TRUCK, "load_id": "LOADIDLOADI", "district": "Kota"}
    parts = [f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in texts.items()]
    parts.append(f'--x\r\nContent-Disposition: form-data; name="scan"; filename="{scan.name}"\r\n\r\n'.encode())
    return b"".join(parts) + scan.read_bytes() + b"\r\n--x--\r\n"


def run(told: argparse.Namespace) -> dict[str, object]:
    workers = told.workers
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="volest-load-") as folder:
        options = ["--no-auth", "--workers", str(workers), "--limit", "per_s=0", "--limit", "queue=256"]
        server = Served(Path(folder) / "data", *options, *(["--database", told.database] if told.database else []))
        port = int(server.url.rpartition(":")[2])
        server._options = (*options, *(["--database", told.database] if told.database else []), "--port", str(port))
        try:
            with server.client() as operator:
                put_truck(operator)
            body = body_of(told.scan)
            started = time.perf_counter()
            until = started + told.seconds
            if told.kill:
                threading.Timer(told.seconds / 2, lambda: (server.kill(), server.start())).start()

            async def all_clients() -> None:
                await asyncio.gather(*(client(n, ("127.0.0.1", port), body, tally, until) for n in range(told.clients)))

            asyncio.run(all_clients())
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
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--database")
    parser.add_argument("--kill", action="store_true")
    told = parser.parse_args()
    before = engine_rate(told.scan, told.workers, min(told.seconds, 10.0))
    found = run(told)
    after = engine_rate(told.scan, told.workers, min(told.seconds, 10.0))
    own = (before + after) / 2
    found |= {"engine_per_s": [round(before, 1), round(after, 1)], "share": found["rate_per_s"] / own}
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}))
    return 0 if not found["lost"] and not found["doubled"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
