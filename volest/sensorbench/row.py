"""One estimate of a bench, as a row of results.parquet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from volest.result import Result

__all__ = ["SOURCES", "Row"]

SOURCES = ("hidden", "pose", "reference", "range", "surface")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An estimate of one scan of one load beside the truth, in % of true struck capacity. None: not known."""

    sensor: str
    mount: str
    load: int  # loads of the same number are the same for all sensors and mounts of a simulation
    repeat: int  # scans of the same load by the same unit from the same place
    kind: str
    recorded: bool
    status: str
    flags: tuple[str, ...] = ()
    reason: str = ""
    struck_capacity_m3: float
    truth_m3: float
    visible_fraction: float | None = None  # true part of the opening in sight of the sensors
    volume_m3: float | None = None
    volume_m3_std: float | None = None
    volume_m3_lower95: float | None = None
    volume_m3_upper95: float | None = None
    error_percent: float | None = None
    width_percent: float | None = None  # of the 95 % interval, full
    covered: bool | None = None
    seen_fraction: float | None = None  # what the estimate says of it
    rejected_fraction: float | None = None  # of the returns
    hidden_percent: float | None = None  # what each source adds to the standard uncertainty
    pose_percent: float | None = None
    reference_percent: float | None = None
    range_percent: float | None = None
    surface_percent: float | None = None
    points: int | None = None  # returns
    ms: float | None = None  # the estimate alone, without reading

    def estimated(self, result: Result, points: int | None, ms: float | None) -> Row:
        """The same row with what an estimate says."""
        found: dict[str, Any] = {
            "status": result.status,
            "flags": result.flags,
            "reason": "; ".join(result.reasons),
            "points": points,
            "ms": ms,
            "seen_fraction": result.seen_fraction,
            "rejected_fraction": result.rejected_fraction,
        }
        volume, percent = result.volume_m3, 100.0 / self.struck_capacity_m3
        if volume is not None:
            found |= {
                "volume_m3": volume.value,
                "volume_m3_std": volume.std,
                "volume_m3_lower95": volume.lower95,
                "volume_m3_upper95": volume.upper95,
                "error_percent": percent * (volume.value - self.truth_m3),
                "width_percent": percent * (volume.upper95 - volume.lower95),
                "covered": volume.lower95 <= self.truth_m3 <= volume.upper95,
            }
            budget = result.volume_budget_m3 or {}
            found |= {f"{source}_percent": percent * budget[source] for source in SOURCES if source in budget}
        return Row(**asdict(self) | found)
