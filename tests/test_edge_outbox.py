"""The outbox: what it has returned for is there after whatever happened, once."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from volest.edge.event import Document
from volest.edge.outbox import Outbox, OutboxError, OutboxFullError

TRUCK = "KT-1"


def document(number: int, kind: str = "entry", size: int = 40) -> Document:
    return Document(f"{number:016x}", kind, b'{"text":"' + b"x" * size + b'"}')  # type: ignore[arg-type]


def ids(outbox: Outbox) -> list[str]:
    return [row.id for row in outbox.queued(100_000)]


def names(*numbers: int) -> list[str]:
    return [f"{number:016x}" for number in numbers]


def test_what_was_appended_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        assert outbox.append([document(1), document(2)], "live", b"here") == 2
        assert outbox.append([document(2), document(3)], "live", b"there") == 1
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        assert ids(outbox) == names(1, 2, 3)
        assert [row.seq for row in outbox.queued(10)] == [1, 2, 3]
        assert outbox.mark("live") == b"there"
        assert outbox.mark("replay x") is None
        assert outbox.told == []


def test_what_is_done_waits_no_more_and_is_not_taken_again(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        outbox.append([document(1), document(2, "scan"), document(3, "health"), document(4)], "live")
        assert outbox.done(names(1, 2, 3)) == 3
        assert outbox.done(names(1, 2, 3, 9)) == 0
        assert ids(outbox) == names(4)
        assert outbox.append([document(1)], "live") == 0
        assert outbox.waiting() == 1


def test_numbers_go_on_whatever_was_done_and_whatever_the_clock_says(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        outbox.append([document(1, "scan")], "live")
        outbox.done(names(1))
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        outbox.append([document(2)], "live")
        assert outbox.queued(1)[0].seq == 2


def test_only_one_opens_it(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK), pytest.raises(OutboxError, match="found it in use"):
        Outbox(tmp_path / "o", TRUCK)
    Outbox(tmp_path / "o", TRUCK).close()


def test_the_outbox_of_another_truck_is_left_alone(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", "KT-2") as outbox:
        outbox.append([document(1)], "live")
    before = (tmp_path / "o").read_bytes()
    with pytest.raises(OutboxError, match="found the outbox of 'KT-2', expected that of 'KT-1'"):
        Outbox(tmp_path / "o", TRUCK)
    assert (tmp_path / "o").read_bytes() == before


def test_the_journal_and_the_syncs_are_those_that_keep(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert outbox._db.execute("PRAGMA synchronous").fetchone() == (3,)


# --- bounded ----------------------------------------------------------------------------------------------------------


def test_detail_is_dropped_first_the_oldest_first_and_results_never(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK, most_bytes=350_000) as outbox:
        for number in range(40):
            kind = "entry" if number % 2 else "scan"
            outbox.append([document(number, kind, 10_000)], "live")
        waiting = outbox.queued(100)
        assert [row.id for row in waiting if row.kind == "entry"] == names(*range(1, 40, 2))
        scans = [row.id for row in waiting if row.kind == "scan"]
        assert 0 < len(scans) < 10
        assert scans == names(*range(0, 40, 2))[-len(scans) :]
        assert outbox.used_bytes() <= 350_000
        assert outbox.dropped == 20 - len(scans)


def test_results_alone_go_beyond_the_bound_and_shrink_when_they_are_delivered(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK, most_bytes=100_000) as outbox:
        for number in range(40):
            outbox.append([document(number, "entry", 10_000)], "live")
        assert ids(outbox) == names(*range(40))
        assert outbox.fill > 4.0
        outbox.done(names(*range(40)))
        outbox.append([document(40)], "live")
        assert outbox.fill <= 1.0
        assert ids(outbox) == names(40)


def test_health_that_nobody_hears_does_not_pile_up(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        for number in range(0, 130, 10):
            outbox.append([document(number + i, "health") for i in range(10)], "live")
        assert ids(outbox) == names(*range(30, 130))


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_nothing_half_is_written(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        outbox.append([document(1)], "live", b"one")
        pages = outbox._db.execute("PRAGMA page_count").fetchone()[0]
        outbox._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(OutboxFullError, match="cannot be written"):
            outbox.append([document(2), document(3, "entry", 50_000)], "live", b"two")
        assert ids(outbox) == names(1)
        assert outbox.mark("live") == b"one"
        outbox._db.execute("PRAGMA max_page_count = 100000")
        outbox.append([document(2), document(3, "entry", 50_000)], "live", b"two")
        assert ids(outbox) == names(1, 2, 3)


KILLED = """
import os, random, signal, sys, time
from volest.edge.event import Document
from volest.edge.outbox import Outbox

def write(path):
    outbox = Outbox(path, "KT-1")
    at = int(outbox.mark("live") or b"0")
    while True:
        both = [Document(f"{2 * at + i:016x}", "entry", b'{"text":"%s"}' % (b"x" * 3000)) for i in (0, 1)]
        at += 1
        outbox.append(both, "live", b"%d" % at)
        if at % 3 == 0:
            outbox.done([both[0].id])

rng = random.Random(5)
for _ in range(40):
    child = os.fork()
    if not child:
        write(sys.argv[1])
    time.sleep(rng.uniform(0.0, 0.08))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with Outbox(sys.argv[1], "KT-1") as outbox:
        at = int(outbox.mark("live") or b"0")
        known = {row[0] for row in outbox._db.execute("SELECT id FROM event")}
        assert known == {f"{number:016x}" for number in range(2 * at)}, (at, len(known))
        assert outbox.told == []
print(at)
"""


def test_a_kill_at_any_instant_leaves_documents_and_mark_together(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "o")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outbox of 60 documents and two marks."""
    path = tmp_path_factory.mktemp("filled") / "o"
    with Outbox(path, TRUCK) as outbox:
        for number in range(0, 60, 10):
            outbox.append([document(number + i, "entry", 700) for i in range(10)], "live", b'{"n":%d}' % number)
        outbox.append([], "replay day", b"far")
        outbox.done(names(*range(20)))
    return path


def opened(folder: Path, damage: bytes) -> Outbox:
    folder.mkdir()
    (folder / "o").write_bytes(damage)
    return Outbox(folder / "o", TRUCK)


def test_each_torn_page_is_found_and_the_rest_saved(filled: Path, tmp_path: Path) -> None:
    whole = filled.read_bytes()
    size = 4096
    for page in range(len(whole) // size):
        torn = whole[: page * size] + os.urandom(size) + whole[(page + 1) * size :]
        with opened(tmp_path / str(page), torn) as outbox:
            assert len(outbox.told) == 1
            assert "damaged" in outbox.told[0]
            rows = outbox._db.execute("SELECT id FROM event ORDER BY seq").fetchall()
            if page > 3:  # beyond the roots of tables and indices
                assert len(rows) > 40
            assert {row[0] for row in rows} <= set(names(*range(60)))
            assert set(ids(outbox)) <= set(names(*range(20, 60)))
            assert outbox.mark("replay day") is None  # a replay makes again what was lost
            assert outbox.append([document(99)], "live") == 1
        assert (tmp_path / str(page) / "o.damaged").read_bytes() == torn
        with Outbox(tmp_path / str(page) / "o", TRUCK) as outbox:
            assert outbox.told == []


def test_a_flipped_bit_never_passes_for_a_document(filled: Path, tmp_path: Path) -> None:
    whole, rng = filled.read_bytes(), random.Random(3)
    good = {f"{number:016x}": document(number, "entry", 700).body for number in range(60)}
    found = 0
    for count in range(60):
        at = rng.randrange(len(whole))
        flipped = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
        with opened(tmp_path / str(count), flipped) as outbox:
            for row in outbox.queued(1000):
                assert good[row.id] == row.body
            assert len(ids(outbox)) == 40 or outbox.told
            found += bool(outbox.told)
    assert found > 10


@pytest.mark.parametrize("content", [b"", b"\0" * 9000, b"not a database at all" * 999, b"SQLite format 3\0", b"x"])
def test_whatever_stands_there_in_its_place_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "o").write_bytes(content)
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        assert ids(outbox) == []
        assert bool(outbox.told) == bool(content)
        outbox.append([document(1)], "live")
    if content:
        assert (tmp_path / "o.damaged").read_bytes() == content


def test_each_cut_is_found(filled: Path, tmp_path: Path) -> None:
    whole = filled.read_bytes()
    for count, end in enumerate(range(1, len(whole), 5000)):
        with opened(tmp_path / str(count), whole[:end]) as outbox:
            assert outbox.told
            assert set(ids(outbox)) <= set(names(*range(20, 60)))


def test_a_journal_of_an_interrupted_write_is_rolled_back(filled: Path, tmp_path: Path) -> None:
    shutil.copy(filled, tmp_path / "o")
    script = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size = 1'); db.execute('BEGIN IMMEDIATE')\n"
        'db.execute("UPDATE event SET body = zeroblob(9000)"); os.kill(os.getpid(), 9)'
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "o")], check=False)
    assert (tmp_path / "o-journal").stat().st_size > 0
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        assert outbox.told == []
        assert ids(outbox) == names(*range(20, 60))


def test_a_reader_may_look_meanwhile(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o", TRUCK) as outbox:
        outbox.append([document(1)], "live")
        reader = sqlite3.connect(f"file:{tmp_path / 'o'}?mode=ro", uri=True)
        assert reader.execute("SELECT count(*) FROM event").fetchone() == (1,)
        reader.close()
        outbox.append([document(2)], "live")
