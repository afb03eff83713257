"""The service: an HTTP API over the engine, and the page that shows it; docs/serve.md."""

from __future__ import annotations

from volest.serve.settings import Limits, Settings

__all__ = ["Limits", "Settings", "run"]


def run(settings: Settings) -> None:
    """Serve until a signal ends it. Raises InputError where it cannot be set up."""
    from volest.serve.server import serve

    serve(settings)
