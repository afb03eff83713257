"""A truck's day that is to be simulated: its document and structs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from volest.errors import SceneError
from volest.simulate.scene import (
    BedScene,
    LoadScene,
    NotNegative,
    Scene,
    SensorScene,
    Share,
    WeightScene,
    read_document,
    structured,
)

__all__ = [
    "DayMaterial",
    "DayScene",
    "LimitsScene",
    "RouteScene",
    "StopScene",
    "TripScene",
    "day_from_dict",
    "load_day",
]

Positive = Annotated[float, Meta(gt=0)]
Range = tuple[NotNegative, NotNegative]
HeapKind = Literal["", "heap", "bags", "spread"]


class _Table(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the document: unknown keys are errors."""


class StopScene(_Table, frozen=True, kw_only=True):
    """What is added at a stop; what is not told is drawn."""

    volume_m3: Positive | None = None
    wet_mass_fraction: Share | None = None
    kind: HeapKind = ""
    x_m: float | None = None  # where it is thrown, bed frame
    y_m: float | None = None


class TripScene(_Table, frozen=True, kw_only=True):
    """From the depot or the landfill over some stops to the landfill: `stop` tells them, or `stops` how many."""

    stops: Annotated[int, Meta(ge=1, le=200)] = 5
    stop: tuple[StopScene, ...] = ()
    fill_ratio: Annotated[float, Meta(gt=0, le=1.5)] = 0.8  # of struck capacity: all that is added and not told


class RouteScene(_Table, frozen=True, kw_only=True):
    """Driving, and what it does. Ranges are drawn from evenly."""

    depot_deg: tuple[Annotated[float, Meta(ge=-85, le=85)], Annotated[float, Meta(ge=-180, le=180)]] = (-7.0, 110.0)
    start_s: NotNegative = 21_600.0
    leg_km: Range = (0.4, 2.0)  # from stop to stop
    landfill_km: Range = (4.0, 9.0)
    speed_m_s: Positive = 8.0
    settling: Range = (0.005, 0.035)  # by which part the load sinks on each leg
    loading_s: Range = (60.0, 150.0)
    carry_back: Range = (0.0, 0.025)  # of struck capacity
    scans_while_loading: Annotated[int, Meta(ge=0, le=10)] = 0
    scans_while_driving: Annotated[int, Meta(ge=0, le=10)] = 0
    crew_kg: NotNegative = 140.0  # off the truck while it is loaded
    fuel_kg_per_km: NotNegative = 0.35
    fuel_kg_per_h: NotNegative = 2.5  # also while it stands
    gps_period_s: Positive = 2.0
    gps_gap_rate: Share = 0.05
    weight_clock_s: float = 0.0  # by how much the scale's clock is ahead


class DayMaterial(_Table, frozen=True, kw_only=True):
    """Bulk densities as loaded: medians and logarithmic standard deviations from stop to stop."""

    dry_bulk_density_kg_m3: Positive = 104.0
    dry_log_std: NotNegative = 0.25
    wet_bulk_density_kg_m3: Positive = 470.0
    wet_log_std: NotNegative = 0.3


class LimitsScene(_Table, frozen=True, kw_only=True):
    """What truck.toml tells of what the truck may carry."""

    max_gross_kg: Positive | None = None
    max_height_m: Positive | None = None


class DayScene(_Table, frozen=True, kw_only=True):
    """A day of one truck; everything random follows from `seed`."""

    kind: Literal["day"]
    bed: BedScene
    sensor: Annotated[tuple[SensorScene, ...], Meta(min_length=1)]
    trip: Annotated[tuple[TripScene, ...], Meta(min_length=1, max_length=20)]
    title: str = ""
    seed: Annotated[int, Meta(ge=0)] = 0
    truck_id: str = "KT-0001-SIM"
    route: RouteScene = RouteScene()
    weight: WeightScene = WeightScene(rate_hz=10.0)
    material: DayMaterial = DayMaterial()
    limits: LimitsScene | None = None
    repose_deg: Annotated[float, Meta(ge=5, le=70)] = 38.0
    roughness_m: NotNegative = 0.02
    lump_m: NotNegative = 0.2
    bag_m: NotNegative = 0.5  # of stops of kind bags
    reference: bool = True
    format: Literal["pcd", "npz"] = "npz"
    point_step_m: NotNegative = 0.0009765625  # 1/1024
    crop_m: NotNegative = 5.0

    def load(self, kind: HeapKind) -> LoadScene:
        """What a heap of this kind is made of."""
        bag = self.bag_m if kind == "bags" else 0.0
        lump = self.lump_m if kind != "spread" else 0.5 * self.lump_m
        return LoadScene(
            kind="rough", repose_deg=self.repose_deg, roughness_m=self.roughness_m, lump_m=lump, bag_m=bag, cover=0.5
        )

    def still(self) -> Scene:
        """The scene of the empty truck."""
        return Scene(
            bed=self.bed,
            load=LoadScene(kind="none"),
            sensor=self.sensor,
            seed=self.seed,
            truck_id=self.truck_id,
            weight=self.weight,
            reference=self.reference,
            format=self.format,
            point_step_m=self.point_step_m,
            crop_m=self.crop_m,
        )


def load_day(path: str | Path) -> DayScene:
    """Read and check a day's document; SceneError names the file, the key, what was found and what was expected."""
    return day_from_dict(read_document(path), str(path))


def day_from_dict(raw: dict[str, object], source: str = "day") -> DayScene:
    """A day from nested dicts, as TOML gives them."""
    scene = structured(raw, DayScene, source)
    for name in ("leg_km", "landfill_km", "settling", "loading_s", "carry_back"):
        low, high = getattr(scene.route, name)
        if low > high:
            raise SceneError(f"{source}: route.{name}: found {low:g} to {high:g}, expected the lesser first")
    if scene.route.settling[1] > 0.2 or scene.route.carry_back[1] > 0.2:
        raise SceneError(f"{source}: route: found settling or carry_back above 0.2, expected less")
    if scene.weight.kind != "series":
        raise SceneError(f"{source}: weight.kind: found {scene.weight.kind!r}, expected 'series'")
    return scene
