"""Values out of CAN frames, by a DBC file; codes that stand in place of a value are told and never scaled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volest.errors import MissingExtraError, WeightError
from volest.weighing.source import bytes_of

if TYPE_CHECKING:
    from can import Message
    from cantools.database.can import Database
    from cantools.database.can import Message as Layout
    from cantools.database.can.signal import Signal

__all__ = ["Decoder", "group_number", "j1939", "own_database"]

MAX_BYTES = 2_000_000
J1939_DBC = Path(__file__).parents[1] / "data" / "j1939.dbc"


@cache
def j1939() -> Database:
    """The weights of SAE J1939 and what stands beside them: volest/data/j1939.dbc."""
    return _parse(J1939_DBC, J1939_DBC.read_text("utf-8"))


def own_database(path: Path) -> Database:
    """The database of a user's DBC file; raises WeightError naming the file and what is wrong with it."""
    content = bytes_of(path, MAX_BYTES, "a DBC file")
    return _parse(path, content.decode("cp1252", errors="replace"))  # DBC files are written by Windows programs


def _parse(path: Path, text: str) -> Database:
    try:
        from cantools.database import load_string
    except ImportError as error:
        raise MissingExtraError("a CAN log", "server") from error
    try:
        database: Any = load_string(text, database_format="dbc")
    except Exception as error:  # the parser is somebody else's: whatever it raises, the file cannot be read
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightError(f"{path}: no valid DBC file ({reason})") from error
    return database  # type: ignore[no-any-return]


def group_number(arbitration_id: int) -> int:
    """The parameter group number of a J1939 identifier (SAE J1939-21): without priority, addresses and destination."""
    group = (arbitration_id >> 8) & 0x3FFFF
    return group if (group >> 8) & 0xFF >= 0xF0 else group & 0x3FF00


@dataclass(slots=True)
class Decoder:
    """Physical values of the wanted signals of a database; counts what it refuses.

    A message of J1939 is known by its parameter group whatever its priority and source, any other by its identifier.
    """

    database: Database
    wanted: dict[str, set[str]]  # signals by message
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # by (MESSAGE.SIGNAL, why)
    _groups: dict[int, Layout] = field(init=False, default_factory=dict)
    _identifiers: dict[tuple[int, bool], Layout] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for layout in self.database.messages:
            if layout.name not in self.wanted:
                continue
            if layout.protocol == "j1939" and layout.is_extended_frame:
                self._groups[group_number(layout.frame_id)] = layout
            else:
                self._identifiers[layout.frame_id, layout.is_extended_frame] = layout

    def values(self, frame: Message) -> tuple[str, dict[str, float]] | None:
        """The message's name and its wanted signals, NaN where refused; None for a frame that holds none."""
        layout = self._identifiers.get((frame.arbitration_id, frame.is_extended_id))
        if layout is None and frame.is_extended_id:
            layout = self._groups.get(group_number(frame.arbitration_id))
        if layout is None or frame.is_remote_frame or frame.is_error_frame:
            return None
        if len(frame.data) < layout.length or len(frame.data) != frame.dlc:
            self.refused[layout.name, "cut off"] += 1
            return None
        try:
            raw: Any = layout.decode(bytes(frame.data), decode_choices=False, scaling=False)
        except Exception:  # a multiplexer that the DBC does not know, say
            self.refused[layout.name, "not as the DBC says"] += 1
            return None
        wanted = self.wanted[layout.name]
        signals = [signal for signal in layout.signals if signal.name in wanted and signal.name in raw]
        return layout.name, {signal.name: self._value(layout, signal, raw[signal.name]) for signal in signals}

    def _value(self, layout: Layout, signal: Signal, raw: float) -> float:
        if layout.protocol == "j1939" and not signal.is_float and not signal.is_signed:
            code = _code(signal.length, int(raw))
            if code is not None and signal.spn != 928:  # the axle location has its own
                self.refused[f"{layout.name}.{signal.name}", code] += 1
                return math.nan
        value = float(signal.conversion.raw_to_scaled(raw, decode_choices=False))  # type: ignore[arg-type]
        least, most = signal.minimum, signal.maximum
        bounded = least is not None and most is not None and least < most
        if not math.isfinite(value) or (bounded and not float(least or 0) <= value <= float(most or 0)):
            self.refused[f"{layout.name}.{signal.name}", "out of range"] += 1
            return math.nan
        return value

    def refusals(self, names: Iterable[str]) -> list[str]:
        """What was refused of these signals and messages, a sentence each."""
        names = set(names)
        return [
            f"{name}: {count} times {why!r}, refused"
            for (name, why), count in sorted(self.refused.items())
            if name in names or name in {full.partition(".")[0] for full in names}
        ]


def _code(bits: int, raw: int) -> str | None:
    """What a raw value of J1939 says in place of a value (SAE J1939-71, transmitted signal ranges)."""
    if bits % 8 or not bits:
        return None
    top = raw >> (bits - 8)
    if top <= 0xFA:
        return None
    return {0xFF: "not available", 0xFE: "error", 0xFB: "specific indicator"}.get(top, "reserved")
