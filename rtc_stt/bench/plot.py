"""Line charts as SVG, beside each other; nothing but text is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Chart", "Line", "decades", "steps", "write"]

WIDTH, HEIGHT = 320, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 40, 44
COLOURS = ("#c2410c", "#0f766e", "#4338ca", "#a16207", "#0369a1", "#9d174d")

MAX_TICKS = 8
"""Of an axis across, each where a point is; with more of them there are round values."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over one axis; each of the two begins at 0 unless it is logarithmic."""

    title: str
    across: str
    upward: str
    lines: Sequence[Line]
    log: bool = False
    mark: float | None = None
    """Where on the axis across something is marked."""
    log_across: bool = False


def write(charts: Sequence[Chart]) -> str:
    """The whole picture; readable on a light and on a dark page. Lines of one name have one colour."""
    width, height = WIDTH * len(charts), HEIGHT + 24
    names = dict.fromkeys(line.name for chart in charts for line in chart.lines)
    colours = dict(zip(names, COLOURS, strict=False))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, chart in enumerate(charts):
        parts.append(f'<g transform="translate({number * WIDTH} 0)">{_chart(chart, colours)}</g>')
    for number, (name, colour) in enumerate(colours.items()):
        x = LEFT + 120 * number
        parts.append(
            f'<rect x="{x}" y="{HEIGHT + 2}" width="14" height="4" fill="{colour}"/>'
            f'<text x="{x + 20}" y="{HEIGHT + 8}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _chart(chart: Chart, colours: Mapping[str, str]) -> str:
    points = [point for line in chart.lines for point in line.points]
    left, right = min(x for x, _ in points), max(x for x, _ in points) or 1
    grid = decades([y for _, y in points]) if chart.log else steps(max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        if chart.log:
            height = math.log(max(y, grid[0]) / grid[0]) / math.log(grid[-1] / grid[0])
        else:
            height = y / grid[-1]
        share = math.log(x / left) / math.log(right / left) if chart.log_across else x / right
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * share,
            HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height,
        )

    parts = [
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(chart.title)}</text>',
        f'<text x="{LEFT}" y="32" fill="#555">{escape(chart.upward)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 12}" text-anchor="end" fill="#555">'
        f"{escape(chart.across)}</text>",
    ]
    for value in grid:
        _, y = place(left, value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    ticks = sorted({x for x, _ in points})
    for x in ticks if len(ticks) <= MAX_TICKS else [x for x in steps(right) if x <= right]:
        at, base = place(x, 0)
        parts.append(f'<text x="{at:.1f}" y="{base + 15:.1f}" text-anchor="middle">{_short(x)}</text>')
    if chart.mark is not None:
        x, base = place(chart.mark, 0)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{base:.1f}" '
            'stroke="#888" stroke-dasharray="4 3"/>'
        )
    for line in chart.lines:
        colour = colours[line.name]
        placed = [place(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
    return "".join(parts)


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def steps(top: float) -> list[float]:
    """Round values from 0 to at least ``top``, three to seven of them."""
    if top <= 0:
        return [0.0, 1.0]
    size = 10.0 ** math.floor(math.log10(top / 4))
    step = next(size * factor for factor in (1, 2, 5, 10) if top / (size * factor) <= 6)
    return [number * step for number in range(math.ceil(top / step - 1e-9) + 1)]


def decades(values: Sequence[float]) -> list[float]:
    """Powers of ten around all values above 0."""
    values = [value for value in values if value > 0] or [1.0]
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]
