"""A lidar's scans from its UDP packets as they come: decoded in a process of its own, with bounds on its memory."""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from volest.edge.config import EdgeError, LidarTable
from volest.edge.delivery import Backoff
from volest.errors import MissingExtraError, ScanError
from volest.io.pcd import read_pcd
from volest.io.sandbox import Limits, open_decoder
from volest.io.scanfile import ScanFile

__all__ = ["Lidar"]

HEAD = struct.Struct("<qQ")
PACKAGES = {"velodyne": ("velodyne_decoder", "edge"), "ouster": ("ouster", "ouster")}  # with the extra that has it
MEMORY_BYTES = 1 << 30
MOST_WORDS_BYTES = 1 << 20
MOST_SCAN_BYTES = 64 << 20
MOST_METADATA_BYTES = 100_000
DECODER_S = 86_400.0  # after which it is started anew
RECEIVE_BYTES = 4 << 20  # of packets that wait in the kernel: more are lost, and memory stays bounded


class Lidar:
    """One sensor. `turns` counts its turns; `take` is given the time (CLOCK_MONOTONIC) and points of those wanted."""

    def __init__(self, table: LidarTable, tell: Callable[[str], None]) -> None:
        """Raises EdgeError where the port cannot be had, MissingExtraError without the decoder's package."""
        self.table, self._tell, self.turns = table, tell, 0
        self.where = f"udp {table.address}:{table.port}"
        package, extra = PACKAGES[table.kind]
        if find_spec(package) is None:
            raise MissingExtraError(f"a {table.kind} at {self.where}", extra)
        self._metadata = "" if table.metadata is None else _metadata(table.metadata)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            self._socket.bind((table.address, table.port))
        except OSError as error:
            self._socket.close()
            raise EdgeError(
                f"lidar {table.sensor!r}: {self.where}: cannot be listened at ({error.strerror})"
            ) from error

    def run(self, stop: threading.Event, take: Callable[[float, NDArray[np.float32]], None]) -> None:
        """Read until `stop` is set; a decoder that fails is told of and started again."""
        backoff = Backoff()
        with self._socket:
            while not stop.is_set():
                try:
                    for time_s, xyz in self._scans(stop):
                        take(time_s, xyz)
                        backoff.reset()
                except ScanError as error:
                    self._tell(str(error))
                    stop.wait(backoff.wait_s())

    def _scans(self, stop: threading.Event) -> Iterator[tuple[float, NDArray[np.float32]]]:
        stream = cast("Any", self._socket)  # has a fileno(), which is all that is asked of it
        scan, limits = ScanFile(self.where, stream, 0), Limits(MEMORY_BYTES, MOST_WORDS_BYTES, DECODER_S)
        arguments = [self.table.kind, str(self.table.every_s), self._metadata]
        with open_decoder(scan, "live_decoder", arguments, limits) as pipe:
            while not stop.is_set():
                head = pipe.read(HEAD.size)
                if len(head) != HEAD.size:
                    raise ScanError(f"{self.where}: its decoder ended")
                time_ns, size = HEAD.unpack(head)
                self.turns += time_ns > 0
                if size > MOST_SCAN_BYTES:
                    scan.fail(f"found {size} bytes of points, expected at most {MOST_SCAN_BYTES}")
                if size:
                    content = pipe.read(size)
                    yield time_ns * 1e-9, read_pcd(ScanFile(self.where, io.BytesIO(content), len(content))).xyz


def _metadata(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_METADATA_BYTES + 1)
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EdgeError(f"lidar.metadata: {path}: cannot be read ({error}), expected an Ouster's metadata") from error
    if len(raw) > MOST_METADATA_BYTES or "beam_altitude_angles" not in text or "\0" in text:
        raise EdgeError(f"lidar.metadata: {path}: found no beam_altitude_angles, expected an Ouster's metadata")
    return text
