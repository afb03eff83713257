"""volest.voxel_centroids at its Python door; cpp/tests/test_centroids.cpp holds what it computes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from volest import InputError, voxel_centroids


@pytest.fixture(scope="module")
def cloud() -> NDArray[np.float32]:
    return np.random.default_rng(5).uniform(-1, 1, (4000, 3)).astype(np.float32)


def test_centroids_are_the_means_of_their_cubes(cloud: NDArray[np.float32]) -> None:
    cube, member = np.unique(np.floor(cloud * np.float32(4)), axis=0, return_inverse=True)
    expected = np.stack([np.bincount(member.ravel(), axis) for axis in cloud.T], axis=1)
    expected /= np.bincount(member.ravel())[:, None]
    found = voxel_centroids(cloud, 0.25)
    assert found.dtype == np.float32
    assert len(found) == len(cube)
    np.testing.assert_allclose(found, expected, atol=0.25 / 65536)


def test_rows_may_lie_apart_and_in_any_order(cloud: NDArray[np.float32]) -> None:
    found = voxel_centroids(cloud, 0.1)
    for other in (np.hstack([cloud, cloud])[:, 3:], cloud[::-1].copy(), np.asfortranarray(cloud), cloud[::-1]):
        assert np.array_equal(voxel_centroids(other, 0.1), found)


def test_nothing_has_no_centroids() -> None:
    for nothing in (np.zeros((0, 3), np.float32), np.zeros((5, 3), np.float32), np.full((5, 3), np.nan, np.float32)):
        assert voxel_centroids(nothing, 0.1).shape == (0, 3)


@pytest.mark.parametrize(
    ("xyz", "size_m", "words"),
    [
        (np.zeros((4, 3)), 0.1, "float64"),
        (np.zeros((4, 2), np.float32), 0.1, r"\(4, 2\)"),
        ([[0.0, 0.0, 0.0]], 0.1, "list"),
        (np.ones((4, 3), np.float32), 0.0, "size_m"),
        (np.ones((4, 3), np.float32), float("nan"), "size_m"),
        (np.float32([[-9e3] * 3, [9e3] * 3]), 1e-4, "cubes"),
    ],
)
def test_what_cannot_be_used_is_told(xyz: NDArray[np.float32], size_m: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        voxel_centroids(xyz, size_m)
