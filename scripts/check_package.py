"""Builds sdist and wheel, checks what they hold, and tries the wheel in a bare environment."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
MOST_WHEEL_BYTES, MOST_SDIST_BYTES = 3_000_000, 4_000_000
BASE = {"volest", "numpy", "msgspec", "rich", "markdown-it-py", "mdurl", "pygments"}
STUBTEST = "from mypy.stubtest import main; sys.argv[1:] = ['--concise', 'volest._core']; main()"
ALIKE = re.compile(  # what stubtest takes for a difference: pybind11's ways, and names for types alone
    r".* (is inconsistent, metaclass differs|is read-only at runtime but not in the stub"
    r"|is inconsistent, stub does not have \*args parameter \"args\")"
    r"|volest\._core\.(Points|Scans) is not present at runtime"
)
SIGNATURES = """
import ast
from importlib.resources import files
from volest import _core

def arguments(function):
    told = function.args
    return [x.arg for x in told.args], [x.arg for x in told.kwonlyargs], len(told.defaults), len(told.kw_defaults)

def compare(stubs, compiled, place):
    for stub in stubs:
        if isinstance(stub, ast.ClassDef):
            compare(stub.body, getattr(compiled, stub.name), place + "." + stub.name)
        elif isinstance(stub, ast.FunctionDef):
            signature = getattr(compiled, stub.name).__doc__.splitlines()[0]
            (function,) = ast.parse("def " + signature + ": ...").body
            if arguments(stub) != arguments(function):
                raise SystemExit(f"_core.pyi: {place}.{stub.name} is compiled as {signature}")

compare(ast.parse(files("volest").joinpath("_core.pyi").read_text("utf-8")).body, _core, "_core")
"""
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
        check_stubs(Path(folder) / "venv")
        check_core(sdist, Path(folder) / "core")


def run(*command: str | Path, cwd: Path = ROOT, stdout: int | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=stdout)


def build_sdist(folder: Path) -> Path:
    backend = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", backend, folder, stdout=subprocess.DEVNULL)
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def build(folder: Path) -> tuple[Path, Path]:
    """An sdist of this tree, and a wheel made from that sdist in isolation."""
    sdist = build_sdist(folder)
    run(*PIP, "wheel", "-q", "--no-deps", "--wheel-dir", folder, sdist)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = (path.relative_to(ROOT) for path in ROOT.glob("cpp/**/*") if path.is_file())
    sources = {str(path) for path in files if path.parts[1] != "build"}
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
    size = wheel.stat().st_size
    expect(size <= MOST_WHEEL_BYTES, f"{wheel.name} has {size:,} bytes, expected at most {MOST_WHEEL_BYTES:,}")
    unwanted = sorted(name for name in names if "test" in name or name.endswith((".cpp", ".hpp", ".pyc")))
    expect(not unwanted, f"the wheel holds {unwanted}")


def try_wheel(wheel: Path, folder: Path) -> None:
    """`pip install volest` without extras: it finds its data sets and estimates each of them."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(*PIP, "--python", python, "install", "-q", wheel)
    run(python, "-c", TRIAL, cwd=folder)
    run(folder / "bin" / "volest", "--help", cwd=folder, stdout=subprocess.DEVNULL)
    told = subprocess.run(
        [*PIP, "--python", python, "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    found = {line.partition("==")[0].lower() for line in told.stdout.splitlines()}
    expect(found <= BASE, f"the base installation has {sorted(found - BASE)}, too")


def check_stubs(environment: Path) -> None:
    """_core.pyi says what the compiled module has: names by mypy's stubtest, arguments by pybind11's docstrings."""
    (site,) = environment.glob("lib/python*/site-packages")
    command = (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {STUBTEST}")
    settings = os.environ | {"MYPYPATH": str(site)}
    told = subprocess.run(command, cwd=environment, env=settings, capture_output=True, text=True, check=True).stdout
    differs = [line for line in told.splitlines() if not ALIKE.fullmatch(line)]
    expect(not differs, "_core.pyi is not what is compiled:\n" + "\n".join(differs))
    run(environment / "bin" / "python", "-c", SIGNATURES, cwd=environment)


def check_core(sdist: Path, folder: Path) -> None:
    """The sdist alone configures and builds the C library."""
    shutil.unpack_archive(sdist, folder)  # our own
    (tree,) = folder.iterdir()
    cmake = Path(sys.executable).parent / "cmake"
    options = ("-DBUILD_TESTING=OFF", f"-DCMAKE_INSTALL_PREFIX={folder / 'installed'}")
    run(cmake, "-S", tree / "cpp", "-B", tree / "build", *options, stdout=subprocess.DEVNULL)
    run(cmake, "--build", tree / "build", "--parallel", "2", "--target", "install", stdout=subprocess.DEVNULL)
    expect((folder / "installed/include/volest/volest.h").exists(), "the sdist's C library has no header")


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"check_package: {otherwise}")


if __name__ == "__main__":
    main()
