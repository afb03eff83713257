"""UDP packets of spinning lidars to points. Runs in child.py and imports nothing of volest but its neighbours.

The vendors' formats are decoded by velodyne-decoder and by ouster-sdk.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .recording_messages import SCAN, Refused

__all__ = [
    "Cloud",
    "Packet",
    "from_one_source",
    "is_velodyne",
    "osf_frames",
    "ouster_frames",
    "ouster_packet_bytes",
    "read_pcap",
    "velodyne_frames",
    "velodyne_scan",
]

Cloud = dict[str, NDArray[Any]]
"""Columns (N,) by name: x y z [m] and what else the sensor tells of each point."""
VELODYNE_BYTES = 1206
VELODYNE_FLAGS = (b"\xff\xee", b"\xff\xdd", b"\xee\xff", b"\xdd\xff")
"""The first two bytes of each block of 32 lasers (VLS-128 User Manual, 9.3; HDL-64E S3 manual, appendix E)."""
MOST_FRAGMENTS = 64
MOST_WAITING = 256
MOST_COLUMNS, MOST_BEAMS = 8192, 512
LINKS = {
    0: ("loopback", "Loopback"),
    1: ("ethernet", "Ethernet"),
    101: ("ip", "IP"),
    113: ("sll", "SLL"),
    276: ("sll2", "SLL2"),
}
"""dpkt's names for the layer under IP, by the link types of tcpdump.org."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A UDP packet."""

    time_s: float
    source: str  # ADDRESS:PORT, whence it came and the port that it went to
    data: bytes


class _Whole:
    """A file whose reads are complete, so that a cut is seen."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.name = file, "pcap"

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, 1 << 20))
        if data and len(data) != size:
            place = self._file.tell()
            raise Refused(f"cut short or damaged at byte {place}: found {len(data)} bytes of a packet, expected {size}")
        return data


def read_pcap() -> Iterator[Packet]:
    """The UDP packets over IPv4 of the capture on the standard input, put together where they came in fragments."""
    import dpkt

    with open(SCAN, "rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic == b"\n\r\r\n":
            raise Refused("found pcapng, expected pcap: editcap -F pcap IN OUT makes one of it")
        if len(magic) < 4 or int.from_bytes(magic, "little") not in dpkt.pcap.MAGIC_TO_PKT_HDR:
            raise Refused("found no pcap header, expected a capture of packets")
        reader = dpkt.pcap.Reader(_Whole(file))
        if reader.datalink() not in LINKS:
            raise Refused(f"found the link type {reader.datalink()}, expected one of {sorted(LINKS)}")
        module, layer = LINKS[reader.datalink()]
        unpack = getattr(import_module(f"dpkt.{module}"), layer)
        fragments = _Fragments()
        for time_s, frame in reader:
            try:
                ip = unpack(frame)
                while not isinstance(ip, dpkt.ip.IP) and not isinstance(ip, bytes):
                    ip = ip.data
                if isinstance(ip, bytes) or ip.p != dpkt.ip.IP_PROTO_UDP:
                    continue
                udp = fragments.join(ip) if ip.mf or ip.offset else ip.data
            except (dpkt.UnpackError, AttributeError):  # not IP, or damaged
                continue
            if isinstance(udp, dpkt.udp.UDP) and udp.ulen == 8 + len(udp.data):
                yield Packet(float(time_s), f"{socket.inet_ntoa(ip.src)}:{udp.dport}", bytes(udp.data))


class _Fragments:
    """Puts datagrams together that were sent in fragments (RFC 791)."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bytes, int], dict[int, bytes]] = {}
        self._sizes: dict[tuple[bytes, int], int] = {}

    def join(self, ip: Any) -> Any:
        """The UDP packet of which this fragment was the last to come, None where others are awaited."""
        import dpkt

        key, start = (ip.src, ip.id), 8 * ip.offset
        payload = ip.data if isinstance(ip.data, bytes) else ip.data.pack_hdr() + ip.data.data
        while key not in self._waiting and len(self._waiting) >= MOST_WAITING:
            self._forget(next(iter(self._waiting)))
        parts = self._waiting.setdefault(key, {})
        parts[start] = payload
        if not ip.mf:
            self._sizes[key] = start + len(payload)
        if sum(map(len, parts.values())) != self._sizes.get(key):
            if len(parts) >= MOST_FRAGMENTS:
                self._forget(key)
            return None
        self._forget(key)
        return dpkt.udp.UDP(b"".join(parts[start] for start in sorted(parts)))

    def _forget(self, key: tuple[bytes, int]) -> None:
        del self._waiting[key]
        self._sizes.pop(key, None)


def from_one_source(
    packets: Iterable[Packet], topic: str, is_wanted: Callable[[bytes], bool], what: str, hint: str = ""
) -> Iterator[Packet]:
    """The wanted packets of the source that is named, or of the only one; `hint` is told where there are none."""
    others: Counter[str] = Counter()
    found = ""
    for packet in packets:
        if not is_wanted(packet.data):
            others[f"{len(packet.data)} bytes from {packet.source}"] += 1
            continue
        if topic and packet.source != topic:
            others[f"{what} from {packet.source}"] += 1
            continue
        if found and packet.source != found:
            raise Refused(f"found {what} of {found} and {packet.source}, expected one source: name it with #topic=")
        found = packet.source
        yield packet
    if not found:
        told = ", ".join(f"{count} of {kind}" for kind, count in others.most_common(5)) or "none"
        raise Refused(f"found the UDP packets: {told}; expected {what}{' from ' + topic if topic else hint}")


def is_velodyne(data: bytes) -> bool:
    """Whether a UDP packet is one of a Velodyne's data packets."""
    return len(data) == VELODYNE_BYTES and data[:2] in VELODYNE_FLAGS


def velodyne_frames(packets: Iterable[Packet]) -> Iterator[tuple[int, Callable[[], Cloud]]]:
    """Turns: their times [ns] and points."""
    import velodyne_decoder

    decoder = velodyne_decoder.StreamDecoder(velodyne_decoder.Config())
    for packet in packets:
        turn = decoder.decode(packet.time_s, packet.data)
        if turn is not None:
            yield round(turn[0].host * 1e9), partial(velodyne_columns, turn[1])
    turn = decoder.finish()
    if turn is not None:
        yield round(turn[0].host * 1e9), partial(velodyne_columns, turn[1])


def velodyne_scan(stamped: Iterable[tuple[float, bytes]]) -> Cloud:
    """The points of one message of a Velodyne's driver: packets and their times [s]."""
    import velodyne_decoder

    packets = [velodyne_decoder.VelodynePacket(time_s, data) for time_s, data in stamped]
    return velodyne_columns(velodyne_decoder.ScanDecoder(velodyne_decoder.Config()).decode(packets)[1])


def velodyne_columns(points: NDArray[np.float32]) -> Cloud:
    """From velodyne-decoder's eight numbers a point; times [s] from the turn's stamp on."""
    x, y, z, intensity, time_s, _, ring, _ = np.reshape(points, (-1, 8)).T
    return {"x": x, "y": y, "z": z, "intensity": intensity, "time": time_s, "ring": ring.astype("<u2")}


def ouster_packet_bytes(metadata: str) -> int:
    """The length of the packets that an Ouster sends, by its metadata."""
    from ouster.sdk import core

    return int(core.PacketFormat.from_info(ouster_info(metadata)).lidar_packet_size)


def ouster_frames(packets: Iterable[tuple[int, bytes]], metadata: str) -> Iterator[tuple[int, Callable[[], Cloud]]]:
    """Turns of an Ouster from packets and the times [ns] of their recording; a turn cut by the start is left out."""
    from ouster.sdk import core

    info = ouster_info(metadata)
    layout = core.PacketFormat.from_info(info)
    batcher, frame, is_first = core.FrameBatcher(info), core.LidarFrame(info), True
    for time_ns, data in packets:
        packet = core.LidarPacket(layout)
        if len(data) != packet.buf.size:
            raise Refused(f"found a packet of {len(data)} bytes, expected {packet.buf.size} by the sensor's metadata")
        packet.buf[:] = np.frombuffer(data, np.uint8)
        packet.host_timestamp = time_ns
        if batcher.batch(packet, frame):
            if frame.complete() or not is_first:
                yield _ouster_time_ns(frame), partial(ouster_columns, frame, info)
            frame, is_first = core.LidarFrame(info), False
    if batcher.batched_packets():
        yield _ouster_time_ns(frame), partial(ouster_columns, frame, info)


def ouster_info(metadata: str) -> Any:
    """A sensor's description; ouster-sdk's complaint where it is not one."""
    from ouster.sdk import core

    try:
        info = core.SensorInfo(metadata)
    except Exception as error:
        raise Refused(f"the sensor's metadata: {' '.join(str(error).split())[:300]}") from error
    if not (0 < info.w <= MOST_COLUMNS and 0 < info.h <= MOST_BEAMS):
        raise Refused(f"the sensor's metadata: found {info.h} x {info.w} pixels, expected an Ouster's")
    if "RANGE" not in core.LidarFrame(info).fields:
        raise Refused(f"the sensor's metadata: found a profile without ranges ({info.format.udp_profile_lidar})")
    return info


def osf_frames(topic: str) -> Iterator[tuple[int, Callable[[], Cloud]]]:
    """The frames of the OSF file on the standard input; `topic` is the serial number of a sensor."""
    from ouster.sdk import core, osf

    complaints: list[str] = []
    reader = osf.Reader(SCAN, lambda _, message: complaints.append(message))
    sensors = {key: entry.info for key, entry in reader.meta_store.items() if isinstance(entry, osf.LidarSensor)}
    serials = sorted({str(info.sn) for info in sensors.values()})
    if (topic or len(serials) != 1) and topic not in serials:
        raise Refused(f"found the sensors {', '.join(serials) or 'none'}, expected one: name it with #topic=")
    for message in reader.messages():
        if complaints:
            break
        stream = reader.meta_store[message.id]
        info = sensors.get(getattr(stream, "sensor_meta_id", -1))
        if info is None or (topic and str(info.sn) != topic):
            continue
        frame = message.decode(["RANGE", "REFLECTIVITY"])
        if isinstance(frame, core.LidarFrame):
            yield int(message.ts), partial(ouster_columns, frame, info)
    if complaints:
        raise Refused(f"damaged: {complaints[0]}")


def _ouster_time_ns(frame: Any) -> int:
    """When the first packet was recorded; where nobody noted it, the sensor's own time."""
    return next((int(stamp) for stamp in (*frame.packet_timestamp, *frame.timestamp) if stamp), 0)


def ouster_columns(frame: Any, info: Any) -> Cloud:
    """A pixel a row, beam after beam; those without a return are 0 0 0. Of two returns the first."""
    from ouster.sdk import core

    xyz = core.XYZLut(info, use_extrinsics=False)(frame.field("RANGE")).reshape(-1, 3)
    columns: Cloud = dict(zip("xyz", xyz.astype("<f4").T, strict=True))
    if frame.has_field("REFLECTIVITY"):
        columns["intensity"] = frame.field("REFLECTIVITY").reshape(-1).astype("<f4")
    columns["t"] = np.tile(np.asarray(frame.timestamp, "<u8"), frame.h)
    columns["ring"] = np.repeat(np.arange(frame.h, dtype="<u2"), frame.w)
    return columns
