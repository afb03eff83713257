"""Object stores by their URLs, with the interface of fsspec: S3 and what speaks like it, Google's, Azure's."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from typing import Any

from volest.errors import InputError, MissingExtraError

__all__ = ["PROTOCOLS", "filesystem", "protocol_of"]

PROTOCOLS = ("s3", "gs", "az", "abfs", "abfss")
"""Object stores that obstore knows; what else fsspec does may run or reach anything, and is refused."""
RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


def protocol_of(path: str) -> str:
    """The object store of a URL, empty for a local path; InputError for any other URL."""
    protocol, mark, rest = path.partition("://")
    if not mark or not protocol.replace("+", "").isalnum():
        return ""
    if protocol not in PROTOCOLS or "::" in rest:
        raise InputError(f"{path[:200]}: found {protocol}://, expected a local path or one of {', '.join(PROTOCOLS)}")
    return protocol


def filesystem(url: str) -> Any:
    """The file system of a URL, with the interface of fsspec."""
    try:
        return _filesystem(protocol_of(url))
    except ModuleNotFoundError as error:
        raise MissingExtraError(url.partition("://")[0] + "://", "server") from error


@cache
def _filesystem(protocol: str) -> Any:
    """The store is told by the environment, as AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID; http only where that says so."""
    from obstore.fsspec import FsspecStore

    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    store: Any = FsspecStore  # its types have an overload for each store
    return store(protocol, client_options={"allow_http": plain, "timeout": "60s"}, retry_config=RETRIES)
