"""Volume and weight together: net mass, bulk density, wetness, and whether the two believe each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from volest.quantity import COVERAGE_95, Quantity
from volest.truck import WasteProfile
from volest.wetdry import log_density_moments, wet_posterior

__all__ = ["Fused", "fuse"]

MAX_RELATIVE_VOLUME_STD = 0.3  # above it, the volume is too close to nothing to divide by
IMPLAUSIBLE_SIGMAS = 3.3  # of the profile's log-densities: one sound load in 2000
DISAGREEMENT_SIGMAS = 3.0  # of the measurement
MAX_DENSITY_KG_M3 = 1800.0  # no profile may believe in more: wet sand
NODES = 81  # of the density, within 5 standard deviations of its estimate


@dataclass(frozen=True, slots=True)
class Fused:
    """What volume and weight tell together; None is what they do not."""

    net_mass_kg: Quantity | None = None
    bulk_density_kg_m3: Quantity | None = None
    wet_mass_fraction: Quantity | None = None
    waste_class: str | None = None
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def fuse(volume_m3: Quantity, net_kg: tuple[float, float] | None, profile: WasteProfile) -> Fused:
    """Fuse a volume [m3] with a net mass and its standard uncertainty [kg], which err independently of each other."""
    if net_kg is None:
        return Fused()
    mass, mass_std = net_kg
    volume, volume_std = volume_m3.value, _symmetric_std(volume_m3)
    mismatch = _mismatch(volume, volume_std, mass, mass_std, profile)
    flags = ("weight_volume_mismatch",) if mismatch else ()
    reasons = (mismatch,) if mismatch else ()
    net = _net_mass(mass, mass_std)
    if volume <= 0.0 or volume_std > MAX_RELATIVE_VOLUME_STD * volume:
        return Fused(net, flags=flags, reasons=reasons)
    density = _density(volume, volume_std, mass, mass_std)
    if mismatch:  # a density that no waste has says nothing of its wetness
        return Fused(net, density, flags=flags, reasons=reasons)
    nodes = density.value + density.std * np.linspace(-5.0, 5.0, NODES)
    nodes = nodes[nodes > 0.0]
    variance = mass_std**2 + (nodes * volume_std) ** 2
    likelihood = np.exp(-0.5 * (mass - nodes * volume) ** 2 / variance) / np.sqrt(variance)
    posterior = wet_posterior(nodes, likelihood, profile)
    return Fused(net, density, posterior.fraction, posterior.waste_class)


def _symmetric_std(quantity: Quantity) -> float:
    """The standard uncertainty, or more where the 95 % interval is wider than a normal one."""
    return max(quantity.std, (quantity.upper95 - quantity.lower95) / (2.0 * COVERAGE_95), 1e-9)


def _net_mass(mass: float, std: float) -> Quantity:
    """The net mass, which is not negative: a reading below the tare leaves the interval of a load of nothing."""
    value = max(mass, 0.0)
    return Quantity(value, std, max(mass - COVERAGE_95 * std, 0.0), value + COVERAGE_95 * std)


def _density(volume: float, volume_std: float, mass: float, mass_std: float) -> Quantity:
    """Mass over volume with the interval of Fieller (1954): all rho at which mass - rho volume may be nothing."""
    value = mass / volume
    std = math.hypot(mass_std, value * volume_std) / volume
    z2 = COVERAGE_95**2
    a = volume**2 - z2 * volume_std**2  # positive, as volume_std is at most 0.3 volume
    b = mass * volume
    c = mass**2 - z2 * mass_std**2
    root = math.sqrt(max(b * b - a * c, 0.0))
    lower, upper = min((b - root) / a, value), max((b + root) / a, value)  # but for rounding they are on its sides
    return Quantity(max(value, 0.0), std, max(lower, 0.0), max(upper, 0.0))


def _mismatch(volume: float, volume_std: float, mass: float, mass_std: float, profile: WasteProfile) -> str | None:
    """Why no waste of this profile has this mass in this volume, or None."""
    mean, std = log_density_moments(np.array([0.0, 1.0]), profile)
    least = float(np.exp(mean[0] - IMPLAUSIBLE_SIGMAS * std[0]))
    most = min(float(np.exp(mean[1] + IMPLAUSIBLE_SIGMAS * std[1])), MAX_DENSITY_KG_M3)
    if mass - most * volume > DISAGREEMENT_SIGMAS * math.hypot(mass_std, most * volume_std):
        return f"{mass:.0f} kg in {volume:.2f} m3 is more than {most:.0f} kg/m3, the most that {profile.name} may have"
    if least * volume - mass > DISAGREEMENT_SIGMAS * math.hypot(mass_std, least * volume_std):
        return (
            f"{mass:.0f} kg in {volume:.2f} m3 is less than {least:.0f} kg/m3, the least that {profile.name} may have"
        )
    return None
