"""Scene files are strict: errors name file, key, what was found and what was expected."""

from pathlib import Path

import msgspec
import pytest

from volest.errors import SceneError
from volest.simulate import load_scene
from volest.simulate import scene as scene_module
from volest.simulate.scene import scene_from_dict, scene_to_dict

GOOD = """
seed = 3
[bed]
length_m = 4.2
width_m = 2.1
height_m = 1.3
[[bed.dents]]
x_m = 0.1
y_m = 0.2
depth_m = 0.01
radius_m = 0.2
[load]
kind = "smooth"
[[sensor]]
id = "top"
pose = { xyz_m = [0.0, 0.0, 3.0], rpy_deg = [0.0, 90.0, 0.0] }
pose_std = { xyz_m = 0.01, rpy_deg = 0.1 }
[sensor.noise]
range_std_m = 0.02
"""


@pytest.fixture
def scene_file(tmp_path):
    def write(text):
        path = tmp_path / "scene.toml"
        path.write_text(text)
        return path

    return write


def test_good_scene(scene_file):
    scene = load_scene(scene_file(GOOD))
    assert scene.bed.dents[0].radius_m == 0.2
    assert scene.sensor[0].noise.range_std_m == 0.02
    assert scene.load.fill_ratio == 0.5
    assert scene_from_dict(scene_to_dict(scene)) == scene


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = 3", "sede = 3", ["sede: unknown key", "'seed'"]),
        ("width_m = 2.1", "widht_m = 2.1", ["bed.widht_m: unknown key", "'width_m'"]),
        ("depth_m = 0.01", "deepth_m = 0.01", ["bed.dents[0].deepth_m", "'depth_m'"]),
        ("range_std_m = 0.02", "range_sd_m = 0.02", ["sensor[0].noise.range_sd_m", "'range_std_m'"]),
        ("xyz_m = 0.01, rpy", "xyz = 0.01, rpy", ["sensor[0].pose_std.xyz", "'xyz_m'"]),
        ("length_m = 4.2", "length_m = nan", ["bed.length_m", "nan", "finite"]),
        ("length_m = 4.2", "length_m = 420.0", ["bed.length_m", "<= 20"]),
        ("length_m = 4.2", 'length_m = "4.2 m"', ["bed.length_m", "str"]),
        ("height_m = 1.3", "", ["height_m", "missing"]),
        ('kind = "smooth"', 'kind = "smoth"', ["load.kind", "smoth"]),
        ('kind = "smooth"', 'kind = "box"', ["load.height_m", "missing"]),
        ('id = "top"', 'id = "../top"', ["sensor.id", "../top"]),
        ("[0.0, 0.0, 3.0]", "[0.0, 3.0]", ["pose.xyz_m", "length 3"]),
        ("[bed]", "[bed", ["not TOML"]),
    ],
)
def test_bad_scene_names_file_key_and_expectation(scene_file, old, new, words):
    assert old in GOOD
    path = scene_file(GOOD.replace(old, new, 1))
    with pytest.raises(SceneError) as caught:
        load_scene(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_sensors_need_names_of_their_own(scene_file):
    block = GOOD[GOOD.index("[[sensor]]") :]
    with pytest.raises(SceneError, match="each name once"):
        load_scene(scene_file(GOOD + block))


def test_missing_file(tmp_path):
    with pytest.raises(SceneError, match=r"nowhere.toml: cannot be read"):
        load_scene(tmp_path / "nowhere.toml")


def test_binary_file(tmp_path):
    (tmp_path / "scene.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SceneError, match="not TOML"):
        load_scene(tmp_path / "scene.toml")


def test_every_key_is_in_the_docs():
    page = (Path(__file__).parents[1] / "docs" / "simulation.md").read_text("utf-8")
    structs = [
        kind for kind in vars(scene_module).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    ]
    keys = {field.name for kind in structs for field in msgspec.structs.fields(kind)}
    assert len(keys) > 60
    assert [key for key in sorted(keys) if f"`{key}`" not in page and f".{key}`" not in page] == []
