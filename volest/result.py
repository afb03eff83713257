"""The answer about one load."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volest._version import __version__
from volest.bed import BedModel
from volest.quantity import Quantity

__all__ = ["FLAGS", "SCHEMA", "Result", "Status", "Surface"]

SCHEMA = "volest/estimate/1"
OUTSIDE, HIDDEN, BETWEEN, SEEN = range(4)  # cell states of the core
Status = Literal["ok", "degraded", "rejected"]
FLAGS = (
    "carry_back",
    "dirty_window",
    "dust",
    "empty",
    "load_moved",
    "no_bed",
    "no_points",
    "occluded",
    "overhang",
    "overload",
    "sensor_moved",
    "sparse",
    "tarp",
    "time_skew",
    "unfamiliar",
    "unreadable",
    "upside_down",
    "weight_missing",
    "weight_unstable",
    "weight_volume_mismatch",
    "wrong_truck",
    "wrong_unit",
)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Height maps over the bed, for pictures and exports; (ny, nx) arrays in the bed frame, row 0 at the least y.

    What is asked for is made when it is asked for: most results are never drawn.
    """

    bed: BedModel
    height: NDArray[np.float32]  # (ny, nx) m, also outside of the footprint
    bound: NDArray[np.float32]
    state: NDArray[np.uint8]  # OUTSIDE, HIDDEN, BETWEEN returns, SEEN

    @property
    def x_m(self) -> NDArray[np.float64]:
        """(nx,) cell centres."""
        return self.bed.layout.centres_m(self.height.shape[1])

    @property
    def y_m(self) -> NDArray[np.float64]:
        """(ny,) cell centres."""
        return self.bed.layout.centres_m(self.height.shape[0])

    @property
    def load_m(self) -> NDArray[np.float32]:
        """Height of the load's surface; NaN outside the footprint."""
        return self._over_bed(self.height)

    @property
    def empty_m(self) -> NDArray[np.float32]:
        """Height of the empty bed; NaN outside the footprint."""
        return self._over_bed(self.bed.floor)

    @property
    def bound_m(self) -> NDArray[np.float32]:
        """Height above which the rays saw free air; NaN outside the footprint."""
        return self._over_bed(self.bound)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Cells that a sensor saw directly."""
        seen: NDArray[np.bool_] = self.state >= BETWEEN
        return seen

    @property
    def wall_top_m(self) -> float:
        """Height of the wall tops over the middle."""
        return float(self.bed.rim[0])

    def _over_bed(self, heights: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(self.state == OUTSIDE, np.float32(np.nan), heights)


@dataclass(frozen=True, slots=True)
class Result:
    """One estimate, as `docs/result.md` describes it. A quantity that cannot be had is None, never 0."""

    truck_id: str
    status: Status
    flags: tuple[str, ...] = ()
    load_id: str = ""
    volume_m3: Quantity | None = None
    net_mass_kg: Quantity | None = None
    bulk_density_kg_m3: Quantity | None = None
    wet_mass_fraction: Quantity | None = None
    waste_class: str | None = None
    struck_capacity_m3: float | None = None
    fill_ratio: float | None = None
    seen_fraction: float | None = None
    rejected_fraction: float | None = None
    centroid_m: tuple[float, float, float] | None = None
    heaped_volume_m3: float | None = None
    volume_budget_m3: dict[str, float] | None = None
    reasons: tuple[str, ...] = ()
    timing_ms: dict[str, float] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    surface: Surface | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result under the contract's names, ready for JSON; without `surface`."""

        def quantity(q: Quantity | None) -> dict[str, float] | None:
            return None if q is None else q.to_dict()

        return {
            "schema": SCHEMA,
            "load_id": self.load_id,
            "truck_id": self.truck_id,
            "status": self.status,
            "flags": list(self.flags),
            "reasons": list(self.reasons),
            "volume_m3": quantity(self.volume_m3),
            "net_mass_kg": quantity(self.net_mass_kg),
            "bulk_density_kg_m3": quantity(self.bulk_density_kg_m3),
            "wet_mass_fraction": quantity(self.wet_mass_fraction),
            "waste_class": self.waste_class,
            "struck_capacity_m3": self.struck_capacity_m3,
            "fill_ratio": self.fill_ratio,
            "seen_fraction": self.seen_fraction,
            "rejected_fraction": self.rejected_fraction,
            "centroid_m": None if self.centroid_m is None else list(self.centroid_m),
            "heaped_volume_m3": self.heaped_volume_m3,
            "volume_budget_m3": self.volume_budget_m3,
            "timing_ms": self.timing_ms,
            "provenance": {"volest": __version__, "inputs": self.inputs},
        }

    def to_json(self) -> str:
        """The result as one line of JSON; NaN and infinity are errors."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False)
