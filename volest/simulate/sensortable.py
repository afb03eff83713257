"""What the catalogue tells of a sensor, as keys of a scene's sensor table."""

from __future__ import annotations

from typing import Any

from volest.catalogue import SensorModel, load_sensor, sensor_names

__all__ = ["sensor_table", "with_catalogue"]

BEAM_BIAS_STD_M = 0.003  # of a row against the others; no data sheet tells it, calibrations find millimetres
TOLD_AT_M, TOLD_OF = 4.0, 0.5  # where, and of what reflectivity, a truck file's single figure of noise holds
TOLD_RAYS = {"pattern", "rows", "columns", "vertical_fov_deg", "horizontal_fov_deg", "elevations_deg", "noise", "beam"}


def with_catalogue(document: dict[str, Any]) -> dict[str, Any]:
    """A scene's document, its sensors that name a model and tell nothing of their rays filled in from the catalogue."""
    sensors = document.get("sensor")
    if not isinstance(sensors, list):
        return document
    return document | {"sensor": [_filled(sensor) for sensor in sensors]}


def _filled(sensor: Any) -> Any:
    if not isinstance(sensor, dict) or TOLD_RAYS & sensor.keys() or sensor.get("model") not in sensor_names():
        return sensor
    return sensor_table(load_sensor(sensor["model"])) | sensor


def sensor_table(model: SensorModel) -> dict[str, Any]:
    """What the catalogue tells, as keys of a scene's sensor: rays, beam and noise."""
    scan, noise, detection = model.scan, model.noise, model.detection
    low, high = scan.vertical_fov_deg
    columns = scan.points if scan.pattern == "rosette" else scan.columns
    table: dict[str, Any] = {"pattern": scan.pattern, "rows": scan.rows, "columns": columns, "rate_hz": scan.rate_hz}
    table["horizontal_fov_deg"] = scan.horizontal_fov_deg
    if high > low:
        table |= {"vertical_fov_deg": high - low, "vertical_middle_deg": (high + low) / 2.0}
    if scan.pattern == "spinning":
        table["elevations_deg"] = scan.elevations_deg or _even(low, high, scan.rows)
    table["beam"] = {"divergence_deg": model.beam.divergence_deg, "aperture_m": model.beam.aperture_m}
    table["noise"] = {
        "range_std_m": float(model.range_std_m(TOLD_AT_M, TOLD_OF)),
        "std_m": noise.std_m,
        "std_reflectivity": noise.reflectivity,
        "beam_bias_std_m": BEAM_BIAS_STD_M if scan.rows > 1 and scan.pattern == "spinning" else 0.0,
        "offset_std_m": noise.bias_std_m,
        "quantum_m": noise.quantum_m,
        "dropout": detection.dropout,
        "faint": model.faint,
        "steepness": model.steepness,
        "stray": 0.0,  # what flies in the air is the scene's, not the sensor's
        "min_range_m": detection.min_m,
        "max_range_m": detection.max_m,
    }
    return table


def _even(low_deg: float, high_deg: float, rows: int) -> list[float]:
    return [low_deg + (high_deg - low_deg) * k / max(rows - 1, 1) for k in range(rows)]
