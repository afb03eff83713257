"""From a day's document to scans, weights, positions and the true ledger, all in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest.pointcloud import PointCloud
from volest.pose import Pose
from volest.simulate.bedshape import BedShape
from volest.simulate.cargo import Cargo, Parcel
from volest.simulate.dayscene import DayScene, StopScene, TripScene
from volest.simulate.heightfield import HeightField
from volest.simulate.record import rpy_deg, truck_table
from volest.simulate.ride import Ride
from volest.simulate.scene import MaterialScene, scene_to_dict
from volest.simulate.sensor import FixedErrors
from volest.simulate.simulation import scan, told_pose
from volest.simulate.world import World

__all__ = ["SimulatedDay", "TakenScan", "simulate_day"]

STEADY_S = 15.0  # that the crew sits in the truck before it drives and after it came
TIPPING_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class TakenScan:
    """One sweep, in the sensor's frame."""

    time_s: float
    sensor: str
    cloud: PointCloud


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedDay:
    """A simulated day; `truck`, `truth`: what truck.toml and truth.json say."""

    scene: DayScene
    truck: dict[str, Any]
    scans: list[TakenScan]
    empty_scans: dict[str, PointCloud]
    weight: NDArray[np.float64]  # (N, 2): time_s, gross_kg
    positions: NDArray[np.float64]  # (N, 4): time_s, lat, lon, speed_m_s
    truth: dict[str, Any]


def simulate_day(scene: DayScene) -> SimulatedDay:
    """The day from leaving the depot to coming back; the same scene gives the same numbers."""
    day = _Day(scene)
    day.stand_at_depot()
    for trip in scene.trip:
        for stop, volume_m3 in day.planned(trip):
            day.drive(scene.route.leg_km)
            day.halt(stop, volume_m3)
        day.drive(scene.route.landfill_km)
        day.tip()
    day.drive(scene.route.landfill_km)
    day.stand_at_depot()
    return day.finished()


@dataclass(eq=False)
class _Day:
    """A day as it goes on."""

    scene: DayScene
    scans: list[TakenScan] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        streams = (np.random.default_rng([self.scene.seed, stream]) for stream in range(20, 26))
        self.plan_rng, cargo_rng, ride_rng, self.sensor_rng, self.scan_rng, self.weight_rng = streams
        self.bed = BedShape(self.scene.bed)
        self.still, self.world = self.scene.still(), World(self.bed, None)
        self.cargo = Cargo(self.scene, self.bed, cargo_rng)
        self.ride = Ride(self.scene.route, ride_rng, time_s=self.scene.route.start_s)
        self.told: dict[str, Pose] = {}
        self.true: dict[str, Pose] = {}
        self.fixed: dict[str, FixedErrors] = {}
        for sensor in self.scene.sensor:
            pose = Pose.from_xyz_rpy_deg(sensor.pose.xyz_m, sensor.pose.rpy_deg)
            self.told[sensor.id], self.true[sensor.id] = told_pose(pose, sensor, self.sensor_rng), pose
            self.fixed[sensor.id] = FixedErrors.draw(sensor, self.sensor_rng)
        self.empty = {s.id: self._sweep(s.id, None) for s in self.scene.sensor} if self.scene.reference else {}

    def planned(self, trip: TripScene) -> list[tuple[StopScene, float]]:
        """The stops of a trip with the volume that each adds: told, or a share of what the trip shall add."""
        stops = trip.stop or (StopScene(),) * trip.stops
        shares = self.plan_rng.gamma(4.0, 1.0, len(stops))
        open_shares = sum(share for stop, share in zip(stops, shares, strict=True) if stop.volume_m3 is None)
        free = trip.fill_ratio * self.cargo.struck_m3 - sum(stop.volume_m3 or 0.0 for stop in stops)
        least = 0.05 * self.cargo.struck_m3 / len(stops)
        return [
            (stop, stop.volume_m3 or max(free * float(share) / open_shares, least))
            for stop, share in zip(stops, shares, strict=True)
        ]

    def stand_at_depot(self) -> None:
        """A minute with the crew on board, and a scan."""
        self.ride.wait(30.0)
        self.look()
        self.ride.wait(30.0)

    def drive(self, km: tuple[float, float]) -> None:
        """To the next place; the load sinks on the way."""
        begin, before = self.ride.time_s, self.cargo.parcel()
        self.ride.drive(float(self.plan_rng.uniform(*km)))
        count = self.scene.route.scans_while_driving
        for k in range(count):
            if 2 * k == count or 2 * k == count + 1:
                self._sink()
            self.look(begin + (k + 1) / (count + 1) * (self.ride.time_s - begin))
        if count < 2:
            self._sink()
        self.write("settle", begin, before)

    def halt(self, stop: StopScene, volume_m3: float) -> None:
        """A scan, the crew gets off, throws in, gets on again, another scan."""
        begin, before, route = self.ride.time_s, self.cargo.parcel(), self.scene.route
        self.ride.wait(0.7 * STEADY_S)
        self.look()
        self.ride.wait(0.3 * STEADY_S)
        self.ride.change(self.cargo.mass_kg, -route.crew_kg)
        surfaces = self.cargo.add(stop, volume_m3)
        added_kg = self.cargo.mass_kg - before.mass_kg
        seconds, looks = float(self.plan_rng.uniform(*route.loading_s)), route.scans_while_loading
        for k, surface in enumerate(surfaces):
            self.ride.wait(seconds / 3.0)
            self.ride.change(before.mass_kg + (k + 1) / 3.0 * added_kg, seconds=4.0)
            for _ in range(k * looks // 2, min((k + 1) * looks // 2, looks)):
                self.look(surface=surface)
        self.ride.change(self.cargo.mass_kg, route.crew_kg)
        self.ride.wait(STEADY_S)
        self.look()
        self.ride.wait(5.0)
        self.write("load", begin, before)

    def tip(self) -> None:
        """A scan, all slides out but the carry-back, another scan."""
        begin, before = self.ride.time_s, self.cargo.parcel()
        self.ride.wait(0.7 * STEADY_S)
        self.look()
        self.ride.wait(TIPPING_S)
        self.cargo.tip(float(self.plan_rng.uniform(*self.scene.route.carry_back)))
        self.ride.change(self.cargo.mass_kg, seconds=TIPPING_S / 3.0)
        self.ride.wait(STEADY_S + 10.0)
        self.look()
        self.ride.wait(5.0)
        self.write("tip", begin, before)

    def look(self, time_s: float | None = None, surface: HeightField | None = None) -> None:
        """A sweep of each sensor, now unless another time or surface is told."""
        at, seen = self.ride.time_s if time_s is None else time_s, surface or self.cargo.surface()
        self.scans += [TakenScan(round(at, 3), s.id, self._sweep(s.id, seen)) for s in self.scene.sensor]

    def write(self, kind: str, begin_s: float, before: Parcel) -> None:
        """An entry of the true ledger."""
        cargo, tare = self.cargo, self.scene.weight.tare_kg + self.ride.other_kg
        volume, mass = cargo.volume_m3 - before.volume_m3, cargo.mass_kg - before.mass_kg
        entry = {"kind": kind, "begin_s": begin_s, "end_s": self.ride.time_s, "volume_m3": volume, "mass_kg": mass}
        if kind == "load":
            wet = (cargo.wet_kg - before.wet_kg) / mass
            entry |= {"bulk_density_kg_m3": mass / volume, "wet_mass_fraction": wet}
        if kind == "tip":
            entry |= {"carry_back_m3": cargo.volume_m3, "carry_back_kg": cargo.mass_kg}
        on_truck = {"on_truck_m3": cargo.volume_m3, "on_truck_kg": cargo.mass_kg, "tare_kg": tare}
        self.ledger.append(entry | on_truck)

    def finished(self) -> SimulatedDay:
        """All that was written down."""
        weight, off_kg = self.ride.weights(self.scene.weight)
        for entry in self.ledger:
            entry["tare_kg"] += off_kg
        truck = truck_table(self.still, self.told)
        if self.scene.limits is not None:
            truck["limits"] = scene_to_dict(self.scene.limits)
        truth = {
            "struck_capacity_m3": self.cargo.struck_m3,
            "ledger": self.ledger,
            "sensor_pose": {
                name: {"xyz_m": pose.translation.tolist(), "rpy_deg": list(rpy_deg(pose.rotation))}
                for name, pose in self.true.items()
            },
            "scene": scene_to_dict(self.scene),
        }
        return SimulatedDay(self.scene, truck, self.scans, self.empty, weight, self.ride.positions(), truth)

    def _sink(self) -> None:
        share = float(self.plan_rng.uniform(*self.scene.route.settling))
        if self.cargo.volume_m3 > 0.0:
            self.cargo.settle(share)

    def _sweep(self, sensor_id: str, surface: HeightField | None) -> PointCloud:
        sensor = next(s for s in self.scene.sensor if s.id == sensor_id)
        wet = self.cargo.wet_kg / self.cargo.mass_kg if self.cargo.mass_kg > 0.0 else 0.0
        still = msgspec.structs.replace(self.still, material=MaterialScene(wet_mass_fraction=min(wet, 1.0)))
        pose, fixed = self.true[sensor_id], self.fixed[sensor_id]
        return scan(self.world.loaded(surface), sensor, pose, fixed, still, self.scan_rng)
