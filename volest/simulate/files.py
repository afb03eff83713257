"""Parts of what simulation writes: scans, truck files, rounded numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from volest.pointcloud import PointCloud

__all__ = ["rounded", "toml", "toml_value", "write_cloud", "write_reference"]


def write_reference(empty_scans: dict[str, PointCloud], folder: Path, suffix: str) -> str | list[str]:
    """The scans of the empty bed, and what truck.toml says of them."""
    if len(empty_scans) == 1:
        write_cloud(folder / f"empty.{suffix}", next(iter(empty_scans.values())))
        return f"empty.{suffix}"
    for sensor, cloud in empty_scans.items():
        write_cloud(folder / f"empty-{sensor}.{suffix}", cloud)
    return [f"{sensor}=empty-{sensor}.{suffix}" for sensor in empty_scans]


def write_cloud(path: Path, cloud: PointCloud) -> None:
    """A scan as .npz or .pcd."""
    if path.suffix == ".npz":
        fields = {"xyz": cloud.xyz, "intensity": cloud.intensity, "ring": cloud.ring}
        np.savez_compressed(
            path, allow_pickle=False, **{name: values for name, values in fields.items() if values is not None}
        )
        return
    from volest.io import write_pcd

    write_pcd(path, cloud)


def toml(truck: dict[str, Any]) -> str:
    """A truck file; values are numbers, strings, lists of them, and inline tables."""
    top = [f"{key} = {toml_value(value)}" for key, value in truck.items() if not isinstance(value, (dict, list))]
    tables = [("[bed]", truck["bed"]), *(("[[sensor]]", sensor) for sensor in truck["sensor"])]
    tables += [(f"[{name}]", truck[name]) for name in ("scale", "limits") if name in truck]
    blocks = [
        "\n".join([head, *(f"{key} = {toml_value(value)}" for key, value in table.items())]) for head, table in tables
    ]
    return "\n\n".join(["\n".join(top), *blocks]) + "\n"


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
    return json.dumps(value)


def rounded(value: Any) -> Any:
    """Numbers to seven significant digits, which is far below their error."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value
