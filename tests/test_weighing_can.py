"""Weights on a CAN bus: logs of three kinds, codes in place of values, axles, and a bus that runs."""

from __future__ import annotations

import math
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import can
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volest import Truck, WeightError
from volest.load import estimate_files
from volest.scale import CanScale, Scale
from volest.weighing import WeightSeries, canbus, canlog, live_weights, read_weights
from volest.weighing.axles import Rounds, counted_locations, total_kg
from volest.weighing.canbus import RANKS
from volest.weighing.dbc import group_number, j1939
from volest.weight import gross_mass

SCALE = Scale(tare_kg=4300.0, resolution_kg=1.0)
KINDS = (".log", ".asc", ".blf")
START_S = 1_700_000_000.0
VEHICLE_WEIGHT, COMBINATION, SPEED, SLOPE, SLOPE2 = 65258, 65136, 65265, 61459, 61481
OWN_DBC = """VERSION ""
NS_ :
BS_:
BU_:
BO_ 300 Scale: 8 Vector__XXX
 SG_ Front : 0|16@1+ (0.01,0) [0|60] "t" Vector__XXX
 SG_ Rear : 16|16@1- (1,0) [0|30000] "kg" Vector__XXX
 SG_ Lid : 32|8@1+ (1,0) [0|0] "deg" Vector__XXX
"""


def frame(time_s: float, group: int, data: bytes, source: int = 11, priority: int = 6) -> can.Message:
    identifier = (priority << 26) | (group << 8) | source
    return can.Message(timestamp=START_S + time_s, arbitration_id=identifier, is_extended_id=True, data=data)


def axle(time_s: float, location: int, raw: int, cargo: int = 0xFFFF, **sender: int) -> can.Message:
    return frame(time_s, VEHICLE_WEIGHT, struct.pack("<BHHHB", location, raw, 0xFFFF, cargo, 0xFF), **sender)


def combination(time_s: float, powered: int, gross: int) -> can.Message:
    return frame(time_s, COMBINATION, struct.pack("<HHI", powered, gross, 0xFFFFFFFF))


def write(path: Path, messages: list[can.Message]) -> Path:
    with can.Logger(str(path)) as logger:
        for message in messages:
            logger(message)
    return path


def read(folder: Path, messages: list[can.Message], scale: Scale = SCALE, kind: str = ".log") -> WeightSeries:
    return read_weights(write(folder / f"w{kind}", messages), scale)


def rounds(axles: dict[int, int], how_many: int = 8, **sender: int) -> list[can.Message]:
    return [
        axle(i + 0.01 * j, location, raw, **sender)
        for i in range(how_many)
        for j, (location, raw) in enumerate(axles.items())
    ]


# --- logs of known weights --------------------------------------------------------------------------------------------


@st.composite
def trucks(draw: st.DrawFn) -> tuple[list[can.Message], list[float]]:
    """Rounds of axle weights in any order with gaps and codes, and the sum that each round stands for."""
    axles = draw(st.lists(st.integers(0, 14), min_size=1, max_size=6, unique=True))
    locations = [number << 4 | draw(st.sampled_from([0xF, 0, 3])) for number in axles]
    sender = {"source": draw(st.integers(0, 253)), "priority": draw(st.integers(0, 7))}
    usable = st.integers(0, 0xFAFF)
    codes = st.integers(0xFB00, 0xFFFF)
    messages, sums = [], []
    for i in range(draw(st.integers(4, 8))):
        total = 0.0
        whole = i < 2  # each axle is known from the start
        for j, location in enumerate(locations):
            raw = draw(usable if whole else st.one_of(usable, usable, usable, codes))
            if not whole and j and draw(st.integers(0, 5)) == 0:
                total = math.nan
                continue
            total += raw / 2 if raw <= 0xFAFF else math.nan
            messages.append(axle(i + 0.01 * j, location, raw, **sender))
        sums.append(total)
    return messages, sums


@pytest.mark.parametrize("kind", KINDS)
@given(truck=trucks())
@settings(max_examples=40)
def test_log_of_known_axle_weights_gives_those_weights(kind: str, truck: tuple[list[can.Message], list[float]]) -> None:
    messages, sums = truck
    with TemporaryDirectory() as folder:
        series = read(Path(folder), messages, kind=kind)
    np.testing.assert_array_equal(series.gross_kg, sums)
    assert np.all(np.diff(series.time_s) > 0.0)


@given(st.lists(st.permutations([0x1F, 0x2F, 0x3F]), min_size=3, max_size=10), st.integers(0, 0xFAFF))
@settings(max_examples=30)
def test_order_of_the_axles_within_a_round_does_not_matter(orders: list[list[int]], raw: int) -> None:
    raws = {0x1F: raw, 0x2F: 5000, 0x3F: 7001}
    times = count()
    messages = [axle(0.05 * next(times), location, raws[location]) for order in orders for location in order]
    with TemporaryDirectory() as folder:
        series = read(Path(folder), messages)
    np.testing.assert_array_equal(series.gross_kg, [raw / 2 + 6000.5] * len(orders))


def test_three_kinds_of_log_agree(tmp_path: Path) -> None:
    messages = rounds({0x1F: 5000, 0x2F: 9001, 0x3F: 8000})
    found = [read(tmp_path, messages, kind=kind) for kind in KINDS]
    for series in found:
        np.testing.assert_array_equal(series.gross_kg, [11000.5] * 8)
        np.testing.assert_allclose(np.diff(series.time_s), 1.0, atol=1e-5)
    assert len({series.notes for series in found}) == 1


def test_missing_axle_is_a_gap_and_not_a_lighter_truck(tmp_path: Path) -> None:
    messages = rounds({0x1F: 5000, 0x2F: 9000, 0x3F: 8000}, 10)
    lost = [message for i, message in enumerate(messages) if not (12 <= i < 27 and message.data[0] == 0x2F)]
    series = read(tmp_path, lost)
    assert np.isnan(series.gross_kg).sum() == 5
    assert set(series.gross_kg[np.isfinite(series.gross_kg)]) == {11000.0}
    assert any("5 of 10 rounds lack a weight" in note for note in series.notes)


def test_axle_that_never_has_a_value_leaves_no_weight(tmp_path: Path) -> None:
    path = write(tmp_path / "w.log", rounds({0x1F: 5000, 0x2F: 0xFFFF}))
    gross = gross_mass(path, SCALE)
    assert (gross.kg, gross.flags) == (None, ("weight_missing",))
    assert any("8 times 'not available'" in reason for reason in gross.reasons)


def test_axle_that_a_log_never_has_is_missed_where_the_truck_file_counts_them(tmp_path: Path) -> None:
    messages = rounds({0x1F: 5000, 0x20: 4000, 0x21: 4000})
    assert set(read(tmp_path, messages, Scale(tare_kg=1.0, can=CanScale(axles=2))).gross_kg) == {6500.0}
    series = read(tmp_path, messages, Scale(tare_kg=1.0, can=CanScale(axles=3)))
    assert np.isnan(series.gross_kg).all()
    assert "expected 3 axles (scale.can.axles): no sum is the truck's" in series.notes


def test_rounds_without_pauses_are_told_apart_by_their_order(tmp_path: Path) -> None:
    times, messages = count(), []
    for i in range(12):
        lost = {2: 0x2F, 5: 0x1F, 6: 0x3F, 9: 0x1F}.get(i)
        kept = [location for location in (0x1F, 0x2F, 0x3F) if location != lost]
        messages += [axle(0.1 * next(times), location, 5000 + 10 * i) for location in kept]
    gross_kg = read(tmp_path, messages).gross_kg
    expected = [math.nan if i in (2, 5, 6, 9) else 3 * (2500.0 + 5 * i) for i in range(12)]
    np.testing.assert_array_equal(gross_kg, expected)


def test_whole_axle_counts_once_beside_its_tyres() -> None:
    assert counted_locations([0x1F, 0x20, 0x21, 0x30, 0x31, 0x3F]) == [0x1F, 0x20, 0x21, 0x3F]


def test_stray_location_is_told_and_not_waited_for(tmp_path: Path) -> None:
    messages = rounds({0x1F: 5000, 0x2F: 9000}, 20)
    messages.insert(15, axle(7.005, 0x5F, 100))
    series = read(tmp_path, messages)
    assert set(series.gross_kg) == {7000.0}
    assert any("0x5F: seen too seldom" in note for note in series.notes)


def test_two_senders_of_one_axle_want_the_truck_file(tmp_path: Path) -> None:
    both = rounds({0x1F: 5000, 0x2F: 9000}, source=3) + rounds({0x1F: 1000, 0x2F: 1000, 0x3F: 1000}, source=200)
    messages = sorted(both, key=lambda message: message.timestamp)
    with pytest.raises(WeightError, match=r"w\.log: found the weight of axle location 31 from the addresses 3 and 200"):
        read(tmp_path, messages)
    told = Scale(tare_kg=4300.0, can=CanScale(source_address=3))
    assert set(read(tmp_path, messages, told).gross_kg) == {7000.0}


def test_rounds_are_bounded_in_age() -> None:
    found = Rounds(oldest_s=2.0)
    assert found.add(0.0, "a", 1.0) is None
    stale = found.add(5.0, "b", 2.0)
    assert stale is not None
    assert math.isnan(total_kg(stale, ["a", "b"]))
    assert found.add(4.0, "a", 1.0) is not None  # the clock went back


# --- which weight -----------------------------------------------------------------------------------------------------


def everything() -> list[can.Message]:
    messages = []
    for i in range(6):
        messages += [axle(i, 0x1F, 5000, cargo=1350), axle(i + 0.1, 0x2F, 9000, cargo=1350)]
        messages.append(combination(i + 0.2, 702, 1105))
    return messages


@pytest.mark.parametrize(
    ("signal", "kg"),
    [("auto", 7000), ("axles", 7000), ("powered_vehicle", 7020), ("gross_combination", 11050), ("cargo", 7000)],
)
def test_weight_that_the_truck_file_names_is_read(tmp_path: Path, signal: str, kg: float) -> None:
    series = read(tmp_path, everything(), Scale(tare_kg=4300.0, can=CanScale(signal=signal)))
    assert set(series.gross_kg) == {kg}


def test_best_weight_that_is_there_is_taken_and_told(tmp_path: Path) -> None:
    series = read(tmp_path, everything())
    assert series.notes[1] == "gross mass: the sum of the axle weights (PGN 65258, SPN 582)"
    assert sum("also there, not used" in note for note in series.notes) == len(RANKS) - 1
    messages = [axle(i, 0xFF, 0xFFFF, cargo=1350) for i in range(6)]
    series = read(tmp_path, messages)
    assert set(series.gross_kg) == {2700.0 + 4300.0}
    assert "cargo weight" in series.notes[1]


@pytest.mark.parametrize("raw", [0xFB00, 0xFD12, 0xFE00, 0xFEFF, 0xFF00, 0xFFFF])
def test_codes_are_refused_and_never_scaled(tmp_path: Path, raw: int) -> None:
    messages = [combination(i, raw, 0xFFFF) for i in range(5)] + [combination(i, 700, 0xFFFF) for i in range(5, 9)]
    series = read(tmp_path, messages)
    np.testing.assert_array_equal(series.gross_kg, [math.nan] * 5 + [7000.0] * 4)
    assert any(note.startswith("CombinationVehicleWeight.PoweredVehicleWeight: 5 times") for note in series.notes)


def test_largest_value_is_no_code(tmp_path: Path) -> None:
    assert read(tmp_path, [combination(0, 0xFAFF, 0xFFFF)]).gross_kg[0] == 642_550.0


def test_frame_cut_off_is_no_weight(tmp_path: Path) -> None:
    messages = [*rounds({0x1F: 5000}), frame(9.0, VEHICLE_WEIGHT, b"\x1f\x10")]
    series = read(tmp_path, messages)
    assert set(series.gross_kg) == {2500.0}
    assert any("'cut off'" in note for note in series.notes)


def test_speed_and_slope_stand_beside_the_weight(tmp_path: Path) -> None:
    messages = [
        frame(0.0, SPEED, struct.pack("<BHBI", 0xFF, 36 * 256, 0xFF, 0xFFFFFFFF)),
        frame(0.1, SLOPE, struct.pack("<HHI", 32000 + 3000, 32000 - 1000, 0xFFFFFFFF)),
        axle(0.2, 0x1F, 10_000),
        frame(9.0, SLOPE2, ((250 + 8) * 32768).to_bytes(3, "little") + b"\xff" * 5),
        axle(9.1, 0x1F, 10_000),
        axle(30.0, 0x1F, 10_000),
    ]
    series = read(tmp_path, messages, Scale(tare_kg=4300.0, slope_correction=True))
    assert series.speed_m_s is not None
    assert series.pitch_rad is not None
    np.testing.assert_allclose(series.speed_m_s, [10.0, np.nan, np.nan])
    np.testing.assert_allclose(np.degrees(series.pitch_rad), [6.0, 8.0, np.nan])
    expected = [1 / math.cos(math.radians(6)) / math.cos(math.radians(2)), 1 / math.cos(math.radians(8)), 1.0]
    np.testing.assert_allclose(series.gross_kg, 5000.0 * np.array(expected))


def test_bus_without_a_weight_says_so(tmp_path: Path) -> None:
    messages = [frame(i, 61440 + i % 3, bytes(8)) for i in range(12)]
    gross = gross_mass(write(tmp_path / "w.blf", messages), SCALE)
    assert (gross.kg, gross.flags) == (None, ("weight_missing",))
    assert "the log has 12 frames of 3 identifiers, none carries a weight (PGN 65258 or 65136)" in gross.reasons


def test_shipped_dbc_has_the_numbers_of_the_standard() -> None:
    spns = {signal.spn: (signal.start, signal.length, signal.scale) for m in j1939().messages for signal in m.signals}
    assert spns[928] == (0, 8, 1)
    assert spns[582] == (8, 16, 0.5)
    assert spns[180] == (24, 16, 2)
    assert spns[181] == (40, 16, 2)
    assert spns[1585] == (0, 16, 10)
    assert spns[1760] == (16, 16, 10)
    assert spns[84] == (8, 16, 1 / 256)
    groups = {group_number(message.frame_id) for message in j1939().messages}
    assert groups == {VEHICLE_WEIGHT, COMBINATION, SPEED, SLOPE, SLOPE2}
    assert group_number(0x0CEAFF21) == 0xEA00  # a destination is no part of the group


# --- the user's own DBC -----------------------------------------------------------------------------------------------


def own(folder: Path, signal: str | list[str], **keys: Any) -> Scale:
    (folder / "own.dbc").write_text(OWN_DBC)
    return Scale(tare_kg=4300.0, can=CanScale(dbc=str(folder / "own.dbc"), signal=signal, **keys))


def own_frame(time_s: float, front: int, rear: int) -> can.Message:
    data = struct.pack("<HhI", front, rear, 0)
    return can.Message(timestamp=START_S + time_s, arbitration_id=300, is_extended_id=False, data=data)


def test_own_signal_is_read_in_its_unit(tmp_path: Path) -> None:
    messages = [own_frame(0, 250, 3000), own_frame(1, 6500, 3000), own_frame(2, 260, -1)]
    series = read(tmp_path, messages, own(tmp_path, "Scale.Front"))
    np.testing.assert_allclose(series.gross_kg, [2500.0, np.nan, 2600.0])
    assert any("1 times 'out of range'" in note for note in series.notes)
    series = read(tmp_path, messages, own(tmp_path, "Scale.Front", quantity="net"))
    np.testing.assert_allclose(series.gross_kg, [6800.0, np.nan, 6900.0])


def test_own_signals_are_summed(tmp_path: Path) -> None:
    messages = [own_frame(0, 250, 3000), own_frame(1, 6500, 3000), own_frame(2, 260, 3000)]
    series = read(tmp_path, messages, own(tmp_path, ["Scale.Front", "Scale.Rear"]))
    np.testing.assert_allclose(series.gross_kg, [5500.0, np.nan, 5600.0])


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        ("Scale.Font", "known: Front, Lid, Rear"),
        ("Scales.Front", "known: Scale"),
        ("Scale.Lid", "found the unit 'deg'"),
    ],
)
def test_own_signal_that_is_none_is_told(tmp_path: Path, signal: str, words: str) -> None:
    with pytest.raises(WeightError, match=words):
        read(tmp_path, [own_frame(0, 1, 1)], own(tmp_path, signal))


@pytest.mark.parametrize("content", [b"", b"BO_ 1 A: 8 B\n SG_ x", b"\xff\xfe\x00", b"x" * 2_000_001])
def test_dbc_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    scale = own(tmp_path, "Scale.Front")
    (tmp_path / "own.dbc").write_bytes(content)
    with pytest.raises(WeightError, match=r"own\.dbc"):
        read(tmp_path, [own_frame(0, 1, 1)], scale)


def test_dbc_of_others_is_read_or_refused(real: Path, tmp_path: Path) -> None:
    for path in sorted((real / "cantools+cantools").rglob("*.dbc")):
        scale = Scale(tare_kg=1.0, can=CanScale(dbc=str(path), signal="No.Such"))
        with pytest.raises(WeightError, match=r"found no 'No\.Such'|no valid DBC file"):
            read(tmp_path, [own_frame(0, 1, 1)], scale)


# --- files that are none ----------------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(WeightError) as caught:
        read_weights(path, SCALE)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_empty_and_foreign_logs_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"w{kind}"
    assert "No such file" in refusal(path)
    path.write_bytes(b"")
    assert "expected" in refusal(path)
    path.write_bytes(b"\x00\xff" * 500)
    assert "expected" in refusal(path)
    path.unlink()
    path.mkdir()
    assert "not a file" in refusal(path)


def test_line_that_is_no_frame_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "w.log", rounds({0x1F: 5000}, 2))
    path.write_text(path.read_text() + "(1.0) can0 18FEEA0B#zz\n")
    assert "line 3: cannot be read" in refusal(path)
    path.write_text("(nan) can0 18FEEA0B#1F00000000000000\n")
    assert "found the time nan" in refusal(path)
    path.write_text("x" * 10_000)
    assert "line 1: found more than 4096 characters" in refusal(path)
    asc = write(tmp_path / "w.asc", rounds({0x1F: 5000}, 2))
    asc.write_text(asc.read_text() + " 1.5 1 18FEEA0Bx Rx d 8 GG 00 00 00 00 00 00 00\n")
    assert "cannot be read" in refusal(asc)


def test_times_that_count_from_line_to_line_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "w.asc", rounds({0x1F: 5000}, 2))
    path.write_text(path.read_text().replace("timestamps absolute", "timestamps relative"))
    assert "found 'timestamps relative' in its head" in refusal(path)


def test_samples_beyond_the_bound_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "w.log", rounds({0x1F: 5000}, 20))
    monkeypatch.setattr(canbus, "MOST_SAMPLES", 10)
    assert "found more than 10 weights" in refusal(path)
    monkeypatch.setattr(canlog, "MAX_FRAMES", 5)
    assert "found more than 5 frames" in refusal(path)
    monkeypatch.setattr(canlog, "MAX_BYTES", 100)
    assert "expected at most 100" in refusal(path)


def blf(*objects: bytes, method: int = 2) -> bytes:
    content = b"".join(objects)
    body = struct.pack("<H6xL4x", method, len(content)) + (zlib.compress(content) if method == 2 else content)
    container = struct.pack("<4sHHLL", b"LOBJ", 16, 1, 16 + len(body), 10) + body
    return struct.pack("<4sL136x", b"LOGG", 144) + container + bytes(len(container) % 4)


def blf_object(length: int, kind: int = 1) -> bytes:
    return struct.pack("<4sHHLL", b"LOBJ", 32, 1, length, kind) + bytes(32)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (blf(blf_object(0)), "an object of 0 bytes in its container"),
        (blf(blf_object(2**31)), "an object of 2147483648 bytes"),
        (blf(blf_object(100)), "the last object is not whole"),
        (blf(b"no object at all, whatever it may be"), "found no object in its container"),
        (blf(bytes(300_000_000)), "without end"),
        (blf(blf_object(48), method=7), "found the compression 7"),
        (blf(blf_object(48))[:-12], "is the log cut off"),
        (b"LOGG" + struct.pack("<L", 3) + bytes(200), "byte 0"),
        (b"LOGG\x90\x00\x00\x00" + bytes(136) + b"LOBJ\x10\x00\x01\x00\x00\x00\x00\x00\x0a\x00\x00\x00", "byte 144"),
    ],
)
def test_blf_that_lies_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "w.blf"
    path.write_bytes(content)
    assert words in refusal(path)


@contextmanager
def suppress_named(path: Path) -> Iterator[None]:
    """Lets a WeightError pass that names the file, and nothing else."""
    try:
        yield
    except WeightError as error:
        if str(path) not in str(error):
            raise


@pytest.mark.parametrize("kind", KINDS)
def test_broken_bytes_give_a_series_or_an_error_that_names_the_file(tmp_path: Path, kind: str) -> None:
    sound = write(tmp_path / f"w{kind}", rounds({0x1F: 5000, 0x2F: 9000}, 20)).read_bytes()
    rng = np.random.default_rng(8)
    path = tmp_path / f"broken{kind}"
    for _ in range(150):
        content = bytearray(sound)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            content[at] = rng.integers(0, 256)
        path.write_bytes(bytes(content[: rng.integers(1, len(content) + 1)]))
        with suppress_named(path):
            series = read_weights(path, SCALE)
            assert len(series.time_s) == len(series.gross_kg)


def test_cut_blf_is_never_a_shorter_log(tmp_path: Path) -> None:
    sound = write(tmp_path / "w.blf", rounds({0x1F: 5000, 0x2F: 9000}, 20)).read_bytes()
    path = tmp_path / "cut.blf"
    for length in range(1, len(sound) - 4, 7):
        path.write_bytes(sound[:length])
        refusal(path)


# --- live -------------------------------------------------------------------------------------------------------------


def live(messages: list[can.Message], scale: Scale, expected: int) -> list[Any]:
    """What a virtual bus gives of messages sent over it."""
    channel, stop = f"volest-{next(CHANNELS)}", threading.Event()
    found = []
    with can.Bus(interface="virtual", channel=channel, preserve_timestamps=True) as sender:
        running = live_weights(scale, channel, "virtual", stop)

        def send() -> None:
            for message in messages:
                sender.send(message)

        threading.Timer(0.3, send).start()
        threading.Timer(5.0, stop.set).start()
        for weight in running:
            found.append(weight)
            if len(found) == expected:
                stop.set()
        assert list(running) == []
    return found


CHANNELS: Iterator[int] = count()


def test_live_axles_are_summed_and_a_lost_one_is_a_gap() -> None:
    messages = rounds({0x1F: 5000, 0x2F: 9000}, 10)
    messages = [message for i, message in enumerate(messages) if i != 15]
    found = live(messages, SCALE, 6)
    kg = [weight.gross_kg for weight in found]
    np.testing.assert_array_equal(kg, [7000.0] * 4 + [np.nan, 7000.0])
    assert {weight.signal for weight in found} == {"axles"}


def test_live_cargo_weight_is_net_and_slope_goes_with_it() -> None:
    slope = frame(0.0, SLOPE, struct.pack("<HHI", 32000 + 3000, 0xFFFF, 0xFFFFFFFF))
    messages = [slope, *(axle(0.1 * i, 0xFF, 0xFFFF, cargo=1350) for i in range(1, 4))]
    found = live(messages, Scale(tare_kg=4300.0, slope_correction=True), 3)
    assert [weight.gross_kg for weight in found] == pytest.approx([7000.0 / math.cos(math.radians(6.0))] * 3)
    assert found[0].pitch_rad == pytest.approx(math.radians(6.0))


def test_interface_that_is_not_there_is_told() -> None:
    with pytest.raises(WeightError, match="socketcan volest-none: no CAN interface"):
        next(live_weights(SCALE, "volest-none"))
    with pytest.raises(WeightError, match="no CAN interface"):
        next(live_weights(SCALE, "x", "no-such-interface"))


def test_virtual_can_of_the_kernel_is_read_where_there_is_one() -> None:
    try:
        sender = can.Bus(interface="socketcan", channel="vcan0")
    except OSError:
        pytest.skip("the kernel has no vcan0")
    stop = threading.Event()
    with sender:
        running = live_weights(SCALE, "vcan0", stop=stop)
        threading.Timer(0.3, lambda: [sender.send(message) for message in rounds({0x1F: 5000}, 6)]).start()
        threading.Timer(5.0, stop.set).start()
        assert next(running).gross_kg == 2500.0
        running.close()


# --- a whole load -----------------------------------------------------------------------------------------------------


def test_estimate_takes_a_can_log_and_tells_its_digest(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "datasets" / "half-full-overhead"
    log = write(tmp_path / "w.blf", rounds({0x1F: 5000, 0x2F: 9000}, 10))
    result = estimate_files(folder / "truck.toml", [str(folder / "top.npz")], str(log))
    truck = Truck.load(folder / "truck.toml")
    assert truck.scale is not None
    assert result.net_mass_kg is not None
    assert result.net_mass_kg.value == pytest.approx(7000.0 - truck.scale.tare_kg)
    assert "w.blf" in result.inputs


def test_own_dbc_is_one_of_the_inputs(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "datasets" / "half-full-overhead"
    (tmp_path / "own.dbc").write_text(OWN_DBC)
    scale = '\n[scale.can]\ndbc = "own.dbc"\nsignal = "Scale.Front"\n'
    text = (folder / "truck.toml").read_text().replace("empty.npz", str(folder / "empty.npz"))
    truck = tmp_path / "truck.toml"
    truck.write_text(text + scale)
    log = write(tmp_path / "w.log", [own_frame(i, 600, 0) for i in range(9)])
    result = estimate_files(truck, [str(folder / "top.npz")], str(log))
    assert result.net_mass_kg is not None
    assert {"w.log", "own.dbc"} <= result.inputs.keys()
    copy = Truck.from_dict(Truck.load(truck).to_dict(), tmp_path)
    assert copy.scale == Truck.load(truck).scale
