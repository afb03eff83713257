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


def build(folder: Path) -> Path:
    """The program that does the work."""
    program = folder / "instructions"
    library = CORE / "build" / "release" / "libvolest.a"
    flags = ["-std=c++17", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    source = str(HERE / "instructions.cpp")
    subprocess.run([COMPILER, *flags, f"-I{CORE / 'src'}", source, str(library), "-o", str(program)], check=True)
    return program


def count(program: Path, job: str) -> int:
    """The instructions that work() takes for a job."""
    out = program.with_name(f"{job}.out")
    options = ["--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no", "--toggle-collect=work"]
    subprocess.run(["valgrind", "-q", *options, str(program), job], check=True)
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    assert found is not None, f"{out}: found no total"
    return int(found[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the budgets anew")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed; on Debian: sudo apt-get install valgrind", file=sys.stderr)
        return 0
    budgets = json.loads(BUDGETS.read_text())
    with TemporaryDirectory() as folder:
        program = build(Path(folder))
        counts = {job: count(program, job) for job in budgets["jobs"]}
    over = [job for job, found in counts.items() if found > (1 + TOLERANCE) * budgets["jobs"][job]]
    for job, found in counts.items():
        print(f"{job:24s} {found:12,d}  budget {budgets['jobs'][job]:12,d}{'  over' if job in over else ''}")
    if arguments.update:
        version = subprocess.run([COMPILER, "--version"], check=True, capture_output=True, text=True).stdout
        BUDGETS.write_text(json.dumps({"compiler": version.splitlines()[0], "jobs": counts}, indent=2) + "\n")
        return 0
    if over:
        print(f"budgets are those of {budgets['compiler']}; --update writes them anew", file=sys.stderr)
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
