"""Jobs: told of, and begun: many loads, a truck's commissioning."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Request, Response

from volest.serve.intake import Form, Part, read_form
from volest.serve.jobs import job_document
from volest.serve.problems import ProblemError
from volest.serve.routes.answers import PROBLEMS, form, json_answer
from volest.serve.routes.loads import frames_of, told_of
from volest.serve.routes.trucks import TruckId
from volest.serve.security import Operator, Reader
from volest.serve.tables import jobs

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["jobs"], responses=PROBLEMS)
COLUMNS = ("load_id", "truck", "scans", "weight", "time", "lat", "lon", "district", "source")
TOLD: tuple[str, ...] = ("load_id", "time", "lat", "lon", "district", "source")
MOST_LOADS = 1000
LEAST_REHEARSED, REHEARSED, MOST_REHEARSED = 160, 1600, 20_000
_COMMISSION = form({"scan": "files"}, {"loads": "number"})
_LOADS = form({"manifest": "file", "scan": "files"}, {"weight": "files"})


@router.get("/jobs", summary="The latest jobs")
async def get_jobs(request: Request, _: Reader) -> Response:
    query = sa.select(jobs).order_by(jobs.c.created_us.desc()).limit(100)
    rows = await request.app.state.service.store.reading(lambda c: c.execute(query).all())
    return json_answer({"items": [job_document(row) | {"result": None} for row in rows]})


@router.get("/jobs/{job_id}", summary="How far a job is")
async def get_job(request: Request, _: Reader, job_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> Response:
    query = sa.select(jobs).where(jobs.c.job_id == job_id)
    row = await request.app.state.service.store.reading(lambda c: c.execute(query).one_or_none())
    if row is None:
        raise ProblemError(404, f"there is no job {job_id}")
    return json_answer(job_document(row))


@router.post(
    "/trucks/{truck_id}/commissions", status_code=202, openapi_extra=_COMMISSION, summary="Learn all of a truck ahead"
)
async def post_commission(request: Request, who: Operator, truck_id: TruckId) -> Response:
    service = request.app.state.service
    async with read_form(request, service.incoming) as sent:
        sent.only("loads")
        loads, frames = _rehearsed(sent.texts), frames_of(sent)
        version, _ = await service.fleet.find(truck_id)
        await _keep(service, sent)
    order = {"truck_id": truck_id, "version": version, "loads": loads}
    order |= {"scans": [(sensor, part.kept, part.name) for sensor, part in frames]}
    return await _begun(request, who, "commission", order, loads)


def _rehearsed(texts: dict[str, str]) -> int:
    told = texts.get("loads", str(REHEARSED))
    if not re.fullmatch("[0-9]{1,6}", told) or not LEAST_REHEARSED <= int(told) <= MOST_REHEARSED:
        expected = f"expected {LEAST_REHEARSED} to {MOST_REHEARSED}"
        raise ProblemError(422, f"loads: found {told[:20]!r}, {expected}", place="loads")
    return int(told)


@router.post("/jobs/loads", status_code=202, openapi_extra=_LOADS, summary="Many loads, by a manifest")
async def post_loads(request: Request, who: Operator) -> Response:
    service = request.app.state.service
    async with read_form(request, service.incoming) as sent:
        sent.only()
        order = list(_orders(sent))
        for entry in order:
            await service.fleet.find(entry["told"]["truck_id"])
        await _keep(service, sent)
    return await _begun(request, who, "loads", order, len(order))


async def _keep(service: Any, sent: Form) -> None:
    loop = asyncio.get_running_loop()
    for part in sent.files:
        await loop.run_in_executor(service.files, service.scans.keep, part.path, part.kept)


async def _begun(request: Request, who: Any, kind: str, order: Any, total: int) -> Response:
    job_id = await request.app.state.jobs.create(who, kind, order, total)
    location = f"/v1/jobs/{job_id}"
    return json_answer({"job_id": job_id, "state": "queued", "done": 0, "total": total}, 202, Location=location)


def _orders(sent: Form) -> Iterator[dict[str, Any]]:
    """What the rows of the manifest ask for; files are known by the names that they were sent by."""
    files: dict[str, Part] = {}
    for part in sent.files:
        if part.field in ("scan", "weight") and files.setdefault(part.name, part) is not part:
            raise ProblemError(422, f"{part.name}: found two files of this name, expected one", place=part.field)
    rows = _rows([part for part in sent.files if part.field == "manifest"])
    for number, row in enumerate(rows, start=2):
        try:
            yield _order({name: text for name, text in row.items() if text}, files)
        except ProblemError as error:
            raise ProblemError(422, f"manifest: line {number}: {error.detail}", place="manifest") from None


def _rows(manifests: list[Part]) -> list[dict[str, str]]:
    if len(manifests) != 1:
        raise ProblemError(422, f"manifest: found {len(manifests)}, expected one CSV", place="manifest")
    try:
        text = manifests[0].path.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(text.splitlines(), strict=True)
        rows, unknown = list(reader), set(reader.fieldnames or ()) - set(COLUMNS)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProblemError(422, f"manifest: no CSV in UTF-8 ({error})", place="manifest") from None
    if unknown or not 0 < len(rows) <= MOST_LOADS:
        expected = f"expected 1 to {MOST_LOADS} of {', '.join(COLUMNS)}"
        found = f"the columns {sorted(map(str, unknown))}" if unknown else f"{len(rows)} rows"
        raise ProblemError(422, f"manifest: found {found[:200]}, {expected}", place="manifest")
    if any(None in row for row in rows):
        raise ProblemError(422, "manifest: found a row with more cells than there are columns", place="manifest")
    return rows


def _order(row: dict[str, str], files: dict[str, Part]) -> dict[str, Any]:
    texts: dict[str, str] = {name: row[name] for name in TOLD if name in row}
    if "truck" in row:
        texts["truck_id"] = row["truck"]
    weight = row.get("weight")
    if weight is not None and weight not in files:
        texts["gross_kg"] = weight
    told = told_of(texts)
    if told.load_id is None:
        raise ProblemError(422, "load_id: missing, expected it")
    scans = []
    for text in row.get("scans", "").split():
        sensor, _, name = text.rpartition("=")
        if name not in files:
            raise ProblemError(422, f"scans: found {name[:100]!r}, which was not sent")
        scans.append((sensor, files[name].kept, name))
    if not scans:
        raise ProblemError(422, "scans: missing, expected one at least")
    return {"told": asdict(told), "scans": scans, "weight": [files[weight].kept, weight] if weight in files else None}
