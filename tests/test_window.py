"""A dirty window is looked for only where it could be."""

from __future__ import annotations

import numpy as np
import pytest

from volest.window import may_be_blind


@pytest.mark.parametrize(("side", "may_be"), [(2, False), (3, False), (4, True), (6, True)])
def test_a_block_of_cells_as_large_as_two_by_two_bins_may_be_blind(side: int, may_be: bool) -> None:
    unseen = np.zeros((40, 80), dtype=bool)
    unseen[10 : 10 + side, 20 : 20 + side] = True
    assert may_be_blind(unseen, 0.05, 2.7) is may_be  # two bins of 3 degrees are 28 cm wide there


def test_a_long_thin_shadow_is_no_smudge() -> None:
    unseen = np.zeros((40, 80), dtype=bool)
    unseen[20:22] = True
    assert not may_be_blind(unseen, 0.05, 3.0)


def test_a_bed_smaller_than_the_bins_has_none() -> None:
    assert not may_be_blind(np.ones((5, 5), dtype=bool), 0.05, 50.0)
