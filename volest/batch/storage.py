"""Where inputs lie: local files, and objects that are fetched (s3://bucket/key), known by what tells of a change."""

from __future__ import annotations

import io
import os
import posixpath
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from volest.errors import InputError
from volest.io import select
from volest.objectstore import PROTOCOLS, filesystem, protocol_of

__all__ = ["Storage", "StorageError", "is_number", "open_file"]

MOST_KNOWN = 1 << 15
READ_BYTES = 1 << 20


class StorageError(InputError):
    """An object store that does not answer as it should; another time it may."""


class Storage:
    """The files that manifest rows name, relative to `base`: the manifest's folder, or its URL on an object store.

    `staging` is the local folder in which objects are laid, under PROTOCOL/BUCKET/KEY; what only asks needs none.
    """

    def __init__(self, base: str, staging: Path | None = None) -> None:
        self.base, self.staging = base, staging
        self._known: dict[str, str] = {}
        self._below = re.compile(rf"(?<![\w./-]){re.escape(base)}/")

    @staticmethod
    def name_of(path: str) -> str:
        """The last part of a path or URL."""
        return posixpath.basename(path.rstrip("/")) or path

    @staticmethod
    def base_of(path: str) -> str:
        """What the rows of a manifest are relative to."""
        return posixpath.dirname(path) if protocol_of(path) else str(Path(path).resolve().parent)

    def locate(self, name: str) -> str:
        """The absolute path or URL that a name in the manifest means."""
        if protocol_of(name) or os.path.isabs(name):
            return name
        if not protocol_of(self.base):
            return os.path.join(self.base, name)
        protocol, _, key = self.base.partition("://")
        return f"{protocol}://{posixpath.normpath(posixpath.join(key, name))}"

    def signature(self, name: str) -> str:
        """What changes when a file's content does: size and times, or an object's tag. Remembered until `forget`."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            place = self.locate(name)
            known = self._known[name] = _tag(place) if protocol_of(place) else _stat(place)
        return known

    def forget(self) -> None:
        """Look at the files anew."""
        self._known.clear()

    def is_remote(self, name: str) -> bool:
        """Whether a name in the manifest means an object."""
        return bool(protocol_of(self.locate(name)))

    def fetch(self, name: str) -> str:
        """The local path of a file, which is laid into `staging` where it is an object."""
        place = self.locate(name)
        if not protocol_of(place):
            return place
        place, part = _object(place)
        local = self._staged(place)
        with suppress(FileNotFoundError):
            local.unlink()
        local.parent.mkdir(parents=True, exist_ok=True)
        try:
            filesystem(place).get_file(place, str(local))
        except FileNotFoundError:
            with suppress(FileNotFoundError):
                local.unlink()  # whoever opens it finds it missing
        except Exception as error:  # each store has errors of its own
            raise StorageError(f"{place}: cannot be fetched ({type(error).__name__}: {error})") from error
        return str(local) + part

    def fetch_beside(self, local: Path) -> None:
        """Lay a file into `staging` that another one there names."""
        place = self.origin(str(local))
        if place != str(local):
            self.fetch(place)

    def drop(self, locals_: Sequence[str]) -> None:
        """Remove fetched files; those that are not staged stay."""
        for local in locals_:
            if self.staging is not None and Path(local).is_relative_to(self.staging):
                Path(_object(local)[0]).unlink(missing_ok=True)

    def origin(self, text: str) -> str:
        """A text with the places of `staging` told as URLs, and files below `base` as the manifest tells them."""
        if self.staging is not None and str(self.staging) in text:
            for protocol in PROTOCOLS:
                text = text.replace(f"{self.staging}/{protocol}/", f"{protocol}://")
        return self._below.sub("", text) if self.base in text and self.base != "/" else text

    def _staged(self, place: str) -> Path:
        if self.staging is None:
            raise ValueError("a storage without a staging folder fetches nothing")
        protocol, _, key = place.partition("://")
        parts = key.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\0" in key:
            raise InputError(f"{place}: found an empty or dotted part, expected {protocol}://BUCKET/KEY")
        return self.staging.joinpath(protocol, *parts)


def open_file(path: str) -> IO[bytes]:
    """A local file or an object, open for reading; InputError where it cannot be."""
    try:
        if not protocol_of(path):
            return open(path, "rb")
        store = filesystem(path)
        store.info(path)  # what is missing is found out before it is opened
        return io.BufferedReader(store.open(path, "rb"), READ_BYTES)  # a line's length is bounded there
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read ({reason}); expected a file") from error


def _stat(path: str) -> str:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return _selected(path)
    if stat.S_ISDIR(found.st_mode):
        with suppress(OSError):
            return " ".join(f"{entry.name} {_stat(entry.path)}" for entry in sorted(os.scandir(path), key=_name))
    return f"{found.st_size:x} {found.st_mtime_ns:x} {found.st_ctime_ns:x}"


def _selected(path: str) -> str:
    """Of a frame in a recording, "run.bag#frame=3", the recording's."""
    with suppress(InputError):
        chosen = select(path)
        if chosen.path != path:
            meta = [_stat(os.path.join(os.path.dirname(chosen.path), chosen.meta))] if chosen.meta else []
            return " ".join([_stat(chosen.path), *meta])
    return "missing"


def _object(place: str) -> tuple[str, str]:
    """A place and what behind "#" is meant of it."""
    found = re.search(r"#\w+=[^/]*$", place)
    return (place[: found.start()], found[0]) if found else (place, "")


def is_number(text: str) -> bool:
    """Whether a weight is told as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _tag(url: str) -> str:
    url = _object(url)[0]
    store = filesystem(url)
    try:
        found = store.info(url)
    except FileNotFoundError:
        return "missing"
    except Exception as error:
        raise StorageError(f"{url}: cannot be asked for ({type(error).__name__}: {error})") from error
    return " ".join(str(found[key]) for key in ("e_tag", "version", "last_modified", "size") if found[key] is not None)
