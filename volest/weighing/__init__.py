"""Weights as they come, from any source, as one series."""

from __future__ import annotations

from pathlib import Path

from volest.scale import Scale
from volest.weighing.canbus import series_of
from volest.weighing.canlog import CAN_LOGS, frames
from volest.weighing.corrections import corrected
from volest.weighing.csvtable import read_csv
from volest.weighing.indicator import read_indicator
from volest.weighing.live import LiveWeight, live_weights
from volest.weighing.series import WeightSeries

__all__ = ["LiveWeight", "WeightSeries", "live_weights", "read_weights"]


def read_weights(path: Path, scale: Scale) -> WeightSeries:
    """The weights in a file, corrected for slope and temperature where the truck file tells how.

    `.log` (candump), `.asc` and `.blf` are CAN logs. With [scale.indicator] in the truck file whatever is none of these
    and no `.csv` holds the lines of that indicator, and so does a `.log` where there is no [scale.can]. All else is a
    CSV file. Raises WeightError naming the file and the place, MissingExtraError where an optional package is wanted.
    """
    suffix = path.suffix.lower()
    lines = scale.indicator is not None and (suffix not in (*CAN_LOGS, ".csv") or (suffix == ".log" and not scale.can))
    if lines:
        series = read_indicator(path, scale)
    elif suffix in CAN_LOGS:
        series = series_of(frames(path), scale, str(path))
    else:
        series = read_csv(path, scale)
    return corrected(series, scale)
