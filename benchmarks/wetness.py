"""How often the class is right, how often none is named, and how often the wet fraction's interval holds the truth.

    python benchmarks/wetness.py [--loads 1000000]

Loads of several populations are drawn, weighed and scanned, and fused by the default profile with nothing else known.
Beside it stands the ideal: who knows how the population was drawn, and names the class that is likeliest at its density
as often as it can be right 95 times in 100.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from volest.fusion import fuse_many
from volest.quantity import COVERAGE_95
from volest.truck import Truck

Floats = NDArray[np.float64]
RIGHT = 0.95
BIN = 0.01  # of the log density
PROFILE = Truck.from_dict({"schema": 1, "id": "t", "bed": {"length_m": 4.0, "width_m": 2.0, "height_m": 1.0}}).waste


def populations(rng: np.random.Generator, loads: int) -> Iterator[tuple[str, Floats, Floats, Floats]]:
    """Name, wet mass fraction, and bulk densities of the dry and of the wet part."""

    def parts(factor: float = 1.0) -> tuple[Floats, Floats]:
        dry, wet = np.exp(rng.standard_normal((2, loads)) * [[PROFILE.dry_log_std], [PROFILE.wet_log_std]])
        return factor * PROFILE.dry_kg_m3 * dry, factor * PROFILE.wet_kg_m3 * wet

    yield "the profile's, w uniform", rng.uniform(size=loads), *parts()
    yield "the profile's, w of Beta(2, 2)", rng.beta(2.0, 2.0, loads), *parts()
    yield "the profile's, w of Beta(8, 4)", rng.beta(8.0, 4.0, loads), *parts()
    yield "the profile's, w of Beta(1/2, 1/2)", rng.beta(0.5, 0.5, loads), *parts()
    dry, wet = rng.uniform(70.0, 155.0, loads), rng.uniform(335.0, 565.0, loads)
    yield "70 to 155 and 335 to 565 kg/m3, w uniform", rng.uniform(0.1, 0.95, loads), dry, wet
    yield "10 % heavier, w uniform", rng.uniform(size=loads), *parts(1.1)
    yield "10 % lighter, w uniform", rng.uniform(size=loads), *parts(0.9)
    yield "20 % lighter, w uniform", rng.uniform(size=loads), *parts(0.8)


def class_of(wet_fraction: Floats) -> NDArray[np.int64]:
    """0 dry, 1 mixed, 2 wet."""
    return np.where(wet_fraction >= 0.6, 2, np.where(wet_fraction <= 0.4, 0, 1))


def ideal_abstention(density: Floats, truth: NDArray[np.int64]) -> float:
    """How often the ideal names none: densities whose likeliest class is least sure are left out."""
    at = ((np.log(density) - np.log(density).min()) / BIN).astype(int)
    counts = np.bincount(3 * at + truth, minlength=3 * (at.max() + 1)).reshape(-1, 3)
    counts = counts[counts.sum(axis=1) > 0]
    loads, best = counts.sum(axis=1), counts.max(axis=1)
    order = np.argsort(-best / loads)
    named = np.cumsum(loads[order])
    enough = (np.cumsum(best[order]) / named >= RIGHT) & (named > 0.01 * len(truth))
    return 1.0 - float(named[enough].max(initial=0)) / len(truth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=1_000_000, metavar="N", help="of each population")
    loads = parser.parse_args().loads
    rng = np.random.default_rng(7)
    print(f"{'in 100 loads':44s} {'right':>6s} {'none named':>11s} {'ideal':>6s} {'held':>6s} {'width':>6s}")
    for name, truth, dry, wet in populations(rng, loads):
        volume = rng.uniform(3.0, 15.0, loads)
        mass = volume / (truth / wet + (1.0 - truth) / dry)
        volume_std, mass_std = 0.02 * volume, np.hypot(15.0, 0.005 * mass)
        v = volume + volume_std * rng.standard_normal(loads)
        m = mass + mass_std * rng.standard_normal(loads)
        half = COVERAGE_95 * volume_std
        fused = fuse_many(v, volume_std, v - half, v + half, m, mass_std, PROFILE)
        fraction, known = fused.wet_mass_fraction, ~np.isnan(fused.wet_mass_fraction.value)
        named = fused.waste_class >= 0
        right = (fused.waste_class == class_of(truth))[named].mean()
        held = ((fraction.lower95 <= truth) & (truth <= fraction.upper95))[known].mean()
        width = (fraction.upper95 - fraction.lower95)[known].mean()
        ideal = ideal_abstention(m / v, class_of(truth))
        print(
            f"{name:44s} {100 * right:6.1f} {100 * (1 - named.mean()):11.1f} {100 * ideal:6.1f} {100 * held:6.1f} "
            f"{width:6.2f}"
        )


if __name__ == "__main__":
    main()
