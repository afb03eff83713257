"""The command line, as the contract fixes it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boxes import TRUCK, scan, write_box

from volest import __version__, progress
from volest.cli import main

KEYS = {
    "schema", "load_id", "truck_id", "status", "flags", "reasons", "volume_m3", "net_mass_kg", "bulk_density_kg_m3",
    "wet_mass_fraction", "waste_class", "struck_capacity_m3", "fill_ratio", "seen_fraction", "rejected_fraction",
    "centroid_m", "heaped_volume_m3", "volume_budget_m3", "timing_ms", "provenance",
}  # fmt: skip

TWO_SENSORS = TRUCK.replace(
    "[scale]",
    """[[sensor]]
id = "rear"
pose = { xyz_m = [0.0, 0.0, 4.0], rpy_deg = [0.0, 0.0, 0.0] }
[scale]""",
)
NO_SENSORS = TRUCK[: TRUCK.index("[[sensor]]")]

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a load of 4 m3 and 1000 kg, which is the working directory."""
    folder = write_box(tmp_path / "box")
    monkeypatch.chdir(folder)
    return folder


def estimate(capsys: Capture, *arguments: str, status: int = 0) -> dict[str, Any]:
    """The JSON that `volest estimate ARGUMENTS --truck truck.toml --json` prints."""
    assert main(["estimate", *arguments, "--truck", "truck.toml", "--json"]) == status
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    result: dict[str, Any] = json.loads(printed, parse_constant=pytest.fail)
    assert set(result) == KEYS
    return result


def complaint(capsys: Capture, *arguments: str, status: int = 2) -> str:
    """What standard error says when the arguments are refused, with nothing on standard output."""
    assert main(list(arguments)) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


# --- what is printed --------------------------------------------------------------------------------------------------


def test_json_is_one_line_with_every_field(capsys: Capture) -> None:
    result = estimate(capsys, "top=top.npy", "--weight=weight.csv")
    assert (result["schema"], result["truck_id"], result["status"]) == ("volest/estimate/1", "BOX-1", "ok")
    assert result["volume_m3"]["lower95"] <= 4.0 <= result["volume_m3"]["upper95"]
    assert result["net_mass_kg"]["value"] == pytest.approx(1000.0, abs=2.0)
    assert result["bulk_density_kg_m3"]["value"] == pytest.approx(250.0, rel=0.03)
    assert set(result["timing_ms"]) == {"read", "estimate"}
    assert result["provenance"]["volest"] == __version__


def test_table_tells_figures_and_flags(capsys: Capture) -> None:
    assert main(["estimate", "top.npy", "--truck", "truck.toml"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "truck BOX-1",
        "Volume",
        "m³",
        "95 % interval",
        "Struck capacity",
        "weight_missing: No weight was given",
    ):
        assert words in printed


def test_provenance_names_every_input_by_its_digest(box: Path, capsys: Capture) -> None:
    inputs = estimate(capsys, "top.npy", "--weight", "weight.csv")["provenance"]["inputs"]
    assert inputs == {
        name: f"sha256:{hashlib.sha256((box / name).read_bytes()).hexdigest()}"
        for name in ("top.npy", "truck.toml", "weight.csv")
    }


def test_inputs_of_one_name_are_told_apart(box: Path, capsys: Capture) -> None:
    (box / "truck.toml").write_text(TWO_SENSORS)
    for folder, level in (("a", 0.5), ("b", 0.502)):
        (box / folder).mkdir()
        np.save(box / folder / "s.npy", scan(level))
    inputs = estimate(capsys, "top=a/s.npy", "rear=b/s.npy")["provenance"]["inputs"]
    assert set(inputs) == {"truck.toml", "a/s.npy", "b/s.npy"}


def test_load_id_comes_from_the_inputs_alone(capsys: Capture) -> None:
    first = estimate(capsys, "top.npy", "--weight=5000")["load_id"]
    shutil.copy("top.npy", "other.npy")
    assert estimate(capsys, "top=other.npy", "--weight=5000")["load_id"] == first
    assert estimate(capsys, "top.npy", "--weight=5001")["load_id"] != first
    assert estimate(capsys, "top.npy")["load_id"] != first
    assert len(first) == 16


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"volest {__version__}\n"


@pytest.mark.parametrize("verb", [[], ["commission"], ["batch"], ["estimates"]])
def test_what_is_no_verb_or_lacks_its_arguments_is_told(verb: list[str], capsys: Capture) -> None:
    assert "usage: volest" in complaint(capsys, *verb)


def test_options_are_not_abbreviated(capsys: Capture) -> None:
    complaint(capsys, "estimate", "top.npy", "--tru", "truck.toml")


# --- scans ------------------------------------------------------------------------------------------------------------


def test_same_frame_twice_changes_nothing(capsys: Capture) -> None:
    shutil.copy("top.npy", "again.npy")
    once = estimate(capsys, "top.npy")
    assert estimate(capsys, "top=top.npy", "top=again.npy")["volume_m3"] == once["volume_m3"]


def test_bare_paths_are_frames_of_the_one_sensor(capsys: Capture) -> None:
    points = scan()
    np.save("even.npy", points[::2])
    np.save("odd.npy", points[1::2])
    result = estimate(capsys, "even.npy", "odd.npy")
    assert result["volume_m3"]["value"] == pytest.approx(4.0, abs=0.02)


def test_truck_without_sensors_takes_scans_in_the_bed_frame(box: Path, capsys: Capture) -> None:
    (box / "truck.toml").write_text(NO_SENSORS)
    np.save("top.npy", scan() + np.float32([0.0, 0.0, 4.0]))
    assert estimate(capsys, "top.npy")["volume_m3"]["value"] == pytest.approx(4.0, abs=0.02)
    assert "expected one of truck BOX-1: none" in complaint(
        capsys, "estimate", "top=top.npy", "--truck", "truck.toml", "--json"
    )


def test_unknown_sensor_names_the_known(capsys: Capture) -> None:
    error = complaint(capsys, "estimate", "mast=top.npy", "--truck", "truck.toml", "--json")
    assert "mast=top.npy: found the sensor 'mast', expected one of truck BOX-1: top" in error


def test_bare_path_is_not_enough_for_two_sensors(box: Path, capsys: Capture) -> None:
    (box / "truck.toml").write_text(TWO_SENSORS)
    error = complaint(capsys, "estimate", "top.npy", "--truck", "truck.toml")
    assert "expected SENSOR=top.npy with one of the sensors of truck BOX-1: top, rear" in error


@pytest.mark.parametrize("name", ["day=1.npy", "2026-11-23/x=y.npy"])
def test_path_with_an_equals_sign_is_a_path(box: Path, capsys: Capture, name: str) -> None:
    (box / name).parent.mkdir(exist_ok=True)
    shutil.copy("top.npy", name)
    assert estimate(capsys, name)["status"] == "ok"


@pytest.mark.parametrize(
    ("name", "content"),
    [("gone.npy", None), ("empty.npy", b""), ("empty.pcd", b""), ("foreign.pcd", b"\0" * 999), ("a.doc", b"a")],
)
def test_unreadable_scan_is_rejected_by_name(box: Path, capsys: Capture, name: str, content: bytes | None) -> None:
    if content is not None:
        (box / name).write_bytes(content)
    assert main(["estimate", name, "--truck", "truck.toml", "--json"]) == 3
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert (result["status"], result["volume_m3"], result["flags"]) == ("rejected", None, ["unreadable"])
    assert name in result["reasons"][0]
    assert name in printed.err
    assert "truck.toml" in result["provenance"]["inputs"]


def test_scan_without_returns_is_rejected(capsys: Capture) -> None:
    np.save("nothing.npy", np.zeros((100, 3), np.float32))
    assert estimate(capsys, "nothing.npy", status=3)["flags"][0] == "no_points"


def test_file_name_that_is_no_utf8_makes_valid_json(capsys: Capture) -> None:
    name = os.fsdecode(b"caf\xe9.npy")
    try:
        shutil.copy("top.npy", name)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert estimate(capsys, name)["provenance"]["inputs"].keys() == {"truck.toml", name}


# --- truck and weight -------------------------------------------------------------------------------------------------


def test_bad_truck_file_is_a_usage_error(box: Path, capsys: Capture) -> None:
    (box / "truck.toml").write_text(TRUCK + 'colour = "red"\n')
    assert "truck.toml: scale.colour: unknown key" in complaint(capsys, "estimate", "top.npy", "--truck", "truck.toml")
    assert "gone.toml" in complaint(capsys, "estimate", "top.npy", "--truck", "gone.toml")
    assert "--truck" in complaint(capsys, "estimate", "top.npy")


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ("abc", "abc: cannot be read"),
        ("-5", "found -5 kg"),
        ("nan", "found nan kg"),
        ("1e9", "found 1e+09 kg"),
        ("can.log", "cannot be read"),
    ],
)
def test_bad_weight_is_a_usage_error(capsys: Capture, weight: str, words: str) -> None:
    arguments = ["estimate", "top.npy", "--truck", "truck.toml", f"--weight={weight}", "--json"]
    assert words in complaint(capsys, *arguments)


def test_weight_without_scale_names_what_is_missing(box: Path, capsys: Capture) -> None:
    (box / "truck.toml").write_text(TRUCK[: TRUCK.index("[scale]")])
    error = complaint(capsys, "estimate", "top.npy", "--truck", "truck.toml", "--weight=5000")
    assert "truck.toml: scale: missing" in error


def test_weight_of_nothing_but_nan_leaves_the_volume(box: Path, capsys: Capture) -> None:
    (box / "weight.csv").write_text("time_s,gross_kg\n0,nan\n1,\n")
    result = estimate(capsys, "top.npy", "--weight=weight.csv")
    assert (result["net_mass_kg"], result["bulk_density_kg_m3"]) == (None, None)
    assert "weight_missing" in result["flags"]
    assert result["volume_m3"]["value"] == pytest.approx(4.0, abs=0.02)


def test_weight_that_no_waste_has_is_degraded(capsys: Capture) -> None:
    result = estimate(capsys, "top.npy", "--weight=14000")
    assert (result["status"], result["flags"]) == ("degraded", ["weight_volume_mismatch"])
    assert result["waste_class"] is None


# --- pictures, progress, other verbs ----------------------------------------------------------------------------------


def test_picture_is_drawn(box: Path, capsys: Capture) -> None:
    estimate(capsys, "top.npy", "--picture", "load.png")
    assert (box / "load.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["load.bmp", "load", "no/such/folder/load.png"])
def test_picture_that_cannot_be_is_a_usage_error(capsys: Capture, name: str) -> None:
    assert main(["estimate", "top.npy", "--truck", "truck.toml", "--json", "--picture", name]) == 2
    assert name in capsys.readouterr().err


def test_scene_and_folder_reach_the_simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr("volest.simulate.run", lambda scene, folder, _: asked.append((scene, folder)))
    assert main(["simulate", "scene.toml", "-o", str(tmp_path)]) == 0
    assert asked == [(Path("scene.toml"), tmp_path)]


def test_simulator_without_numba_names_the_extra(tmp_path: Path) -> None:
    script = "import sys; sys.modules['numba'] = None; from volest.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "simulate", "scene.toml", "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "volest simulate needs the extra [server]" in done.stderr


def test_missing_scene_is_a_usage_error(tmp_path: Path, capsys: Capture) -> None:
    assert "gone.toml" in complaint(capsys, "simulate", "gone.toml", "-o", str(tmp_path / "out"))


def test_progress_is_silent_when_quick(capsys: Capture) -> None:
    with progress.Progress() as quick:
        quick.tell("reading")
    assert capsys.readouterr() == ("", "")


def test_progress_tells_each_step_when_slow(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.01)
    with progress.Progress() as slow:
        slow.tell("reading")
        time.sleep(0.2)
        slow.tell("estimating")
    slow.tell("too late")
    assert capsys.readouterr() == ("", "volest: reading ...\nvolest: estimating ...\n")


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_unforeseen_is_one_line_and_with_debug_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("volest.load.estimate_files", fail)
    error = complaint(capsys, "estimate", "top.npy", "--truck", "truck.toml", status=1)
    assert error == "volest: unforeseen: RuntimeError: two lines; --debug tells where\n"
    assert main(["estimate", "top.npy", "--truck", "truck.toml", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_closed_pipe_ends_quietly_by_its_signal() -> None:
    command = [sys.executable, "-m", "volest", "estimate", "top.npy", "--truck", "truck.toml", "--json"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)
    assert done.returncode == -signal.SIGPIPE
    assert b"Error" not in done.stderr


def test_interrupt_ends_quietly_by_its_signal() -> None:
    script = """
import signal, sys, time, volest.load
from volest.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits it ignored
def wait(*_, **__):
    print("ready", flush=True)
    time.sleep(60)
volest.load.estimate_files = wait
sys.exit(main(["estimate", "a.npy", "--truck", "truck.toml"]))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in error


def test_json_path_loads_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "volest", "estimate", "top.npy", "--truck", "truck.toml"]
    done = subprocess.run([*command, "--weight=5000", "--json"], capture_output=True, text=True, check=True, timeout=60)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "numpy" in loaded
    assert loaded.isdisjoint({"rich", "matplotlib", "numba", "scipy", "plyfile", "laspy", "importlib_metadata"})


# --- the cases --------------------------------------------------------------------------------------------------------


def fits(accept: dict[str, Any], status: int, result: dict[str, Any] | None, truth: dict[str, Any], error: str) -> bool:
    """Whether an outcome is one that a fault's truth.json accepts."""
    flags = set(result["flags"]) if result else set()
    volume = result["volume_m3"] if result else None
    covers = volume is not None and volume["lower95"] <= truth["volume_m3"] <= volume["upper95"]
    narrow = volume is not None and volume["upper95"] - volume["lower95"] < 0.6 * truth["struck_capacity_m3"]
    return all(
        [
            status in accept.get("exit", [status]),
            "status" not in accept or (result is not None and result["status"] in accept["status"]),
            "flags_any" not in accept or bool(flags & set(accept["flags_any"])),
            not accept.get("flags") or bool(flags),
            accept.get("volume") != "covers" or (covers and narrow),
            accept.get("mass") != "null" or (result is not None and result["net_mass_kg"] is None),
            all(word in error for word in accept.get("stderr_all", [])),
        ]
    )


def test_every_case_ends_as_its_truth_asks(cases: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for path in sorted(cases.glob("*/truth.json")):
        case = json.loads(path.read_text())
        monkeypatch.chdir(path.parent)
        status = main(case["command"])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        result = json.loads(printed.out, parse_constant=pytest.fail) if printed.out else None
        if case["kind"] == "fault":
            accept = case["expect"]["accept"]
            assert any(fits(entry, status, result, case["truth"], printed.err) for entry in accept), path.parent.name
        else:
            assert status == 0, path.parent.name
            assert result is not None
            assert result["status"] in ("ok", "degraded")
