"""A real scan of a plane beside a simulated one of the same sensor at the same pose: density, noise, dropouts.

    VOLEST_REAL=... python benchmarks/realism.py [-o docs/images/realism.png]

Planes (a road, a house front, a yard) are fitted to recordings of Ouster sensors; the catalogue's sensor, its noise and
beams as they stand there, scans those planes. Nothing of the simulator was fitted to these recordings.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest.catalogue import load_sensor
from volest.io.recording import read_recording
from volest.io.selection import Selection
from volest.simulate.beams import footprints
from volest.simulate.catalogued import sensor_scene
from volest.simulate.mesh import quad
from volest.simulate.raycast import Hits, Mesh, cast
from volest.simulate.scene import PoseScene, SensorScene
from volest.simulate.sensor import FixedErrors, ray_directions, returns
from volest.simulate.world import from_facets

Floats = NDArray[np.float64]
FOLDER = "ouster-lidar+ouster-sdk/tests/osfs"
CLEAR_M = 0.15  # a return further than this from the plane is of something else
AHEAD = 0.97  # so is what lies nearer than this part of the way to the plane
REACH_M = 40.0
FACETS_DEG = 35.0  # of asphalt, plaster and a yard: Oren and Nayar find 30 for plaster and 35 for sand


@dataclass(frozen=True)
class Patch:
    """A part of a plane: where its points lie (low and high corner, sensor frame), and what scanned it."""

    name: str
    recording: str
    model: str
    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    quantum_m: float  # the step of this recording's packets

    def holds(self, xyz: Floats) -> NDArray[np.bool_]:
        """Which points (..., 3) lie in it."""
        return np.asarray(((xyz > self.low_m) & (xyz < self.high_m)).all(axis=-1))


OS1, OS0 = "OS-1-128_v2.3.0_1024x10_lb_n3.osf", "osf_fw_3.2_10scans.osf"
PATCHES = (
    Patch("road, OS1-128", OS1, "ouster-os1-128", (5.5, -3.0, -2.6), (10.0, 6.0, -1.2), 0.008),
    Patch("house front, OS1-128", OS1, "ouster-os1-128", (-3.8, 15.5, 0.2), (0.6, 17.0, 1.6), 0.008),
    Patch("yard, OS0 with 8 rows", OS0, "ouster-os0-128", (0.0, -5.0, -1.5), (7.0, 5.0, -0.7), 0.001),
)


@dataclass(frozen=True)
class Raster:
    """A scan by rows and columns: ranges (0: no return), directions of all rays, reflectivity."""

    ranges: Floats
    directions: Floats
    reflectivity: Floats

    @property
    def xyz(self) -> Floats:
        return self.directions * self.ranges[..., None]


def recorded(path: Path) -> Raster:
    """The first frame; a ray that did not return goes where its row and column say."""
    _, cloud = next(read_recording(Selection(str(path))))
    assert cloud.ring is not None
    assert cloud.intensity is not None
    rows = int(cloud.ring.max()) + 1
    xyz = cloud.xyz.astype(float).reshape(rows, -1, 3)
    ranges = np.linalg.norm(xyz, axis=-1)
    met = ranges > 0.0
    elevation = np.arcsin(np.divide(xyz[..., 2], ranges, out=np.zeros_like(ranges), where=met))
    turned = 2.0 * np.pi * np.arange(ranges.shape[1]) / ranges.shape[1]
    off = np.exp(1j * (np.arctan2(xyz[..., 1], xyz[..., 0]) + turned))
    rows_up = np.array([np.median(e[m]) if m.any() else 0.0 for e, m in zip(elevation, met, strict=True)])[:, None]
    azimuth = np.angle((off * met).sum(axis=1))[:, None] - turned
    away = (np.cos(rows_up) * np.cos(azimuth), np.cos(rows_up) * np.sin(azimuth), np.sin(rows_up) + 0.0 * azimuth)
    aimed = np.stack(away, axis=-1)
    directions = np.where(met[..., None], xyz / np.maximum(ranges, 1e-9)[..., None], aimed)
    return Raster(ranges, directions, cloud.intensity.astype(float).reshape(rows, -1))


def plane_of(points: Floats) -> tuple[Floats, float]:
    """Normal and distance of the plane through points (N, 3), what is far from it left out step by step."""
    for far_m in (0.3, 0.15, 0.08, 0.08):
        middle = np.median(points, axis=0) if far_m == 0.3 else points.mean(axis=0)
        normal = np.linalg.svd(points - middle, full_matrices=False)[2][2]
        points = points[np.abs((points - middle) @ normal) < far_m]
    return normal, float(points.mean(axis=0) @ normal)


def simulated(patch: Patch, real: Raster, plane: tuple[Floats, float], seed: int) -> Raster:
    """The catalogue's sensor before that plane, which sends back as much light as the recording tells."""
    sensor = sensor_scene(load_sensor(patch.model), id="sensor", pose=PoseScene((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
    noise = msgspec.structs.replace(sensor.noise, quantum_m=patch.quantum_m)
    up = np.degrees(np.arcsin(np.median(real.directions[..., 2], axis=1))).tolist()  # where this unit's rows look
    rays = {"rows": len(up), "columns": real.ranges.shape[1], "elevations_deg": tuple(up)}
    sensor = msgspec.structs.replace(sensor, noise=noise, **rays)
    on = patch.holds(real.xyz) & (np.abs(real.xyz @ plane[0] - plane[1]) < CLEAR_M)
    cosine = np.abs(real.directions[on] @ plane[0])
    upright = real.reflectivity[on] / (cosine * from_facets(cosine, FACETS_DEG))
    light = float(np.median(upright)) / 100.0  # Ouster: per cent of a diffuse target that faces the sensor, up to 100
    return scanned(sensor, wide_quad(plane), light, np.random.default_rng(seed))


def wide_quad(plane: tuple[Floats, float]) -> Floats:
    """The plane as two triangles, as far as anybody looks."""
    normal, distance = plane
    across = np.linalg.svd(normal[None])[2][1:] * 2.0 * REACH_M
    middle = normal * distance
    return quad(*(middle + a * across[0] + b * across[1] for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))))


def scanned(sensor: SensorScene, triangles: Floats, light: float, rng: np.random.Generator) -> Raster:
    """What a sensor at the origin tells of triangles that send this share of the light back."""
    mesh, origin = Mesh(triangles, np.zeros(len(triangles), np.int32)), np.zeros(3)
    directions = ray_directions(sensor)

    def shoot(_: Any, aimed: Floats) -> tuple[Hits, Floats]:
        hits = cast([], mesh, origin, aimed)
        return hits, light * from_facets(np.minimum(hits.cosine, 1.0), FACETS_DEG)

    hits, sent_back = shoot(None, directions.reshape(-1, 3))
    footprints(shoot, sensor, directions.reshape(-1, 3), hits, sent_back)
    ranges, strength = returns(sensor, hits, sent_back, FixedErrors.draw(sensor, rng), rng, directions)
    return Raster(ranges, directions, strength)


def measured(patch: Patch, plane: tuple[Floats, float], scan: Raster) -> dict[str, float]:
    """Of the rays that should meet the patch: how many a m2, how many are lost, how their ranges scatter.

    The scatter is that of second differences along a row over the root of 1.5, blind to all that is smooth.
    """
    normal, distance = plane
    with np.errstate(divide="ignore"):
        due = distance / (scan.directions @ normal)
    due = np.where((due > 0.0) & (due < REACH_M), due, 0.0)
    within = patch.holds(scan.directions * due[..., None])
    lost = within & (scan.ranges == 0.0)
    on = within & (np.abs(scan.xyz @ normal - distance) < CLEAR_M)
    clear = within & ~((scan.ranges > 0.0) & (scan.ranges < AHEAD * due))
    second = against_neighbours(scan, on)
    second = second[np.isfinite(second)]
    return {
        "rays": float(clear.sum()),
        "points a m2": float((clear & ~lost).sum()) / area_m2(patch, plane) * within.sum() / clear.sum(),
        "lost %": 100.0 * lost.sum() / clear.sum(),
        "noise mm": 1e3 * float(np.sqrt(np.mean(second[np.abs(second) < 0.1] ** 2))),
        "half within mm": 1e3 * float(np.median(np.abs(second))),
        "off plane mm": 1e3 * float(np.std((scan.xyz @ normal - distance)[on])),
    }


def against_neighbours(scan: Raster, on: NDArray[np.bool_]) -> Floats:
    """Each range from the mean of its two neighbours in the row, scaled to one range's error; NaN beside the patch."""
    off = np.full(scan.ranges.shape, np.nan)
    three = on[:, 1:-1] & on[:, 2:] & on[:, :-2]
    second = scan.ranges[:, 1:-1] - 0.5 * (scan.ranges[:, 2:] + scan.ranges[:, :-2])
    off[:, 1:-1] = np.where(three, second / np.sqrt(1.5), np.nan)
    return off


def area_m2(patch: Patch, plane: tuple[Floats, float]) -> float:
    """Of the plane within the patch, which it crosses from side to side: its outline from that axis, tilted back."""
    normal = np.abs(plane[0])
    axis = int(np.argmax(normal))
    sides = np.subtract(patch.high_m, patch.low_m)
    return float(np.prod(np.delete(sides, axis)) / normal[axis])


def table(rows: list[tuple[str, dict[str, float], dict[str, float]]]) -> str:
    """Markdown, real / simulated."""
    names = list(rows[0][1])
    lines = ["| real / simulated | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for name, real, made in rows:
        lines.append(f"| {name} | " + " | ".join(f"{real[key]:.4g} / {made[key]:.4g}" for key in names) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", dest="picture")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder, rows, views = Path(os.environ["VOLEST_REAL"]) / FOLDER, [], []
    for patch in PATCHES:
        real = recorded(folder / patch.recording)
        plane = plane_of(real.xyz[patch.holds(real.xyz)])
        made = simulated(patch, real, plane, arguments.seed)
        rows.append((patch.name, measured(patch, plane, real), measured(patch, plane, made)))
        views.append((patch, plane, real, made))
    print(table(rows))
    if arguments.picture:
        draw(views, arguments.picture)


def draw(views: list[tuple[Patch, tuple[Floats, float], Raster, Raster]], path: str) -> None:
    """Each patch, real beside simulated, coloured by how far a range is from its neighbours'."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(views), 2, figsize=(8.0, 3.6 * len(views)), layout="constrained")
    for line, (patch, (normal, distance), *scans) in zip(axes, views, strict=True):
        flat = np.delete(np.arange(3), int(np.argmax(np.abs(normal))))
        for axis, scan, whose in zip(line, scans, ("real", "simulated"), strict=True):
            on = patch.holds(scan.xyz) & (np.abs(scan.xyz @ normal - distance) < CLEAR_M)
            xyz, off_mm = scan.xyz[on], 1e3 * against_neighbours(scan, on)[on]
            drawn = axis.scatter(*xyz[:, flat].T, c=off_mm, s=3.0, vmin=-40.0, vmax=40.0, cmap="RdBu", linewidths=0)
            axis.set(title=f"{patch.name}:\n{whose}", aspect="equal", facecolor="0.8")
            axis.set_xlabel("xyz"[flat[0]] + " [m]")
            axis.set_ylabel("xyz"[flat[1]] + " [m]")
    figure.colorbar(drawn, ax=axes, label="range from the mean of its neighbours [mm]", shrink=0.5)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
