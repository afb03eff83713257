"""Damaged files: whatever a byte turns into, the reader gives points or a ScanError, soon and in little memory."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from io_goldens import (
    FINITE,
    XYZ,
    columns,
    las,
    laz,
    npy,
    npz,
    pcd,
    ply,
    read_or_refuse,
    rows,
)

from volest.errors import ScanError

TABLE = np.column_stack(list(columns().values())).tolist()
GOLDENS = {
    "ascii.pcd": pcd(encoding="ascii"),
    "binary.pcd": pcd(),
    "compressed.pcd": pcd(encoding="binary_compressed"),
    "ascii.ply": ply("ascii"),
    "little.ply": ply(),
    "big.ply": ply("binary_big_endian"),
    "plain.las": las(),
    "long.las": las(FINITE, (1, 4), 6),
    "plain.npy": npy(XYZ),
    "fields.npy": npy(np.zeros(6, [(name, column.dtype) for name, column in columns().items()])),
    "stored.npz": npz(False, xyz=XYZ),
    "packed.npz": npz(True, **columns()),
    "spaces.xyz": rows(TABLE),
    "commas.csv": rows([list(columns())], ",") + rows(TABLE, ","),
}
MOST_POINTS = 1000
"""More than any damaged file of this size can hold."""


def check(folder: Path, suffix: str, data: bytes) -> None:
    start = time.perf_counter()
    found = read_or_refuse(folder, suffix, data)
    assert time.perf_counter() - start < 5
    if isinstance(found, ScanError):
        assert found.flag == "unreadable"
        assert str(found).isprintable()
        assert str(folder) in str(found)
    else:
        assert len(found) < MOST_POINTS
        assert found.xyz.shape == (len(found), 3)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three bytes changed, a stretch cut out, doubled or made noise."""
    changed = bytearray(data)
    match rng.integers(5):
        case 0:
            start, end = np.sort(rng.integers(0, len(data), 2))
            del changed[start:end]
        case 1:
            start, end = np.sort(rng.integers(0, len(data), 2))
            changed[end:end] = changed[start:end]
        case 2:
            start = int(rng.integers(len(data)))
            changed[start : start + 8] = rng.choice([b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7, rng.bytes(8)])
        case _:
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                changed[place] = rng.integers(256)
    return bytes(changed)


@pytest.mark.parametrize("name", GOLDENS)
def test_damaged_files_give_points_or_an_error(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(list(name.encode()))
    for _ in range(400):
        check(tmp_path, Path(name).suffix, damaged(GOLDENS[name], rng))


@pytest.mark.parametrize("name", GOLDENS)
def test_each_bit_of_the_first_bytes_may_flip(tmp_path: Path, name: str) -> None:
    data = GOLDENS[name]
    for place in range(min(len(data), 60)):
        for bit in (1, 16, 128):
            changed = bytearray(data)
            changed[place] ^= bit
            check(tmp_path, Path(name).suffix, bytes(changed))


def test_damaged_compressed_las_gives_points_or_an_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    for data in (laz(las()), laz(las(FINITE, (1, 4), 6))):
        for _ in range(25):
            check(tmp_path, ".laz", damaged(data, rng))
