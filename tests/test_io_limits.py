"""What holds for all formats: what is refused unread, and that no file costs more memory or time than it is worth."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from io_goldens import XYZ, las, npy, npz, pcd, ply, read_bytes, rows

import volest.io.scanfile as scanfile
from volest.errors import InputError, ScanError
from volest.io import SUPPORTED_SUFFIXES, points, read_points
from volest.io.cloud import FLOAT32_RANGE_M, NAMES
from volest.io.rows import MAX_LINE_BYTES, MAX_TEXT_BYTES
from volest.io.sandbox import Limits, run_decoder
from volest.io.scanfile import open_scan


def test_the_suffixes_are_those_of_the_contract() -> None:
    assert set(SUPPORTED_SUFFIXES) >= {".pcd", ".ply", ".las", ".laz", ".e57", ".npy", ".npz", ".xyz", ".csv"}


@pytest.mark.parametrize("suffix", SUPPORTED_SUFFIXES)
def test_a_missing_or_empty_file_is_told(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ScanError, match=r"no-such-scan.*no such file") as error:
        read_points(tmp_path / f"no-such-scan{suffix}")
    assert error.value.flag == "unreadable"
    with pytest.raises(ScanError, match=f"scan\\{suffix}: the file is empty"):
        read_bytes(tmp_path, suffix, b"")


@pytest.mark.parametrize("suffix", SUPPORTED_SUFFIXES)
def test_a_letter_a_picture_and_zeros_are_no_scan(tmp_path: Path, suffix: str) -> None:
    for data in (b"Dear Sir,\n\nthe truck is full.\n", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), bytes(5000)):
        with pytest.raises(ScanError):
            read_bytes(tmp_path, suffix, data)


def test_suffixes_are_known_in_any_case(tmp_path: Path) -> None:
    for suffix, data in ((".PCD", pcd()), (".Ply", ply()), (".LAS", las()), (".NPY", npy(XYZ))):
        assert len(read_bytes(tmp_path, suffix, data)) > 0


@pytest.mark.parametrize("name", ["scan.obj", "scan", ".pcd", "scan.pcd.gz", "pcd"])
def test_an_unknown_suffix_is_told_with_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pcd())
    with pytest.raises(ScanError, match=r"found the suffix '.*', expected a scan: one of \.pcd \.ply \.las"):
        read_points(tmp_path / name)


def test_pcapng_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"found pcapng, which is not read \(editcap -F pcap IN OUT"):
        read_points(tmp_path / "a.PCAPNG")


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "folder.pcd").mkdir()
    os.mkfifo(tmp_path / "fifo.pcd")
    (tmp_path / "null.pcd").symlink_to("/dev/null")
    (tmp_path / "loop.pcd").symlink_to(tmp_path / "loop.pcd")
    (tmp_path / "dangling.pcd").symlink_to(tmp_path / "gone.pcd")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.pcd"))
    for name, told in {
        "folder.pcd": "found a folder",
        "fifo.pcd": "found a device, pipe or socket",
        "null.pcd": "found a device, pipe or socket",
        "socket.pcd": "found a device, pipe or socket",
        "loop.pcd": "cannot be opened",
        "dangling.pcd": "no such file",
        "folder.pcd/a.pcd": "no such file",
        f"{'x' * 300}.pcd": "cannot be opened",
        "nul\0.pcd": "cannot be opened",
    }.items():
        with pytest.raises(ScanError) as error:
            read_points(tmp_path / name)
        assert told in str(error.value)


def test_messages_carry_no_control_characters(tmp_path: Path) -> None:
    with pytest.raises(ScanError) as error:
        read_points(tmp_path / "a\nFATAL\x1b[2J.pcd")
    assert str(error.value).isprintable()


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanfile, "MAX_FILE_BYTES", 100)
    with pytest.raises(ScanError, match="expected at most 100"):
        read_bytes(tmp_path, ".pcd", pcd())


def forged_files() -> dict[str, list[bytes]]:
    """By suffix: counts of four thousand million and more, a bomb, and a line without end."""
    return {
        ".pcd": [
            pcd(encoding=name, POINTS=4_000_000_000, WIDTH=4_000_000_000)
            for name in ("ascii", "binary", "binary_compressed")
        ],
        ".ply": [ply(name, count=4_000_000_000) for name in ("ascii", "binary_little_endian", "binary_big_endian")],
        ".las": [las()[:107] + b"\xff\xff\xff\xf0" + las()[111:], las()[:100] + b"\xf0\xff\xff\xff" + las()[104:]],
        ".npy": [npy(XYZ).replace(b"(6, 3)", b"(4000000000, 3)").replace(b"         \n", b"\n")],
        ".npz": [npz(xyz=np.zeros((2_900_000, 3)))],
        ".xyz": [b"1 2 3 " * 2_000_000],
    }


MEASURE = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from volest.errors import ScanError
from volest.io import read_points

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for path in sys.argv[1:]:  # the readers and what they import are not what is measured
    try:
        read_points(path)
    except ScanError:
        pass
before, results = peak_mb(), {}
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        found = len(read_points(path))
    except ScanError as error:
        found = str(error)
    results[path] = [found, time.process_time() - start]
print(json.dumps([before, peak_mb(), results]))
"""


def test_a_forged_count_costs_neither_memory_nor_time(tmp_path: Path) -> None:
    """Four thousand million points, or what unpacks to too much: refused in 50 ms with 50 MB."""
    paths = []
    for suffix, contents in forged_files().items():
        for place, data in enumerate(contents):
            paths.append(tmp_path / f"{place}{suffix}")
            paths[-1].write_bytes(data)
    start = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    plain_mb = json.loads(start.stdout)[1]
    done = subprocess.run([sys.executable, "-c", MEASURE, *map(str, paths)], capture_output=True, text=True, check=True)
    _, peak_mb, results = json.loads(done.stdout)
    for path, (found, seconds) in results.items():
        assert isinstance(found, str), path
        assert seconds < 0.05, (path, seconds)
    assert peak_mb - plain_mb < 50


def test_reading_needs_no_more_than_numpy(tmp_path: Path) -> None:
    """The formats that need no extra load no package but NumPy, and start no process."""
    for suffix, data in (
        (".pcd", pcd()),
        (".npy", npy(XYZ)),
        (".npz", npz(xyz=XYZ)),
        (".csv", rows([[1, 2, 3]])),
        (".ply", ply()),
        (".las", las()),
    ):
        (tmp_path / f"a{suffix}").write_bytes(data)
        code = "import sys; from volest.io import read_points; read_points(sys.argv[1]); print(*sys.modules)"
        command = [sys.executable, "-c", code, str(tmp_path / f"a{suffix}")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = {name.partition(".")[0] for name in done.stdout.split()}
        assert not loaded & {"numba", "scipy", "laspy", "lazrs", "pye57", "plyfile", "rich", "msgspec", "subprocess"}, (
            suffix
        )


def decoder(folder: Path, body: str) -> str:
    path = folder / "decoder.py"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    path.write_text(f"import os, sys, time\ndef decode(scan, output, *arguments):\n{lines}")
    return str(path.with_suffix(""))


def decode(folder: Path, body: str, *, seconds: float = 20.0, output_bytes: int = 1000) -> bytes:
    scan_path = folder / "scan.bin"
    scan_path.write_bytes(b"scan")
    limits = Limits(memory_bytes=200 << 20, output_bytes=output_bytes, seconds=seconds)
    with open_scan(scan_path) as scan, run_decoder(scan, decoder(folder, body), ["7"], limits) as decoded:
        return decoded.read(decoded.size, "all")


def test_a_decoder_gives_what_it_writes_and_not_what_it_prints(tmp_path: Path) -> None:
    body = "print('hello')\nos.write(1, b'hello')\noutput.write(scan.read() + arguments[0].encode())"
    assert decode(tmp_path, body) == b"scan7"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("os.abort()", "the decoder died (Aborted)"),
        ("import ctypes\nctypes.string_at(0)", "the decoder died (Segmentation fault)"),
        ("os._exit(3)", "no reason given"),
        ("raise ValueError('line one\\nline two')", "cannot be decoded: ValueError: line one"),
        ("raise ValueError('\\x1b[2J')", "cannot be decoded: ValueError: ?[2J"),
        ("class Panic(BaseException): pass\nraise Panic('no')", "cannot be decoded: Panic: no"),
        ("import nosuchpackage", "No module named 'nosuchpackage'"),
        ("bytearray(1 << 30)", "MemoryError"),
        ("output.write(bytes(1001))", "File too large"),
        ("for _ in range(10**5): os.write(2, b'x' * 1000)\nraise ValueError('end')", "ValueError: end"),
    ],
)
def test_a_decoder_that_fails_in_any_way_is_an_error(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(ScanError) as error:
        decode(tmp_path, body)
    assert told in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "scan.bin"))
    assert str(error.value).isprintable()
    assert error.value.flag == "unreadable"


@pytest.mark.parametrize(
    "body",
    ["time.sleep(60)", "while True: pass", "os.close(2)\ntime.sleep(60)", "while True: os.write(2, b'x' * 65536)"],
)
def test_a_decoder_that_does_not_end_is_stopped(tmp_path: Path, body: str) -> None:
    before = set(psutil.Process().children())
    start = time.perf_counter()
    with pytest.raises(ScanError, match="its decoding was stopped after 1 s"):
        decode(tmp_path, body, seconds=1.0)
    assert time.perf_counter() - start < 10
    assert set(psutil.Process().children()) <= before  # nothing is left running, no zombie either


def test_a_decoder_sees_neither_the_environment_nor_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOLEST_SECRET", "1")
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    body = (
        "from importlib.util import find_spec\n"
        "output.write(repr(['VOLEST_SECRET' in os.environ, find_spec('evil')]).encode())"
    )
    assert decode(tmp_path, body) == b"[False, None]"


def test_the_documented_bounds_are_those_of_the_code() -> None:
    page = (Path(__file__).parents[1] / "docs" / "formats.md").read_text("utf-8")
    for bound in (
        *(f"`{suffix}`" for suffix in (*SUPPORTED_SUFFIXES, *points.RECORDINGS)),
        f"| size of a file | {scanfile.MAX_FILE_BYTES >> 30} GiB, of which text {MAX_TEXT_BYTES >> 20} MiB |",
        f"| points | {scanfile.MAX_POINTS} |",
        f"| bytes a point | {scanfile.MAX_RECORD_BYTES} |",
        f"| {scanfile.MAX_UNPACKED_BYTES >> 30} GiB; beyond {scanfile.FREELY_UNPACKED_BYTES >> 20} MiB at most "
        f"{scanfile.MAX_UNPACKING_RATIO} times its size |",
        f"more than {FLOAT32_RANGE_M:.0f} m from the origin",
        *(" ".join(NAMES[role]) for role in ("intensity", "ring")),
    ):
        assert bound in page, bound
    assert MAX_LINE_BYTES == 64 << 10


def test_all_errors_are_input_errors() -> None:
    assert issubclass(ScanError, InputError)
