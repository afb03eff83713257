"""Decodes a mesh to counts, corners (float64) and triangles (int64). Runs in child.py and imports nothing of volest."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
import trimesh


def decode(scan: BinaryIO, output: BinaryIO, kind: str, most_vertices: str, most_faces: str) -> None:
    """Write all triangles of the file's meshes, each where the file has it."""
    content = scan.read()
    if kind == "stl":
        check_stl(content)
    scene = trimesh.load_scene(io.BytesIO(content), file_type=kind, process=False, skip_materials=True, resolver=None)
    pieces = [piece for piece in scene.dump() if isinstance(piece, trimesh.Trimesh) and len(piece.faces)]
    if not pieces:
        raise ValueError("found no faces, expected a mesh of triangles")
    starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
    vertices = np.concatenate([np.asarray(piece.vertices, "<f8") for piece in pieces])
    faces = np.concatenate([np.asarray(p.faces, "<i8") + start for p, start in zip(pieces, starts, strict=False)])
    if len(vertices) > int(most_vertices) or len(faces) > int(most_faces):
        raise ValueError(f"found {len(faces)} faces, expected at most {most_faces}")
    output.write(struct.pack("<QQ", len(vertices), len(faces)))
    output.write(np.ascontiguousarray(vertices).tobytes())
    output.write(np.ascontiguousarray(faces).tobytes())


def check_stl(content: bytes) -> None:
    """Refuse a binary STL that is longer or shorter than its count says; an ascii one has its words."""
    if content[:5].lower() == b"solid" and b"facet" in content[:2048]:
        return
    count = struct.unpack_from("<I", content, 80)[0] if len(content) >= 84 else 0
    if len(content) != 84 + 50 * count:
        raise ValueError(f"found {len(content)} bytes, expected {84 + 50 * count} for {count} faces")
