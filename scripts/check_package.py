"""Builds sdist and wheel, checks what they hold, and tries the wheel in a bare environment."""

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
TRIAL = """
import json, subprocess, sys, volest
from importlib.resources import files
assert "site-packages" in volest.__file__, volest.__file__
truths = sorted(files("volest.datasets").glob("*/truth.json"))
assert truths, "no data sets"
for truth in truths:
    command = [sys.executable, "-m", "volest", *json.loads(truth.read_text("utf-8"))["command"]]
    done = subprocess.run(command, cwd=truth.parent, stdout=subprocess.PIPE, check=True)
    print(truth.parent.name, json.loads(done.stdout)["volume_m3"])
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sdist, wheel = build(Path(folder))
        check_sdist(sdist)
        check_wheel(wheel)
        try_wheel(wheel, Path(folder) / "venv")


def run(*command: str | Path, cwd: Path = ROOT, stdout: int | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=stdout)


def build(folder: Path) -> tuple[Path, Path]:
    """An sdist of this tree, and a wheel made from that sdist in isolation."""
    backend = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", backend, folder, stdout=subprocess.DEVNULL)
    (sdist,) = folder.glob("*.tar.gz")
    run(*PIP, "wheel", "-q", "--no-deps", "--wheel-dir", folder, sdist)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {str(path.relative_to(ROOT)) for path in ROOT.glob("cpp/*/**/*.[ch]pp") if "build" not in path.parts}
    wanted = sources | {"setup.py", "LICENSE", "cpp/CMakeLists.txt", "tests/conftest.py", "volest/_version.py"}
    expect(wanted <= names, f"the sdist lacks {sorted(wanted - names)}")


def check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names}
    expect(all(top.startswith("volest") for top in tops), f"the wheel installs {sorted(tops)}")
    modules = {
        str(path.relative_to(ROOT)) for path in ROOT.glob("volest/**/*") if path.suffix in {".py", ".pyi", ".toml"}
    }
    data = {f"volest/{path.relative_to(ROOT)}" for path in ROOT.glob("datasets/[!_]*/*") if path.is_file()}
    wanted = modules | data | {"volest/py.typed"}
    expect(wanted <= names, f"the wheel lacks {sorted(wanted - names)}")
    expect(any(name.startswith("volest/_core.") and name.endswith(".so") for name in names), "the wheel lacks the core")
    unwanted = sorted(name for name in names if "test" in name or name.endswith((".cpp", ".hpp", ".pyc")))
    expect(not unwanted, f"the wheel holds {unwanted}")


def try_wheel(wheel: Path, folder: Path) -> None:
    """`pip install volest` without extras: it finds its data sets and estimates each of them."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(*PIP, "--python", python, "install", "-q", wheel)
    run(python, "-c", TRIAL, cwd=folder)
    run(folder / "bin" / "volest", "--help", cwd=folder, stdout=subprocess.DEVNULL)


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"check_package: {otherwise}")


if __name__ == "__main__":
    main()
