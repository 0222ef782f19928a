"""Which charts the page has, and of what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

from rtc_stt.bench.turns.report import charts, timeline
from rtc_stt.bench.turns.report.charts import Bar, Dot, Part, Series
from rtc_stt.bench.turns.report.figures import View, at, clean, number, sets
from rtc_stt.bench.turns.rows import TurnRow

__all__ = ["latency", "steadiness", "timelines"]

MOST_TIMELINES = 8

Value = Callable[[TurnRow], float | None]


def latency(views: Sequence[View]) -> Iterator[str]:
    """How long it takes: distributions, and where the time goes."""
    yield "<section><h2>How long it takes</h2>"
    yield '<div class="grid">'
    whole = [("TTFS", "from the end of speech to the final", lambda row: row.ttfs_ms)]
    whole.append(("TTFP", "from the start of speech to the first right partial", lambda row: row.ttfp_ms))
    for name, about, value in whole:
        series = _by_result(views, value)
        if any(one.dots for one in series):
            picture = charts.curve(f"curve-{name.lower()}", f"{name}: share of turns by time", series)
            yield _figure(f"{name}: share of turns by time", f"{about}.", picture)
    for name, about, value in whole:
        series = _by_result(views, value) if len(views) > 1 else _by_set(views[0], value)
        series = [one for one in series if one.dots]
        if series:
            picture = charts.strips(f"strip-{name.lower()}", f"{name} of each turn", series)
            told = f"{about}. A dot is a turn; the line is the median, the dashed one p95."
            if any(dot.is_lost for one in series for dot in one.dots):
                told += " A cross had no final and counts as long as was waited."
            yield _figure(f"{name} of each turn", told, picture)
    parts = [(name, found) for name, rows, hangover in _bunches(views) if (found := _parts(rows, hangover))]
    if parts:
        picture = charts.split("split", "Where the time to the final goes", parts)
        yield _figure(
            "Where the time goes",
            "Means, so that the parts add up: the silence that is waited for by configuration, by how much "
            "the endpoint came later than that, and from there to the final.",
            picture,
        )
    points = list(_points(views))
    if points:
        picture = charts.scatter(
            "wer", "Word errors beside latency", points, "median TTFS, ms", "words wrong, %"
        )
        yield _figure("Word errors beside latency", "Below and to the left is better.", picture)
    yield "</div></section>"


def _by_result(views: Sequence[View], value: Value) -> list[Series]:
    return [Series(view.name, look, _dots(view.result.rows, value)) for look, view in enumerate(views)]


def _by_set(view: View, value: Value) -> list[Series]:
    return [
        Series(clean(name), 0, _dots([row for row in view.result.rows if row.set == name], value))
        for name in sets([view])
    ]


def _dots(rows: Sequence[TurnRow], value: Value) -> list[Dot]:
    found = ((row, value(row)) for row in rows)
    return [
        Dot(ms, f"{row.turn}, {number(ms)} ms: {row.said}", row.is_timed_out and ms == row.ttfs_ms)
        for row, ms in found
        if ms is not None
    ]


def _bunches(views: Sequence[View]) -> Iterator[tuple[str, list[TurnRow], float]]:
    """The results; the sets where there is one."""
    if len(views) > 1:
        for view in views:
            yield view.name, list(view.result.rows), view.result.hangover_ms
        return
    for name in sets(views):
        rows = [row for row in views[0].result.rows if row.set == name]
        yield clean(name), rows, views[0].result.hangover_ms


def _parts(rows: Sequence[TurnRow], hangover_ms: float) -> list[Part]:
    """Of the turns with a final; where none has an endpoint, in two parts."""
    done = [row for row in rows if not row.is_timed_out]
    told = [row for row in done if row.eou_ms is not None and 0 <= row.eou_ms <= row.ttfs_ms]
    if told:
        waited = [(min(row.eou_ms or 0.0, hangover_ms), row.eou_ms or 0.0, row.ttfs_ms) for row in told]
        parts = [
            Part("hangover", _mean([wait for wait, _, _ in waited]), "part-hangover"),
            Part("later endpoint", _mean([end - wait for wait, end, _ in waited]), "part-late"),
            Part("endpoint to final", _mean([final - end for _, end, final in waited]), "part-final"),
        ]
    elif done:
        waits = [(min(row.ttfs_ms, hangover_ms), row.ttfs_ms) for row in done]
        parts = [
            Part("hangover", _mean([wait for wait, _ in waits]), "part-hangover"),
            Part("the rest", _mean([final - wait for wait, final in waits]), "part-final"),
        ]
    else:
        parts = []
    return [part for part in parts if part.value > 0]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _points(views: Sequence[View]) -> Iterator[tuple[str, int, float, float]]:
    if len(views) > 1:
        summaries = [(view.name, look, view.summary) for look, view in enumerate(views)]
    else:
        summaries = [(clean(name), 0, views[0].of_set(name)) for name in sets(views)]
    for name, look, summary in summaries:
        time, wrong = at(summary, "ttfs_ms", "p50"), at(summary, "word_error_rate_percent")
        if time is not None and wrong is not None:
            yield name, look, time, wrong


def steadiness(views: Sequence[View]) -> Iterator[str]:
    """How steady what is shown is, and how often a speaker is cut off."""
    yield "<section><h2>How steady and how patient</h2>"
    yield '<div class="grid">'
    shares = (
        ("NE: words taken back", "normalized_erasure"),
        ("UPWR: words that were another one before", "unstable_word_ratio"),
        ("UPSR: turns with such a word", "unstable_turn_ratio"),
    )
    groups = [(label, _bars(views, ("" + key,), 100.0, "%")) for label, key in shares]
    picture = charts.bars("steady", "Words that were shown and changed", _told(groups), at_least=10.0)
    yield _figure("Words that were shown and changed", f"As shares of all. {_retractions(views)}", picture)
    groups = [
        (
            f"pause of {length} ms inside the turn" if length != "0" else "no pause inside the turn",
            [
                Bar(
                    view.name,
                    look,
                    at(view.summary, "false_cut_offs", length, "percent"),
                    _of_turns(at(view.summary, "false_cut_offs", length)),
                )
                for look, view in enumerate(views)
            ],
        )
        for length in _pauses(views)
    ]
    if groups := _told(groups):
        picture = charts.bars("cut-offs", "Turns cut off, by pause", groups, at_least=10.0)
        yield _figure(
            "False cut-offs",
            "Turns taken for done before they were, or told in pieces; in percent, by their longest pause.",
            picture,
        )
    groups = [
        (label, _bars(views, (key, percentile), 1.0, "ms"))
        for label, key, percentile in (
            ("a word's end to when it stands (WEL), p50", "wel_ms", "p50"),
            ("the same, p95", "wel_ms", "p95"),
            ("partial lag, p50", "partial_lag_ms", "p50"),
            ("partial lag, p95", "partial_lag_ms", "p95"),
        )
    ]
    if groups := _told(groups):
        picture = charts.bars("words", "How far the text is behind the voice", groups)
        yield _figure("How far the text is behind the voice", "While somebody speaks.", picture)
    yield "</div></section>"


def _bars(views: Sequence[View], path: tuple[str, ...], scale: float, unit: str) -> list[Bar]:
    made = []
    for look, view in enumerate(views):
        value = at(view.summary, *path)
        known = value if isinstance(value, int | float) else None
        digits = 1 if unit == "%" else 0
        made.append(
            Bar(
                view.name,
                look,
                None if known is None else known * scale,
                "–" if known is None else f"{number(known, digits, scale)} {unit}",
            )
        )
    return made


def _told(groups: list[tuple[str, list[Bar]]]) -> list[tuple[str, list[Bar]]]:
    """Those that any result has."""
    return [group for group in groups if any(bar.value is not None for bar in group[1])]


def _pauses(views: Sequence[View]) -> list[str]:
    found = {length for view in views for length in at(view.summary, "false_cut_offs") or {}}
    return sorted(found, key=lambda length: int(length) if length.isdigit() else 0)


def _of_turns(told: Any) -> str:
    return f"{number(at(told, 'cut_off'))} of {number(at(told, 'turns'))}" if told else "–"


def _retractions(views: Sequence[View]) -> str:
    told = [(view.name, at(view.summary, "retractions")) for view in views]
    some = [f"{name} {count}" for name, count in told if count]
    return (
        f"Text declared stable was changed: {', '.join(some)} times."
        if some
        else "Nothing declared stable changed."
    )


def timelines(views: Sequence[View]) -> Iterator[str]:
    """Some turns, from what was spoken to what was told."""
    chosen = list(_chosen(views))
    if not chosen:
        return
    yield "<section><h2>Turns as they went</h2>"
    yield (
        '<p class="note">Above what was spoken, below what came, and when. In partials, strong text was '
        "declared stable, light text may still change, and text in underlined italics did.</p>"
    )
    for number_, (view, one) in enumerate(chosen):
        yield _turn(f"turn-{number_}", view, one, is_named=len(views) > 1)
    yield "</section>"


def _chosen(views: Sequence[View]) -> Iterator[tuple[View, Any]]:
    """As many of each result as there is room for."""
    share = max(1, MOST_TIMELINES // len(views))
    for view in views:
        for one in [one for one in at(view.json, "timelines") or [] if one["turns"]][:share]:
            yield view, one


def _turn(name: str, view: View, one: Any, *, is_named: bool) -> str:
    shown = timeline.focus(one, view.result.rows)
    turn = one["turns"][shown.index]
    told = [f"set {clean(one['set'])}", clean(one["scene"])]
    if is_named:
        told.insert(0, view.name)
    if shown.row is not None:
        told += ["cut off"] * shown.row.is_cut_off + ["no final"] * shown.row.is_timed_out
    pictures = [
        timeline.draw(
            f"{name}-{css}", one, shown, view.result.hangover_ms, is_narrow=css == "narrow"
        ).replace("<svg ", f'<svg class="{css}" ', 1)
        for css in ("wide", "narrow")
    ]
    said = f"<q>{escape(clean(turn['text']))}</q>"
    return (
        f'<figure class="turn"><figcaption><h3>{said}</h3><p>{escape(" · ".join(told))}</p></figcaption>'
        f"{''.join(pictures)}</figure>"
    )


def _figure(title: str, about: str, picture: str) -> str:
    about = about[:1].upper() + about[1:]
    return (
        f"<figure><figcaption><h3>{escape(title)}</h3><p>{escape(about)}</p></figcaption>{picture}</figure>"
    )
