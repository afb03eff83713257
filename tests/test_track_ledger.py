"""The ledger's file: torn, flipped, killed, run twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from volest.track.ledger import Ledger, LedgerError, read_ledger

ROOT = Path(__file__).parents[1]


def entry(number: int) -> dict:
    return {"id": f"e{number}", "kind": "load", "v": number / 7.0, "why": 'say "x"\n,é'}


def written(path: Path, count: int = 3) -> bytes:
    with Ledger(path, "KT-1") as ledger:
        assert all(ledger.append(entry(number)) for number in range(count))
    return path.read_bytes()


def test_entries_come_back_as_they_were(tmp_path):
    written(tmp_path / "a.jsonl")
    assert read_ledger(tmp_path / "a.jsonl") == [entry(number) for number in range(3)]


def test_power_cut_at_any_byte_loses_the_torn_line_alone(tmp_path):
    whole = written(tmp_path / "a.jsonl", count=2)
    path = tmp_path / "b.jsonl"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        complete = max(whole[:size].count(b"\n") - 1, 0)
        assert read_ledger(path) == [entry(number) for number in range(complete)]
        with Ledger(path, "KT-1") as ledger:
            assert ledger.entries == [entry(number) for number in range(complete)]
            if size % 7:  # each append waits for the disk
                continue
            assert [ledger.append(entry(number)) for number in range(2)] == [n >= complete for n in range(2)]
        assert path.read_bytes() == whole


def test_holes_that_a_power_cut_left_are_cut_off(tmp_path):
    whole = written(tmp_path / "a.jsonl")
    path = tmp_path / "b.jsonl"
    last = whole.rindex(b"\n", 0, -1) + 1
    for tail in (b"\0" * 300, whole[last : last + 40] + b"\0" * 200):
        path.write_bytes(whole[:last] + tail)
        with Ledger(path, "KT-1") as ledger:
            assert len(ledger.entries) == 2
        assert path.read_bytes() == whole[:last]


def test_flipped_bit_is_found_and_named(tmp_path):
    whole = written(tmp_path / "a.jsonl", count=2)
    path = tmp_path / "b.jsonl"
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 1 << (at % 8)
        path.write_bytes(broken)
        line = whole[:at].count(b"\n") + 1
        with pytest.raises(LedgerError, match=rf"b\.jsonl: line {line} "):
            read_ledger(path)
    with pytest.raises(LedgerError):
        Ledger(path, "KT-1")
    assert path.read_bytes() == broken  # nothing was cut off


@pytest.mark.parametrize("change", ["drop", "swap", "repeat"])
def test_lost_swapped_or_repeated_records_are_found(tmp_path, change):
    lines = written(tmp_path / "a.jsonl").splitlines(keepends=True)
    order = {"drop": [0, 2, 3], "swap": [0, 2, 1, 3], "repeat": [0, 1, 1, 2, 3]}[change]
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[k] for k in order))
    with pytest.raises(LedgerError, match=r"line [23] "):
        read_ledger(tmp_path / "a.jsonl")


def test_run_again_adds_nothing(tmp_path):
    whole = written(tmp_path / "a.jsonl")
    with Ledger(tmp_path / "a.jsonl", "KT-1") as ledger:
        assert not any(ledger.append(entry(number)) for number in range(3))
        assert ledger.append(entry(3))
    assert (tmp_path / "a.jsonl").read_bytes().startswith(whole)
    assert [e["id"] for e in read_ledger(tmp_path / "a.jsonl")] == ["e0", "e1", "e2", "e3"]


def test_second_writer_is_refused(tmp_path):
    with Ledger(tmp_path / "a.jsonl", "KT-1"), pytest.raises(LedgerError, match="found it in use"):
        Ledger(tmp_path / "a.jsonl", "KT-1")
    Ledger(tmp_path / "a.jsonl", "KT-1").close()


def test_ledger_of_another_truck_is_refused(tmp_path):
    whole = written(tmp_path / "a.jsonl")
    with pytest.raises(LedgerError, match=r"line 1: truck_id: found 'KT-1', expected 'KT-2'"):
        Ledger(tmp_path / "a.jsonl", "KT-2")
    assert (tmp_path / "a.jsonl").read_bytes() == whole


@pytest.mark.parametrize("content", [b"my notes", b"a,b\n1,2\n", b"\x7fELF\0\0\0", b"{", b"{}\n"])
def test_file_that_is_no_ledger_is_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    if content == b"{":  # so begins a ledger
        Ledger(path, "KT-1").close()
        return
    with pytest.raises(LedgerError, match=r"notes\.txt: line 1"):
        Ledger(path, "KT-1")
    assert path.read_bytes() == content


def test_folder_or_missing_place_is_an_error(tmp_path):
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path, "KT-1")
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "no" / "where.jsonl", "KT-1")
    with pytest.raises(LedgerError, match="cannot be read"):
        read_ledger(tmp_path / "none.jsonl")
    with pytest.raises(LedgerError, match="not a file"):
        read_ledger(Path("/dev/null"))


WRITER = """
import sys
from volest.track.ledger import Ledger
with Ledger(sys.argv[1], "KT-1") as ledger:
    print("open", flush=True)
    for number in range(1_000_000):
        ledger.append({"id": f"e{number}", "text": "x" * (number * 37 % 3000)})
"""


def test_killed_writer_leaves_a_ledger_that_goes_on(tmp_path):
    path, counts = tmp_path / "a.jsonl", []
    for wait_s in (0.02, 0.05, 0.11):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout.readline() == b"open\n"
            time.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
        entries = read_ledger(path)
        assert [e["id"] for e in entries] == [f"e{number}" for number in range(len(entries))]
        counts.append(len(entries))
    assert counts == sorted(counts)
    assert counts[-1] > 0


FULL = """
import resource, signal, sys
from volest.track.ledger import Ledger, LedgerError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with Ledger(sys.argv[1], "KT-1") as ledger:
    try:
        for number in range(100):
            ledger.append({"id": f"e{number}", "text": "x" * 300})
    except LedgerError as error:
        print(error)
"""


def test_full_disk_leaves_whole_records(tmp_path):
    path = tmp_path / "a.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "a.jsonl: cannot be written" in done.stdout
    assert path.read_bytes().endswith(b"}\n")
    assert len(read_ledger(path)) == 4
    assert os.stat(path).st_mode & 0o777 == 0o644 & ~_umask()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
