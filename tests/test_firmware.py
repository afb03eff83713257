"""examples/firmware: packets and CAN frames in real time to the numbers of volest, in a fixed budget of memory."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import can
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_goldens import fragments, ouster_metadata, ouster_ranges, pcap, udp, velodyne_packet, velodyne_pcap
from test_weighing_can import SCALE, axle, combination, write
from vlp16_truck import AXLES, SENSOR, TARE_KG, Vlp16Truck, estimates

from volest import Estimator, Truck, read_frames
from volest.load import estimate_files
from volest.scale import CanScale, Scale
from volest.weighing import read_weights

pytestmark = pytest.mark.skipif(shutil.which("cc") is None or shutil.which("c++") is None, reason="no compilers")

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "examples/firmware"
SHARED = ("capture", "velodyne", "ouster")
FIRMWARE = (*SHARED, "main", "options", "load", "budget", "watchdog", "udp", "canbus", "weights")
STRICT = ("-std=c99", "-pedantic", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror")
CORE = ("-std=c++17", "-O0", "-ffp-contract=off", "-fsigned-char", "-fno-math-errno", "-fno-exceptions", "-fno-rtti")
HUNG, OUT_OF_MEMORY = 70, 71
QUANTITIES = ("volume_m3", "net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction")


def compile_c(folder: Path, name: str, sources: tuple[str, ...], *more: str | Path) -> Path:
    files = [SOURCES / f"{source}.c" for source in sources]
    include = f"-I{ROOT / 'cpp/include'}"
    subprocess.run(["cc", *STRICT, include, *files, *more, "-lm", "-o", folder / name], check=True)
    return folder / name


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs; without optimisation, which changes no bit and compiles fast."""
    folder = tmp_path_factory.mktemp("built")
    core = [file for file in (ROOT / "cpp/src").glob("*.cpp") if file.stem not in ("centroids", "lzf")]
    includes = [f"-I{ROOT / 'cpp' / name}" for name in ("include", "src")]
    subprocess.run(["c++", *CORE, "-Wno-psabi", *includes, "-c", *core], cwd=folder, check=True)
    compile_c(folder, "firmware", FIRMWARE, *folder.glob("*.o"))
    compile_c(folder, "play", ("capture", "udp", "play"))
    compile_c(folder, "points", (*SHARED, "points"))
    return folder


@pytest.fixture(scope="module")
def truck(tmp_path_factory: pytest.TempPathFactory) -> Vlp16Truck:
    return Vlp16Truck.make(tmp_path_factory.mktemp("truck"))


def command(built: Path, truck: Vlp16Truck, **told: Any) -> list[str]:
    options = [text for name, value in told.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return [str(built / "firmware"), str(truck.folder / "truck.volest"), SENSOR, "--axles", str(AXLES), *options]


def run(built: Path, truck: Vlp16Truck, **told: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    done = subprocess.run(command(built, truck, **told), capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return estimates(done.stdout)


def turns_of(built: Path, path: Path, port: int = 0, *beams: Path) -> list[np.ndarray]:
    """The points of each turn as the firmware has them."""
    raw = subprocess.run([built / "points", path, str(port), *beams], capture_output=True, check=True).stdout
    turns, at = [], 0
    while at < len(raw):
        (count,) = struct.unpack_from("<Q", raw, at)
        turns.append(np.frombuffer(raw, "<f4", 3 * count, at + 8).reshape(-1, 3))
        at += 8 + 12 * count
    return turns


def assert_same_points(built: Path, path: Path, frames: list[np.ndarray], most_m: float, *told: Any) -> None:
    """Each turn has the returns of the frame that volest.read_frames gives, in some order."""
    from scipy.spatial import cKDTree

    turns = turns_of(built, path, *told)
    frames = [frame[frame.any(axis=1)] for frame in frames]
    assert [len(turn) for turn in turns] == [len(frame) for frame in frames]
    for turn, frame in zip(turns, frames, strict=True):
        far_m, places = cKDTree(turn).query(frame)
        assert far_m.max() <= most_m
        assert len(np.unique(places)) == len(np.unique(turn, axis=0))


# --- packets ----------------------------------------------------------------------------------------------------------


def test_velodyne_turns_are_those_of_read_frames(built: Path, truck: Vlp16Truck) -> None:
    path = truck.folder / "empty.pcap"
    assert_same_points(built, path, [cloud.xyz for _, cloud in read_frames(path)], 1e-5)


def test_real_vlp16_turns_are_those_of_read_frames(built: Path, real: Path) -> None:
    path = real / "tier4+nebula/derived/nebula_vlp16_real_packets.pcap"
    frames = [cloud.xyz for _, cloud in read_frames(path)]
    assert [len(frame) for frame in frames] == [14_981, 14_845, 14_868, 14_720]
    assert_same_points(built, path, frames, 1e-5)


def packets_of_bag(path: Path, topic: str) -> list[bytes]:
    """The sensor's packets in a ROS bag: of velodyne_msgs/VelodyneScan or ouster's PacketMsg."""
    from recording_goldens import store
    from rosbags.highlevel import AnyReader

    packets = []
    with AnyReader([path], default_typestore=store(ros2=path.suffix != ".bag")) as reader:
        for connection, _, raw in reader.messages([c for c in reader.connections if c.topic == topic]):
            message: Any = reader.deserialize(raw, connection.msgtype)
            parts = getattr(message, "packets", None)
            packets += [bytes(part.data) for part in parts] if parts is not None else [bytes(message.buf)]
    return packets


def test_real_vlp32c_points_are_those_of_read_frames(built: Path, real: Path, tmp_path: Path) -> None:
    ground_truth = "tier4+nebula/src/nebula_velodyne/nebula_velodyne/test_resources/decoder_ground_truth"
    bag = real / ground_truth / "vlp32/1713492677464078412"
    path = tmp_path / "vlp32.pcap"
    path.write_bytes(pcap(map(udp, packets_of_bag(bag, "/velodyne_packets"))))
    assert_same_points(built, path, [cloud.xyz for _, cloud in read_frames(path)], 2e-5)


@pytest.fixture(scope="module")
def ouster_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ouster")


def ouster_capture(folder: Path, profile: str) -> tuple[Path, Path]:
    """Three turns of an OS1-64 in fragments, and what beams.py tells of it."""
    from ouster.sdk import core

    document = json.loads(ouster_metadata())
    document["lidar_data_format"]["udp_profile_lidar"] = profile
    info = core.SensorInfo(json.dumps(document))
    packets: list[bytes] = []
    for number, image in enumerate(ouster_ranges()):
        frame = core.LidarFrame(info)
        frame.frame_id = number + 1
        frame.field("RANGE")[:] = image
        frame.measurement_id[:] = np.arange(512)
        frame.status[:] = 0xFFFFFFFF if profile == "LEGACY" else 1
        packets += [packet.buf.tobytes() for packet in core.frame_to_packets(frame, core.PacketFormat(info), 0, 0)]
    path = folder / f"{profile}.pcap"
    path.write_bytes(pcap([part for number, packet in enumerate(packets) for part in fragments(packet, number)]))
    path.with_suffix(".json").write_text(json.dumps(document))
    return path, described(path.with_suffix(".json"))


def described(metadata: Path) -> Path:
    import sys

    told = subprocess.run([sys.executable, SOURCES / "beams.py", metadata], capture_output=True, check=True).stdout
    beams = metadata.with_suffix(".beams")
    beams.write_bytes(told)
    return beams


@pytest.mark.parametrize("profile", ["LEGACY", "RNG19_RFL8_SIG16_NIR16", "RNG15_RFL8_NIR8"])
def test_ouster_turns_are_the_bits_of_read_frames(built: Path, ouster_folder: Path, profile: str) -> None:
    path, beams = ouster_capture(ouster_folder, profile)
    frames = [cloud.xyz for _, cloud in read_frames(path)]
    assert len(frames) == 3
    assert_same_points(built, path, frames, 0.0, 7502, beams)


def test_real_ouster_turn_is_that_of_read_frames(built: Path, real: Path, tmp_path: Path) -> None:
    bag = real / "ouster-lidar+ouster-sdk/tests/bags/512x10_raw.bag"
    from rosbags.highlevel import AnyReader

    with AnyReader([bag]) as reader:
        topics = {c.topic for c in reader.connections}
        (metadata,) = (t for t in topics if t.endswith("/metadata"))
        (lidar,) = (t for t in topics if t.endswith("/lidar_packets"))
        connection = next(c for c in reader.connections if c.topic == metadata)
        text = next(reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages([connection])).data  # type: ignore[attr-defined]
    (tmp_path / "os.json").write_text(text)
    packets = packets_of_bag(bag, lidar)
    from volest.io.recording_packets import ouster_packet_bytes

    size = ouster_packet_bytes(text)
    path = tmp_path / "os.pcap"
    path.write_bytes(pcap([part for n, packet in enumerate(packets) for part in fragments(packet[:size], n)]))
    (frame,) = [cloud.xyz for _, cloud in read_frames(bag)]
    assert np.count_nonzero(frame.any(axis=1)) == 28_751
    assert_same_points(built, path, [frame], 1e-6, 7502, described(tmp_path / "os.json"))


# --- estimates --------------------------------------------------------------------------------------------------------


def test_an_estimate_a_second_is_that_of_volest_estimate(built: Path, truck: Vlp16Truck) -> None:
    found, summary = run(built, truck, pcap=truck.folder / "load.pcap", can_log=truck.folder / "can.log", speed=0)
    assert [line["turn"] for line in found] == [0, 10, 20]
    path, log = str(truck.folder / "truck.volest"), str(truck.folder / "can.log")
    estimator, turns = Estimator(Truck.load(path)), turns_of(built, truck.folder / "load.pcap")
    for line in found:
        assert (line["status"], line["unchecked"]) == ("ok", 4)  # the window: scans in packets
        assert line["volume_m3"]["value"] == pytest.approx(truck.volume_m3, abs=2 * line["volume_m3"]["std"])
        # The points of another decoder, which differ by some 1e-6 m: the search for the bed may end a step sooner.
        scan = f"{SENSOR}={truck.folder / 'load.pcap'}#frame={line['turn']}"
        told = estimate_files(path, [scan], weight=log).to_dict()
        assert line["volume_m3"]["value"] == pytest.approx(told["volume_m3"]["value"], rel=1e-4)
        # The points of this one: the same bits.
        assert line["volume_m3"] == estimator.estimate({SENSOR: turns[line["turn"]]}).to_dict()["volume_m3"]
        assert line["points"] == len(turns[line["turn"]])
    assert found[-1]["net_mass_kg"] == told["net_mass_kg"]  # by then all of the log
    assert found[-1]["waste_class"] == told["waste_class"]
    assert summary["reports"] == len(found)
    assert summary["packets_refused"] == summary["can_refused"] == summary["calls_refused"] == 0


def test_several_turns_are_put_together_as_in_python(built: Path, truck: Vlp16Truck) -> None:
    (line, *_), _ = run(built, truck, pcap=truck.folder / "load.pcap", speed=0, turns=3)
    assert (line["turn"], line["turns"], line["flags"]) == (0, 3, ["weight_missing"])
    turns = turns_of(built, truck.folder / "load.pcap")[:3]
    told = Estimator(Truck.load(truck.folder / "truck.volest")).estimate({SENSOR: turns}).to_dict()
    assert line["volume_m3"]["value"] == told["volume_m3"]["value"]


def test_a_recording_plays_in_real_time_or_faster(built: Path, truck: Vlp16Truck) -> None:
    began = time.monotonic()
    found, _ = run(built, truck, pcap=truck.folder / "load.pcap", can_log=truck.folder / "can.log", speed=4)
    assert time.monotonic() - began > 2.2 / 4
    assert len(found) >= 2
    assert all(line["net_mass_kg"]["value"] == pytest.approx(3005.0 - TARE_KG, abs=25.0) for line in found[1:])


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


def test_packets_over_udp_give_the_estimate_of_the_capture(built: Path, truck: Vlp16Truck, port: int) -> None:
    place = f"127.0.0.1:{port}"
    started = command(built, truck, udp=place, can_log=truck.folder / "can.log", seconds=30, watchdog_s=20)
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as firmware:
        try:
            wait_for_port(port)
            sent = subprocess.run([built / "play", truck.folder / "load.pcap", place], capture_output=True, check=True)
            firmware.send_signal(signal.SIGTERM)
            output, _ = firmware.communicate(timeout=20)
        finally:
            firmware.kill()
    found, summary = estimates(output)
    assert firmware.returncode == 0
    assert summary["packets"] == int(sent.stdout)
    turns = turns_of(built, truck.folder / "load.pcap")
    estimator = Estimator(Truck.load(truck.folder / "truck.volest"))
    whole = [line for line in found if line["points"] == len(turns[line["turn"]])]
    assert whole
    for line in whole:
        told = estimator.estimate({SENSOR: turns[line["turn"]]}).to_dict()
        assert line["volume_m3"] == told["volume_m3"]


def wait_for_port(port: int) -> None:
    """Until somebody listens there."""
    for _ in range(200):
        if f":{port:04X} " in Path("/proc/net/udp").read_text():
            return
        time.sleep(0.05)
    raise AssertionError("nobody listens")


def test_a_silent_sensor_is_told_each_second(built: Path, truck: Vlp16Truck, port: int) -> None:
    found, summary = run(built, truck, udp=f"127.0.0.1:{port}", seconds=1.7)
    assert [(line["status"], line["flags"][0], line["volume_m3"]) for line in found] == [
        ("rejected", "no_points", None)
    ]
    assert summary["packets"] == 0


# --- weights ----------------------------------------------------------------------------------------------------------

WEIGHTS = r"""
#include <stdio.h>
#include <stdlib.h>
#include "weights.h"
int main(int argc, char **argv) {
  static can_log log;
  static weights scale;
  can_message m;
  weight w;
  if (argc != 4 || !can_log_open(&log, argv[1]) || !weights_init(&scale, argv[2], (unsigned)atoi(argv[3]))) return 2;
  while (can_log_next(&log, &m))
    if (weights_take(&scale, &m, &w)) printf("%.6f %.17g %u\n", w.time_s, w.kg, (unsigned)w.moving);
  return 0;
}
"""


@pytest.fixture(scope="module")
def weigh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weigh")
    (folder / "weigh.c").write_text(WEIGHTS)
    return compile_c(folder, "weigh", ("canbus", "weights"), f"-I{SOURCES}", folder / "weigh.c")


def weighed(weigh: Path, log: Path, signal_name: str, axles: int) -> list[tuple[float, float]]:
    told = subprocess.run([weigh, log, signal_name, str(axles)], capture_output=True, text=True, check=True).stdout
    return [(float(line.split()[0]), float(line.split()[1])) for line in told.splitlines()]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)), min_size=4, max_size=12))
def test_axle_weights_are_those_of_the_weighing_room(
    weigh: Path, tmp_path_factory: pytest.TempPathFactory, raws: list[tuple[int, int]]
) -> None:
    raws = [(7000, 8001), *raws, (7000, 8001)]  # each is known, and a weight
    messages = [
        axle(i + 0.01 * j, location, raw)
        for i, pair in enumerate(raws)
        for j, (location, raw) in enumerate(zip((0x1F, 0x2F), pair, strict=True))
    ]
    log = write(tmp_path_factory.mktemp("axles") / "w.log", messages)
    told, found = read_weights(log, SCALE), weighed(weigh, log, "axles", 2)
    np.testing.assert_array_equal([kg for _, kg in found], told.gross_kg)
    np.testing.assert_allclose([time_s for time_s, _ in found], told.time_s, atol=1e-6)


@pytest.mark.parametrize(("name", "signal_name"), [("powered_vehicle",) * 2, ("gross_combination",) * 2])
def test_weights_of_the_whole_truck_are_those_of_the_weighing_room(
    weigh: Path, tmp_path: Path, name: str, signal_name: str
) -> None:
    raws = [*range(600, 640), 0xFAFF, 0xFB00, 0xFFFF, 0]
    log = write(tmp_path / "w.log", [combination(0.1 * i, raw, raw // 2) for i, raw in enumerate(raws)])
    scale = Scale(tare_kg=0.0, can=CanScale(signal=name))
    np.testing.assert_array_equal(
        [kg for _, kg in weighed(weigh, log, signal_name, 1)], read_weights(log, scale).gross_kg
    )


def test_a_missing_axle_is_a_gap_and_a_second_sender_is_refused(weigh: Path, tmp_path: Path) -> None:
    messages = [axle(0.0, 0x1F, 1000), axle(0.1, 0x2F, 2000), axle(1.0, 0x1F, 1000), axle(2.0, 0x1F, 1000)]
    messages += [axle(2.05, 0x2F, 9999, source=77), axle(2.1, 0x2F, 2000)]
    found = weighed(weigh, write(tmp_path / "w.log", messages), "axles", 2)
    assert [kg if math.isfinite(kg) else None for _, kg in found] == [1500.0, None, 1500.0]


# --- what must not happen ---------------------------------------------------------------------------------------------


def test_hostile_packets_and_lines_are_refused_and_counted(built: Path, truck: Vlp16Truck, tmp_path: Path) -> None:
    sound = velodyne_packet(0, 5.0)
    wrong = [b"", sound[:-1], bytes(1206), sound[:-1] + b"\x21", sound[:2] + b"\xff\xff" + sound[4:], b"\xff" * 1206]
    frames = [udp(packet) for packet in (sound, *wrong, sound)]
    frames += [b"", b"\x00" * 13, frames[0][:40], bytes(12) + b"\x08\x06" + bytes(40)]
    (tmp_path / "bad.pcap").write_bytes(pcap(frames))
    lines = ["", "garbage", "(1) can0 123#00", "(1700000000.000001) can0 18FEEA0B#1F", "(x" * 4000, "\x00\xff" * 40]
    lines += ["(1700000000.000002) can0 18FEEA0B#R", "(1700000000.000002) can0 18FEEA0B##0FF", "(1.000000)  #"]
    (tmp_path / "bad.log").write_text("\n".join(lines), encoding="latin-1")
    _, summary = run(built, truck, pcap=tmp_path / "bad.pcap", can_log=tmp_path / "bad.log", speed=0)
    assert (summary["packets"], summary["packets_refused"], summary["datagrams_refused"]) == (8, 6, 4)
    assert (summary["can_frames"], summary["can_refused"], summary["can_others"]) == (1, 5, 2)
    assert summary["weights_refused"] == 1
    assert summary["calls_refused"] == 0


@pytest.mark.parametrize(
    ("option", "content", "told"),
    [
        ("--pcap", b"", "shorter than a pcap header"),
        ("--pcap", b"\n\r\r\n" + bytes(40), "no pcap header"),
        ("--pcap", velodyne_pcap(0.1)[:20] + b"\x09\x00\x00\x00", "link type"),
        ("--ouster", b"profile NONE\n", "beams.py"),
        ("--ouster", b"profile LEGACY\ncolumns 512\ncolumns_per_packet 16\n", "missing"),
        ("--ouster", b"beam_deg nan 0\n", "beams.py"),
        ("--ouster", b"beam_deg 1 1\n" * 129, "beams.py"),
    ],
)
def test_sources_that_are_none_are_told(
    built: Path, truck: Vlp16Truck, tmp_path: Path, option: str, content: bytes, told: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    arguments = [built / "firmware", truck.folder / "truck.volest", SENSOR, option, tmp_path / "file"]
    arguments += [] if option == "--pcap" else ["--udp", "127.0.0.1:0"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_torn_capture_and_a_torn_truck_are_told(built: Path, truck: Vlp16Truck, tmp_path: Path) -> None:
    (tmp_path / "torn.pcap").write_bytes((truck.folder / "load.pcap").read_bytes()[:-500])
    done = subprocess.run(
        command(built, truck, pcap=tmp_path / "torn.pcap", speed=0), capture_output=True, text=True, check=False
    )
    found, summary = estimates(done.stdout)
    assert (done.returncode, summary["is_damaged"]) == (1, True)
    assert found[0]["status"] == "ok"
    (tmp_path / "torn.volest").write_bytes((truck.folder / "truck.volest").read_bytes()[:-8])
    arguments = [built / "firmware", tmp_path / "torn.volest", SENSOR, "--pcap", tmp_path / "torn.pcap"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "torn.volest: expected the size that the header tells" in done.stderr


@pytest.fixture
def stalled(truck: Vlp16Truck, tmp_path: Path) -> Iterator[Path]:
    """A capture whose writer falls silent amid a packet."""
    path = tmp_path / "stalled"
    os.mkfifo(path)
    holder = os.open(path, os.O_RDWR)
    os.write(holder, (truck.folder / "load.pcap").read_bytes()[:30_000])
    yield path
    os.close(holder)


def test_watchdog_ends_a_loop_that_its_source_hangs(built: Path, truck: Vlp16Truck, stalled: Path) -> None:
    began = time.monotonic()
    hung = command(built, truck, pcap=stalled, speed=0, watchdog_s=0.4)
    done = subprocess.run(hung, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == HUNG
    assert "did not come round" in done.stderr
    assert time.monotonic() - began >= 0.4


def test_systemd_and_the_kernels_watchdog_are_fed(
    built: Path, truck: Vlp16Truck, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "watchdog"
    device.touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        run(built, truck, udp=f"127.0.0.1:{port}", seconds=1.2, watchdog_s=1, watchdog_device=device)
        messages = [systemd.recv(100)]
        while messages[-1] != b"STOPPING=1":
            messages.append(systemd.recv(100))
    assert messages[0] == b"READY=1"
    assert messages.count(b"WATCHDOG=1") >= 2
    fed = device.read_bytes()
    assert fed.count(b"k") >= 2
    assert fed.endswith(b"V")  # told that it ends: the machine is not reset


def test_memory_stays_within_its_budget(built: Path, truck: Vlp16Truck) -> None:
    _, summary = run(built, truck, pcap=truck.folder / "load.pcap", can_log=truck.folder / "can.log", speed=0)
    assert summary["resident_peak_bytes"] < 12_000_000
    assert summary["address_space_bytes"] < 16_000_000
    tight = command(built, truck, pcap=truck.folder / "load.pcap", memory_mb=4)
    done = subprocess.run(tight, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the process takes more" in done.stderr


GREEDY = r"""
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include "budget.h"
int main(int argc, char **argv) {
  char *at = malloc(100);
  (void)argv;
  if (at == NULL || malloc(1 << 20) != NULL || !budget_seal(64000000)) return 2;
  if (argc > 1) return mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
  at[0] = 1;
  return realloc(at, 200) == NULL ? 3 : 4;
}
"""


def test_memory_asked_for_after_the_start_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "greedy.c").write_text(GREEDY)
    greedy = compile_c(tmp_path, "greedy", ("budget",), f"-I{SOURCES}", tmp_path / "greedy.c")
    done = subprocess.run([greedy], capture_output=True, text=True, check=False)
    assert done.returncode == OUT_OF_MEMORY
    assert "after the start" in done.stderr
    assert subprocess.run([greedy, "mmap"], check=False).returncode == 1  # the kernel gives no more, either


def test_nothing_is_asked_of_the_kernel_once_the_loop_runs(built: Path, truck: Vlp16Truck, tmp_path: Path) -> None:
    """No memory, no file: the calls of 2.3 s of packets and weights are read, write, poll and setitimer alone."""
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    trace = ["strace", "-o", str(tmp_path / "calls")]
    started = command(built, truck, pcap=truck.folder / "load.pcap", can_log=truck.folder / "can.log", speed=0)
    if subprocess.run([*trace, *started], capture_output=True, check=False).returncode != 0:
        pytest.skip("strace may not trace here")
    calls = [line.partition("(")[0] for line in (tmp_path / "calls").read_text().splitlines()]
    sealed = max(place for place, call in enumerate(calls) if call in ("prlimit64", "setrlimit"))
    after = set(calls[sealed + 1 :]) - {"+++ exited with 0 +++"}
    assert after <= {"read", "write", "poll", "setitimer", "getrusage", "exit_group", "openat", "close", "open"}
    assert calls[sealed + 1 :].count("openat") <= 2  # /proc/self/status, for the summary


def test_an_instrumented_build_finds_nothing(truck: Vlp16Truck, built: Path, tmp_path: Path) -> None:
    flags = ("-g", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
    compile_c(tmp_path, "firmware", FIRMWARE, *flags, *built.glob("*.o"))
    found, _ = run(tmp_path, truck, pcap=truck.folder / "load.pcap", can_log=truck.folder / "can.log", speed=0)
    plain, _ = run(built, truck, pcap=truck.folder / "load.pcap", can_log=truck.folder / "can.log", speed=0)
    assert found == plain


def test_frames_on_a_can_interface_are_weights(built: Path, truck: Vlp16Truck, port: int) -> None:
    try:
        bus = can.Bus(interface="socketcan", channel="vcan0")
    except OSError:
        pytest.skip("no vcan0: ip link add dev vcan0 type vcan && ip link set up vcan0")
    with bus:
        started = command(built, truck, udp=f"127.0.0.1:{port}", can="vcan0", seconds=1.2)
        with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as firmware:
            wait_for_port(port)
            for number in range(30):
                bus.send(axle(0.0, (0x1F, 0x2F)[number % 2], 3000))
                time.sleep(0.02)
            output, _ = firmware.communicate(timeout=10)
    _, summary = estimates(output)
    assert summary["can_frames"] == 30
