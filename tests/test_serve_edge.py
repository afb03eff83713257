"""`volest edge` and `volest serve` as two processes: a truck's day arrives whole, whichever of them is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Served, free_port, served
from simulated_days import entries_of, folder_of

from volest.track import Day

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from edge_kills import Broker  # noqa: E402

mosquitto = pytest.mark.skipif(
    not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()), reason="mosquitto is not installed"
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of one trip with three stops."""
    folder = tmp_path_factory.mktemp("day")
    folder_of(folder)
    return folder


class Agent:
    """`volest edge` that replays a day to a way of delivery."""

    def __init__(self, folder: Path, day: Path, way: str, environment: dict[str, str] | None = None) -> None:
        self._config, self._environment = folder / "edge.toml", environment or {}
        self._config.write_text(
            f"schema = 1\n[replay]\nday = '{day}'\nspeed = 300.0\n[outbox]\npath = '{folder}/outbox.sqlite'\n"
            f"scan_voxel_m = 0.1\n[health]\nevery_s = 2\nstatus_every_s = 0.2\nstatus_file = '{folder}/status.json'\n"
            f"{way}",
            "utf-8",
        )

    def start(self) -> None:
        command = [sys.executable, "-m", "volest", "edge", "--config", str(self._config)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self._environment}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self, seconds: float) -> None:
        """Wait until it has delivered all."""
        try:
            _, told = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert self.process.returncode == 0, told


@pytest.fixture
def server(tmp_path: Path, day: Path) -> Iterator[Served]:
    """A service that is always found at the same port, and knows the truck."""
    with served(tmp_path / "data", "--port", str(free_port())) as server:
        put_truck_of(day, server)
        yield server


def put_truck_of(day: Path, server: Served) -> None:
    files = [("truck", ("truck.toml", (day / "truck.toml").read_bytes()))]
    files.append(("file", ("empty.npz", (day / "empty.npz").read_bytes())))
    with server.operator() as operator:
        operator.put(f"/v1/trucks/{Day.load(day).truck.id}", files=files).raise_for_status()


def of_the_store(server: Served) -> list[dict[str, Any]]:
    with server.operator() as operator:
        listed = operator.get("/v1/loads?limit=500").json()["items"]
        return [operator.get(f"/v1/loads/{load['load_id']}").json() for load in listed]


def assert_whole(day: Path, server: Served) -> None:
    """The loads of the day as `volest track` tells of them, each once, and the truck's health."""
    told = {entry.id: json.loads(json.dumps(entry.to_dict())) for entry in entries_of(day) if entry.kind == "load"}
    found = of_the_store(server)
    assert len(told) == 3
    assert sorted(load["load_id"] for load in found) == sorted(told)
    for load in found:
        entry = told[load["load_id"]]
        assert load["origin"] == "edge"
        assert load["result"]["volume_m3"] == entry["volume_m3"]
        assert load["result"]["net_mass_kg"] == entry["mass_kg"]
        assert (load["lat"], load["lon"]) == (entry["lat"], entry["lon"])
    with server.operator() as operator:
        (truck,) = operator.get("/v1/trucks").json()["items"]
    assert truck["window_dirt"] == 0.0


def killed_both(agent: Agent, server: Served) -> None:
    """The agent's power cut twice, the service's once; then both are left to finish."""
    agent.start()
    time.sleep(2.5)
    agent.kill()
    agent.start()
    time.sleep(2.0)
    server.kill()
    time.sleep(1.0)
    agent.kill()
    agent.start()
    server.start()
    agent.end(90.0)


def test_a_day_arrives_over_http_whichever_is_killed(day: Path, server: Served, tmp_path: Path) -> None:
    with server.operator() as operator:
        made = operator.post("/v1/tokens", json={"name": "truck", "role": "edge"}).raise_for_status()
    (tmp_path / "token").write_text(made.json()["secret"])
    table = f"[http]\nurl = '{server.url}/v1/events'\ntoken_file = '{tmp_path}/token'\nbatch = 4\ntimeout_s = 5.0\n"
    killed_both(Agent(tmp_path, day, table), server)
    assert_whole(day, server)


def test_an_agent_whose_token_was_taken_back_waits_for_another(day: Path, server: Served, tmp_path: Path) -> None:
    """401 is no refusal of a document: nothing is lost until somebody gives the truck a token."""
    (tmp_path / "token").write_text("0" * 40)
    table = f"[http]\nurl = '{server.url}/v1/events'\ntoken_file = '{tmp_path}/token'\ntimeout_s = 5.0\n"
    agent = Agent(tmp_path, day, table)
    agent.start()
    until = time.monotonic() + 60.0
    while not any("401" in problem for problem in told_of_itself(tmp_path)):
        assert time.monotonic() < until
        time.sleep(0.1)
    agent.kill()
    assert of_the_store(server) == []
    with server.operator() as operator:
        (tmp_path / "token").write_text(
            operator.post("/v1/tokens", json={"name": "truck", "role": "edge"}).json()["secret"]
        )
    agent.start()
    agent.end(90.0)
    assert_whole(day, server)


def told_of_itself(folder: Path) -> list[str]:
    status = folder / "status.json"
    return list(json.loads(status.read_text("utf-8"))["problems"]) if status.exists() else []


@mosquitto
def test_a_day_arrives_over_mqtt_whichever_is_killed(day: Path, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    try:
        options = ("--port", str(free_port()), "--mqtt", f"mqtt://127.0.0.1:{broker.port}")
        with served(tmp_path / "data", *options) as server:
            put_truck_of(day, server)
            table = f"[mqtt]\nhost = '127.0.0.1'\nport = {broker.port}\ntls = false\nack_timeout_s = 1.0\n"
            agent = Agent(tmp_path, day, table)
            killed_both(agent, server)
            broker.kill()
            broker.start()
            assert_whole(day, server)
    finally:
        broker.close()
