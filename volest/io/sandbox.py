"""Decoders of others, kept apart: a process of their own, with bounds on memory, time and output.

The process reads the scan on its standard input and writes plain points to its standard output, a file in memory;
nothing but those bytes comes back, and the caller checks their number.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from volest.errors import MissingExtraError
from volest.io.scanfile import ScanFile

__all__ = ["Limits", "decoding_seconds", "require", "run_decoder"]

START_SECONDS = 15.0
SECONDS_PER_POINT = 4e-6
MESSAGE_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a decoder may take."""

    memory_bytes: int
    output_bytes: int
    seconds: float


def decoding_seconds(points: int) -> float:
    """A limit of time for so many points: about ten times what a busy machine needs."""
    return START_SECONDS + SECONDS_PER_POINT * points


def require(package: str, what: str) -> None:
    """MissingExtraError where a decoder's package is not installed."""
    if find_spec(package) is None:
        raise MissingExtraError(what, "formats")


@contextmanager
def run_decoder(scan: ScanFile, decoder: str, arguments: Sequence[str], limits: Limits) -> Iterator[ScanFile]:
    """What the function `decode` in volest/io/DECODER.py makes of the scan, as a file in memory.

    ScanError where the decoder fails, dies, or takes more than it may.
    """
    with open(os.memfd_create("volest"), "w+b") as output:
        _run(scan, _command(decoder, arguments, limits), output.fileno(), limits.seconds)
        output.seek(0)
        yield ScanFile(scan.name, output, os.fstat(output.fileno()).st_size)


def _command(decoder: str, arguments: Sequence[str], limits: Limits) -> list[str]:
    """-I and -S keep out the environment, the working directory and what site packages do at start."""
    here = Path(__file__).parent
    paths = os.pathsep.join(path for path in sys.path if os.path.isabs(path))
    bounds = [str(limits.memory_bytes), str(limits.output_bytes), str(int(limits.seconds) + 1)]
    return [sys.executable, "-I", "-S", str(here / "child.py"), *bounds, paths, str(here / f"{decoder}.py"), *arguments]


def _run(scan: ScanFile, command: list[str], output: int, seconds: float) -> None:
    # One thread is enough, and each more would take its share of the memory that is allowed.
    environment = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        command, stdin=scan.stream, stdout=output, stderr=subprocess.PIPE, env=environment, bufsize=0
    ) as process:
        try:
            assert process.stderr is not None
            message = _last_words(process.stderr.fileno(), deadline)
            process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            process.kill()
            scan.fail(f"its decoding was stopped after {seconds:.0f} s")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        scan.fail(f"cannot be decoded: {_reason(process.returncode, message)}")


def _last_words(pipe: int, deadline: float) -> str:
    """The end of what comes through the pipe until it is closed; TimeoutError if that takes too long."""
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    message = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if poller.poll(left * 1e3):
            block = os.read(pipe, 1 << 16)
            if not block:
                return message.decode("utf-8", "replace")
            message = (message + block)[-MESSAGE_BYTES:]


def _reason(returncode: int, message: str) -> str:
    lines = [line for line in message.splitlines() if line.strip() and not line.startswith("note: ")]
    said = "".join(char if char.isprintable() else "?" for char in lines[-1])[:200] if lines else "no reason given"
    return f"the decoder died ({signal.strsignal(-returncode)}): {said}" if returncode < 0 else said
