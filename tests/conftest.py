"""What several test files share: outside data, an optional oracle, and settings that keep runs repeatable."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, however slow the machine; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("repeat", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeat")


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of scans with known truth."""
    return _outside_folder("VOLEST_CASES")


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of files from real sensors."""
    return _outside_folder("VOLEST_REAL")


@pytest.fixture(scope="session")
def open3d() -> ModuleType:
    """Open3D; the test is skipped where it or a system library that it loads is missing."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        pytest.skip(f"Open3D does not load: {error}")
    return open3d


def _outside_folder(variable: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} is not set")
    path = Path(folder).resolve()
    assert path.is_dir(), f"{variable} is {folder}, expected a folder"
    return path
