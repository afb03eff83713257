"""Rough surfaces: correlated noise, and single bodies (bags, lumps) laid on a height field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from volest.simulate.heightfield import HeightField

__all__ = ["Floats", "correlated_noise", "cover_with", "scatter", "window"]

Floats = NDArray[np.float64]


def correlated_noise(rng: np.random.Generator, field: HeightField, length_m: float) -> Floats:
    """Noise at the field's nodes (ny, nx), of unit variance, with Gaussian correlation of this length."""
    ny, nx = field.z_m.shape
    pad_y, pad_x = (
        int(np.ceil(3.0 * length_m / d)) for d in (field.dy_m, field.dx_m)
    )  # else opposite edges would agree
    white = rng.standard_normal((ny + pad_y, nx + pad_x))
    ky = np.fft.fftfreq(ny + pad_y, field.dy_m)[:, None]
    kx = np.fft.rfftfreq(nx + pad_x, field.dx_m)[None, :]
    response = np.exp(-((np.pi * length_m) ** 2) * (kx * kx + ky * ky))
    smooth = np.fft.irfft2(np.fft.rfft2(white) * response, s=white.shape)
    power = np.fft.irfft2(response**2, s=white.shape)[0, 0]  # variance that white noise keeps
    noise: Floats = smooth[:ny, :nx] / np.sqrt(power)
    return noise


def scatter(
    rng: np.random.Generator, field: HeightField, greatest_m: float, cover: float, low: float, flat: tuple[float, float]
) -> Floats:
    """Bodies (K, 6): x, y, half length, half width, height, turn; their areas add up to `cover` of the field.

    Lengths run from `low` to 1 times `greatest_m`, small ones more often; heights are `flat` of the half width doubled.
    """
    ny, nx = field.z_m.shape
    area = (nx - 1) * field.dx_m * (ny - 1) * field.dy_m
    mean = greatest_m * (low + 0.35 * (1.0 - low))
    count = int(cover * area / (0.55 * mean * mean)) + 1
    length = greatest_m * (low + (1.0 - low) * rng.beta(1.2, 2.2, count))
    width = length * rng.uniform(0.5, 1.0, count)
    height = width * rng.uniform(*flat, count)
    x = field.x0_m + rng.uniform(0.0, 1.0, count) * (nx - 1) * field.dx_m
    y = field.y0_m + rng.uniform(0.0, 1.0, count) * (ny - 1) * field.dy_m
    return np.column_stack([x, y, length / 2.0, width / 2.0, height, rng.uniform(0.0, np.pi, count)])


def cover_with(z: Floats, field: HeightField, bodies: Floats, rng: np.random.Generator) -> None:
    """Lay bodies one after the other on the surface z (ny, nx), in place; each sinks in and tilts with the ground."""
    blunt = rng.uniform(2.0, 4.0, len(bodies))
    sunk = rng.uniform(0.0, 0.35, len(bodies))
    for (cx, cy, a, b, height, turn), power, sink in zip(bodies, blunt, sunk, strict=True):
        around = window(z.shape, field, cx, cy, max(a, b))
        x = field.x0_m + field.dx_m * np.arange(around[1].start, around[1].stop)[None, :] - cx
        y = field.y0_m + field.dy_m * np.arange(around[0].start, around[0].stop)[:, None] - cy
        p = (
            np.abs((x * np.cos(turn) + y * np.sin(turn)) / a) ** power
            + np.abs((y * np.cos(turn) - x * np.sin(turn)) / b) ** power
        )
        inside = p < 1.0
        if not inside.any():
            continue
        ground = z[around]
        tilt_x, tilt_y = _tilt(ground[inside], (x + 0.0 * y)[inside], (y + 0.0 * x)[inside])
        bearing = float(np.mean(ground[inside])) + tilt_x * x + tilt_y * y
        top = bearing + height * (np.where(inside, 1.0 - p, 0.0) ** (1.0 / power) - sink)
        z[around] = np.where(inside, np.maximum(ground, top), ground)


def window(shape: tuple[int, ...], field: HeightField, cx: float, cy: float, reach: float) -> tuple[slice, slice]:
    """Rows and columns of the field within reach of a place."""
    i0, i1 = int((cx - reach - field.x0_m) / field.dx_m), int((cx + reach - field.x0_m) / field.dx_m) + 2
    j0, j1 = int((cy - reach - field.y0_m) / field.dy_m), int((cy + reach - field.y0_m) / field.dy_m) + 2
    return slice(max(j0, 0), min(j1, shape[0])), slice(max(i0, 0), min(i1, shape[1]))


def _tilt(z: Floats, x: Floats, y: Floats) -> tuple[float, float]:
    """Half of the ground's slope: bodies lie flatter than what they lie on."""
    spread = float(np.mean(x * x + y * y)) + 1e-9
    centred = z - np.mean(z)
    return float(np.clip(np.mean(centred * x) / spread, -0.6, 0.6)), float(
        np.clip(np.mean(centred * y) / spread, -0.6, 0.6)
    )
