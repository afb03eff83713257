"""A page that tells what a simulated set is: sensors, frames, truth, how made."""

from __future__ import annotations

from volest.simulate.scene import SensorScene
from volest.simulate.simulation import Simulated

__all__ = ["card"]


def card(simulated: Simulated, name: str, made_by: str) -> str:
    """The card in Markdown; made_by: the command that made the set, if known."""
    scene, truth = simulated.scene, simulated.truth
    bed = scene.bed
    frame = "the bed frame" if scene.merged else "each sensor's own frame"
    lines = [f"# {name}", "", *([scene.title, ""] if scene.title else [])]
    lines += [
        f"- Bed: nominally {bed.length_m:g} x {bed.width_m:g} x {bed.height_m:g} m inside; truck `{scene.truck_id}`."
    ]
    lines += [f"- Sensor {_sensor(sensor, simulated)}" for sensor in scene.sensor]
    lines += [f"- Frame: points in {frame}; poses and all of the truth in the bed frame, metres and degrees."]
    lines += [
        "- Empty bed: " + (f"scanned too, {_parked(scene.reference_pose)}." if scene.reference else "not scanned.")
    ]
    lines += ["", "| truth | |", "|---|---|"]
    rows = [
        ("volume", f"{truth['volume_m3']:.4f} m3 (numeric error {truth['volume_numeric_error_m3']:.1g} m3)"),
        ("struck capacity", f"{truth['struck_capacity_m3']:.4f} m3, filled to {100 * truth['fill_ratio']:.1f} %"),
        ("heaped above the walls", f"{truth['heaped_volume_m3']:.4f} m3"),
        ("net mass", f"{truth['net_mass_kg']:.1f} kg"),
        ("wet mass fraction", "-" if truth["wet_mass_fraction"] is None else f"{truth['wet_mass_fraction']:.2f}"),
        ("part of the bed in sight", f"{100 * truth['visible_fraction']:.1f} %"),
    ]
    lines += [f"| {what} | {value} |" for what, value in rows]
    lines += ["", "Simulated; no real truck, person or place is in it."]
    return "\n".join(lines + (["", "```sh", made_by, "```"] if made_by else [])) + "\n"


def _sensor(sensor: SensorScene, simulated: Simulated) -> str:
    x, y, z = simulated.true_poses[sensor.id].translation
    std = sensor.pose_std
    told = "some millimetres" if std is None else f"{1000 * std.xyz_m:g} mm and {std.rpy_deg:g} degrees (1-sigma)"
    kind = sensor.model or sensor.pattern
    frames = f", {sensor.frames} frames" if sensor.frames > 1 else ""
    return (
        f"`{sensor.id}`: {kind}, {sensor.rows} x {sensor.columns} rays{frames}, at ({x:.2f}, {y:.2f}, {z:.2f}) m; "
        f"range noise {1000 * sensor.noise.range_std_m:g} mm; told pose off by {told}."
    )


def _parked(pose: str) -> str:
    return "from the same place" if pose == "same" else "with the truck parked anew"
