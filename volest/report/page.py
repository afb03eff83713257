"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from volest.report.charts import ORANGE, Bar, Bins, bars, histogram, over_time
from volest.report.comparison import Comparison, compared
from volest.report.indicator import GROUPS, Group, Indicator, known_groups
from volest.report.language import Language
from volest.report.loads import HALF, Loads
from volest.report.map import map_of
from volest.report.tables import Table
from volest.report.totals import COMMON, FLEET, Figure, totals

__all__ = ["page"]

MOST_ROWS = 400  # of a table on the page; all stand in the files
MOST_BARS = 20
MOST_DAYS = 92  # shown day by day; then by week, then by month
MOST_WEEKS_DAYS = 1100
Cell = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its heading and what must be said below it."""

    title: str
    svg: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table on the page: heads and cells, all of them text; the first cell of a row names it.

    A cell of two is a value and its interval.
    """

    heads: list[str]
    rows: list[list[Cell]]
    note: str = ""
    open: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    notes: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    sheets: list[tuple[str, Sheet]] = field(default_factory=list)


def page(
    loads: Loads, indicators: Sequence[Indicator], tables: Mapping[Group | None, Table], language: Language
) -> str:
    """The whole page; `tables` by group, None for all loads."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("volest", "data/report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("page.html.jinja")
    return template.render(
        language=language,
        title=language("title"),
        subtitle=_period(loads, language),
        made_by=_made_by(loads, language),
        cards=_cards(indicators, tables[None], language),
        sections=[section for section in _sections(loads, indicators, tables, language) if section],
    )


def _sections(
    loads: Loads, indicators: Sequence[Indicator], tables: Mapping[Group | None, Table], language: Language
) -> list[Section | None]:
    groups = known_groups(loads)
    return [
        _over_time(loads, tables.get("day"), language),
        *(_by(loads, tables[group], group, language) for group in groups if group != "day"),
        _wet_and_dry(loads, language),
        _fill(loads, language),
        _map(loads, language),
        _quality(loads, language),
        _uncertainty(loads, language),
        _comparison(loads, language) if "others" in loads.parts else None,
        _formulas(indicators, tables[None], language),
    ]


def _period(loads: Loads, language: Language) -> str:
    told = loads.row("SELECT min(day) AS first, max(day) AS last FROM loads")
    if told["first"] is None:
        return language("not_known")
    first, last = language.date(told["first"]), language.date(told["last"])
    return language("on_day" if first == last else "from_to", first=first, last=last)


def _made_by(loads: Loads, language: Language) -> str:
    told = loads.row("SELECT count(*) AS n, count(DISTINCT truck) AS trucks FROM loads")
    versions = loads.rows("SELECT DISTINCT engine_version AS v FROM loads WHERE v IS NOT NULL ORDER BY v LIMIT 4")
    return language(
        "made_by",
        loads=language.number(told["n"]),
        trucks=language.number(told["trucks"]),
        files=language.number(loads.parts["loads"]),
        versions=", ".join(row["v"] for row in versions),
    )


def _cards(indicators: Sequence[Indicator], table: Table, language: Language) -> list[dict[str, str]]:
    """Name, value, interval of each indicator, over all loads."""
    figures = next(iter(table.figures.values()), {})
    return [_card(indicator, figures.get(indicator.key), language) for indicator in indicators]


def _card(indicator: Indicator, figure: Figure | None, language: Language) -> dict[str, str]:
    value = None if figure is None else figure.value
    return {
        "name": _name(indicator, language),
        "value": language.with_unit(value, indicator.unit, indicator.digits),
        "interval": "" if figure is None else language.interval(figure.quantity, indicator.digits),
    }


def _name(indicator: Indicator, language: Language) -> str:
    name: str = getattr(indicator.name, language.code)
    return name


def _over_time(loads: Loads, table: Table | None, language: Language) -> Section | None:
    span = loads.row("SELECT min(day) AS first, max(day) AS last, count(*) - count(day) AS without FROM loads")
    if span["first"] is None or table is None:
        return None
    days = (span["last"] - span["first"]).days
    period = "day" if days < MOST_DAYS else "week" if days < MOST_WEEKS_DAYS else "month"
    by = f"CAST(date_trunc('{period}', day) AS DATE)"
    told: dict[str, Any] = {"where": "load AND day IS NOT NULL", "per": "count(DISTINCT day)", "group": by}
    volume = totals(loads, "volume_m3", **told)
    mass = totals(loads, "net_mass_kg", factor=0.001, **told)
    notes = [language("per_day_note", period=language(f"period_{period}"))]
    if span["without"]:
        notes.append(language("without_day", n=language.number(span["without"])))
    series = [(language("axis_volume_day"), volume, notes), (language("axis_mass_day"), mass, [])]
    charts = [Chart(name, over_time(language, told, name), said) for name, told, said in series if told]
    return Section(language("over_time"), charts=charts, sheets=[(language("group_day"), _sheet(table, language))])


def _by(loads: Loads, table: Table, group: Group, language: Language) -> Section:
    volume = totals(loads, "volume_m3", group=GROUPS[group])
    mass = {f.group: f for f in totals(loads, "net_mass_kg", factor=0.001, group=GROUPS[group])}
    ranked = sorted(volume, key=lambda figure: -(figure.value or 0.0))[:MOST_BARS]
    notes = [language("interval_bar")]
    if len(volume) > MOST_BARS:
        notes.append(language("others", n=language.number(len(volume) - MOST_BARS)))
    charts = []
    for key, figures, said in (("axis_volume", {f.group: f for f in volume}, notes), ("axis_mass", mass, [])):
        lines = [_bar(figures.get(figure.group), language.name_of(group, figure.group), language) for figure in ranked]
        charts.append(Chart(language(key), bars(lines, language(key)), said))
    return Section(
        language(f"by_{group}"), charts=charts, sheets=[(language(f"group_{group}"), _sheet(table, language))]
    )


def _bar(figure: Figure | None, name: str, language: Language) -> Bar:
    quantity = None if figure is None else figure.quantity
    if quantity is None:
        return Bar(name, 0.0, 0.0, 0.0, language("not_known"))
    label = language.number(quantity.value)
    return Bar(name, quantity.value, quantity.lower95, quantity.upper95, label)


def _sheet(table: Table, language: Language) -> Sheet:
    heads = [language(f"group_{table.group}")]
    for indicator in table.indicators:
        heads.append(_name(indicator, language) + (f", {indicator.unit}" if indicator.unit else ""))
    groups = table.groups
    rows = []
    for group in groups[:MOST_ROWS]:
        cells: list[Cell] = [language.name_of(table.group, group)]
        for indicator in table.indicators:
            figure = table.figures[group].get(indicator.key)
            value = "" if figure is None else language.number(figure.value, indicator.digits)
            interval = "" if figure is None else language.interval(figure.quantity, indicator.digits)
            cells.append((value, interval))
        rows.append(cells)
    more = len(groups) - len(rows)
    note = language("rest_in_tables", n=language.number(more), name=table.group) if more else ""
    return Sheet(heads, rows, note)


def _bins(loads: Loads, value: str, where: str, low: float, step: float, most: int) -> Bins:
    """Counts of a value between `low` and `most` steps on; what lies beyond counts in the outermost."""
    place = f"CAST(least(greatest(floor(({value} - {low!r}) / {step!r} + 1e-9), 0), {most - 1}) AS INTEGER)"
    told = loads.rows(
        f"SELECT {place} AS k, count(*) AS n FROM loads WHERE ({where}) AND {value} IS NOT NULL GROUP BY k"
    )
    counts = {row["k"]: row["n"] for row in told}
    used = max(counts, default=0) + 1
    return Bins(low, step, [counts.get(k, 0) for k in range(used)])


def _wet_and_dry(loads: Loads, language: Language) -> Section | None:
    counts = loads.rows(
        "SELECT coalesce(waste_class, 'undecided') AS c, count(*) AS n FROM loads WHERE load GROUP BY c"
    )
    found = {row["c"]: row["n"] for row in counts}
    charts = []
    whole = sum(found.values())
    if whole and found.keys() != {"undecided"}:
        lines = []
        for kind in ("wet", "mixed", "dry", "undecided"):
            n = found.get(kind, 0)
            label = f"{language.number(n)} ({language.with_unit(100.0 * n / whole, '%')})"
            lines.append(Bar(language(f"class_{kind}"), n, n, n, label))
        svg = bars(lines, language("class_title"))
        charts.append(Chart(language("class_title"), svg, [language("class_note")]))
    middle = loads.row("SELECT median(bulk_density_kg_m3) AS m FROM loads WHERE load")["m"]
    if middle is not None:
        bins = _bins(loads, "bulk_density_kg_m3", "load", 0.0, 25.0, 48)
        mark = language("median_is", value=language.with_unit(middle, "kg/m³"))
        title = language("density_title")
        charts.append(Chart(title, histogram(language, bins, title, language("axis_density"), marks=[(middle, mark)])))
    return Section(language("wet_and_dry"), charts=charts) if charts else None


def _fill(loads: Loads, language: Language) -> Section | None:
    told = loads.row(
        "SELECT count(fill_ratio) AS n, count(*) FILTER (WHERE half_empty) AS half, "
        "count(*) FILTER (WHERE overload AND load) AS overloads FROM loads WHERE load"
    )
    if not told["n"]:
        return None
    bins = _bins(loads, "100 * fill_ratio", "load", 0.0, 10.0, 16)
    share = language.with_unit(100.0 * told["half"] / told["n"], "%", 1)
    title = language("fill_title")
    marks = [(100.0 * HALF, language("half_empty_is", value=share))]
    svg = histogram(language, bins, title, language("axis_fill"), marks=marks, below=100.0 * HALF)
    notes = [language("overload_is", n=language.number(told["overloads"]))]
    return Section(language("trips_and_fill"), charts=[Chart(title, svg, notes)])


def _map(loads: Loads, language: Language) -> Section | None:
    drawn = map_of(loads, language)
    if drawn is None:
        return None
    note = language("map_note", outside=language.number(drawn[1]))
    return Section(language("map_title"), charts=[Chart("", drawn[0], [note])])


def _quality(loads: Loads, language: Language) -> Section:
    reasons = loads.rows(
        "SELECT flag, count(*) AS n FROM (SELECT unnest(CASE WHEN len(flags) > 0 THEN flags ELSE ['none'] END) AS flag "
        "FROM loads WHERE rejected) GROUP BY flag ORDER BY n DESC, flag LIMIT 24"
    )
    charts = []
    if reasons:
        lines = [
            Bar(_flag(row["flag"], language), row["n"], row["n"], row["n"], language.number(row["n"]))
            for row in reasons
        ]
        title = language("why_rejected")
        charts.append(Chart(title, bars(lines, title, ORANGE), _missing(loads, language)))
    middle = loads.row("SELECT 100 * median(seen_fraction) AS m FROM loads WHERE load")["m"]
    if middle is not None:
        bins = _bins(loads, "100 * seen_fraction", "load", 0.0, 5.0, 20)
        mark = language("median_is", value=language.with_unit(middle, "%"))
        title = language("seen_title")
        charts.append(Chart(title, histogram(language, bins, title, language("axis_seen"), marks=[(middle, mark)])))
    return Section(language("quality"), notes=[] if reasons else [language("no_rejected")], charts=charts)


def _flag(flag: str, language: Language) -> str:
    return language.words.get(f"flag_{flag}", flag)


def _missing(loads: Loads, language: Language) -> list[str]:
    """What the rejected ones would add if they were like the others: not in any total, but to be known."""
    told = loads.row(
        "SELECT count(*) FILTER (WHERE rejected) AS n, avg(volume_m3) FILTER (WHERE load) AS mean FROM loads"
    )
    volume = None if told["mean"] is None else told["n"] * told["mean"]
    return [language("rejected_note", n=language.number(told["n"]), volume=language.with_unit(volume, "m³"))]


def _uncertainty(loads: Loads, language: Language) -> Section | None:
    volume, mass = totals(loads, "volume_m3"), totals(loads, "net_mass_kg", factor=0.001)
    if not volume:
        return None
    charts = []
    for figures, key in ((volume, "sources_volume"), (mass, "sources_mass")):
        if figures and figures[0].sources and figures[0].std > 0.0:
            ranked = sorted(figures[0].sources.items(), key=lambda item: -item[1])
            lines = [
                Bar(language(f"source_{name}"), std, std, std, language.number(std, _fine(figures[0].std)))
                for name, std in ranked
                if std > 0.005 * figures[0].std
            ]
            charts.append(Chart(language(key), bars(lines, language(key))))
    shared = language(
        "shared_is",
        share=language.with_unit(_shared(loads, "volume_m3"), "%"),
        mass_share=language.with_unit(_shared(loads, "net_mass_kg"), "%"),
    )
    return Section(language("uncertainty"), notes=[language("uncertainty_note"), shared], charts=charts)


def _fine(std: float) -> int:
    return 0 if std >= 20 else 1 if std >= 2 else 2 if std >= 0.2 else 3


def _shared(loads: Loads, quantity: str) -> float | None:
    """Per cent of a load's variance that is the same in all loads of its truck, on average."""
    from volest.report.totals import ERRORS

    errors = ERRORS[quantity]
    whole = " + ".join(f"sum(pow({sql}, 2))" for sql in errors.values())
    common = " + ".join(
        f"{1.0 if name in FLEET else COMMON[name]!r} * sum(pow({sql}, 2))" for name, sql in errors.items()
    )
    told = loads.row(f"SELECT 100 * ({common}) / nullif({whole}, 0) AS share FROM loads WHERE load AND {quantity} > 0")
    share: float | None = told["share"]
    return share


def _comparison(loads: Loads, language: Language) -> Section:
    found = compared(loads)
    counts = {name: language.number(getattr(found, name)) for name in ("both", "only_this", "only_other")}
    note = language("comparison_note", this=found.this, other=found.other, **counts)
    sheets = [
        (language("difference_title"), _differences(found, language)),
        (language("status_change"), _statuses(found, language)),
        (language("largest_changes"), _changes(found, language)),
    ]
    return Section(
        language("comparison"), notes=[note], charts=_difference_chart(loads, found, language), sheets=sheets
    )


def _difference_chart(loads: Loads, found: Comparison, language: Language) -> list[Chart]:
    low, high = found.difference["low"], found.difference["high"]
    if low is None or high is None or not high > low:
        return []
    step = (high - low) / 30
    place = f"CAST(least(greatest(floor((a.volume_m3 - b.volume_m3 - {low!r}) / {step!r}), -1), 30) AS INTEGER)"
    told = loads.rows(
        f"SELECT {place} AS k, count(*) AS n FROM loads a JOIN others b USING (load_id) "
        "WHERE a.load AND b.load GROUP BY k"
    )
    counts = {row["k"]: row["n"] for row in told}
    bins = Bins(low - step, step, [counts.get(k, 0) for k in range(-1, 31)])
    marks = [(0.0, language.number(0))] if low < 0.0 < high else []
    title = language("difference_title")
    return [Chart(title, histogram(language, bins, title, language("axis_difference"), marks=marks))]


def _differences(found: Comparison, language: Language) -> Sheet:
    rows: list[list[Cell]] = [
        [language(f"difference_{name}"), language.with_unit(found.difference[name], "m³", 3)]
        for name in ("mean", "rms", "most")
    ]
    rows.append([language("difference_beyond"), language.number(found.difference["beyond"])])
    for key, figure in (("total_there", found.total_other), ("total_here", found.total_this)):
        if figure is not None:
            told = (language.with_unit(figure.value, "m³", 1), language.interval(figure.quantity, 1))
            rows.append([language(key), told])
    return Sheet(["", language("value")], rows)


def _statuses(found: Comparison, language: Language) -> Sheet:
    heads = [language("status_change"), language("column_loads")]
    rows: list[list[Cell]] = [
        [f"{language('status_' + row['there'])} → {language('status_' + row['here'])}", language.number(row["n"])]
        for row in found.statuses
    ]
    return Sheet(heads, rows)


def _changes(found: Comparison, language: Language) -> Sheet:
    heads = [language(key) for key in ("column_load", "group_truck", "column_there", "column_here")]
    rows: list[list[Cell]] = [
        [str(row["load_id"]), str(row["truck"]), language.number(row["there"], 3), language.number(row["here"], 3)]
        for row in found.changes
    ]
    return Sheet(heads, rows)


def _formulas(indicators: Sequence[Indicator], table: Table, language: Language) -> Section:
    heads = [language(key) for key in ("column_indicator", "value", "range95", "column_formula", "column_origin")]
    cards = _cards(indicators, table, language)
    rows: list[list[Cell]] = [
        [card["name"], card["value"], card["interval"], indicator.told, indicator.source]
        for indicator, card in zip(indicators, cards, strict=True)
    ]
    sheet = Sheet(heads, rows, language("formulas_note"), open=True)
    return Section(language("all_indicators"), sheets=[(language("all_indicators"), sheet)])
