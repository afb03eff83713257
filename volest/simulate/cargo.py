"""What lies in the bed through a day: a surface that grows heap by heap, sinks on the way and is tipped out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from volest.errors import SceneError
from volest.simulate.bedshape import BedShape
from volest.simulate.dayscene import DayScene, StopScene
from volest.simulate.heightfield import HeightField
from volest.simulate.load import Floats, envelope_m, load_surface, without_sunken
from volest.simulate.pile import correlated_noise, cover_with, scatter
from volest.simulate.scene import LoadScene
from volest.simulate.truth import Gauge

__all__ = ["Cargo", "Parcel"]

CELL_M = 0.02
BELOW_M = 0.01  # where nothing lies the surface runs this far inside of floor and walls


@dataclass(frozen=True, slots=True)
class Parcel:
    """What was added or taken: true volume, mass and wet mass."""

    volume_m3: float
    mass_kg: float
    wet_kg: float


class Cargo:
    """The content of a bed. `volume_m3` is exact: the integral over the triangles that rays meet."""

    def __init__(self, day: DayScene, bed: BedShape, rng: np.random.Generator) -> None:
        self._day, self._bed, self._rng = day, bed, rng
        self._gauge = Gauge(bed)
        self._field = HeightField.over(bed.footprint_m, CELL_M)
        x, y = self._field.nodes()
        self._empty = bed.empty_m(x, y)
        self._z = self._empty - BELOW_M
        self.mass_kg = self.wet_kg = self.volume_m3 = 0.0

    @property
    def struck_m3(self) -> float:
        """Struck capacity."""
        return self._gauge.struck_m3

    def surface(self) -> HeightField | None:
        """The upper surface; None while the bed is clean."""
        if not (self._z > self._empty).any():
            return None
        return self._field.with_heights(without_sunken(self._z, self._empty))

    def add(self, stop: StopScene, volume_m3: float) -> list[HeightField | None]:
        """Throw a heap onto what lies there; surfaces when a third, two thirds and all of it lay there.

        The heap's foot is the old surface, its sides stand at the angle of repose. SceneError if it does not fit.
        """
        shape, most = self._heap(stop)
        below, before, partly = self._z, self.volume_m3, []
        density, wet = self._material(stop)
        self._check_room(below, most, volume_m3)
        for share in (1 / 3, 2 / 3, 1.0):
            self._z = self._raised(below, shape, most, share * volume_m3)
            partly.append(self.surface())
        self.volume_m3 = self._gauge.measure(partly[-1]).volume_m3
        mass = density * (self.volume_m3 - before)
        self.mass_kg += mass
        self.wet_kg += wet * mass
        return partly

    def settle(self, share: float) -> None:
        """Sink by this share of the height over the bed; the mass stays."""
        thick = self._z - self._empty
        self._z = np.where(thick > 0.0, self._empty + (1.0 - share) * thick, self._z)
        self.volume_m3 = self._gauge.measure(self.surface()).volume_m3

    def tip(self, carry_back: float) -> None:
        """Tip all out but so much of struck capacity, or half of what was there; it is as wet as that, and denser."""
        carry_back = min(carry_back, 0.5 * self.volume_m3 / self.struck_m3)
        density = self.mass_kg / max(self.volume_m3, 1e-9) * self._rng.uniform(0.9, 1.5)
        wet = self.wet_kg / max(self.mass_kg, 1e-9)
        left = None
        if carry_back > 0.001:
            left = load_surface(
                LoadScene(kind="carryback", fill_ratio=carry_back, lump_m=0.15, cell_m=CELL_M), self._bed, self._rng
            )
        self._z = self._empty - BELOW_M if left is None else np.fmax(left.z_m, self._empty - BELOW_M)
        self.volume_m3 = self._gauge.measure(self.surface()).volume_m3
        self.mass_kg = density * self.volume_m3
        self.wet_kg = wet * self.mass_kg

    def parcel(self) -> Parcel:
        """All that lies there."""
        return Parcel(self.volume_m3, self.mass_kg, self.wet_kg)

    def _heap(self, stop: StopScene) -> tuple[Floats, Floats]:
        """A heap's shape at an arbitrary level, and the greatest height at which it stands."""
        rng, field, kind = (
            self._rng,
            self._field,
            stop.kind or str(self._rng.choice(["heap", "heap", "bags", "spread"])),
        )
        made = self._day.load(kind)  # type: ignore[arg-type]
        x, y = field.nodes()
        x0, x1, y0, y1 = self._bed.footprint_m
        cx = rng.uniform(0.7 * x0, 0.7 * x1) if stop.x_m is None else stop.x_m
        cy = rng.uniform(0.5 * y0, 0.5 * y1) if stop.y_m is None else stop.y_m
        slope = math.tan(math.radians(made.repose_deg)) * (0.25 if kind == "spread" else rng.uniform(0.6, 1.0))
        blunt = rng.uniform(0.1, 0.4)
        z = -slope * np.sqrt(((x - cx) / rng.uniform(1.0, 1.5)) ** 2 + (y - cy) ** 2 + blunt**2)
        z += correlated_noise(rng, field, 0.5) * rng.uniform(0.01, 0.04)
        for size, cover, low, flat in ((made.bag_m, 0.5, 0.45, (0.35, 0.8)), (made.lump_m, 0.3, 0.25, (0.3, 1.0))):
            if size > 0.0:
                cover_with(z, field, scatter(rng, field, size, cover, low=low, flat=flat), rng)
        for length, share in ((0.25, 0.6), (0.08, 0.6), (0.03, 0.5)):
            z += correlated_noise(rng, field, length) * made.roughness_m * share
        return z, envelope_m(made, self._bed, x, y)

    def _check_room(self, below: Floats, most: Floats, volume_m3: float) -> None:
        room = self._between_m3(np.maximum(below, most), below)
        if room < volume_m3:
            raise SceneError(f"stop: found {volume_m3:.2f} m3 to add, expected at most the {room:.2f} that fit")

    def _raised(self, below: Floats, shape: Floats, most: Floats, volume_m3: float) -> Floats:
        """The old surface with so much of the heap on it, by bisection of the heap's level."""

        def raised(level: float) -> Floats:
            return np.maximum(below, np.minimum(shape + level, most))

        low, high = float(-np.max(shape)) - 2.0, float(-np.min(shape)) + 5.0
        for _ in range(40):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._between_m3(raised(middle), below) < volume_m3 else (low, middle)
        return raised(high)

    def _between_m3(self, upper: Floats, lower: Floats) -> float:
        """Volume between two surfaces over the bed, from the heights at the nodes."""
        ground = np.maximum(lower, self._empty)
        return self._field.dx_m * self._field.dy_m * float(np.sum(np.maximum(upper, ground) - ground))

    def _material(self, stop: StopScene) -> tuple[float, float]:
        """Bulk density as loaded and wet mass fraction."""
        rng, made = self._rng, self._day.material
        wet = float(rng.uniform()) if stop.wet_mass_fraction is None else stop.wet_mass_fraction
        dry_kg_m3 = made.dry_bulk_density_kg_m3 * math.exp(made.dry_log_std * rng.normal())
        wet_kg_m3 = made.wet_bulk_density_kg_m3 * math.exp(made.wet_log_std * rng.normal())
        return 1.0 / (wet / wet_kg_m3 + (1.0 - wet) / dry_kg_m3), wet
