"""What the charts of the page are made of: text, marks and scales as SVG.

Colours are classes and not attributes, so that one picture does for a light page, a dark one and paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from rtc_stt.bench.plot import steps
from rtc_stt.bench.turns.report.figures import clean

__all__ = ["DASHES", "Scale", "drawing", "line", "mark", "scale", "text", "text_width", "trimmed"]

DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 4")
"""Lines of several results are told apart by these as well as by their colour."""

LOG_FROM = 12.0
"""How many times the least value the greatest must be for a logarithmic axis."""

_NARROW, _WIDE = frozenset("ijlftr.,;:'|!()[] "), frozenset("mwMW@%—…")


def drawing(width: float, height: float, title: str, about: str, name: str, parts: Iterable[str]) -> str:
    """A picture with what a screen reader says of it.

    Args:
        name: of the picture, one of its own on the page.
    """
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(clean(title))}</title>'
        f'<desc id="{name}-d">{escape(clean(about))}</desc>'
        f"{''.join(parts)}</svg>"
    )


def text(x: float, y: float, said: object, css: str = "", anchor: str = "") -> str:
    """A line of text; ``anchor`` is ``middle`` or ``end``, else it starts at ``x``."""
    at = f' text-anchor="{anchor}"' if anchor else ""
    style = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{at}{style}>{escape(clean(said))}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str, extra: str = "") -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"{extra}/>'


def mark(x: float, y: float, series: int, size: float = 4.0, said: str = "") -> str:
    """The mark of a series: its form tells as much as its colour."""
    form = series % 4
    if form == 0:
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"'
    elif form == 1:
        shape = f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:g}" height="{2 * size:g}"'
    else:
        turns = {2: ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)), 3: ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0))}[form]
        corners = " ".join(f"{x + dx * size:.1f},{y + dy * size:.1f}" for dx, dy in turns)
        shape = f'<polygon points="{corners}"'
    hint = f"<title>{escape(clean(said))}</title>" if said else ""
    tag = shape[1:].split(" ", 1)[0]
    return f'{shape} class="s{series % 6} mark">{hint}</{tag}>'


def text_width(said: str, size: float) -> float:
    """About how wide a text is in the sans-serif of a browser; rather more than less."""
    return size * sum(
        0.34 if letter in _NARROW else 0.9 if letter in _WIDE else 1.0 if ord(letter) > 0x2E80 else 0.57
        for letter in said
    )


def trimmed(said: str, size: float, room: float) -> str:
    """The text, or its beginning where there is no room for all of it."""
    if text_width(said, size) <= room:
        return said
    while said and text_width(said + "…", size) > room:
        said = said[:-1]
    return said.rstrip() + "…"


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places on an axis."""

    first: float
    last: float
    start: float
    end: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value is; outside of the axis at its end."""
        low, high = self._moved(self.first), self._moved(self.last)
        share = (self._moved(value) - low) / ((high - low) or 1)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def _moved(self, value: float) -> float:
        return math.log(max(value, self.first)) if self.is_log else value


def scale(values: Sequence[float], start: float, end: float, *, is_position: bool = False) -> Scale:
    """An axis for the values, from 0.

    Args:
        is_position: the place of a mark tells the value, and no length does: the axis may then begin near the
            least of them, and is logarithmic where they are far apart.
    """
    known = [value for value in values if math.isfinite(value)] or [1.0]
    low, high = min(known), max(known)
    if is_position and low > 0 and high / low > LOG_FROM:
        ticks = [
            factor * 10.0**power
            for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for factor in (1, 2, 5)
        ]
        first = max(tick for tick in ticks if tick <= low)
        last = next((tick for tick in ticks if tick >= high), ticks[-1])
        shown = tuple(tick for tick in ticks if first <= tick <= last)
        if len(shown) > 8:
            shown = tuple(tick for tick in shown if math.log10(tick).is_integer())
        return Scale(first, last, start, end, shown, is_log=True)
    if is_position and low > high / 2:
        step = steps(max(high - low, high / 50))[1]
        first, last = math.floor(low / step), math.floor(high / step) + 1
    else:
        step = steps(max(high, -low, 0.0))[1]
        first, last = math.floor(min(low, 0.0) / step + 1e-9), max(1, math.ceil(high / step - 1e-9))
    ticks = [number * step for number in range(first, last + 1)]
    return Scale(ticks[0], ticks[-1], start, end, tuple(ticks))
