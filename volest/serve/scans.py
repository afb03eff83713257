"""Files that were sent, kept by the SHA-256 of what is in them: in a folder, or in a bucket.

A name is the digest and a suffix of ours, so nothing that a client calls a file reaches the file system.
"""

from __future__ import annotations

import os
import re
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any

from volest.durable import sync_folder
from volest.io import SUPPORTED_SUFFIXES
from volest.objectstore import filesystem, protocol_of

__all__ = ["SUFFIXES", "Scans", "move_in"]

SUFFIXES = frozenset((*SUPPORTED_SUFFIXES, ".toml", ".volest", ".json", ".dbc", ".log", ".asc", ".blf", ".obj", ".stl"))
NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,8}\Z")


def move_in(file: Path, place: Path) -> None:
    """Move a file to its place, synced; away, if there is one like it."""
    if not place.exists():
        place.parent.mkdir(exist_ok=True)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        os.replace(file, place)
        sync_folder(place.parent)
    elif file != place:
        file.unlink()


class Scans:
    """Where they are kept: a folder, or the URL of a bucket and a prefix in it; `folder` then holds copies."""

    def __init__(self, place: str | None, folder: Path) -> None:
        self._folder = folder
        is_remote = place is not None and protocol_of(place) != ""
        self._bucket = place.rstrip("/") if is_remote and place is not None else None
        if place is not None and not is_remote:
            self._folder = Path(place)
        self._folder.mkdir(parents=True, exist_ok=True)

    def keep(self, file: Path, name: str) -> None:
        """Take a file in, synced; it is moved away. OSError where there is no room."""
        if self._bucket is not None and not self._place(name).exists():
            self._files.put_file(str(file), self._url(name))
        move_in(file, self._place(name))

    def place(self, name: str) -> Path | None:
        """Where `move_in` keeps a file of that name; None where it goes to a bucket first."""
        return self._place(name) if self._bucket is None else None

    def path(self, name: str) -> Path | None:
        """A local file with the content; None where there is none (any more)."""
        place = self._place(name)
        if place.exists():
            return place
        if self._bucket is None:
            return None
        place.parent.mkdir(exist_ok=True)
        coming = place.with_name(f".{secrets.token_hex(8)}")
        try:
            self._files.get_file(self._url(name), str(coming))
            os.replace(coming, place)
        except FileNotFoundError:
            return None
        finally:
            coming.unlink(missing_ok=True)
        return place

    @cached_property
    def _files(self) -> Any:
        assert self._bucket is not None
        return filesystem(self._bucket)

    def _place(self, name: str) -> Path:
        if not NAME.match(name):
            raise ValueError(f"{name!r} is no name of a kept file")
        return self._folder / name[:2] / name

    def _url(self, name: str) -> str:
        return f"{self._bucket}/{name[:2]}/{name}"
