"""The C API as a program in C would call it, through ctypes: the same object code as Python's core."""

from __future__ import annotations

import ctypes as c
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest import PackedPoints, RangeImage, _core

__all__ = ["Budget", "Cloud", "Door", "Fault", "Options", "Quantity", "Result", "aligned", "library"]

library = c.CDLL(_core.__file__)
FLOATS = [f"probability_{name}" for name in ("dry", "mixed", "wet")] + [
    "struck_capacity_m3", "heaped_volume_m3", "fill_ratio", "seen_fraction", "rejected_fraction",
]  # fmt: skip
FORMATS = {"xyz": 1, "mm": 2, "u2": 3, "u4": 4, "f4": 5}


class Options(c.Structure):
    _fields_ = [(name, c.c_uint32) for name in ("size", "believe_poses", "keep_membrane", "instructions")]


class Cloud(c.Structure):
    _fields_ = [
        ("size", c.c_uint32), ("format", c.c_uint32), ("points", c.c_void_p), ("count", c.c_uint64),
        ("stride_bytes", c.c_uint64), ("directions", c.c_void_p),
    ]  # fmt: skip


class Quantity(c.Structure):
    _fields_ = [(name, c.c_double) for name in ("value", "std", "lower95", "upper95")]


class Budget(c.Structure):
    _fields_ = [(name, c.c_double) for name in ("hidden", "pose", "reference", "range", "surface")]


class Result(c.Structure):
    _fields_ = [
        *[(name, c.c_uint32) for name in ("size", "status", "flags", "unchecked", "has", "waste_class")],
        ("weight_reasons", c.c_uint32), ("reserved", c.c_uint32),
        ("volume_m3", Quantity), ("net_mass_kg", Quantity), ("bulk_density_kg_m3", Quantity),
        ("wet_mass_fraction", Quantity), ("volume_budget_m3", Budget),
        *[(name, c.c_double) for name in FLOATS],
        ("centroid_m", c.c_double * 3),
    ]  # fmt: skip


class Fault(c.Structure):
    _fields_ = [("size", c.c_uint32), ("section", c.c_char * 8), ("byte", c.c_uint64)]


def aligned(size: int, align: int = 64) -> NDArray[np.uint8]:
    """So many bytes on a multiple of `align`."""
    raw = np.zeros(size + align, np.uint8)
    return raw[-raw.ctypes.data % align :][:size]


class Door:
    """A handle with the memory that it lies in; what it is given is kept."""

    def __init__(self, blob: bytes | Path, *, isa: int = 0, believe_poses: bool = False) -> None:
        raw = np.frombuffer(blob if isinstance(blob, bytes) else blob.read_bytes(), np.uint8)
        self.blob = aligned(len(raw), 8)
        self.blob[:] = raw
        self.options = Options(c.sizeof(Options), believe_poses, 0, isa)
        need = c.c_size_t()
        self._call("required_bytes", self._blob, c.c_size_t(len(raw)), c.byref(self.options), c.byref(need))
        self.memory = aligned(need.value)
        self.handle = c.c_void_p()
        self._call(
            "create", c.c_void_p(self.memory.ctypes.data), need, self._blob, c.c_size_t(len(raw)),
            c.byref(self.options), c.byref(self.handle),
        )  # fmt: skip
        self.kept: list[Any] = []

    @property
    def _blob(self) -> c.c_void_p:
        return c.c_void_p(self.blob.ctypes.data)

    @staticmethod
    def _call(name: str, *args: Any) -> None:
        status = library[f"volest_{name}"](*args)
        assert status == 0, (name, status)

    def call(self, name: str, *args: Any) -> None:
        self._call(name, self.handle, *args)

    def clear(self) -> None:
        self.call("clear")
        self.kept = []

    def sensor(self, name: str) -> int:
        found = c.c_uint32()
        self.call("find_sensor", name.encode(), c.byref(found))
        return found.value

    def add(self, sensor: int, scan: Any) -> None:
        """A whole scan."""
        points, directions, form = _parts(scan)
        stride = 0 if directions is not None else points.strides[0]
        cloud = Cloud(
            c.sizeof(Cloud), FORMATS[form], points.ctypes.data, len(points), stride,
            None if directions is None else directions.ctypes.data,
        )  # fmt: skip
        self.kept += [points, directions]
        self.call("add_scan", c.c_uint32(sensor), c.byref(cloud))

    def add_in_packets(self, sensor: int, scan: Any, sizes: Iterable[int]) -> None:
        """The same in packets of these sizes, whose memory is overwritten after each."""
        points, directions, form = _parts(scan)
        self.call("scan_begin", c.c_uint32(sensor))
        at = 0
        for size in sizes:
            packet = points[at : at + size].copy()
            data, count = c.c_void_p(packet.ctypes.data), c.c_size_t(len(packet))
            if directions is None:
                self.call("add_xyz" if form == "xyz" else "add_xyz_mm", data, count, c.c_size_t(points.strides[0]))
            else:
                rows = np.ascontiguousarray(directions[at : at + size])
                name = {"u2": "u16", "u4": "u32", "f4": "f32"}[form]
                self.call(f"add_ranges_{name}", data, c.c_void_p(rows.ctypes.data), count)
                rows[:] = np.nan
            packet.view(np.uint8)[:] = 0xFF
            at += size
        assert at >= len(points)
        self.call("scan_end")

    def weigh(self, kg: float, std_kg: float = 0.0) -> None:
        self.call("set_gross", c.c_double(kg), c.c_double(std_kg))

    def estimate(self) -> Result:
        result = Result(c.sizeof(Result))
        self.call("estimate", c.byref(result))
        return result


def flag_names(flags: int) -> tuple[str, ...]:
    library.volest_flag_name.restype = c.c_char_p
    return tuple(sorted(library.volest_flag_name(c.c_uint32(1 << k)).decode() for k in range(32) if flags >> k & 1))


def _parts(scan: Any) -> tuple[NDArray[Any], NDArray[np.float32] | None, str]:
    if isinstance(scan, RangeImage):
        directions = np.ascontiguousarray(scan.directions).reshape(-1, 3)
        return np.ascontiguousarray(scan.range_mm).ravel(), directions, scan.range_mm.dtype.str[1:]
    if isinstance(scan, PackedPoints):
        return np.ascontiguousarray(scan.xyz_mm), None, "mm"
    return np.ascontiguousarray(scan, np.float32), None, "xyz"


def packed(*parts: Any) -> bytes:
    """Bytes to compare: numbers that differ in one bit differ."""
    return b"".join(struct.pack("<d", float(part)) for part in parts)
