"""Small sound recordings of every kind, made of known points by the formats' own libraries, for the tests to break."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from io_goldens import INTENSITY, RING, TIMESTAMP, XYZ
from numpy.typing import NDArray

pytest.importorskip("rosbags")
pytest.importorskip("mcap")
pytest.importorskip("ouster")
pytest.importorskip("velodyne_decoder")
import lz4.frame
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.records import Chunk, DataEnd, Footer, Header
from mcap.well_known import Profile
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from volest.io import recording_messages

TOPIC = "/lidar/points"
KIND = "sensor_msgs/msg/PointCloud2"
START_NS = 1_700_000_000_123_456_789
PERIOD_NS = 100_000_000
DATATYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}

Columns = dict[str, NDArray[Any]]
Message = tuple[str, str, int, Any]
"""Topic, type, time [ns], and the message."""


def shifted(number: int) -> NDArray[np.float32]:
    """The points of frame `number`."""
    return XYZ + np.float32(number)


def columns(number: int = 0) -> Columns:
    fields = {axis: shifted(number)[:, place] for place, axis in enumerate("xyz")}
    return fields | {"intensity": INTENSITY, "timestamp": TIMESTAMP, "ring": RING}


@cache
def store(ros2: bool = True) -> Typestore:
    types = get_typestore(Stores.ROS2_HUMBLE if ros2 else Stores.ROS1_NOETIC)
    for name, definition in recording_messages.PACKET_TYPES.items():
        types.register(get_types_from_msg(definition, name))
    return types


def make(kind: str, ros2: bool, **fields: Any) -> Any:
    return store(ros2).types[kind](**fields)


def header(time_ns: int, ros2: bool) -> Any:
    stamp = make("builtin_interfaces/msg/Time", ros2, sec=time_ns // 10**9, nanosec=time_ns % 10**9)
    extra = {} if ros2 else {"seq": 0}
    return make("std_msgs/msg/Header", ros2, stamp=stamp, frame_id="lidar", **extra)


def cloud_message(
    columns_: Columns, time_ns: int = START_NS, *, ros2: bool = True, gap: int = 0, rows: int = 1, **changes: Any
) -> Any:
    """A PointCloud2 with `gap` unused bytes before each field and behind each row."""
    count = len(next(iter(columns_.values())))
    offsets, step = [], 0
    for column in columns_.values():
        step += gap
        offsets.append(step)
        step += column.dtype.itemsize
    layout = {
        "names": list(columns_),
        "formats": [c.dtype for c in columns_.values()],
        "offsets": offsets,
        "itemsize": step,
    }
    points = np.zeros(count, np.dtype(layout))
    for name, column in columns_.items():
        points[name] = column
    lines = [row.tobytes() + bytes(gap) for row in points.reshape(rows, -1)]
    told = [
        make(
            "sensor_msgs/msg/PointField",
            ros2,
            name=name,
            offset=offset,
            datatype=DATATYPES[column.dtype.str[1:]],
            count=1,
        )
        for (name, column), offset in zip(columns_.items(), offsets, strict=True)
    ]
    values = {
        "header": header(time_ns, ros2),
        "height": rows,
        "width": count // rows,
        "fields": told,
        "is_bigendian": next(iter(columns_.values())).dtype.str[0] == ">",
        "point_step": step,
        "row_step": len(lines[0]),
        "data": np.frombuffer(b"".join(lines), np.uint8),
        "is_dense": False,
    }
    return make(KIND, ros2, **(values | changes))


def clouds(count: int = 3, *, ros2: bool = True, topic: str = TOPIC) -> list[Message]:
    times = [START_NS + number * PERIOD_NS for number in range(count)]
    return [(topic, KIND, t, cloud_message(columns(n), t, ros2=ros2)) for n, t in enumerate(times)]


def text(topic: str, content: str, *, ros2: bool = True) -> Message:
    return topic, "std_msgs/msg/String", START_NS, make("std_msgs/msg/String", ros2, data=content)


def bag(path: Path, messages: Iterable[Message], compression: str = "") -> Path:
    writer = rosbag1.Writer(path)
    if compression:
        writer.set_compression(getattr(rosbag1.Writer.CompressionFormat, compression))
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, time_ns, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store(ros2=False))
            data = bytes(store(ros2=False).serialize_ros1(message, kind))
            writer.write(connections[topic], time_ns, data)
    return path


def bag2(folder: Path, messages: Iterable[Message], compression: str = "") -> Path:
    """A ROS 2 bag's folder, with a .db3 file."""
    writer = rosbag2.Writer(folder)
    if compression:
        mode = getattr(rosbag2.Writer.CompressionMode, compression)
        writer.set_compression(mode, rosbag2.Writer.CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, time_ns, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store())
            writer.write(connections[topic], time_ns, bytes(store().serialize_cdr(message, kind)))
    return folder


def database(folder: Path, messages: Iterable[Message]) -> Path:
    return next(bag2(folder, messages).glob("*.db3"))


def mcap(path: Path, messages: Iterable[Message], *, encoding: str = "cdr", **options: Any) -> Path:
    writer = McapWriter(str(path), **({"compression": CompressionType.ZSTD} | options))
    writer.start(profile="ros2", library="tests")
    channels: dict[str, int] = {}
    for topic, kind, time_ns, message in messages:
        if topic not in channels:
            schema = writer.register_schema(kind, "ros2msg", b"")
            channels[topic] = writer.register_channel(topic, encoding, schema)
        serialize = store().serialize_cdr if encoding == "cdr" else store(ros2=False).serialize_ros1
        writer.add_message(channels[topic], time_ns, bytes(serialize(message, kind)), time_ns)
    writer.finish()
    return path


def mcap_of_chunk(data: bytes, compression: str, unpacked_bytes: int) -> bytes:
    """An MCAP file without a summary, with this chunk."""
    builder = RecordBuilder()
    told = {"uncompressed_size": unpacked_bytes, "uncompressed_crc": 0}
    for record in (
        Header(Profile.ROS2, "tests"),
        Chunk(compression, data, START_NS, START_NS, **told),
        DataEnd(0),
        Footer(0, 0, 0),
    ):
        record.write(builder)
    magic = b"\x89MCAP0\r\n"
    return magic + builder.end() + magic


def zeros(packer: str, count: int) -> bytes:
    """So many bytes of zero, packed."""
    block = bytes(1 << 24)
    if packer == "zstd":
        compressor = zstandard.ZstdCompressor().compressobj()
        return b"".join(compressor.compress(block) for _ in range(count >> 24)) + compressor.flush()
    with lz4.frame.LZ4FrameCompressor() as compressor:
        start = compressor.begin()
        return start + b"".join(compressor.compress(block) for _ in range(count >> 24)) + compressor.flush()


VLP16 = b"\x37\x22"  # strongest return, VLP-16
FIRING_S = 55.296e-6
LASER_S = 2.304e-6
ELEVATION_DEG = [-15, 1, -13, 3, -11, 5, -9, 7, -7, 9, -5, 11, -3, 13, -1, 15]
"""Of a VLP-16's lasers in the order of their firing (VLP-16 User Manual, table 9-1)."""


def velodyne_packet(number: int, range_m: float, azimuth_step_deg: float = 0.4) -> bytes:
    """Packet `number` of a VLP-16 in a sphere of that radius around it (VLP-16 User Manual, 9.3)."""
    channel = struct.pack("<HB", round(range_m / 0.002), 77)
    blocks = []
    for block in range(12):
        azimuth = round((number * 12 + block) * azimuth_step_deg * 100) % 36000
        blocks.append(struct.pack("<2sH", b"\xff\xee", azimuth) + channel * 32)
    microseconds = round(number * 24 * FIRING_S * 1e6)
    return b"".join(blocks) + struct.pack("<I", microseconds) + VLP16


def udp(data: bytes, source: tuple[int, int, int, int] = (192, 168, 1, 201), port: int = 2368) -> bytes:
    """An Ethernet frame; fragments where the datagram is long are made by `fragments`."""
    datagram = struct.pack(">HHHH", 2368, port, 8 + len(data), 0) + data
    return ethernet(datagram, source)


def ethernet(payload: bytes, source: tuple[int, int, int, int], fragment: int = 0, number: int = 1) -> bytes:
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, fragment, 64, 17, 0)
    return bytes(12) + b"\x08\x00" + ip + bytes(source) + bytes([255] * 4) + payload


def fragments(
    data: bytes, number: int, source: tuple[int, int, int, int] = (10, 0, 0, 2), port: int = 7502
) -> list[bytes]:
    """A long datagram in Ethernet frames of 1480 bytes."""
    datagram = struct.pack(">HHHH", port, port, 8 + len(data), 0) + data
    starts = range(0, len(datagram), 1480)
    more = [0x2000 if start + 1480 < len(datagram) else 0 for start in starts]
    return [
        ethernet(datagram[start : start + 1480], source, start // 8 | flag, number)
        for start, flag in zip(starts, more, strict=True)
    ]


def pcap(frames: Iterable[bytes], link: int = 1, period_s: float = 24 * FIRING_S) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    records = []
    for number, frame in enumerate(frames):
        microseconds = round(number * period_s * 1e6)
        records.append(
            struct.pack("<IIII", 1_700_000_000 + microseconds // 10**6, microseconds % 10**6, len(frame), len(frame))
        )
        records.append(frame)
    return head + b"".join(records)


def velodyne_pcap(turns: float = 2.2, range_m: float = 5.0) -> bytes:
    return pcap(udp(velodyne_packet(number, range_m)) for number in range(round(turns * 75)))


@cache
def ouster_metadata() -> str:
    """Of an OS1-64 that turns in 512 columns."""
    from ouster.sdk import core

    document = json.loads(core.SensorInfo.from_default(core.LidarMode._512x10).to_json_string())
    document["lidar_data_format"]["udp_profile_lidar"] = "RNG19_RFL8_SIG16_NIR16"
    document["config_params"] = {}
    return json.dumps(document)


@cache
def ouster_ranges(turns: int = 3) -> NDArray[np.uint32]:
    """Ranges [mm] of some turns; every 35th pixel met nothing."""
    ranges = np.random.default_rng(3).integers(1000, 30_000, (turns, 64, 512)).astype(np.uint32) // 8 * 8
    ranges[:, ::7, ::5] = 0
    return ranges


def ouster_frames() -> list[Any]:
    """The turns as the vendor's library holds them."""
    from ouster.sdk import core

    frames = []
    for number, image in enumerate(ouster_ranges()):
        frame = core.LidarFrame(core.SensorInfo(ouster_metadata()))
        frame.frame_id = number + 1
        frame.field("RANGE")[:] = image
        frame.field("REFLECTIVITY")[:] = 17
        frame.timestamp[:] = 10**9 + number * 10**8 + np.arange(512) * 195_312
        frame.measurement_id[:] = np.arange(512)
        frame.status[:] = 1
        frames.append(frame)
    return frames


@cache
def ouster_packets() -> list[bytes]:
    from ouster.sdk import core

    layout = core.PacketFormat(core.SensorInfo(ouster_metadata()))
    packets = (core.frame_to_packets(frame, layout, 0, 0) for frame in ouster_frames())
    return [packet.buf.tobytes() for turn in packets for packet in turn]


def ouster_pcap(packets: list[bytes]) -> bytes:
    return pcap([part for number, packet in enumerate(packets) for part in fragments(packet, number)])


def osf(path: Path) -> Path:
    from ouster.sdk import core
    from ouster.sdk.osf import Writer

    with Writer(str(path), core.SensorInfo(ouster_metadata())) as writer:
        for number, frame in enumerate(ouster_frames()):
            writer.save(0, frame, START_NS + number * PERIOD_NS)
    return path
