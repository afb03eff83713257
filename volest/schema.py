"""TOML files checked strictly against declared structs."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from volest import _core
from volest.errors import InputError

__all__ = ["check", "convert", "nearest", "read_toml"]

MAX_BYTES = 65536
MAX_KEY_PARTS = 32  # tomllib takes a time quadratic in them: 64 kB of "a.a.a" would keep it busy for 15 s
_WRAPPERS = (Annotated, Union, UnionType)
T = TypeVar("T", bound=msgspec.Struct)
_kept: set[type[Any]] = set()


def read_toml(path: Path, error: type[InputError]) -> dict[str, Any]:
    """The document in a TOML file of at most 64 kB, or `error` naming the file and what is wrong with it."""
    import tomllib

    text = _text(path, error)
    if _longest_key(text) > MAX_KEY_PARTS:
        raise error(f"{path}: found a key of more than {MAX_KEY_PARTS} parts, expected fewer")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise error(f"{path}: not valid TOML: {exc}") from exc
    except (RecursionError, ValueError) as exc:  # brackets without end; an integer of thousands of digits
        raise error(f"{path}: not valid TOML: nested or written beyond all measure") from exc


def _text(path: Path, error: type[InputError]) -> str:
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)  # opening a pipe would wait for its writer
        with path.open("rb") if regular else nullcontext() as file:
            content = file.read(MAX_BYTES + 1) if file else b""
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise error(f"{path}: cannot be read ({reason}); expected a TOML file") from exc
    if not regular:
        raise error(f"{path}: not a file; expected a TOML file")
    if len(content) > MAX_BYTES:
        raise error(f"{path}: found more than {MAX_BYTES} bytes, expected a TOML file of at most {MAX_BYTES}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise error(f"{path}: byte {exc.start}: found no valid UTF-8, expected TOML text") from exc


def check(document: object, struct: type[T], where: str, error: type[InputError]) -> T:
    """The document as a `struct`; anything unknown, missing, mistyped or out of range is an `error`.

    The message names `where` (the file), the key, what was found and what was expected. What is expected stands in
    the `description` of the field's `msgspec.Meta`. Numbers must be bounded on both sides there: that keeps NaN and
    infinity out.
    """
    try:
        return convert(document, struct)
    except msgspec.ValidationError as exc:
        raise error(f"{where}: {_explain(str(exc), document, struct)}") from None


def convert(document: object, struct: type[T]) -> T:
    """What msgspec.convert makes of the document; raises its ValidationError."""
    _keep(msgspec.Struct)
    return msgspec.convert(document, struct)


def _keep(struct: type[Any]) -> None:
    """Let structs outlive the interpreter, at whose end msgspec may crash over nested ones (its issue 717)."""
    for derived in struct.__subclasses__():
        if derived not in _kept:
            _kept.add(derived)
            _core.outlive(derived)
        _keep(derived)


def nearest(name: str, known: Iterable[str]) -> str:
    """What to expect in place of an unknown name: the nearest known one, and all of them."""
    import difflib

    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listing = ", ".join(known)
    return f"{near[0]} perhaps (known: {listing})" if near else f"one of {listing}"


def _longest_key(text: str) -> int:
    """An upper bound for the number of parts of any dotted key."""
    pieces = re.split(r"[=,\[\]{}#\n]", text.replace(" ", "").replace("\t", ""))
    return max(sum(map(bool, piece.split("."))) for piece in pieces)


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)


def _explain(message: str, document: object, struct: type[msgspec.Struct]) -> str:
    """Our sentence for msgspec's."""
    match = _AT.match(message)
    what, path = (match["what"], match["path"] or "") if match else (message, "")
    steps = [int(index) if index else name for name, index in _STEP.findall(path)]
    field = _FIELD.fullmatch(what)
    if field is None:
        return f"{_key(steps)}: found {_found(document, steps)}, expected {_expected(struct, steps)}"
    key = _key([*steps, field[2]])
    if field[1] == "missing required":
        return f"{key}: missing, expected {_expected(struct, [*steps, field[2]])}"
    known = getattr(_bare(_type_at(struct, steps)), "__struct_fields__", ())
    return f"{key}: unknown key, expected {nearest(field[2], known)}"


def _key(steps: list[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    return _short(text) if text else "document"


def _found(document: Any, steps: list[str | int]) -> str:
    for step in steps:
        document = document[step]
    if isinstance(document, dict):
        return "a table"
    if isinstance(document, list | tuple):
        return f"an array of {len(document)}"
    if isinstance(document, bool):
        return str(document).lower()
    return _short(repr(document)) if not isinstance(document, int) or abs(document) < 10**30 else "a huge integer"


def _short(text: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in text[:61])
    return printable if len(text) <= 60 else printable[:57] + "..."


def _type_at(struct: Any, steps: list[str | int]) -> Any:
    """The declared type of the value that `steps` lead to, with its Meta."""
    current = struct
    for step in steps:
        current = _bare(current)
        current = get_args(current)[0] if isinstance(step, int) else get_type_hints(current, include_extras=True)[step]
    return current


def _bare(declared: Any) -> Any:
    """The type without Meta and without `| None`; of a union of a scalar and a list, the list."""
    while (origin := get_origin(declared)) in _WRAPPERS:
        members = [member for member in get_args(declared) if member is not type(None)]
        declared = members[0] if origin is Annotated else members[-1]
    return declared


def _expected(struct: Any, steps: list[str | int]) -> str:
    declared = _type_at(struct, steps)
    members = get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)
    metas = [meta for member in members if get_origin(member) is Annotated for meta in get_args(member)[1:]]
    described = [meta.description for meta in metas if meta.description]
    if described:
        return " or ".join(described)
    return "an array of tables" if get_origin(_bare(declared)) in (list, tuple) else "a table"
