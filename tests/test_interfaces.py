"""Results in the words of others: entities against their schemas, quality codes, SIPSN's table."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from load_rows import draw_year

from volest.errors import InputError
from volest.interfaces import (
    City,
    YearTotal,
    quality_indicator,
    quality_level,
    waste_container,
    waste_observed,
    write_ngsi_ld,
    write_sipsn,
)
from volest.interfaces.ngsild import context
from volest.interfaces.sipsn import columns, sipsn_row, source_of
from volest.quantity import Quantity
from volest.rows import COLUMNS, read_rows

SCHEMAS = Path(__file__).parent / "schemas"
Row = dict[str, Any]


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


NORMALIZED = validator("ngsi-ld")
KEY_VALUES = {"WasteObserved": validator("waste-observed"), "WasteContainer": validator("waste-container")}


def key_values(entity: Row) -> Row:
    """The simplified representation (ETSI GS CIM 009, 4.5.4), which the Smart Data Models' schemas describe."""
    simple = {}
    for name, attribute in entity.items():
        if name == "@context":
            continue
        value = attribute if isinstance(attribute, str) else attribute.get("value", attribute.get("object"))
        simple[name] = value["@value"] if isinstance(value, dict) and "@value" in value else value
    return simple


def check(entity: Row) -> None:
    NORMALIZED.validate(entity)
    KEY_VALUES[entity["type"]].validate(key_values(entity))
    for name in {"dateObserved", "binLoggedTime"} & entity.keys():
        assert datetime.fromisoformat(key_values(entity)[name]).tzinfo == UTC
    terms = context()[1]
    assert isinstance(terms, dict)
    model = KEY_VALUES[entity["type"]].schema["properties"]
    for name in entity.keys() - {"@context", "id", "type"}:
        assert not model[name].get("x-extension") or name in terms, f"{name} has no term in the context"


def a_row(**told: Any) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"load_id": "a1", "truck_id": "KT-1", "status": "ok", "flags": [], "time": 1_772_323_200_123_000}
    row |= {"lat": -1.27, "lon": 116.83, "district": "Balikpapan Kota", "source": "market", "engine_version": "0.1.0"}
    for name, value, std in (
        ("volume_m3", 6.4, 0.032),
        ("net_mass_kg", 2210.0, 18.0),
        ("wet_mass_fraction", 0.7, 0.06),
    ):
        row |= {name: value, f"{name}_std": std, f"{name}_lower95": value - 2 * std, f"{name}_upper95": value + 2 * std}
    row |= {"waste_class": "wet", "struck_capacity_m3": 11.47, "fill_ratio": 0.56, "seen_fraction": 0.97}
    return row | {"scale_tare_kg": 4310.0} | told


def test_load_is_a_waste_observed_of_the_published_names() -> None:
    entity = waste_observed(a_row())
    check(entity)
    assert entity["id"] == "urn:ngsi-ld:WasteObserved:a1"
    assert entity["dateObserved"]["value"] == {"@type": "DateTime", "@value": "2026-03-01T00:00:00.123Z"}
    assert (entity["weight"]["value"], entity["weight"]["unitCode"]) == (2210.0, "KGM")
    assert entity["grossWeight"]["value"] - entity["tareWeight"]["value"] == entity["weight"]["value"]
    assert entity["refGarbageTruck"] == {"type": "Relationship", "object": "urn:ngsi-ld:Vehicle:KT-1"}
    assert entity["location"]["value"]["coordinates"] == [116.83, -1.27]  # GeoJSON: longitude first
    assert entity["volume"]["standardUncertainty"] == {"type": "Property", "value": 0.032, "unitCode": "MTQ"}
    assert entity["volume"]["measurementQualityIndicator"]["value"] == 4
    assert entity["volume"]["measurementQualityLevel"]["value"] == 99


def test_truck_bed_is_a_waste_container() -> None:
    entity = waste_container(a_row(fill_ratio=1.2))
    assert entity is not None
    check(entity)
    assert entity["fillingLevel"]["value"] == 1.0  # the model ends there; volume over binCapacity tells the heap
    assert entity["cargoWeight"]["value"] == 2210.0
    assert entity["binCapacity"]["value"] == 11.47
    assert entity["storedWasteOrigin"]["value"] == "municipal"


def test_what_a_model_requires_and_is_not_known_makes_no_entity() -> None:
    assert waste_container(a_row(lat=None)) is None
    assert waste_container(a_row(volume_m3=None)) is None
    assert waste_container(a_row(truck_id=None)) is None


def test_rejected_load_has_neither_weight_nor_volume() -> None:
    nothing = {name: None for name in COLUMNS if name.startswith(("volume", "net_", "wet_", "bulk"))}
    entity = waste_observed(a_row(status="rejected", flags=["no_points"], waste_class=None, **nothing))
    check(entity)
    assert not {"weight", "grossWeight", "tareWeight", "volume"} & entity.keys()
    assert entity["estimateFlags"]["value"] == ["no_points"]


_names = st.text(max_size=300)
_numbers = st.none() | st.floats(0.0, 1e6)


@settings(max_examples=40)
@given(
    load=_names,
    truck=st.none() | _names,
    district=st.none() | _names,
    source=st.none() | _names,
    mass=_numbers,
    volume=_numbers,
    flags=st.lists(st.sampled_from(["dust", "tarp", "overload", "time_skew"]), unique=True, max_size=4),
    status=st.sampled_from(["ok", "degraded", "rejected"]),
    time=st.none() | st.integers(0, 4_102_444_800_000_000),
)
def test_any_row_makes_valid_documents(
    load: str, truck: str, district: str, source: str, mass: float, volume: float, flags: Any, status: str, time: Any
) -> None:
    told = {"net_mass_kg": mass, "volume_m3": volume, "status": status, "flags": flags, "time": time}
    row = a_row(load_id=load or "-", truck_id=truck, district=district, source=source, **told)
    for entity in (waste_observed(row), waste_container(row)):
        if entity is not None:
            check(entity)
            json.dumps(entity, allow_nan=False)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, 4),
        ({"status": "degraded"}, 3),
        ({"flags": ["sparse"]}, 3),
        ({"flags": ["weight_volume_mismatch"]}, 2),
        ({"status": "rejected", "volume_m3": None}, 1),
        ({"volume_m3_std": None}, 0),
    ],
)
def test_quality_codes_are_those_of_lwm2m(told: Row, code: int) -> None:
    assert quality_indicator(a_row(**told)) == code


@given(value=_numbers, std=_numbers)
def test_quality_level_falls_with_the_relative_uncertainty(value: float | None, std: float | None) -> None:
    level = quality_level(a_row(volume_m3=value, volume_m3_std=std))
    assert 0 <= level <= 100
    if std is not None and value and std < 0.5 * value:
        assert math.isclose(level, 100.0 * (1.0 - 2.0 * std / value), abs_tol=0.51)


def test_file_holds_each_collection_once_and_each_truck_once(tmp_path: Path) -> None:
    year = draw_year(3, trucks=3, days=4)
    year.write(tmp_path / "results")
    path = tmp_path / "loads.json"
    counts = write_ngsi_ld(read_rows(tmp_path / "results"), path)
    entities = json.loads(path.read_text("utf-8"))
    for entity in entities:
        check(entity)
    assert len({entity["id"] for entity in entities}) == len(entities) == sum(counts)
    assert counts[1] == 3
    weighed = sum(entity["weight"]["value"] for entity in entities if "weight" in entity)
    table = year.table.to_pylist()
    told = sum(row["net_mass_kg"] for row, counted in zip(table, year.counted, strict=True) if counted)
    assert math.isclose(weighed, told, rel_tol=1e-12)
    latest = max(row["time"] for row in table if row["truck_id"] == "KT-8100-AB" and row["volume_m3"] is not None)
    (bed,) = [entity for entity in entities if entity["id"] == "urn:ngsi-ld:WasteContainer:KT-8100-AB"]
    assert bed["volume"]["observedAt"][:19] == latest.isoformat()[:19]


def test_no_load_is_an_empty_array(tmp_path: Path) -> None:
    assert write_ngsi_ld([], tmp_path / "none.json") == (0, 0)
    assert json.loads((tmp_path / "none.json").read_text("utf-8")) == []


# --- SIPSN ------------------------------------------------------------------------------------------------------------

CITY = 'schema = 1\nname = "Kota Balikpapan"\nprovince = "Kalimantan Timur"\n'
SORTED = "reference = 'SNI 19-3964-1994, 2025'\nfood = 43\nwood = 9\npaper = 11\nplastic = 24\nmetal = 2\n"
SORTED += "textile = 3\nrubber = 2\nglass = 2\nother = 4\n"


def a_city(tmp_path: Path, more: str = "") -> City:
    path = tmp_path / "city.toml"
    path.write_text(CITY + more, "utf-8")
    return City.load(path)


TOTAL = YearTotal(
    2026, Quantity.normal(1000.0, 10.0), 100, 500, 20, 62.0, {"market": 600.0, "Pasar": 50.0, None: 350.0}
)


def test_national_table_has_the_systems_columns(tmp_path: Path) -> None:
    city = a_city(tmp_path, f"[composition]\n{SORTED}")
    write_sipsn(city, [TOTAL], tmp_path / "sipsn.csv")
    (row,) = csv.DictReader((tmp_path / "sipsn.csv").read_text("utf-8").splitlines())
    expected = {"Tahun": "2026", "Provinsi": "Kalimantan Timur", "Kabupaten/Kota": "Kota Balikpapan"}
    expected |= {"Timbulan Sampah Harian(ton)": "10.00", "Timbulan Sampah Tahunan(ton)": "1000.00"}
    expected |= {"Pasar(ton)": "650.00", "Lain(ton)": "350.00", "Rumah Tangga(ton)": "0.00"}
    expected |= {"Sisa Makanan (%)": "43.00", "Plastik(%)": "24.00", "Hari Tercakup": "100"}
    assert expected.items() <= row.items()
    assert row["Tahunan Batas Bawah 95%(ton)"] == "980.40"


def test_composition_is_empty_unless_a_sorted_sample_tells_it(tmp_path: Path) -> None:
    row = sipsn_row(a_city(tmp_path), TOTAL)
    assert all(row[label] is None for label in columns()["composition"].values())


def test_sources_add_up_to_the_year(tmp_path: Path) -> None:
    row = sipsn_row(a_city(tmp_path), TOTAL)
    assert sum(row[label] for label in columns()["sources"].values()) == row["Timbulan Sampah Tahunan(ton)"]
    assert [source_of(text) for text in ("Rumah Tangga", " MARKET ", "weird", None)] == [
        "household",
        "market",
        "other",
        "other",
    ]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            "[composition]\n" + SORTED.replace("food = 43", "food = 53"),
            "composition: found 110 % in all, expected 100 %",
        ),
        ('[districts]\n"A" = "moon"\n', "districts.'A': found 'moon', expected one of household, office"),
        ("mayor = 1\n", "mayor: unknown key"),
    ],
)
def test_city_file_is_read_strictly(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(InputError, match=r"city\.toml") as caught:
        a_city(tmp_path, more)
    assert told in str(caught.value)


def test_a_year_of_impossible_length_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 400 days, expected 1 to 365"):
        write_sipsn(a_city(tmp_path), [YearTotal(2026, TOTAL.mass_t, 400, 1, 0)], tmp_path / "s.csv")
