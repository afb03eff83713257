"""Which extra has a decoder's package."""

from __future__ import annotations

__all__ = ["extra_of"]


def extra_of(package: str) -> str:
    """[ouster] stands apart: its package brings much along that no other format needs."""
    return "ouster" if package.partition(".")[0] == "ouster" else "formats"
