"""Pictures, tables and the page of the demo."""

from __future__ import annotations

import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from boxes import TRUCK, write_box

from volest import InputError, MissingExtraError, Quantity, Result, demo, picture
from volest.bed import BedModel, Layout
from volest.page import Shown, page
from volest.result import FLAGS, Surface
from volest.table import BUDGET, FLAG_MEANING, figures, summary_row


def surface(hidden: bool = True) -> Surface:
    bed = BedModel.nominal(Layout(4.2, 2.1, 1.2))
    x, y = np.meshgrid(*map(bed.layout.centres_m, bed.layout.shape))
    height = (0.6 + 0.2 * np.cos(x) * np.cos(y)).astype(np.float32)
    state = np.where((np.abs(x) > 2.1) | (np.abs(y) > 1.05), 0, np.where((x >= 1.0) & hidden, 1, 3))
    return Surface(bed, height, height + np.float32(0.1), state.astype(np.uint8))


LOAD = Result(
    truck_id="BOX-1",
    status="ok",
    load_id="load-1",
    volume_m3=Quantity.normal(6.421, 0.031),
    net_mass_kg=Quantity.normal(2210.0, 18.0),
    wet_mass_fraction=Quantity(0.71, 0.06, 0.58, 0.82),
    waste_class="wet",
    struck_capacity_m3=11.47,
    fill_ratio=0.56,
    seen_fraction=0.97,
    centroid_m=(0.1, -0.03, 0.4),
    heaped_volume_m3=0.35,
    volume_budget_m3={"hidden": 0.021, "pose": 0.018, "something new": 0.003},
    surface=surface(),
)
REJECTED = Result("BOX-1", "rejected", ("no_points",), "load-2", reasons=("a.pcd: found $x$ and <b>, expected points",))


class Reader(HTMLParser):
    """Collects tags, links, anchors and text, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        given = dict(attrs)
        self.links += [value for key in ("href", "src") if (value := given.get(key))]
        self.ids += [value for key in ("id",) if (value := given.get(key))]
        assert tag != "img" or given.get("alt")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


# --- words ------------------------------------------------------------------------------------------------------------


def test_every_flag_has_its_sentence() -> None:
    assert set(FLAG_MEANING) == set(FLAGS)
    assert all(sentence.endswith(".") for sentence in FLAG_MEANING.values())


def test_every_field_and_flag_is_documented() -> None:
    document = (Path(__file__).parents[1] / "docs" / "result.md").read_text("utf-8")
    fields = LOAD.to_dict()
    fields |= {f"provenance.{name}": value for name, value in fields.pop("provenance").items()}
    assert [name for name in (*fields, *FLAGS) if f"`{name}`" not in document] == []


def test_every_source_of_the_contract_has_its_words() -> None:
    assert {"hidden", "pose", "reference", "range", "surface"} <= set(BUDGET)


def test_figures_tell_what_is_not_known() -> None:
    rows = {name: (value, spread) for name, value, spread in figures(LOAD)}
    assert rows["Volume"] == ("6.421 ± 0.031 m³", "6.360 to 6.482")
    assert rows["Wet by mass"] == ("71 ± 6 %", "58 to 82")
    assert rows["Bulk density"] == ("not known", "")


def test_summary_tells_the_error_in_percent_of_struck_capacity() -> None:
    row = summary_row(LOAD, {"volume_m3": 6.3063, "struck_capacity_m3": 11.47})
    assert row[4] == "+1.00"
    assert summary_row(REJECTED, {"volume_m3": 6.0, "struck_capacity_m3": 11.0})[1:5] == ("", "", "6.000", "")


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_picture_is_written_in_the_format_of_its_name(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"load{suffix}"
    picture.draw(LOAD, path)
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
    "result",
    [
        LOAD,
        REJECTED,
        replace(LOAD, surface=surface(hidden=False), flags=("dust",), centroid_m=None, volume_budget_m3=None),
        replace(LOAD, truck_id="$a_b^$ \\frac", load_id="", volume_budget_m3={"hidden": 0.0}, seen_fraction=None),
    ],
)
def test_any_result_can_be_drawn(result: Result) -> None:
    drawn = picture.figure(result)
    drawn.draw_without_rendering()
    assert drawn.get_suptitle().startswith("Truck")


def test_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"volest\[server\]"):
        picture.figure(LOAD)


# --- page and demo ----------------------------------------------------------------------------------------------------


def test_page_needs_nothing_beside_it_and_escapes_all(tmp_path: Path) -> None:
    evil = replace(LOAD, truck_id="<script>alert(1)</script>", load_id='a"<b>&', flags=("dust",))
    for result in (evil, REJECTED):
        (tmp_path / f"{result.load_id}.png").write_bytes(b"not a picture")
    text = page([Shown(evil, {"volume_m3": 6.3, "struck_capacity_m3": 11.0}), Shown(REJECTED)], tmp_path)
    read = Reader(text)
    assert "script" not in read.tags
    assert read.ids == ['a"<b>&', "load-2"]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in read.links)
    for words in ("6.421 ± 0.031", "6.300 m³", "found $x$ and <b>, expected points", "dust", "rejected"):
        assert words in read.words


def test_demo_estimates_every_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = tmp_path / "datasets"
    for name, level in (("low", 0.3), ("high", 0.8)):
        write_box(sets / name, level, TRUCK.replace("BOX-1", name))
    (sets / "no-data").mkdir()
    monkeypatch.setattr(demo, "_root", lambda: sets)
    results = demo.run(tmp_path / "out")
    assert [(result.load_id, result.status) for result in results] == [("high", "ok"), ("low", "ok")]
    for result, volume in zip(results, (6.4, 2.4), strict=True):
        assert result.volume_m3 is not None
        assert result.volume_m3.lower95 <= volume <= result.volume_m3.upper95
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "high.png", "low.png"}
    Reader((tmp_path / "out" / "index.html").read_text("utf-8"))
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("Error % of struck", "high", "low", "index.html"))


def test_demo_without_data_sets_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_root", lambda: tmp_path)
    with pytest.raises(InputError, match="found no data sets"):
        demo.run(tmp_path / "out")


def test_demo_that_cannot_write_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_box(tmp_path / "sets" / "one")
    monkeypatch.setattr(demo, "_root", lambda: tmp_path / "sets")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        demo.run(tmp_path / "out")
