"""Decoders of others, kept apart: a process of their own, with bounds on memory, time and output.

The process reads the scan on its standard input and writes plain points to its standard output: a file in memory, or
for what may be longer than memory a pipe. Nothing but those bytes comes back, and the caller checks their number.
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
from typing import NoReturn

from volest.errors import MissingExtraError
from volest.io.extra import extra_of
from volest.io.scanfile import ScanFile

__all__ = ["STOPPED", "DecoderPipe", "Limits", "decoding_seconds", "open_decoder", "require", "run_decoder"]

START_SECONDS = 15.0
SECONDS_PER_POINT = 4e-6
MESSAGE_BYTES = 2000
SHOWN_CHARACTERS = 1000
BLOCK_BYTES = 1 << 20
REFUSAL = "Refused: "
"""How a decoder's last words begin where they are meant for the file's owner."""
STOPPED = "its decoding was stopped"
"""What is told of a file whose decoder took too long: it may be the file, or a machine that had too much to do."""


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
        raise MissingExtraError(what, extra_of(package))


@contextmanager
def run_decoder(scan: ScanFile, decoder: str, arguments: Sequence[str], limits: Limits) -> Iterator[ScanFile]:
    """What the function `decode` in volest/io/DECODER.py makes of the scan, as a file in memory.

    ScanError where the decoder fails, dies, or takes more than it may.
    """
    with open(os.memfd_create("volest"), "w+b") as output:
        _run(scan, _command(decoder, arguments, limits), output.fileno(), limits.seconds)
        output.seek(0)
        yield ScanFile(scan.name, output, os.fstat(output.fileno()).st_size)


@contextmanager
def open_decoder(scan: ScanFile, decoder: str, arguments: Sequence[str], limits: Limits) -> Iterator[DecoderPipe]:
    """As `run_decoder`, where the output is read while it is made; it ends with the context.

    The time that the caller takes in between does not count.
    """
    with (
        open(os.memfd_create("volest-errors"), "w+b") as errors,
        subprocess.Popen(
            _command(decoder, arguments, limits),
            stdin=scan.stream,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
            bufsize=0,
        ) as process,
    ):
        try:
            yield DecoderPipe(scan, process, errors.fileno(), limits.seconds)
        finally:
            process.kill()


class DecoderPipe:
    """What a decoder writes, as it comes."""

    def __init__(self, scan: ScanFile, process: subprocess.Popen[bytes], errors: int, seconds: float) -> None:
        self._scan, self._process, self._errors = scan, process, errors
        self._seconds = self._left = seconds

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end; ScanError where the decoder failed or took too long."""
        assert self._process.stdout is not None
        pipe, data, started = self._process.stdout.fileno(), bytearray(), time.monotonic()
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        while len(data) < size:
            left = self._left - (time.monotonic() - started)
            if left <= 0 or not poller.poll(left * 1e3):
                self._stop()
            block = os.read(pipe, min(size - len(data), BLOCK_BYTES))
            if not block:
                self._check_end(left)
                break
            data += block
        self._left -= time.monotonic() - started
        return bytes(data)

    def _check_end(self, left: float) -> None:
        try:
            status = self._process.wait(left)
        except subprocess.TimeoutExpired:
            self._stop()
        if status:
            size = os.lseek(self._errors, 0, os.SEEK_END)
            message = os.pread(self._errors, MESSAGE_BYTES, max(0, size - MESSAGE_BYTES)).decode("utf-8", "replace")
            reason = _reason(status, message)
            told = reason.removeprefix(REFUSAL)
            self._scan.fail(told if told != reason else f"cannot be decoded: {reason}")

    def _stop(self) -> NoReturn:
        self._process.kill()
        self._scan.fail(f"{STOPPED} after {self._seconds:.0f} s")


def _command(decoder: str, arguments: Sequence[str], limits: Limits) -> list[str]:
    """-I and -S keep out the environment, the working directory and what site packages do at start."""
    here = Path(__file__).parent
    paths = os.pathsep.join(path for path in sys.path if os.path.isabs(path))
    bounds = [str(limits.memory_bytes), str(limits.output_bytes), str(int(limits.seconds) + 1)]
    return [sys.executable, "-I", "-S", str(here / "child.py"), *bounds, paths, str(here / f"{decoder}.py"), *arguments]


def _environment() -> dict[str, str]:
    # One thread is enough, and each more would take its share of the memory that is allowed.
    environment = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


def _run(scan: ScanFile, command: list[str], output: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        command, stdin=scan.stream, stdout=output, stderr=subprocess.PIPE, env=_environment(), bufsize=0
    ) as process:
        try:
            assert process.stderr is not None
            message = _last_words(process.stderr.fileno(), deadline)
            process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            process.kill()
            scan.fail(f"{STOPPED} after {seconds:.0f} s")
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
    said = (
        "".join(char if char.isprintable() else "?" for char in lines[-1])[:SHOWN_CHARACTERS]
        if lines
        else "no reason given"
    )
    return f"the decoder died ({signal.strsignal(-returncode)}): {said}" if returncode < 0 else said
