"""The files of a simulated load."""

import json
import tomllib

import numpy as np
import pytest

from volest.errors import SceneError
from volest.io import read_points
from volest.simulate import random_scene, run, simulate, write
from volest.simulate.scene import scene_from_dict

SENSOR = {"rows": 16, "columns": 128, "pose_std": {"xyz_m": 0.01, "rpy_deg": 0.1}, "model": "ouster-os0-128"}
TOP = {**SENSOR, "id": "top", "pose": {"xyz_m": [0.1, 0.0, 3.5], "rpy_deg": [0.0, 89.0, 1.0]}}
REAR = {**SENSOR, "id": "rear", "pose": {"xyz_m": [-2.3, 0.0, 3.0], "rpy_deg": [0.0, 55.0, 0.0]}}
BED = {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3}
LOAD = {"kind": "smooth", "fill_ratio": 0.5}


def written(folder, **rest):
    simulated = simulate(scene_from_dict({"bed": BED, "load": LOAD, "sensor": [TOP], **rest}))
    write(simulated, folder)
    return (
        simulated,
        tomllib.loads((folder / "truck.toml").read_text()),
        json.loads((folder / "truth.json").read_text()),
    )


@pytest.mark.parametrize("suffix", ["pcd", "npz"])
def test_scans_come_back_as_they_were(tmp_path, suffix):
    simulated, truck, case = written(tmp_path / "case", format=suffix)
    for name, cloud in (
        (f"top.{suffix}", simulated.scans["top"][0]),
        (f"empty.{suffix}", simulated.empty_scans["top"]),
    ):
        back = read_points(tmp_path / "case" / name)
        np.testing.assert_array_equal(back.xyz, cloud.xyz)
        np.testing.assert_array_equal(back.intensity, cloud.intensity)
    assert truck["bed"] == {**BED, "reference": f"empty.{suffix}"}
    assert case["command"] == ["estimate", f"top.{suffix}", "--truck", "truck.toml", "--weight", "weight.csv", "--json"]
    assert case["kind"] == "load"
    assert case["case"] == "case"
    assert " ".join(case["command"]) in (tmp_path / "case" / "README.md").read_text()


def test_truck_file_tells_what_is_known(tmp_path):
    simulated, truck, case = written(tmp_path, weight={"tare_kg": 4310.0})
    sensor = truck["sensor"][0]
    assert truck["schema"] == 1
    assert sensor["id"] == "top"
    assert sensor["model"] == "ouster-os0-128"
    assert sensor["pose_std"] == {"xyz_m": 0.01, "rpy_deg": 0.1}
    np.testing.assert_allclose(sensor["pose"]["xyz_m"], simulated.told_poses["top"].translation, atol=1e-4)
    assert sensor["pose"]["xyz_m"] != case["truth"]["sensor_pose"]["top"]["xyz_m"]
    assert truck["scale"] == {"tare_kg": 4310.0, "tare_std_kg": 12.0, "gain_std": 0.005, "resolution_kg": 5.0}


def test_truth_has_the_keys_of_shared_cases(tmp_path):
    _, _, case = written(tmp_path)
    keys = {
        "volume_m3", "volume_numeric_error_m3", "struck_capacity_m3", "fill_ratio", "net_mass_kg", "bulk_density_kg_m3",
        "wet_mass_fraction", "waste_class", "heaped_volume_m3", "centroid_m", "visible_fraction", "overhang_m3",
        "footprint_m2", "footprint_rect_m", "wall_top_m", "sensor_pose",
    }  # fmt: skip
    assert keys <= set(case["truth"])
    assert case["scene"]["load"]["kind"] == "smooth"
    assert scene_from_dict(case["scene"]) == scene_from_dict({"bed": BED, "load": LOAD, "sensor": [TOP]})


def test_several_sensors_and_frames(tmp_path):
    _, truck, case = written(tmp_path, sensor=[{**TOP, "frames": 2}, REAR], weight={"kind": "none"})
    assert case["command"] == [
        "estimate",
        "top=top-0.pcd",
        "top=top-1.pcd",
        "rear=rear.pcd",
        "--truck",
        "truck.toml",
        "--json",
    ]
    assert truck["bed"]["reference"] == ["top=empty-top.pcd", "rear=empty-rear.pcd"]
    assert "scale" not in truck
    assert not (tmp_path / "weight.csv").exists()
    assert {"top-0.pcd", "top-1.pcd", "rear.pcd", "empty-top.pcd", "empty-rear.pcd"} <= {
        p.name for p in tmp_path.iterdir()
    }


def test_merged_scan_without_reference_and_a_number_for_weight(tmp_path):
    simulated, truck, case = written(
        tmp_path, sensor=[TOP, REAR], merged=True, reference=False, weight={"kind": "number"}
    )
    assert case["command"] == [
        "estimate",
        "scan.pcd",
        "--truck",
        "truck.toml",
        "--weight",
        f"{simulated.gross_kg:g}",
        "--json",
    ]
    assert "sensor" not in truck
    assert "reference" not in truck["bed"]


def test_weight_csv(tmp_path):
    simulated, _, _ = written(tmp_path)
    lines = (tmp_path / "weight.csv").read_text().splitlines()
    assert lines[0] == "time_s,gross_kg"
    np.testing.assert_allclose([[float(v) for v in line.split(",")] for line in lines[1:]], simulated.weight, atol=1e-9)


def test_run_reads_a_scene_file(tmp_path):
    scene = random_scene(np.random.default_rng(1), sensor="vlp16", load="flat")
    (tmp_path / "scene.toml").write_text(_as_toml(scene))
    simulated = run(tmp_path / "scene.toml", tmp_path / "out")
    assert simulated.scene == scene
    assert (tmp_path / "out" / "truth.json").exists()


def _as_toml(scene):
    from volest.simulate.files import toml_value
    from volest.simulate.scene import scene_to_dict

    return "".join(f"{key} = {toml_value(value)}\n" for key, value in scene_to_dict(scene).items())


def test_scene_that_cannot_be_made_names_the_file(tmp_path):
    scene = random_scene(np.random.default_rng(1), sensor="vlp16", load="flat")
    path = tmp_path / "scene.toml"
    path.write_text(_as_toml(scene).replace(f"{scene.load.fill_ratio}", "2.9"))
    with pytest.raises(SceneError, match=r"scene.toml: load.fill_ratio: found 2.9, expected at most"):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    simulated = simulate(scene_from_dict({"bed": BED, "load": LOAD, "sensor": [TOP]}))
    with pytest.raises(SceneError, match="cannot be written"):
        write(simulated, tmp_path / "file" / "case")
