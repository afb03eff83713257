"""The languages of reports: words from data files, numbers and dates as the Unicode CLDR has them (Babel)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from volest.errors import InputError, MissingExtraError
from volest.quantity import Quantity
from volest.schema import read_toml

__all__ = ["LANGUAGES", "Language"]

LANGUAGES = ("en", "id")
_LOCALES = {"en": "en_GB", "id": "id_ID"}
_PERCENT = {"en": "\u00a0%", "id": "%"}
NARROW = "\u00a0"


class Language:
    """Words, numbers and dates of one language."""

    def __init__(self, code: str) -> None:
        if code not in LANGUAGES:
            raise InputError(f"language: found {code!r}, expected one of {', '.join(LANGUAGES)}")
        try:
            from babel import Locale
        except ModuleNotFoundError:
            raise MissingExtraError("volest report", "server") from None
        self.code = code
        self._locale = Locale.parse(_LOCALES[code])
        self.words: Mapping[str, str] = read_toml(Path(str(files("volest") / f"data/report/{code}.toml")), InputError)

    def __call__(self, key: str, **values: Any) -> str:
        """The words under a key, with what stands in braces filled in."""
        return self.words[key].format(**values)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with so many digits after the decimal sign."""
        if value is None:
            return self.words["not_known"]
        from babel.numbers import format_decimal

        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, format=pattern, locale=self._locale)

    def with_unit(self, value: float | None, unit: str, digits: int = 0) -> str:
        """A number and its unit."""
        if value is None:
            return self.words["not_known"]
        return self.number(value, digits) + self.unit(unit)

    def unit(self, unit: str) -> str:
        """The unit as it follows a number."""
        return _PERCENT[self.code] if unit == "%" else f"{NARROW}{unit}" if unit else ""

    def interval(self, quantity: Quantity | None, digits: int = 0) -> str:
        """The 95 % interval of a quantity that has one."""
        if quantity is None or quantity.std == 0.0:
            return ""
        return f"{self.number(quantity.lower95, digits)}\u2013{self.number(quantity.upper95, digits)}"

    def date(self, day: date, pattern: str = "d MMMM y") -> str:
        """A day in full, or by a pattern of CLDR."""
        from babel.dates import format_date

        return format_date(day, format=pattern, locale=self._locale)

    def name_of(self, kind: str | None, group: object) -> str:
        """The name of a group: a day, a known source of waste, other text, or that it is not told."""
        if isinstance(group, date):
            return self.date(group, "d MMM y")
        if kind == "source":
            return self.words.get(f"waste_{group}", str(group)) if group is not None else self.words["none_told"]
        return self.words["none_told"] if group is None else str(group)
