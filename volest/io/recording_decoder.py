"""Decodes a recording to frames. Runs in child.py and imports nothing of volest but its neighbours.

Each frame is a head (time [ns], bytes) and a binary PCD; behind the last one a head tells the number of all frames,
those that were passed over included, and the topic that they came from.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from .extra import extra_of
from .hesai_packets import CALIBRATION, hesai_frames, is_hesai
from .recording_messages import Messages, Refused, open_messages
from .recording_packets import (
    Cloud,
    Packet,
    from_one_source,
    is_velodyne,
    osf_frames,
    ouster_frames,
    ouster_packet_bytes,
    read_pcap,
    velodyne_frames,
    velodyne_scan,
)

HEAD = struct.Struct("<qQ")
END = 1 << 63
MAX_POINTS = 50_000_000
MAX_RECORD_BYTES = 1 << 16
POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
VELODYNE_SCAN = "velodyne_msgs/msg/VelodyneScan"
PANDAR_SCAN = "pandar_msgs/msg/PandarScan"
OUSTER_PACKET = "/msg/PacketMsg"
LIVOX = "/msg/CustomMsg"
UNREAD_PACKETS = (
    "nebula_msgs/msg/NebulaPackets",
    "hesai_ros_driver/msg/UdpFrame",
    "rslidar_msg/msg/RslidarPacket",
)
"""Raw packets for which no library that is kept up has a decoder."""
FIELD_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""Of a PointField (sensor_msgs/msg/PointField)."""
MOST_LISTED = 20

Frames = Iterator[tuple[int, Callable[[], Cloud]]]
"""Time [ns] of each frame, and its points, which are made only when asked for."""


def decode(_: BinaryIO, output: BinaryIO, kind: str, topic: str, follows: str, first: str, metadata: str) -> None:
    """Write the frames from number `first` on; `follows` is "yes" where a bag's earlier file has named the topic."""
    try:
        topic, frames = open_frames(kind, topic, follows == "yes", metadata)
        count = 0
        for time_ns, cloud in frames:
            if count >= int(first):
                content = pcd(cloud())
                output.write(HEAD.pack(time_ns, len(content)))
                output.write(content)
                output.flush()
            count += 1
    except MemoryError:
        raise Refused("unpacks to more than the memory that decoding may take") from None
    except ModuleNotFoundError as error:
        extra = extra_of(error.name or "")
        raise Refused(f"decoding needs {error.name}, of the extra [{extra}]: pip install 'volest[{extra}]'") from None
    output.write(HEAD.pack(count, END) + topic.encode())


def open_frames(kind: str, topic: str, follows: bool, metadata: str) -> tuple[str, Frames]:
    """The topic and its frames."""
    if kind == ".osf":
        return topic, osf_frames(topic)
    calibration = metadata if metadata.lower().startswith(CALIBRATION) else ""
    if kind == ".pcap" and metadata and not calibration:
        size = ouster_packet_bytes(metadata)
        packets = from_one_source(read_pcap(), topic, lambda data: len(data) == size, f"Ouster packets of {size} bytes")
        return topic, ouster_frames(((round(packet.time_s * 1e9), packet.data) for packet in packets), metadata)
    if kind == ".pcap":
        return topic, captured_frames(topic, calibration)
    messages = open_messages(kind)
    if follows and topic not in messages.types:
        return topic, iter(())
    topic = choose(messages.types, topic)
    if messages.types[topic] == PANDAR_SCAN:
        return topic, hesai_frames(pandar_packets(messages, topic), calibration)
    decoder = {POINT_CLOUD: cloud_frames, VELODYNE_SCAN: velodyne_scans}.get(messages.types[topic])
    if decoder is not None:
        return topic, decoder(messages, topic)
    if messages.types[topic].endswith(LIVOX):
        return topic, livox_frames(messages, topic)
    return topic, ouster_messages(messages, topic, metadata)


def captured_frames(topic: str, calibration: str) -> Frames:
    """The turns of the one Velodyne or Hesai in a capture, or of the one that is named."""
    hint = ", or an Ouster's with its metadata in a .json file of the capture's name"
    wanted, what = lambda data: is_velodyne(data) or is_hesai(data), "packets of a Velodyne or a Hesai XT"
    packets = from_one_source(read_pcap(), topic, wanted, what, hint)
    first = next(packets)
    packets = itertools.chain([first], packets)
    return hesai_frames(packets, calibration) if is_hesai(first.data) else velodyne_frames(packets)


def pandar_packets(messages: Messages, topic: str) -> Iterator[Packet]:
    """The packets in the messages of a Hesai's driver."""
    for _, data in messages.read(topic):
        for packet in messages.decode(topic, data).packets:
            content = bytes(packet.data)[: int(packet.size)]
            if not is_hesai(content):
                told = f"{len(content)} bytes in version {'.'.join(map(str, content[2:4]))} of the protocol"
                raise Refused(f"found a packet of {told}, expected one of a Hesai XT16, XT32 or XT32M (6.1)")
            yield Packet(packet.stamp.sec + 1e-9 * packet.stamp.nanosec, topic, content)


def choose(types: dict[str, str], topic: str) -> str:
    """The topic that is named, else the only one with points, else the only one with packets that can be decoded."""
    clouds = [name for name, kind in types.items() if kind == POINT_CLOUD]
    packets = [
        name
        for name, kind in types.items()
        if kind in (VELODYNE_SCAN, PANDAR_SCAN) or kind.endswith((LIVOX, OUSTER_PACKET))
    ]
    packets = [name for name in packets if "imu" not in name]
    if topic in (*clouds, *packets):
        return topic
    if topic:
        found = f"{topic} with {types[topic]}" if topic in types else f"no topic {topic}"
        raise Refused(f"found {found}, expected one with points: {listed(types, *clouds, *packets)}")
    for names in (clouds, packets):
        if len(names) == 1:
            return names[0]
        if names:
            raise Refused(f"found several topics with points, expected one, named by #topic=: {listed(types, *names)}")
    others = [name for name, kind in types.items() if kind in UNREAD_PACKETS]
    if others:
        raise Refused(
            f"found packets that are not decoded here, expected the driver's {POINT_CLOUD}: {listed(types, *others)}"
        )
    raise Refused(f"found no topic with points, expected one with {POINT_CLOUD}; there are {listed(types, *types)}")


def listed(types: dict[str, str], *names: str) -> str:
    """Topics and the types of their messages."""
    shown = ", ".join(f"{name} ({types[name]})" for name in names[:MOST_LISTED])
    return (shown + " and more" if len(names) > MOST_LISTED else shown) or "none"


def cloud_frames(messages: Messages, topic: str) -> Frames:
    """A message a frame."""
    for number, (time_ns, data) in enumerate(messages.read(topic)):
        message = messages.decode(topic, data)
        yield stamp_ns(message, time_ns), partial(cloud_columns, message, f"frame {number} of {topic}")


def stamp_ns(message: Any, recorded_ns: int) -> int:
    """The time that a message's header tells; where that is none, the time of its recording."""
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec) or recorded_ns


def cloud_columns(message: Any, where: str) -> Cloud:
    """The single numbers of each point of a sensor_msgs/PointCloud2, by the names of their fields."""
    height, width, step = int(message.height), int(message.width), int(message.point_step)
    if height * width > MAX_POINTS or not 0 < step <= MAX_RECORD_BYTES:
        if height * width == 0:
            return {axis: np.empty(0, "<f4") for axis in "xyz"}
        raise Refused(f"{where}: found {height} x {width} points of {step} bytes, expected a scan")
    row = int(message.row_step) if height > 1 else width * step
    if row < width * step or len(message.data) < height * row:
        raise Refused(f"{where}: cut short: found {len(message.data)} bytes, expected {height} rows of {width * step}")
    order = ">" if message.is_bigendian else "<"
    names, formats, offsets = list[str](), list[str](), list[int]()
    for field in message.fields:
        kind = FIELD_TYPES.get(int(field.datatype))
        if kind is None or int(field.offset) + np.dtype(kind).itemsize * max(1, int(field.count)) > step:
            told = f"{str(field.name)[:40]!r} of type {field.datatype} at byte {field.offset}"
            raise Refused(f"{where}: found the field {told}, expected a number in the {step} bytes of a point")
        if field.count in (0, 1):  # 0: a slip of some drivers
            names.append(field.name)
            formats.append(order + kind)
            offsets.append(int(field.offset))
    if len(set(names)) != len(names):
        raise Refused(f"{where}: found two fields of one name among {' '.join(names)[:200]!r}")
    rows = np.asarray(message.data, np.uint8)[: height * row].reshape(height, row)
    data = np.ascontiguousarray(rows[:, : width * step]).reshape(-1)
    points = data.view(np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": step}))
    return {name: points[name] for name in names}


def velodyne_scans(messages: Messages, topic: str) -> Frames:
    """A message of packets a frame."""
    for time_ns, data in messages.read(topic):
        message = messages.decode(topic, data)
        last = message.packets[-1].stamp if message.packets else message.header.stamp  # the points' times count from it
        stamp = int(last.sec) * 10**9 + int(last.nanosec)
        yield stamp or stamp_ns(message, time_ns), partial(velodyne_scan_columns, message)


def velodyne_scan_columns(message: Any) -> Cloud:
    """The points of a velodyne_msgs/VelodyneScan."""
    return velodyne_scan((p.stamp.sec + 1e-9 * p.stamp.nanosec, bytes(p.data)) for p in message.packets)


def livox_frames(messages: Messages, topic: str) -> Frames:
    """A message of a Livox driver's own type a frame."""
    for time_ns, data in messages.read(topic):
        message = messages.decode(topic, data)
        yield stamp_ns(message, time_ns), partial(livox_columns, message)


def livox_columns(message: Any) -> Cloud:
    """The points of a CustomMsg."""
    kinds = {"x": "<f4", "y": "<f4", "z": "<f4", "reflectivity": "<f4", "line": "<u2", "offset_time": "<u4"}
    return {name: np.array([getattr(point, name) for point in message.points], kind) for name, kind in kinds.items()}


def ouster_messages(messages: Messages, topic: str, metadata: str) -> Frames:
    """An Ouster's turns from messages of a packet each; the metadata stand in the recording or beside it."""
    if not metadata:
        beside = f"{topic.rpartition('/')[0]}/metadata"
        texts = [name for name, kind in messages.types.items() if kind.endswith("/String") and name == beside]
        if not texts:
            raise Refused(f"found neither {beside} in the recording nor a .json file of its name, expected metadata")
        metadata = next((messages.decode(beside, message).data for _, message in messages.read(beside)), "")
    # Some drivers send a few bytes behind the packet.
    size = ouster_packet_bytes(metadata)
    packets = ((time_ns, bytes(messages.decode(topic, data).buf)[:size]) for time_ns, data in messages.read(topic))
    return ouster_frames(packets, metadata)


def pcd(cloud: Cloud) -> bytes:
    """A binary PCD of these columns."""
    shown = {name: re.sub(r"[^!-~]", "?", name) or "?" for name in cloud}
    types = [(shown[name], column.dtype.newbyteorder("<")) for name, column in cloud.items()]
    points = np.empty(len(next(iter(cloud.values()), ())), types)
    for name, column in cloud.items():
        points[shown[name]] = column
    lines = [
        "VERSION 0.7",
        f"FIELDS {' '.join(name for name, _ in types)}",
        f"SIZE {' '.join(str(kind.itemsize) for _, kind in types)}",
        f"TYPE {' '.join(kind.kind.upper() for _, kind in types)}",
        f"POINTS {len(points)}",
        "DATA binary",
    ]
    return "".join(line + "\n" for line in lines).encode() + points.tobytes()
