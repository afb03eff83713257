"""What a ticket shows: its code, told so that nobody mistakes it, a picture of the load, texts in two languages."""

from __future__ import annotations

import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volest.serve.scene import MAGIC, OUTSIDE

__all__ = ["Texts", "grouped", "picture_svg", "plain_code", "qr_svg"]

LEVELS = 12
LOW, HIGH = (222, 235, 247), (8, 48, 107)  # a single hue from light to dark, legible when printed in grey
MISTAKEN = str.maketrans({"O": "0", "I": "1", "L": "1"})  # Crockford's base 32 has none of these letters


def plain_code(told: str) -> str:
    """A code as it is stored, from what somebody typed."""
    return re.sub(r"[^0-9A-Z]", "", told.upper())[:32].translate(MISTAKEN)


def grouped(code: str) -> str:
    """A code for the eye."""
    return "-".join(code[i : i + 4] for i in range(0, len(code), 4))


def qr_svg(text: str) -> Any:
    """A QR code (ISO/IEC 18004) as inline SVG."""
    import segno
    from markupsafe import Markup

    content = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        content, kind="svg", xmldecl=False, svgns=True, svgclass="qr", lineclass=None, omitsize=True, border=2
    )
    return Markup(content.getvalue().decode())  # noqa: S704  # of our own making


def picture_svg(scene: bytes) -> Any:
    """The height of a load from above, as inline SVG: a path for each of twelve levels; y upwards, x to the right."""
    from markupsafe import Markup

    header, height, kind = _read(scene)
    rows, columns = height.shape
    shown = kind != OUTSIDE
    low, high = float(height[shown].min()), float(height[shown].max())
    level = np.clip((height - low) / max(high - low, 1e-6) * LEVELS, 0, LEVELS - 1)
    level = np.where(shown, np.nan_to_num(level), -1).astype(np.int64)
    paths = []
    for index in range(LEVELS):
        runs = "".join(_runs(level == index, rows))
        if runs:
            paths.append(f'<path fill="{_colour(index)}" d="{runs}"/>')
    title = f"{low:.2f} - {high:.2f} m"
    x0, y0, cell = header["x0_m"], header["y0_m"], header["cell_m"]
    corners = [((x - x0) / cell + 0.5, rows - 0.5 - (y - y0) / cell) for x, y in header["bed_outline"]]
    edge = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return Markup(  # noqa: S704  # of numbers alone
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" viewBox="-1 -1 {columns + 2} {rows + 2}" '
        f'role="img" shape-rendering="crispEdges"><title>{title}</title>{"".join(paths)}'
        f'<polygon points="{edge}" fill="none" stroke="#222222" stroke-width="0.7"/></svg>'
    )


def _read(scene: bytes) -> tuple[dict[str, Any], NDArray[np.float32], NDArray[np.uint8]]:
    assert scene[:4] == MAGIC
    size = struct.unpack_from("<I", scene, 4)[0]
    header = json.loads(scene[8 : 8 + size])
    shape, cells = (header["rows"], header["cols"]), header["rows"] * header["cols"]
    height = np.frombuffer(scene, "<f4", cells, 8 + size + 4 * cells).reshape(shape)
    return header, height, np.frombuffer(scene, np.uint8, cells, 8 + size + 8 * cells).reshape(shape)


def _runs(mask: NDArray[np.bool_], rows: int) -> list[str]:
    """Cells that lie beside each other in a row, as rectangles of a path."""
    found = []
    for row, cells in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], cells, [False]]).astype(np.int8)))
        found += [f"M{a} {rows - 1 - row}h{b - a}v1h-{b - a}z" for a, b in edges.reshape(-1, 2).tolist()]
    return found


def _colour(index: int) -> str:
    part = index / (LEVELS - 1)
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(LOW, HIGH, strict=True))


class Texts:
    """The templates of the page's folder in one language. Raises FileNotFoundError without them."""

    def __init__(self, folder: Path, lang: str) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        self._lang, self._text = lang, json.loads((folder / "texts" / f"{lang}.json").read_text("utf-8"))
        self._environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
        self._environment.filters |= {"number": self._number, "interval": self._interval}

    def filled(self, template: str, **told: Any) -> str:
        """A template with what is told."""
        return self._environment.get_template(template).render(lang=self._lang, text=self._text, **told)

    def _number(self, value: float, digits: int = 0) -> str:
        from babel.numbers import format_decimal

        return format_decimal(value, "#,##0." + "0" * digits if digits else "#,##0", locale=self._lang)

    def _interval(self, quantity: dict[str, float], digits: int = 0) -> str:
        return f"{self._number(quantity['lower95'], digits)} – {self._number(quantity['upper95'], digits)}"
