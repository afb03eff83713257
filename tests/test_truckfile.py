"""The file of a commissioned truck: nothing is lost in it, and no change to it goes by unseen."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_loads import MAST, estimator_of, scans_of, scene

from volest import Estimator, Truck, TruckError
from volest.commission import _grid, _stored
from volest.hidden import generic_weights
from volest.simulate import Simulated, simulate
from volest.truckfile import ENTRY, HEADER, MAGIC, SENSOR, Commissioned, Contents, read, write

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def made() -> Simulated:
    return simulate(scene("rough", 0.6, MAST | {"columns": 256}))


@pytest.fixture(scope="module")
def plain(made: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    return estimator_of(made, tmp_path_factory.mktemp("truck"))


@pytest.fixture(scope="module")
def file(plain: Estimator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the truck.toml says, with nothing learned."""
    path = tmp_path_factory.mktemp("commissioned") / "truck.volest"
    store(plain, path)
    return path


def store(estimator: Estimator, path: Path, *calibration: float) -> None:
    truck = estimator.truck
    learned = Commissioned(estimator.bed.fields(), generic_weights(), calibration, {"made": "by a test"})
    stored = tuple(_stored(sensor) for sensor in truck.sensors)
    write(path, Contents(truck.to_dict(), stored, learned), _grid(estimator.bed))


def reworked(path: Path, folder: Path, change: bytes, at: int) -> Path:
    """A copy with other bytes at a place, and a checksum that holds."""
    raw = bytearray(path.read_bytes())
    raw[at : at + len(change)] = change
    raw[12:16] = struct.pack("<I", zlib.crc32(raw[16:]))
    copy = folder / "changed.volest"
    copy.write_bytes(raw)
    return copy


def section(path: Path, tag: bytes) -> tuple[int, int]:
    raw = path.read_bytes()
    count = HEADER.unpack_from(raw)[2]
    table = [ENTRY.unpack_from(raw, HEADER.size + k * ENTRY.size) for k in range(count)]
    return next((at, size) for name, _, at, size in table if name == tag)


def test_a_commissioned_truck_estimates_as_its_truck_toml_to_the_bit(
    made: Simulated, plain: Estimator, file: Path
) -> None:
    truck = Truck.load(file)
    assert truck.commissioned is not None
    assert truck.commissioned.provenance == {"made": "by a test"}
    ours, theirs = Estimator(truck).estimate(scans_of(made)), plain.estimate(scans_of(made))
    assert ours.volume_m3 == theirs.volume_m3
    assert ours.volume_budget_m3 == theirs.volume_budget_m3
    assert ours.flags == theirs.flags


def test_nothing_is_lost(plain: Estimator, tmp_path: Path) -> None:
    store(plain, tmp_path / "a.volest", 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.7)
    found = read(tmp_path / "a.volest")
    for name, value in plain.bed.fields().items():
        assert np.array_equal(found.commissioned.bed[name], value), name
    assert np.array_equal(found.commissioned.hidden_weights, generic_weights())
    assert found.commissioned.calibration == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.7)
    truck = Truck.load(tmp_path / "a.volest")
    for mine, theirs in zip(truck.sensors, plain.truck.sensors, strict=True):
        assert np.array_equal(mine.pose.matrix(), theirs.pose.matrix())
        assert (mine.id, mine.range_noise_m, mine.pose_std_xyz_m, mine.pose_std_rpy_rad) == (
            theirs.id, theirs.range_noise_m, theirs.pose_std_xyz_m, theirs.pose_std_rpy_rad,
        )  # fmt: skip
    assert (truck.id, truck.scale, truck.waste) == (plain.truck.id, plain.truck.scale, plain.truck.waste)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:0], "byte 0: expected at least a header"),
        (lambda raw: raw.replace(b"\r\n", b"\n", 1), "expected the signature"),
        (lambda raw: raw[:-1], "byte 16: expected the size"),
        (lambda raw: raw[:8] + b"\x09" + raw[9:], "byte 8: expected version 1"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "byte 12: expected contents that agree with the checksum"),
    ],
    ids=["empty", "copied as text", "cut off", "newer", "a flipped bit"],
)
def test_a_damaged_file_is_refused(file: Path, tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    damaged = tmp_path / "damaged.volest"
    damaged.write_bytes(change(file.read_bytes()))
    with pytest.raises(TruckError, match=re.escape(str(damaged))) as caught:
        Truck.load(damaged)
    assert message in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TruckError, match=r"none\.volest: cannot be read: No such file"):
        Truck.load(tmp_path / "none.volest")


def test_the_truck_within_is_held_to_the_schema_of_a_truck_toml(file: Path, tmp_path: Path) -> None:
    at, size = section(file, b"TRCK")
    raw = file.read_bytes()[at : at + size]
    for old, new, message in (
        (b'"schema": 1', b'"schema": 7', "schema"),
        (b'"length_m"', b'"lenght_m"', "lenght_m"),
        (b"{", b"[", "expected a JSON object"),
    ):
        with pytest.raises(TruckError, match="section TRCK") as caught:
            Truck.load(reworked(file, tmp_path, raw.replace(old, new, 1), at))
        assert message in str(caught.value)


def test_sensors_must_be_those_of_the_truck(file: Path, tmp_path: Path) -> None:
    at, _ = section(file, b"SENS")
    with pytest.raises(TruckError, match=r"section SENS: found nast, expected mast"):
        Truck.load(reworked(file, tmp_path, b"n", at))
    with pytest.raises(TruckError, match=r"section SENS\): expected a finite number"):
        Truck.load(reworked(file, tmp_path, struct.pack("<d", np.nan), at + 64))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_forged_file_is_an_error_or_a_truck(file: Path, tmp_path_factory: pytest.TempPathFactory, data) -> None:  # type: ignore[no-untyped-def]
    size = file.stat().st_size
    tables = st.integers(16, HEADER.size + 6 * ENTRY.size)
    at = data.draw(st.one_of(tables, st.integers(16, size - 9)))
    forged = reworked(file, tmp_path_factory.getbasetemp(), data.draw(st.binary(min_size=1, max_size=8)), at)
    try:
        floor = Estimator(Truck.load(forged)).bed.floor
    except TruckError as error:
        floor, told = np.zeros(1), str(error)
    else:
        told = str(forged)
    assert np.isfinite(floor).all()
    assert str(forged) in told or "section" in told


def test_a_file_that_stood_there_is_replaced_whole(plain: Estimator, tmp_path: Path) -> None:
    path = tmp_path / "truck.volest"
    path.write_bytes(b"old")
    store(plain, path)
    assert path.read_bytes().startswith(MAGIC)
    assert [p.name for p in tmp_path.iterdir()] == ["truck.volest"]


def test_the_documented_offsets_are_those_of_the_code(file: Path) -> None:
    text = (DOCS / "truckfile.md").read_text()
    assert f"header of {HEADER.size} bytes" in text
    assert f"{ENTRY.size} bytes a section" in text
    assert f"{SENSOR.size} bytes a sensor" in text
    raw = file.read_bytes()
    shown = bytes.fromhex(
        "".join(re.findall(r"^    [0-9a-f]{8}  ((?:[0-9a-f]{2} {1,2})*[0-9a-f]{2})$", text, re.MULTILINE))
    )
    assert shown[:12] == raw[:12]
    at, size = section(file, b"BEDM")
    nx, ny = struct.unpack_from("<ii", raw, at)
    assert size == 368 + (nx * ny * 4 + 7) // 8 * 8 + nx * ny * 8
    (rim,) = struct.unpack_from("<d", raw, at + 200)
    assert rim == Truck.load(file).commissioned.bed["rim"][0]  # type: ignore[union-attr]
