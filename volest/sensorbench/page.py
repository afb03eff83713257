"""A bench as one HTML page that needs nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from volest.sensorbench.outcome import Bench
from volest.sensorbench.plots import budget_plot, errors_plot, interval_plot, map_plot, rms_plot
from volest.sensorbench.summary import Entry, Interval
from volest.sensorbench.trial import REPEATS

__all__ = ["page"]

TEMPLATE = Path(__file__).parents[1] / "data" / "bench-sensor.html"
MOST_COMPARED = 12  # contenders in the table of pairs


def page(done: Bench) -> str:
    """The page of a bench."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": _figure, "interval": _interval, "order": _order}
    entries = done.summary.entries
    # The pictures are made by volest.sensorbench.plots alone, and Matplotlib escapes what is written in them.
    plots = [
        rms_plot(entries),
        errors_plot(entries, done.rows),
        interval_plot(entries),
        budget_plot([entry for entry in entries if entry.budget_percent]),
    ]
    template = environment.from_string(TEMPLATE.read_text("utf-8"))
    return template.render(
        bench=done,
        options=done.options,
        entries=entries,
        best=entries[0] if entries and entries[0].rms_percent else None,
        sensors=done.summary.sensors,
        compared=list(enumerate(entries[:MOST_COMPARED])),
        better=done.summary.better,
        plots=[Markup(plot) for plot in plots],  # noqa: S704
        maps=[(found, Markup(map_plot(found))) for found in done.maps],  # noqa: S704
        simulated=any(not entry.recorded for entry in entries),
        recorded=any(entry.recorded for entry in entries),
        repeats=REPEATS,
    )


def _figure(value: float | None, form: str = ".2f", times: float = 1.0) -> str:
    return "–" if value is None else format(times * value, form)


def _interval(found: Interval | None, form: str = ".2f", times: float = 1.0) -> Any:
    """A figure with its confidence interval, smaller."""
    from markupsafe import Markup

    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return format(times * found.value, form)
    value, low, high = (format(times * v, form) for v in (found.value, found.low, found.high))
    return Markup("{} <small>{} to {}</small>").format(value, low, high)


def _order(entry: Entry) -> str:
    """Between which ranks the entry surely lies."""
    return "" if entry.rank_best == entry.rank_worst else f"{entry.rank_best} to {entry.rank_worst}"
