"""Builds the C++ core; everything else about the package stands in pyproject.toml."""

import os
import re
from glob import glob
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

SOURCES = sorted(glob("cpp/src/*.cpp") + glob("cpp/bindings/*.cpp"))
HEADERS = sorted(path for kind in ("h", "hpp", "inl") for path in glob(f"cpp/**/*.{kind}", recursive=True))

# The same bits on every CPU: no contraction to fused multiply-add, one signedness of char. As in cpp/CMakeLists.txt.
# Python's own flags may make signed numbers wrap around, which keeps loops from becoming vectors.
FLAGS = ["-O3", "-fno-wrapv", "-ffp-contract=off", "-fsigned-char", "-fno-math-errno", "-Wno-psabi"]
if os.environ.get("VOLEST_WERROR"):
    FLAGS += ["-Wall", "-Wextra", "-Wconversion", "-Werror"]

VERSION = re.search('__version__ = (".*")', Path("volest/_version.py").read_text(encoding="utf-8"))
assert VERSION is not None

ParallelCompile("VOLEST_BUILD_JOBS", default=2).install()

setup(
    ext_modules=[
        Pybind11Extension(
            "volest._core",
            SOURCES,
            cxx_std=17,
            include_dirs=["cpp/include", "cpp/src"],
            define_macros=[("VOLEST_VERSION", VERSION[1])],
            extra_compile_args=FLAGS,
            depends=["setup.py", *HEADERS],
        )
    ],
    cmdclass={"build_ext": build_ext},
)
