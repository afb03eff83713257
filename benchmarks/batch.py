"""The campaign that `volest batch` is judged by; each part prints what it found and fails where a bar is missed.

python benchmarks/batch.py throughput [--loads N]    against as many bare loops as there are cores, in turns;
                           [--cases FOLDER]          of these cases in the place of the small ones of the package
python benchmarks/batch.py kills [--kills N]         the driver, then workers, killed at random instants
python benchmarks/batch.py memory                    peak memory for 1,000 to 100,000 rows
python benchmarks/batch.py plan [--loads N]          a million rows planned, and resumed when all are done
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

import psutil

from volest.rows import read_rows

ROOT = Path(__file__).parents[1]
DATASETS = ROOT / "datasets"
CORES = len(os.sched_getaffinity(0))
FIRST = datetime(2026, 1, 1, 7, tzinfo=UTC)
LOADS_A_DAY = 10  # of a truck

REFERENCE = """
import json, os, sys, time
from pathlib import Path
from volest import Estimator, Truck, read_points
from volest.weight import gross_mass
loads, count = json.loads(sys.argv[1]), int(sys.argv[2])
known = {}
def one(folder, scans, weight):
    folder = Path(folder)
    if folder not in known:
        known[folder] = Estimator(Truck.load(folder / "truck.toml"))
    estimator, clouds = known[folder], {}
    for scan in scans:
        sensor, _, name = scan.rpartition("=")
        clouds.setdefault(sensor or "".join(estimator.truck.sensor_ids[:1]), []).append(read_points(folder / name).xyz)
    told = folder / weight if weight and weight.endswith("csv") else float(weight or 0)
    gross = gross_mass(told, estimator.truck.scale) if weight else None
    return estimator.estimate(clouds, gross)
for load in loads:
    one(*load)
cpu_s = lambda: sum(os.times()[:4])  # with the processes that formats are read in
started, before = time.perf_counter(), cpu_s()
for i in range(count):
    one(*loads[i % len(loads)])
print(json.dumps([count / (time.perf_counter() - started), (cpu_s() - before) / count]))
"""
"""What a load costs when nothing is kept of it: reading, weighing, estimating, with the truck known."""


def loads(cases: Path = DATASETS) -> list[tuple[str, list[str], str | None]]:
    """Folder, scans and weight of the loads in a folder of cases: those that come with the package."""
    found = []
    for truth in sorted(cases.resolve().glob("*/truth.json")):
        if json.loads(truth.read_text("utf-8")).get("kind", "load") != "load":
            continue
        told = argparse.ArgumentParser()
        told.add_argument("scans", nargs="+")
        told.add_argument("--truck")
        told.add_argument("--weight")
        told.add_argument("--json", action="store_true")
        command = told.parse_args(json.loads(truth.read_text("utf-8"))["command"][1:])
        found.append((str(truth.parent), command.scans, command.weight))
    return found


def write_manifest(path: Path, count: int, cases: Path = DATASETS) -> None:
    """So many loads: those cases again and again, each of its truck, which has ten a day."""
    known = loads(cases)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["load_id", "truck", "scans", "weight", "time", "lat", "lon", "district"])
        for number, (folder, scans, weight) in enumerate(islice(cycle(known), count)):
            named = [f"{folder}/{s}" if "=" not in s else s.replace("=", f"={folder}/") for s in scans]
            hour = number // len(known) % LOADS_A_DAY
            time_ = FIRST + timedelta(days=number // len(known) // LOADS_A_DAY, hours=hour)
            weigh = "" if weight is None else weight if not weight.endswith("csv") else f"{folder}/{weight}"
            rows.writerow(
                [
                    f"load-{number:07d}",
                    f"{folder}/truck.toml",
                    " ".join(named),
                    weigh,
                    time_.isoformat(),
                    "",
                    "",
                    "Utara",
                ]
            )


def batch(manifest: Path, output: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "volest", "batch", str(manifest), "-o", str(output), "--json", *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(), cwd=manifest.parent
    )


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def finished(process: subprocess.Popen[str]) -> dict[str, object]:
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"volest batch ended with {process.returncode}")
    return dict(json.loads(told))


def rows_of(output: Path) -> list[dict[str, object]]:
    """Without what tells in which file a row lies."""
    found = [{k: v for k, v in row.items() if k != "chain_sha256"} for row in read_rows(output)]
    return sorted(found, key=lambda row: str(row["load_id"]))


def throughput(folder: Path, count: int, cases: Path) -> None:
    manifest, known = folder / "manifest.csv", json.dumps(loads(cases))
    write_manifest(manifest, count, cases)
    share, ratios, costs = [], [], []
    for turn in range(3):
        loops = [
            subprocess.Popen(
                [sys.executable, "-c", REFERENCE, known, str(count // CORES // 2)],
                stdout=subprocess.PIPE, env=environment(),
            )
            for _ in range(CORES)
        ]  # fmt: skip
        bare = [json.loads(loop.communicate()[0]) for loop in loops]
        rate, cost = sum(each[0] for each in bare), sum(each[1] for each in bare) / CORES
        output = folder / f"out{turn}"
        before = children_s()
        started = time.perf_counter()
        finished(batch(manifest, output))
        took = time.perf_counter() - started
        spent = (children_s() - before) / count
        ratios.append(count / took / rate)
        costs.append(cost / spent)
        share.append(took)
        print(
            f"{CORES} bare loops {rate:.0f} loads/s ({1e3 * cost:.2f} ms of CPU each); "
            f"batch of {count}: {count / took:.0f} loads/s "
            f"({1e3 * spent:.2f} ms of CPU each): {100 * ratios[-1]:.0f} % by the clock, "
            f"{100 * costs[-1]:.0f} % by CPU time",
            flush=True,
        )
        shutil.rmtree(output)
    print(
        f"median {100 * sorted(ratios)[1]:.0f} % by the clock, {100 * sorted(costs)[1]:.0f} % by CPU time (bar: 85 %)"
    )


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kills(folder: Path, count: int, often: int) -> None:
    manifest, chance = folder / "manifest.csv", random.Random(8)
    write_manifest(manifest, count)
    started = time.perf_counter()
    finished(batch(manifest, folder / "undisturbed"))
    took, expected = time.perf_counter() - started, rows_of(folder / "undisturbed")
    print(f"undisturbed: {len(expected)} rows in {took:.1f} s", flush=True)
    output, hit = folder / "driver", 0
    while hit < often:
        process = batch(manifest, output)
        try:
            process.wait(chance.uniform(0.0, min(took, 3.0 + 2 * took / often)))
        except subprocess.TimeoutExpired:
            process.kill()
            hit += 1
        process.communicate()
        if process.returncode == 0:  # done before it was hit: begin anew
            assert rows_of(output) == expected
            shutil.rmtree(output)
    finished(batch(manifest, output))
    assert rows_of(output) == expected, "the driver was killed, and the dataset is another"
    print(f"driver killed {often} times: the same {len(expected)} rows", flush=True)
    output, hit = folder / "workers", 0
    while hit < often:
        process = batch(manifest, output)
        while process.poll() is None and hit < often:
            time.sleep(chance.uniform(0.05, 0.5))
            hit += kill_a_worker(process.pid, chance)
        finished(process)
        assert rows_of(output) == expected, "workers were killed, and the dataset is another"
        if hit < often:
            shutil.rmtree(output)
    print(f"workers killed {often} times: the same {len(expected)} rows")


def kill_a_worker(pid: int, chance: random.Random) -> bool:
    try:
        workers = [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
        if not workers:
            return False
        os.kill(chance.choice(workers).pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
    return True


def memory(folder: Path, most: int) -> None:
    peaks = []
    for count in (1_000, 10_000, 100_000):
        if count > most:
            break
        manifest = folder / f"{count}.csv"
        write_manifest(manifest, count)
        process, peak = batch(manifest, folder / f"out{count}"), {"driver": 0, "worker": 0}
        while process.poll() is None:
            peak["driver"] = max(peak["driver"], high_water(process.pid))
            for child in children(process.pid):
                peak["worker"] = max(peak["worker"], high_water(child))
            time.sleep(0.05)
        finished(process)
        peaks.append(peak)
        print(f"{count} rows: peak {peak['driver'] >> 20} MiB driver, {peak['worker'] >> 20} MiB a worker", flush=True)
        shutil.rmtree(folder / f"out{count}")
    for name in ("driver", "worker"):
        assert peaks[-1][name] < 1.25 * peaks[0][name] + (32 << 20), f"memory of the {name} grows with the rows"


def children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


def high_water(pid: int) -> int:
    """The most memory that a process ever held [bytes]."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


def plan(folder: Path, count: int) -> None:
    """Planned with nothing done, then with all done: as if it were, for the estimates are not what is timed."""
    from volest.batch.ledger import PUBLISHED, Ledger
    from volest.batch.plan import plan as planned

    manifest, output = folder / "manifest.csv", folder / "out"
    write_manifest(manifest, count)
    output.mkdir()
    for name in ("planned", "resumed"):
        started, used = time.perf_counter(), time.process_time()
        with Ledger(output) as ledger:
            rows = planned(ledger, str(manifest))
            due = ledger.pending()
        took, spent = time.perf_counter() - started, time.process_time() - used
        print(f"{rows} rows {name} in {took:.1f} s ({spent:.1f} s of CPU), {due} due", flush=True)
        assert took < 60.0
        with Ledger(output) as ledger:
            ledger.db.execute(f"update load set state = {PUBLISHED}, told = null")
            ledger.commit()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["throughput", "kills", "memory", "plan"])
    parser.add_argument("--loads", type=int)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cases", type=Path, default=DATASETS)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volest-bench-") as name:
        folder = Path(name)
        if told.part == "throughput":
            throughput(folder, told.loads or 10_000, told.cases)
        elif told.part == "kills":
            kills(folder, told.loads or 10_000, told.kills)
        elif told.part == "memory":
            memory(folder, told.loads or 100_000)
        else:
            plan(folder, told.loads or 1_000_000)


if __name__ == "__main__":
    main()
