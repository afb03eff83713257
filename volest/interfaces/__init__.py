"""Results in the words of others: FIWARE in NGSI-LD, LwM2M quality codes, SIPSN; docs/interfaces.md."""

from volest.interfaces.city import City
from volest.interfaces.ngsild import waste_container, waste_observed, write_ngsi_ld
from volest.interfaces.quality import quality_indicator, quality_level
from volest.interfaces.sipsn import YearTotal, write_sipsn

__all__ = [
    "City",
    "YearTotal",
    "quality_indicator",
    "quality_level",
    "waste_container",
    "waste_observed",
    "write_ngsi_ld",
    "write_sipsn",
]
