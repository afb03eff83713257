"""The trucks that the service knows, each version of a truck's files in a folder named after what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from volest.errors import TruckError
from volest.schema import read_toml
from volest.serve.intake import Part
from volest.serve.problems import ProblemError
from volest.serve.scans import Scans
from volest.serve.security import Who, now_us, record
from volest.serve.store import Store
from volest.serve.tables import truck_versions, trucks

__all__ = ["Fleet"]

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
SENSOR = re.compile(r"[A-Za-z0-9_-]+=")


class Fleet:
    """Trucks in the store, and where their files lie for those who read them."""

    def __init__(self, store: Store, scans: Scans, folder: Path) -> None:
        self._store, self._scans, self._folder = store, scans, folder
        self._current: dict[str, tuple[str, Path]] = {}
        folder.mkdir(exist_ok=True)

    async def find(self, truck_id: str) -> tuple[str, Path]:
        """Version and truck file of a truck as it is now; ProblemError 422 where there is none."""
        if truck_id not in self._current:
            row = await self._store.reading(
                lambda c: c.execute(sa.select(trucks.c.version).where(trucks.c.truck_id == truck_id)).one_or_none()
            )
            if row is None:
                raise ProblemError(
                    422, f"truck_id: found {truck_id[:100]!r}, which is no truck of this service", place="truck_id"
                )
            self._current[truck_id] = (row.version, await self.file(row.version))
        return self._current[truck_id]

    async def file(self, version: str) -> Path:
        """The truck file of a version, fetched where it is not here."""
        row = await self._store.reading(
            lambda c: c.execute(sa.select(truck_versions).where(truck_versions.c.version == version)).one()
        )
        folder = self._folder / version
        if not folder.exists():
            self._lay_out(folder, json.loads(row.files))
        return folder / str(row.main)

    def _lay_out(self, folder: Path, files: dict[str, str]) -> None:
        coming = Path(tempfile.mkdtemp(dir=self._folder, prefix=".new-"))
        for name, kept in files.items():
            source = self._scans.path(kept)
            if source is None:
                raise ProblemError(503, "a file of this truck is not to be had", retry_after_s=60)
            shutil.copyfile(source, coming / name)
        os.replace(coming, folder)

    def take(self, main: Part, beside: Iterable[Part]) -> tuple[str, Path, str, dict[str, str]]:
        """A new version from files that were sent: its name, its truck file, that one's name and all files by name.

        A truck.toml may name those files alone, by plain names.
        """
        named = {part.name: part for part in beside}
        for name in named:
            if not PLAIN_NAME.match(name):
                raise ProblemError(
                    422, f"file: found the name {name!r}, expected letters, digits and _ . -", place="file"
                )
        name = "truck.volest" if main.path.suffix == ".volest" else "truck.toml"
        if main.path.suffix == ".toml":
            _check_names(main, named)
        named = {key: part for key, part in named.items() if key != name} | {name: main}
        files = {key: part.kept for key, part in sorted(named.items())}
        version = hashlib.sha256(json.dumps([name, files], sort_keys=True).encode()).hexdigest()
        for part in named.values():
            self._scans.keep(part.path, part.kept)
        folder = self._folder / version
        if not folder.exists():
            self._lay_out(folder, files)
        return version, folder / name, name, files

    def register(
        self, connection: Connection, who: Who, truck_id: str, version: str, name: str, files: dict[str, str], told: Any
    ) -> bool:
        """Make a version that of its truck from now on; whether the truck is new."""
        known = connection.scalar(sa.select(truck_versions.c.version).where(truck_versions.c.version == version))
        if known is None:
            values = {"version": version, "truck_id": truck_id, "created_us": now_us(), "main": name}
            connection.execute(sa.insert(truck_versions).values(values | {"files": json.dumps(files)}))
        changed = {"version": version, "registered_us": now_us(), "told": msgspec.json.encode(told).decode()}
        where = trucks.c.truck_id == truck_id
        old = connection.scalar(sa.select(trucks.c.truck_id).where(where))
        if old is None:
            connection.execute(sa.insert(trucks).values(truck_id=truck_id, **changed))
        else:
            connection.execute(sa.update(trucks).where(where).values(changed))
        record(connection, who, "put truck", truck_id)
        return old is None

    def forget(self, truck_id: str) -> None:
        """Look a truck up anew."""
        self._current.pop(truck_id, None)


def _check_names(main: Part, named: dict[str, Part]) -> None:
    """TruckError for a name in a truck.toml that was not sent with it; nothing is opened before."""
    document = read_toml(main.path, TruckError)
    for key, name in _names(document):
        plain = SENSOR.sub("", name, count=1) if key == "bed.reference" else name
        if plain not in named:
            expected = ", ".join(named) or "none"
            raise TruckError(
                f"truck.toml: {key}: found {plain[:100]!r}, expected a file of the same request: {expected}"
            )


def _names(document: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """What a truck.toml calls files."""
    bed, scale = document.get("bed"), document.get("scale")
    reference = bed.get("reference") if isinstance(bed, dict) else None
    for name in [reference] if isinstance(reference, str) else reference if isinstance(reference, list) else []:
        yield "bed.reference", str(name)
    for table, key in (("can", "dbc"), ("indicator", "file")):
        inner = scale.get(table) if isinstance(scale, dict) else None
        if isinstance(inner, dict) and key in inner:
            yield f"scale.{table}.{key}", str(inner[key])
