"""What takes longer than a request: many loads, a truck's commissioning. One at a time, and again after a restart."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from volest.errors import InputError
from volest.serve.intake import Part
from volest.serve.measuring import Told, measure
from volest.serve.problems import ProblemError
from volest.serve.security import Who, now_us, record
from volest.serve.tables import jobs, trucks
from volest.serve.times import shown_time

__all__ = ["Jobs", "job_document"]

Service = Any  # volest.serve.service.Service, which stands above

TOGETHER = 4  # loads of a job that are on their way at once
_log = logging.getLogger("volest.serve")


def job_document(row: Row[Any]) -> dict[str, Any]:
    """A Job."""
    told = {name: row._mapping[name] for name in ("job_id", "kind", "state", "done", "total")}
    parsed = {name: json.loads(text) if (text := row._mapping[name]) else None for name in ("problem", "result")}
    return told | parsed | {"created": shown_time(row.created_us)}


class Jobs:
    """The jobs of a service, of each kind one after the other. What a job needs is in the store before it is told."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._news = {"loads": asyncio.Event(), "commission": asyncio.Event()}

    async def create(self, who: Who, kind: str, order: Any, total: int) -> str:
        """A new job's id; committed."""
        job_id = secrets.token_hex(8)
        values = {"job_id": job_id, "kind": kind, "state": "queued", "done": 0, "total": total, "sender": who.name}
        values |= {"order": json.dumps(order), "created_us": now_us()}

        def write(connection: Connection) -> None:
            connection.execute(sa.insert(jobs).values(values))
            record(connection, who, f"job {kind}", job_id)

        await self._service.store.writing(write)
        self._news[kind].set()
        return job_id

    async def run(self, kind: str) -> None:
        """Do what waits of a kind, the oldest first."""
        states = ("queued", "running")  # what was running when the service ended
        query = sa.select(jobs).where(jobs.c.kind == kind, jobs.c.state.in_(states)).order_by(jobs.c.created_us)
        while True:
            self._news[kind].clear()
            row = await self._service.store.reading(lambda c: c.execute(query.limit(1)).one_or_none())
            if row is None:
                await self._news[kind].wait()
                continue
            await self._do(row)

    async def _do(self, row: Row[Any]) -> None:
        await self._change(row.job_id, state="running")
        kinds: dict[str, Callable[..., Any]] = {"loads": self._loads, "commission": self._commission}
        try:
            result = await kinds[row.kind](row, json.loads(row.order))
        except (ProblemError, InputError) as error:
            await self._change(row.job_id, state="failed", problem=json.dumps(_problem(error)))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _log.error("job %s", row.job_id, exc_info=error)
            told = {"status": 500, "detail": f"unforeseen: {type(error).__name__}"}
            await self._change(row.job_id, state="failed", problem=json.dumps(told))
        else:
            await self._change(row.job_id, state="done", result=json.dumps(result))

    async def _change(self, job_id: str, **values: Any) -> None:
        change = sa.update(jobs).where(jobs.c.job_id == job_id).values(values)
        await self._service.store.writing(lambda c: c.execute(change))

    async def _loads(self, row: Row[Any], order: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each load of a manifest; one that cannot be measured stops no other."""
        who, outcomes = Who(row.sender, "operator", ""), []
        for at in range(0, len(order), TOGETHER):
            some = order[at : at + TOGETHER]
            outcomes += await asyncio.gather(*(self._load(who, entry) for entry in some))
            await self._change(row.job_id, done=len(outcomes))
        return outcomes

    async def _load(self, who: Who, entry: dict[str, Any]) -> dict[str, Any]:
        told = Told(**entry["told"])
        try:
            frames = [(sensor, await self._part(kept, name)) for sensor, kept, name in entry["scans"]]
            weight = await self._part(*entry["weight"]) if entry["weight"] else None
            stored, new = await measure(self._service, who, told, frames, weight, urgent=False)
        except (ProblemError, InputError) as error:
            return {"load_id": told.load_id, "problem": _problem(error)}
        return {"load_id": stored.load_id, "status": stored.status, "new": new}

    async def _part(self, kept: str, name: str) -> Part:
        service = self._service
        path = await asyncio.get_running_loop().run_in_executor(service.files, service.scans.path, kept)
        if path is None:
            raise ProblemError(503, f"{name}: is not to be had from the store")
        return Part("scan", name, path, kept.partition(".")[0])

    async def _commission(self, row: Row[Any], order: dict[str, Any]) -> dict[str, Any]:
        """A truck.volest from scans of the empty bed, which is the truck's from then on."""
        service, truck_id = self._service, order["truck_id"]
        loop = asyncio.get_running_loop()
        truck = await service.fleet.file(order["version"])
        parts = [(sensor, await self._part(kept, name)) for sensor, kept, name in order["scans"]]
        output = service.incoming / f"{secrets.token_hex(16)}.volest"
        scans = [(sensor, str(part.path), part.name) for sensor, part in parts]
        task: dict[str, Any] = {"kind": "commission", "truck": str(truck), "scans": scans, "output": str(output)}
        task |= {"loads": order["loads"], "jobs": max(1, service.crew.count // 2)}
        task |= {"names": [(path, name) for _, path, name in scans]}
        progress = {"done": 0}
        reporter = loop.create_task(self._tell(row.job_id, progress))
        try:
            async with service.crew.aside() as do:
                summary: dict[str, Any] = await do(task, lambda done, _: progress.update(done=done))
        finally:
            reporter.cancel()
        await self._take(Who(row.sender, "operator", ""), truck_id, truck.parent, output)
        await self._change(row.job_id, done=order["loads"])
        return summary

    async def _tell(self, job_id: str, progress: dict[str, int]) -> None:
        told = 0
        while True:
            await asyncio.sleep(1.0)
            if progress["done"] != told:
                told = progress["done"]
                await self._change(job_id, done=told)

    async def _take(self, who: Who, truck_id: str, folder: Path, output: Path) -> None:
        """Register what was learned, with the files beside the truck's own that it still names."""
        from volest.serve.routes.trucks import register

        service = self._service
        query = sa.select(trucks.c.told).where(trucks.c.truck_id == truck_id)
        beside = json.loads((await service.store.reading(lambda c: c.execute(query).one())).told)["beside"]
        copies = []
        for name in beside:
            copy = service.incoming / f"{secrets.token_hex(16)}{Path(name).suffix}"
            copy.write_bytes((folder / name).read_bytes())
            copies.append(_part_of("file", name, copy))
        await register(service, who, _part_of("truck", "truck.volest", output), copies, truck_id)


def _part_of(field: str, name: str, path: Path) -> Part:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(field, name, path, digest, os.path.getsize(path))


def _problem(error: ProblemError | InputError) -> dict[str, Any]:
    if isinstance(error, ProblemError):
        return {"status": error.status, "detail": error.detail} | ({"place": error.place} if error.place else {})
    return {"status": 422, "detail": str(error)}
