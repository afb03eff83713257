"""A sheet over the bed is told from a load, by the core as by its slow twin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_cover import cover_of

from volest._core import Engine
from volest.bed import BedModel, Layout

LAYOUTS = [Layout(4.0, 2.0, 1.0), Layout(2.4, 1.8, 0.9), Layout(1.2, 0.8, 0.6)]


@st.composite
def beds(draw: st.DrawFn) -> BedModel:
    """A bed whose walls lean and whose tops slope."""
    layout = draw(st.sampled_from(LAYOUTS))
    nominal, rng = BedModel.nominal(layout), np.random.default_rng(draw(st.integers(0, 2**32)))
    walls = nominal.walls + np.column_stack([rng.normal(0.0, 0.01, (4, 2)), rng.uniform(0.0, 0.05, 4), np.zeros(4)])
    walls /= np.linalg.norm(walls[:, :3], axis=1)[:, None]
    return replace(nominal, walls=walls, rim=np.array([layout.height_m, *rng.normal(0.0, 0.01, 2)]))


def sheeted(
    bed: BedModel, *, rise_m: float, lifted_m: float = 0.0, rough_m: float = 0.004, lost: float = 0.0, seed: int = 0
) -> Engine:
    """An engine that has seen a surface which rises so much in its middle over the wall tops, at a truck's scale."""
    layout, rng = bed.layout, np.random.default_rng(seed)
    count = 8 * int(layout.length_m * layout.width_m / layout.cell_m**2)
    x, y = (rng.uniform(-0.5, 0.5, count) * side for side in (layout.length_m, layout.width_m))
    dome = np.clip(1.0 - (2.0 * x / layout.length_m) ** 2, 0.0, None) * (1.0 - (2.0 * y / layout.width_m) ** 2)
    over = lifted_m + rise_m * dome + rough_m * rng.normal(size=count)
    z = bed.rim[0] + bed.rim[1] * x + bed.rim[2] * y + layout.scale * over
    hidden = rng.random(layout.shape[::-1]) < lost
    ix, iy = ((v / layout.cell_m + 0.5 * n).astype(int) for v, n in zip((x, y), layout.shape, strict=True))
    keep = ~hidden[iy, ix]
    engine = bed.engine()
    engine.add(np.column_stack([x, y, z])[keep].astype(np.float32), np.eye(4), False)
    engine.finish()
    return engine


def twin(bed: BedModel, engine: Engine) -> str:
    return cover_of(bed, engine.height, engine.state == 3)


@given(
    bed=beds(),
    rise_m=st.floats(-0.4, 0.6),
    lifted_m=st.floats(-0.08, 0.08),
    rough_m=st.sampled_from([0.002, 0.01, 0.03]),
    lost=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_a_surface_is_a_sheet_where_the_slow_twin_says_so(bed: BedModel, seed: int, **surface: float) -> None:
    engine = sheeted(bed, seed=seed, **surface)
    assert engine.cover() == twin(bed, engine)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("surface", "cover"),
    [
        ({"rise_m": -0.2}, "sure"),
        ({"rise_m": 0.2}, "sure"),
        ({"rise_m": 0.01}, "none"),  # a level load, as high as the walls
        ({"rise_m": 0.2, "lifted_m": 0.2}, "none"),
        ({"rise_m": -0.2, "lifted_m": -0.2}, "none"),
        ({"rise_m": 0.2, "rough_m": 0.2}, "none"),
        ({"rise_m": -0.2, "lost": 1.0}, "none"),
    ],
)
def test_a_sheet_meets_the_wall_tops_and_is_smooth(layout: Layout, surface: dict[str, float], cover: str) -> None:
    bed = BedModel.nominal(layout)
    engine = sheeted(bed, **surface)
    assert engine.cover() == twin(bed, engine) == cover


def test_an_engine_that_holds_nothing_tells_of_no_sheet() -> None:
    bed = BedModel.nominal(LAYOUTS[0])
    engine = bed.engine()
    assert engine.cover() == "none"
    engine = sheeted(bed, rise_m=-0.2)
    engine.clear()
    assert engine.cover() == "none"
