"""Recordings made here: what is read of each kind, how frames and topics are chosen, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import struct
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from io_goldens import CLOUD, assert_same, pcd
from recording_goldens import (
    ELEVATION_DEG,
    FIRING_S,
    LASER_S,
    PERIOD_NS,
    START_NS,
    TOPIC,
    CompressionType,
    bag,
    bag2,
    cloud_message,
    clouds,
    columns,
    database,
    ethernet,
    header,
    make,
    mcap,
    mcap_of_chunk,
    osf,
    ouster_metadata,
    ouster_packets,
    ouster_pcap,
    ouster_ranges,
    shifted,
    text,
    udp,
    velodyne_packet,
    velodyne_pcap,
    zeros,
)
from recording_goldens import pcap as capture

from volest.errors import MissingExtraError, ScanError
from volest.io import read_frames, read_points, recording, sandbox, select
from volest.load import estimate_files
from volest.motion import undo_motion
from volest.pointcloud import PointCloud

VERTICAL_MM = [11.2, -0.7, 9.7, -2.2, 8.1, -3.7, 6.6, -5.1, 5.1, -6.6, 3.7, -8.1, 2.2, -9.7, 0.7, -11.2]
"""How much higher than the sensor's centre a VLP-16's lasers seem to be (VLP-16 User Manual, table 9-1)."""


def make_recording(folder: Path, kind: str) -> Path:
    match kind.split():
        case ["bag", *compression]:
            return bag(folder / "run.bag", clouds(ros2=False), *compression)
        case ["folder", *compression]:
            return bag2(folder / "run", clouds(), *compression)
        case ["db3"]:
            return database(folder / "run", clouds())
        case ["ros1 mcap"] | ["ros1", "mcap"]:
            return mcap(folder / "run.mcap", clouds(ros2=False), encoding="ros1")
        case ["mcap", "plain"]:
            return mcap(folder / "run.mcap", clouds(), use_chunking=False)
        case ["mcap", compression]:
            return mcap(folder / "run.mcap", clouds(), compression=CompressionType[compression], chunk_size=300)
    raise AssertionError(kind)


KINDS = ["bag", "bag LZ4", "bag BZ2", "folder", "folder FILE", "folder MESSAGE", "db3"]
KINDS += ["mcap NONE", "mcap ZSTD", "mcap LZ4", "mcap plain", "ros1 mcap"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_frame_is_read_with_its_time_and_fields(tmp_path: Path, kind: str) -> None:
    frames = list(read_frames(make_recording(tmp_path, kind)))
    assert len(frames) == 3
    for number, (time_s, cloud) in enumerate(frames):
        assert time_s == pytest.approx((START_NS + number * PERIOD_NS) * 1e-9, abs=3e-7)
        assert_same(cloud, PointCloud(shifted(number), CLOUD.intensity, CLOUD.timestamp, CLOUD.ring))


def test_a_frame_and_a_topic_are_chosen_by_name(tmp_path: Path) -> None:
    messages = [*clouds(), *clouds(2, topic="/rear/points")]
    path = mcap(tmp_path / "run.mcap", messages)
    with pytest.raises(
        ScanError, match=r"named by #topic=: /lidar/points \(sensor_msgs/msg/PointCloud2\), /rear/points"
    ):
        read_points(path)
    for part, number in (("#topic=/lidar/points", 0), (f"#topic={TOPIC},frame=2", 2), (f"#frame=1&topic={TOPIC}", 1)):
        np.testing.assert_array_equal(read_points(f"{path}{part}").xyz, shifted(number))
    assert len(list(read_frames(f"{path}#topic={TOPIC},frame=1"))) == 2
    assert len(list(read_frames(path, topic="/rear/points"))) == 2
    with pytest.raises(ScanError, match="found 2 frames of /rear/points, expected frame=2"):
        read_points(f"{path}#topic=/rear/points,frame=2")
    with pytest.raises(ScanError, match="found no topic /front, expected one with points: /lidar/points"):
        read_points(f"{path}#topic=/front")


@pytest.mark.parametrize(
    "part", ["frame=-1", "frame=1.5", "frame=", "turn=1", "frame=1,frame=2", f"frame={'9' * 5000}"]
)
def test_a_selection_that_means_nothing_is_told(tmp_path: Path, part: str) -> None:
    with pytest.raises(ScanError, match=r"found .*expected") as error:
        read_points(f"{tmp_path / 'run.bag'}#{part}")
    assert error.value.flag == "unreadable"


@pytest.mark.parametrize("topic", ["/a\0b", "/a\n", "x" * 200_000, "\udc80"])
def test_a_topic_that_cannot_be_one_is_told(tmp_path: Path, topic: str) -> None:
    with pytest.raises(ScanError, match="found the topic"):
        next(read_frames(tmp_path / "run.bag", topic=topic))


def test_motion_that_is_told_is_undone(tmp_path: Path) -> None:
    path = mcap(tmp_path / "run.mcap", clouds(1))
    still, moved = read_points(path), read_points(f"{path}#velocity_m_s=2:0:-1,yaw_rate_rad_s=0.5")
    expected = undo_motion(still, (2.0, 0.0, -1.0), 0.5).xyz
    np.testing.assert_array_equal(moved.xyz, expected)
    assert moved.xyz[5, 0] != still.xyz[5, 0]
    for part, told in {
        "velocity_m_s=fast": "found velocity_m_s=fast, expected a number",
        "velocity_m_s=1:2": "velocity_m_s: found",
        "velocity_m_s=nan": "velocity_m_s: found",
    }.items():
        with pytest.raises(ScanError, match=f"run.mcap.*{told}"):
            read_points(f"{path}#{part}")
    (tmp_path / "a.pcd").write_bytes(pcd({axis: columns()[axis] for axis in "xyz"}))
    with pytest.raises(ScanError, match=r"a\.pcd: timestamp: missing"):
        read_points(f"{tmp_path / 'a.pcd'}#velocity_m_s=1")


def test_a_file_with_a_number_sign_in_its_name_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "bay#frame=3.pcd"
    path.write_bytes(pcd())
    assert_same(read_points(path), CLOUD)
    assert select("a#b/c.pcd").path == "a#b/c.pcd"
    assert select("run.bag#topic=/a,frame=7").name == "run.bag#topic=/a,frame=7"


def test_the_files_of_a_split_bag_are_one_recording(tmp_path: Path) -> None:
    for name, messages in (("run_10", clouds()[2:]), ("run_2", clouds()[1:2]), ("run_1", clouds()[:1])):
        mcap(tmp_path / f"{name}.mcap", messages)
    (tmp_path / "metadata.yaml").write_text("&a [*a]")  # not needed, and never parsed
    frames = [cloud for _, cloud in read_frames(tmp_path)]
    assert [int(cloud.xyz[0, 0]) for cloud in frames] == [0, 1, 2]
    np.testing.assert_array_equal(read_points(f"{tmp_path}#frame=2").xyz, shifted(2))
    (tmp_path / "other.mcap").write_bytes(b"")
    with pytest.raises(
        ScanError, match=r"found 4 recordings named other.mcap, run_N.mcap in the folder, expected names"
    ):
        read_points(tmp_path)


def test_a_folder_of_scans_is_a_sequence_in_order_of_its_numbers(tmp_path: Path) -> None:
    for number, name in enumerate(("1700000000000000000.pcd", "1700000000100000000.pcd", "1700000010000000000.pcd")):
        (tmp_path / name).write_bytes(pcd(columns(number)))
    frames = list(read_frames(tmp_path))
    assert [time_s for time_s, _ in frames] == pytest.approx([1.7e9, 1.7e9 + 0.1, 1.7e9 + 10])
    np.testing.assert_array_equal(read_points(f"{tmp_path}#frame=1").xyz, shifted(1))
    (tmp_path / "empty.pcd").write_bytes(pcd())
    with pytest.raises(ScanError, match=r"found 4 scans named N\.pcd, empty\.pcd"):
        read_points(tmp_path)


def test_a_sequence_without_times_has_none(tmp_path: Path) -> None:
    for number in (9, 10):
        (tmp_path / f"frame_{number}.pcd").write_bytes(pcd(columns(number)))
    assert [(time_s, cloud.xyz[0, 0]) for time_s, cloud in read_frames(tmp_path)] == [(None, 9), (None, 10)]
    assert [time_s for time_s, _ in read_frames(tmp_path / "frame_9.pcd")] == [None]


def test_points_are_found_however_they_are_laid_out(tmp_path: Path) -> None:
    swapped = {name: column.astype(column.dtype.newbyteorder(">")) for name, column in columns().items()}
    messages = [
        cloud_message(columns(), gap=3, rows=2),
        cloud_message(swapped, gap=1),
        cloud_message(dict(reversed(columns().items())), START_NS),
    ]
    path = mcap(tmp_path / "run.mcap", [(TOPIC, "sensor_msgs/msg/PointCloud2", START_NS, one) for one in messages])
    clouds_found = [cloud for _, cloud in read_frames(path)]
    assert len(clouds_found) == 3
    for cloud in clouds_found:
        assert_same(cloud, CLOUD)


def test_a_message_without_a_time_has_that_of_its_recording(tmp_path: Path) -> None:
    message = cloud_message(columns(), header=header(0, True))
    path = mcap(tmp_path / "run.mcap", [(TOPIC, "sensor_msgs/msg/PointCloud2", START_NS, message)])
    assert [time_s for time_s, _ in read_frames(path)] == pytest.approx([START_NS * 1e-9], abs=3e-7)


def forged(kind: str) -> dict[str, object]:
    field = columns()["x"]
    match kind:
        case "many points":
            return {"height": 60_000, "width": 70_000}
        case "more points than bytes":
            return {"width": 7}
        case "short rows":
            return {"height": 2, "width": 3, "row_step": 1}
        case "long rows":
            return {"height": 2, "width": 3, "row_step": 0xFFFFFFFF}
        case "no step":
            return {"point_step": 0}
        case "no bytes":
            return {"data": np.empty(0, np.uint8)}
    names = {"unknown type": (0, 77), "far field": (10**6, 7), "overlong field": (len(columns()) * 8 + 1, 8)}
    offset, datatype = names[kind]
    told = make("sensor_msgs/msg/PointField", True, name="x", offset=offset, datatype=datatype, count=1)
    assert field is not None
    return {"fields": [told]}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("many points", "found 60000 x 70000 points of 26 bytes"),
        ("more points than bytes", "cut short: found 156 bytes, expected 1 rows of 182"),
        ("short rows", "cut short"),
        ("long rows", "cut short"),
        ("no step", "points of 0 bytes"),
        ("no bytes", "cut short: found 0 bytes"),
        ("unknown type", "found the field 'x' of type 77"),
        ("far field", "at byte 1000000"),
        ("overlong field", "found the field"),
    ],
)
def test_a_message_that_lies_is_told_with_its_place(tmp_path: Path, kind: str, expected: str) -> None:
    message = cloud_message(columns(), **forged(kind))
    path = mcap(tmp_path / "run.mcap", [*clouds(1), (TOPIC, "sensor_msgs/msg/PointCloud2", START_NS + 1, message)])
    frames = read_frames(path)
    assert len(next(frames)[1]) == 6
    with pytest.raises(ScanError, match=f"run.mcap: frame 1 of /lidar/points: .*{expected}"):
        next(frames)


def test_fields_that_are_no_points_are_told(tmp_path: Path) -> None:
    fields = {"range": columns()["x"], "y\nDATA ascii": columns()["y"]}
    path = mcap(tmp_path / "a.mcap", [(TOPIC, "sensor_msgs/msg/PointCloud2", START_NS, cloud_message(fields))])
    with pytest.raises(ScanError, match=r"a.mcap: frame 0: found the fields 'range y\?DATA\?ascii', expected x y z"):
        read_points(path)


def test_a_message_without_points_gives_a_cloud_of_none(tmp_path: Path) -> None:
    message = cloud_message({name: column[:0] for name, column in columns().items()})
    path = mcap(tmp_path / "run.mcap", [(TOPIC, "sensor_msgs/msg/PointCloud2", START_NS, message)])
    assert len(read_points(path)) == 0


def test_a_topic_without_messages_has_no_frames(tmp_path: Path) -> None:
    path = bag(tmp_path / "run.bag", [text("/note", "hello", ros2=False)])
    with pytest.raises(ScanError, match=r"no topic with points, .*there are /note \(std_msgs/msg/String\)"):
        read_points(path)


def test_a_livox_message_is_read(tmp_path: Path) -> None:
    kind = "livox_ros_driver2/msg/CustomMsg"
    points = [
        make(
            "livox_ros_driver2/msg/CustomPoint",
            True,
            offset_time=1000 * n,
            x=n,
            y=-n,
            z=0.5,
            reflectivity=9,
            tag=0,
            line=n,
        )
        for n in (1.0, 2.0)
        for n in (int(n),)
    ]
    told = {"timebase": 0, "point_num": 2, "lidar_id": 0, "rsvd": np.zeros(3, np.uint8)}
    message = make(kind, True, header=header(START_NS, True), points=points, **told)
    ((time_s, cloud),) = read_frames(mcap(tmp_path / "run.mcap", [("/livox/lidar", kind, START_NS, message)]))
    assert time_s == pytest.approx(START_NS * 1e-9, abs=3e-7)
    expected = PointCloud(
        np.array([[1, -1, 0.5], [2, -2, 0.5]], np.float32), np.array([9, 9]), np.array([1e-6, 2e-6]), np.array([1, 2])
    )
    assert_same(cloud, expected)


# Velodyne


def test_velodyne_points_lie_where_the_manual_puts_them(tmp_path: Path) -> None:
    path = tmp_path / "run.pcap"
    path.write_bytes(velodyne_pcap(2.0, 5.0))
    frames = list(read_frames(path))
    assert sum(len(cloud) for _, cloud in frames) == 2 * 75 * 12 * 32
    cloud = frames[0][1]
    assert cloud.ring is not None
    assert cloud.timestamp is not None
    rings = np.argsort(ELEVATION_DEG)  # from the lowest on
    for ring, laser in enumerate(rings):
        xyz = cloud.xyz[cloud.ring == ring].astype(float)
        elevation = np.radians(ELEVATION_DEG[laser])
        assert xyz[:, 2] == pytest.approx(5 * np.sin(elevation) + 1e-3 * VERTICAL_MM[laser], abs=1.5e-3)
        assert np.hypot(*xyz.T[:2]) == pytest.approx(5 * np.cos(elevation), abs=1.5e-3)
    steps = np.diff(np.unique(cloud.timestamp))
    assert steps.min() == pytest.approx(LASER_S, rel=0.02)
    assert np.ptp(cloud.timestamp) == pytest.approx(76 * 24 * FIRING_S, rel=0.02)


def test_of_two_velodynes_one_is_named(tmp_path: Path) -> None:
    frames = []
    for number in range(80):
        frames += [udp(velodyne_packet(number, r), (192, 168, 1, r)) for r in (4, 9)]
    (tmp_path / "run.pcap").write_bytes(capture(frames))
    with pytest.raises(
        ScanError, match=r"of 192\.168\.1\.4:2368 and 192\.168\.1\.9:2368, expected one source: .*#topic="
    ):
        read_points(tmp_path / "run.pcap")
    for reach in (4, 9):
        xyz = read_points(f"{tmp_path / 'run.pcap'}#topic=192.168.1.{reach}:2368").xyz
        assert np.linalg.norm(xyz, axis=1) == pytest.approx(reach, abs=0.015)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (capture([]), r"found the UDP packets: none"),
        (
            capture([udp(bytes(1262))] * 3),
            r"3 of 1262 bytes from 192.168.1.201:2368; expected packets of a Velodyne or a Hesai XT, or",
        ),
        (capture([b"\xff" * 60, b"", bytes(14), ethernet(b"\0" * 3, (1, 2, 3, 4))]), "found the UDP packets: none"),
        (capture([udp(velodyne_packet(0, 5.0))], link=147), "found the link type 147"),
        (b"\n\r\r\n" + bytes(100), "found pcapng, expected pcap"),
        (velodyne_pcap()[:-100], "cut short or damaged at byte"),
        (velodyne_pcap()[:-1210], "cut short or damaged at byte|cannot be decoded"),
        (velodyne_pcap()[:30], "cannot be decoded|cut short"),
        (
            velodyne_pcap()[:24] + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(1000),
            "cut short or damaged",
        ),
    ],
)
def test_a_capture_without_velodyne_packets_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "run.pcap").write_bytes(content)
    with pytest.raises(ScanError, match=told) as error:
        list(read_frames(tmp_path / "run.pcap"))
    assert str(error.value).startswith(str(tmp_path / "run.pcap"))


# Ouster


def check_ouster(frames: list[tuple[float | None, PointCloud]], first: int = 0) -> None:
    ranges = ouster_ranges()[first:]
    assert len(frames) == len(ranges)
    for (_, cloud), image in zip(frames, ranges, strict=True):
        assert len(cloud) == image.size
        seen = image.reshape(-1) > 0
        assert not cloud.xyz[~seen].any()
        # The beams start 15 to 40 mm off the sensor's centre.
        reach = np.linalg.norm(cloud.xyz[seen], axis=1)
        assert reach == pytest.approx(image.reshape(-1)[seen] / 1000, abs=0.045)
        assert cloud.ring is not None
        assert np.array_equal(cloud.ring, np.repeat(np.arange(len(image)), image.shape[1]))


def test_an_ouster_capture_is_read_with_the_metadata_beside_it(tmp_path: Path) -> None:
    (tmp_path / "run.pcap").write_bytes(ouster_pcap(ouster_packets()))
    (tmp_path / "run.json").write_text(ouster_metadata())
    check_ouster(list(read_frames(tmp_path / "run.pcap")))
    (tmp_path / "run.json").rename(tmp_path / "sensor.json")
    check_ouster(list(read_frames(f"{tmp_path / 'run.pcap'}#meta=sensor.json")))
    with pytest.raises(ScanError, match=r"or an Ouster's with its metadata in a .json file of the capture's name"):
        read_points(tmp_path / "run.pcap")


def test_an_ouster_turn_that_the_start_cuts_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "run.pcap").write_bytes(ouster_pcap(ouster_packets()[5:]))
    (tmp_path / "run.json").write_text(ouster_metadata())
    check_ouster(list(read_frames(tmp_path / "run.pcap")), 1)


def test_an_osf_file_is_read(tmp_path: Path) -> None:
    path = osf(tmp_path / "run.osf")
    frames = list(read_frames(path))
    check_ouster(frames)
    assert [time_s for time_s, _ in frames] == pytest.approx([(START_NS + n * PERIOD_NS) * 1e-9 for n in range(3)])
    assert len(read_points(f"{path}#topic=0,frame=2")) == 64 * 512
    with pytest.raises(ScanError, match="found the sensors 0, expected one: name it with #topic="):
        read_points(f"{path}#topic=77")


@pytest.mark.parametrize("kind", ["bag", "mcap"])
def test_ouster_packets_in_a_bag_are_read_with_the_metadata_in_it(tmp_path: Path, kind: str) -> None:
    ros2 = kind == "mcap"
    driver = "ouster_sensor_msgs" if ros2 else "ouster_ros"
    messages = [text("/ouster/metadata", ouster_metadata(), ros2=ros2)] + [
        (
            "/ouster/lidar_packets",
            f"{driver}/msg/PacketMsg",
            START_NS + 10**6 * number,
            make(f"{driver}/msg/PacketMsg", ros2, buf=np.frombuffer(packet + b"\0\0\0\0", np.uint8)),
        )
        for number, packet in enumerate(ouster_packets())
    ]
    path = (mcap if ros2 else bag)(tmp_path / f"run.{kind}", messages)
    check_ouster(list(read_frames(path)))
    without = (mcap if ros2 else bag)(tmp_path / f"without.{kind}", messages[1:])
    with pytest.raises(ScanError, match=r"found neither /ouster/metadata in the recording nor"):
        read_points(without)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "the sensor's metadata: found a profile without ranges"),
        ({"beam_altitude_angles": [0.0]}, "the sensor's metadata: "),
        (None, "the sensor's metadata: |expected the metadata"),
    ],
)
def test_metadata_that_are_none_are_told(tmp_path: Path, change: dict[str, object] | None, told: str) -> None:
    document = json.loads(ouster_metadata())
    document["beam_intrinsics"] |= change or {}
    if change == {}:
        document["config_params"]["udp_port_lidar"] = 0
    (tmp_path / "meta.json").write_text(json.dumps(document)[: 500 if change is None else None])
    (tmp_path / "run.pcap").write_bytes(ouster_pcap(ouster_packets()[:2]))
    with pytest.raises(ScanError, match=told):
        read_points(f"{tmp_path / 'run.pcap'}#meta={tmp_path / 'meta.json'}")


# What the verbs make of them


def test_a_load_is_estimated_from_a_recording_as_from_its_scan(tmp_path: Path) -> None:
    case = Path(__file__).parents[1] / "datasets" / "half-full-overhead"
    shutil.copytree(case, tmp_path, dirs_exist_ok=True)
    xyz = read_points(case / "top.npz").xyz
    message = cloud_message({axis: xyz[:, place].copy() for place, axis in enumerate("xyz")})
    mcap(tmp_path / "run.mcap", [(TOPIC, "sensor_msgs/msg/PointCloud2", START_NS + n, message) for n in range(2)])
    expected = estimate_files("truck.toml", ["top=top.npz"], directory=tmp_path)
    for part in ("", f"#topic={TOPIC},frame=1"):
        sensor = "top=" if part else ""  # the truck has but one
        found = estimate_files("truck.toml", [f"{sensor}run.mcap{part}"], directory=tmp_path)
        assert found.volume_m3 == expected.volume_m3
        assert found.load_id != expected.load_id
        digest = hashlib.sha256((tmp_path / "run.mcap").read_bytes()).hexdigest()
        assert found.inputs[f"run.mcap{part}"] == f"sha256:{digest}"
    refused = estimate_files("truck.toml", ["top=run.mcap#frame=2"], directory=tmp_path)
    assert (refused.status, refused.flags) == ("rejected", ("unreadable",))
    assert refused.reasons[0].endswith(f"found 2 frames of {TOPIC}, expected frame=2")


# Bounds


def test_frames_are_read_one_at_a_time(tmp_path: Path) -> None:
    """A recording of 200 MB is read in the memory of some of its frames, and left when no more are asked for."""
    wide = {axis: np.full(500_000, 1.0, np.float32) for axis in "xyz"}
    message = cloud_message(wide)
    frame_bytes = 12 * 500_000
    messages = ((TOPIC, "sensor_msgs/msg/PointCloud2", START_NS + n, message) for n in range(34))
    path = mcap(tmp_path / "run.mcap", messages, compression=CompressionType.NONE)
    process = psutil.Process()
    before, peak = process.memory_info().rss, 0
    for _, cloud in read_frames(path):
        assert len(cloud) == 500_000
        peak = max(peak, process.memory_info().rss)
    assert peak - before < 8 * frame_bytes
    children = set(process.children())
    frames = read_frames(path)
    next(frames)
    assert set(process.children()) - children
    frames.close()
    assert set(process.children()) <= children


@pytest.mark.parametrize("kind", ["zstd file", "zstd chunk", "lz4 chunk", "zstd message"])
def test_what_unpacks_to_more_than_is_sound_is_refused(tmp_path: Path, kind: str) -> None:
    packer, _, place = kind.partition(" ")
    packed = zeros(packer, 3 << 30)
    path = tmp_path / ("run.db3.zstd" if place == "file" else "run.db3" if place == "message" else "run.mcap")
    if place == "message":
        database(tmp_path / "run", clouds(1)).rename(path)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE messages SET data = ?", (packed,))
        connection.close()
    else:
        path.write_bytes(packed if place == "file" else mcap_of_chunk(packed, packer, 3 << 30))
    start = time.perf_counter()
    with pytest.raises(ScanError, match=r"unpacks to more than|Failed to resize buffer"):
        read_points(path)
    assert time.perf_counter() - start < 10


def test_a_decoder_that_sends_too_much_or_ends_early_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_recording(tmp_path, "mcap NONE")
    monkeypatch.setattr(recording, "MAX_FRAME_BYTES", 100)
    with pytest.raises(ScanError, match=r"bytes of points in frame 0, expected at most 100"):
        read_points(path)
    monkeypatch.undo()
    monkeypatch.setattr(recording, "MAX_FILE_BYTES", 100)
    with pytest.raises(ScanError, match="expected at most 100"):
        read_points(path)


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "START_SECONDS", 0.05)
    monkeypatch.setattr(recording, "SECONDS_PER_BYTE", 0.0)


@pytest.mark.usefixtures("no_time")
def test_a_decoder_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="its decoding was stopped after 0 s"):
        read_points(make_recording(tmp_path, "mcap NONE"))


@pytest.mark.parametrize(
    ("suffix", "extra"),
    [(".bag", "formats"), (".db3", "formats"), (".mcap", "formats"), (".osf", "ouster"), (".pcap", "formats")],
)
def test_missing_packages_are_told_with_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, extra: str
) -> None:
    (tmp_path / f"run{suffix}").write_bytes(b"anything")
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=rf"reading \{suffix} needs the extra \[{extra}\]"):
        read_points(tmp_path / f"run{suffix}")


def test_an_ouster_capture_names_the_extra_of_ousters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.pcap").write_bytes(b"anything")
    (tmp_path / "run.json").write_text(ouster_metadata())
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"needs the extra \[ouster\]"):
        read_points(tmp_path / "run.pcap")
