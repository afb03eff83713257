"""A million volumes and net masses to densities and wetness."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
from conftest import Measure, among
from numpy.typing import NDArray

from volest import Truck
from volest.fusion import FusedLoads, fuse, fuse_many
from volest.quantity import Quantity

GROUP = pytest.mark.benchmark(group="a million loads fused")
LOADS = 1_000_000
TARE_KG = 4310.0
AGREE = 0.005  # of the wet mass fraction, with the load fused alone
PROFILE = Truck.from_dict({"schema": 1, "id": "t", "bed": {"length_m": 4.0, "width_m": 2.0, "height_m": 1.0}}).waste
Columns = tuple[NDArray[np.float64], ...]


@pytest.fixture(scope="module")
def loads() -> Columns:
    """Volume with its standard uncertainty and interval [m3], gross mass and standard uncertainty [kg]."""
    rng = np.random.default_rng(0)
    volume = rng.uniform(2.0, 15.0, LOADS)
    std = volume * rng.uniform(0.01, 0.03, LOADS)
    gross = TARE_KG + volume * np.exp(rng.normal(np.log(220.0), 0.4, LOADS))
    return volume, std, volume - 1.96 * std, volume + 1.96 * std, gross, rng.uniform(15.0, 30.0, LOADS)


def numpy_quotient(loads: Columns) -> NDArray[np.float64]:
    """Net mass over volume, and nothing else."""
    return (loads[4] - TARE_KG) / loads[0]


def numpy_density_with_std(loads: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Net mass over volume, with its standard uncertainty."""
    volume, std, _, _, gross, mass_std = loads
    density = (gross - TARE_KG) / volume
    return density, np.sqrt(mass_std**2 + (density * std) ** 2) / volume


@GROUP
@among(numpy_quotient, numpy_density_with_std)
def test_numpy(measure: Measure, contender: object, loads: Columns) -> None:
    measure(lambda: contender(loads))  # type: ignore[operator]


@GROUP
@pytest.mark.parametrize("workers", [pytest.param(1, id="volest"), pytest.param(2, id="volest, two workers")])
def test_volest(measure: Measure, loads: Columns, workers: int) -> None:
    out = FusedLoads.empty(LOADS)
    volume, std, lower, upper, gross, mass_std = loads
    fused = measure(
        lambda: fuse_many(volume, std, lower, upper, gross - TARE_KG, mass_std, PROFILE, out=out, workers=workers)
    )
    for i in range(0, LOADS, LOADS // 50):
        alone = fuse(Quantity(volume[i], std[i], lower[i], upper[i]), (gross[i] - TARE_KG, mass_std[i]), PROFILE)
        assert alone.wet_mass_fraction is not None
        assert abs(alone.wet_mass_fraction.value - fused.wet_mass_fraction.value[i]) < AGREE


def test_fused_in_less_than_ten_times_the_densities(loads: Columns) -> None:
    """By turns, so that what disturbs the machine disturbs both."""
    out, net = FusedLoads.empty(LOADS), loads[4] - TARE_KG
    best = {"density": np.inf, "fused": np.inf}
    for _ in range(7):
        begun = perf_counter()
        numpy_density_with_std(loads)
        between = perf_counter()
        fuse_many(*loads[:4], net, loads[5], PROFILE, out=out)
        best["density"] = min(best["density"], between - begun)
        best["fused"] = min(best["fused"], perf_counter() - between)
    assert best["fused"] < 10.0 * best["density"]
