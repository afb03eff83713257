"""Builds the C library by the bare command of docs/c.md and as a CMake package, and tries both as a C program would.

`check_c_library.py CMAKE_BUILD...`: builds of cpp/ to be installed and tried; one for arm64 is run under QEMU.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from volest import Estimator, Truck
from volest.io import read_points

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
GOLDEN, SENSOR, GROSS_KG = ROOT / "datasets" / "half-full-overhead", "top", 6100.0
CMAKE = os.environ.get("CMAKE", "cmake")
MOST_TEXT = 700_000  # bytes of code and constants in the shared library
C99 = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
ALLOWED = re.compile(  # what the library may ask of others: libm, libgcc and the string functions of libc
    r"(fmin|fmax)f?|ceil|floor|bcmp|mem(chr|cmp|cpy|move|set)|str(len|ncmp)|__popcountdi2"
    r"|_GLOBAL_OFFSET_TABLE_|_ITM_\w+|__cxa_finalize|__gmon_start__|__\w+@@?GLIBC.*|_?_?tls_\w+"
)
PROJECT = """cmake_minimum_required(VERSION 3.22)
project(trial C)
find_package(volest 0.1 REQUIRED)
add_executable(static {example})
target_link_libraries(static volest::volest)
add_executable(shared {example})
target_link_libraries(shared volest::volest_shared)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        load = write_load(folder)
        bare = build_bare(folder)
        check_symbols([*folder.glob("*.o")])
        run_load(load, folder, bare)
        for build in map(Path, sys.argv[1:]):
            try_package(build, load, folder / build.name)


def write_load(folder: Path) -> str:
    """Files of a golden load; what Python says of it, as examples/estimate.c prints it."""
    from test_truckfile import store  # the same truck as in the tests

    store(Estimator(Truck.load(GOLDEN / "truck.toml")), folder / "truck.volest")
    xyz = read_points(GOLDEN / "top.npz").xyz
    np.ascontiguousarray(xyz, "<f4").tofile(folder / "points.f32")
    result = Estimator(Truck.load(folder / "truck.volest")).estimate(xyz, gross_kg=GROSS_KG)
    volume, density = result.volume_m3, result.bulk_density_kg_m3
    assert volume is not None
    assert density is not None
    return (
        f"volume_m3 {volume.value:.17g} {volume.std:.17g}\nbulk_density_kg_m3 {density.value:.17g} {density.std:.17g}\n"
    )


def build_bare(folder: Path) -> Path:
    """The commands of docs/c.md, word by word."""
    block = re.search(r"```sh\n# bare\n(.*?)```", (ROOT / "docs/c.md").read_text(), re.DOTALL)
    assert block is not None
    for path in ("cpp", "volest"):
        (folder / path).symlink_to(ROOT / path)
    subprocess.run(["sh", "-ec", block[1]], cwd=folder, check=True)
    return folder / "estimate"


def check_symbols(objects: list[Path]) -> None:
    """No allocation, no exception, no I/O, no variable."""
    listing = subprocess.run(["nm", "-A", *objects], capture_output=True, text=True, check=True).stdout
    rows = [line.split(":", 1)[1].split()[-2:] for line in listing.splitlines()]
    foreign = {name for kind, name in rows if kind in "UwvW" and not name.startswith(("_ZN6volest", "_ZNK6volest"))}
    defined = {name for kind, name in rows if kind not in "Uwv"}
    found = sorted(name for name in foreign - defined if not ALLOWED.fullmatch(name))
    expect(not found, f"the library asks for {found}")
    variables = sorted(name for kind, name in rows if kind in "bBcC")
    expect(not variables, f"the library has the variables {variables}")


def run_load(expected: str, folder: Path, *command: Path | str) -> None:
    load = (folder / "truck.volest", SENSOR, folder / "points.f32", str(GROSS_KG))
    done = subprocess.run([*command, *load], capture_output=True, text=True, check=True)
    told = "".join(line + "\n" for line in done.stdout.splitlines() if not line.startswith(("unchecked", "flag")))
    expect(told == expected, f"{command}: found\n{told}expected\n{expected}")
    print(*command, "gives the bits of Python")


def try_package(build: Path, expected: str, folder: Path) -> None:
    home = folder / "installed"
    subprocess.run([CMAKE, "--install", build, "--prefix", home], check=True, stdout=subprocess.DEVNULL)
    cache = (build / "CMakeCache.txt").read_text()
    compiler = re.search(r"CMAKE_C_COMPILER:\w+=(.*)", cache)
    assert compiler is not None
    check_size(home, build.name)
    try_installed(home, expected, folder, compiler[1])


def check_size(home: Path, name: str) -> None:
    library = only(home, "libvolest.so")
    sizes = subprocess.run(["size", library], capture_output=True, text=True, check=True).stdout
    text = int(sizes.splitlines()[1].split()[0])
    expect(text <= MOST_TEXT, f"{name}: {text:,} bytes of code, expected at most {MOST_TEXT:,}")
    print(f"{name}: {text:,} bytes of code")


def only(home: Path, name: str) -> Path:
    """A file or folder of what is installed, in lib, lib64 or lib/x86_64-linux-gnu."""
    (found,) = home.glob(f"lib*/**/{name}")
    return found


def try_installed(home: Path, expected: str, folder: Path, compiler: str) -> None:
    """The example by find_package, with the static and the shared library, and by pkg-config."""
    project = folder / "project"
    project.mkdir(parents=True)
    emulator = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"] if "aarch64" in compiler else []
    example = ROOT / "cpp/examples/estimate.c"
    (project / "CMakeLists.txt").write_text(PROJECT.format(example=example))
    options = [f"-DCMAKE_PREFIX_PATH={home}", f"-DCMAKE_C_COMPILER={compiler}"]
    options += ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"] if emulator else []
    options += [f"-DCMAKE_FIND_ROOT_PATH={home}"] if emulator else []
    subprocess.run([CMAKE, "-S", project, "-B", project / "build", *options], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([CMAKE, "--build", project / "build"], check=True, stdout=subprocess.DEVNULL)
    for kind in ("static", "shared"):
        run_load(expected, folder.parent, *emulator, project / "build" / kind)
    if shutil.which("pkg-config"):
        environment = os.environ | {"PKG_CONFIG_PATH": str(only(home, "pkgconfig"))}
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "--static", "volest"], env=environment,
                               capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
        rpath = f"-Wl,-rpath,{only(home, 'libvolest.so').parent}"
        subprocess.run([compiler, *C99, example, *flags, rpath, "-o", folder / "by-pkg-config"], check=True)
        run_load(expected, folder.parent, *emulator, folder / "by-pkg-config")


def expect(holds: bool, message: str) -> None:
    if not holds:
        sys.exit(f"check_c_library: {message}")


if __name__ == "__main__":
    main()
