"""Volume and weight together: net mass, bulk density, wetness, and whether the two believe each other.

The arithmetic is the core's (`cpp/src/fusion.cpp`); the method stands in `docs/weights.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from volest import _core
from volest.quantity import Quantity
from volest.truck import WasteProfile

__all__ = ["Fused", "fuse"]


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
    mixture = mixture_of(profile)
    v = volume_m3
    told = mixture.fuse(v.value, v.std, v.lower95, v.upper95, *net_kg)
    reasons: tuple[str, ...] = ()
    if told.too_heavy or told.too_light:
        reasons = (_mismatch(told, mixture, v.value, net_kg[0], profile.name),)
    return Fused(
        Quantity(*told.net_mass_kg),
        _quantity(told.density_kg_m3),
        _quantity(told.wet_fraction),
        told.waste_class,
        ("weight_volume_mismatch",) if reasons else (),
        reasons,
    )


@lru_cache(maxsize=16)
def mixture_of(profile: WasteProfile) -> _core.Mixture:
    """What loads of a profile weigh at each wet mass fraction; kept, as a truck has one profile and many loads."""
    return _core.Mixture(profile.dry_kg_m3, profile.dry_log_std, profile.wet_kg_m3, profile.wet_log_std)


def _quantity(row: tuple[float, float, float, float] | None) -> Quantity | None:
    return None if row is None else Quantity(*row)


def _mismatch(told: _core.Fused, mixture: _core.Mixture, volume: float, mass: float, profile: str) -> str:
    """Why no waste of this profile has this mass in this volume."""
    found = f"{mass:.0f} kg in {volume:.2f} m3"
    if told.too_heavy:
        return f"{found} is more than {mixture.most_kg_m3:.0f} kg/m3, the most that {profile} may have"
    return f"{found} is less than {mixture.least_kg_m3:.0f} kg/m3, the least that {profile} may have"
