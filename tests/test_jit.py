"""The kernel cache: a second process compiles nothing, and no state of the cache can break a start."""

import hashlib
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

import volest.jit
from volest.jit import kernel

MODULE = """
import json, sys
from callee import twice
from volest.jit import kernel

@kernel
def total(n):
    s = 0.0
    for i in range(n):
        s += twice(i)
    return s

value = total(10)
stats = total.stats
print(json.dumps({"value": value, "hits": sum(stats.cache_hits.values()), "misses": sum(stats.cache_misses.values())}))
"""
CALLEE = """
from volest.jit import kernel

@kernel
def twice(i):
    return 2.0 * i
"""
REPOSITORY = Path(volest.jit.__file__).parents[1]


@pytest.fixture
def program(tmp_path):
    return write_program(tmp_path)


def write_program(folder):
    program = folder / "program"
    program.mkdir()
    (program / "main.py").write_text(MODULE)
    (program / "callee.py").write_text(CALLEE)
    return program


def start(program, cache, **options):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "VOLEST_CACHE_DIR": str(cache)}
    environment.update(options.pop("env", {}))
    command = [sys.executable, "-W", "error", str(program / "main.py")]
    return subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True, **options)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out), err


def run(program, cache, **options):
    found, _ = finish(start(program, cache, **options))
    assert found["value"] == 90.0
    return found


def entry_of(cache):
    (entry,) = (cache / "kernels").glob("__main__.total-*")
    return entry


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that one process has filled."""
    folder = tmp_path_factory.mktemp("filled")
    assert run(write_program(folder), folder / "cache") == {"value": 90.0, "hits": 0, "misses": 1}
    return folder / "cache"


@pytest.fixture
def warm(filled, tmp_path):
    """A copy of that cache for a test to spoil."""
    return shutil.copytree(filled, tmp_path / "cache")


def test_second_process_compiles_nothing(program, warm):
    assert run(program, warm) == {"value": 90.0, "hits": 1, "misses": 0}
    folder = (warm / "kernels").stat()
    assert stat.S_IMODE(folder.st_mode) == 0o700


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "bit", "foreign"])
def test_damaged_entry_is_compiled_anew_and_replaced(program, warm, damage):
    entry = entry_of(warm)
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 0x10
    foreign = b"cos\nsystem\n(S'touch pickled'\ntR."  # would run a command if it were unpickled
    bad = {
        "empty": b"",
        "cut": entry.read_bytes()[:-100],
        "garbage": bytes(range(256)) * 40,
        "bit": bytes(content),
        "foreign": foreign,
    }
    entry.write_bytes(bad[damage])
    assert run(program, warm)["misses"] == 1
    body = entry_of(warm).read_bytes()
    assert hashlib.sha256(body[32:]).digest() == body[:32]
    assert not list(warm.parent.rglob("pickled"))


def test_sound_digest_over_garbage_is_compiled_anew(program, warm):
    body = b"not a pickle"
    entry_of(warm).write_bytes(hashlib.sha256(body).digest() + body)
    assert run(program, warm)["misses"] == 1


def test_entry_that_others_can_write_is_not_trusted(program, warm):
    entry_of(warm).chmod(0o666)
    found, err = finish(start(program, warm))
    assert found == {"value": 90.0, "hits": 0, "misses": 1}
    assert "can be written by others" in err
    assert stat.S_IMODE(entry_of(warm).stat().st_mode) == 0o600


def test_directory_that_others_can_write_is_neither_read_nor_written(program, warm):
    (warm / "kernels").chmod(0o777)
    before = entry_of(warm).stat().st_mtime_ns
    assert run(program, warm)["misses"] == 1
    assert entry_of(warm).stat().st_mtime_ns == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_foreign_owner_is_not_trusted(program, warm):
    os.chown(entry_of(warm), 65534, 65534)
    assert run(program, warm)["misses"] == 1  # and replaced by an entry of one's own
    os.chown(warm / "kernels", 65534, 65534)
    assert run(program, warm)["misses"] == 1


def test_linked_entry_is_not_trusted(program, warm):
    entry = entry_of(warm)
    entry.rename(warm / "elsewhere")
    entry.symlink_to(warm / "elsewhere")
    assert run(program, warm)["misses"] == 1


def test_good_read_only_cache_is_used(program, warm):
    entry_of(warm).chmod(0o400)
    (warm / "kernels").chmod(0o500)
    assert run(program, warm)["hits"] == 1
    (warm / "kernels").chmod(0o700)


def test_cache_that_cannot_be_written_is_done_without(program, tmp_path):
    (tmp_path / "file").write_text("")
    found, err = finish(start(program, tmp_path / "file" / "cache"))
    assert found["misses"] == 1
    assert "cannot keep compiled kernels" in err
    assert run(program, Path("/proc/nowhere"))["misses"] == 1


def test_home_that_does_not_exist(program, tmp_path):
    (tmp_path / "file").write_text("")
    home = {"VOLEST_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": str(tmp_path / "file")}
    assert run(program, "", env=home)["misses"] == 1


def test_full_disk(program, tmp_path):
    """A limit on the size of files stands for a disk without room: writes end with OSError."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # noqa: E731
    assert run(program, tmp_path / "cache", preexec_fn=limit)["misses"] == 1
    assert list((tmp_path / "cache" / "kernels").iterdir()) == []


def test_processes_that_start_at_once(program, tmp_path):
    cache = tmp_path / "cache"
    together = [start(program, cache) for _ in range(2)]
    assert all(finish(process)[0]["value"] == 90.0 for process in together)
    assert run(program, cache)["hits"] == 1
    assert all("." not in path.name[:1] for path in (cache / "kernels").iterdir())


def test_changed_callee_is_noticed(program, warm):
    """numba's own cache goes on with the old code of a callee in another file."""
    (program / "callee.py").write_text(CALLEE.replace("2.0 * i", "3.0 * i"))
    found, _ = finish(start(program, warm))
    assert found == {"value": 135.0, "hits": 0, "misses": 1}


SIMULATE = """
import json
import numpy as np
from volest.simulate import raycast, random_scene, simulate

truth = simulate(random_scene(np.random.default_rng(5), load="rough", columns=64)).truth
kernels = [kernel.stats for kernel in vars(raycast).values() if hasattr(kernel, "stats")]
hits, misses = (sum(sum(getattr(s, name).values()) for s in kernels) for name in ("cache_hits", "cache_misses"))
print(json.dumps({"value": truth["volume_m3"], "hits": hits, "misses": misses}))
"""


def test_second_simulation_compiles_nothing(program, tmp_path):
    (program / "main.py").write_text(SIMULATE)
    first, _ = finish(start(program, tmp_path / "cache"))
    second, _ = finish(start(program, tmp_path / "cache"))
    assert first["misses"] >= 2
    assert second["misses"] == 0
    assert second["hits"] >= 2
    assert second["value"] == first["value"]


def test_kernel_with_options_in_process(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLEST_CACHE_DIR", str(tmp_path))

    @kernel(parallel=False)
    def ratio(a, b):
        return a / b

    assert ratio(1.0, 0.0) == float("inf")
    assert ratio.py_func(1.0, 2.0) == 0.5
    assert ratio.stats.cache_path == str(tmp_path / "kernels")
    assert len(list((tmp_path / "kernels").iterdir())) == 1
    ratio._cache.flush()
    assert list((tmp_path / "kernels").iterdir()) == []


def test_closures_do_not_share_an_entry(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLEST_CACHE_DIR", str(tmp_path))

    def scaled(factor):
        @kernel
        def scale(x):
            return factor * x

        return scale

    assert scaled(2.0)(1.0) == 2.0
    assert scaled(3.0)(1.0) == 3.0
