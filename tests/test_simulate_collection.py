"""Many loads by one recipe: the same again, whole or not there, and checked against what is kept beside the recipe."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("numba")

from volest.case import read_cases
from volest.cli import main
from volest.errors import SceneError
from volest.simulate import Made, collection_from_dict, run
from volest.simulate.collection import entries, simulate_entry
from volest.simulate.scene import Noise

RECIPE = """
kind = "collection"
point_step_m = 0.001953125
crop_m = 4.0

[[part]]
name = "one"
first_seed = 100
count = 2
columns = 32
reference = false
loads = ["flat", "smooth"]
views = ["os128@overhead", "os128@front"]

[[part]]
name = "two"
first_seed = 200
count = 1
columns = 32
loads = ["none"]
views = ["os128@front"]
beds = { length_m = [3.0, 4.0], height_m = [0.4, 1.0] }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe with its loads, and with the checksums and truths of these beside it."""
    folder = tmp_path_factory.mktemp("collection")
    (folder / "recipe.toml").write_text(RECIPE)
    run(folder / "recipe.toml", folder / "loads")
    for name in ("SHA256SUMS", "loads.csv"):
        shutil.copy(folder / "loads" / name, folder)
    return folder


@pytest.fixture
def again(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "again"))


def remake(folder: Path) -> Made:
    result = run(folder / "recipe.toml", folder / "loads")
    assert isinstance(result, Made)
    return result


def files(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_loads_lie_in_a_folder_a_part_as_evaluate_takes_them(made: Path) -> None:
    loads = made / "loads"
    assert [case.name for case in read_cases(loads / "one")] == [
        "0000-flat-os128-overhead",
        "0001-smooth-os128-overhead",
    ]
    (case,) = read_cases(loads / "two")
    assert case.load == "none"
    assert 3.0 <= case.scene["bed"]["length_m"] <= 4.0
    assert case.scene["bed"]["height_m"] <= 1.0
    assert not (loads / ".undone").exists()


def test_checksums_are_those_that_sha256sum_finds(made: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum")
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(command, cwd=made / "loads", check=True, timeout=60)
    named = {line.split("  ")[1] for line in (made / "loads/SHA256SUMS").read_text().splitlines()}
    assert named == files(made / "loads").keys() - {"SHA256SUMS", "recipe.toml"}


def test_the_next_run_makes_what_is_missing_and_nothing_else(again: Path) -> None:
    before = files(again / "loads")
    assert remake(again).new == 0
    shutil.rmtree(again / "loads/one/0001-smooth-os128-overhead")
    broken = again / "loads/.undone/0001-smooth-os128-overhead"  # where a run was cut off
    broken.mkdir(parents=True)
    (broken / "truth.json").write_text("{")
    result = remake(again)
    assert (result.loads, result.new, result.differing) == (3, 1, ())
    assert "checksums of all" in result.summary
    assert files(again / "loads") == before


def test_a_changed_file_is_told_though_the_truth_is_right(again: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (again / "loads/two/0000-none-os128-front/README.md").open("a") as file:
        file.write("more\n")
    assert main(["simulate", str(again / "recipe.toml"), "-o", str(again / "loads")]) == 0
    printed = capsys.readouterr().out
    assert "3 loads, 0 of them made now" in printed
    assert "1 files have another checksum" in printed
    assert "two/0000-none-os128-front/README.md first" in printed


def test_another_truth_is_an_error(again: Path) -> None:
    table = (again / "loads.csv").read_text().splitlines()
    cells = table[1].split(",")
    cells[6] = str(1.001 * float(cells[6]))
    (again / "loads.csv").write_text("\n".join([table[0], ",".join(cells), *table[2:]]) + "\n")
    with pytest.raises(SceneError, match=r"one.0000-flat-os128-overhead: volume_m3: found .*, expected "):
        remake(again)


def test_a_truth_that_is_damaged_is_an_error(again: Path) -> None:
    (again / "loads/one/0000-flat-os128-overhead/truth.json").write_text('{"truth": {}}')
    with pytest.raises(SceneError, match=r"truth\.json: damaged, expected the truth of a load; remove its folder"):
        remake(again)


def test_a_folder_of_another_recipe_is_refused(again: Path) -> None:
    (again / "recipe.toml").write_text(RECIPE.replace("count = 1", "count = 2"))
    with pytest.raises(SceneError, match="found another recipe than"):
        remake(again)


def test_without_checksums_nothing_is_compared(again: Path) -> None:
    (again / "SHA256SUMS").unlink()
    result = remake(again)
    assert result.compared is None
    assert "no checksums beside the recipe" in result.summary


def document(**part: object) -> dict[str, object]:
    plain = {"name": "a", "first_seed": 0, "count": 2, "loads": ["flat"], "views": ["os128@front"]}
    return {"kind": "collection", "part": [plain | part]}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"name": "../up"}, "part.0..name: found '../up', expected a word of small letters"),
        ({"count": 0}, "count: found 0, expected a number of loads"),
        ({"first_seed": -1}, "first_seed: found -1, expected a whole number from 0"),
        ({"loads": []}, "loads: found an array of 0, expected a list of one name or more"),
        ({"loads": ["smoth"]}, "loads: found 'smoth', expected smooth perhaps"),
        ({"views": ["os128"]}, "views: os128: found '', expected"),
        ({"views": ["os129@front"]}, "views: os129@front: found 'os129', expected os128 perhaps"),
        ({"views": ["os128@roof"]}, "views: os128@roof: found 'roof', expected"),
        ({"beds": {"length_m": [1.0]}}, "beds.length_m: found an array of 1, expected two lengths"),
        ({"beds": {"length": [1.0, 2.0]}}, "beds.length: unknown key, expected length_m perhaps"),
        ({"seed": 1}, "seed: unknown key"),
    ],
)
def test_what_a_recipe_may_not_say_is_told(part: dict[str, object], told: str) -> None:
    with pytest.raises(SceneError, match=told):
        collection_from_dict(document(**part), "recipe.toml")


def test_parts_that_share_seeds_or_names_are_refused() -> None:
    parts = [document()["part"][0], document(name="b", first_seed=1)["part"][0]]  # type: ignore[index]
    with pytest.raises(SceneError, match="seeds that a and b share, expected b to begin at 2 or later"):
        collection_from_dict({"kind": "collection", "part": parts}, "recipe.toml")
    with pytest.raises(SceneError, match="expected each name once"):
        collection_from_dict({"kind": "collection", "part": parts[:1] * 2}, "recipe.toml")


def test_a_bed_that_is_never_drawn_is_told() -> None:
    collection = collection_from_dict(document(beds={"length_m": [19.0, 20.0]}), "recipe.toml")
    with pytest.raises(SceneError, match=r"a/0000-flat-os128-front: 200 loads were drawn .* no bed drawn lies within"):
        simulate_entry(collection, next(entries(collection)))


def test_a_part_tells_of_its_scenes_what_is_not_to_be_drawn() -> None:
    sensor = {"model": "mine", "rows": 4, "columns": 64, "vertical_fov_deg": 40.0}
    told = document(views=["os128@front+rear"], scene={"sensor": sensor, "load": {"fill_ratio": 0.25}, "format": "pcd"})
    drawn, changed = (
        simulate_entry(collection, entry := next(entries(collection)))
        for collection in (
            collection_from_dict(document(views=["os128@front+rear"], columns=64), "recipe.toml"),
            collection_from_dict(told, "recipe.toml"),
        )
    )
    assert entry.name == "0000-flat-mine-front+rear"
    assert changed.truth["fill_ratio"] == pytest.approx(0.25, abs=1e-3)
    assert (changed.scene.bed, changed.scene.format) == (drawn.scene.bed, "pcd")
    for one, other in zip(changed.scene.sensor, drawn.scene.sensor, strict=True):
        assert (one.id, one.pose, one.pose_std) == (other.id, other.pose, other.pose_std)
        assert (one.model, one.rows, one.noise) == ("mine", 4, Noise())


def test_a_part_that_tells_an_unknown_key_is_refused() -> None:
    collection = collection_from_dict(document(scene={"load": {"fill": 1.0}}), "recipe.toml")
    with pytest.raises(SceneError, match=r"part a: scene: load.fill: unknown key; did you mean 'fill_ratio'"):
        simulate_entry(collection, next(entries(collection)))
