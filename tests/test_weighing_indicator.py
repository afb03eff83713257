"""Lines of weighing indicators: captures of eight real ones, line noise, and formats of users."""

from __future__ import annotations

import re
import string
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volest import WeightError
from volest.scale import IndicatorScale, Scale
from volest.weighing import read_weights
from volest.weighing.indicator import FORMATS, Reading, find_format, readings_of, text_of
from volest.weighing.pattern import compiled
from volest.weight import gross_mass

FOLDER = "chumpon-asaneerat+NSerialCommTools/Documents/LuckyTex_Devices"
CAPTURES = {  # readings, stable, unstable; counted in the captures' text by grep
    "DEFENDER3000/DEFENDER3000_hex.txt": ("ohaus-defender-3000", 454, 454, 0),
    "DEFENDER3000/DEFENDER3000_txt.txt": ("ohaus-defender-3000", 1890, 1551, 339),
    "WEIGHT_SPUN/Serial_Logspun.txt": ("weight-spun", 1690, 693, 997),
    "WEIGHT_SPUN/Serial_Logspuntext.txt": ("weight-spun", 180, 180, 0),
    "TScaleNHB/NHB.txt": ("tscale-nhb", 408, 405, 3),
    "TScaleNHB/NHB2.txt": ("tscale-nhb", 463, 242, 221),
    "TScaleQHW/QHW.txt": ("tscale-qhw", 829, 825, 4),
    "TScaleQHW/QHW2.txt": ("tscale-qhw", 509, 497, 12),
    "MS204TS00/Mettler_Toledo_(MS204TS00)_-_NPT_Mettler_QDMS.txt": ("mettler-ms204ts", 7, 0, 0),
    "MS204TS00/Mettler_Toledo_(MS204TS00)_-__NPT_Mettler_QDMS_Hex.txt": ("mettler-ms204ts", 7, 0, 0),
    "JIK6CAB/jik_emu_1.txt": ("jik-6cab", 45, 0, 0),
    "JIK6CAB/jik_hex_1.txt": ("jik-6cab", 1, 0, 0),
    "JIK6CAB/jik_hex_2.txt": ("jik-6cab", 1, 0, 0),
    "JIK6CAB/jik_txt_1.txt": ("jik-6cab", 1, 0, 0),
    "JIK6CAB/jik_txt_2.txt": ("jik-6cab", 1, 0, 0),
    "TFO1/Serial_Log.txt": ("tfo1", 113, 96, 17),
    "TFO1/Serial_Log1.txt": ("tfo1", 86, 86, 0),
    "TFO1/Serial_Loghex_text.txt": ("tfo1", 149, 133, 16),
    "TFO3/Serial_Log_FO3_HexText_2.txt": ("tfo3", 80, 28, 52),
    "TFO3/Serial_Log_FO3_Text_2.txt": ("tfo3", 170, 58, 112),
    "TFO3/Serial_Logfo3_hextext.txt": ("tfo3", 110, 105, 5),
    "TFO3/Serial_Logfo3_text.txt": ("tfo3", 123, 117, 5),
}
LINE = re.compile(r"(?P<sign>-?) *(?P<digits>\d+\.\d+) *(?P<unit>kg|g)")


def lines_of(text: str, name: str) -> list[Reading | None]:
    return list(readings_of(text, find_format(IndicatorScale(format=name))))


def kept(readings: list[Reading | None]) -> list[Reading]:
    return [reading for reading in readings if reading is not None]


def scale(name: str, **keys: object) -> Scale:
    return Scale(tare_kg=1.0, resolution_kg=0.001, indicator=IndicatorScale(format=name, **keys))  # type: ignore[arg-type]


# --- captures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAPTURES)
def test_capture_gives_as_many_readings_as_its_text_shows(real: Path, name: str) -> None:
    form, readings, stable, unstable = CAPTURES[name]
    path = real / FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    found = lines_of(text_of(path), form)
    marks = Counter(reading.stable for reading in kept(found))
    assert (len(kept(found)), marks[True], marks[False]) == (readings, stable, unstable)
    assert len(found) - readings <= 2  # the first and the last line are cut off


@pytest.mark.parametrize(
    "name", [name for name, told in CAPTURES.items() if told[0] not in ("jik-6cab", "tfo1", "tfo3")]
)
def test_each_line_is_read_as_its_text_shows(real: Path, name: str) -> None:
    text = text_of(real / FOLDER / name)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip(" \0\x7f")]
    found = lines_of(text, CAPTURES[name][0])
    assert len(found) == len(lines)
    for line, reading in zip(lines, found, strict=True):
        if reading is None:
            continue
        shown = LINE.search(line)
        assert shown is not None
        (kind,) = reading.shown
        assert reading.shown[kind] == (float(shown["sign"] + shown["digits"]), shown["unit"])
        assert kind == ("net" if line.rstrip(" .").endswith("N") or "   N  " in line else "gross")
        marked = "?" in line or line.startswith("US")
        assert reading.stable is (None if "MS204" in name else not marked)


def test_gross_is_net_and_tare_on_every_frame_of_the_platform_scale(real: Path) -> None:
    frames = []
    for name in ("TFO3/Serial_Log_FO3_Text_2.txt", "TFO3/Serial_Logfo3_text.txt"):
        frames += kept(lines_of(text_of(real / FOLDER / name), "tfo3"))
    assert len(frames) == 293
    for frame in frames:
        assert frame.gross_kg is not None
        assert frame.net_kg is not None
        assert frame.tare_kg is not None
        assert frame.gross_kg == frame.net_kg + frame.tare_kg


def test_frames_of_many_lines_have_their_units(real: Path) -> None:
    frames = kept(lines_of(text_of(real / FOLDER / "JIK6CAB/jik_emu_1.txt"), "jik-6cab"))
    assert frames[-1].shown == {"gross": (789.0, "kg"), "net": (456.0, "g"), "tare": (123.0, "kg")}
    assert frames[-1].net_kg == pytest.approx(0.456)
    (frame,) = kept(lines_of(text_of(real / FOLDER / "JIK6CAB/jik_hex_2.txt"), "jik-6cab"))
    assert frame.shown == {"gross": (67.81, "kg"), "net": (67.81, "kg"), "tare": (0.0, "kg")}


def test_load_put_on_the_scale_is_weighed_by_its_stable_readings(real: Path) -> None:
    series = read_weights(real / FOLDER / "WEIGHT_SPUN/Serial_Logspun.txt", scale("weight-spun"))
    assert series.stable is not None
    assert len(series.time_s) == 1690
    assert np.nanmax(series.gross_kg) == 117.0
    platform = gross_mass(real / FOLDER / "TFO3/Serial_Logfo3_text.txt", scale("tfo3"))
    assert platform.kg == pytest.approx(1138.0)


def test_net_reading_wants_a_tare(real: Path) -> None:
    path = real / FOLDER / "MS204TS00/Mettler_Toledo_(MS204TS00)_-_NPT_Mettler_QDMS.txt"
    gross = gross_mass(path, scale("mettler-ms204ts"))
    assert gross.flags == ("weight_missing",)
    assert any("7 readings are net" in reason for reason in gross.reasons)
    series = read_weights(path, scale("mettler-ms204ts", tare_kg=2.0))
    assert series.gross_kg[0] == pytest.approx(2.0003749)


# --- noise ------------------------------------------------------------------------------------------------------------

SOUND = {
    "ohaus-defender-3000": "-  1.640 kg   ?N",
    "weight-spun": "    78.0 kg    G",
    "tscale-nhb": "ST,GS   120.7g  ",
    "tscale-qhw": "US,GS,   245.6 g",
    "mettler-ms204ts": "     N       0.3749 g   ",
    "tfo1": "F      0.0\rA    366.0\r0     23.0\r4    343.5\r1      0.0\r2       0\rB\x83\rC\rV1\r\n",
    "tfo3": "SET P1(W)       0.0\rGROSS WEIGHT    1144.0\rNET WEIGHT        27.5\rTARE      1116.5\r",
    "jik-6cab": "^KJIK000\n2023-11-07\n17:19:38\n  0.00 kg\n  1.94 kg\n0\n0\n  1.94 kg\n  1.94 kg\n",
}


def test_all_formats_that_ship_are_tried() -> None:
    assert {line.split("]")[0][1:] for line in FORMATS.read_text().splitlines() if line.startswith("[")} == set(SOUND)


@pytest.mark.parametrize("name", SOUND)
def test_cut_line_is_no_reading(name: str) -> None:
    (sound,) = kept(lines_of(SOUND[name], name))
    line = SOUND[name].rstrip()
    for start in range(1, len(line)):
        for reading in kept(lines_of(line[start:], name)):
            assert reading.shown == sound.shown
    for end in range(1, len(line)):
        for reading in kept(lines_of(line[:end], name)):
            assert {**sound.shown, **reading.shown} == sound.shown


@pytest.mark.parametrize("name", ["ohaus-defender-3000", "weight-spun", "tscale-nhb", "tscale-qhw", "mettler-ms204ts"])
@given(
    at=st.integers(0, 15), noise=st.characters(max_codepoint=255).filter(lambda c: c not in string.digits + " -\r\n")
)
def test_noise_within_a_line_is_never_another_reading(name: str, at: int, noise: str) -> None:
    (sound,) = kept(lines_of(SOUND[name], name))
    line = SOUND[name][:at] + noise + SOUND[name][at + 1 :]
    for reading in kept(lines_of(line, name)):
        assert [value for value, _ in reading.shown.values()] == [value for value, _ in sound.shown.values()]


@pytest.mark.parametrize("name", SOUND)
@given(content=st.binary(max_size=400))
@settings(max_examples=40)
def test_noise_is_no_reading(name: str, content: bytes) -> None:
    assert kept(lines_of(content.decode("latin-1"), name)) == []


def test_bytes_of_an_idle_line_are_no_part_of_the_next() -> None:
    (reading,) = lines_of("\0\0\x7f\x7f     0.0 kg    G\r\n", "weight-spun")
    assert reading is not None
    assert reading.shown == {"gross": (0.0, "kg")}


def test_sum_that_does_not_add_up_is_noise() -> None:
    assert kept(lines_of(SOUND["tfo3"].replace("1144", "1744"), "tfo3")) == []
    assert len(kept(lines_of(SOUND["tfo1"].replace("366.0", "366.5"), "tfo1"))) == 1
    assert kept(lines_of(SOUND["tfo1"].replace("366.0", "367.5"), "tfo1")) == []


def test_lost_line_is_counted_and_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "w.txt"
    path.write_text("    78.0 kg    G\r\n" * 6 + "    7\xff.0 kg    G\r\n" + "    79.0 kg   ?G\r\n" * 2, "latin-1")
    series = read_weights(path, scale("weight-spun", rate_hz=2.0))
    np.testing.assert_array_equal(series.gross_kg, [78.0] * 6 + [np.nan] + [79.0] * 2)
    np.testing.assert_array_equal(series.time_s, np.arange(9) / 2.0)
    assert series.stable is not None
    assert series.stable.tolist() == [True] * 6 + [False] * 3
    assert "1 of 9 lines or frames are no reading: line noise" in series.notes
    assert gross_mass(path, scale("weight-spun")).kg == pytest.approx(78.0)


def test_file_without_a_line_of_the_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.txt"
    path.write_text("time_s,gross_kg\n0,1\n")
    with pytest.raises(WeightError, match=r"w\.txt: found no line of the format 'tfo3'"):
        read_weights(path, scale("tfo3"))
    with pytest.raises(WeightError, match="not a file"):
        read_weights(tmp_path / "none.txt", scale("tfo3"))


# --- formats of users -------------------------------------------------------------------------------------------------


def own(folder: Path, content: str) -> Scale:
    (folder / "own.toml").write_text(content)
    return scale("own", file=str(folder / "own.toml"))


def test_own_format_is_read(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("W+012.5LB S\nW-000.5LB M\n")
    told = own(
        tmp_path,
        "[own]\nmatch = 'W(?P<net>[-+]\\d+\\.\\d)LB (?P<status>[SM])'\nunit = 'lb'\nstable = ['S']\nunstable = ['M']\n",
    )
    assert find_format(told.indicator or IndicatorScale(format="")).table.unit == "lb"
    series = read_weights(
        tmp_path / "w.txt", own(tmp_path, (tmp_path / "own.toml").read_text().replace("net", "gross"))
    )
    np.testing.assert_allclose(series.gross_kg, [12.5 * 0.45359237, -0.5 * 0.45359237])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[other]\nmatch = 'a'\n", "found no format 'own', expected one of other"),
        ("[own]\nmatch = '(?P<value>'\n", r"own\.toml: own\.match: "),
        ("[own]\nmatch = 'abc'\n", "found no group, expected value, gross or net"),
        ("[own]\nmatch = '(?P<weight>a)'\n", "found weight, expected value"),
        ("[own]\nmatch = '(?P<value>a)(?=b)'\n", "expected a plain regular expression"),
        ("[own]\nmatch = '(?P<value>a*?)'\n", "lazy repeat"),
        ("[own]\nmatch = '(?P<value>a)\\1'\n", "expected no reference"),
        ("[own]\nmatches = 'a'\n", "unknown key, expected match"),
        ("[own]\nmatch = '(?P<value>a)'\nunit = 'stone'\n", 'expected "kg"'),
        ("[own]\nmatch = '(?P<value>a)'\nkinds = {G = 'brutto'}\n", 'each "gross", "net" or "tare"'),
        ("own = 3\n", "found 3, expected"),
        ("[own", "not valid TOML"),
    ],
)
def test_own_format_that_is_none_is_told(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "w.txt").write_text("a\n")
    with pytest.raises(WeightError, match=words):
        read_weights(tmp_path / "w.txt", own(tmp_path, content))


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|a)*b", "(a|aa)+b", "a*a*a*a*a*a*a*b", "(((a*)*)*)*b", "a?" * 60 + "a" * 60 + "b", "(.*,)*b"],
)
def test_no_expression_runs_for_ever(pattern: str) -> None:
    started = perf_counter()
    assert compiled(pattern).fullmatch("a" * 256) is None
    assert compiled(pattern).search("a" * 2048) is None
    assert perf_counter() - started < 2.0


def test_expressions_without_backtracking_match_what_they_did() -> None:
    for pattern, text in (
        (r"[ -]\d+\.\d{2} kg", "- 12.50 kg"[0] + "12.50 kg"),
        (r"(?:ab|c)+d?", "abcab"),
        (r"[]x]+", "]x"),
    ):
        assert re.fullmatch(pattern, text)
        assert compiled(pattern).fullmatch(text)
