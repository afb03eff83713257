"""What the ledger says of one event."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from volest.fusion import Fused
from volest.quantity import Quantity
from volest.track.uncertain import Uncertain

__all__ = ["SCHEMA", "Entry", "Kind", "Place"]

SCHEMA = "volest/ledger/1"
Kind = Literal["start", "load", "settle", "stand", "tip", "adjust"]
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with what it did to volume and mass; None is what is not known. What is on the truck afterwards is
    the sum of all that the ledger's entries did, in values and in errors.
    """

    truck_id: str
    kind: Kind
    begin_s: float
    end_s: float
    volume_m3: Uncertain | None = None  # added; below 0 what settled or was tipped
    mass_kg: Uncertain | None = None
    on_truck_m3: Uncertain | None = None
    on_truck_kg: Uncertain | None = None
    tare_kg: Uncertain | None = None
    carry_back_m3: Quantity | None = None
    fused: Fused = field(default_factory=Fused)
    gross_kg: float | None = None
    height_m: float | None = None  # of the load over the bed's floor
    place: Place | None = None  # lat, lon in degrees
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same event of the same truck, however often the day is tracked."""
        of = f"{self.volume_m3 is not None:d}{self.mass_kg is not None:d}"
        text = f"{self.truck_id}|{self.kind}|{of}|{self.begin_s:.3f}|{self.end_s:.3f}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The entry ready for JSON."""

        def told(q: Uncertain | Quantity | None) -> dict[str, float] | None:
            return None if q is None else (q.quantity() if isinstance(q, Uncertain) else q).to_dict()

        def errors(q: Uncertain | None) -> dict[str, float] | None:
            return None if q is None else dict(q.errors)

        return {
            "id": self.id,
            "truck_id": self.truck_id,
            "kind": self.kind,
            "begin_s": self.begin_s,
            "end_s": self.end_s,
            "lat": None if self.place is None else self.place[0],
            "lon": None if self.place is None else self.place[1],
            "volume_m3": told(self.volume_m3),
            "mass_kg": told(self.mass_kg),
            "bulk_density_kg_m3": told(self.fused.bulk_density_kg_m3),
            "wet_mass_fraction": told(self.fused.wet_mass_fraction),
            "waste_class": self.fused.waste_class,
            "carry_back_m3": told(self.carry_back_m3),
            "on_truck_m3": told(self.on_truck_m3),
            "on_truck_kg": told(self.on_truck_kg),
            "tare_kg": told(self.tare_kg),
            "gross_kg": self.gross_kg,
            "height_m": self.height_m,
            "flags": list(self.flags),
            "reasons": list(self.reasons),
            "volume_errors_m3": errors(self.volume_m3),
            "mass_errors_kg": errors(self.mass_kg),
            "tare_errors_kg": errors(self.tare_kg),
        }
