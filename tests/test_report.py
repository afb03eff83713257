"""Reports of many loads: what they count, whom they let in, and what they look like in two languages."""

from __future__ import annotations

import csv
import json
import random
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from load_rows import DISTRICTS, Year, draw_year

from volest.cli import main
from volest.errors import InputError
from volest.interfaces import City
from volest.quantity import Quantity
from volest.report import report
from volest.report.comparison import compared
from volest.report.indicator import figures, read_indicators
from volest.report.language import Language
from volest.report.loads import Loads
from volest.report.map import map_of
from volest.report.totals import SOURCES, totals
from volest.report.years import year_totals
from volest.result import FLAGS

HOSTILE = ["<script>alert(1)</script>", "=cmd|'/c calc'!A1", "$x^2$ {{ 7*7 }} \"'&", "車両-7", "../../etc/passwd"]


@pytest.fixture(scope="module")
def year() -> Year:
    return draw_year(3, trucks=5, days=12, trips=5, version="0.2.0", truck_ids=HOSTILE)


@pytest.fixture(scope="module")
def results(year: Year, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return year.write(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same loads by another version, and one day of them missing."""
    return draw_year(3, trucks=5, days=11, trips=5, truck_ids=HOSTILE).write_one(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def loads(results: Path) -> Iterator[Loads]:
    with Loads(results) as loads:
        yield loads


@pytest.fixture(scope="module")
def pages(results: Path, other: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a report in each language; the Indonesian one with all that the verb can write."""
    folders = {code: tmp_path_factory.mktemp(f"report-{code}") for code in ("en", "id")}
    report(results, folders["en"], compare=other)
    out = folders["id"]
    city = out / "city.toml"
    city.write_text('schema = 1\nname = "Kota Balikpapan"\nprovince = "Kalimantan Timur"\n', "utf-8")
    arguments = ["report", str(results), "-o", str(out), "--language", "id", "--compare", str(other)]
    arguments += ["--city", str(city), "--sipsn", str(out / "sipsn.csv"), "--ngsi-ld", str(out / "loads.json")]
    assert main(arguments) == 0
    return folders


# --- what is counted --------------------------------------------------------------------------------------------------


def test_totals_are_those_of_the_rows(loads: Loads, year: Year) -> None:
    rows = [row for row, counted in zip(year.table.to_pylist(), year.counted, strict=True) if counted]
    told = {indicator.key: figures(loads, indicator)[0].value for indicator in read_indicators(loads)}
    assert told["volume_m3"] == pytest.approx(sum(row["volume_m3"] for row in rows))
    assert told["mass_t"] == pytest.approx(sum(row["net_mass_kg"] for row in rows) / 1000)
    assert told["mass_per_day_t"] == pytest.approx(told["mass_t"] / 12)
    assert told["density_kg_m3"] == pytest.approx(1000 * told["mass_t"] / told["volume_m3"])
    assert told["half_empty"] == pytest.approx(100 * sum(row["fill_ratio"] < 0.5 for row in rows) / len(rows))
    assert told["overloads"] == sum(row["net_mass_kg"] + 4310 > 8900 for row in rows)
    rejected = sum(row["status"] == "rejected" for row in year.table.to_pylist())
    assert told["rejected"] == pytest.approx(100 * rejected / len(year.table))
    assert told["trips"] == len(rows) + rejected


def test_residue_of_a_tip_is_no_load(loads: Loads, year: Year) -> None:
    stuck = sum(r["volume_m3"] for r in year.table.to_pylist() if r["flags"] == ["carry_back"])
    told = {indicator.key: figures(loads, indicator)[0].value for indicator in read_indicators(loads)}
    assert told["carry_back_m3"] == pytest.approx(stuck)
    assert stuck > 0.0


@pytest.mark.parametrize("group", ["day", "truck", "district", "source"])
def test_groups_add_up_to_the_whole(loads: Loads, group: Any) -> None:
    volume = read_indicators(loads)[0]
    parts, whole = figures(loads, volume, group), figures(loads, volume)[0]
    assert sum(part.value or 0.0 for part in parts) == pytest.approx(whole.value)
    assert sum(part.loads for part in parts) == whole.loads


def test_day_is_the_local_one_of_the_folder(loads: Loads) -> None:
    days = [figure.group for figure in figures(loads, read_indicators(loads)[0], "day")]
    assert days == [date(2026, 1, k) for k in range(1, 13)]


def test_day_is_the_local_one_of_the_time_where_no_folder_tells_it(year: Year, tmp_path: Path) -> None:
    with Loads(year.write_one(tmp_path)) as loads:  # trips begin at 6 of Balikpapan's clocks, the day before in UTC
        days = [figure.group for figure in figures(loads, read_indicators(loads)[0], "day")]
    assert days == [date(2026, 1, k) for k in range(1, 13)]


# --- indicators -------------------------------------------------------------------------------------------------------


def test_city_adds_and_replaces_indicators(loads: Loads, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[night_trips]\nname = { en = "Night trips", id = "Ritase malam" }\nsource = "Perda 13"\n'
        "formula = \"count(*) FILTER (WHERE trip AND hour NOT BETWEEN 6 AND 17)\"\nby = ['truck']\n"
        '[market_t]\nname = { en = "From markets", id = "Dari pasar" }\nunit = "t"\nsource = "Perda 13"\n'
        'total = "net_mass_kg"\nfactor = 0.001\nwhere = "load AND source = \'market\'"\n'
        '[volume_m3]\nname = { en = "Volume", id = "Volume" }\nsource = "ours"\ntotal = "volume_m3"\nfactor = 1000\n',
        "utf-8",
    )
    found = {indicator.key: indicator for indicator in read_indicators(loads, path)}
    assert list(found)[-2:] == ["night_trips", "market_t"]
    market = figures(loads, found["market_t"])[0]
    assert market.std > 0.0
    (told,) = [f for f in totals(loads, "net_mass_kg", factor=0.001, group="source") if f.group == "market"]
    assert (market.value, market.std) == pytest.approx((told.value, told.std))
    assert found["volume_m3"].factor == 1000


HEAD = '[x]\nname = { en = "X", id = "X" }\nsource = "us"\n'


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('formula = "(SELECT count(*) FROM loads_rows)"', "found subquery"),
        ("formula = \"sum(volume_m3) + (SELECT 1 FROM read_csv('/etc/passwd'))\"", "found subquery"),
        ('formula = "count(*); DROP TABLE loads_rows"', "expected an SQL expression"),
        ('formula = "count(*); SELECT 1"', "expected one SQL expression"),
        ('formula = "count(*) FROM loads_rows --"', "expected one SQL expression"),
        ('formula = "count(*), 1"', "expected one SQL expression"),
        ('formula = "sum(volume_m3) OVER ()"', "found window"),
        ('formula = "count(COLUMNS(*))"', "found star"),
        ("formula = \"max(getvariable('x'))\"", "found getvariable(), expected"),
        ("formula = \"sum(length(read_text('/etc/passwd')))\"", "expected"),
        ("formula = \"max(repeat('x', 1000000000))\"", "found repeat(), expected"),
        ('formula = "sum(range(1000000000))"', "found range(), expected"),
        ("formula = \"string_agg(load_id, ',')\"", "found string_agg(), expected"),
        ('formula = "list_sum(list_transform(flags, lambda f: 1))"', "expected"),
        ('formula = "sum(volume)"', "found the column 'volume', expected volume_m3 perhaps"),
        ('formula = "sum(loads.volume_m3)"', "found the column 'loads.volume_m3'"),
        ('formula = "volume_m3"', "found no aggregate"),
        ('formula = "sum(sum(volume_m3))"', "cannot be asked"),
        ('formula = "max(district)"', "found a formula of type VARCHAR"),
        ('formula = "max(day)"', "found a formula of type DATE"),
        ('total = "volume_m3"\nwhere = "volume_m3 + district"', "cannot be asked"),
        ('formula = "sum("', "expected an SQL expression"),
        ('total = "volume_m3"\nwhere = "sum(volume_m3) > 1"', "expected a condition on a single load"),
        ('total = "volume"', 'expected "volume_m3"'),
        ('total = "volume_m3"\nformula = "count(*)"', "found both, expected either"),
        ("digits = 1", "found neither, expected either"),
        ('formula = "count(*)"\nfactor = 2', "expected them with total"),
        ('formula = "count(*)"\nkey = "y"', "found no indicator"),
        ('formula = "count(*)"\nfactr = 2', "unknown key, expected factor perhaps"),
    ],
)
def test_formula_that_may_not_be_asked_is_an_error(loads: Loads, tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f"{HEAD}{line}\n", "utf-8")
    with pytest.raises(InputError) as caught:
        read_indicators(loads, path)
    assert str(caught.value).startswith(f"{path}: x")
    assert told in str(caught.value)


def test_database_is_closed_to_the_outside(loads: Loads) -> None:
    for sql in ("SELECT * FROM read_text('/etc/passwd')", "COPY loads_rows TO '/tmp/x.csv'", "SET threads = 64"):
        with pytest.raises(Exception, match=r"disabled by config|Cannot change"):
            loads.rows(sql)


# --- datasets that are damaged, foreign or contradictory --------------------------------------------------------------


def test_damaged_part_is_an_error_that_names_it(year: Year, tmp_path: Path) -> None:
    path = next(year.write_one(tmp_path).rglob("*.parquet"))
    sound, rng = path.read_bytes(), random.Random(1)
    with Loads(tmp_path) as loads:
        before = loads.rows("SELECT * EXCLUDE (day_folder) FROM loads_rows ORDER BY load_id")
    for _ in range(24):
        broken = bytearray(sound)
        at = rng.randrange(len(broken))
        broken[at] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        told = ""
        try:
            with Loads(tmp_path) as loads:  # a bit in a column that is not read, or in metadata
                assert loads.rows("SELECT * EXCLUDE (day_folder) FROM loads_rows ORDER BY load_id") == before
        except InputError as error:
            told = str(error)
        assert not told or str(tmp_path) in told
    for length in (0, 3, 100, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(InputError, match=re.escape(f"{path}: damaged")):
            Loads(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"volume_m3": None}, "volume_m3: missing, expected a column of double"),
        ({"volume_m3": pa.string()}, "volume_m3: found string, expected double"),
        ({"flags": pa.string()}, "flags: found string, expected list<"),
    ],
)
def test_foreign_parquet_is_an_error(year: Year, tmp_path: Path, change: dict[str, Any], told: str) -> None:
    table = year.table
    for name, kind in change.items():
        index = table.schema.get_field_index(name)
        table = table.remove_column(index)
        if kind is not None:
            table = table.append_column(name, pa.nulls(len(table), kind))
    replace(year, table=table).write_one(tmp_path)
    with pytest.raises(InputError) as caught:
        Loads(tmp_path)
    assert "part-0.parquet" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("volume_m3", float("nan"), "found volume_m3 IS NOT NULL AND NOT isfinite"),
        ("net_mass_kg_std", -1.0, "found net_mass_kg_std < 0"),
        ("lat", 91.0, "found lat NOT BETWEEN"),
        ("status", "fine", "found coalesce(status"),
        ("load_id", "L00000001", "2 times, expected each load once"),
    ],
)
def test_number_that_cannot_be_is_an_error(year: Year, tmp_path: Path, column: str, value: Any, told: str) -> None:
    table = year.table
    index = table.schema.get_field_index(column)
    values = table.column(column).to_pylist()
    values[0] = value
    table = table.set_column(index, table.schema.field(index), pa.array(values, table.schema.field(index).type))
    replace(year, table=table).write_one(tmp_path)
    with pytest.raises(InputError, match=re.escape(str(tmp_path))) as caught:
        Loads(tmp_path)
    assert told in str(caught.value)


def test_folder_without_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no results, expected a folder of volest batch"):
        Loads(tmp_path)


def test_parts_without_a_row_are_an_error(year: Year, tmp_path: Path) -> None:
    replace(year, table=year.table.slice(0, 0)).write_one(tmp_path)
    with pytest.raises(InputError, match="found no loads in 1 files"):
        Loads(tmp_path)


def test_rejected_loads_alone_make_a_report(year: Year, tmp_path: Path) -> None:
    table = year.table.filter(pa.compute.equal(year.table.column("status"), "rejected"))
    replace(year, table=table).write_one(tmp_path / "results")
    told = report(tmp_path / "results", tmp_path / "out")
    assert told.loads == told.rejected == len(table) > 0


# --- two versions -----------------------------------------------------------------------------------------------------


def test_version_compared_with_itself_has_no_difference(results: Path) -> None:
    with Loads(results, results) as loads:
        found = compared(loads)
    assert (found.only_this, found.only_other, found.both) == (0, 0, 300)
    assert found.difference["most"] == 0.0
    assert found.difference["beyond"] == 0
    assert all(row["there"] == row["here"] for row in found.statuses)


def test_versions_are_compared_on_the_loads_of_both(results: Path, other: Path) -> None:
    with Loads(results, other) as loads:
        found = compared(loads)
        here = {row["load_id"]: row["volume_m3"] for row in loads.rows("SELECT * FROM loads WHERE load")}
        there = {row["load_id"]: row["volume_m3"] for row in loads.rows("SELECT * FROM others WHERE load")}
    common = here.keys() & there.keys()
    assert (found.only_this, found.only_other, found.measured) == (25, 0, len(common))
    differences = [here[key] - there[key] for key in common]
    assert found.difference["mean"] == pytest.approx(sum(differences) / len(differences))
    assert found.changes[0]["here"] - found.changes[0]["there"] == pytest.approx(max(differences, key=abs))
    assert found.total_this is not None
    assert found.total_other is not None
    assert found.total_this.value - found.total_other.value == pytest.approx(sum(differences))  # type: ignore[operator]


# --- words ------------------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_words() -> None:
    english, indonesian = Language("en").words, Language("id").words
    assert english.keys() == indonesian.keys()
    for key, text in english.items():
        fields = [
            sorted(name for _, name, _, _ in string.Formatter().parse(t) if name) for t in (text, indonesian[key])
        ]
        assert fields[0] == fields[1], key


def test_every_flag_and_source_has_a_word() -> None:
    words = Language("id").words
    assert {f"flag_{flag}" for flag in FLAGS} <= words.keys()
    assert {f"source_{source}" for source in SOURCES} <= words.keys()


def test_every_word_is_used() -> None:
    code = "".join(path.read_text("utf-8") for path in Path("volest/report").glob("*.py"))
    code += Path("volest/data/report/page.html.jinja").read_text("utf-8")
    made = ("flag_", "source_", "waste_", "class_", "status_", "period_", "by_", "group_", "difference_")
    unused = [key for key in Language("en").words if f'"{key}"' not in code and not key.startswith(made)]
    assert unused == []


def test_numbers_and_dates_are_those_of_the_language() -> None:
    english, indonesian = Language("en"), Language("id")
    assert (english.number(1234567.891, 1), indonesian.number(1234567.891, 1)) == ("1,234,567.9", "1.234.567,9")
    assert (english.with_unit(50.04, "%", 1), indonesian.with_unit(50.04, "%", 1)) == ("50.0\u00a0%", "50,0%")
    assert indonesian.with_unit(3.0, "m³") == "3\u00a0m³"
    assert indonesian.interval(Quantity.normal(10.0, 1.0), 2) == "8,04\u201311,96"
    assert english.date(date(2026, 8, 17)) == "17 August 2026"
    assert indonesian.date(date(2026, 8, 17)) == "17 Agustus 2026"
    assert [indonesian.date(date(2026, m, 1), "MMMM") for m in (1, 2, 3, 5, 6, 7, 10, 12)] == [
        *("Januari", "Februari", "Maret", "Mei", "Juni", "Juli", "Oktober", "Desember")
    ]
    with pytest.raises(InputError, match="found 'fr', expected one of en, id"):
        Language("fr")


# --- the page and the tables ------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Tags, what they refer to, and the text outside of them; complains of tags that do not match."""

    VOID = frozenset(("meta", "br", "hr", "img", "link", "input"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("code", ["en", "id"])
def test_page_needs_nothing_and_runs_nothing(pages: dict[str, Path], code: str) -> None:
    page = (pages[code] / "index.html").read_text("utf-8")
    reader = Reader(page)
    assert not {"script", "iframe", "object", "embed", "link", "img", "foreignobject"} & reader.tags
    assert all(reference.startswith("#") for reference in reader.references)
    assert not re.search(r"url\((?!#)", page)
    assert "svg" in reader.tags
    assert "<script" not in page
    assert "{{" not in page.replace("{{ 7*7 }}", "")
    for name in HOSTILE:
        assert name in reader.text
    assert f'<html lang="{code}">' in page


def test_page_tells_the_totals_in_its_language(pages: dict[str, Path], loads: Loads) -> None:
    volume = figures(loads, read_indicators(loads)[0])[0].value
    for code in ("en", "id"):
        words = Language(code)
        text = Reader((pages[code] / "index.html").read_text("utf-8")).text
        assert words.with_unit(volume, "m³", 1) in text
        assert words("from_to", first=words.date(date(2026, 1, 1)), last=words.date(date(2026, 1, 12))) in text
        for key in ("key_figures", "by_truck", "map_title", "quality", "comparison", "all_indicators"):
            assert words(key) in text
        assert all(district in text for district in DISTRICTS)


def test_same_results_make_the_same_page(results: Path, other: Path, pages: dict[str, Path], tmp_path: Path) -> None:
    report(results, tmp_path, compare=other)
    for name in ("index.html", "tables/truck.csv", "tables/all.parquet"):
        assert (tmp_path / name).read_bytes() == (pages["en"] / name).read_bytes()


def test_tables_are_the_same_as_csv_and_parquet(pages: dict[str, Path]) -> None:
    folder = pages["en"] / "tables"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in ("all", "day", "truck", "district", "source") for kind in ("csv", "parquet")
    }
    for name in ("all", "day", "truck"):
        read = list(csv.DictReader((folder / f"{name}.csv").read_text("utf-8").splitlines()))
        for text, row in zip(read, pq.read_table(folder / f"{name}.parquet").to_pylist(), strict=True):
            for column, value in row.items():
                if isinstance(value, float):
                    assert float(text[column]) == value
                else:
                    assert text[column].removeprefix("'") == ("" if value is None else str(value))


def test_name_that_a_spreadsheet_would_run_is_text(pages: dict[str, Path]) -> None:
    with (pages["en"] / "tables" / "truck.csv").open(encoding="utf-8", newline="") as file:
        names = {row["truck"] for row in csv.DictReader(file)}
    assert names == {*HOSTILE} - {HOSTILE[1]} | {"'" + HOSTILE[1]}


# --- the map ----------------------------------------------------------------------------------------------------------


def test_positions_without_a_fix_do_not_stretch_the_map(year: Year, tmp_path: Path) -> None:
    table = year.table
    for name in ("lat", "lon"):
        values = [0.0, *table.column(name).to_pylist()[1:]]
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    with Loads(replace(year, table=table).write_one(tmp_path)) as loads:
        drawn = map_of(loads, Language("en"))
        outside = loads.row("SELECT count(*) AS n FROM loads WHERE load AND lat = 0")["n"]
    assert drawn is not None
    assert drawn[1] >= outside
    assert re.search(r">[125] km<", drawn[0])  # the scale bar of a town, not of half the globe


def test_no_position_no_map(year: Year, tmp_path: Path) -> None:
    table = year.table
    table = table.set_column(table.schema.get_field_index("lat"), "lat", pa.nulls(len(table), pa.float64()))
    with Loads(replace(year, table=table).write_one(tmp_path)) as loads:
        assert map_of(loads, Language("en")) is None


# --- the verb ---------------------------------------------------------------------------------------------------------


def test_verb_writes_all_that_is_asked_for(pages: dict[str, Path], loads: Loads) -> None:
    out = pages["id"]
    (total,) = year_totals(loads, City.load(out / "city.toml"))
    (row,) = csv.DictReader((out / "sipsn.csv").read_text("utf-8").splitlines())
    assert row["Timbulan Sampah Tahunan(ton)"] == f"{total.mass_t.value:.2f}"
    assert (total.year, total.days) == (2026, 12)
    assert sum(total.source_t.values()) == pytest.approx(total.mass_t.value)
    assert len(json.loads((out / "loads.json").read_text("utf-8"))) > 250


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such-folder"], "no-such-folder: found no results"),
        (["RESULTS", "--sipsn", "x.csv"], "--sipsn: found no city file"),
        (["RESULTS", "--indicators", "none.toml"], "none.toml: cannot be read"),
        (["RESULTS", "--compare", "none"], "none: found no results"),
        (["RESULTS", "-o", "/dev/null/out"], "cannot be made"),
    ],
)
def test_what_cannot_be_done_is_usage(
    results: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = [] if "-o" in arguments else ["-o", str(tmp_path)]
    assert main(["report", *(str(results) if word == "RESULTS" else word for word in arguments), *out]) == 2
    assert told in capsys.readouterr().err
