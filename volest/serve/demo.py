"""Simulated trucks that arrive: two weeks of them at once, then a load every two seconds, each estimated in earnest."""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volest.demo import data_sets
from volest.serve.intake import Part
from volest.serve.measuring import Told, measure
from volest.serve.routes.trucks import register
from volest.serve.security import Who

if TYPE_CHECKING:
    from volest.serve.crew import Aside

__all__ = ["run"]

Service = Any  # volest.serve.service.Service, which stands above

TRUCKS = ("half-full-overhead", "heaped-front-mast", "two-sensors-wet")
DISTRICTS = {  # of Balikpapan: about where they are
    "Balikpapan Kota": (-1.272, 116.833),
    "Balikpapan Tengah": (-1.243, 116.838),
    "Balikpapan Selatan": (-1.243, 116.872),
    "Balikpapan Utara": (-1.190, 116.853),
    "Balikpapan Barat": (-1.205, 116.805),
}
SOURCES = ("household", "household", "market", "commerce", "office")
DAYS, TRIPS = 14, 3
EVERY_S, LATER_S = 2.0, 60.0
MANY = 1500  # loads, after which they come more slowly: each keeps its scan
SCATTER_DEG = 0.008
_WHO = Who("demo", "operator", "127.0.0.1")


async def run(service: Service) -> None:
    """Until the service ends."""
    trucks = [await _registered(service, name) for name in TRUCKS]
    seed = 0
    async with service.crew.aside() as rehearse:
        for when, truck in _history(service, trucks):
            await _arrive(service, rehearse, truck, when, seed)
            seed += 1
        loop = asyncio.get_running_loop()
        while True:
            next_s = loop.time() + (EVERY_S if seed < MANY else LATER_S)
            await _arrive(service, rehearse, trucks[seed % len(trucks)], None, seed)
            seed += 1
            await asyncio.sleep(max(0.0, next_s - loop.time()))


async def _registered(service: Service, name: str) -> tuple[str, Path]:
    """The id and the file of a truck of the data sets that come with the package."""
    with data_sets() as folders:
        folder = next(folder for folder in folders if folder.name == name)
        files = [folder / "truck.toml", *folder.glob("empty*.npz")]
        main, *beside = [_part(service, path, path.name) for path in files]
    told, _ = await register(service, _WHO, main, beside)
    _, path = await service.fleet.find(told["truck_id"])
    return told["truck_id"], path


def _part(service: Service, source: Path, name: str) -> Part:
    """A file as if it had been sent."""
    path = service.incoming / f"{secrets.token_hex(16)}{source.suffix}"
    shutil.copyfile(source, path)
    return Part("file", name, path, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def _history(service: Service, trucks: list[tuple[str, Path]]) -> Iterator[tuple[datetime, tuple[str, Path]]]:
    """When each truck came to the scanner on the days before this one, in order."""
    rng, today = random.Random(0), datetime.now(service.settings.timezone).date()  # noqa: S311  # a demo's times
    for day in (today - timedelta(days=back) for back in range(DAYS, 0, -1)):
        begun = datetime.combine(day, time(7), service.settings.timezone)
        trips = [(begun + timedelta(minutes=rng.uniform(0, 600)), truck) for truck in trucks for _ in range(TRIPS)]
        yield from sorted(trips, key=lambda trip: trip[0])


async def _arrive(service: Service, rehearse: Aside, truck: tuple[str, Path], when: datetime | None, seed: int) -> None:
    """One load: drawn, scanned, weighed; then measured as any other."""
    truck_id, truck_file = truck
    task = {"kind": "rehearse", "truck": str(truck_file), "seed": seed, "output": str(service.incoming), "names": []}
    told = await rehearse(task)
    frames = [(sensor, _as_sent(Path(path), f"{sensor}.npz")) for sensor, path in told["scans"]]
    rng = random.Random(seed)  # noqa: S311
    district = rng.choice(list(DISTRICTS))
    lat, lon = (middle + rng.gauss(0.0, SCATTER_DEG) for middle in DISTRICTS[district])
    load = Told(
        truck_id=truck_id,
        time_us=None if when is None else round(when.timestamp() * 1e6),
        district=district,
        source=rng.choice(SOURCES),
        lat=round(lat, 5),
        lon=round(lon, 5),
        gross_kg=told["gross_kg"],
    )
    await measure(service, _WHO, load, frames, None, origin="demo", urgent=False)


def _as_sent(path: Path, name: str) -> Part:
    return Part("scan", name, path, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
