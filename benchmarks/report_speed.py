"""How long a report takes, and how much memory: a dataset of drawn loads, written part by part as volest batch does.

python benchmarks/report_speed.py --trucks 10 --days 365 --trips 274      a million rows in 3,650 files
python benchmarks/report_speed.py --trucks 69 --days 365 --trips 4        100,000 rows in 25,000 files
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from load_rows import draw_year


def main() -> None:
    """Print a line: rows, files, seconds, processor seconds, peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trucks", type=int, default=10)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--trips", type=int, default=274)
    parser.add_argument("--results", type=Path, help="a folder that volest batch wrote, in the place of a drawn one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = arguments.results
        if results is None:
            year = draw_year(9, trucks=arguments.trucks, days=arguments.days, trips=arguments.trips)
            results = year.write(Path(folder) / "results")
        command = [sys.executable, "-m", "volest", "report", str(results), "-o", str(Path(folder) / "out")]
        begin = time.perf_counter()
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            raise SystemExit(f"volest report failed with status {os.waitstatus_to_exitcode(status)}")
        parts = sum(1 for _ in results.glob("date=*/truck=*/*.parquet"))
        processor = used.ru_utime + used.ru_stime
        print(f"{parts} files: {seconds:.1f} s, {processor:.1f} s of a processor, {used.ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
