"""The data sets that come with the package are what their recipes make."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from volest.io import read_points
from volest.simulate import load_scene, run

DATASETS = Path(__file__).parents[1] / "datasets"
RECIPES = sorted(path for path in (DATASETS / "recipes").glob("*.toml") if not path.name.startswith("day-"))
SCANS = (".npz", ".pcd")


def test_each_recipe_has_its_set_and_each_set_its_recipe():
    sets = {path.parent.name for path in DATASETS.glob("*/truth.json")}
    assert {path.stem for path in RECIPES} == sets
    assert len(sets) >= 3


def test_sets_are_small():
    assert sum(path.stat().st_size for path in DATASETS.rglob("*") if path.is_file()) < 4_000_000


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_makes_the_set_again(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(DATASETS.parent)
    made, kept = tmp_path / recipe.stem, DATASETS / recipe.stem
    run(recipe, made)
    assert {path.name for path in made.iterdir()} == {path.name for path in kept.iterdir()}
    for path in kept.iterdir():
        if path.suffix in SCANS:
            _assert_same_scan(made / path.name, path)
        elif path.name == "truth.json":
            _assert_close(json.loads((made / path.name).read_text()), json.loads(path.read_text()))
        elif path.name != "card.md":
            assert (made / path.name).read_text() == path.read_text()


def _assert_same_scan(made, kept):
    """Equal but for what other processors' rounding may move: a coordinate by a step, a return lost or won."""
    a, b = read_points(made).xyz, read_points(kept).xyz
    if a.shape == b.shape:
        assert (np.abs(a - b).max(axis=1) > 1e-5).mean() < 1e-3
    else:
        assert abs(len(a) - len(b)) < 1e-3 * len(b)


def _assert_close(made, kept):
    if isinstance(kept, dict):
        assert made.keys() == kept.keys()
        for key in kept:
            _assert_close(made[key], kept[key])
    elif isinstance(kept, list):
        assert len(made) == len(kept)
        for one, other in zip(made, kept, strict=True):
            _assert_close(one, other)
    elif isinstance(kept, float):
        assert made == pytest.approx(kept, rel=1e-4, abs=1e-4)
    else:
        assert made == kept


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_card_tells_sensor_frame_truth_and_command(recipe):
    folder = DATASETS / recipe.stem
    card, case = (folder / "card.md").read_text(), json.loads((folder / "truth.json").read_text())
    scene = load_scene(recipe)
    assert f"volest simulate datasets/recipes/{recipe.name} -o datasets/{recipe.stem}" in card
    for sensor in scene.sensor:
        assert f"`{sensor.id}`: {sensor.model}" in card
    assert f"{case['truth']['volume_m3']:.4f} m3" in card
    assert f"{case['truth']['net_mass_kg']:.1f} kg" in card
    assert "frame" in card
    assert scene.title in card


def test_datasets_package_holds_data_only():
    assert (DATASETS / "__init__.py").read_text().count('"""') == 2
    assert not [path for path in DATASETS.rglob("*") if path.is_file() and os.access(path, os.X_OK)]
