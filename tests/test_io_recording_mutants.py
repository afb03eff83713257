"""Damaged recordings: whatever a byte turns into, there are whole frames or a ScanError, soon, and the reader lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recording_goldens import (
    bag,
    clouds,
    database,
    mcap,
    osf,
    ouster_metadata,
    ouster_packets,
    ouster_pcap,
    velodyne_pcap,
)
from test_io_mutants import damaged

from volest.errors import ScanError
from volest.io import read_frames

MOST_POINTS = {".bag": 1000, ".db3": 1000, ".mcap": 1000, ".pcap": 200_000, ".osf": 200_000}
"""More than any damaged frame of these can hold."""


def written(folder: Path, content: bytes) -> Path:
    path = folder / "content"
    path.write_bytes(content)
    return path


SOUND: dict[str, Callable[[Path], Path]] = {
    "plain.bag": lambda folder: bag(folder / "a.bag", clouds(ros2=False)),
    "packed.bag": lambda folder: bag(folder / "a.bag", clouds(ros2=False), "LZ4"),
    "cdr.db3": lambda folder: database(folder / "bag", clouds()),
    "packed.mcap": lambda folder: mcap(folder / "a.mcap", clouds()),
    "plain.mcap": lambda folder: mcap(folder / "a.mcap", clouds(), use_chunking=False),
    "velodyne.pcap": lambda folder: written(folder, velodyne_pcap(1.5)),
    "ouster.pcap": lambda folder: written(folder, ouster_pcap(ouster_packets()[:40])),
    "ouster.osf": lambda folder: osf(folder / "a.osf"),
}


@pytest.fixture(scope="module", params=SOUND)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    name: str = request.param
    return name, SOUND[name](tmp_path_factory.mktemp("sound")).read_bytes()


def check(folder: Path, name: str, content: bytes) -> str | None:
    """What the reader complains of, None where it does not."""
    path = folder / name
    path.write_bytes(content)
    if name == "ouster.pcap":
        path.with_suffix(".json").write_text(ouster_metadata())
    start = time.perf_counter()
    found = frames_or_error(path)
    assert time.perf_counter() - start < 10
    if not isinstance(found, ScanError):
        return None
    assert found.flag == "unreadable"
    assert str(found).isprintable()
    assert str(path) in str(found)
    return str(found)


def frames_or_error(path: Path) -> int | ScanError:
    """How many frames there are, or the error that says why there are no more; anything else is raised."""
    count = 0
    try:
        for _, cloud in read_frames(path):
            assert len(cloud) < MOST_POINTS[path.suffix]
            assert cloud.xyz.shape == (len(cloud), 3)
            count += 1
    except ScanError as error:
        return error
    return count


def test_damaged_recordings_give_frames_or_an_error(tmp_path: Path, sound: tuple[str, bytes]) -> None:
    name, content = sound
    rng = np.random.default_rng(list(name.encode()))
    for _ in range(3):
        check(tmp_path, name, damaged(content, rng))


def test_recordings_that_are_cut_are_told(tmp_path: Path, sound: tuple[str, bytes]) -> None:
    name, content = sound
    for share in (0.3, 0.97):
        told = check(tmp_path, name, content[: int(share * len(content))])
        assert told is not None, share
