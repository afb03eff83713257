"""Compilation of numeric kernels with a disk cache that cannot break a start.

numba's own cache fails for ever on a damaged file and loads a flipped bit unnoticed. Here an entry is one file: the
SHA-256 of its body, then the body. It is used only if the digest holds and nobody but this user (or root) could have
written it; anything else is a miss, and a miss that cannot be saved is only logged.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import llvmlite  # type: ignore[import-untyped]
import numba
import numba.core.compiler
import numba.core.serialize

__all__ = ["cache_directory", "kernel"]

F = TypeVar("F", bound=Callable[..., Any])
_DIGEST_BYTES = 32
_log = logging.getLogger(__name__)
_rebuild: Any = numba.core.compiler.CompileResult._rebuild
_dumps: Any = numba.core.serialize.dumps


@overload
def kernel(function: F, /) -> F: ...
@overload
def kernel(*, parallel: bool = False) -> Callable[[F], F]: ...
def kernel(function: F | None = None, /, *, parallel: bool = False) -> F | Callable[[F], F]:
    """Compile a function on its first call, or load it from the cache; as `@kernel` or `@kernel(parallel=True)`.

    Division by zero gives inf or NaN as in NumPy, and the GIL is released. No fast-math: the same bits everywhere.
    """

    def compiled(python_function: F) -> F:
        dispatcher: Any = numba.njit(error_model="numpy", nogil=True, parallel=parallel)(python_function)
        if python_function.__closure__ is None:  # what a closure holds is in no source file, so it cannot be a key
            dispatcher._cache = _KernelCache(python_function, parallel)
        return dispatcher  # type: ignore[no-any-return]

    return compiled if function is None else compiled(function)


def cache_directory() -> Path:
    """Where compiled kernels are kept: under VOLEST_CACHE_DIR, else under the user's cache folder."""
    chosen = os.environ.get("VOLEST_CACHE_DIR")
    if chosen:
        return Path(chosen) / "kernels"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "volest" / "kernels"


class _KernelCache:
    """Takes the place of the cache object in a numba dispatcher; has the methods that the dispatcher calls."""

    def __init__(self, function: Callable[..., Any], parallel: bool) -> None:
        file, module = Path(function.__code__.co_filename).resolve(), function.__module__.split(".")
        self._sources = file.parents[max(0, len(module) - 2)]  # the top package's folder, or that of a lone module
        self._pattern = "**/*.py" if len(module) > 1 else "*.py"
        self._name = f"{function.__module__}.{function.__qualname__}".replace("<locals>.", "")
        self._identity = (self._name, function.__code__.co_firstlineno, parallel)
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_directory())

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        for entry in cache_directory().glob(f"{self._name}-*"):
            entry.unlink(missing_ok=True)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled overload, or None: nothing in the cache may ever raise."""
        target_context.refresh()
        if not self._enabled:
            return None
        path = self._path(signature, target_context.codegen())
        try:
            body = _read_trusted(path)
            if body is None:
                return None
            return _rebuild(target_context, *pickle.loads(body))  # noqa: S301
        except FileNotFoundError:
            return None
        except Exception as error:
            _warn_once(f"compiling {self._name} anew, cannot use {path}: {error}")
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep the compiled overload if that can be done safely."""
        if not self._enabled or result.library.has_dynamic_globals or any(not x.can_cache for x in result.lifted):
            return
        path = self._path(signature, result.codegen)
        try:
            body = _dumps(result._reduce())
            _write_atomic(path, hashlib.sha256(body).digest() + body)
        except Exception as error:
            _warn_once(f"cannot keep compiled kernels in {path.parent}: {error}")

    def _path(self, signature: Any, codegen: Any) -> Path:
        versions = (numba.__version__, llvmlite.__version__, sys.version, sys.abiflags)
        stamp = _source_stamp(self._sources, self._pattern)
        key = repr((self._identity, str(signature), codegen.magic_tuple(), versions, stamp))
        return cache_directory() / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


@cache
def _source_stamp(folder: Path, pattern: str) -> str:
    """Digest of a package's sources: compiled code contains the kernels and constants it uses, so all of them count."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        digest.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)


def _require_private(status: os.stat_result, what: Path) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(f"{what} belongs to user {status.st_uid}, expected {os.geteuid()}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{what} can be written by others (mode {stat.S_IMODE(status.st_mode):04o})")


def _require_private_directory(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{folder} is not a directory")
    _require_private(status, folder)


def _read_trusted(path: Path) -> bytes | None:
    """The body of an entry, or None after removing one whose digest does not hold."""
    _require_private_directory(path.parent)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        _require_private(os.fstat(file.fileno()), path)
        content = file.read()
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() == digest:
        return body
    _log.warning("removing the damaged cache entry %s", path)
    path.unlink(missing_ok=True)
    return None


def _write_atomic(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_private_directory(path.parent)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
