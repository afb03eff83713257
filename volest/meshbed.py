"""A mesh of the empty bed as a scan of it: what can be seen of it from above, and nothing of its outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volest.bed import Layout
from volest.errors import ScanError
from volest.io.mesh import Mesh, read_mesh

__all__ = ["points_of_mesh"]

STEP_M = 0.012  # between places on the mesh
MOST_STEPS = 2000  # along an edge
MOST_PLACES = 8_000_000
BIN = 0.018  # of a view's stereographic projection: wider than places are apart where they are nearest
VIEWS = (-0.35, 0.0, 0.35)  # along and across, as part of the bed's length and width
ABOVE_M = 1.0  # of the views over the wall tops
SMALLEST, LARGEST = 0.5, 3.0  # of the mesh's sides over the bed's: bumpers, hinges and a cab may belong to it
FEWEST = 2000  # places that are seen
WELD_M = 1e-4  # corners this near are one
TOP_REACH_M, LEDGE_M = 0.15, 0.04  # from the nominal height, and of the tops that sheets are given

Floats = NDArray[np.float64]


def points_of_mesh(path: Path, layout: Layout) -> NDArray[np.float32]:
    """Points (N, 3) [m] on what can be seen of a mesh from above, bed frame.

    Raises ScanError where the file is no mesh, or no mesh of a bed of these dimensions.
    """
    mesh = read_mesh(path)
    _check_size(path, mesh, layout)
    triangles = np.concatenate([mesh.vertices[mesh.faces], _ledges(mesh, layout)])
    places = _within(_places(triangles, STEP_M * layout.scale), layout)
    seen = [places[_in_sight(places - view)] for view in _views(layout)]
    points = np.unique(np.concatenate(seen), axis=0)
    if len(points) < FEWEST:
        raise ScanError(f"{path}: found no bed at the origin, expected a mesh in the bed frame", flag="no_bed")
    return points.astype(np.float32)


def _check_size(path: Path, mesh: Mesh, layout: Layout) -> None:
    corners = mesh.vertices[np.unique(mesh.faces)]
    sides = corners.max(axis=0) - corners.min(axis=0)
    ratio = sides[:2] / (layout.length_m, layout.width_m)
    if (ratio < SMALLEST).any() or (ratio > LARGEST).any():
        found = " x ".join(f"{side:.4g}" for side in sides)
        expected = f"a bed of {layout.length_m:g} x {layout.width_m:g} x {layout.height_m:g} m"
        flag = "wrong_unit" if (ratio < 0.1).all() or (ratio > 10.0).all() else "no_bed"
        raise ScanError(f"{path}: found a mesh of {found}, expected {expected} with its length along x", flag=flag)


def _ledges(mesh: Mesh, layout: Layout) -> Floats:
    """Wall tops (T, 3, 3) for walls that are sheets: outwards from the edges of a single triangle at their height."""
    _, same = np.unique((mesh.vertices / WELD_M).round().astype(np.int64), axis=0, return_inverse=True)
    faces = same.ravel()[mesh.faces]
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    ends = np.stack([mesh.faces, np.roll(mesh.faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    _, inverse, counts = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    places = mesh.vertices[ends[counts[inverse.ravel()] == 1]]
    places = places[(np.abs(places[:, :, 2] - layout.height_m) < TOP_REACH_M * layout.scale).all(axis=1)]
    way = places[:, 1] - places[:, 0]
    out = np.column_stack([way[:, 1], -way[:, 0], np.zeros(len(way))])
    out *= np.sign(np.sum(out * places.mean(axis=1), axis=1))[:, None]
    out *= LEDGE_M * layout.scale / np.maximum(np.linalg.norm(out, axis=1), 1e-9)[:, None]
    a, b, c, d = places[:, 0], places[:, 1], places[:, 1] + out, places[:, 0] + out
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _places(corners: Floats, step: float) -> Floats:
    """Places (N, 3) all over triangles (T, 3, 3), at most a step apart: rows along the longest edge."""
    edges = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
    first = edges.argmax(axis=1)
    order = (first[:, None] + np.arange(3)) % 3
    corners = np.take_along_axis(corners, order[:, :, None], axis=1)
    longest = edges.max(axis=1)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    height = area / np.maximum(longest, 1e-12)
    coarser = max(1.0, float(np.sqrt(np.sum((longest / step + 1.0) * (height / step + 1.0)) / MOST_PLACES)))
    counts = np.column_stack([longest, height]) / (step * coarser)
    steps, group = np.unique(np.clip(np.ceil(counts), 1, MOST_STEPS).astype(int), axis=0, return_inverse=True)
    found = []
    for (along, across), number in zip(steps, range(len(steps)), strict=True):
        a, b, c = np.moveaxis(corners[group.ravel() == number], 1, 0)
        v = (np.arange(across) + 0.5) / across
        u = ((np.arange(along) + 0.5) / along)[:, None] * (1.0 - v)
        w = np.broadcast_to(v, u.shape)
        spread = u[..., None, None] * (b - a) + w[..., None, None] * (c - a) + a
        found.append(spread.reshape(-1, 3))
    return np.concatenate(found)


def _within(places: Floats, layout: Layout) -> Floats:
    """Those that belong to the bed's inside and its wall tops."""
    half = np.array([layout.length_m, layout.width_m]) / 2.0 + layout.margin_m
    kept: Floats = places[
        (np.abs(places[:, :2]) < half).all(axis=1)
        & (places[:, 2] > layout.lowest_m)
        & (places[:, 2] < layout.height_m + ABOVE_M * layout.scale)
    ]
    return kept


def _views(layout: Layout) -> Floats:
    """Places (9, 3) over the opening from which the bed is looked at."""
    x, y = np.meshgrid(np.array(VIEWS) * layout.length_m, np.array(VIEWS) * layout.width_m)
    z = np.full(x.size, layout.height_m + ABOVE_M * layout.scale + 0.01)
    return np.column_stack([x.ravel(), y.ravel(), z])


def _in_sight(ways: Floats) -> NDArray[np.intp]:
    """Which places, told by the ways to them, are the nearest in their bin of the view."""
    distance = np.linalg.norm(ways, axis=1)
    flat = ways[:, :2] / (distance - ways[:, 2])[:, None]  # stereographic, about straight down
    i, j = np.floor(flat / BIN).astype(np.int64).T
    order = np.lexsort((distance, i, j))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(i[order]) != 0) | (np.diff(j[order]) != 0)
    return order[first]
