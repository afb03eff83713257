"""A service in a process of its own for the tests of test_serve*.py, and what they send it."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

DATASETS = Path(__file__).parents[1] / "datasets"
TRUCK, OTHER = "KT-1101-AA", "KT-2202-BB"
FOLDERS = {TRUCK: "half-full-overhead", OTHER: "heaped-front-mast"}
SCANS = {TRUCK: "top.npz", OTHER: "mast.npz"}
START_S = 60.0


class Served:
    """`volest serve` at a free port of 127.0.0.1."""

    def __init__(self, data: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.data, self._options, self._environment = data, options, environment or {}
        self.url = ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "volest", "serve", "--port", "0", "--data", str(self.data), *self._options]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | self._environment
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self.told: list[str] = []
        started = threading.Event()

        def read() -> None:
            assert self.process.stdout is not None
            for line in self.process.stdout:
                self.told.append(line)
                found = re.match(r"volest serve: (https?://\S+)/", line)
                if found:
                    self.url = found[1]
                    started.set()
            started.set()

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        assert started.wait(START_S), self.told
        assert self.process.poll() is None, self.told

    def kill(self) -> None:
        """As a power cut does it, to the process alone: its workers have to notice."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """As systemd does it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._close()
        return status

    def _close(self) -> None:
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)

    def operator(self) -> httpx.Client:
        return self.client((self.data / "operator.token").read_text().strip())


@contextlib.contextmanager
def served(data: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[Served]:
    server = Served(data, *options, environment=environment)
    try:
        yield server
    finally:
        server.stop()


def put_truck(client: httpx.Client, truck_id: str = TRUCK) -> httpx.Response:
    folder = DATASETS / FOLDERS[truck_id]
    files = [("truck", ("truck.toml", (folder / "truck.toml").read_bytes()))]
    files.append(("file", ("empty.npz", (folder / "empty.npz").read_bytes())))
    return client.put(f"/v1/trucks/{truck_id}", files=files)


def post_load(client: httpx.Client, truck_id: str = TRUCK, scan: bytes | None = None, **told: str) -> httpx.Response:
    content = scan if scan is not None else (DATASETS / FOLDERS[truck_id] / SCANS[truck_id]).read_bytes()
    files = {"scan": (SCANS[truck_id], content)}
    return client.post("/v1/loads", data={"truck_id": truck_id, **told}, files=files)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def wait_for(port: int, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            assert time.monotonic() < until, f"nothing listens at {port}"
            time.sleep(0.05)


def program(name: str, *places: str) -> str:
    """A program of Debian's; the test is skipped without it."""
    found = shutil.which(name) or next((str(path) for place in places for path in Path("/").glob(place)), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a database in a cluster of its own, which is gone afterwards."""
    initdb = program("initdb", "usr/lib/postgresql/*/bin/initdb")
    user = None
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="volest-pg-") as folder:
        owner = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        bin_folder, port = Path(initdb).parent, free_port()
        subprocess.run(
            [initdb, "-D", f"{folder}/data", "-U", "volest", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
            **owner,
        )
        options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
        with open(f"{folder}/log", "w") as log:
            process = subprocess.Popen(
                [bin_folder / "postgres", "-D", f"{folder}/data", *options], stdout=log, stderr=log, cwd=folder, **owner
            )
        try:
            wait_for(port)
            yield f"postgresql://volest@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
