"""The page: one HTML file with everything in it, that asks for nothing from anywhere.

All texts come from results, and results from elsewhere: every one of them is escaped, and the page's own
policy forbids scripts and every request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape

from rtc_stt.bench.turns.report import drawings, tables
from rtc_stt.bench.turns.report.figures import View, alarms, at, clean, machine, names, number, sentences
from rtc_stt.bench.turns.report.style import STYLE
from rtc_stt.bench.turns.report.svg import DASHES, mark
from rtc_stt.bench.turns.result import Result

__all__ = ["page"]

_HATCH = (
    '<svg width="0" height="0" aria-hidden="true" class="defs"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" class="hatch-ground"/>'
    '<line x1="0" y1="0" x2="0" y2="6" class="hatch-line"/></pattern></defs></svg>'
)

_WORDS = (
    (
        "TTFS",
        "from the true end of speech to the last final of the turn; lost turns count as long as was waited",
    ),
    ("less hangover", "the same without the silence that the recogniser was configured to wait for"),
    ("EOU", "from the true end of speech to the endpoint; read it beside the false cut-offs"),
    ("cut off", "an endpoint or a final before the end of speech, or a turn in several finals"),
    ("TTFP", "from the start of speech to the first partial whose first word is right"),
    ("WEL", "from the end of a word to when it is shown and never changes again"),
    ("NE", "words taken back, as a share of the words of finals"),
    ("UPWR, UPSR", "words that were shown otherwise before, as a share of all; turns with such a word"),
    ("retr.", "changes to text that had been declared stable; must be none"),
    ("WER, CER", "fewest edits, as a share of the words (characters) said"),
    ("p50, p95, p99", "by nearest rank: each is a value that was measured"),
)


def page(results: Sequence[Result]) -> str:
    """The page of one result, or of several side by side.

    Raises:
        ValueError: there is none.
    """
    if not results:
        raise ValueError("a page needs a result")
    views = names(results)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escape(_title(views))}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *_head(views),
            "<main>",
            *drawings.latency(views),
            *drawings.timelines(views),
            *drawings.steadiness(views),
            *tables.figures(views),
            *tables.slowest(views),
            *_facts(views),
            *_vocabulary(),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _policy() -> str:
    """Nothing but the one style sheet; forms and links of other roots neither."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _title(views: Sequence[View]) -> str:
    if len(views) == 1:
        median = at(views[0].summary, "ttfs_ms", "p50")
        return f"{views[0].name}: {number(median)} ms from the end of speech to the final"
    return f"{len(views)} recognisers side by side: how long from the end of speech to the final"


def _head(views: Sequence[View]) -> Iterator[str]:
    yield "<header>"
    yield _HATCH
    yield '<p class="eyebrow">Benchmark of realtime turns</p>'
    yield f"<h1>{escape(_title(views))}</h1>"
    for said in sentences(views):
        yield f'<p class="soft">{escape(said)}.</p>'
    for view in views:
        for alarm in alarms(view):
            said = f"{view.name}: {alarm}" if len(views) > 1 else alarm
            yield f'<p class="alarm" role="alert">{escape(said)}</p>'
    if len(views) == 1:
        yield from _tiles(views[0])
    else:
        yield '<ul class="key" aria-label="Results">'
        for look, view in enumerate(views):
            yield f"<li>{_swatch(look)}{escape(view.name)}</li>"
        yield "</ul>"
        yield from tables.overview(views)
    yield "</header>"


def _swatch(look: int) -> str:
    dash = f' stroke-dasharray="{DASHES[look % 6]}"' if DASHES[look % 6] else ""
    return (
        '<svg viewBox="0 0 34 12" aria-hidden="true">'
        f'<path d="M0,6H34" class="s{look % 6} curve"{dash}/>{mark(17, 6, look, 4)}</svg>'
    )


def _tiles(view: View) -> Iterator[str]:
    summary = view.summary
    tiles = (
        ("TTFS, median", number(at(summary, "ttfs_ms", "p50")), "ms"),
        ("TTFS, p95", number(at(summary, "ttfs_ms", "p95")), "ms"),
        ("less hangover, median", number(at(summary, "ttfs_less_hangover_ms", "p50")), "ms"),
        ("TTFP, median", number(at(summary, "ttfp_ms", "p50")), "ms"),
        ("words taken back (NE)", number(at(summary, "normalized_erasure"), 2), ""),
        ("word errors (WER)", number(at(summary, "word_error_rate_percent"), 1), "%"),
    )
    yield '<dl class="tiles">'
    for name, value, unit in tiles:
        small = f" <small>{unit}</small>" if unit and value != "–" else ""
        yield f"<div><dt>{name}</dt><dd>{value}{small}</dd></div>"
    yield "</dl>"


def _facts(views: Sequence[View]) -> Iterator[str]:
    yield '<section><h2>How it was measured</h2><div class="facts-of">'
    for view in views:
        yield f"<div><h3>{escape(view.name)}</h3>" if len(views) > 1 else "<div>"
        yield '<dl class="facts">'
        for name, value in machine(view.json):
            yield f"<dt>{escape(name)}</dt><dd>{escape(clean(value))}</dd>"
        yield "</dl></div>"
    yield "</div></section>"


def _vocabulary() -> Iterator[str]:
    yield '<section><h2>What the words mean</h2><dl class="facts words">'
    for name, meaning in _WORDS:
        yield f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>"
    yield "</dl></section>"
