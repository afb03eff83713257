"""A small truck under a VLP-16, simulated: the sensor's packets as it would send them (VLP-16 User Manual, chapter 9),
and the weights of two axles as its bus would carry them (SAE J1939-71)."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recording_goldens import ELEVATION_DEG, FIRING_S, LASER_S, VLP16, pcap, udp

from volest.commission import commission
from volest.io import read_points
from volest.pose import Pose
from volest.simulate import simulate
from volest.simulate.scene import scene_from_dict
from volest.simulate.world import World
from volest.truck import Truck

__all__ = [
    "AXLES",
    "COLUMNS",
    "SENSOR",
    "TARE_KG",
    "TURN_S",
    "Vlp16Truck",
    "can_log",
    "capture",
    "estimates",
    "turn_units",
]

COLUMNS = 1800
"""Firings a turn: 0.2 degrees each."""
TURN_S = 0.1
FOCUS_M = 0.04191  # where the beams would meet, before the axis
UNIT_M = 0.002
START_S = 1_700_000_000
SENSOR, AXLES, TARE_KG = "mast", 2, 2000.0
PLACE = {"xyz_m": [0.05, -0.02, 3.4], "rpy_deg": [90.5, 1.0, 0.5]}  # turns about the width of the bed
SCENE: dict[str, Any] = {
    "seed": 5,
    "bed": {"length_m": 3.2, "width_m": 1.5, "height_m": 0.6, "lean_deg": [1.0, 0.5, 1.0, 0.5]},
    "load": {"kind": "rough", "fill_ratio": 0.6, "lump_m": 0.25, "roughness_m": 0.02},
    "sensor": [
        {
            "id": SENSOR, "rows": 16, "columns": COLUMNS, "vertical_fov_deg": 30.0, "pose": PLACE,
            "pose_std": {"xyz_m": 0.005, "rpy_deg": 0.1},
        }
    ],
}  # fmt: skip
Floats = NDArray[np.float64]
Turn = NDArray[np.uint16]


def _rays() -> tuple[Floats, Floats]:
    """Where each laser of each firing starts and looks (COLUMNS * 16, 3), in the sensor's frame."""
    rise = np.radians(ELEVATION_DEG)[None, :]
    firing = np.arange(COLUMNS)[:, None] + np.arange(16)[None, :] * LASER_S / FIRING_S
    azimuth = 2.0 * np.pi / COLUMNS * firing
    ways = (np.cos(rise) * np.cos(azimuth), -np.cos(rise) * np.sin(azimuth), np.sin(rise) + 0.0 * azimuth)
    starts = np.zeros((COLUMNS, 16, 3))
    starts[..., 2] = -FOCUS_M * np.tan(rise)
    return starts.reshape(-1, 3), np.stack(ways, axis=-1).reshape(-1, 3)


def turn_units(world: World, pose: Pose, rng: np.random.Generator, noise_m: float = 0.01) -> Turn:
    """Ranges (COLUMNS, 16) of one turn in units of 2 mm; 0: no return."""
    starts, ways = _rays()
    range_m = world.cast(pose.apply(starts), ways @ pose.rotation.T).range_m
    range_m = np.where(range_m < 30.0, range_m + rng.normal(0.0, noise_m, len(ways)), 0.0)
    units: Turn = np.round(np.maximum(range_m, 0.0) / UNIT_M).astype(np.uint16).reshape(COLUMNS, 16)
    return units


def capture(turns: list[Turn]) -> bytes:
    """A pcap that begins at START_S: 24 firings a packet, of one turn after the other."""
    firings = np.concatenate(turns)
    packets = []
    for first in range(0, len(firings) - 23, 24):
        blocks = []
        for at in range(first, first + 24, 2):
            channels = b"".join(struct.pack("<HB", int(unit), 77) for unit in firings[at : at + 2].ravel())
            blocks.append(struct.pack("<2sH", b"\xff\xee", at % COLUMNS * 36000 // COLUMNS) + channels)
        packets.append(b"".join(blocks) + struct.pack("<I", round(first * FIRING_S * 1e6)) + VLP16)
    return pcap(map(udp, packets), period_s=TURN_S * 24 / COLUMNS)


def can_log(rounds: int, period_s: float, seed: int = 1) -> str:
    """Axle weights as candump writes them, of a truck that swings a little; speeds and foreign frames among them."""
    rng, lines = np.random.default_rng(seed), []
    for number in range(rounds):
        time_s = START_S + number * period_s
        sway = 12.0 * np.sin(2.0 * np.pi * 1.7 * number * period_s)
        for place, (location, kg) in enumerate(((0x1F, 1200.0 + sway), (0x2F, 1805.0 - sway))):
            raw = round((kg + rng.normal(0.0, 4.0)) / 0.5)
            data = struct.pack("<BHHHB", location, raw, 0xFFFF, 0xFFFF, 0xFF).hex().upper()
            lines.append(f"({time_s + 0.002 * place:.6f}) can0 18FEEA0B#{data}")
        lines.append(f"({time_s + 0.004:.6f}) can0 18FEF100#FF0000FFFFFFFFFF")  # stands
        lines.append(f"({time_s + 0.005:.6f}) can0 0CF00400#FFFFFF0020FFFFFF")  # the engine
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Vlp16Truck:
    """A folder with truck.toml, truck.volest, load.pcap and can.log."""

    folder: Path
    volume_m3: float  # the truth

    @classmethod
    def make(cls, folder: Path, *, turns: int = 22, rounds: int = 40, loads: int = 160) -> Vlp16Truck:
        """Two seconds of a load, and its truck as `volest commission` finds it with a few loads."""
        made = simulate(scene_from_dict(SCENE))
        pose, rng = made.true_poses[SENSOR], np.random.default_rng(1)
        few = [turn_units(made.world, pose, rng) for _ in range(3)]
        scans = [few[number % 3] for number in range(turns)]
        (folder / "load.pcap").write_bytes(capture([*scans, few[0][:240]]))
        (folder / "can.log").write_text(can_log(rounds, TURN_S * turns / rounds))
        empty = turn_units(made.world.unloaded(), pose, rng)
        (folder / "empty.pcap").write_bytes(capture([empty, empty[:240]]))
        np.save(folder / "empty.npy", read_points(folder / "empty.pcap").xyz)
        document = made.truck | {"scale": {"tare_kg": TARE_KG, "resolution_kg": 1.0}}
        document["bed"] = made.truck["bed"] | {"reference": f"{SENSOR}=empty.npy"}
        commission(Truck.from_dict(document, folder), folder / "truck.volest", loads=loads, jobs=1)
        return cls(folder, float(made.truth["volume_m3"]))


def estimates(output: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines that the firmware prints: its estimates, and its summary."""
    *found, last = map(json.loads, output.splitlines())
    return found, last["summary"]
