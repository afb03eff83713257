"""How many instructions fixed work takes, counted by valgrind, against the budgets in instructions.json.

    python benchmarks/instructions.py             compare; more than 3 % over a budget is a failure
    python benchmarks/instructions.py --update    write the budgets anew

Needs the core as `make core` builds it. Times differ from run to run and machine to machine; these counts do so only
with the compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
CORE = HERE.parent / "cpp"
BUDGETS = HERE / "instructions.json"
TOLERANCE = 0.03
COMPILER = os.environ.get("CXX", "c++")


def build(at: Path) -> Path:
    """The program that does the work."""
    program = at / "instructions"
    libraries = [str(CORE / "build" / "release" / f"lib{name}.a") for name in ("volest_offline", "volest")]
    flags = ["-std=c++17", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    source = str(HERE / "instructions.cpp")
    flags += [f"-I{CORE / folder}" for folder in ("src", "tests")]
    subprocess.run([COMPILER, *flags, source, *libraries, "-o", str(program)], check=True)
    return program


def counted(program: Path, jobs: list[str]) -> dict[str, int]:
    """The instructions of each job; fails where one gives a wrong answer."""
    out = program.with_name("counts")
    options = ["--tool=callgrind", f"--callgrind-out-file={out}", "--combine-dumps=yes", "--collect-atstart=no"]
    subprocess.run(["valgrind", "-q", *options, str(program), *jobs], check=True)
    parts = re.findall(r"^desc: Trigger: Client Request: (\S+)$.*?^totals: (\d+)$", out.read_text(), re.M | re.S)
    return {job: int(total) for job, total in parts}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the budgets anew")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed; on Debian: sudo apt-get install valgrind", file=sys.stderr)
        return 0
    written = json.loads(BUDGETS.read_text())
    budgets = written["jobs"]
    with TemporaryDirectory() as folder:
        program = build(Path(folder))
        listed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.split()
        counts = counted(program, listed)
    over = [job for job, found in counts.items() if found > (1 + TOLERANCE) * budgets.get(job, 0)]
    for job, found in counts.items():
        print(f"{job:28s} {found:12,d}  budget {budgets.get(job, 0):12,d}{'  over' if job in over else ''}")
    if arguments.update:
        version = subprocess.run([COMPILER, "--version"], check=True, capture_output=True, text=True).stdout
        BUDGETS.write_text(json.dumps({"compiler": version.splitlines()[0], "jobs": counts}, indent=2) + "\n")
        return 0
    if over:
        print(f"budgets are those of {written['compiler']}; --update writes them anew", file=sys.stderr)
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
