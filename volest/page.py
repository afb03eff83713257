"""Results as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from volest._version import __version__
from volest.result import Result
from volest.table import BUDGET, FLAG_MEANING, SUMMARY_COLUMNS, figures, summary_row

__all__ = ["Shown", "page"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A result, and the `truth` of its truth.json where it is known."""

    result: Result
    truth: dict[str, Any] | None = None


def page(loads: Sequence[Shown], pictures: Path) -> str:
    """The page of these loads; the picture of each is read from `pictures`/LOAD_ID.png."""
    sections = "\n".join(_section(load, pictures / f"{load.result.load_id}.png") for load in loads)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>volest: {len(loads)} loads</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>How much is in the truck</h1>
<p>{len(loads)} loads, estimated by volest {escape(__version__)}. A value is followed by its standard uncertainty; the
95 % interval is meant to hold the truth in 95 loads of 100.</p>
</header>
<main>
{_summary(loads)}
{sections}
</main>
</body>
</html>
"""


def _summary(loads: Sequence[Shown]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in SUMMARY_COLUMNS)
    rows = []
    for load in loads:
        first, *cells = summary_row(load.result, load.truth)
        name = f'<th scope="row"><a href="#{escape(load.result.load_id)}">{escape(first)}</a></th>'
        rows.append(f"<tr>{name}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    body = "\n".join(rows)
    return f"""<section aria-label="All loads">
<div class="wide"><table class="summary"><thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody></table></div>
</section>"""


def _section(load: Shown, picture: Path) -> str:
    result = load.result
    image = base64.b64encode(picture.read_bytes()).decode("ascii")
    flags = "".join(f"<li><b>{escape(flag)}</b>: {escape(FLAG_MEANING.get(flag, ''))}</li>" for flag in result.flags)
    flags += "".join(f"<li>{escape(reason)}</li>" for reason in result.reasons)
    notes = f"<ul>{flags}</ul>" if flags else ""
    alternative = "Plan, shadow map, lengthwise section, figures and uncertainty budget of the load"
    return f"""<section id="{escape(result.load_id)}">
<h2>{escape(result.load_id)} <span class="{result.status}">{result.status}</span></h2>
{notes}
<figure><img alt="{alternative}" src="data:image/png;base64,{image}">
<figcaption>Truck {escape(result.truck_id)}.{_truth(load.truth)}</figcaption></figure>
<details><summary>Figures and budget</summary>
<div class="pair">
{_table("Figures", ("", "Value", "95 % interval"), figures(result))}
{_table("Budget", ("Source", "Standard uncertainty, m³"), _budget(result))}
</div></details>
</section>"""


def _truth(truth: dict[str, Any] | None) -> str:
    return "" if truth is None else f" The true volume is {truth['volume_m3']:.3f} m³."


def _budget(result: Result) -> list[tuple[str, str]]:
    budget = sorted((result.volume_budget_m3 or {}).items(), key=lambda item: -item[1])
    return [(BUDGET.get(name, name), f"{std:.4f}") for name, std in budget]


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"


_STYLE = """
:root { color-scheme: light dark; --ink: #222; --soft: #5f5f5f; --line: #d8d8d8; --ground: #fff; --link: #0059a0;
  --ok: #00704f; --degraded: #8a5a00; --rejected: #b04400; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --soft: #a8a8a8; --line: #444; --ground: #161616;
  --link: #7cc0f4; --ok: #38c79b; --degraded: #e69f00; --rejected: #ff8a4c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif; }
h1 { margin: .5rem 0; font-size: 1.7rem; }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.2rem; overflow-wrap: anywhere; }
header p, figcaption, caption { color: var(--soft); }
a { color: var(--link); }
figure { margin: .5rem 0; overflow-x: auto; }
img { display: block; width: 100%; min-width: 44rem; height: auto;
  border: 1px solid var(--line); border-radius: 6px; background: #fff; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; }
th:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 400; vertical-align: bottom; }
.summary { font-size: .85rem; width: 100%; }
.summary th, .summary td { padding: .3rem .4rem; }
.summary thead th { white-space: normal; }
caption { text-align: left; padding: .3rem .6rem; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--link); }
.pair { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: flex-start; overflow-x: auto; }
.ok, .degraded, .rejected { font-size: .85rem; font-weight: 600; }
.ok { color: var(--ok); } .degraded { color: var(--degraded); } .rejected { color: var(--rejected); }
"""
