"""Packets of Hesai's XT16, XT32 and XT32M to points. Runs in child.py and imports nothing of volest but its neighbours.

The layout is that of the PandarXT's and the XT32M2X's user manuals: section 3.1, appendices I and II.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .recording_messages import Refused
from .recording_packets import Cloud, Packet

__all__ = ["CALIBRATION", "hesai_frames", "is_hesai"]

CALIBRATION = "channel,elevation,azimuth"
"""The first line of a unit's calibration file, in lower case."""
HEADER_BYTES, TAIL_BYTES = 12, 24
SEQUENCE_BYTES = 4
"""Behind the tail, where the header's last byte says so."""
MAGIC, PROTOCOL = b"\xee\xff", b"\x06\x01"
FIRST_DEG = {(16, 8): (15.0, -2.0), (32, 8): (15.0, -1.0), (32, 6): (19.5, -1.3)}
"""Elevation of the first channel and step to the next by (channels, blocks): the manuals' design values."""
BLOCK_S, CHANNEL_S, FIRST_CHANNEL_S, LAST_BLOCK_S = 50e-6, 1.512e-6, 0.28e-6, 5.632e-6
"""A round of firing; from channel to channel of 32; the first channel of a block; the packet's last block."""
DAY_S = 86400.0
WRAPS_DEG, BEGINS_DEG = 180.0, 1.0
MOST_TURN_PACKETS = 4096
"""Beyond the 2,000 packets of a turn at 5 Hz with two returns."""

Angles = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Elevation and azimuth offset [degrees] of each channel."""


def is_hesai(data: bytes) -> bool:
    """Whether a UDP packet is one of these sensors' data packets."""
    if data[:2] != MAGIC or data[2:4] != PROTOCOL or (data[6:7] + data[7:8]) not in SHAPES:
        return False
    return len(data) - packet_type(data[6], data[7]).itemsize in (0, SEQUENCE_BYTES)


SHAPES = {bytes(shape) for shape in FIRST_DEG}


@cache
def packet_type(channels: int, blocks: int) -> np.dtype[Any]:
    """A packet, without the number that may follow it."""
    unit = np.dtype([("distance", "<u2"), ("reflectivity", "u1"), ("confidence", "u1")])
    block = np.dtype([("azimuth", "<u2"), ("units", unit, channels)])
    tail = [("reserved", "V10"), ("mode", "u1"), ("rpm", "<u2"), ("date", "u1", 6), ("us", "<u4"), ("maker", "u1")]
    return np.dtype([("head", "u1", HEADER_BYTES), ("blocks", block, blocks), *tail])


def hesai_angles(text: str) -> Angles:
    """A unit's own angles, from its calibration: Channel,Elevation,Azimuth and a row a channel."""
    rows = list(csv.reader(io.StringIO(text)))
    try:
        table = np.array([[float(word) for word in row[:3]] for row in rows[1:] if row], float).reshape(-1, 3)
    except ValueError:
        table = np.empty((0, 3))
    numbered = len(table) > 0 and bool((table[:, 0] == np.arange(1, len(table) + 1)).all())
    if not numbered or not (np.abs(table[:, 1]) <= 90.0).all() or not (np.abs(table[:, 2]) <= 180.0).all():
        raise Refused("the sensor's calibration: expected rows Channel,Elevation,Azimuth from channel 1 on, in degrees")
    return table[:, 1], table[:, 2]


def hesai_frames(packets: Iterable[Packet], calibration: str = "") -> Iterator[tuple[int, Callable[[], Cloud]]]:
    """Turns, from azimuth 0 on: when their first packet came [ns], and their points.

    A turn cut by the start is left out, unless there is no other. Of the returns of one ray those that differ are told.
    """
    angles = hesai_angles(calibration) if calibration else None
    for start_ns, turn in turns(packets):
        blocks, channels = turn["blocks"]["units"].shape[1:]
        if angles is None:
            angles = design_angles(channels, blocks)
        if len(angles[0]) != channels:
            raise Refused(f"the sensor's calibration: found {len(angles[0])} channels, expected {channels}")
        yield start_ns, partial(columns, turn, angles)


def turns(packets: Iterable[Packet]) -> Iterator[tuple[int, NDArray[Any]]]:
    """The packets of each turn, and when the first of them came [ns]; a packet of two turns is in both."""
    kind, turn, start_ns, is_whole = np.dtype("V0"), list[Any](), 0, False
    for packet in packets:
        found = packet_type(packet.data[6], packet.data[7])
        if turn and found != kind:
            raise Refused("found packets of two kinds of sensors, expected those of one")
        kind, content = found, np.frombuffer(packet.data, found, 1)[0]
        azimuth = content["blocks"]["azimuth"] / 100.0
        if not turn:
            start_ns, is_whole = round(packet.time_s * 1e9), azimuth[0] < BEGINS_DEG
        last = turn[-1]["blocks"]["azimuth"][-1] / 100.0 if turn else azimuth[0]
        wraps = np.flatnonzero(np.diff(azimuth, prepend=last) < -WRAPS_DEG)
        end = int(wraps[0]) if len(wraps) else len(azimuth)
        if end:
            turn.append(part(content, 0, end))
        if len(turn) > MOST_TURN_PACKETS:
            raise Refused(f"found no end of a turn in {MOST_TURN_PACKETS} packets, expected a sensor that turns")
        if len(wraps):
            if is_whole:
                yield start_ns, np.array(turn)
            turn, start_ns, is_whole = [part(content, end, len(azimuth))], round(packet.time_s * 1e9), True
    if turn:
        yield start_ns, np.array(turn)


def design_angles(channels: int, blocks: int) -> Angles:
    """The manual's angles, for want of the unit's own."""
    first, step = FIRST_DEG[channels, blocks]
    return np.asarray(first + step * np.arange(channels), float), np.zeros(channels)


def part(content: Any, first: int, end: int) -> Any:
    """A packet whose other blocks hold no returns."""
    if (first, end) == (0, len(content["blocks"])):
        return content
    kept = content.copy()
    kept["blocks"]["units"]["distance"][:first] = 0
    kept["blocks"]["units"]["distance"][end:] = 0
    return kept


def columns(turn: NDArray[Any], angles: Angles) -> Cloud:
    """The returns of a turn's packets: y is azimuth 0, which grows clockwise, as seen from above."""
    blocks = turn["blocks"]
    raw, azimuth = blocks["units"]["distance"], blocks["azimuth"]
    returned = raw > 0
    for earlier in (1, 2):  # of two or three returns of a ray
        twin = (azimuth[:, earlier:] == azimuth[:, :-earlier])[..., None] & (raw[:, earlier:] == raw[:, :-earlier])
        returned[:, earlier:] &= ~twin
    elevation, offset = (np.radians(angle) for angle in angles)
    about = np.radians(azimuth / 100.0)[..., None] + offset
    distance = raw * (turn["head"][:, 9] / 1000.0)[:, None, None]
    flat = distance * np.cos(elevation)
    ring = np.broadcast_to(np.arange(raw.shape[2], dtype="<u2"), raw.shape)
    found = {
        "x": (flat * np.sin(about)).astype("<f4"),
        "y": (flat * np.cos(about)).astype("<f4"),
        "z": (distance * np.sin(elevation)).astype("<f4"),
        "intensity": blocks["units"]["reflectivity"].astype("<f4"),
        "time": fired_s(turn),
        "ring": ring,
    }
    return {name: column[returned] for name, column in found.items()}


def fired_s(turn: NDArray[Any]) -> NDArray[np.float64]:
    """When each channel of each block fired [s], from the turn's first packet on."""
    channels = turn["blocks"]["units"].shape[2]
    hours, minutes, seconds = turn["date"][:, 3:].T.astype(float)
    sent = 3600.0 * hours + 60.0 * minutes + seconds + 1e-6 * turn["us"]
    sent = (sent - sent[0] + 0.5 * DAY_S) % DAY_S - 0.5 * DAY_S
    azimuth = turn["blocks"]["azimuth"].astype(int)
    rounds_left = (azimuth[:, ::-1][:, 1:] != azimuth[:, ::-1][:, :-1]).cumsum(axis=1)[:, ::-1]  # to the packet's last
    rounds_left = np.concatenate([rounds_left, np.zeros((len(turn), 1), int)], axis=1)
    began = sent[:, None] + LAST_BLOCK_S - BLOCK_S * rounds_left
    spacing = CHANNEL_S * 32 / channels
    return np.asarray(began[..., None] + FIRST_CHANNEL_S + spacing * np.arange(channels))
