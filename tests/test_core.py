"""The C++ core behind its Python door: the same as its slow twin, no copy of the points, the GIL released."""

from __future__ import annotations

import pickle
import threading
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from volest._core import Engine, Ranges, has_return
from volest.bed import LEVELS, BedModel, Layout
from volest.pointcloud import RangeImage, is_return
from volest.pose import Pose

SMALL = Layout(0.9, 0.6, 0.4)
TRUCK = Layout(4.0, 2.0, 1.0)
LOOSE = np.array([0.1] * 3 + [0.03] * 3)
MAPS = ("occupied", "height", "variance", "count", "bound", "distance", "state")
BAD = [(np.nan, 0, 0), (0, np.inf, 1), (0, 0, 0), (1e30, 1, -1), (-0.0, 0, 0), (1, 1, -np.inf), (2e4, 0, 0)]


def maps_of(engine: Engine) -> bytes:
    """All that the engine tells of a load, bit by bit."""
    integral = engine.integral()
    told = (getattr(integral, name) for name in dir(integral) if not name.startswith("_"))
    numbers = [np.asarray(number).tobytes() for number in told if not callable(number)]
    return b"".join([*(getattr(engine, name).tobytes() for name in MAPS), *numbers])


def scanned(bed: BedModel, xyz: NDArray[np.float32], pose: NDArray[np.float64], rays: bool = True) -> Engine:
    """An engine that has seen one scan."""
    engine = bed.engine()
    engine.add(xyz, pose, rays)
    engine.finish()
    return engine


def above(height_m: float) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, 3] = 0.1, -0.05, height_m
    return pose


def rough_load(count: int = 4000, seed: int = 0) -> NDArray[np.float32]:
    """Returns of a load in the bed TRUCK, as a sensor 4 m above sees them."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-2.1, 2.1, count), rng.uniform(-1.1, 1.1, count)
    z = 0.5 + 0.2 * np.sin(3 * x) * np.cos(2 * y) + rng.normal(0, 0.01, count)
    return (np.column_stack([x, y, z]) - above(4.0)[:3, 3]).astype(np.float32)


# --- the twin ---------------------------------------------------------------------------------------------------------


@st.composite
def beds(draw: st.DrawFn) -> BedModel:
    """A small bed whose walls lean, whose rim slopes and whose floor is rough."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    nominal = BedModel.nominal(SMALL)
    lean = draw(st.sampled_from([0.0, 0.02, 0.12]))
    walls = nominal.walls.copy()
    walls[:, 2] += lean
    walls[:, :2] += rng.normal(0, 0.01, (4, 2)) * (lean > 0)
    walls /= np.linalg.norm(walls[:, :3], axis=1)[:, None]
    return replace(
        nominal,
        walls=walls,
        rim=np.array([0.4 + rng.normal(0, 0.01), *rng.normal(0, 0.01, 2)]),
        skin=rng.uniform(0.005, 0.03, 4),
        liner=rng.choice([0.0, 0.004], 4),
        floor=rng.normal(0, 0.01, nominal.floor.shape).astype(np.float32),
        fixtures=np.where(rng.random(nominal.fixtures.shape) < 0.1, rng.integers(0, 2**63, 1), 0).astype(np.uint64),
    )


@st.composite
def scans(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float64], bool]:
    """Points about the bed SMALL, some of them bad, as a sensor anywhere around sees them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    angles = tuple(rng.uniform(-180, 180, 3))
    pose = Pose.from_xyz_rpy_deg(tuple(rng.uniform([-2, -2, -0.5], [2, 2, 3])), angles)
    spread = draw(st.sampled_from([0.3, 1.0, 3.0]))
    in_bed = rng.normal(0, 1, (draw(st.integers(1, 150)), 3)) * [0.4, 0.3, 0.3] * spread + [0, 0, 0.2]
    xyz = pose.inverse().apply(in_bed).astype(np.float32)
    worse = rng.random(len(xyz)) < 0.1
    xyz[worse] = np.array(BAD, np.float32)[rng.integers(0, len(BAD), worse.sum())]
    return xyz, pose.matrix(), draw(st.booleans())


@settings(max_examples=60)
@given(bed=beds(), given_scans=st.lists(scans(), min_size=1, max_size=3))
def test_raster_equals_its_twin(
    bed: BedModel, given_scans: list[tuple[NDArray[np.float32], NDArray[np.float64], bool]]
) -> None:
    engine, raster = bed.engine(), oracle.Raster(bed)
    for xyz, pose, rays in given_scans:
        counts = engine.add(xyz, pose, rays)
        oracle.rasterise(raster, xyz, pose, rays)
        assert {name: getattr(counts, name) for name in raster.counts} == raster.counts
    assert np.array_equal(engine.occupied, raster.occupied)
    engine.finish()
    whole = (engine.state == oracle.SEEN) & (engine.count == raster.points.sum(axis=2))  # cells without stray points
    mean = raster.height_sum.sum(axis=2)[whole] / raster.points.sum(axis=2)[whole]
    half_step = 0.5 * bed.layout.level_m / oracle.STEPS  # heights are rounded down, their means made good for it
    assert np.allclose(engine.height[whole], mean + half_step, atol=half_step)


def test_bounds_are_those_of_walking_every_ray() -> None:
    """The fan knows directions and distances to a cell: its bounds are those of the twin to a few centimetres."""
    rng = np.random.default_rng(3)
    bed, pose = BedModel.nominal(TRUCK), np.eye(4)
    pose[:3, 3] = 2.4, 0.1, 2.2
    x, y = rng.uniform(-1.9, 1.9, 6000), rng.uniform(-0.9, 0.9, 6000)
    step = np.where(x > 0.2, 0.8, 0.3)  # in the shadow of the step nothing returns
    lit = (x > 0.2) | (x < -0.4)
    xyz = (np.column_stack([x, y, step])[lit] - pose[:3, 3]).astype(np.float32)
    engine, raster = scanned(bed, xyz, pose), oracle.Raster(bed)
    oracle.rasterise(raster, xyz, pose, True)
    shadow = np.s_[10:-10, 40:50]  # of the cells behind the step
    off = engine.bound[shadow] - raster.bound[shadow]
    assert np.abs(np.median(off)) < 0.02
    assert np.quantile(np.abs(off), 0.9) < 0.06


@settings(max_examples=60)
@given(bed=beds(), scan=scans(), tilt=st.floats(-0.3, 0.3))
def test_integral_equals_its_twin(
    bed: BedModel, scan: tuple[NDArray[np.float32], NDArray[np.float64], bool], tilt: float
) -> None:
    engine = bed.engine()
    engine.add(*scan)
    nx, ny = SMALL.shape
    x, y = np.meshgrid(SMALL.centres_m(nx), SMALL.centres_m(ny))
    load = np.column_stack([x.ravel(), y.ravel(), (0.25 + tilt * x).ravel()])[: x.size // 2].astype(np.float32)
    engine.add(load, np.eye(4), False)
    engine.finish()
    found = engine.integral()
    twin = oracle.integrate(bed, engine.height, engine.state, engine.distance)
    for name in ("volume", "heaped", "struck_capacity", "footprint", "hidden_distance"):
        assert getattr(found, name) == pytest.approx(getattr(twin, name), rel=1e-5, abs=1e-6), name
    assert np.allclose(found.moment, twin.moment, rtol=1e-5, atol=1e-6)
    assert np.allclose(found.area, twin.area, rtol=1e-5, atol=1e-6)


def test_a_pose_moves_the_volume_by_the_levers_about_the_sensor() -> None:
    integral = scanned(BedModel.nominal(TRUCK), rough_load(), above(4.0)).integral()
    spread = np.random.default_rng(1).normal(size=(6, 6))
    covariance = spread @ spread.T
    slide, turn = integral.lever[:3], integral.lever[3:]
    gradient = np.concatenate([slide, turn - np.cross(above(4.0)[:3, 3], slide)])
    variance = integral.pose_variance(Engine.told(above(4.0), LOOSE), covariance)
    assert variance == pytest.approx(gradient @ covariance @ gradient)


@given(st.lists(st.sampled_from([*BAD, (1.0, 0.0, 0.0)]), max_size=6))
def test_a_return_is_what_python_calls_one(rows: list[tuple[float, float, float]]) -> None:
    xyz = np.array(rows, np.float32).reshape(-1, 3)
    assert has_return(xyz) == is_return(xyz).any()


def test_twin_knows_a_half_full_box() -> None:
    bed = BedModel.nominal(TRUCK)
    state = np.where(oracle.inside_opening(bed, *np.meshgrid(*map(TRUCK.centres_m, TRUCK.shape))) > -0.03, 3, 0)
    maps = [np.full(state.shape, v) for v in (0.5, 0.0)]
    sums = oracle.integrate(bed, maps[0], state.astype(np.uint8), *maps[1:])
    assert sums.volume == pytest.approx(4.0)
    assert sums.struck_capacity == pytest.approx(8.0)


# --- order, bad points, layout of the array ---------------------------------------------------------------------------


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 4000), max_size=4))
def test_order_and_splits_of_a_cloud_change_no_bit(seed: int, cuts: list[int]) -> None:
    bed, pose, xyz = BedModel.nominal(TRUCK), above(4.0), rough_load()
    split = bed.engine()
    for part in np.split(np.random.default_rng(seed).permutation(xyz), sorted(cuts)):
        split.add(part, pose, True)
    split.finish()
    assert maps_of(split) == maps_of(scanned(bed, xyz, pose))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 500))
def test_bad_points_anywhere_change_no_bit(seed: int, count: int) -> None:
    bed, pose, xyz = BedModel.nominal(TRUCK), above(4.0), rough_load()
    rng = np.random.default_rng(seed)
    bad = np.array(BAD, np.float32)[rng.integers(0, len(BAD), count)]
    dirty = np.insert(xyz, rng.integers(0, len(xyz), count), bad, axis=0)
    assert maps_of(scanned(bed, dirty, pose)) == maps_of(scanned(bed, xyz, pose))
    found = [bed.engine().find_bed(points, pose, LOOSE, True, 0.15) for points in (xyz, dirty)]
    assert found[0].pose.tobytes() == found[1].pose.tobytes()
    assert found[0].candidates == found[1].candidates > 0


@pytest.mark.parametrize("columns", [3, 4, 7])
def test_points_within_wider_rows_are_read_where_they_are(columns: int) -> None:
    bed, pose, xyz = BedModel.nominal(TRUCK), above(4.0), rough_load()
    wide = np.full((len(xyz), columns), np.nan, np.float32)
    wide[:, :3] = xyz
    assert maps_of(scanned(bed, wide, pose)) == maps_of(scanned(bed, xyz, pose))
    assert maps_of(scanned(bed, wide[::-1, :3], pose)) == maps_of(scanned(bed, xyz, pose))
    read_only = wide[:, :3]
    read_only.flags.writeable = False
    assert maps_of(scanned(bed, read_only, pose)) == maps_of(scanned(bed, xyz, pose))


def test_points_off_their_alignment_are_read() -> None:
    bed, pose, xyz = BedModel.nominal(TRUCK), above(4.0), rough_load()
    packed = np.zeros(len(xyz), np.dtype([("tag", "u1"), ("xyz", "f4", 3)]))
    packed["xyz"] = xyz
    assert not packed["xyz"].flags.aligned
    assert maps_of(scanned(bed, packed["xyz"], pose)) == maps_of(scanned(bed, xyz, pose))


def test_float32_whose_dtype_is_another_object_is_float32() -> None:
    """An array that was pickled has a dtype of its own, equal to float32 but not the same object."""
    bed, pose, xyz = BedModel.nominal(TRUCK), above(4.0), rough_load()
    travelled = pickle.loads(pickle.dumps(xyz))
    told = xyz.view(np.dtype("f4", metadata={"unit": "m"}))
    assert told.dtype is not xyz.dtype
    for points in (travelled, told):
        assert maps_of(scanned(bed, points, pose)) == maps_of(scanned(bed, xyz, pose))


def test_ten_million_rows_are_not_copied() -> None:
    bed, pose = BedModel.nominal(TRUCK), above(1.5)
    numbers = np.random.default_rng(1).uniform(-1.4, 1.4, 10_000_002).astype(np.float32)
    many = np.lib.stride_tricks.sliding_window_view(numbers, 3)  # 120 MB if it were copied
    engine = bed.engine()
    tracemalloc.start()
    try:
        counts = engine.add(many, pose, True)
        found = engine.find_bed(many, pose, LOOSE, True, 0.1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    between = np.count_nonzero(np.abs(numbers[1:-1]) < TRUCK.width_m / 2)
    assert counts.inside == pytest.approx(between, rel=0.02)  # told by the few that it looked at
    assert 0 < found.candidates < 10_000
    assert peak < 1_000_000


def test_counts_in_one_voxel_do_not_overflow() -> None:
    bed = BedModel.nominal(TRUCK)
    engine = bed.engine()
    spot = np.array([[0.31, 0.22, 0.5], [0.36, 0.22, 0.5], [0.31, 0.27, 0.5], [0.36, 0.27, 0.5]], np.float32)
    for _ in range(64):
        for point in spot:
            engine.add(np.broadcast_to(point, (16_000, 3)), np.eye(4), False)
    engine.finish()
    assert engine.count.max() == 64 * 16_000
    assert engine.height[engine.state == oracle.SEEN] == pytest.approx(0.5, abs=1e-4)


# --- threads ----------------------------------------------------------------------------------------------------------


def test_gil_is_released_while_points_are_added() -> None:
    engine = BedModel.nominal(TRUCK).engine()
    many = np.broadcast_to(np.array([1.5, 0.2, -3.5], np.float32), (8_000_000, 3))
    worker = threading.Thread(target=engine.add, args=(many, above(4.0), False))
    ticks = 0
    worker.start()
    while worker.is_alive():
        ticks += 1
        time.sleep(0)
    assert ticks > 50  # with the GIL held it would be one or two


def test_engines_in_many_threads_do_not_disturb_each_other() -> None:
    bed, pose = BedModel.nominal(TRUCK), above(4.0)
    expected = [maps_of(scanned(bed, rough_load(seed=seed), pose)) for seed in range(4)]
    found: dict[int, bytes] = {}

    def work(seed: int) -> None:
        for _ in range(5):
            found[seed] = maps_of(scanned(bed, rough_load(seed=seed), pose))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(4)] == expected


# --- what the door refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 3)),
        np.zeros((5, 2), np.float32),
        np.zeros(15, np.float32),
        np.zeros((5, 3), np.float32, order="F"),
        np.zeros((5, 6), np.float32)[:, ::2],
        np.zeros((5, 3), ">f4"),
        np.zeros((5, 3), np.int32),
    ],
)
def test_arrays_of_another_kind_are_refused(points: NDArray[np.float32]) -> None:
    engine = BedModel.nominal(TRUCK).engine()
    with pytest.raises(ValueError, match="float32"):
        engine.add(points, np.eye(4), True)


def test_more_points_than_a_voxel_counts_are_refused() -> None:
    many = np.broadcast_to(np.zeros(3, np.float32), (2**24, 3))
    with pytest.raises(ValueError, match="16,777,215"):
        BedModel.nominal(TRUCK).engine().add(many, np.eye(4), True)


def test_arrays_of_another_shape_are_refused() -> None:
    bed = BedModel.nominal(TRUCK)
    points = np.zeros((1, 3), np.float32)
    with pytest.raises(ValueError, match="pose: wrong shape"):
        bed.engine().add(points, np.eye(3), True)
    with pytest.raises(ValueError, match="std: wrong shape"):
        bed.engine().find_bed(points, np.eye(4), np.zeros(3), True, 0.1)
    for name in ("walls", "rim", "skin", "liner", "covered", "floor", "fixtures"):
        with pytest.raises(ValueError, match=f"{name}: wrong shape"):
            replace(bed, **{name: np.zeros((2, 2), getattr(bed, name).dtype)}).engine()


def test_grids_that_are_too_large_are_refused() -> None:
    bed = BedModel.nominal(TRUCK)
    arguments = {"x0": 0.0, "y0": 0.0, "cell": 0.1, "nx": 5000, "ny": 10, "z0": 0.0, "dz": 0.1, "nz": LEVELS}
    rest = {name: getattr(bed, name) for name in ("walls", "rim", "skin", "liner", "covered", "floor", "fixtures")}
    with pytest.raises(ValueError, match="4096 cells"):
        Engine(**arguments, scale=1.0, floor_std=0.0, wall_std=bed.wall_std_m, **rest)


def test_an_engine_that_saw_nothing_holds_nothing() -> None:
    """Before a load is finished its map says of no cell that it is over the bed."""
    engine = BedModel.nominal(TRUCK).engine()
    assert engine.integral().footprint == 0.0
    engine.add(rough_load(), above(4.0), True)
    engine.finish()
    assert engine.integral().footprint == pytest.approx(8.0)
    engine.clear()
    assert engine.integral().footprint == 0.0
    assert not engine.occupied.any()


# --- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("range_mm", "directions"),
    [
        (np.zeros((2, 3), np.uint16), np.zeros((2, 2, 3), np.float32)),
        (np.zeros((2, 3), np.int32), np.zeros((2, 3, 3), np.float32)),
        (np.zeros((2, 3), np.float64), np.zeros((2, 3, 3), np.float32)),
        (np.zeros((2, 6), np.uint16)[:, ::2], np.zeros((2, 3, 3), np.float32)),
        (np.zeros((2, 3), np.uint16), np.zeros((2, 3, 6), np.float32)[..., ::2]),
    ],
)
def test_ranges_of_another_layout_are_refused(range_mm: NDArray[Any], directions: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="ranges: expected"):
        Ranges(range_mm, directions)


@pytest.mark.parametrize("points", [[[1.0, 2.0, 3.0]], None, "top", np.zeros((3, 2), np.float32), np.zeros((3, 3))])
def test_what_is_no_scan_is_refused(points: Any) -> None:
    with pytest.raises(ValueError, match=r"points: expected an \(N, 3\)"):
        BedModel.nominal(TRUCK).engine().add(points, np.eye(4), True)


def test_what_is_known_of_other_rays_is_refused() -> None:
    engine = BedModel.nominal(TRUCK).engine()
    reach = engine.look_along(np.zeros((2, 2, 3), np.float32), np.eye(4), 0.1)
    with pytest.raises(ValueError, match="ranges: expected"):
        Ranges(np.zeros((2, 3), np.uint16), np.zeros((2, 3, 3), np.float32), reach)
    with pytest.raises(ValueError, match="directions"):
        engine.look_along(np.zeros((2, 2), np.float32), np.eye(4), 0.1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_wild_ranges_and_directions_tell_what_their_points_tell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    engine, pose = BedModel.nominal(TRUCK).engine(), above(3.0)
    directions = rng.normal(0.0, 1.0, (16, 40, 3)).astype(np.float32)
    directions[rng.random((16, 40)) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e30])
    ranges = rng.uniform(0.0, 9e3, (16, 40)).astype(np.float32)
    ranges[rng.random((16, 40)) < 0.1] = rng.choice([np.nan, np.inf, -1.0, 0.0, 3e38])
    with np.errstate(over="ignore", invalid="ignore"):
        points = RangeImage(ranges, directions).to_points()
    seen = []
    for scan in (points, Ranges(ranges, directions, engine.look_along(directions, pose, 0.1))):
        engine.clear()
        counts = engine.add(scan, pose, True)
        engine.finish()
        seen.append((counts.load, counts.wall, counts.stray, counts.inside, counts.beside, counts.through))
        seen.append((engine.height.tobytes(), engine.state.tobytes()))
    assert seen[:2] == seen[2:]
