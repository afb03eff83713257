"""Packs the C library for x86-64 and arm64 into dist/, as tarball and .debs, and tries them as a C program would.

Zig's clang compiles, so that glibc 2.17 is enough; what is packed for arm64 runs under QEMU.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ziglang
from check_c_library import ROOT, check_size, check_symbols, expect, only, try_installed, write_load

DIST, GLIBC = ROOT / "dist", "2.17"
ZIG = Path(ziglang.__file__).with_name("zig")
BIN = Path(sys.executable).parent
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
AS_ROOT = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}  # dpkg looks for ldconfig there
INSTALLED = "Package: {}\nStatus: install ok installed\nArchitecture: {}\nMulti-Arch: same\nVersion: {}\n\n"


def main() -> None:
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        load = write_load(folder)
        for cpu in DEBIAN:
            build = ROOT / "cpp" / "build" / f"debs-{cpu}"
            (archive,) = pack(cpu, build, "TGZ", "lib")
            debs = pack(cpu, build, "DEB", f"lib/{cpu}-linux-gnu")
            expect(len(debs) == 2, f"found {debs}, expected two .debs")
            for home in (unpack(archive, folder / f"tar-{cpu}"), install(debs, cpu, folder / f"root-{cpu}")):
                check_size(home, cpu)
                check_symbols([only(home, "libvolest.a")])
                check_glibc(only(home, "libvolest.so"))
                try_installed(home, load, folder / f"try-{home.parent.name}", compiler(cpu))
            for package in (archive, *debs):
                print(f"{package.name}: {package.stat().st_size:,} bytes", flush=True)


def compiler(cpu: str) -> str:
    """Of the machine that the packages are for: not that which made them."""
    return "cc" if cpu == "x86_64" else f"{cpu}-linux-gnu-gcc"


def pack(cpu: str, build: Path, kind: str, library_folder: str) -> list[Path]:
    """Any Linux looks for libraries in lib; Debian has a folder for each CPU."""
    zig = f"{ZIG};{{}};-target;{cpu}-linux-gnu.{GLIBC}"
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": cpu,
        "CMAKE_C_COMPILER": zig.format("cc"),
        "CMAKE_CXX_COMPILER": zig.format("c++"),
        "CMAKE_SHARED_LINKER_FLAGS": "-s",
        "CMAKE_MAKE_PROGRAM": BIN / "ninja",
        "CMAKE_INSTALL_PREFIX": "/usr",
        "CMAKE_INSTALL_LIBDIR": library_folder,
        "BUILD_TESTING": "OFF",
        "VOLEST_GLIBC": GLIBC,
    }
    told = [f"-D{key}={value}" for key, value in options.items()]
    packed = build / "packed"
    shutil.rmtree(packed, ignore_errors=True)
    for command in (
        ("cmake", "-G", "Ninja", "-S", ROOT / "cpp", "-B", build, *told),
        ("cmake", "--build", build),
        ("cpack", "-G", kind, "-B", packed, "-D", "CPACK_STRIP_FILES=OFF"),
    ):
        subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT if command[0] == "cmake" else build, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    found = sorted(path for path in packed.iterdir() if path.suffix in {".deb", ".gz"})
    return [path.replace(DIST / path.name) for path in found]


def unpack(archive: Path, folder: Path) -> Path:
    shutil.unpack_archive(archive, folder)  # our own
    (home,) = folder.iterdir()
    expect((home / "LICENSE").exists(), f"{archive.name} lacks the LICENSE")
    return home


def install(debs: list[Path], cpu: str, root: Path) -> Path:
    """By dpkg, into a system that has nothing but the oldest glibc; lintian, where there is one, finds nothing."""
    state = root / "var/lib/dpkg"
    for name in ("updates", "info", "triggers"):
        (state / name).mkdir(parents=True)
    (state / "status").write_text("".join(INSTALLED.format(x, DEBIAN[cpu], GLIBC) for x in ("libc6", "libc6-dev")))
    (state / "arch").write_text(DEBIAN[cpu] + "\n")
    options = ("--force-architecture", "--force-not-root", "--force-script-chrootless")
    subprocess.run(["dpkg", f"--root={root}", *options, "-i", *debs], env=AS_ROOT, check=True, capture_output=True)
    if shutil.which("lintian"):
        passed = "initial-upload-closes-no-bugs,bogus-mail-host"  # docs/packages.md tells why
        command = ["lintian", "--allow-root", "--fail-on=error,warning", f"--suppress-tags={passed}", *debs]
        subprocess.run(command, check=True)
    return root / "usr"


def check_glibc(library: Path) -> None:
    told = subprocess.run(["readelf", "--version-info", "--wide", library], capture_output=True, text=True, check=True)
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([\d.]+)", told.stdout)}
    oldest = tuple(map(int, GLIBC.split(".")))
    expect(bool(versions) and max(versions) <= oldest, f"{library} asks for glibc {versions}, expected at most {GLIBC}")


if __name__ == "__main__":
    main()
