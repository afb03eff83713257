"""The agent as a whole: a day replayed or live, killed, stopped, starved of disk; what arrives is what `track` says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

pytest.importorskip("httpx")
pytest.importorskip("paho.mqtt.client")

from volest.cli import main
from volest.edge import agent as agents
from volest.edge.clock import Clock
from volest.edge.config import CanTable, EdgeConfig, EdgeError, HealthTable, LidarTable
from volest.edge.delivery import Contact
from volest.edge.event import Document
from volest.edge.health import FLAGS, Health, Watched
from volest.edge.mark import Mark
from volest.edge.outbox import Outbox, OutboxFullError
from volest.edge.source import Live
from volest.edge.systemd import Notifier
from volest.errors import MissingExtraError
from volest.estimator import Estimator
from volest.track import Day, Tracker, track_day

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from edge_kills import Rig, free_port, is_whole, kills  # noqa: E402
from simulated_days import folder_of  # noqa: E402

HAS_MOSQUITTO = bool(shutil.which("mosquitto")) or Path("/usr/sbin/mosquitto").exists()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of one trip with three stops."""
    folder = tmp_path_factory.mktemp("day")
    folder_of(folder)
    return folder


@pytest.fixture
def rig(day: Path, tmp_path: Path) -> Iterator[Rig]:
    """The day, an HTTP receiver and an agent that goes as fast as it can."""
    rig = Rig(tmp_path, day, "http", None)
    yield rig
    rig.close()


# --- a replay ---------------------------------------------------------------------------------------------------------


def test_a_replay_delivers_what_track_says_once(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "--config", str(rig.config)]) == 0
    count = rig.count()
    assert count["arrived"] == count["expected"] > 5
    assert is_whole(count)
    kinds = [kind for _, kind, *_ in rig.store.rows()]
    assert kinds.count("scan") > 2
    status = rig.status()
    assert status["queued"] == 0
    assert status["delivered"] == len(kinds)
    assert status["dirty_window"] is False
    assert main(["edge", "--config", str(rig.config)]) == 0  # again: nothing new
    assert rig.count() == count
    assert capfd.readouterr().out == ""


def test_an_outbox_that_was_damaged_meanwhile_loses_nothing(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "--config", str(rig.config)]) == 0
    raw = bytearray(rig.outbox.read_bytes())
    raw[5 * 4096 : 6 * 4096] = os.urandom(4096)
    rig.outbox.write_bytes(raw)
    assert main(["edge", "--config", str(rig.config)]) == 0
    assert is_whole(rig.count())
    assert "the outbox was damaged" in capfd.readouterr().err
    assert "outbox_damaged" in rig.status()["flags"]


def test_a_full_disk_is_told_and_nothing_is_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    append, tries = Outbox.append, [0]

    def full_at_times(outbox: Outbox, documents: list[Document], source: str, mark: bytes | None = None) -> int:
        tries[0] += 1
        if tries[0] % 4 in (1, 2):
            raise OutboxFullError("no room")
        return append(outbox, documents, source, mark)

    monkeypatch.setattr(Outbox, "append", full_at_times)
    monkeypatch.setattr(agents, "RETRY_S", 0.01)
    assert main(["edge", "--config", str(rig.config)]) == 0
    assert is_whole(rig.count())
    told = capfd.readouterr().err
    assert "no room" in told
    assert "written again" in told


def test_killed_at_random_instants_every_entry_arrives_once(day: Path, tmp_path: Path) -> None:
    rig = Rig(tmp_path, day, "mqtt" if HAS_MOSQUITTO else "http", 150.0)
    try:
        count = kills(rig, 5, seed=2, longest_s=1.6)
    finally:
        rig.close()
    assert count["arrived"] == count["expected"] > 5
    assert is_whole(count)


def test_sigterm_stops_it_at_once_and_it_goes_on_where_it_was(day: Path, tmp_path: Path) -> None:
    rig = Rig(tmp_path, day, "http", 100.0)
    try:
        rig.start()
        end_s = time.monotonic() + 30.0
        while not rig.status() and time.monotonic() < end_s:
            time.sleep(0.05)
        assert rig.process is not None
        begin_s = time.monotonic()
        rig.process.send_signal(signal.SIGTERM)
        assert rig.wait(20.0) == 0
        assert time.monotonic() - begin_s < 3.0  # a fifth of a second where nobody else wants the machine
        rig.kill()
        rig.config.write_text(rig.config.read_text("utf-8").replace("speed = 100.0\n", ""), "utf-8")
        assert main(["edge", "--config", str(rig.config)]) == 0
        assert is_whole(rig.count())
    finally:
        rig.close()


def test_a_wrong_configuration_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "edge.toml").write_text("schema = 1\n[replay]\nday = 'day'\nspeed = 'fast'\n", "utf-8")
    assert main(["edge", "--config", str(tmp_path / "edge.toml")]) == 2
    assert "replay.speed: found 'fast', expected how many times as fast as it was" in capsys.readouterr().err


def test_a_missing_extra_is_named(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert main(["edge", "--config", str(rig.config)]) == 2
    assert "delivery by HTTP needs the extra [edge]" in capsys.readouterr().err


# --- where to go on ---------------------------------------------------------------------------------------------------


def test_a_tracker_goes_on_from_a_mark_as_from_all_entries(day: Path) -> None:
    read = Day.load(day)
    entries, estimator = list(track_day(read)), Estimator(read.truck)
    for count in range(1, len(entries)):
        mark = Mark.read(Mark().after(entries[:1]).after(entries[1:count]).written())
        ledger = [entry.to_dict() for entry in entries[:count]]
        assert mark.told_s == max(entry.end_s for entry in entries[:count])
        one, other = (
            Tracker(read.truck, estimator=estimator, ledger=known)._state for known in (ledger, [mark.standing or {}])
        )
        assert one is not None
        assert other is not None
        assert (one.time_s, one.unseen, one.unweighed) == (other.time_s, other.unseen, other.unweighed)
        for all_, summed in ((one.volume, other.volume), (one.mass, other.mass)):
            assert (all_ is None) == (summed is None)
            if all_ is not None and summed is not None:
                assert summed.value == pytest.approx(all_.value, abs=1e-9)
                assert summed.std == pytest.approx(all_.std, abs=1e-9)


def test_what_was_not_weighed_is_known_after_a_restart(day: Path) -> None:
    read = Day.load(day)
    entries = [entry.to_dict() for entry in track_day(read)]
    entries[-1] |= {"on_truck_kg": None, "mass_kg": None}
    state = Tracker(read.truck, ledger=entries)._state
    assert state is not None
    assert (state.unseen, state.unweighed) == (False, True)


def test_the_clock_never_goes_back() -> None:
    wall, steady = [1000.0], [5.0]
    clock = Clock(None, lambda: wall[0], lambda: steady[0])
    assert clock.now_s() == 1000.0
    wall[0], steady[0] = -7200.0, 6.0  # it jumps back while it runs
    assert clock.now_s() == 1001.0
    again = Clock(1001.0, lambda: 0.0, lambda: 1.0)  # its battery was empty over a restart
    assert again.now_s() > 1001.0
    assert again.went_back_s == 1001.0
    assert Clock(1001.0, lambda: 5000.0, lambda: 1.0).now_s() == 5000.0
    assert Clock(None, lambda: 1e18, lambda: 1.0).now_s() < 1e10


# --- live -------------------------------------------------------------------------------------------------------------


def live(folder: Path, day: Path, **tables: Any) -> Live:
    truck = (day / "truck.toml").read_text("utf-8")
    (folder / "truck.toml").write_text(truck, "utf-8")
    for reference in day.glob("*empty*"):
        shutil.copy(reference, folder)
    config = EdgeConfig(schema=1, truck=str(folder / "truck.toml"), **tables)
    return Live(config, lambda sentence: print(sentence, file=sys.stderr))


def ouster_turns(turns: int) -> list[bytes]:
    """Packets of so many turns."""
    from ouster.sdk import core
    from recording_goldens import ouster_frames, ouster_metadata

    layout, packets = core.PacketFormat(core.SensorInfo(ouster_metadata())), []
    frames = ouster_frames()
    for number in range(turns):
        frame = frames[number % len(frames)]
        frame.frame_id = number + 1
        packets += [packet.buf.tobytes() for packet in core.frame_to_packets(frame, layout, 0, 0)]
    return packets


@pytest.mark.parametrize("kind", ["velodyne", "ouster"])
def test_packets_on_the_wire_give_scans(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Literal["velodyne", "ouster"]
) -> None:
    pytest.importorskip("ouster.sdk")
    from recording_goldens import ouster_metadata, ouster_ranges, velodyne_packet

    monkeypatch.setattr("volest.edge.source.UNLOCATED_S", 0.0)
    (tmp_path / "top.json").write_text(ouster_metadata(), "utf-8")
    metadata = str(tmp_path / "top.json") if kind == "ouster" else None
    packets = ouster_turns(90) if kind == "ouster" else [velodyne_packet(number, 5.0) for number in range(75)]
    port, stop = free_port(), threading.Event()
    table = LidarTable(sensor="top", kind=kind, port=port, address="127.0.0.1", metadata=metadata, every_s=0.2)
    source = live(tmp_path, day, lidar=[table])

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            number = 0
            while not stop.is_set():
                for _ in range(20):
                    sender.sendto(packets[number % len(packets)], ("127.0.0.1", port))
                    sender.sendto(b"\0" * 1206, ("127.0.0.1", port))  # noise
                    number += 1
                stop.wait(0.02)

    thread = threading.Thread(target=send)
    thread.start()
    seen: list[Any] = []

    class Looker:
        """What a tracker is asked."""

        def scan(self, time_s: float, scans: Any) -> list[Any]:
            seen.append((time_s, scans))
            return []

    try:
        end_s = time.monotonic() + 30.0
        for event in source.events(stop, -np.inf):
            if event is not None:
                event.happen(Looker())  # type: ignore[arg-type]
            if len(seen) >= 3 or time.monotonic() > end_s:
                break
    finally:
        stop.set()
        thread.join()
    times = [time_s for time_s, _ in seen]
    assert len(seen) >= 3
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 60.0
    xyz = seen[-1][1]["top"]
    assert xyz.shape[1] == 3
    far_m = np.linalg.norm(xyz, axis=1)
    if kind == "velodyne":
        assert len(xyz) > 10_000
        assert np.median(far_m) == pytest.approx(5.0, abs=0.01)
    else:
        medians = [np.median(image) / 1000.0 for image in ouster_ranges()]
        assert len(xyz) == 64 * 512
        assert np.min(np.abs(np.median(far_m) - medians)) < 0.1
    assert source.counts()["top"] >= 3


def test_weights_and_speed_come_from_the_bus(day: Path, tmp_path: Path) -> None:
    can = pytest.importorskip("can")
    from volest.weighing.dbc import j1939

    stop, source = threading.Event(), live(tmp_path, day, can=CanTable(channel="edge-test", interface="virtual"))
    database = j1939()
    weight, speed = (database.get_message_by_name(n) for n in ("CombinationVehicleWeight", "CruiseControlVehicleSpeed"))

    def frame(message: Any, **told: float) -> Any:
        signals = {signal.name: told.get(signal.name, signal.minimum or 0) for signal in message.signals}
        data = message.encode(signals, strict=False)
        return can.Message(arbitration_id=message.frame_id, data=data, is_extended_id=True)

    seen: list[tuple[str, float, float]] = []

    class Listener:
        """What a tracker is asked."""

        def position(self, time_s: float, _lat: float, _lon: float, speed_m_s: float) -> list[Any]:
            seen.append(("speed", time_s, speed_m_s))
            return []

        def weight(self, time_s: float, gross_kg: float) -> list[Any]:
            seen.append(("weight", time_s, gross_kg))
            return []

    with can.Bus(interface="virtual", channel="edge-test") as bus:
        try:
            end_s = time.monotonic() + 30.0
            for event in source.events(stop, time.time() + 7200.0):  # the wall clock is two hours behind
                bus.send(frame(speed, WheelBasedVehicleSpeed=36.0))
                bus.send(frame(weight, PoweredVehicleWeight=5000.0))
                if event is not None:
                    event.happen(Listener())  # type: ignore[arg-type]
                if len(seen) >= 6 or time.monotonic() > end_s:
                    break
        finally:
            stop.set()
    assert {what for what, _, _ in seen} == {"speed", "weight"}
    assert {value for what, _, value in seen if what == "weight"} == {5000.0}
    assert {round(value, 6) for what, _, value in seen if what == "speed"} == {10.0}
    assert all(time_s > time.time() + 7100.0 for _, time_s, _ in seen)
    assert [time_s for _, time_s, _ in seen] == sorted(time_s for _, time_s, _ in seen)


def test_what_cannot_be_had_live_is_told_at_the_start(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        table = LidarTable(sensor="top", kind="velodyne", port=taken.getsockname()[1], address="127.0.0.1")
        with pytest.raises(EdgeError, match="cannot be listened at"):
            live(tmp_path, day, lidar=[table])
    with pytest.raises(EdgeError, match="found 'mast', expected top"):
        live(tmp_path, day, lidar=[LidarTable(sensor="mast", kind="velodyne", port=2368)])
    monkeypatch.setattr("volest.edge.lidar.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"needs the extra \[edge\]"):
        live(tmp_path, day, lidar=[LidarTable(sensor="top", kind="velodyne", port=2368)])


# --- health and systemd -----------------------------------------------------------------------------------------------


def test_health_tells_what_is_wrong(day: Path, tmp_path: Path) -> None:
    (tmp_path / "temp").write_text("91500\n", "ascii")
    table = HealthTable(thermal_zone_file=str(tmp_path / "temp"), status_file=str(tmp_path / "status"), disk_low_mb=1e6)
    contact, watched = Contact(), Watched(Estimator(Day.load(day).truck), None, "KT-1")
    with Outbox(tmp_path / "o", "KT-1", most_bytes=20_000) as outbox:
        health = Health(table, outbox, contact, watched)
        assert not {"clock_skew", "dirty_window", "not_delivered"} & set(health.told(None)["flags"])
        outbox.append([Document("a", "entry", b"{}")], "live")
        outbox.told.append("the outbox was damaged")
        contact.skew_s, watched.dirty_window, health.disk_problem = 7200.0, True, "no room"
        contact.heard_s = time.monotonic() - 1000.0
        contact.refuse("a", "no such truck")
        health.count({"mast": 0})
        health._moved_s["mast"] -= 60.0
        told = health.told(5.0)
        health.write_status(told)
    assert told["flags"] == list(FLAGS)
    assert told["temperature_c"] == 91.5
    assert told["queued"] == 1
    assert told["refused"] == {"a": "no such truck"}
    assert json.loads((tmp_path / "status").read_text("utf-8")) == told


def test_systemd_hears_that_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        notifier = Notifier()
        notifier.tell("READY=1")
        notifier.alive()
        notifier.alive()  # not before a third of the watchdog's time is over
        notifier.tell("STOPPING=1")
        assert [listener.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    notifier.tell("READY=1")  # nobody listens: no error
    monkeypatch.delenv("NOTIFY_SOCKET")
    Notifier().tell("READY=1")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_one() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(ROOT / "examples/edge/volest-edge.service")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_without_a_speed_scans_are_few(day: Path, tmp_path: Path) -> None:
    source = live(tmp_path, day, lidar=[LidarTable(sensor="top", kind="velodyne", port=free_port())])
    try:
        assert source._is_wanted(1000.0)
        source._scan_s = 1000.0
        assert not source._is_wanted(1002.0)
        assert source._is_wanted(1120.0)
        source._speed_s = 1001.0
        assert source._is_wanted(1002.0)
    finally:
        source._lidars[0]._socket.close()
