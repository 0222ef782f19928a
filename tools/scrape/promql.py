"""Which metrics and labels an expression is about. Pure.

The expression is one that Prometheus has formatted (``/api/v1/format_query``), so that it is known to be one,
and written in one way only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Selector", "grouped_by", "selectors"]

STRING = r'"(?:[^"\\]|\\.)*"'
MATCHER = rf"([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*({STRING})"
SELECTOR = re.compile(rf"([A-Za-z_:][\w:]*)?\{{((?:[^{{}}\"]|{STRING})*)\}}")
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2", "start", "end"}
WORDS |= {"by", "without", "on", "ignoring", "group_left", "group_right"}


@dataclass(frozen=True, slots=True)
class Selector:
    """One of the sets of series that an expression is made of."""

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()
    """Label, operator, and value in quotes."""

    @property
    def labels(self) -> set[str]:
        """Those that a series has to have: a matcher that also takes an empty value asks for none."""
        return {
            label
            for label, operator, value in self.matchers
            if not (
                operator in ("=~", "!~", "!=") and value != '""' and _takes_nothing(operator, value[1:-1])
            )
        }


def _takes_nothing(operator: str, value: str) -> bool:
    if operator == "!=":
        return value != ""
    return (re.fullmatch(value.replace("\\\\", "\\"), "") is not None) == (operator == "=~")


def selectors(formatted: str) -> set[Selector]:
    """All of them."""
    found = {
        Selector(match[1] or "", tuple((m[1], m[2], m[3]) for m in re.finditer(MATCHER, match[2])))
        for match in SELECTOR.finditer(formatted)
    }
    rest = SELECTOR.sub(" ", formatted)
    rest = GROUPING.sub(" ", re.sub(STRING, " ", rest))
    rest = re.sub(r"\[[^\]]*\]|\b\d[\w.]*(?:[eE][+-]?\d+)?", " ", rest)
    for match in re.finditer(r"([A-Za-z_:][\w:]*)\s*(\()?", rest):
        if not match[2] and match[1].lower() not in WORDS:
            found.add(Selector(match[1]))
    return found


def grouped_by(formatted: str) -> set[str]:
    """Labels by which something is told apart, or put together."""
    return {
        label.strip()
        for match in GROUPING.finditer(re.sub(STRING, '""', formatted))
        if match[1] in ("by", "on")
        for label in match[2].split(",")
        if label.strip()
    }
