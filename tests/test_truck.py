"""truck.toml: what it means, and that nothing wrong in it goes by."""

from __future__ import annotations

import copy
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volest import Truck, TruckError
from volest.scale import CanScale, Cell, IndicatorScale
from volest.truck import Scale, WasteProfile, _BedTable, _catalogue, _SensorTable, _WasteTable

FULL: dict[str, Any] = {
    "schema": 1,
    "id": "KT-8123-AB",
    "bed": {"length_m": 4.2, "width_m": 2.1, "height_m": 1.3, "reference": "mast=empty.pcd"},
    "sensor": [
        {
            "id": "mast",
            "model": "ouster-os0-128",
            "range_noise_m": 0.01,
            "pose": {"xyz_m": [2.0, 0.0, 2.9], "rpy_deg": [0.0, 55.0, 180.0]},
            "pose_std": {"xyz_m": 0.005, "rpy_deg": 0.1},
        }
    ],
    "scale": {"tare_kg": 4310.0, "tare_std_kg": 15.0, "gain_std": 0.005, "resolution_kg": 5.0},
    "waste": {"profile": "msw-indonesia-loose"},
}

TEXT = """\
schema = 1
id = "KT-8123-AB"
[bed]
length_m = 4.20
width_m  = 2.10
height_m = 1.30
"""


def changed(path: list[Any], value: object) -> dict[str, Any]:
    """FULL with the value at `path` replaced."""
    document = copy.deepcopy(FULL)
    table: Any = document
    for step in path[:-1]:
        table = table[step]
    table[path[-1]] = value
    return document


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(TruckError) as caught:
        Truck.from_dict(document)
    return str(caught.value)


def number_paths(value: Any, path: list[Any]) -> list[list[Any]]:
    """Where the numbers of a document stand."""
    if isinstance(value, dict):
        return [found for key, entry in value.items() for found in number_paths(entry, [*path, key])]
    if isinstance(value, list):
        return [found for i, entry in enumerate(value) for found in number_paths(entry, [*path, i])]
    return [path] if isinstance(value, float) else []


NUMBERS = number_paths(FULL, [])


def test_every_key_arrives() -> None:
    truck = Truck.from_dict(FULL, "garage")
    assert (truck.id, truck.sensor_ids) == ("KT-8123-AB", ("mast",))
    assert (truck.bed.length_m, truck.bed.width_m, truck.bed.height_m) == (4.2, 2.1, 1.3)
    assert truck.bed.reference == (("mast", Path("garage/empty.pcd")),)
    (sensor,) = truck.sensors
    assert (sensor.model, sensor.range_noise_m, sensor.pose_std_xyz_m) == ("ouster-os0-128", 0.01, 0.005)
    assert sensor.pose_std_rpy_rad == pytest.approx(math.radians(0.1))
    assert sensor.pose_std_told
    # Pitched by 55 degrees and turned about, the sensor's x axis looks down and to the rear.
    np.testing.assert_allclose(sensor.pose.apply(np.array([[1.0, 0.0, 0.0]]))[0] - sensor.pose.translation,
                               [-math.cos(math.radians(55)), 0.0, -math.sin(math.radians(55))], atol=1e-12)  # fmt: skip
    assert truck.scale is not None
    assert (truck.scale.tare_kg, truck.scale.tare_std_kg) == (4310.0, 15.0)
    assert (truck.scale.gain_std, truck.scale.resolution_kg) == (0.005, 5.0)


def test_three_numbers_are_enough() -> None:
    truck = Truck.from_dict({"schema": 1, "id": "a", "bed": {"length_m": 4, "width_m": 2, "height_m": 1}})
    assert (truck.sensors, truck.scale, truck.bed.reference) == ((), None, ())
    assert truck.waste.name == "msw-indonesia-loose"


def test_what_is_not_told_has_the_documented_default() -> None:
    document = copy.deepcopy(FULL)
    for key in ("model", "range_noise_m", "pose_std"):
        del document["sensor"][0][key]
    (sensor,) = Truck.from_dict(document).sensors
    assert (sensor.range_noise_m, sensor.pose_std_xyz_m) == (0.02, 0.01)
    assert sensor.pose_std_rpy_rad == pytest.approx(math.radians(0.2))
    assert not sensor.pose_std_told


def test_range_noise_comes_from_the_catalogue_unless_told() -> None:
    document = copy.deepcopy(FULL)
    assert Truck.from_dict(document).sensors[0].range_noise_m == 0.01
    del document["sensor"][0]["range_noise_m"]
    assert Truck.from_dict(document).sensors[0].range_noise_m == 0.015


def test_unknown_model_is_no_matter_when_the_noise_is_told() -> None:
    assert Truck.from_dict(changed(["sensor", 0, "model"], "home-made")).sensors[0].model == "home-made"


def test_waste_overrides_its_profile() -> None:
    waste = Truck.from_dict(changed(["waste"], {"profile": "recyclables-loose", "wet_kg_m3": 300})).waste
    assert (waste.name, waste.dry_kg_m3, waste.wet_kg_m3) == ("recyclables-loose", 40.0, 300.0)


def test_loading_shifts_a_profile_that_has_another_and_leaves_its_own() -> None:
    def waste(**table: str) -> WasteProfile:
        return Truck.from_dict(changed(["waste"], table)).waste

    loose, pressed = waste(), waste(loading="compacted")
    assert waste(loading="loose") == loose
    assert pressed.dry_kg_m3 == pytest.approx(2.0 * loose.dry_kg_m3)
    assert pressed.dry_log_std > loose.dry_log_std
    assert waste(profile="msw-compacted", loading="compacted") == waste(profile="msw-compacted")
    assert waste(profile="msw-compacted", loading="loose").dry_kg_m3 == pytest.approx(104.0)


def test_prior_of_the_wet_fraction_is_told_or_comes_from_the_source() -> None:
    told = Truck.from_dict(changed(["waste"], {"prior": {"a": 2, "b": 5}}))
    assert (told.waste.prior_a, told.waste.prior_b) == (2.0, 5.0)
    assert Truck.from_dict(told.to_dict()).waste == told.waste
    market = Truck.from_dict(changed(["waste"], {"source": "market"})).waste
    assert market.prior_a / (market.prior_a + market.prior_b) == pytest.approx(0.83)
    with pytest.raises(TruckError, match=r"waste\.source: found it beside waste\.prior"):
        Truck.from_dict(changed(["waste"], {"source": "market", "prior": {"a": 2, "b": 5}}))


@pytest.mark.parametrize(
    ("key", "wrong", "words"),
    [
        ("loading", "compact", "waste.loading: found 'compact', expected compacted perhaps"),
        ("source", "markets", "waste.source: found 'markets', expected market perhaps"),
        ("prior", {"a": 0, "b": 1}, "waste.prior.a: found 0, expected a parameter"),
        ("prior", {"a": 1}, "waste.prior.b: missing"),
    ],
)
def test_waste_that_is_not_known_is_refused(key: str, wrong: object, words: str) -> None:
    with pytest.raises(TruckError, match=re.escape(words)):
        Truck.from_dict(changed(["waste", key], wrong))


def test_wavelength_comes_from_the_catalogue() -> None:
    assert Truck.from_dict(FULL).sensors[0].wavelength_nm == 865
    assert Truck.from_dict(changed(["sensor", 0, "model"], "home-made")).sensors[0].wavelength_nm is None


@pytest.mark.parametrize(
    "profile", ["msw-indonesia-loose", "msw-us-residential-loose", "msw-compacted", "recyclables-loose"]
)
def test_every_profile_is_complete(profile: str) -> None:
    waste = Truck.from_dict(changed(["waste"], {"profile": profile})).waste
    assert 20 < waste.dry_kg_m3 < waste.wet_kg_m3 < 1000


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (changed(["bed", "hight_m"], 1.3), ["truck: bed.hight_m: unknown key", "height_m"]),
        (changed(["bed", "colour"], "red"), ["bed.colour: unknown key", "length_m, width_m, height_m, reference"]),
        (changed(["sensors"], []), ["sensors: unknown key", "sensor perhaps"]),
        (changed(["sensor", 0, "pose", "xyz"], [0, 0, 0]), ["sensor[0].pose.xyz: unknown key", "xyz_m perhaps"]),
        (changed(["scale", "tare"], 4310), ["scale.tare: unknown key", "tare_kg perhaps"]),
        (changed(["schema"], 2), ["schema: found 2, expected 1"]),
        (changed(["schema"], True), ["schema: found true, expected 1"]),
        (changed(["schema"], 1.0), ["schema: found 1.0, expected 1"]),
        (changed(["id"], ""), ["id: found ''"]),
        (changed(["id"], "a\nb"), ["id: found 'a\\nb'", "printable"]),
        (changed(["bed"], 3), ["bed: found 3, expected a table"]),
        (changed(["bed", "length_m"], "4.2"), ["bed.length_m: found '4.2', expected metres"]),
        (changed(["bed", "length_m"], True), ["bed.length_m: found true, expected metres"]),
        (changed(["bed", "length_m"], 4200.0), ["bed.length_m: found 4200.0, expected metres, 0.05 to 30"]),
        (changed(["bed", "length_m"], 0), ["bed.length_m: found 0, expected metres, 0.05 to 30"]),
        (changed(["bed", "length_m"], 10**400), ["bed.length_m: found a huge integer, expected metres"]),
        (changed(["bed", "reference"], 3), ["bed.reference: found 3, expected a file name"]),
        (changed(["bed", "reference"], []), ["bed.reference: found an array of 0"]),
        (changed(["bed", "reference"], ["mast=a.pcd", ""]), ["bed.reference[1]: found ''"]),
        (changed(["bed", "reference"], "rear=a.pcd"), ["bed.reference: found sensor 'rear'", "mast"]),
        (changed(["sensor"], {}), ["sensor: found a table, expected an array of tables"]),
        (changed(["sensor", 0, "id"], "a b"), ["sensor[0].id: found 'a b'"]),
        (changed(["sensor", 0, "id"], "mast\n"), ["sensor[0].id: found 'mast\\n'"]),
        (changed(["sensor"], [FULL["sensor"][0]] * 2), ["sensor[1].id: found 'mast' a second time"]),
        (changed(["sensor", 0, "pose", "xyz_m"], [1, 2]), ["pose.xyz_m: found an array of 2", "three numbers"]),
        (changed(["sensor", 0, "pose", "xyz_m"], [1, "b", 2]), ["sensor[0].pose.xyz_m[1]: found 'b', expected metres"]),
        (changed(["sensor", 0, "pose"], {"xyz_m": [1, 2, 3]}), ["sensor[0].pose.rpy_deg: missing", "degrees"]),
        (changed(["waste", "profile"], "msw-indonesia"), ["waste.profile: found", "msw-indonesia-loose perhaps"]),
        (changed(["waste", "wet_kg_m3"], 3), ["waste.dry_kg_m3: found 104, expected less than wet_kg_m3 (3)"]),
    ],
)  # fmt: skip
def test_refusals_name_key_finding_and_expectation(document: dict[str, Any], words: list[str]) -> None:
    message = refusal(document)
    assert all(word in message for word in words), message


def test_unknown_model_without_noise_names_the_nearest() -> None:
    document = changed(["sensor", 0, "model"], "ouster-os0_128")
    del document["sensor"][0]["range_noise_m"]
    assert "sensor[0].model: found 'ouster-os0_128', expected ouster-os0-128 perhaps" in refusal(document)


@pytest.mark.parametrize("path", NUMBERS, ids=str)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", True, [], {}, 1e300, -1e300])
def test_no_number_is_anything_else(path: list[Any], value: object) -> None:
    message = refusal(changed(path, value))
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]
    assert name in message


@pytest.mark.parametrize(
    "path", [["bed", "length_m"], ["bed", "width_m"], ["bed", "height_m"], ["bed"], ["id"], ["schema"]]
)
def test_missing_keys_are_named(path: list[str]) -> None:
    document = copy.deepcopy(FULL)
    table = document
    for step in path[:-1]:
        table = table[step]
    del table[path[-1]]
    assert f"{'.'.join(path)}: missing" in refusal(document)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from([["bed"], ["sensor"], ["sensor", 0], ["scale"], ["waste"], ["id"], ["sensor", 0, "pose"]]),
    json_like,
)
def test_whatever_stands_there_it_is_a_truck_or_a_truck_error(path: list[Any], value: object) -> None:
    try:
        truck = Truck.from_dict(changed(path, value))
    except TruckError as error:
        message = str(error)
    else:
        message = truck.id
    assert 0 < len(message) < 3000
    assert message.isprintable()


def test_reference_of_several_sensors() -> None:
    document = changed(["sensor"], [dict(FULL["sensor"][0], id=name) for name in ("mast", "rear")])
    document["bed"]["reference"] = ["mast=a.pcd", "rear=b=c.pcd"]
    assert Truck.from_dict(document, "d").bed.reference == (("mast", Path("d/a.pcd")), ("rear", Path("d/b=c.pcd")))
    document["bed"]["reference"] = "a.pcd"
    assert "expected to be told the sensor: mast=a.pcd, rear=a.pcd" in refusal(document)


def test_reference_without_sensors_is_in_the_bed_frame(tmp_path: Path) -> None:
    document = {"schema": 1, "id": "a", "bed": FULL["bed"] | {"reference": "empty.pcd"}}
    assert Truck.from_dict(document, tmp_path).bed.reference == ((None, tmp_path / "empty.pcd"),)


def test_reference_whose_name_holds_an_equals_sign(tmp_path: Path) -> None:
    (tmp_path / "day=1.pcd").touch()
    truck = Truck.from_dict(changed(["bed", "reference"], "day=1.pcd"), tmp_path)
    assert truck.bed.reference == (("mast", tmp_path / "day=1.pcd"),)


def test_load_reads_the_file_and_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "truck.toml"
    path.write_text(TEXT)
    truck = Truck.load(str(path))
    assert (truck.id, truck.path, truck.directory) == ("KT-8123-AB", path, tmp_path)


def nested(path: Path) -> None:
    path.write_text("a = " + "[" * 30_000)


def dotted(path: Path) -> None:
    path.write_text(TEXT + ".".join(["a"] * 30_000) + " = 1\n")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "No such file"),
        (lambda path: path.mkdir(), "not a file"),
        (lambda path: path.write_bytes(b""), "schema: missing"),
        (lambda path: path.write_bytes(b'id = "\xff"'), "byte 6: found no valid UTF-8"),
        (lambda path: path.write_text(TEXT + "length_m = 3\n"), "not valid TOML"),
        (lambda path: path.write_text(TEXT + "[bed]\n"), "not valid TOML"),
        (lambda path: path.write_text("schema = "), "not valid TOML"),
        (lambda path: path.write_text("schema = " + "9" * 10_000), "not valid TOML"),
        (lambda path: path.write_text(TEXT + "#" * 65536), "more than 65536 bytes"),
        (nested, "not valid TOML"),
        (dotted, "a key of more than 32 parts"),
    ],
)  # fmt: skip
def test_files_that_are_no_truck_are_named(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "truck.toml"
    make(path)
    with pytest.raises(TruckError) as caught:
        Truck.load(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_every_key_profile_and_default_is_documented() -> None:
    docs = Path(__file__).parents[1] / "docs"
    page = (docs / "truck.md").read_text("utf-8")
    tables = {"bed": _BedTable, "sensor": _SensorTable, "scale": Scale, "waste": _WasteTable}
    tables |= {"scale.can": CanScale, "scale.indicator": IndicatorScale, "scale.cell": Cell}
    keys = [f"`{name}.{key}" for name, table in tables.items() for key in table.__struct_fields__]
    assert [key for key in keys if key not in page] == []
    wetness = (docs / "wetness.md").read_text("utf-8")
    for name, entry in _catalogue("waste").items():
        numbers = (
            f"{entry['dry_kg_m3']:g} | {entry['dry_log_std']:.2f} | {entry['wet_kg_m3']:g} | {entry['wet_log_std']:.2f}"
        )
        assert f"`{name}`" in wetness
        assert f"| {numbers} |" in wetness


def test_null_byte_in_a_file_name_is_refused() -> None:
    with pytest.raises(TruckError, match="cannot be read"):
        Truck.load("a\0b.toml")


def test_every_case_has_a_truck_or_names_its_fault(cases: Path) -> None:
    faults = {"fault-13-truck-unknown-key": "bed.colour", "fault-14-truck-nan": "bed.width_m"}
    for path in sorted(cases.glob("*/truck.toml")):
        if path.parent.name in faults:
            with pytest.raises(TruckError, match=faults[path.parent.name]):
                Truck.load(path)
        else:
            assert Truck.load(path).path == path


def test_the_interpreter_ends_without_a_crash(tmp_path: Path) -> None:
    """msgspec frees the types of nested structs in whatever order they come when the interpreter ends."""
    truck = tmp_path / "truck.toml"
    truck.write_text('schema = 1\nid = "T"\nbed = { length_m = 4.0, width_m = 2.0, height_m = 1.0 }\n', "utf-8")
    script = "import sys; from volest import Truck; Truck.load(sys.argv[1])"
    for _ in range(12):  # without care 3 of 10 crash
        subprocess.run([sys.executable, "-c", script, truck], check=True, timeout=60)
