"""A score as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from volest.score import Score, Scored, statistics

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["COLUMNS", "print_score", "score_row"]

COLUMNS = ("Loads", "n", "rej", "bias", "RMS", "95th", "cover", "width", "mass", "density", "wet")
NOTE = """\
bias, RMS, 95th percentile of the error's size and full width of the 95 % interval: in % of struck capacity.
cover, and mass, density, wet: how many in 100 of the 95 % intervals hold the truth."""
GROUPS = {
    "sensors": "by sensors",
    "load": "by kind of load",
    "visible_fraction": "by visible part",
    "fill_ratio": "by fill",
}
MOST_MISSES = 10


def score_row(name: str, loads: Sequence[Scored]) -> tuple[str, ...]:
    """The statistics of some loads on one line, under COLUMNS."""
    figures = statistics(loads)

    def percent(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    def coverage(value: float | None) -> str:
        return "" if value is None else f"{100.0 * value:.0f}"

    return (
        name,
        str(figures.n),
        str(figures.rejected),
        percent(figures.bias_percent, "+.2f"),
        percent(figures.rms_percent, ".2f"),
        percent(figures.p95_percent, ".2f"),
        coverage(figures.coverage),
        percent(figures.width_percent, ".2f"),
        coverage(figures.mass_coverage),
        coverage(figures.density_coverage),
        coverage(figures.wet_coverage),
    )


def print_score(score: Score, console: Console) -> None:
    """Print the table of all groups, and what did not go as it should."""
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        console.width = 200
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for column in COLUMNS:
        left = column == COLUMNS[0]
        table.add_column(column, justify="left" if left else "right", overflow="fold", no_wrap=not left)
    table.add_row(*map(Text, score_row("all but those marked hard", score.loads)))
    for name, parts in score.groups().items():
        table.add_row(Text(GROUPS[name], "dim"))
        for part, loads in parts.items():
            table.add_row(*map(Text, score_row(f"  {part}", loads)))
    if score.hard:
        table.add_row(*map(Text, score_row("marked hard", score.hard)))
    console.print(table)
    console.print(Text(NOTE, "dim"), soft_wrap=True)
    for line in _notes(score):
        console.print(Text(line), soft_wrap=True)


def _notes(score: Score) -> list[str]:
    """Hard cases, missed truths, and outcomes that are wrong, a line each."""
    lines = [f"hard: {case.case} ({case.hard}): {_words(case)}" for case in score.hard]
    missed = sorted((load for load in score.loads if load.volume_covered is False), key=_surprise, reverse=True)
    lines += [f"missed: {load.case}: {_words(load)}" for load in missed[:MOST_MISSES]]
    if len(missed) > MOST_MISSES:
        lines.append(f"missed: {len(missed) - MOST_MISSES} more by less")
    lines += [f"wrong: {load.case}: {load.complaint}" for load in (*score.loads, *score.hard) if not load.right]
    lines += [f"{'right' if fault.right else 'wrong'}: {fault.case}: {_end(fault)}" for fault in score.faults]
    if score.faults:
        lines.append(f"{sum(fault.right for fault in score.faults)} of {len(score.faults)} faults end as they should")
    return lines


def _end(fault: Scored) -> str:
    return fault.complaint or " ".join((f"exit {fault.exit}, {fault.status}", *fault.flags))


def _surprise(load: Scored) -> float:
    """How far the truth lies outside of the interval, in % of struck capacity."""
    return max(load.lower95_percent or 0.0, -(load.upper95_percent or 0.0))


def _words(load: Scored) -> str:
    if load.error_percent is None:
        return "no estimate"
    verdict = "holds" if load.volume_covered else "misses"
    flags = f" ({', '.join(load.flags)})" if load.flags else ""
    interval = f"{load.lower95_percent:+.2f} to {load.upper95_percent:+.2f}"
    return f"error {load.error_percent:+.2f} %, the interval {interval} {verdict} the truth{flags}"
