"""How much is in the truck: volume, mass, density and wetness of a load from lidar and load cells."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from volest._version import __version__

if TYPE_CHECKING:
    from volest.errors import InputError, MissingExtraError, ScanError, SceneError, TruckError, WeightError
    from volest.estimator import Estimator
    from volest.io import read_frames, read_points
    from volest.motion import undo_motion
    from volest.pointcloud import PackedPoints, PointCloud, RangeImage
    from volest.quantity import Quantity
    from volest.result import Result
    from volest.truck import Truck
    from volest.voxels import voxel_centroids

__all__ = [
    "Estimator",
    "InputError",
    "MissingExtraError",
    "PackedPoints",
    "PointCloud",
    "Quantity",
    "RangeImage",
    "Result",
    "ScanError",
    "SceneError",
    "Truck",
    "TruckError",
    "WeightError",
    "__version__",
    "read_frames",
    "read_points",
    "undo_motion",
    "voxel_centroids",
]

# Loaded when first asked for: `import volest` costs next to nothing.
_HOMES = {
    "Estimator": "estimator",
    "InputError": "errors",
    "MissingExtraError": "errors",
    "PackedPoints": "pointcloud",
    "PointCloud": "pointcloud",
    "Quantity": "quantity",
    "RangeImage": "pointcloud",
    "Result": "result",
    "ScanError": "errors",
    "SceneError": "errors",
    "Truck": "truck",
    "TruckError": "errors",
    "WeightError": "errors",
    "read_frames": "io",
    "read_points": "io",
    "undo_motion": "motion",
    "voxel_centroids": "voxels",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"volest.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
