"""The charts of the page: how times are distributed, where they go, how steady and right the text is.

All are as wide as a phone, and stand beside each other where there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from rtc_stt.bench.turns.report.figures import clean, number
from rtc_stt.bench.turns.report.svg import (
    DASHES,
    Scale,
    drawing,
    line,
    mark,
    scale,
    text,
    text_width,
    trimmed,
)
from rtc_stt.percentiles import nearest_rank

__all__ = ["Bar", "Dot", "Part", "Series", "bars", "curve", "scatter", "split", "strips"]

WIDTH = 380.0
LEFT, RIGHT = 8.0, 14.0
MOST_DOTS = 300
"""Of a series: more cannot be told apart, and make the page heavy."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A turn."""

    value: float
    about: str = ""
    is_lost: bool = False
    """It timed out: the value is the patience and no measurement."""


@dataclass(frozen=True, slots=True)
class Series:
    """A result, or a set of one. ``look`` is its colour, dash and form of mark, from 0."""

    name: str
    look: int
    dots: Sequence[Dot]

    def ordered(self) -> list[float]:
        """Its values, rising."""
        return sorted(dot.value for dot in self.dots)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a stacked bar."""

    name: str
    value: float
    css: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A value that is told from 0."""

    name: str
    look: int
    value: float | None
    said: str
    """As it stands beside the bar."""


def curve(name: str, title: str, series: Sequence[Series]) -> str:
    """Which share of turns is within which time, with p50, p95 and p99 where they lie."""
    height, top, bottom = 250.0, 22.0, 214.0
    left = 40.0
    across = scale([v for one in series for v in one.ordered()], left, WIDTH - RIGHT, is_position=True)

    def up(share: float) -> float:
        return bottom - (bottom - top) * share

    parts = [*_across(across, top, bottom, height - 6, "ms")]
    for percent in (0, 50, 95):
        y = up(percent / 100)
        parts += [line(left, y, WIDTH - RIGHT, y, "axis" if percent == 0 else "grid")]
        parts += [text(left - 6, y + 3.5, f"{percent} %", "tick", "end")]
    parts.append(text(4, 11, "share of turns that are done", "tick"))
    for one in series:
        values = one.ordered()
        if not values:
            continue
        dash = f' stroke-dasharray="{DASHES[one.look % 6]}"' if DASHES[one.look % 6] else ""
        parts.append(f'<path d="{_steps_path(values, across, up)}" class="s{one.look % 6} curve"{dash}/>')
        for percent in (50, 95):
            value = nearest_rank(values, percent)
            x, y = across(value), up(percent / 100)
            parts.append(mark(x, y, one.look, 3.6, f"{one.name}: p{percent} {number(value)} ms"))
            if len(series) == 1:
                parts.append(_beside(x, y, f"p{percent} {number(value)}"))
    about = "; ".join(f"{one.name}: {_percentiles(one.ordered())}" for one in series)
    return drawing(WIDTH, height, title, about, name, parts)


def strips(name: str, title: str, series: Sequence[Series]) -> str:
    """A dot for each turn, a row for each series; the median and the p95 are marked."""
    row, top = 46.0, 8.0
    bottom = top + row * len(series)
    across = scale(
        [v for one in series for v in one.ordered()], LEFT + 4, WIDTH - RIGHT - 4, is_position=True
    )
    parts = [*_across(across, top + 10, bottom, bottom + 32, "ms")]
    for index, one in enumerate(series):
        values, base = one.ordered(), top + row * index
        parts.append(text(LEFT, base + 10, trimmed(one.name, 11, 190), "label"))
        middle = base + 29
        parts.append(line(LEFT, base + row, WIDTH - RIGHT, base + row, "grid"))
        for place, dot in enumerate(_thinned(one.dots)):
            # A golden ratio of the number: spread evenly, and the same each time.
            y = middle + ((place * 0.618034) % 1 - 0.5) * 17
            parts.append(_dot(across(dot.value), y, one.look, dot))
        if values:
            marked = [nearest_rank(values, percent) for percent in (50, 95)]
            for value, css in zip(marked, ("median", "p95"), strict=True):
                x = across(value)
                parts.append(line(x, middle - 12, x, middle + 12, css))
            said = f"p50 {number(marked[0])} · p95 {number(marked[1])}"
            parts.append(text(WIDTH - RIGHT, base + 10, said, "figure", "end"))
    about = "; ".join(f"{one.name}: {_percentiles(one.ordered())}" for one in series)
    return drawing(WIDTH, bottom + 38, title, about, name, parts)


def split(name: str, title: str, rows: Sequence[tuple[str, Sequence[Part]]]) -> str:
    """Times that add up, as parts of a bar."""
    row, top = 44.0, 30.0
    bottom = top + row * len(rows)
    across = scale([sum(p.value for p in parts) for _, parts in rows], LEFT, WIDTH - RIGHT - 52)
    drawn = [*_across(across, top + 10, bottom, bottom + 32, "ms")]
    x = LEFT
    for key, css in dict.fromkeys((piece.name, piece.css) for _, pieces in rows for piece in pieces):
        drawn.append(f'<rect x="{x:.1f}" y="2" width="11" height="11" class="{css}"/>')
        drawn.append(text(x + 16, 11.5, key, "tick"))
        x += text_width(key, 10) + 34
    for index, (label, pieces) in enumerate(rows):
        base, x = top + row * index, LEFT
        drawn.append(text(LEFT, base + 10, trimmed(label, 11, WIDTH - 30), "label"))
        for piece in pieces:
            width = across(piece.value) - across(0)
            drawn.append(
                f'<rect x="{x:.1f}" y="{base + 16:.1f}" width="{max(0.0, width):.1f}" height="18" '
                f'class="{piece.css}"><title>{piece.name}: {number(piece.value)} ms</title></rect>'
            )
            said = number(piece.value)
            if width > text_width(said, 11) + 8:
                drawn.append(text(x + width / 2, base + 29, said, f"on-{piece.css}", "middle"))
            x += width
        drawn.append(text(x + 6, base + 29, number(sum(p.value for p in pieces)), "figure"))
    about = "; ".join(
        f"{label}: " + ", ".join(f"{p.name} {number(p.value)} ms" for p in pieces) for label, pieces in rows
    )
    return drawing(WIDTH, bottom + 38, title, about, name, drawn)


def bars(name: str, title: str, groups: Sequence[tuple[str, Sequence[Bar]]], *, at_least: float = 0.0) -> str:
    """Groups of values, each from 0 on one scale, with the value in words beside it.

    Args:
        at_least: how far the scale reaches at least, so that little does not look like much.
    """
    values = [bar.value for _, group in groups for bar in group if bar.value is not None]
    across = scale([*values, at_least], LEFT, WIDTH - RIGHT - 96)
    is_named = any(len(group) > 1 for _, group in groups)
    y, parts = 4.0, [""]
    for label, group in groups:
        y += 14
        parts.append(text(LEFT, y, label, "label"))
        y += 6
        for bar in group:
            end = across(bar.value or 0.0)
            parts.append(
                f'<rect x="{LEFT}" y="{y:.1f}" width="{max(1.0, end - LEFT):.1f}" height="11" '
                f'class="s{bar.look % 6} bar"/>'
            )
            said = bar.said if not is_named else f"{bar.said}  {trimmed(bar.name, 10.5, 84)}"
            parts.append(text(end + 6, y + 9.5, said, "figure"))
            y += 16
        y += 8
    parts[0] = line(LEFT, 8, LEFT, y - 6, "axis")
    about = "; ".join(
        f"{label}: " + ", ".join(f"{b.name} {b.said}" for b in group) for label, group in groups
    )
    return drawing(WIDTH, y + 2, title, about, name, parts)


def scatter(
    name: str,
    title: str,
    points: Sequence[tuple[str, int, float, float]],
    across_name: str,
    upward_name: str,
) -> str:
    """Named points ``(name, look, across, upward)``: below and to the left is better."""
    height, top, bottom, left = 250.0, 24.0, 212.0, 34.0
    across = scale([x for _, _, x, _ in points], left, WIDTH - 96, is_position=True)
    upward = scale([*(y for *_, y in points), 1.0], bottom, top)
    parts = [*_across(across, top, bottom, height - 6, across_name)]
    for tick in upward.ticks:
        parts.append(line(left, upward(tick), WIDTH - RIGHT, upward(tick), "grid" if tick else "axis"))
        parts.append(text(left - 6, upward(tick) + 3.5, f"{tick:g}", "tick", "end"))
    parts.append(text(4, 11, upward_name, "tick"))
    placed = sorted(points, key=lambda point: upward(point[3]))
    for (label, look, x, y), beside in zip(
        placed, _apart([upward(y) for *_, y in placed], bottom), strict=True
    ):
        at_x, at_y = across(x), upward(y)
        if abs(beside - at_y) > 4:
            parts.append(line(at_x + 3, at_y, at_x + 13, beside, "axis"))
        parts.append(mark(at_x, at_y, look, 4.4, f"{label}: {number(x)} ms, {number(y, 1)} %"))
        parts.append(text(at_x + 15, beside + 3.5, trimmed(label, 11, WIDTH - at_x - 16), "label"))
    about = "; ".join(f"{label}: {number(x)} ms, {number(y, 1)} %" for label, _, x, y in points)
    return drawing(WIDTH, height, title, about, name, parts)


def _apart(places: Sequence[float], bottom: float) -> list[float]:
    """Rising places, moved so that lines of text do not cover each other."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + 13 if moved else place))
    limit = bottom - 4
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - 13
    return moved


def _across(axis: Scale, top: float, bottom: float, below: float, unit: str) -> list[str]:
    parts = []
    for tick in axis.ticks:
        x = axis(tick)
        parts.append(line(x, top, x, bottom, "grid"))
        parts.append(text(x, bottom + 14, number(tick, 0 if tick >= 1 or tick == 0 else 1), "tick", "middle"))
    parts.append(text(axis.end, below, unit + (", logarithmic" if axis.is_log else ""), "tick", "end"))
    return parts


def _steps_path(values: Sequence[float], across: Scale, up: Callable[[float], float]) -> str:
    """The share of values that are not above each one."""
    every = max(1, len(values) // MOST_DOTS)
    path = [f"M{across(values[0]):.1f},{up(0):.1f}"]
    for rank, value in enumerate(values, 1):
        if rank % every == 0 or rank in {1, len(values)}:
            path.append(f"H{across(value):.1f}V{up(rank / len(values)):.1f}")
    return "".join(path)


def _dot(x: float, y: float, look: int, dot: Dot) -> str:
    hint = f"<title>{escape(clean(dot.about))}</title>" if dot.about else ""
    if dot.is_lost:
        return f'<path d="M{x - 3:.1f},{y - 3:.1f}l6,6m0,-6l-6,6" class="lost">{hint}</path>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" class="s{look % 6} dot">{hint}</circle>'


def _beside(x: float, y: float, said: str) -> str:
    """A text right of a point, or left of it where there is no room."""
    if x + 9 + text_width(said, 11) > WIDTH - 4:
        return text(x - 9, y - 7, said, "figure halo", "end")
    return text(x + 9, y + 14, said, "figure halo")


def _thinned(dots: Sequence[Dot]) -> list[Dot]:
    """So many as can be told apart: evenly from all, those that are lost and the greatest always."""
    if len(dots) <= MOST_DOTS:
        return list(dots)
    ordered = sorted(dots, key=lambda dot: (dot.is_lost, dot.value))
    kept = ordered[:: -(-len(ordered) // MOST_DOTS)]
    return [*kept, *(dot for dot in ordered[-10:] if dot not in kept)]


def _percentiles(values: Sequence[float]) -> str:
    if not values:
        return "no values"
    told = ", ".join(f"p{percent} {number(nearest_rank(values, percent))} ms" for percent in (50, 95, 99))
    return f"{told} of {len(values)}"
