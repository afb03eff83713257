"""Teaching the network of what is hidden: least squares by Adam (Kingma and Ba, 2015), from nothing or from weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit", "rms_m"]

Floats = NDArray[np.float64]
UNITS = (24, 12)  # of the two hidden layers, as in cpp/src/hidden.hpp
BATCH = 1024
LARGEST_M = 0.5  # larger errors count as this


def fit(
    features: NDArray[np.float32],
    drops: NDArray[np.float32],
    *,
    start: NDArray[np.float32] | None = None,
    epochs: int = 40,
    rate: float = 3e-3,
) -> NDArray[np.float32]:
    """The network's numbers in the order of cpp/src/hidden.hpp, fitted to features (N, F) and drops (N,) [m].

    With `start` the scaling of the features stays and the weights are changed from there, at a lower `rate` say.
    """
    rng = np.random.default_rng(0)
    if start is None:
        mean, scale = features.mean(axis=0), 1.0 / np.maximum(features.std(axis=0), 1e-3)
        sizes = (features.shape[1], *UNITS, 1)
        layers = [rng.normal(0.0, np.sqrt(2.0 / a), (b, a)) for a, b in pairwise(sizes)]
        parameters = [p for layer in layers for p in (layer, np.zeros(layer.shape[0]))]
    else:
        mean, scale, parameters = _parts(start, features.shape[1])
    x, y = (features - mean) * scale, drops.astype(np.float64)[:, None]
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    step = 0
    for epoch in range(epochs):
        now = rate * 0.5 * (1.0 + np.cos(np.pi * epoch / epochs))
        for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // BATCH)):
            step += 1
            for k, gradient in enumerate(_gradients(parameters, x[rows], y[rows])):
                first[k] += 0.1 * (gradient - first[k])
                second[k] += 0.001 * (gradient**2 - second[k])
                moved = (first[k] / (1 - 0.9**step)) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
                parameters[k] -= now * moved + 1e-5 * parameters[k]
    return np.concatenate([mean, scale, *[p.ravel() for p in parameters]]).astype(np.float32)


def rms_m(weights: NDArray[np.float32], features: NDArray[np.float32], drops: NDArray[np.float32]) -> float:
    """Root mean square of what the network leaves unexplained."""
    mean, scale, parameters = _parts(weights, features.shape[1])
    left = drops[:, None] - _forward(parameters, (features - mean) * scale)[-1]
    return float(np.sqrt(np.mean(left**2)))


def _parts(weights: NDArray[np.float32], inputs: int) -> tuple[Floats, Floats, list[Floats]]:
    """Mean and scale of the features, and each layer's weights and biases."""
    numbers = weights.astype(np.float64)
    mean, scale, at = numbers[:inputs], numbers[inputs : 2 * inputs], 2 * inputs
    parameters: list[Floats] = []
    for a, b in pairwise((inputs, *UNITS, 1)):
        parameters += [numbers[at : at + a * b].reshape(b, a).copy(), numbers[at + a * b : at + a * b + b].copy()]
        at += (a + 1) * b
    return mean, scale, parameters


def _forward(parameters: list[Floats], x: Floats) -> list[Floats]:
    """What each layer gives, the input first."""
    values = [x]
    for k in range(0, len(parameters), 2):
        values.append(values[-1] @ parameters[k].T + parameters[k + 1])
        if k + 2 < len(parameters):
            values[-1] = np.maximum(values[-1], 0.0)
    return values


def _gradients(parameters: list[Floats], x: Floats, y: Floats) -> list[Floats]:
    """Of the mean squared error: of each parameter in turn."""
    values = _forward(parameters, x)
    back = np.clip(values[-1] - y, -LARGEST_M, LARGEST_M) / len(x)
    found: list[Floats] = []
    for k in range(len(parameters) - 2, -1, -2):
        inputs = values[k // 2]
        found[:0] = [back.T @ inputs, back.sum(axis=0)]
        back = (back @ parameters[k]) * (inputs > 0.0)
    return found
