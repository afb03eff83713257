"""Triangle meshes: STL, OBJ, and PLY with faces.

Decoded by trimesh, in a process of its own: it reads many dialects, and nothing but triangles comes back. Textures,
materials and other files that a mesh names are never opened.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from volest.io.ply import face_count
from volest.io.scanfile import open_scan

__all__ = ["MESH_SUFFIXES", "Mesh", "is_mesh", "read_mesh"]

MESH_SUFFIXES = (".stl", ".obj", ".ply")
MAX_FILE_BYTES = 256 << 20
MAX_FACES = 2_000_000
MAX_VERTICES = 3 * MAX_FACES
FARTHEST = 1e6
COUNTS = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles that share their corners."""

    vertices: NDArray[np.float64]  # (V, 3), in the unit and frame of the file
    faces: NDArray[np.int64]  # (F, 3) rows of `vertices`


def is_mesh(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a mesh: by its suffix, and for PLY by the faces that its header tells of."""
    suffix = PurePath(os.fspath(path)).suffix.lower()
    return suffix in MESH_SUFFIXES and (suffix != ".ply" or _claimed_faces(path) > 0)


def read_mesh(path: str | os.PathLike[str]) -> Mesh:
    """The triangles of a mesh; larger polygons come as triangles.

    Raises ScanError where the file is missing, malformed, cut short, without faces or too large, and MissingExtraError
    where trimesh is not installed.
    """
    from volest.io.sandbox import Limits, decoding_seconds, require, run_decoder

    suffix = PurePath(os.fspath(path)).suffix.lower()
    claimed = _claimed_faces(path) if suffix == ".ply" else 0
    with open_scan(path) as file:
        if file.size > MAX_FILE_BYTES:
            file.fail(f"found {file.size} bytes, expected a mesh of at most {MAX_FILE_BYTES}")
        if claimed > MAX_FACES:
            file.fail(f"found {claimed} faces, expected at most {MAX_FACES}")
        require("trimesh", f"{file.name}: reading the mesh")
        limits = Limits(
            memory_bytes=(2 << 30) + 40 * file.size,
            output_bytes=COUNTS.size + 24 * (MAX_VERTICES + MAX_FACES),
            seconds=decoding_seconds(file.size // 8),
        )
        arguments = [suffix.removeprefix("."), str(MAX_VERTICES), str(MAX_FACES)]
        with run_decoder(file, "mesh_decoder", arguments, limits) as decoded:
            vertices, faces = COUNTS.unpack(decoded.read(COUNTS.size, "counts"))
            if not (0 < vertices <= MAX_VERTICES and 0 < faces <= MAX_FACES):
                file.fail(f"found {faces} faces of {vertices} corners, expected 1 to {MAX_FACES} faces")
            if faces < claimed:
                file.fail(f"cut short: found {faces} faces, expected {claimed}")
            corners = np.frombuffer(decoded.read(24 * vertices, "corners"), "<f8").reshape(-1, 3)
            triangles = np.frombuffer(decoded.read(24 * faces, "faces"), "<i8").reshape(-1, 3)
        if triangles.min() < 0 or triangles.max() >= vertices:
            file.fail(f"found corner {triangles.max()}, expected 0 to {vertices - 1}")
        used = corners[np.unique(triangles)]
        if not (np.abs(used) < FARTHEST).all():
            file.fail("found a corner that is not finite or absurdly far away, expected metres in the bed frame")
        return Mesh(corners, triangles)


def _claimed_faces(path: str | os.PathLike[str]) -> int:
    """How many faces the header of a PLY tells of."""
    with open_scan(path) as file:
        return face_count(file)
