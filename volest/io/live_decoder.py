"""Decodes the UDP packets of a lidar as they come. Runs in child.py and imports nothing of volest but its neighbours.

The standard input is the socket. Each turn makes a head (time [ns] of this computer's monotonic clock, bytes); a binary
PCD follows those that are wanted, the first after each multiple of some seconds, so that several sensors are read
together. A head of zeros once a second says that nothing came.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import BinaryIO

from .recording_decoder import pcd
from .recording_messages import Refused
from .recording_packets import Packet, is_velodyne, ouster_frames, ouster_packet_bytes, velodyne_frames

HEAD = struct.Struct("<qQ")
MOST_DATAGRAM_BYTES = 65536
SILENCE_S = 1.0


def decode(_: BinaryIO, output: BinaryIO, kind: str, every_s: str, metadata: str) -> None:
    """Write turns until the reader goes away."""
    size = ouster_packet_bytes(metadata) if kind == "ouster" else 0
    packets = _packets(output, kind, size)
    if kind == "ouster":
        turns = ouster_frames(((round(packet.time_s * 1e9), packet.data) for packet in packets), metadata)
    else:
        turns = velodyne_frames(packets)
    last = -1
    try:
        for time_ns, cloud in turns:
            count = int(time_ns * 1e-9 / float(every_s))
            content = pcd(cloud()) if count != last else b""
            last = count
            output.write(HEAD.pack(time_ns, len(content)) + content)
            output.flush()
    except BrokenPipeError:
        os._exit(0)
    except MemoryError:
        raise Refused("takes more than the memory that decoding may take") from None


def _packets(output: BinaryIO, kind: str, size: int) -> Iterator[Packet]:
    """The sensor's data packets, from whichever source spoke first; others are passed over."""
    receiver, source = socket.socket(fileno=os.dup(0)), ""
    receiver.settimeout(SILENCE_S)
    told_s = time.monotonic()
    while True:
        try:
            data, address = receiver.recvfrom(MOST_DATAGRAM_BYTES)
        except TimeoutError:
            data, address, source = b"", ("", 0), ""  # another sensor may take its place
        now_s = time.monotonic()
        if now_s - told_s >= SILENCE_S:
            output.write(HEAD.pack(0, 0))
            output.flush()
            told_s = now_s
        wanted = len(data) == size if kind == "ouster" else is_velodyne(data)
        if wanted and (not source or source == address[0]):
            source = address[0]
            yield Packet(now_s, source, data)
