"""The C API: the same bits as Python, whole or in packets, and no crash whatever a caller hands in."""

from __future__ import annotations

import ctypes as c
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_door import Door, Fault, Options, Result, aligned, flag_names, library, packed
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_loads import MAST, REAR, estimator_of, scans_of, scene
from test_truckfile import store

from volest import Estimator, PackedPoints, RangeImage, Truck, __version__
from volest import Result as Told
from volest.io import read_points
from volest.simulate import Simulated, simulate
from volest.weight import GrossMass, settle

ROOT = Path(__file__).parents[1]
GOLDEN = {
    "half-full-overhead": {"top": ["top.npz"]},
    "heaped-front-mast": {"mast": ["mast.npz"]},
    "two-sensors-wet": {"mast": ["mast.npz"], "rear": ["rear.npz"]},
}
CLASSES = (None, "dry", "mixed", "wet")
GROSS_KG = 6100.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("c-api")


def commissioned(estimator: Estimator, folder: Path, name: str) -> Path:
    path = folder / f"{name}.volest"
    store(estimator, path)
    return path


@pytest.fixture(scope="module")
def made() -> Simulated:
    scale = {"tare_kg": 4000.0, "tare_std_kg": 15.0, "gain_std": 0.005, "resolution_kg": 5.0}
    made = simulate(scene("rough", 0.6, MAST | {"columns": 256}, REAR | {"columns": 256}))
    return replace(made, truck=made.truck | {"scale": scale})


@pytest.fixture(scope="module")
def blob(made: Simulated, folder: Path) -> Path:
    path = folder / "two"
    path.mkdir()
    return commissioned(estimator_of(made, path), folder, "two")


def bits_of(result: Result) -> dict[str, bytes]:
    """What a result of the C API says, by the names of Python's; what it has not is not there."""
    q = {
        name: getattr(result, name) for name in ("volume_m3", "net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction")
    }
    bits = {name: packed(v.value, v.std, v.lower95, v.upper95) for name, v in q.items()}
    budget = result.volume_budget_m3
    bits["volume_budget_m3"] = packed(budget.hidden, budget.pose, budget.reference, budget.range, budget.surface)
    bits["centroid_m"] = packed(*result.centroid_m)
    for name in ("struck_capacity_m3", "heaped_volume_m3", "fill_ratio", "seen_fraction", "rejected_fraction"):
        bits[name] = packed(getattr(result, name))
    for bit, names in enumerate(
        [
            [*list(bits)[5:], "volume_m3", "volume_budget_m3"], ["centroid_m"], ["net_mass_kg"], ["bulk_density_kg_m3"],
            ["wet_mass_fraction"],
        ]
    ):  # fmt: skip
        if not result.has >> bit & 1:
            for name in names:
                bits.pop(name, None)
    return bits | {
        "status": ("ok", "degraded", "rejected")[result.status].encode(),
        "flags": " ".join(flag_names(result.flags)).encode(),
        "waste_class": str(CLASSES[result.waste_class]).encode(),
    }


def bits_of_told(told: Told) -> dict[str, bytes]:
    """The same of a result of Python's."""
    bits = {"status": told.status.encode(), "flags": " ".join(told.flags).encode()}
    bits["waste_class"] = str(told.waste_class).encode()
    for name in ("volume_m3", "net_mass_kg", "bulk_density_kg_m3", "wet_mass_fraction"):
        if (q := getattr(told, name)) is not None:
            bits[name] = packed(q.value, q.std, q.lower95, q.upper95)
    if told.volume_budget_m3 is not None:
        bits["volume_budget_m3"] = packed(*told.volume_budget_m3.values())
    if told.centroid_m is not None:
        bits["centroid_m"] = packed(*told.centroid_m)
    for name in ("struck_capacity_m3", "heaped_volume_m3", "fill_ratio", "seen_fraction", "rejected_fraction"):
        if getattr(told, name) is not None:
            bits[name] = packed(getattr(told, name))
    return bits


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_loads_give_the_bits_of_python(name: str, folder: Path) -> None:
    home = ROOT / "datasets" / name
    path = commissioned(Estimator(Truck.load(home / "truck.toml")), folder, name)
    scans = {sensor: [read_points(home / file).xyz for file in files] for sensor, files in GOLDEN[name].items()}
    told = bits_of_told(Estimator(Truck.load(path)).estimate(scans, gross_kg=GROSS_KG))
    for isa in range(5):
        try:
            door = Door(path, isa=isa)
        except AssertionError:
            assert isa > 1  # this machine has no such instructions
            continue
        for again in range(2):  # estimates may be asked for again and again, loads follow each other
            for sensor, frames in scans.items():
                for xyz in frames:
                    door.add(door.sensor(sensor), xyz)
            door.weigh(GROSS_KG)
            assert bits_of(door.estimate()) == told, (isa, again)
            assert bits_of(door.estimate()) == told, (isa, again)
            door.clear()


def as_scans(xyz: np.ndarray, form: str) -> np.ndarray | PackedPoints | RangeImage:
    """The same scan in another form, about."""
    if form == "mm":
        return PackedPoints(np.round(1e3 * np.nan_to_num(xyz)).astype(np.int16))
    if form == "xyz":
        return xyz
    xyz = np.nan_to_num(xyz)
    norm = np.linalg.norm(xyz, axis=1)
    directions = (xyz / np.where(norm > 0.0, norm, 1.0)[:, None]).astype(np.float32)
    ranges = (1e3 * norm).astype({"u16": np.uint16, "u32": np.uint32, "f32": np.float32}[form])
    return RangeImage(ranges.reshape(1, -1), directions.reshape(1, -1, 3))


@pytest.mark.parametrize("form", ["xyz", "mm", "u16", "u32", "f32"])
def test_packets_in_any_form_give_the_bits_of_whole_scans(made: Simulated, blob: Path, form: str) -> None:
    scans = {name: as_scans(frames[0], form) for name, frames in scans_of(made).items()}
    told = bits_of_told(Estimator(Truck.load(blob)).estimate(scans, gross_kg=GROSS_KG))
    whole, parts = Door(blob), Door(blob)
    rng = np.random.default_rng(3)
    for name, scan in scans.items():
        whole.add(whole.sensor(name), scan)
        parts.add_in_packets(parts.sensor(name), scan, rng.integers(0, 700, 400).tolist())
    for door in (whole, parts):
        door.weigh(GROSS_KG)
    assert bits_of(whole.estimate()) == told
    result = parts.estimate()
    assert result.unchecked == 4, result.unchecked  # the window alone
    assert bits_of(result) == told


def test_an_estimate_amid_a_scan_changes_nothing(made: Simulated, blob: Path) -> None:
    mast, rear = (frames[0] for frames in scans_of(made).values())
    plain, asked = Door(blob), Door(blob)
    for door in (plain, asked):
        door.add(0, mast)
        before = bits_of(door.estimate())
        door.call("scan_begin", c.c_uint32(1))
        for at in range(0, len(rear), 1000):
            packet = np.ascontiguousarray(rear[at : at + 1000])
            door.call("add_xyz", c.c_void_p(packet.ctypes.data), c.c_size_t(len(packet)), c.c_size_t(12))
            if door is asked:
                amid = bits_of(door.estimate())
                assert amid == before
        door.call("scan_end")
    assert bits_of(asked.estimate()) == bits_of(plain.estimate()) != before


def test_a_load_without_bed_return_or_weight_is_told(made: Simulated, blob: Path) -> None:
    door = Door(blob)
    assert bits_of(door.estimate())["flags"] == b"no_points"
    door.add(0, np.zeros((100, 3), np.float32))
    assert bits_of(door.estimate())["flags"] == b"no_points"
    mast = next(iter(scans_of(made).values()))[0]
    estimator = Estimator(Truck.load(blob))
    for scan in (mast + np.float32(30.0), mast * np.float32(1000.0), mast * np.float32([1.0, -1.0, -1.0]), mast):
        door.clear()
        door.add(0, scan)
        assert bits_of(door.estimate()) == bits_of_told(estimator.estimate({"mast": scan}))
    door.clear()
    door.add_in_packets(0, mast * np.float32(1000.0), [2**16])
    result = door.estimate()
    assert (result.status, result.unchecked) == (2, 1)
    assert flag_names(result.flags) == ("no_bed",)  # which unit it is takes a second look


def test_the_same_scan_twice_says_nothing_new(made: Simulated, blob: Path) -> None:
    mast = next(iter(scans_of(made).values()))[0]
    once, twice = Door(blob), Door(blob)
    once.add(0, mast)
    twice.add(0, mast)
    twice.add(0, mast.copy())
    assert bits_of(once.estimate()) == bits_of(twice.estimate())
    assert twice.estimate().unchecked == 0


@pytest.mark.parametrize("gross", [(GROSS_KG, 0.0), (GROSS_KG, 12.5), (90_000.0, 0.0), (3000.0, 0.0)])
def test_weights_are_fused_as_in_python(made: Simulated, blob: Path, gross: tuple[float, float]) -> None:
    mast = next(iter(scans_of(made).values()))[0]
    door = Door(blob)
    door.add(0, mast)
    door.weigh(*gross)
    mass = GrossMass(*gross) if gross[1] else gross[0]
    told = Estimator(Truck.load(blob)).estimate({"mast": mast}, gross_kg=mass)
    assert bits_of(door.estimate()) == bits_of_told(told)


@pytest.mark.parametrize("kind", ["steady", "jumps", "lost"])
def test_weights_sample_by_sample_are_those_of_a_series(made: Simulated, blob: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(400) * 0.1
    kg = GROSS_KG + 40.0 * np.sin(2.0 * np.pi * 1.6 * time_s) + rng.normal(0.0, 10.0, 400)
    kg = {"steady": kg, "jumps": kg + 800.0 * (time_s > 20.0), "lost": np.full(400, np.nan)}[kind]
    moving = time_s < 5.0
    mast = next(iter(scans_of(made).values()))[0]
    truck = Truck.load(blob)
    assert truck.scale is not None
    mass = settle(time_s, kg, truck.scale.resolution_kg, np.where(moving, 3.0, 0.0))
    door = Door(blob)
    for scan in (mast, mast * np.float32(1000.0)):  # a rejected one has flags of its weight, too
        door.clear()
        door.add(0, scan)
        door.weigh(9000.0)
        for t, m, is_moving in zip(time_s, kg, moving, strict=True):
            door.call("add_weight", c.c_double(t), c.c_double(m), c.c_uint32(bool(is_moving)))
        assert bits_of(door.estimate()) == bits_of_told(Estimator(truck).estimate({"mast": scan}, gross_kg=mass))
    assert bool(door.estimate().weight_reasons) == bool(mass.reasons)


def test_what_a_caller_does_wrong_is_told_and_changes_nothing(made: Simulated, blob: Path) -> None:
    door = Door(blob)
    mast = np.ascontiguousarray(next(iter(scans_of(made).values()))[0])
    door.add(0, mast)
    sound = bits_of(door.estimate())
    at, n, h = c.c_void_p(mast.ctypes.data), c.c_size_t(len(mast)), door.handle
    odd = c.c_void_p(mast.ctypes.data + 1)
    result, size = Result(c.sizeof(Result)), c.c_size_t(12)
    big = c.c_size_t(2**24)
    wrong = [
        (1, "estimate", None, c.byref(result)), (1, "estimate", h, None), (4, "estimate", h, c.byref(Result(8))),
        (5, "estimate", c.c_void_p(door.memory.ctypes.data + 64), c.byref(result)),
        (10, "add_xyz", h, at, n, size), (10, "scan_end", h), (6, "scan_begin", h, c.c_uint32(2)),
        (9, "set_gross", h, c.c_double(float("nan")), c.c_double(0.0)),
        (9, "set_gross", h, c.c_double(-1.0), c.c_double(0.0)),
        (9, "set_gross", h, c.c_double(5000.0), c.c_double(-1.0)),
        (6, "find_sensor", h, b"nobody", c.byref(c.c_uint32())), (1, "add_scan", h, c.c_uint32(0), None),
    ]  # fmt: skip
    for status, name, *args in wrong:
        assert library[f"volest_{name}"](*args) == status, (name, args)
    door.call("scan_begin", c.c_uint32(0))
    opened = [
        (10, "scan_begin", h, c.c_uint32(0)), (1, "add_xyz", h, None, n, size),
        (8, "add_xyz", h, at, n, c.c_size_t(11)),
        (8, "add_xyz_mm", h, at, n, c.c_size_t(5)), (8, "add_xyz", h, at, n, c.c_size_t(65536)),
        (11, "add_xyz", h, at, big, size), (2, "add_ranges_u16", h, odd, at, n), (2, "add_ranges_f32", h, at, odd, n),
        (1, "add_ranges_u32", h, at, None, n),
    ]  # fmt: skip
    for status, name, *args in opened:
        assert library[f"volest_{name}"](*args) == status, (name, args)
    door.call("scan_end")
    assert bits_of(door.estimate()) == sound


def test_memory_and_options_are_checked(blob: Path) -> None:
    door = Door(blob)
    raw, size = c.c_void_p(door.blob.ctypes.data), c.c_size_t(len(door.blob))
    need, handle = c.c_size_t(), c.c_void_p()
    memory = aligned(len(door.memory) + 64)
    at = c.c_void_p(memory.ctypes.data)

    def create(where: c.c_void_p, bytes_: int, options: Options | None) -> int:
        told = None if options is None else c.byref(options)
        return int(library.volest_create(where, c.c_size_t(bytes_), raw, size, told, c.byref(handle)))

    assert create(at, len(door.memory), None) == 0
    assert create(at, len(door.memory) - 1, None) == 3
    assert create(c.c_void_p(memory.ctypes.data + 8), len(door.memory), None) == 2
    assert create(at, len(door.memory), Options(8, 0, 0, 0)) == 4
    assert create(at, len(door.memory), Options(16, 2, 0, 0)) == 9
    assert create(at, len(door.memory), Options(16, 0, 0, 9)) == 9
    assert library.volest_required_bytes(None, size, None, c.byref(need)) == 1
    assert library.volest_required_bytes(c.c_void_p(raw.value + 4), size, None, c.byref(need)) == 101  # type: ignore[operator]
    library.volest_clear(at)
    memory[:] = np.roll(memory, 64)  # a handle that was moved is none
    assert library.volest_clear(c.c_void_p(memory.ctypes.data + 64)) == 5


@settings(max_examples=60)
@given(st.data())
def test_no_change_to_a_blob_goes_by_unseen(blob: Path, data: st.DataObject) -> None:
    raw = bytearray(blob.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    changed = aligned(len(raw), 8)
    changed[:] = np.frombuffer(raw, np.uint8)
    fault = Fault(c.sizeof(Fault))
    status = library.volest_check_truck(c.c_void_p(changed.ctypes.data), c.c_size_t(len(raw)), c.byref(fault))
    assert 102 <= status <= 111


def test_numbers_of_the_header_have_names_and_texts() -> None:
    header = (ROOT / "cpp/include/volest/volest.h").read_text()
    library.volest_status_text.restype = library.volest_version.restype = c.c_char_p
    for number in re.findall(r"VOLEST_ERROR_\w+ = (\d+)", header):
        assert library.volest_status_text(int(number)) not in (b"unknown", b"")
    for name, shift in re.findall(r"VOLEST_FLAG_(\w+) = 1 << (\d+)", header):
        assert flag_names(1 << int(shift)) == (name.lower(),)
    assert library.volest_status_text(99) == b"unknown"
    assert library.volest_version().decode() == __version__


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_header_is_c99_and_cpp() -> None:
    include = f"-I{ROOT / 'cpp/include'}"
    for language in (["-xc", "-std=c99"], ["-xc++", "-std=c++17"]):
        command = ["cc", *language, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", include, "-"]
        subprocess.run(command, input=b"#include <volest/volest.h>\n", check=True)
