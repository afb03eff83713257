"""The benchmark of truck-bed scans: its parts, its checksums, and the methods that its board scores."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import methods  # noqa: E402
import scoreboard  # noqa: E402
from truckbed import Answer, Bed, thinned  # noqa: E402

BENCHMARK = ROOT / "datasets" / "benchmark"
LENGTH_M, WIDTH_M, HEIGHT_M = 4.0, 2.0, 1.2
SIMPLE = [getattr(methods, name) for name in scoreboard.SIMPLE]
RNG = np.random.default_rng(3)


def seen(height: object, step_m: float = 0.03) -> np.ndarray:
    """Points on the surface height(x, y), from wall to wall; jittered, so that nothing rests on a lattice."""
    x, y = (np.arange(-s / 2 + step_m / 2, s / 2, step_m) for s in (LENGTH_M, WIDTH_M))
    xy = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    xy += RNG.uniform(-0.4, 0.4, xy.shape) * step_m
    return np.column_stack([xy, height(*xy.T)])  # type: ignore[operator]


def box(x: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.full_like(x, 0.8)


def wedge(x: np.ndarray, _: np.ndarray) -> np.ndarray:
    return 1.0 * (x / LENGTH_M + 0.5)


@pytest.mark.parametrize("method", SIMPLE, ids=lambda method: method.__name__)
@pytest.mark.parametrize(("load", "volume_m3"), [(box, 6.4), (wedge, 4.0)])
def test_simple_methods_are_right_where_all_is_seen(method, load, volume_m3) -> None:
    """The highest point of a cell of the wedge lies up to half a cell's rise too high, which is 0.6 % of it."""
    assert method(seen(load), Bed(LENGTH_M, WIDTH_M, HEIGHT_M)) == pytest.approx(volume_m3, rel=0.012)


@pytest.mark.parametrize("method", SIMPLE, ids=lambda method: method.__name__)
def test_simple_methods_begin_at_the_scan_of_the_empty_bed(method) -> None:
    floor = seen(lambda x, _: np.full_like(x, 0.1))
    assert method(seen(box), Bed(LENGTH_M, WIDTH_M, HEIGHT_M, floor)) == pytest.approx(5.6, rel=0.012)


def test_returns_from_outside_of_the_bed_are_no_load() -> None:
    around = np.array([[0.0, 1.1, 3.0], [2.5, 0.0, 0.5], [0.0, 0.0, 9.0], [0.0, 0.0, -1.0], [0.0, 0.99, 1.2]])
    points, bed = seen(box), Bed(LENGTH_M, WIDTH_M, HEIGHT_M)
    for method in SIMPLE:
        assert method(np.concatenate([points, around]), bed) == method(points, bed), method.__name__


def test_empty_cells_are_filled_as_each_method_says() -> None:
    """Half a wedge hidden: the mean of the seen half, its edge carried on, or its slope."""
    points, bed = seen(wedge), Bed(LENGTH_M, WIDTH_M, HEIGHT_M)
    upper = points[points[:, 0] > 0.0]
    assert methods.mean_grid(upper, bed) == pytest.approx(0.75 * 8.0, rel=0.01)
    assert methods.nearest(upper, bed) == pytest.approx((0.75 + 0.5) / 2 * 8.0, rel=0.01)
    middle = points[np.abs(points[:, 0]) > 0.6]
    assert methods.linear(middle, bed) == pytest.approx(4.0, rel=0.01)


def test_thinned_points_are_the_centroids_of_voxels() -> None:
    points = np.array([[0.01, 0.01, 0.01], [0.03, 0.03, 0.03], [0.11, 0.0, 0.0]])
    assert sorted(thinned(points, 0.1)[:, 0].tolist()) == pytest.approx([0.02, 0.11])


def test_outliers_go_before_hulls() -> None:
    points, bed = seen(box), Bed(LENGTH_M, WIDTH_M, HEIGHT_M)
    stray = np.array([[0.0, 0.0, 2.0]])
    assert methods.convex_hull(np.concatenate([points, stray]), bed) == pytest.approx(6.4, rel=0.012)


# --- the board --------------------------------------------------------------------------------------------------------


def answer(*_: object) -> Answer:
    return Answer(3.0, 2.0, 4.0, 1e-3)


def nothing(*_: object) -> float:
    return math.nan


def fails(*_: object) -> float:
    raise RuntimeError("no luck")


@pytest.fixture(scope="module")
def two_loads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose part `test` are two loads of the sample."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "test").mkdir()
    for load in sorted((BENCHMARK / "sample").iterdir())[:2]:
        (folder / "test" / load.name).symlink_to(load)
    return folder


def test_the_board_scores_ours_the_simple_and_those_that_are_named(two_loads, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    named = [f"--method=test_scoreboard:{name}" for name in ("answer", "nothing", "fails")]
    assert scoreboard.main([str(two_loads), "-o", str(tmp_path), *named]) == 0
    printed = capsys.readouterr().out
    rows = scoreboard.read_answers(tmp_path / "answers.csv")
    assert (tmp_path / "scoreboard.png").stat().st_size > 10_000
    by_method = {name: [row for row in rows if row.method == name] for name in {row.method for row in rows}}
    assert len(by_method) == len(scoreboard.OURS) + len(scoreboard.SIMPLE) + 3
    for name, mine in by_method.items():
        assert len(mine) == 2
        assert f"| `{name}` |" in printed
    for row in by_method["volest"]:
        assert row.covered == 1.0
        assert abs(row.error_percent) < 2.0
        assert 0.0 < row.seconds < 0.5
    assert all(math.isnan(row.covered) for row in by_method["linear"])
    mine = by_method["test_scoreboard:answer"][0]
    assert mine.volume_m3 == 3.0
    assert mine.seconds == 1e-3
    assert mine.covered == float(2.0 <= mine.truth_m3 <= 4.0)
    assert [row.complaint for row in by_method["test_scoreboard:fails"]] == ["RuntimeError: no luck"] * 2
    assert "expected a volume" in by_method["test_scoreboard:nothing"][0].complaint
    assert "| `test_scoreboard:fails` | 0 | 2 |" in printed


def test_figures_are_what_they_say() -> None:
    errors = [1.0, -1.0, 3.0]
    rows = [
        scoreboard.Row("m", str(i), "test", "smooth", "a@b", 1.0, error_percent=error, width_percent=4.0,
                       covered=float(abs(error) <= 2.0), seconds=0.002)
        for i, error in enumerate(errors)
    ]  # fmt: skip
    none = scoreboard.Row("m", "3", "test", "smooth", "a@b", 1.0, complaint="no")
    told = scoreboard.figures_of([*rows, none])
    assert told == ["3", "1", "+1.00", f"{math.sqrt(11 / 3):.2f}", "2.80", "66.7", "4.00", "2"]


def test_a_method_that_cannot_be_imported_is_told() -> None:
    with pytest.raises(SystemExit, match=r"no_such_module:f: .*expected MODULE:FUNCTION"):
        scoreboard.known_methods(["no_such_module:f"])


# --- what is kept in the repository -----------------------------------------------------------------------------------


def sums() -> dict[str, str]:
    lines = (BENCHMARK / "SHA256SUMS").read_text().splitlines()
    return {line.split("  ")[1]: line.split("  ")[0] for line in lines}


def test_the_sample_has_the_checksums_of_the_list() -> None:
    kept = {path.relative_to(BENCHMARK).as_posix(): path for path in BENCHMARK.glob("sample/*/*")}
    assert kept.keys() == {name for name in sums() if name.startswith("sample/")}
    for name, path in kept.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sums()[name], name
    table = (BENCHMARK / "loads.csv").read_bytes()
    assert hashlib.sha256(table).hexdigest() == sums()["loads.csv"]


def test_train_and_test_share_no_seed_and_the_new_parts_no_kind_view_or_bed() -> None:
    from volest.simulate import collection_from_dict
    from volest.simulate.collection import entries

    recipe = tomllib.loads((BENCHMARK / "recipe.toml").read_text())
    parts = {part.name: part for part in collection_from_dict(recipe, "recipe.toml").part}
    train = parts["train"]
    assert not set(train.views) & set(parts["test-new-view"].views)
    assert not set(train.loads) & set(parts["test-new-load"].loads)
    assert train.beds.length_m[1] <= parts["test-new-bed"].beds.length_m[0]
    assert set(parts["test"].views) <= set(train.views)
    assert set(parts["test"].loads) <= set(train.loads)
    all_of = list(entries(collection_from_dict(recipe, "recipe.toml")))
    assert len({entry.seed for entry in all_of}) == len(all_of)
    listed = {
        (row["part"], row["load"]): row for row in csv.DictReader((BENCHMARK / "loads.csv").read_text().splitlines())
    }
    assert listed.keys() == {(entry.part.name, entry.name) for entry in all_of}
    for entry in all_of:
        row = listed[entry.part.name, entry.name]
        assert (row["kind"], f"{row['sensor']}@{row['mount']}") == (entry.kind, entry.view)


def test_kinds_and_views_of_a_part_meet_equally_often() -> None:
    rows = list(csv.DictReader((BENCHMARK / "loads.csv").read_text().splitlines()))
    for part in {row["part"] for row in rows}:
        met = Counter((row["kind"], row["sensor"], row["mount"]) for row in rows if row["part"] == part)
        assert max(met.values()) - min(met.values()) <= 1


def test_the_recipe_makes_the_sample_again() -> None:
    """But for what other processors' rounding may move: a return lost or won, a coordinate by a step."""
    pytest.importorskip("numba")
    from volest import read_points
    from volest.simulate import collection_from_dict
    from volest.simulate.collection import entries, simulate_entry

    collection = collection_from_dict(tomllib.loads((BENCHMARK / "recipe.toml").read_text()), "recipe.toml")
    for entry in [entry for entry in entries(collection) if entry.part.name == "sample"][::5]:
        folder, made = BENCHMARK / "sample" / entry.name, simulate_entry(collection, entry)
        kept = json.loads((folder / "truth.json").read_text())["truth"]
        for name in ("volume_m3", "struck_capacity_m3", "net_mass_kg"):
            assert made.truth[name] == pytest.approx(kept[name], rel=1e-4, abs=1e-4)
        for sensor, frames in made.scans.items():
            path = next(iter(folder.glob(f"{sensor}*.npz")))
            xyz = read_points(path).xyz
            assert abs(len(frames[0]) - len(xyz)) <= 1e-3 * len(xyz)
            if len(frames[0]) == len(xyz):
                assert np.mean(np.abs(frames[0].xyz - xyz).max(axis=1) > 1e-5) < 1e-3
