"""The messages of ROS 1 bags, ROS 2 bags and MCAP. Runs in child.py and imports nothing of volest but its neighbours.

rosbags reads ROS 1 bags and decodes all messages, mcap reads MCAP, and SQLite the database that a ROS 2 bag is.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

__all__ = ["Messages", "Refused", "open_messages"]

SCAN = "/proc/self/fd/0"
MAX_MESSAGE_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 512 << 20
MCAP = b"\x89MCAP0\r\n"
PACKED = ".zstd"
ZSTANDARD = b"\x28\xb5\x2f\xfd"
PACKET_TYPES = {
    "velodyne_msgs/msg/VelodynePacket": "builtin_interfaces/Time stamp\nuint8[1206] data",
    "velodyne_msgs/msg/VelodyneScan": "std_msgs/Header header\nvelodyne_msgs/VelodynePacket[] packets",
    "pandar_msgs/msg/PandarPacket": "builtin_interfaces/Time stamp\nuint8[1500] data\nuint32 size",
    "pandar_msgs/msg/PandarScan": "std_msgs/Header header\npandar_msgs/PandarPacket[] packets",
    "ouster_ros/msg/PacketMsg": "uint8[] buf",
    "ouster_msgs/msg/PacketMsg": "uint8[] buf",
    "ouster_sensor_msgs/msg/PacketMsg": "uint8[] buf",
} | {
    f"{driver}/msg/{name}": definition
    for driver in ("livox_ros_driver", "livox_ros_driver2")
    for name, definition in {
        "CustomPoint": "uint32 offset_time\nfloat32 x\nfloat32 y\nfloat32 z\nuint8 reflectivity\nuint8 tag\nuint8 line",
        "CustomMsg": "std_msgs/Header header\nuint64 timebase\nuint32 point_num\nuint8 lidar_id\nuint8[3] rsvd\n"
        f"{driver}/CustomPoint[] points",
    }.items()
}
"""Types that drivers define for themselves, from the drivers' own .msg files."""


class Refused(Exception):  # noqa: N818
    """Why a recording is not read, in words for its owner."""


class Messages(Protocol):
    """What is recorded."""

    types: dict[str, str]
    """The type of each topic's messages, as in "sensor_msgs/msg/PointCloud2"."""

    def read(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """The time [ns] at which each message of a topic was recorded, and the message, in order of time."""

    def decode(self, topic: str, message: bytes) -> Any:
        """The fields of a message of this topic."""


def open_messages(kind: str) -> Messages:
    """The messages of the file on the standard input; `kind` is its suffix, with ".zstd" where all of it is packed."""
    if not kind.endswith(PACKED):
        return Bag() if kind == ".bag" else Database(None) if kind == ".db3" else Mcap(open(SCAN, "rb"))
    with open(SCAN, "rb") as file:
        content = inflate(file)
    return Database(content) if kind.startswith(".db3") else Mcap(io.BytesIO(content))


class Bag:
    """A ROS 1 bag, format 2.0."""

    def __init__(self) -> None:
        from rosbags.rosbag1 import Reader

        self._reader = Reader(SCAN)
        self._reader.open()
        self.types = {connection.topic: connection.msgtype for connection in self._reader.connections}
        self._store = type_store(ros2=False)

    def read(self, topic: str) -> Iterator[tuple[int, bytes]]:
        connections = [connection for connection in self._reader.connections if connection.topic == topic]
        for _, time_ns, message in self._reader.messages(connections):
            yield time_ns, message

    def decode(self, topic: str, message: bytes) -> Any:
        return self._store.deserialize_ros1(message, self.types[topic])


class Database:
    """A file of a ROS 2 bag in SQLite."""

    def __init__(self, content: bytes | None) -> None:
        with open(SCAN, "rb") as file:
            if (content or file.read(15))[:15] != b"SQLite format 3":
                raise Refused("found no SQLite database, expected a ROS 2 bag")
        if content is None:
            self._database = sqlite3.connect(f"file:{SCAN}?mode=ro&immutable=1", uri=True)
        else:
            self._database = sqlite3.connect(":memory:")
            self._database.deserialize(content)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_MESSAGE_BYTES)
        self._database.execute("PRAGMA trusted_schema = OFF")
        rows = self._database.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
        self._ids = {str(name): number for number, name, _, _ in rows}
        self._formats = {str(name): str(written) for _, name, _, written in rows}
        self.types = {str(name): ros2_name(str(kind)) for _, name, kind, _ in rows}
        self._store = type_store(ros2=True)

    def read(self, topic: str) -> Iterator[tuple[int, bytes]]:
        if self._formats[topic] != "cdr":
            raise Refused(f"found messages of {topic} in the format {self._formats[topic]!r}, expected cdr")
        # Times first, as sorting the messages themselves would take their memory.
        order = "SELECT rowid FROM messages WHERE topic_id = ? ORDER BY timestamp, rowid"
        for (row,) in self._database.execute(order, (self._ids[topic],)):
            query = "SELECT timestamp, data FROM messages WHERE rowid = ?"
            time_ns, message = self._database.execute(query, (row,)).fetchone()
            if not isinstance(time_ns, int) or not isinstance(message, bytes):
                raise Refused(f"found no time or no bytes in row {row} of the messages")
            yield time_ns, inflate(message) if message.startswith(ZSTANDARD) else message

    def decode(self, topic: str, message: bytes) -> Any:
        return self._store.deserialize_cdr(message, self.types[topic])


class Mcap:
    """An MCAP file of ROS 1 or ROS 2 messages."""

    def __init__(self, file: BinaryIO) -> None:
        from mcap.reader import SeekingReader

        ends = file.read(len(MCAP))
        file.seek(-len(MCAP), io.SEEK_END)
        if ends != MCAP or file.read() != MCAP:
            cut = "cut short: found no end of an MCAP file (mcap recover makes a whole one of it)"
            raise Refused(cut if ends == MCAP else f"found {ends!r}, expected an MCAP file")
        file.seek(0)
        self._reader = SeekingReader(file, validate_crcs=True, record_size_limit=MAX_MESSAGE_BYTES)
        summary = self._reader.get_summary()
        if summary is None or (not summary.channels and not summary.chunk_indexes):
            channels = {channel.id: (schema, channel) for schema, channel, _ in self._all()}
        else:
            channels = {key: (summary.schemas.get(value.schema_id), value) for key, value in summary.channels.items()}
            for index in summary.chunk_indexes:
                if index.uncompressed_size > MAX_MESSAGE_BYTES:
                    told = f"found a chunk of {index.uncompressed_size} unpacked bytes"
                    raise Refused(f"{told} at byte {index.chunk_start_offset}, expected at most {MAX_MESSAGE_BYTES}")
        self.types = {channel.topic: ros2_name(schema.name if schema else "") for schema, channel in channels.values()}
        self._encodings = {channel.topic: channel.message_encoding for _, channel in channels.values()}
        self._stores = {"cdr": type_store(ros2=True), "ros1": type_store(ros2=False)}
        self._is_indexed = summary is not None and bool(summary.chunk_indexes)

    def _all(self) -> Iterator[tuple[Any, Any, Any]]:
        yield from self._reader.iter_messages(log_time_order=False)

    def read(self, topic: str) -> Iterator[tuple[int, bytes]]:
        # Without an index, to sort them would take the memory of all.
        for _, _, message in self._reader.iter_messages([topic], log_time_order=self._is_indexed):
            yield message.log_time, message.data

    def decode(self, topic: str, message: bytes) -> Any:
        encoding = self._encodings[topic]
        if encoding not in self._stores:
            raise Refused(f"found messages of {topic} in the encoding {encoding!r}, expected cdr or ros1")
        store, kind = self._stores[encoding], self.types[topic]
        return store.deserialize_cdr(message, kind) if encoding == "cdr" else store.deserialize_ros1(message, kind)


def ros2_name(kind: str) -> str:
    """A type's name as in ROS 2: "sensor_msgs/PointCloud2" becomes "sensor_msgs/msg/PointCloud2"."""
    package, slash, name = kind.partition("/")
    return f"{package}/msg/{name}" if slash and "/" not in name else kind


def type_store(*, ros2: bool) -> Any:
    """How messages are laid out: ROS's own types, and the drivers'."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE if ros2 else Stores.ROS1_NOETIC)
    types: dict[str, Any] = {}
    for name, definition in PACKET_TYPES.items():
        types |= get_types_from_msg(definition, name)
    store.register(types)
    return store


def inflate(packed: bytes | BinaryIO) -> bytes:
    """What a message or file was before Zstandard packed it."""
    import zstandard

    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        content: bytes = stream.read(MAX_UNPACKED_BYTES + 1)
    if len(content) > MAX_UNPACKED_BYTES:
        raise Refused(f"unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return content
