"""What many loads of a truck tell of it: whether its scale or its sensor drifts (docs/scale.md)."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import sqlalchemy as sa

from volest.errors import InputError
from volest.serve.problems import ProblemError
from volest.serve.tables import loads, trucks

__all__ = ["watch_drift"]

Service = Any  # volest.serve.service.Service, which stands above

EVERY_S = 30.0
LEAST_LOADS, MOST_LOADS = 40, 5000
AGAIN = 20  # loads more, or a tenth more
NUMBERS = ("volume_m3", "volume_m3_std", "net_mass_kg", "net_mass_kg_std")
_log = logging.getLogger("volest.serve")


async def watch_drift(service: Service) -> None:
    """Look after each truck that has enough loads more than when it was looked after last."""
    while True:
        await asyncio.sleep(EVERY_S)
        for row, count in await service.store.reading(_due):
            try:
                await _look(service, row, count)
            except (ProblemError, InputError) as error:
                _log.info("drift of truck %s: %s", row.truck_id, error)
                await _note(service, row.truck_id, None, count)


def _due(connection: sa.Connection) -> list[tuple[Any, int]]:
    query = sa.select(loads.c.truck_id, sa.func.count().label("n")).where(loads.c.status == "ok")
    counts = {row.truck_id: row.n for row in connection.execute(query.group_by(loads.c.truck_id))}
    rows = connection.execute(sa.select(trucks)).all()
    found = [(row, counts.get(row.truck_id, 0)) for row in rows]
    return [
        (row, n) for row, n in found if n >= LEAST_LOADS and n - row.drift_loads >= max(AGAIN, row.drift_loads // 10)
    ]


async def _look(service: Service, row: Any, count: int) -> None:
    query = sa.select(loads.c.time_us, loads.c.row).where(loads.c.truck_id == row.truck_id, loads.c.status == "ok")
    query = query.order_by(loads.c.time_us.desc()).limit(MOST_LOADS)
    found = await service.store.reading(lambda c: c.execute(query).all())
    told = [(entry.time_us * 1e-6, *(json.loads(entry.row)[name] for name in NUMBERS)) for entry in found]
    told = [entry for entry in told if None not in entry]
    columns = [list(column) for column in zip(*told, strict=True)] or [[]] * 5
    names = ("time_s", "volume_m3", "volume_std_m3", "net_kg", "net_std_kg")
    task = {"kind": "drift", "series": dict(zip(names, columns, strict=True)), "bed_m": json.loads(row.told)["bed_m"]}
    answer = await service.crew.do(task | {"names": []}, urgent=False)
    await _note(service, row.truck_id, answer, count)


async def _note(service: Service, truck_id: str, answer: Any, count: int) -> None:
    values = {"drift": None if answer is None else json.dumps(answer), "drift_loads": count}
    change = sa.update(trucks).where(trucks.c.truck_id == truck_id).values(values)
    await service.store.writing(lambda c: c.execute(change))
