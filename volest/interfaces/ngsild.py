"""Loads as entities of FIWARE's Smart Data Models, WasteObserved and WasteContainer, in normalized NGSI-LD.

Attribute names and types: github.com/smart-data-models/dataModel.WasteManagement, */schema.json. A load is a
WasteObserved; a truck's bed, as its latest load left it, a WasteContainer. What the models have no attribute for stands
under terms of volest's own, with the meaning that docs/interfaces.md tells. Documents: ETSI GS CIM 009.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from volest.durable import whole_file
from volest.errors import InputError
from volest.interfaces.quality import quality_indicator, quality_level
from volest.schema import read_toml

__all__ = ["context", "waste_container", "waste_observed", "write_ngsi_ld"]

Row = Mapping[str, Any]
Entity = dict[str, Any]
# UN/CEFACT Recommendation 20.
KILOGRAM, CUBIC_METRE, PER_CUBIC_METRE, ONE = "KGM", "MTQ", "KMQ", "C62"
_ORIGINS = {"household": "household", "market": "municipal", "commerce": "municipal", "office": "municipal"}
_ORIGINS |= {"industry": "industrial", "construction": "construction", "agriculture": "agriculture"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_TRUCKS = 100_000
RESIDUE = frozenset(("carry_back", "empty"))


@cache
def context() -> tuple[str | dict[str, str], ...]:
    """The @context of each entity: the published one, terms of volest and those that it lacks, and the core."""
    told = read_toml(Path(str(files("volest") / "data/ngsi-ld.toml")), InputError)
    return (told["published"], told["context"], told["core"])


def waste_observed(row: Row) -> Entity:
    """A load's row (`volest.rows`) as a WasteObserved. What is not known has no attribute; never null."""
    when = _when(row)
    entity = _entity("WasteObserved", row["load_id"])
    _put(entity, "dateObserved", when and {"type": "Property", "value": {"@type": "DateTime", "@value": when}})
    _put(entity, "weight", _measured(row, "net_mass_kg", KILOGRAM, when))
    tare, net = row.get("scale_tare_kg"), row.get("net_mass_kg")
    if net is not None and tare is not None:
        entity["grossWeight"] = _property(net + tare, KILOGRAM, when)
        entity["tareWeight"] = _property(tare, KILOGRAM, when)
    _put(entity, "volume", _measured(row, "volume_m3", CUBIC_METRE, when, _quality(row)))
    _put(entity, "bulkDensity", _measured(row, "bulk_density_kg_m3", PER_CUBIC_METRE, when))
    _put(entity, "wetMassFraction", _measured(row, "wet_mass_fraction", ONE, when))
    for term, name in (("wasteClass", "waste_class"), ("wasteSource", "source"), ("engineVersion", "engine_version")):
        _put(entity, term, _text(row.get(name), when))
    _put(entity, "seenFraction", _number(row.get("seen_fraction"), ONE, when))
    entity["estimateStatus"] = _text(row["status"], when)
    if row.get("flags"):
        entity["estimateFlags"] = {"type": "Property", "value": sorted(row["flags"])} | _at(when)
    if row.get("truck_id"):
        entity["refGarbageTruck"] = {"type": "Relationship", "object": _urn("Vehicle", row["truck_id"])}
    _put(entity, "location", _location(row, when))
    _put(entity, "address", _address(row))
    return entity | {"@context": list(context())}


def waste_container(row: Row) -> Entity | None:
    """The truck's bed as a load's row left it, as a WasteContainer; None without truck, volume or position."""
    when, location = _when(row), _location(row, _when(row))
    if not row.get("truck_id") or row.get("volume_m3") is None or location is None:  # the model requires a location
        return None
    entity = _entity("WasteContainer", row["truck_id"])
    entity["location"] = location
    fill = row.get("fill_ratio")
    _put(entity, "fillingLevel", _number(None if fill is None else min(max(fill, 0.0), 1.0), ONE, when))
    _put(entity, "cargoWeight", _measured(row, "net_mass_kg", KILOGRAM, when))
    _put(entity, "binCapacity", _number(row.get("struck_capacity_m3"), CUBIC_METRE, when))
    _put(entity, "volume", _measured(row, "volume_m3", CUBIC_METRE, when, _quality(row)))
    _put(entity, "bulkDensity", _measured(row, "bulk_density_kg_m3", PER_CUBIC_METRE, when))
    _put(entity, "wetMassFraction", _measured(row, "wet_mass_fraction", ONE, when))
    entity["category"] = {"type": "Property", "value": ["portable"]}
    entity["license_plate"] = _text(row["truck_id"], None)
    if row.get("source"):
        entity["storedWasteOrigin"] = _text(_ORIGINS.get(str(row["source"]).casefold(), "other"), None)
    _put(entity, "binLoggedTime", when and {"type": "Property", "value": {"@type": "DateTime", "@value": when}})
    return entity | {"@context": list(context())}


def write_ngsi_ld(rows: Iterable[Row], path: Path) -> tuple[int, int]:
    """A JSON array of all collections and of each truck's bed after its latest; returns how many of each were written.

    What only stuck after a tip, or an empty bed, is no collection: so the masses add up to those of a report. The array
    is what a broker takes at entityOperations/upsert with Content-Type application/ld+json. Rows are held no longer
    than they are written, but for each truck's latest.
    """
    latest: dict[str, Row] = {}
    count = 0
    with whole_file(path) as file:
        file.write(b"[")
        for row in rows:
            _keep_latest(latest, row)
            if row["status"] == "rejected" or not RESIDUE & set(row.get("flags") or ()):
                file.write((b",\n" if count else b"\n") + _json(waste_observed(row)))
                count += 1
        beds = [entity for row in latest.values() if (entity := waste_container(row)) is not None]
        for number, entity in enumerate(beds, start=count):
            file.write((b",\n" if number else b"\n") + _json(entity))
        file.write(b"\n]\n")
    return count, len(beds)


def _keep_latest(latest: dict[str, Row], row: Row) -> None:
    truck = row.get("truck_id")
    if not truck or row.get("volume_m3") is None or row.get("time") is None:
        return
    if truck not in latest and len(latest) >= MOST_TRUCKS:
        raise InputError(f"found more than {MOST_TRUCKS} trucks, expected fewer")
    if truck not in latest or latest[truck]["time"] < row["time"]:
        latest[truck] = dict(row)


def _json(entity: Entity) -> bytes:
    return json.dumps(entity, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def _entity(kind: str, name: str) -> Entity:
    return {"id": _urn(kind, name), "type": kind}


def _urn(kind: str, name: str) -> str:
    return f"urn:ngsi-ld:{kind}:{quote(str(name), safe='', errors='backslashreplace')}"


def _when(row: Row) -> str | None:
    """RFC 3339 in UTC, as NGSI-LD has it, from microseconds since 1970 or a time."""
    time = row.get("time")
    if time is None:
        return None
    if isinstance(time, int):
        time = EPOCH + timedelta(microseconds=time)
    text: str = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _at(when: str | None) -> Entity:
    return {} if when is None else {"observedAt": when}


def _property(value: object, unit: str, when: str | None) -> Entity:
    return {"type": "Property", "value": value, "unitCode": unit} | _at(when)


def _number(value: float | None, unit: str, when: str | None) -> Entity | None:
    return None if value is None else _property(value, unit, when)


def _text(value: str | None, when: str | None) -> Entity | None:
    return None if value is None else {"type": "Property", "value": value} | _at(when)


def _measured(
    row: Row, name: str, unit: str, when: str | None, quality: Mapping[str, int] | None = None
) -> Entity | None:
    """A quantity with its standard uncertainty, its 95 % interval and, where told, the codes of its quality."""
    if row.get(name) is None:
        return None
    told = _property(row[name], unit, when)
    if row.get(f"{name}_std") is not None:
        told["standardUncertainty"] = {"type": "Property", "value": row[f"{name}_std"], "unitCode": unit}
    if row.get(f"{name}_lower95") is not None:
        interval = [row[f"{name}_lower95"], row[f"{name}_upper95"]]
        told["coverageInterval95"] = {"type": "Property", "value": interval, "unitCode": unit}
    return told | {term: {"type": "Property", "value": code} for term, code in (quality or {}).items()}


def _quality(row: Row) -> dict[str, int]:
    return {"measurementQualityIndicator": quality_indicator(row), "measurementQualityLevel": quality_level(row)}


def _location(row: Row, when: str | None) -> Entity | None:
    if row.get("lat") is None or row.get("lon") is None:
        return None
    point = {"type": "Point", "coordinates": [row["lon"], row["lat"]]}
    return {"type": "GeoProperty", "value": point} | _at(when)


def _address(row: Row) -> Entity | None:
    return None if not row.get("district") else {"type": "Property", "value": {"district": row["district"]}}


def _put(entity: Entity, name: str, attribute: Entity | str | None) -> None:
    if attribute:
        entity[name] = attribute
