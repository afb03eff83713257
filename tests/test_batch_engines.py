"""The Dask engine against the local one, and files on a real S3 server: the same rows to the last bit."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_loads import make_loads, rows_of, run

from volest.batch.run import run_batch
from volest.errors import InputError
from volest.rows import Row

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Row]]:
    """A manifest, and its rows by the local engine."""
    folder = tmp_path_factory.mktemp("engines")
    manifest = make_loads(folder / "in", 60)
    run(manifest, folder / "out")
    return manifest, rows_of(folder / "out")


def test_cluster_of_this_machine_gives_the_same_rows(small: tuple[Path, dict[str, Row]], tmp_path: Path) -> None:
    summary = run_batch(str(small[0]), tmp_path, engine="dask", jobs=2)
    assert (summary.rows, summary.estimated) == (60, 60)
    assert rows_of(tmp_path) == small[1]


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, each a process of its own."""
    script = (
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host='127.0.0.1')\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    input()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen([sys.executable, "-c", script], **pipes)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def test_existing_cluster_gives_the_same_rows_and_is_left_running(
    small: tuple[Path, dict[str, Row]], tmp_path: Path, scheduler: str
) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        assert run_batch(str(small[0]), folder, engine="dask", scheduler=scheduler).estimated == 60
        assert rows_of(folder) == small[1]


def test_no_cluster_answers(
    small: tuple[Path, dict[str, Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volest.batch.cluster.CONNECT_S", 0.5)
    with pytest.raises(InputError, match=r"--scheduler tcp://127\.0\.0\.1:1: no cluster with workers answers"):
        run_batch(str(small[0]), tmp_path, engine="dask", scheduler="tcp://127.0.0.1:1")


@pytest.mark.parametrize("told", [{"engine": "spark"}, {"engine": "local", "scheduler": "tcp://127.0.0.1:1"}])
def test_engines_that_are_none(small: tuple[Path, dict[str, Row]], tmp_path: Path, told: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"--(engine|scheduler): found"):
        run_batch(str(small[0]), tmp_path, **told)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on an S3 server of this machine, which is found by the environment."""
    httpx, storage = pytest.importorskip("httpx"), pytest.importorskip("volest.objectstore")
    pytest.importorskip("obstore")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        storage._filesystem.cache_clear()
        httpx.put(f"http://{host}:{port}/loads").raise_for_status()
        yield "s3://loads"
        storage._filesystem.cache_clear()
    server.stop()


def test_objects_give_the_rows_of_files(small: tuple[Path, dict[str, Row]], tmp_path: Path, bucket: str) -> None:
    from volest.objectstore import filesystem

    store = filesystem(bucket)
    for path in small[0].parent.iterdir():
        store.put_file(str(path), f"{bucket}/day/{path.name}")
    first = run_batch(f"{bucket}/day/{small[0].name}", tmp_path, jobs=1)
    assert (first.rows, first.estimated) == (60, 60)
    assert rows_of(tmp_path) == small[1]
    again = run_batch(f"{bucket}/day/{small[0].name}", tmp_path, jobs=1)
    assert (again.estimated, again.chain_sha256) == (0, first.chain_sha256)
    store.put_file(str(small[0].parent / "scan1.csv"), f"{bucket}/day/scan0.csv")
    assert run_batch(f"{bucket}/day/{small[0].name}", tmp_path, jobs=1).estimated == 15
    store.rm(f"{bucket}/day/scan2.csv")
    assert run_batch(f"{bucket}/day/{small[0].name}", tmp_path, jobs=1).estimated == 15
    gone = rows_of(tmp_path)["load-00002"]
    assert gone["status"] == "rejected"
    assert "scan2.csv" in gone["reasons"][0]


def test_manifest_that_is_no_object(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"s3://loads/none\.csv: cannot be read"):
        run_batch(f"{bucket}/none.csv", tmp_path, jobs=1)
    with pytest.raises(InputError, match=r"http://.*expected a local path or one of s3"):
        run_batch("http://127.0.0.1/m.csv", tmp_path, jobs=1)
