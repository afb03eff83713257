"""Where the loads were scanned: a map drawn from their positions alone, with a scale bar; nothing is fetched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from volest.report.charts import BLUE, INK, drawn, sheet
from volest.report.language import Language
from volest.report.loads import Loads

__all__ = ["map_of"]

CELLS = 64  # along the longer side: so many dots at most, however many loads
KM_PER_DEGREE = 111.32  # of latitude, and of longitude on the equator
INSIDE = "load AND lat IS NOT NULL AND lon IS NOT NULL"
MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class _Frame:
    """What of the earth is shown; kilometres east and north of the south-west corner."""

    lon: float
    lat: float
    per_degree_km: float  # of longitude
    width_km: float
    height_km: float

    def x(self, lon: float) -> float:
        return (lon - self.lon) * self.per_degree_km

    def y(self, lat: float) -> float:
        return (lat - self.lat) * KM_PER_DEGREE


def map_of(loads: Loads, language: Language) -> tuple[str, int] | None:
    """The map as SVG and how many loads are not on it; None when no load has a position."""
    frame = _frame(loads)
    if frame is None:
        return None
    lat1, lon1 = frame.lat + frame.height_km / KM_PER_DEGREE, frame.lon + frame.width_km / frame.per_degree_km
    inside = f"{INSIDE} AND lat BETWEEN {frame.lat!r} AND {lat1!r} AND lon BETWEEN {frame.lon!r} AND {lon1!r}"
    step = max(frame.width_km, frame.height_km) / CELLS
    dots = loads.rows(
        f"SELECT avg(lat) AS lat, avg(lon) AS lon, sum(volume_m3) AS m3, count(*) AS n FROM loads WHERE {inside} "
        f"GROUP BY floor((lat - {frame.lat!r}) * {KM_PER_DEGREE / step!r}), "
        f"floor((lon - {frame.lon!r}) * {frame.per_degree_km / step!r}) ORDER BY ALL"
    )
    names = loads.rows(
        f"SELECT district, median(lat) AS lat, median(lon) AS lon, sum(volume_m3) AS m3 FROM loads "
        f"WHERE {inside} AND district IS NOT NULL GROUP BY district ORDER BY m3 DESC, district LIMIT {MOST_LABELS}"
    )
    whole = loads.row("SELECT count(*) AS n FROM loads WHERE load")["n"]
    return _drawn(language, frame, dots, names), whole - sum(dot["n"] for dot in dots)


def _frame(loads: Loads) -> _Frame | None:
    """Around all positions but the outermost hundredth: a receiver without a fix tells of 0, 0."""
    columns = ", ".join(f"quantile_cont({name}, [0.005, 0.5, 0.995]) AS {name}" for name in ("lat", "lon"))
    told = loads.row(f"SELECT {columns} FROM loads WHERE {INSIDE}")
    if told["lat"] is None:
        return None
    (lat0, middle, lat1), (lon0, _, lon1) = told["lat"], told["lon"]
    per_degree = KM_PER_DEGREE * max(math.cos(math.radians(middle)), 0.01)
    width, height = (lon1 - lon0) * per_degree, (lat1 - lat0) * KM_PER_DEGREE
    margin = 0.12 * max(width, height, 0.5)
    width, height = width + 2 * margin, height + 2 * margin
    more_w, more_h = max(0.0, height / 1.4 - width) / 2, max(0.0, width / 2.4 - height) / 2
    return _Frame(
        lon0 - (margin + more_w) / per_degree,
        lat0 - (margin + more_h) / KM_PER_DEGREE,
        per_degree,
        width + 2 * more_w,
        height + 2 * more_h,
    )


def _drawn(language: Language, frame: _Frame, dots: list[dict[str, Any]], names: list[dict[str, Any]]) -> str:
    shown = 5.2 * frame.height_km / frame.width_km
    with sheet(height_in=min(max(shown, 2.2), 7.0)) as (picture, (axes,)):
        most = max((dot["m3"] for dot in dots), default=1.0) or 1.0
        sizes = [max(70.0 * dot["m3"] / most, 2.0) for dot in dots]
        places = [frame.x(dot["lon"]) for dot in dots], [frame.y(dot["lat"]) for dot in dots]
        axes.scatter(*places, s=sizes, color=BLUE, alpha=0.55, lw=0)
        for x, y, label in _labels(language, frame, names):
            text = axes.text(x, y, label, ha="center", va="center", fontsize=9, color=INK, linespacing=1.0)
            text.set_bbox({"facecolor": "white", "alpha": 0.78, "lw": 0, "pad": 1.0})
        axes.set_xlim(0.0, frame.width_km)
        axes.set_ylim(0.0, frame.height_km)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
        _scale_bar(axes, language, frame)
        return drawn(picture, language("map_title"))


def _labels(language: Language, frame: _Frame, names: list[dict[str, Any]]) -> list[tuple[float, float, str]]:
    """Each district's name and volume at its middle, or as little above or below as keeps it clear of the others."""
    high, wide = 0.07 * frame.width_km, 0.0145 * frame.width_km  # of a label of two lines, of a letter
    placed: list[tuple[float, float, float, str]] = []
    for name in names:
        label = f"{name['district'][:40]}\n{language.with_unit(name['m3'], 'm³')}"
        half = 0.5 * wide * max(map(len, label.split("\n")))
        x = min(max(frame.x(name["lon"]), half), max(frame.width_km - half, half))
        middle = frame.y(name["lat"])
        for offset in (0.25 * high * k * sign for k in range(24) for sign in (1, -1)):
            y = min(max(middle + offset, high), frame.height_km - high)
            if all(abs(y - other) >= high or abs(x - at) >= half + beside for at, other, beside, _ in placed):
                break
        placed.append((x, y, half, label))
    return [(x, y, label) for x, y, _, label in placed]


def _scale_bar(axes: Any, language: Language, frame: _Frame) -> None:
    length = _round_length(0.25 * frame.width_km)
    x, y = 0.04 * frame.width_km, 0.05 * frame.height_km
    axes.plot([x, x + length], [y, y], color=INK, lw=2.5, solid_capstyle="butt")
    word = language("km", n=language.number(length, 0 if length >= 1 else 1))
    if length < 0.1:
        word = language("metres", n=language.number(1000 * length))
    axes.text(x + length / 2, y + 0.015 * frame.height_km, word, ha="center", va="bottom", fontsize=9)
    axes.annotate(
        language("north"),
        xy=(0.95, 0.97),
        xytext=(0.95, 0.86),
        xycoords="axes fraction",
        ha="center",
        va="center",
        fontsize=9,
        arrowprops={"arrowstyle": "-|>", "color": INK},
    )


def _round_length(most: float) -> float:
    """The longest of 1, 2, 5 times a power of ten that is not longer."""
    power: float = 10.0 ** math.floor(math.log10(most))
    return max(factor * power for factor in (1.0, 2.0, 5.0) if factor * power <= most * (1.0 + 1e-9))
