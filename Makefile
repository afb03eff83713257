# `make demo` and `make test` set up everything they need in .venv, then run.
# PYTHON=/path/to/python3 chooses the interpreter, JOBS how many tests run side by side.
PYTHON ?=
JOBS ?= 2
export PYTHON

BIN := .venv/bin
CMAKE := $(BIN)/cmake -S cpp -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja"
CXX_FILES = $$(find cpp benchmarks examples -path cpp/build -prune -o \( -name '*.cpp' -o -name '*.c' -o -name '*.h' -o -name '*.hpp' -o -name '*.inl' \) -print)

MEASURED := build/bench

.PHONY: help demo test campaign bench instructions lint format core sanitize fuzz library firmware arm64 package wheels debs clean
.NOTPARALLEL:

help:
	@echo "make demo      estimate the loads that come with volest, and draw them"
	@echo "make test      run the tests"
	@echo "make campaign  score hundreds of simulated loads: do the 95 % intervals hold? (15 minutes)"
	@echo "make bench     time volest beside its peers, write docs/benchmarks.md (5 minutes)"
	@echo "make instructions  count the instructions of fixed work against their budgets"
	@echo "make lint      check format, style, types and import layers"
	@echo "make format    put the sources into their format"
	@echo "make core      build and test the C++ core alone"
	@echo "make sanitize  the same under the address and undefined-behaviour sanitizers"
	@echo "make firmware  build the example of firmware against the C library of this tree"
	@echo "make fuzz      ten minutes of fuzzing for each door that takes bytes (half an hour)"
	@echo "make library build the C library as docs/c.md tells, and try it"
	@echo "make arm64     build it for arm64 and test it under QEMU"
	@echo "make package   build sdist and wheel, install and try them"
	@echo "make wheels    build wheels for x86-64 and arm64 that need only glibc 2.17, and try them (3 minutes a Python)"
	@echo "make debs      pack the C library for both, as tarballs and .debs, and try them"
	@echo "make clean     remove everything that these made"

demo:
	@scripts/setup demo
	$(BIN)/volest demo

test:
	@scripts/setup dev
	$(BIN)/pytest -n $(JOBS) --dist loadfile

campaign:
	@scripts/setup dev
	$(BIN)/python benchmarks/accuracy.py --scenes 600
	$(BIN)/python benchmarks/disturbances.py --scenes 100
	$(BIN)/python benchmarks/registration.py --scenes 100

bench:
	@scripts/setup bench
	@mkdir -p $(MEASURED)
	$(BIN)/pytest benchmarks --benchmark-json=$(MEASURED)/peers.json --benchmark-quiet
	$(BIN)/python benchmarks/ratios.py --json $(MEASURED)/ratios.json
	$(BIN)/python benchmarks/growth.py --json $(MEASURED)/growth.json
	$(BIN)/python benchmarks/report.py $(MEASURED)

instructions: core
	$(BIN)/python benchmarks/instructions.py

lint:
	@scripts/setup dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)
	$(BIN)/pytest tests/test_layers.py

format:
	@scripts/setup dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CXX_FILES)

core:
	@scripts/setup dev
	$(CMAKE) -B cpp/build/release
	$(BIN)/cmake --build cpp/build/release
	$(BIN)/ctest --test-dir cpp/build/release --output-on-failure --no-tests=error

sanitize:
	@scripts/setup dev
	$(CMAKE) -B cpp/build/sanitize -DVOLEST_SANITIZE=ON
	$(BIN)/cmake --build cpp/build/sanitize
	$(BIN)/ctest --test-dir cpp/build/sanitize --output-on-failure --no-tests=error

FUZZ_SECONDS ?= 600

fuzz: sanitize
	for fuzzer in cpp/build/sanitize/fuzz_*; do echo $$fuzzer; $$fuzzer $(FUZZ_SECONDS) $$(date +%j) || exit 1; done

# Builds of the core beside x86-64 that are there, too, are tried under QEMU: run `make arm64` before.
library: core
	CMAKE=$(BIN)/cmake PYTHONPATH=. $(BIN)/python scripts/check_c_library.py cpp/build/release $(wildcard cpp/build/arm64)

firmware:
	@scripts/setup dev
	$(CMAKE) -B cpp/build/library -DBUILD_TESTING=OFF
	$(BIN)/cmake --build cpp/build/library
	$(BIN)/cmake --install cpp/build/library --prefix cpp/build/prefix
	$(subst -S cpp,-S examples/firmware,$(CMAKE)) -B cpp/build/firmware -DCMAKE_PREFIX_PATH="$(CURDIR)/cpp/build/prefix"
	$(BIN)/cmake --build cpp/build/firmware

ARM64 := -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc \
	-DCMAKE_EXE_LINKER_FLAGS=-static -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64

arm64:
	@command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null || \
	    { echo "make arm64 needs on Debian: sudo apt-get install g++-aarch64-linux-gnu qemu-user" >&2; exit 1; }
	@scripts/setup dev
	$(CMAKE) -B cpp/build/arm64 $(ARM64)
	$(BIN)/cmake --build cpp/build/arm64
	$(BIN)/ctest --test-dir cpp/build/arm64 --output-on-failure --no-tests=error

package:
	@scripts/setup dev
	VOLEST_WERROR=1 $(BIN)/python scripts/check_package.py

# PYTHONS="python3.11 python3.13" builds for these.
wheels:
	@command -v qemu-aarch64 >/dev/null || { echo "make wheels needs on Debian: sudo apt-get install qemu-user" >&2; exit 1; }
	@scripts/setup wheels
	$(BIN)/python scripts/build_wheels.py $(PYTHONS)

debs:
	@command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null && command -v lintian >/dev/null || \
	    { echo "make debs needs on Debian: sudo apt-get install gcc-aarch64-linux-gnu qemu-user lintian pkg-config" >&2; exit 1; }
	@scripts/setup wheels
	CMAKE=$(BIN)/cmake PYTHONPATH=. $(BIN)/python scripts/build_debs.py

clean:
	rm -rf .venv build dist cpp/build volest-demo volest.egg-info
	rm -rf .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f volest/_core*.so
