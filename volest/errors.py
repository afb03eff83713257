"""What can go wrong with what a caller hands in."""

from __future__ import annotations

__all__ = ["InputError", "MissingExtraError", "ScanError", "SceneError", "TruckError", "WeightError"]


class InputError(ValueError):
    """Input that volest cannot use; the message names what, where and what was expected."""


class TruckError(InputError):
    """A truck file that is missing, malformed or contradictory."""


class ScanError(InputError):
    """A scan that cannot be read.

    `flag` is the result flag that tells a caller why (see `volest.result.FLAGS`), or None.
    """

    def __init__(self, message: str, flag: str | None = None) -> None:
        super().__init__(message)
        self.flag = flag


class WeightError(InputError):
    """A weight that is missing, malformed or out of range."""


class SceneError(InputError):
    """A scene file that is missing, malformed or contradictory."""


class MissingExtraError(InputError):
    """A format or verb whose optional packages are not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'volest[{extra}]'")
        self.extra = extra
