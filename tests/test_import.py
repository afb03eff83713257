"""What `import volest` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import volest


def test_every_export_is_there() -> None:
    for name in volest.__all__:
        assert getattr(volest, name) is not None
    assert dir(volest) == sorted(volest.__all__)


def test_errors_are_input_errors() -> None:
    for name in ("MissingExtraError", "SceneError", "ScanError", "TruckError", "WeightError"):
        assert issubclass(getattr(volest, name), volest.InputError)
    assert issubclass(volest.InputError, ValueError)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Trucks'"):
        _ = volest.Trucks
    with pytest.raises(ImportError):
        from volest import Trucks  # noqa: F401


def test_names_for_a_caller_with_arrays_need_numpy_alone() -> None:
    script = (
        "import sys, volest; volest.Truck, volest.Estimator, volest.read_points, volest.Result, volest.RangeImage\n"
    )
    script += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"numba", "scipy", "rich", "matplotlib", "plyfile", "laspy", "pye57", "open3d"})
