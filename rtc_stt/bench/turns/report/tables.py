"""The tables of the page: all figures by set, and the turns that took longest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from rtc_stt.bench.turns.report.figures import STEADY, TIMES, Column, View, clean, number, sets
from rtc_stt.bench.turns.rows import TurnRow

__all__ = ["figures", "overview", "slowest"]

SLOWEST = 12

_OVERVIEW = (
    *TIMES[:2],
    *TIMES[3:5],
    Column("TTFP", "p50", ("ttfp_ms", "p50")),
    Column("EOU", "p50", ("eou_ms", "p50")),
    Column("", "NE", ("normalized_erasure",), 2),
    Column("", "retr.", ("retractions",)),
    Column("", "missed", ("timed_out",)),
    Column("", "WER %", ("word_error_rate_percent",), 1),
)


def overview(views: Sequence[View]) -> Iterator[str]:
    """The results, a row each."""
    rows = [("first" if not number else "", [view.name], view.summary) for number, view in enumerate(views)]
    yield from _table("The results side by side; times in ms", ["result"], _OVERVIEW, rows)


def figures(views: Sequence[View]) -> Iterator[str]:
    """All figures: sets as rows, and in each the results."""
    heads = ["set", "result"] if len(views) > 1 else ["set"]
    rows = list(_rows(views))
    yield "<section><h2>All figures</h2>"
    yield from _table("Times, in ms, by set of turns", heads, TIMES, rows)
    yield from _table("How steady and how right, by set of turns", heads, STEADY, rows)
    yield "</section>"


def _rows(views: Sequence[View]) -> Iterator[tuple[str, list[str], Mapping[str, Any]]]:
    for one in [*sets(views), None]:
        css = "first"
        for view in views:
            summary = view.summary if one is None else view.of_set(one)
            if summary:
                name = "all" if one is None else clean(one)
                yield css, [name, view.name] if len(views) > 1 else [name], summary
                css = ""


def _table(
    caption: str,
    heads: Sequence[str],
    columns: Sequence[Column],
    rows: Sequence[tuple[str, Sequence[str], Mapping[str, Any]]],
) -> Iterator[str]:
    groups = [(name, list(members)) for name, members in groupby(columns, key=lambda column: column.group)]
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
    yield f"<caption>{escape(caption)}</caption><thead><tr>"
    yield from (f'<th scope="col" rowspan="2" class="left">{escape(head)}</th>' for head in heads)
    yield '<th scope="col" rowspan="2">turns</th>'
    for name, members in groups:
        if name:
            yield f'<th scope="colgroup" colspan="{len(members)}" class="starts">{escape(name)}</th>'
        else:
            yield f'<td colspan="{len(members)}"></td>'
    yield "</tr><tr>"
    for _, members in groups:
        for place, column in enumerate(members):
            yield f'<th scope="col"{_starts(place)}>{escape(column.head)}</th>'
    yield "</tr></thead><tbody>"
    for css, titles, summary in rows:
        yield f'<tr class="{css}">' if css else "<tr>"
        yield from (f'<th scope="row">{escape(title)}</th>' for title in titles)
        yield f"<td>{number(summary.get('turns'))}</td>"
        for _, members in groups:
            for place, column in enumerate(members):
                yield f"<td{_starts(place)}>{column.text(summary)}</td>"
        yield "</tr>"
    yield "</tbody></table></div>"


def _starts(place: int) -> str:
    return ' class="starts"' if place == 0 else ""


def slowest(views: Sequence[View]) -> Iterator[str]:
    """The turns with the longest TTFS, with what was said and heard."""
    rows = sorted(
        ((row, view) for view in views for row in view.result.rows), key=lambda pair: -pair[0].ttfs_ms
    )[:SLOWEST]
    if not rows:
        return
    is_many = len(views) > 1
    yield "<section><h2>The slowest turns</h2>"
    yield '<div class="scroll" tabindex="0" role="region" aria-label="The slowest turns"><table>'
    yield f"<caption>The {len(rows)} turns with the longest TTFS; times in ms</caption><thead><tr>"
    yield '<th scope="col" class="left">turn</th>'
    if is_many:
        yield '<th scope="col" class="left">result</th>'
    yield "".join(f'<th scope="col">{head}</th>' for head in ("TTFS", "EOU", "TTFP", "errors"))
    yield '<th scope="col" class="left">said, and heard where it differs</th></tr></thead><tbody>'
    for row, view in rows:
        yield f'<tr><th scope="row">{escape(clean(_name(row)))}</th>'
        if is_many:
            yield f'<td class="left">{escape(view.name)}</td>'
        ttfs = "none" if row.is_timed_out else number(row.ttfs_ms)
        yield f"<td>{ttfs}</td><td>{number(row.eou_ms)}</td><td>{number(row.ttfp_ms)}</td>"
        yield f"<td>{row.word_errors} of {row.words}</td>"
        yield f'<td class="left words">{_texts(row)}</td></tr>'
    yield "</tbody></table></div></section>"


def _name(row: TurnRow) -> str:
    plain = row.turn if row.turn.startswith(row.scene) else f"{row.scene} {row.turn}"
    return plain + (f", speaker {row.speaker + 1}" if row.speaker else "")


def _texts(row: TurnRow) -> str:
    said = f"<p>{escape(clean(row.said))}</p>"
    if row.word_errors == 0 and row.heard:
        return said
    return f"{said}<p><del>heard:</del> {escape(clean(row.heard)) or 'nothing'}</p>"
