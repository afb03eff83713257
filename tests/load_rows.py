"""A year of loads of some trucks as a dataset of results, whose true totals are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volest.rows import BUDGET, schema

DISTRICTS = {
    "Balikpapan Kota": (-1.275, 116.83, "household"),
    "Balikpapan Selatan": (-1.255, 116.87, "market"),
    "Balikpapan Utara": (-1.190, 116.86, "household"),
    "Balikpapan Timur": (-1.215, 116.98, "household"),
    "Balikpapan Barat": (-1.205, 116.80, "commerce"),
    "Balikpapan Tengah": (-1.240, 116.84, "market"),
}
STRUCK_M3 = 11.47
PARTS = {"hidden": 0.10, "pose": 0.05, "reference": 0.05, "range": 0.03, "surface": 0.04}  # m3, 1-sigma
SHARED = {"hidden": 0.5, "pose": 0.9, "reference": 0.95, "range": 1.0, "surface": 0.38}  # of the variance, drawn so
REJECTIONS = ("no_points", "sensor_moved", "tarp", "unreadable")
OFFSET_MIN = 480  # Balikpapan's clocks


@dataclass(frozen=True)
class Year:
    """Columns of a dataset, one value a load, and what is true of each load."""

    table: pa.Table
    day: NDArray[np.int64]  # since the first
    truck: NDArray[np.int64]
    volume_m3: NDArray[np.float64]
    mass_kg: NDArray[np.float64]
    wet: NDArray[np.float64]
    counted: NDArray[np.bool_]  # not rejected, not residue
    first: date

    def write_one(self, directory: Path) -> Path:
        """All of it as one part, of no known day: quick, where days do not matter."""
        folder = directory / "date=none" / "truck=many"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.table, folder / "part-0.parquet", write_page_checksum=True)
        return directory

    def write(self, directory: Path) -> Path:
        """As `volest batch` keeps it: date=.../truck=.../part-....parquet."""
        ids = self.table.column("truck_id").to_pylist()
        order = np.lexsort((self.truck, self.day))
        cuts = np.flatnonzero(np.diff(self.day[order]) | np.diff(self.truck[order])) + 1
        table = self.table.take(pa.array(order))
        for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
            first = order[begin]
            day = self.first + timedelta(days=int(self.day[first]))
            folder = directory / f"date={day}" / f"truck={quote(ids[first], safe='')}"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                table.slice(begin, end - begin), folder / "part-0.parquet", compression="zstd", write_page_checksum=True
            )
        return directory


def draw_year(
    seed: int,
    *,
    trucks: int = 10,
    days: int = 365,
    trips: int = 4,
    version: str = "0.1.0",
    first: date = date(2026, 1, 1),
    truck_ids: list[str] | None = None,
    rejected: float = 0.03,
) -> Year:
    """So many trips a day of each truck, with errors whose common part is the same all year.

    Truth and errors are drawn apart: two versions of one seed have the same loads and other errors.
    """
    rng, errors = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2, len(version), *version.encode()])
    n = trucks * days * trips
    index = np.arange(n)
    truck, day, trip = index % trucks, index // (trucks * trips), index // trucks % trips
    residue = rng.random(n) < 0.04
    volume = np.where(residue, rng.uniform(0.02, 0.2, n), STRUCK_M3 * rng.uniform(0.3, 1.15, n))
    wet = rng.beta(6.0, 4.0, n)
    mass = volume * np.exp(rng.normal(np.log(190 + 260 * wet), 0.1))
    place = (truck + trip) % len(DISTRICTS)
    lost = rng.random(n) < rejected
    columns = _measured(errors, volume, mass, wet, truck, trucks)
    names = list(DISTRICTS)
    centre = np.array([DISTRICTS[name][:2] for name in names])[place]
    where = centre + rng.normal(0.0, 0.012, (n, 2))
    start = np.datetime64(first, "us") - np.timedelta64(OFFSET_MIN, "m")
    time = start + day * np.timedelta64(1, "D") + ((6.0 + 2.5 * trip + rng.uniform(0, 2, n)) * 3.6e9).astype("m8[us]")
    reason = rng.integers(0, len(REJECTIONS), n)
    flags = [_flags(lost[i], residue[i], REJECTIONS[reason[i]]) for i in range(n)]
    ids = truck_ids or [f"KT-{8100 + k}-AB" for k in range(trucks)]
    columns |= {
        "load_id": pa.array(np.char.add("L", np.char.zfill(index.astype(str), 8)).tolist()),
        "truck_id": pa.array([ids[k] for k in truck]),
        "status": pa.array(np.where(lost, "rejected", np.where(index % 50 == 7, "degraded", "ok")).tolist()),
        "flags": pa.array(flags, pa.list_(pa.string())),
        "reasons": pa.array([[]] * n, pa.list_(pa.string())),
        "time": pa.array(time, pa.timestamp("us", tz="UTC")),
        "utc_offset_min": pa.array(np.full(n, OFFSET_MIN, np.int32)),
        "lat": pa.array(where[:, 0]),
        "lon": pa.array(where[:, 1]),
        "district": pa.array([names[k] for k in place]),
        "source": pa.array([DISTRICTS[names[k]][2] for k in place]),
        "seen_fraction": pa.array(rng.uniform(0.8, 1.0, n)),
        "max_gross_kg": pa.array(np.full(n, 8900.0)),
        "engine_version": pa.array([version] * n),
        "engine_sha256": pa.array(["0" * 64] * n),
    }
    fields = schema()
    kept = [field.name for field in fields if field.name.startswith(("volume", "net", "bulk", "wet", "heaped", "fill"))]
    for name in [*kept, "waste_class", "seen_fraction"]:
        columns[name] = pc.if_else(pa.array(lost), pa.scalar(None, fields.field(name).type), columns[name])
    filled = [columns.get(field.name, pa.nulls(n, field.type)) for field in fields]
    table = pa.table([column.cast(field.type) for column, field in zip(filled, fields, strict=True)], schema=fields)
    return Year(table, day, truck, volume, mass, wet, ~lost & ~residue, first)


def _measured(
    rng: np.random.Generator,
    volume: NDArray[np.float64],
    mass: NDArray[np.float64],
    wet: NDArray[np.float64],
    truck: NDArray[np.int64],
    trucks: int,
) -> dict[str, pa.Array]:
    """What the engine would say of these loads: values off by errors of the told size, partly common to a truck."""
    n = len(volume)
    seen, stds = volume.copy(), {}
    for part in BUDGET:
        stds[part] = PARTS[part] * rng.uniform(0.5, 1.5, n)
        shared, own = rng.normal(size=trucks)[truck], rng.normal(size=n)
        seen += stds[part] * (np.sqrt(SHARED[part]) * shared + np.sqrt(1.0 - SHARED[part]) * own)
    seen = np.maximum(seen, 0.0)
    std = np.sqrt(sum(s**2 for s in stds.values()))
    gain, tare, reading = 0.01, 20.0, 5.0
    net = mass * (1.0 + gain * rng.normal(size=trucks)[truck]) + tare * rng.normal(size=trucks)[truck]
    net = np.maximum(net + reading * rng.normal(size=n), 0.0)
    net_std = np.sqrt((gain * net) ** 2 + tare**2 + reading**2)
    told = np.clip(wet + 0.06 * rng.normal(), 0.0, 1.0)
    density = net / np.maximum(seen, 1e-6)
    density_std = density * np.hypot(std / np.maximum(seen, 0.05), net_std / np.maximum(net, 10.0))
    quantities = {
        "volume_m3": (seen, std),
        "net_mass_kg": (net, net_std),
        "bulk_density_kg_m3": (density, density_std),
        "wet_mass_fraction": (told, np.full(n, 0.06)),
    }
    columns = {}
    for name, (value, spread) in quantities.items():
        columns |= {name: pa.array(value), f"{name}_std": pa.array(spread)}
        columns |= {f"{name}_lower95": pa.array(np.maximum(value - 1.96 * spread, 0.0))}
        columns |= {f"{name}_upper95": pa.array(value + 1.96 * spread)}
    columns |= {f"volume_budget_m3_{part}": pa.array(s) for part, s in stds.items()}
    columns |= {name: pa.array(np.full(n, x)) for name, x in (("scale_tare_kg", 4310.0), ("scale_tare_std_kg", tare))}
    columns |= {"scale_gain_std": pa.array(np.full(n, gain)), "struck_capacity_m3": pa.array(np.full(n, STRUCK_M3))}
    columns |= {"fill_ratio": pa.array(seen / STRUCK_M3)}
    columns |= {"heaped_volume_m3": pa.array(np.maximum(seen - STRUCK_M3, 0.0))}
    classes = np.where(told >= 0.6, "wet", np.where(told <= 0.4, "dry", "mixed"))
    return columns | {"waste_class": pa.array(classes.tolist())}


def _flags(lost: bool, residue: bool, reason: str) -> list[str]:
    return [reason] if lost else ["carry_back"] if residue else []
