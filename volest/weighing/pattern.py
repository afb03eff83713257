"""Regular expressions of users that cannot run for ever: what has matched is never taken back."""

from __future__ import annotations

import re

__all__ = ["compiled"]

MOST_CHARACTERS = 512
_TOKEN = re.compile(
    r"""(?P<escape>\\.)
      | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
      | (?P<open>\((?:\?P<[A-Za-z_]\w*>|\?:)?(?!\?))
      | (?P<close>\))
      | (?P<repeat>[*+?]|\{\d*,?\d*\})(?P<lazy>[?+]?)
      | (?P<plain>[^()\[\\])""",
    re.DOTALL | re.VERBOSE,
)


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern with every repeat possessive and every group atomic, as in a parsing expression grammar.

    Without backtracking a match takes a time that is linear in the text. Raises ValueError for what is no such pattern:
    look-around, back-references, conditions and lazy repeats are not known.
    """
    if len(pattern) > MOST_CHARACTERS:
        raise ValueError(f"found {len(pattern)} characters, expected at most {MOST_CHARACTERS}")
    parts, at = [], 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise ValueError(f"character {at}: found {pattern[at : at + 10]!r}, expected a plain regular expression")
        at = token.end()
        parts.append(_atomic(token))
    try:
        return re.compile("".join(parts), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _atomic(token: re.Match[str]) -> str:
    text = token[0]
    if token["open"]:
        return f"(?>{text}"
    if token["close"]:
        return "))"
    if token["repeat"]:
        if token["lazy"] == "?":
            raise ValueError(f"found the lazy repeat {text!r}, expected {text[:-1]!r}")
        return f"{token['repeat']}+"
    if token["escape"] and (text[1].isdigit() or text[1] in "gkAZ"):
        raise ValueError(f"found {text!r}, expected no reference")
    return text
