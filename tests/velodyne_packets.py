"""A VLP-16 that looks at a simulated truck: its packets, as it would send them (VLP-16 User Manual, chapter 9)."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from recording_goldens import ELEVATION_DEG, FIRING_S, LASER_S, VLP16, pcap, udp

from volest.pose import Pose
from volest.simulate.world import World

__all__ = ["COLUMNS", "capture", "turn_mm"]

COLUMNS = 1800
"""Firings a turn: 0.2 degrees each, 600 turns a minute."""
FOCUS_M = 0.04191  # where the beams would meet, before the axis
UNIT_M = 0.002
Floats = NDArray[np.float64]


def rays() -> tuple[Floats, Floats]:
    """Where each laser of each firing starts and looks (COLUMNS * 16, 3), in the sensor's frame."""
    rise = np.radians(ELEVATION_DEG)[None, :]
    step = 360.0 / COLUMNS
    azimuth = np.radians(step * (np.arange(COLUMNS)[:, None] + np.arange(16)[None, :] * LASER_S / FIRING_S))
    parts = (np.cos(rise) * np.cos(azimuth), -np.cos(rise) * np.sin(azimuth), np.sin(rise) + 0.0 * azimuth)
    start = np.zeros((COLUMNS, 16, 3))
    start[..., 2] = -FOCUS_M * np.tan(rise)
    return start.reshape(-1, 3), np.stack(parts, axis=-1).reshape(-1, 3)


def turn_mm(world: World, pose: Pose, rng: np.random.Generator, noise_m: float = 0.01) -> NDArray[np.uint16]:
    """Ranges (COLUMNS, 16) of one turn in the sensor's units, 0: no return."""
    starts, ways = rays()
    hits = world.cast(pose.apply(starts), ways @ pose.rotation.T)
    range_m = np.where(hits.range_m < 30.0, hits.range_m + rng.normal(0.0, noise_m, len(ways)), 0.0)
    units: NDArray[np.uint16] = np.round(np.maximum(range_m, 0.0) / UNIT_M).astype(np.uint16).reshape(COLUMNS, 16)
    return units


def packets(turns: list[NDArray[np.uint16]]) -> list[bytes]:
    """Each has 24 firings; the sensor goes on turning from one turn to the next."""
    firings = np.concatenate(turns)
    firings = firings[: len(firings) // 24 * 24]
    found = []
    for first in range(0, len(firings), 24):
        blocks = []
        for at in range(first, first + 24, 2):
            azimuth = at % COLUMNS * 36000 // COLUMNS
            channels = b"".join(struct.pack("<HB", int(unit), 77) for unit in firings[at : at + 2].ravel())
            blocks.append(struct.pack("<2sH", b"\xff\xee", azimuth) + channels)
        stamp = struct.pack("<I", round(first * FIRING_S * 1e6) % 3_600_000_000)
        found.append(b"".join(blocks) + stamp + VLP16)
    return found


def capture(turns: list[NDArray[np.uint16]]) -> bytes:
    """The packets as a pcap that begins at 1,700,000,000 s."""
    return pcap((udp(packet) for packet in packets(turns)), period_s=0.1 * 24 / COLUMNS)
