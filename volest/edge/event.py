"""The documents that leave the truck: what is told, its name, its place in the order; and the receiver's answer."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest.voxels import voxel_centroids

__all__ = [
    "ACK_SCHEMA",
    "EVENT_SCHEMA",
    "Ack",
    "Document",
    "Kind",
    "key_of",
    "packed",
    "read_ack",
    "topic",
    "wall_time",
]

EVENT_SCHEMA, ACK_SCHEMA = "volest/event/1", "volest/ack/1"
Kind = Literal["entry", "scan", "health"]
MOST_ACK_BYTES = 65536
MOST_IDS = 1000
UNIT_M, REACH_M = 0.001, 32.7


@dataclass(frozen=True, slots=True)
class Document:
    """What is to be delivered once; `body` is the JSON of what is told."""

    id: str
    kind: Kind
    body: bytes

    @classmethod
    def entry(cls, entry: dict[str, Any]) -> Document:
        """An entry of the ledger; its id is the entry's own."""
        return cls(entry["id"], "entry", _json(entry))

    @classmethod
    def health(cls, told: dict[str, Any]) -> Document:
        """What the agent tells of itself; two of the same content are two."""
        return cls(secrets.token_hex(8), "health", _json(told))

    @classmethod
    def scan(cls, truck_id: str, sensor: str, time_s: float, xyz: NDArray[np.float32], voxel_m: float) -> Document:
        """A scan thinned to the mean of each voxel, in whole millimetres; points beyond 32.7 m are left out.

        xyz: (N, 3) float32 [m], in the frame that the scan came in.
        """
        points = voxel_centroids(xyz, voxel_m)
        points = points[np.all(np.abs(points) < REACH_M, axis=1)]
        millimetres = np.rint(points / UNIT_M).astype("<i2")
        told = {
            "time_s": time_s,
            "sensor": sensor,
            "voxel_m": voxel_m,
            "unit_m": UNIT_M,
            "points": len(points),
            "xyz_int16_zlib_base64": base64.b64encode(zlib.compress(millimetres.tobytes())).decode(),
        }
        name = hashlib.sha256(f"{truck_id}|scan|{sensor}|{time_s:.3f}".encode("utf-8", "surrogateescape"))
        return cls(name.hexdigest()[:16], "scan", _json(told))


def packed(truck_id: str, seq: int, kind: str, name: str, recorded: str, body: bytes) -> bytes:
    """A document as it is sent: the same bytes, however often."""
    head = {
        "schema": EVENT_SCHEMA,
        "id": name,
        "truck_id": truck_id,
        "seq": seq,
        "kind": kind,
        "recorded": recorded,
    }
    return _json(head)[:-1] + b',"' + kind.encode() + b'":' + body + b"}"


def key_of(ids: Sequence[str]) -> str:
    """The Idempotency-Key of a request: the document's id, or a digest of the ids of a batch."""
    return ids[0] if len(ids) == 1 else hashlib.sha256(",".join(ids).encode()).hexdigest()[:32]


def topic(truck_id: str, what: str) -> str:
    """The topic of a truck's events or acks; what MQTT takes for its own signs is percent-encoded."""
    return f"volest/{quote(truck_id, safe=' ')}/{what}"


def wall_time() -> str:
    """What the clock on the wall says, RFC 3339: a label, on which nothing depends."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


@dataclass(frozen=True, slots=True)
class Ack:
    """What the receiver has committed, or refuses for good."""

    ids: tuple[str, ...]
    refused: str | None = None
    time_s: float | None = None  # of the receiver's clock, since 1970


def read_ack(payload: bytes) -> Ack | None:
    """An acknowledgement; None for whatever is none."""
    if len(payload) > MOST_ACK_BYTES:
        return None
    try:
        told = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    ids = told.get("ids", [told.get("id")])
    if told.get("schema") != ACK_SCHEMA or not isinstance(ids, list) or len(ids) > MOST_IDS:
        return None
    if not all(isinstance(name, str) for name in ids):
        return None
    refused, time_s = told.get("refused"), told.get("time_s")
    known_s = float(time_s) if isinstance(time_s, int | float) and not isinstance(time_s, bool) else None
    return Ack(tuple(ids), refused[:200] if isinstance(refused, str) else None, known_s)


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()
