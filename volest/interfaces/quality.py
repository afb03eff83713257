"""How far to trust an estimate, in the codes of OMA LwM2M: resources 6042 and 6049.

6042, Measurement Quality Indicator: 0 unchecked, 1 rejected with certainty, 2 rejected with probability, 3 accepted but
suspicious, 4 accepted; 5 to 15 are reserved, 16 to 23 a vendor's own. 6049, Measurement Quality Level: 0 to 100, 100
when it passed all checks, 0 when it should be rejected. (OMA LwM2M registry, among others in object 3303, version 1.1.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["INDICATORS", "quality_indicator", "quality_level"]

UNCHECKED, REJECTED, PROBABLY_REJECTED, SUSPICIOUS, ACCEPTED = range(5)
INDICATORS = (UNCHECKED, REJECTED, PROBABLY_REJECTED, SUSPICIOUS, ACCEPTED)
# Flags under which even an estimate with status ok wants a second look.
WORTH_A_LOOK = frozenset(("occluded", "overhang", "sparse", "unfamiliar", "weight_unstable"))
CONTRADICTED = frozenset(("weight_volume_mismatch", "time_skew"))
RELATIVE_STD_OF_ZERO = 0.5  # standard uncertainty over value from which on a level is 0


def quality_indicator(row: Mapping[str, Any]) -> int:
    """The code 6042 of a load's row (`volest.rows`): of its volume, and of the mass where it contradicts the volume."""
    flags = set(row.get("flags") or ())
    if row["status"] == "rejected":
        return REJECTED
    if row.get("volume_m3") is None or row.get("volume_m3_std") is None:
        return UNCHECKED
    if flags & CONTRADICTED:
        return PROBABLY_REJECTED
    return SUSPICIOUS if row["status"] == "degraded" or flags & WORTH_A_LOOK else ACCEPTED


def quality_level(row: Mapping[str, Any]) -> int:
    """The level 6049: 100 less the relative standard uncertainty of the volume, twice in per cent; 0 when rejected.

    100 is an exact volume, 98 one known to 1 %, 0 one that is known to half of itself or worse.
    """
    value, std = row.get("volume_m3"), row.get("volume_m3_std")
    if row["status"] == "rejected" or value is None or std is None or value <= 0.0:
        return 0
    return round(100.0 * max(0.0, 1.0 - float(std) / float(value) / RELATIVE_STD_OF_ZERO))
