"""Forms with files, as they come: each part counted, bounded and hashed while it is written to a folder of ours."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from volest.serve.problems import ProblemError
from volest.serve.scans import SUFFIXES

__all__ = ["Form", "Part", "read_form"]

_NUMBERS = count()
MOST_PARTS = 2000
MOST_TEXT_BYTES = 4096
MOST_HEADER_BYTES = 4096
SHOWN_NAME = re.compile(r"[^\w.()+ -]")


@dataclass(slots=True)
class Part:
    """A file of a form: `name` is what its owner calls it, `kept` what we do, `path` where it lies for now."""

    field: str
    name: str
    path: Path
    sha256: str = ""
    size: int = 0
    taken: bool = False  # moved to where it is kept

    @property
    def kept(self) -> str:
        """Digest and suffix, as `Scans` has it."""
        return f"{self.sha256}{self.path.suffix}"


@dataclass(slots=True)
class Form:
    """The texts and the files of a form, in their order."""

    texts: dict[str, str] = field(default_factory=dict)
    files: list[Part] = field(default_factory=list)

    def only(self, *known: str) -> None:
        """ProblemError for a text that nobody asked for."""
        for name in self.texts:
            if name not in known:
                raise ProblemError(422, f"{name}: not known, expected one of {', '.join(known)}", place=name)


@asynccontextmanager
async def read_form(request: Request, folder: Path, *, most_files: int = MOST_PARTS) -> AsyncIterator[Form]:
    """The form in a request's body; files that were not moved away are gone at the end of the context."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise ProblemError(415, f"found {kind.decode('latin-1') or 'no content type'}, expected multipart/form-data")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise ProblemError(400, "found no boundary of 1 to 70 characters, expected one in Content-Type")
    reader = _Reader(folder, most_files)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in request.stream():
            if chunk:
                parser.write(chunk)
        if not reader.ended:
            raise ProblemError(400, "the form is cut short, expected its last boundary")
        yield reader.form
    except FormParserError as error:
        raise ProblemError(400, f"the form cannot be read: {error}") from None
    finally:
        reader.forget()


class _Reader:
    """What the parser calls."""

    def __init__(self, folder: Path, most_files: int) -> None:
        self.form, self.ended = Form(), False
        self._folder, self._most_files = folder, most_files
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value, self._header_bytes, self._parts = b"", b"", 0, 0
        self._text, self._text_name = bytearray(), ""
        self._part: Part | None = None
        self._descriptor, self._digest = -1, hashlib.sha256()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def forget(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        for part in self.form.files:
            if not part.taken:
                part.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise ProblemError(413, f"found more than {MOST_PARTS} parts, expected fewer")
        self._headers, self._header_bytes = {}, 0
        self._part, self._text = None, bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._count(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise ProblemError(413, f"found more than {MOST_HEADER_BYTES} bytes of a part's headers, expected fewer")

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name or len(name) > 100:
            raise ProblemError(400, "found a part without a name of 1 to 100 characters, expected one")
        if b"filename" in options:
            self._open(name, options[b"filename"].decode("utf-8", "replace"))
            return
        if name in self.form.texts:
            raise ProblemError(422, f"{name}: found it twice, expected it once", place=name)
        self._text_name = name

    def _open(self, field: str, told: str) -> None:
        if len(self.form.files) >= self._most_files:
            raise ProblemError(413, f"found more than {self._most_files} files, expected fewer")
        suffix = PurePosixPath(told).suffix.lower()
        if suffix not in SUFFIXES:
            shown = SHOWN_NAME.sub("?", suffix[:20])
            raise ProblemError(
                422, f"{field}: found the suffix {shown!r}, expected one of {' '.join(sorted(SUFFIXES))}", place=field
            )
        shown = SHOWN_NAME.sub("?", told.replace("\\", "/").rpartition("/")[2])[-100:]
        path = self._folder / f"part-{next(_NUMBERS)}{suffix}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._part, self._digest = Part(field, shown, path), hashlib.sha256()
        self.form.files.append(self._part)

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = memoryview(data)[start:end]
        if self._part is None:
            self._text += piece
            if len(self._text) > MOST_TEXT_BYTES:
                raise ProblemError(
                    413, f"{self._text_name}: found more than {MOST_TEXT_BYTES} bytes", place=self._text_name
                )
            return
        self._digest.update(piece)
        self._part.size += len(piece)
        while piece:
            piece = piece[os.write(self._descriptor, piece) :]

    def _end(self) -> None:
        if self._part is None:
            try:
                self.form.texts[self._text_name] = self._text.decode("utf-8")
            except UnicodeDecodeError:
                raise ProblemError(422, f"{self._text_name}: found no UTF-8", place=self._text_name) from None
            return
        os.close(self._descriptor)
        self._descriptor, self._part.sha256 = -1, self._digest.hexdigest()

    def _all(self) -> None:
        self.ended = True
