"""The table in the terminal: at most 100 columns, sets as rows, results below each other in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from rtc_stt.bench.turns.report.figures import (
    STEADY,
    TIMES,
    Column,
    View,
    alarms,
    clean,
    names,
    sentences,
    sets,
)
from rtc_stt.bench.turns.result import Result

__all__ = ["WIDTH", "table"]

WIDTH = 100
TURNS = 6
"""Letters of a number of turns."""


def table(results: Sequence[Result]) -> str:
    """What was measured, what is wrong with it, and all figures.

    Args:
        results: one or several, to be read side by side.
    """
    views = names(results)
    return "\n".join(_lines(views)) + "\n"


def _lines(views: Sequence[View]) -> Iterator[str]:
    for said in sentences(views):
        yield from _wrapped(said)
    for view in views:
        for alarm in alarms(view):
            yield from _wrapped(f"!! {view.name}: {alarm}" if len(views) > 1 else f"!! {alarm}")
    rows = list(_rows(views))
    for title, columns in (("times, ms", TIMES), ("steady and right", STEADY)):
        yield ""
        yield from _block(title, columns, rows)


Row = tuple[str, str, Mapping[str, Any]]


def _rows(views: Sequence[View]) -> Iterator[Row]:
    """Set, result, summary; the name of a set only once, that of the result where there are several."""
    for one in [*sets(views), None]:
        head = "all" if one is None else clean(one)
        for view in views:
            summary = view.summary if one is None else view.of_set(one)
            if summary:
                yield head, view.name if len(views) > 1 else "", summary
                head = ""


def _block(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
    texts = [[column.text(summary) for column in columns] for _, _, summary in rows]
    wide = [max(map(len, cells)) for cells in zip([column.head for column in columns], *texts, strict=True)]
    groups = [(name, len(list(members))) for name, members in groupby(columns, key=lambda one: one.group)]

    def joined(cells: Sequence[str]) -> Iterator[str]:
        rest = iter(zip(cells, wide, strict=True))
        for name, size in groups:
            yield " ".join(cell.rjust(width) for cell, width in islice(rest, size)).rjust(len(name))

    heads = list(joined([column.head for column in columns]))
    room = WIDTH - TURNS - sum(len(head) + 2 for head in heads)
    second = max(len(name) for _, name, _ in rows)
    second = min(second + 1, room * 3 // 5) if second else 0
    first = min(max(len(title), *(len(name) for name, _, _ in rows)) + 1, room - second)
    above = [name.rjust(len(head)) for (name, _), head in zip(groups, heads, strict=True)]
    yield "  ".join(["".ljust(first + second + TURNS), *above])
    yield "  ".join([_fit(title, first + second) + "turns".rjust(TURNS), *heads])
    for (name, target, summary), cells in zip(rows, texts, strict=True):
        start = _fit(name, first) + _fit(target, second) + str(summary["turns"]).rjust(TURNS)
        yield "  ".join([start, *joined(cells)])


def _fit(text: str, width: int) -> str:
    """A text and a space after it."""
    return (text if len(text) < width else text[: width - 2] + "…" if width > 1 else "").ljust(width)


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > WIDTH:
            yield line
            line = "   " + word
        else:
            line = f"{line} {word}" if line else word
    yield line[:WIDTH]
