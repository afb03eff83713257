"""Packs the C library for x86-64 and arm64 into dist/, as tarball and .debs, and tries them as a C program would.

Zig's clang compiles, so that glibc 2.17 is enough; what is packed for arm64 runs under QEMU.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ziglang
from check_c_library import ROOT, check_size, expect, try_installed, write_load

DIST, GLIBC = ROOT / "dist", "2.17"
ZIG = Path(ziglang.__file__).with_name("zig")
BIN = Path(sys.executable).parent
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


def main() -> None:
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        load = write_load(folder)
        for cpu in DEBIAN:
            packages = pack(cpu, ROOT / "cpp" / "build" / f"debs-{cpu}")
            root = folder / cpu
            for package in packages:
                if package.suffix == ".deb":
                    subprocess.run(["dpkg-deb", "-x", package, root], check=True)
                    check_deb(package)
                print(f"{package.name}: {package.stat().st_size:,} bytes", flush=True)
            check_size(root / "usr", cpu)
            try_installed(root / "usr", load, folder / f"try-{cpu}", compiler(cpu))
            (archive,) = (package for package in packages if package.suffix == ".gz")
            shutil.unpack_archive(archive, folder / f"tar-{cpu}")
            (home,) = (folder / f"tar-{cpu}").iterdir()
            try_installed(home, load, folder / f"try-tar-{cpu}", compiler(cpu))


def compiler(cpu: str) -> str:
    """Of the machine that the packages are for: not that which made them."""
    return "cc" if cpu == "x86_64" else f"{cpu}-linux-gnu-gcc"


def pack(cpu: str, build: Path) -> list[Path]:
    zig = f"{ZIG};{{}};-target;{cpu}-linux-gnu.{GLIBC}"
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": cpu,
        "CMAKE_C_COMPILER": zig.format("cc"),
        "CMAKE_CXX_COMPILER": zig.format("c++"),
        "CMAKE_SHARED_LINKER_FLAGS": "-s",
        "CMAKE_MAKE_PROGRAM": BIN / "ninja",
        "CMAKE_INSTALL_PREFIX": "/usr",
        "CMAKE_INSTALL_LIBDIR": f"lib/{cpu}-linux-gnu",
        "BUILD_TESTING": "OFF",
        "VOLEST_GLIBC": GLIBC,
    }
    told = [f"-D{key}={value}" for key, value in options.items()]
    subprocess.run([BIN / "cmake", "-G", "Ninja", "-S", ROOT / "cpp", "-B", build, *told], check=True)
    subprocess.run([BIN / "cmake", "--build", build], check=True)
    packed = build / "packed"
    shutil.rmtree(packed, ignore_errors=True)
    subprocess.run([BIN / "cpack", "-B", packed, "-D", "CPACK_STRIP_FILES=OFF"], cwd=build, check=True)
    found = sorted(path for path in packed.iterdir() if path.suffix in {".deb", ".gz"})
    expect(len(found) == 3, f"found {found}, expected a tarball and two .debs")
    return [path.replace(DIST / path.name) for path in found]


def check_deb(package: Path) -> None:
    """Lintian, where there is one, finds nothing; two tags are told apart in docs/packages.md."""
    if shutil.which("lintian"):
        passed = "initial-upload-closes-no-bugs,bogus-mail-host"
        command = ["lintian", "--allow-root", "--fail-on=error,warning", f"--suppress-tags={passed}", package]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
