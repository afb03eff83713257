"""The charts of a report, as SVG that stands in the page: few colours, direct labels, intervals shown."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from volest.errors import MissingExtraError
from volest.report.language import Language
from volest.report.totals import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

__all__ = ["BLUE", "GREY", "ORANGE", "Bar", "Bins", "bars", "drawn", "histogram", "over_time", "sheet"]

# Okabe and Ito's colours, told apart with any kind of colour vision.
BLUE, SKY, ORANGE, GREY, INK, SOFT = "#0072B2", "#9CCBE8", "#D55E00", "#8A8A8A", "#222222", "#5f5f5f"
WIDTH_IN = 5.4
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "volest",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.edgecolor": "#bbbbbb",
    "axes.labelcolor": SOFT,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": INK,
}


class Bar(NamedTuple):
    """One line of a bar chart."""

    name: str
    value: float
    lower: float
    upper: float
    label: str


class Bins(NamedTuple):
    """Counts between equal steps from `low` on."""

    low: float
    step: float
    counts: Sequence[int]


@contextmanager
def sheet(height_in: float) -> Iterator[tuple[Picture, list[Axes]]]:
    """An empty picture and its axes, in the style of all of them."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Picture
    except ModuleNotFoundError:
        raise MissingExtraError("volest report", "server") from None
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # names in any script: the page's own fonts draw them
        picture = Picture(figsize=(WIDTH_IN, height_in), layout="constrained", facecolor="none")
        one = picture.subplots()
        one.set_facecolor("none")
        for side in ("top", "right"):
            one.spines[side].set_visible(False)
        one.tick_params(length=0)
        one.tick_params(axis="x", pad=6)
        yield picture, [one]


def drawn(picture: Picture, title: str) -> str:
    """The picture as an SVG element for a page, with a title for those who do not see it."""
    from html import escape

    buffer = io.StringIO()
    picture.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r' id="(?:figure|axes|patch|matplotlib|line2d|text|xtick|ytick|LineCollection|\w+Collection)[^"]*"', "", svg
    )
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", svg)
    svg = re.sub(r'^<svg([^>]*?) height="[^"]*"', r"<svg\1", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def _ticks(axes: Axes, language: Language, which: str = "y", digits: int = 0) -> None:
    axis = getattr(axes, f"{which}axis")
    axis.set_major_formatter(lambda value, _: language.number(value, digits if value else 0))


def over_time(language: Language, figures: Sequence[Figure], title: str) -> str:
    """A line with its shaded interval; groups are days."""
    with sheet(height_in=2.4) as (picture, (one,)):
        known = [figure for figure in figures if figure.group is not None and figure.quantity is not None]
        days = [figure.group for figure in known]
        quantities = [figure.quantity for figure in known if figure.quantity is not None]
        one.fill_between(days, [q.lower95 for q in quantities], [q.upper95 for q in quantities], color=SKY, lw=0)
        one.plot(days, [q.value for q in quantities], color=BLUE, lw=1.6, marker="o" if len(days) < 20 else "", ms=3.5)
        one.set_ylim(bottom=0.0)
        one.margins(x=0.01)
        one.grid(axis="y", color="#e6e6e6", lw=0.8)
        one.set_axisbelow(True)
        _ticks(one, language)
        _day_ticks(one, language, days)
        return drawn(picture, title)


def _day_ticks(axes: Axes, language: Language, days: Sequence[Any]) -> None:
    import matplotlib.dates as dates

    span = (days[-1] - days[0]).days if days else 0
    if span < 12:
        axes.set_xticks(days)
    else:
        axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=7))  # type: ignore[no-untyped-call]
    pattern = "d MMM" if span < 120 else "MMM y" if span < 900 else "y"

    def name(value: float, _: float) -> str:
        return language.date(dates.num2date(value).date(), pattern)  # type: ignore[no-untyped-call]

    axes.xaxis.set_major_formatter(name)


def bars(lines: Sequence[Bar], title: str, colour: str = BLUE) -> str:
    """Horizontal bars with their names, intervals and values."""
    with sheet(height_in=0.3 + 0.3 * max(len(lines), 1)) as (picture, (one,)):
        places = range(len(lines))
        most = max((max(bar.upper, bar.value) for bar in lines), default=0.0) or 1.0
        one.barh(places, [bar.value for bar in lines], color=colour, height=0.64)
        for place, bar in zip(places, lines, strict=True):
            if bar.upper > bar.lower:
                one.plot([bar.lower, bar.upper], [place, place], color=INK, lw=1.4, marker="|", ms=7)
            one.text(max(bar.upper, bar.value) + 0.02 * most, place, bar.label, va="center", fontsize=9)
        one.set_xlim(0.0, most * 1.3)
        one.set_xticks([])
        one.spines["bottom"].set_visible(False)
        one.set_yticks(places, [_cut(bar.name) for bar in lines])
        one.set_ylim(max(len(lines), 1) - 0.45, -0.55)
        return drawn(picture, title)


def _cut(name: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return printable if len(printable) <= 26 else printable[:25] + "…"


def histogram(
    language: Language,
    bins: Bins,
    title: str,
    axis: str,
    *,
    marks: Sequence[tuple[float, str]] = (),
    below: float | None = None,
) -> str:
    """Counts as columns; those below `below` in another colour; `marks` are lines with a word."""
    with sheet(height_in=2.4) as (picture, (one,)):
        left = [bins.low + k * bins.step for k in range(len(bins.counts))]
        colours = [ORANGE if below is not None and x + 1e-9 < below else BLUE for x in left]
        one.bar(left, bins.counts, width=bins.step * 0.92, align="edge", color=colours)
        top = max([*bins.counts, 1])
        one.set_ylim(0, top * (1.22 if marks else 1.06))
        for place, word in marks:
            one.plot([place, place], [0, top * 1.1], color=INK, lw=1.2)
            one.text(place, top * 1.12, word, ha=_anchor(place, bins), va="bottom", fontsize=9)
        one.set_xlabel(axis)
        one.set_title(language("axis_loads"), loc="left", color=SOFT, fontsize=9)
        one.grid(axis="y", color="#e6e6e6", lw=0.8)
        one.set_axisbelow(True)
        _ticks(one, language)
        _ticks(one, language, "x", _digits(bins))
        return drawn(picture, title)


def _anchor(place: float, bins: Bins) -> str:
    share = (place - bins.low) / max(bins.step * len(bins.counts), 1e-12)
    return "left" if share < 0.3 else "right" if share > 0.7 else "center"


def _digits(bins: Bins) -> int:
    span = bins.step * len(bins.counts)
    return 0 if span >= 8 else 1 if span >= 0.8 else 2 if span >= 0.08 else 3
