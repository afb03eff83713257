"""The bytes of a file that a user names."""

from __future__ import annotations

from pathlib import Path

from volest.errors import WeightError

__all__ = ["bytes_of"]


def bytes_of(path: Path, most: int, expected: str) -> bytes:
    """All of a file of at most so many bytes; raises WeightError naming the file, what was found and `expected`."""
    try:
        if not path.is_file():
            raise WeightError(f"{path}: not a file; expected {expected}")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, WeightError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WeightError(f"{path}: cannot be read ({reason}); expected {expected}") from error
    if len(content) > most:
        raise WeightError(f"{path}: found more than {most} bytes, expected {expected} of at most that")
    return content
