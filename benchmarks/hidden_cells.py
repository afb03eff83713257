"""Learns how far what is hidden lies below the membrane, and writes volest/data/hidden.npy.

    python benchmarks/hidden_cells.py --scenes 900

Scenes are drawn by volest.simulate.random_scene from --seed on and estimated without a network. What each cell without
returns shows of itself (cpp/src/hidden.inl) is held against how far the true surface lies below the membrane there; a
network is fitted to that (volest/network.py). Needs some minutes; the same seed and
versions give the same file. Score it on other seeds with benchmarks/accuracy.py.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volest.bed import Layout
from volest.errors import InputError, SceneError
from volest.estimator import Estimator
from volest.network import fit, rms_m
from volest.simulate import random_scene, simulate, write
from volest.simulate.simulation import Simulated
from volest.truck import Truck

Floats = NDArray[np.float64]
Rows = tuple[NDArray[np.float32], NDArray[np.float32]]

CELLS_A_SCENE = 300
PLACES = 4  # a cell's true height is the mean of so many places along each axis
TARGET = Path(__file__).parents[1] / "volest/data/hidden.npy"


def cells_of(seed: int) -> Rows:
    """Features (N, F) and drops (N,) [m at the scale of a truck bed] of cells without returns in one scene."""
    rng = np.random.default_rng(seed)
    nothing: Rows = (np.zeros((0, 0), np.float32), np.zeros(0, np.float32))
    try:
        # Sparse sensors are rare among the scenes, and their gaps unlike the shadows of the others.
        simulated = simulate(random_scene(rng, sensor="vlp16" if seed % 5 == 0 else None))
    except SceneError:  # a load that cannot lie in the bed that was drawn
        return nothing
    with tempfile.TemporaryDirectory() as folder:
        write(simulated, Path(folder))
        truck = Truck.load(Path(folder) / "truck.toml")
        try:
            estimator = Estimator(truck, lower_hidden=False)
        except InputError:
            return nothing
        scans = {name: [cloud.xyz for cloud in frames] for name, frames in simulated.scans.items()}
    result = estimator.estimate(scans if truck.sensors else np.concatenate([f for fs in scans.values() for f in fs]))
    if result.surface is None or "sensor_moved" in result.flags:
        return nothing
    true, inside = true_heights(simulated, estimator.bed.layout)
    above = result.surface.load_m - true
    seen = estimator._engine.state == 3
    sound = seen & inside
    if sound.sum() < 100:
        return nothing
    cells, features = estimator._engine.hidden_features()
    # Where the bed was put is not the network's affair.
    drop = (above - np.median(above[sound])).ravel()[cells] / estimator.bed.layout.scale
    usable = np.flatnonzero(inside.ravel()[cells] & np.isfinite(drop))
    chosen = rng.choice(usable, min(CELLS_A_SCENE, len(usable)), replace=False)
    return features[chosen], drop[chosen].astype(np.float32)


def true_heights(simulated: Simulated, layout: Layout) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean true height (ny, nx) of each cell, and whether all of it lies in the opening."""
    world = simulated.world
    nx, ny = layout.shape
    offsets = ((np.arange(PLACES) + 0.5) / PLACES - 0.5) * layout.cell_m
    x = (layout.centres_m(nx)[:, None] + offsets).ravel()
    y = (layout.centres_m(ny)[:, None] + offsets).ravel()
    xx, yy = np.meshgrid(x, y)
    empty = world.bed.empty_m(xx, yy)
    top = empty if world.load is None else np.fmax(world.load.at(xx, yy), empty)
    x0, x1, y0, y1 = world.bed.footprint_m
    within = (xx > x0) & (xx < x1) & (yy > y0) & (yy < y1)

    def over_cells(values: Floats) -> Floats:
        return values.reshape(ny, PLACES, nx, PLACES).mean(axis=(1, 3))

    return over_cells(top), over_cells(within.astype(np.float64)) == 1.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=900, help="how many")
    parser.add_argument("--seed", type=int, default=2_000_000, help="of the first scene; the others follow it")
    arguments = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(cells_of, range(arguments.seed, arguments.seed + arguments.scenes), chunksize=4))
    kept = [(f, d) for f, d in rows if len(d)]
    features, drops = np.concatenate([f for f, _ in kept]), np.concatenate([d for _, d in kept])
    weights = fit(features, drops)
    before, after = float(np.sqrt(np.mean(drops**2))), rms_m(weights, features, drops)
    print(f"{len(drops)} cells: RMS {before:.4f} m before, {after:.4f} m after")
    np.save(TARGET, weights, allow_pickle=False)
