"""Packets of Hesai's XT16, XT32 and XT32M: made here with known points, and real ones beside nebula's points."""

from __future__ import annotations

import csv
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_goldens import START_NS, bag, header, make, mcap, store, udp, velodyne_packet
from recording_goldens import pcap as capture

from volest.errors import ScanError
from volest.io import read_frames, read_points
from volest.io.hesai_packets import hesai_frames, is_hesai
from volest.io.recording_messages import Refused
from volest.io.recording_packets import Packet

SHAPES = {"xt16": (16, 8), "xt32": (32, 8), "xt32m": (32, 6)}
STEP = 18  # hundredths of a degree between rounds of firing, 600 turns a minute
NEBULA = Path("tier4+nebula/src/nebula_hesai")
SWEEPS = NEBULA / "nebula_hesai/test_resources/decoder_ground_truth"
CALIBRATIONS = NEBULA / "nebula_hesai_decoders/calibration"


def packet(number: int, model: str = "xt32", metres: tuple[float, ...] = (5.0,), first: int = 0) -> bytes:
    """Packet `number` of a sensor within spheres of these radii; as many returns as there are radii."""
    channels, blocks = SHAPES[model]
    head = b"\xee\xff\x06\x01\0\0" + bytes([channels, blocks, 1, 4, len(metres), 1])
    rounds = blocks // len(metres)
    body = b""
    for turn in range(rounds):
        azimuth = (first + (number * rounds + turn) * STEP) % 36000
        for radius in metres:
            body += struct.pack("<H", azimuth) + struct.pack("<HBB", round(radius / 0.004), 40, 0) * channels
    over, us = divmod(950_000 + number * rounds * 50, 10**6)
    clock = (26, 0, 0, over - 1) if over else (25, 23, 59, 59)
    tail = bytes(10) + struct.pack("<BH6BIB", 0x39, 600, 125, 7, *clock, us, 0x42)
    return head + body + tail + struct.pack("<I", number)


def turns(packets: list[bytes], calibration: str = "") -> list[dict[str, np.ndarray]]:
    stamped = (Packet(1.7e9 + 4e-4 * number, "lidar", data) for number, data in enumerate(packets))
    return [cloud() for _, cloud in hesai_frames(stamped, calibration)]


@pytest.mark.parametrize(
    ("model", "top_deg", "bottom_deg"), [("xt16", 15, -15), ("xt32", 15, -16), ("xt32m", 19.5, -20.8)]
)
def test_a_sphere_is_a_sphere(model: str, top_deg: float, bottom_deg: float) -> None:
    channels, blocks = SHAPES[model]
    count = 2000 // blocks + 1
    cloud = turns([packet(number, model) for number in range(count)])[0]
    xyz = np.stack([cloud[axis] for axis in "xyz"], axis=1)
    assert np.linalg.norm(xyz, axis=1) == pytest.approx(5.0, abs=1e-5)
    elevation = np.degrees(np.arcsin(xyz[:, 2] / 5.0))
    assert (elevation.max(), elevation.min()) == pytest.approx((top_deg, bottom_deg), abs=1e-3)
    # Azimuth 0 is y, and the sensor turns clockwise.
    first, quarter = xyz[0], xyz[500 * channels]
    assert first[:2] == pytest.approx((0.0, 5.0 * np.cos(np.radians(top_deg))), abs=1e-5)
    assert quarter[:2] == pytest.approx((5.0 * np.cos(np.radians(top_deg)), 0.0), abs=1e-5)
    assert len(xyz) == 2000 * channels
    assert set(cloud["ring"]) == set(range(channels))
    assert set(cloud["intensity"]) == {40.0}
    assert np.ptp(cloud["time"]) == pytest.approx(0.1, abs=1e-4)  # over midnight
    assert (np.diff(cloud["time"]) > 0.0).all()


def test_of_two_returns_those_that_differ_are_told() -> None:
    count = 2000 // 4
    twins = turns([packet(number, metres=(5.0, 5.0)) for number in range(count)])[0]
    assert len(twins["x"]) == 2000 * 32
    both = turns([packet(number, metres=(5.0, 3.0)) for number in range(count)])[0]
    assert len(both["x"]) == 2 * 2000 * 32
    assert (both["time"][:32] == both["time"][32:64]).all()  # of one firing


def test_turns_are_cut_at_azimuth_zero_and_one_that_the_start_cuts_is_left_out() -> None:
    cut = turns([packet(number, first=27_000) for number in range(2 * 250 + 70)])
    assert [len(turn["x"]) for turn in cut] == [64_000, 64_000, (570 * 8 - 500 - 4000) * 32]
    assert [len(turn["x"]) for turn in turns([packet(number, first=27_000) for number in range(50)])] == [50 * 8 * 32]
    whole = turns([packet(number) for number in range(255)])
    assert [len(turn["x"]) for turn in whole] == [64_000, 5 * 8 * 32]


def test_a_units_own_angles_are_used() -> None:
    rows = "\n".join(f"{n + 1},{10 - n},{0.5}" for n in range(32))
    cloud = turns([packet(0)], f"Channel,Elevation,Azimuth\n{rows}\n")[0]
    assert np.degrees(np.arcsin(cloud["z"][:32] / 5.0)) == pytest.approx(10.0 - np.arange(32), abs=1e-4)
    assert np.degrees(np.arctan2(cloud["x"][:32], cloud["y"][:32])) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(
    ("calibration", "told"),
    [
        ("Channel,Elevation,Azimuth\n1,10,0\n", "found 1 channels, expected 32"),
        ("Channel,Elevation,Azimuth\n", "expected rows Channel,Elevation,Azimuth"),
        ("Channel,Elevation,Azimuth\n1,ten,0\n", "expected rows Channel,Elevation,Azimuth"),
        ("Channel,Elevation,Azimuth\n1,10\n", "expected rows Channel,Elevation,Azimuth"),
        ("Channel,Elevation,Azimuth\n" + "\n".join(f"{n},nan,0" for n in range(1, 33)), "expected rows"),
        ("Channel,Elevation,Azimuth\n" + "\n".join(f"{33 - n},1,0" for n in range(1, 33)), "expected rows"),
    ],
)
def test_a_calibration_that_is_none_is_told(calibration: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        turns([packet(0)], calibration)


def test_two_sensors_under_one_name_are_told() -> None:
    with pytest.raises(Refused, match="found packets of two kinds of sensors, expected those of one"):
        turns([packet(0), packet(1, "xt16")])


def test_a_capture_and_bags_hold_the_same_points(tmp_path: Path) -> None:
    packets = [packet(number) for number in range(260)]
    (tmp_path / "run.pcap").write_bytes(capture(map(udp, packets), period_s=4e-4))
    (time_s, first), (_, rest) = read_frames(tmp_path / "run.pcap")
    assert time_s == 1.7e9
    assert (len(first), len(rest)) == (64_000, 10 * 8 * 32)
    for ros2, write, name in ((True, mcap, "run.mcap"), (False, bag, "run.bag")):
        messages = [("/pandar_packets", "pandar_msgs/msg/PandarScan", START_NS, scan_message(packets, ros2))]
        (_, cloud), _ = read_frames(write(tmp_path / name, messages))
        assert np.array_equal(cloud.xyz, first.xyz)
        assert np.array_equal(cloud.timestamp, first.timestamp)


def scan_message(packets: list[bytes], ros2: bool) -> object:
    stamped = []
    for number, data in enumerate(packets):
        stamp = header(START_NS + 400_000 * number, ros2).stamp
        padded = np.frombuffer(data.ljust(1500, b"\0"), np.uint8)
        stamped.append(make("pandar_msgs/msg/PandarPacket", ros2, stamp=stamp, data=padded, size=len(data)))
    return make("pandar_msgs/msg/PandarScan", ros2, header=header(START_NS, ros2), packets=stamped)


def test_the_calibration_beside_a_recording_is_used_and_a_table_of_its_name_is_not(tmp_path: Path) -> None:
    path = tmp_path / "run.pcap"
    path.write_bytes(capture([udp(packet(0))]))
    (tmp_path / "run.csv").write_text("x,y,z\n1,2,3\n")
    assert read_points(path).xyz[:, 2].max() == pytest.approx(5.0 * np.sin(np.radians(15.0)), abs=1e-5)
    flat = "Channel,Elevation,Azimuth\r\n" + "".join(f"{n},0,0\r\n" for n in range(1, 33))
    (tmp_path / "run.csv").write_text(flat)
    assert not read_points(path).xyz[:, 2].any()
    (tmp_path / "unit 7.csv").write_text("\ufeff" + flat)
    (tmp_path / "run.csv").unlink()
    assert not read_points(f"{path}#meta=unit 7.csv").xyz[:, 2].any()
    (tmp_path / "none.csv").write_text("x,y,z\n1,2,3\n")
    with pytest.raises(ScanError, match="expected the metadata of an Ouster or a Hesai's Channel,Elevation,Azimuth"):
        read_points(f"{path}#meta=none.csv")


def test_a_velodyne_and_a_hesai_in_one_capture_must_be_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "run.pcap"
    path.write_bytes(capture([udp(packet(0)), udp(velodyne_packet(0, 4.0), (192, 168, 1, 7))]))
    with pytest.raises(ScanError, match=r"192.168.1.201:2368 and 192.168.1.7:2368, expected one source"):
        read_points(path)
    assert len(read_points(f"{path}#topic=192.168.1.201:2368")) == 8 * 32
    assert np.linalg.norm(read_points(f"{path}#topic=192.168.1.7:2368").xyz, axis=1) == pytest.approx(4.0, abs=0.05)


def test_packets_of_another_hesai_are_told(tmp_path: Path) -> None:
    other = packet(0).replace(b"\xee\xff\x06\x01", b"\xee\xff\x01\x04", 1)
    path = mcap(tmp_path / "run.mcap", [("/p", "pandar_msgs/msg/PandarScan", START_NS, scan_message([other], True))])
    with pytest.raises(
        ScanError, match=r"found a packet of 1080 bytes in version 1.4 of the protocol, expected one of a"
    ):
        read_points(path)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1060, max_size=1060), min_size=1, max_size=4))
def test_any_body_gives_finite_points(bodies: list[bytes]) -> None:
    packets = [packet(0)[:12] + body + bytes(8) for body in bodies]
    assert all(map(is_hesai, packets))
    for cloud in turns(packets):
        assert np.isfinite(np.concatenate([cloud[name] for name in ("x", "y", "z", "time")])).all()


@given(st.binary(max_size=1200))
def test_no_other_packet_is_taken_for_one(data: bytes) -> None:
    assert not is_hesai(data)
    assert not is_hesai(packet(0)[:20] + data[:40])


@pytest.mark.parametrize(
    ("sensor", "number", "expected"),
    [
        ("xt16/1732848127890747768", 1, "xt16/1732848128093928016"),
        ("xt32m/1660893203042895158", 3, "xt32m/1660893203292679064"),
    ],
)
def test_real_packets_give_the_points_of_nebula(real: Path, sensor: str, number: int, expected: str) -> None:
    """Its sweep and ours are cut at the same angle; it leaves out second returns next to the first."""
    from scipy.spatial import cKDTree

    name = {"xt16": "PandarXT16", "xt32m": "PandarXT32M"}[sensor.partition("/")[0]]
    calibration = real / CALIBRATIONS / f"{name}.csv"
    found = read_points(f"{real / SWEEPS / sensor}#frame={number},meta={calibration}").xyz
    theirs = read_points(real / SWEEPS / f"{expected}.pcd").xyz
    assert len(found) == pytest.approx(len(theirs), rel=5e-4)
    there, _ = cKDTree(found).query(theirs)
    back, _ = cKDTree(theirs).query(found)
    assert np.quantile(there, 0.999) < 5e-6
    assert np.quantile(back, 0.999) < 5e-6
    assert max(there.max(), back.max()) < 0.04


def test_design_angles_are_near_a_real_units(real: Path) -> None:
    """What is lost where no calibration is at hand."""
    for model, name in (("xt16", "PandarXT16"), ("xt32", "PandarXT32"), ("xt32m", "PandarXT32M")):
        with open(real / CALIBRATIONS / f"{name}.csv", newline="") as file:
            real_deg = np.array([float(row["Elevation"]) for row in csv.DictReader(file)])
        cloud = turns([packet(0, model)])[0]
        channels = SHAPES[model][0]
        assert np.degrees(np.arcsin(cloud["z"][:channels] / 5.0)) == pytest.approx(real_deg, abs=0.15)


def real_packets(real: Path, sensor: str) -> Iterator[bytes]:
    (path,) = (real / SWEEPS / sensor).glob("*/*.db3")
    for (message,) in sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute(
        "SELECT data FROM messages ORDER BY timestamp"
    ):
        for found in store(True).deserialize_cdr(message, "pandar_msgs/msg/PandarScan").packets:
            yield bytes(found.data)[: found.size]


def test_real_packets_in_a_capture_are_those_of_the_bag(real: Path, tmp_path: Path) -> None:
    (tmp_path / "xt16.pcap").write_bytes(capture(map(udp, real_packets(real, "xt16")), period_s=2e-4))
    captured = [cloud.xyz for _, cloud in read_frames(tmp_path / "xt16.pcap")]
    recorded = [cloud.xyz for _, cloud in read_frames(next((real / SWEEPS / "xt16").glob("*/*.db3")))]
    assert [len(xyz) for xyz in captured] == [26_299, 26_287, 26_252, 35]
    assert all(np.array_equal(a, b) for a, b in zip(captured, recorded, strict=True))
