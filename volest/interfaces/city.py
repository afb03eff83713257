"""A city's own data: its name, which source the waste of each district is from, and its composition by sorting."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from volest.errors import InputError
from volest.schema import check, nearest, read_toml

__all__ = ["SOURCES", "City", "Composition"]

_Text = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,200}\Z", description="1 to 200 printable characters")]
_Percent = Annotated[float, Meta(ge=0, le=100, description="per cent, 0 to 100")]
SOURCES = ("household", "office", "market", "commerce", "public", "area", "other")
SUM_TOLERANCE = 0.5  # per cent: of nine rounded numbers


class Composition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Per cent of the mass, by a sorted sample, and where that is from."""

    reference: _Text
    food: _Percent
    wood: _Percent
    paper: _Percent
    plastic: _Percent
    metal: _Percent
    textile: _Percent
    rubber: _Percent
    glass: _Percent
    other: _Percent


class City(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a city file tells; see docs/interfaces.md."""

    schema: Annotated[Literal[1], Meta(description="1")]
    name: _Text
    province: _Text
    districts: Annotated[dict[str, _Text], Meta(max_length=10_000, description="districts = sources")] = msgspec.field(
        default_factory=dict
    )
    composition: Composition | None = None

    @classmethod
    def load(cls, path: Path) -> City:
        """From a TOML file; InputError names the key, what was found and what was expected."""
        city = check(read_toml(path, InputError), cls, str(path), InputError)
        for district, source in city.districts.items():
            if source not in SOURCES:
                key = f"districts.{district[:60]!r}"
                raise InputError(f"{path}: {key}: found {source[:60]!r}, expected {nearest(source, SOURCES)}")
        if city.composition is not None:
            parts = msgspec.structs.asdict(city.composition)
            whole = math.fsum(value for value in parts.values() if isinstance(value, float | int))
            if abs(whole - 100.0) > SUM_TOLERANCE:
                raise InputError(f"{path}: composition: found {whole:g} % in all, expected 100 %")
        return city
