"""Sensors of the catalogue as sensors of a scene."""

from __future__ import annotations

import msgspec

from volest.catalogue import SensorModel
from volest.schema import convert
from volest.simulate.scene import PoseScene, PoseStd, SensorScene
from volest.simulate.sensortable import sensor_table

__all__ = ["sensor_scene"]


def sensor_scene(
    model: SensorModel,
    *,
    id: str,
    pose: PoseScene,
    pose_std: PoseStd | None = None,
    frames: int = 1,
    name: str = "",
) -> SensorScene:
    """A sensor of the catalogue (volest.catalogue.load_sensor) in a scene.

    `pose` is where it truly sits in the bed frame, `pose_std` how well that is told; `name`, its name in the
    catalogue, goes into truck.toml, which tells its noise in any case.
    """
    given = {"id": id, "frames": frames, "model": name, "pose": msgspec.to_builtins(pose)}
    built: SensorScene = convert(sensor_table(model) | given, SensorScene)
    return msgspec.structs.replace(built, pose_std=pose_std)
