"""A dashboard as one picture, drawn here from the answers of Prometheus. No picture of Grafana. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from rtc_stt.bench.plot import COLOURS, steps
from tools.dashboards.panel import Board, Panel

__all__ = ["Series", "draw"]

COLUMN, UNIT, GAP = 44, 26, 8
"""Pixels of a column of the grid, of a unit of height, and between panels."""

HEAD = 64
MAX_LEGEND = 6
SAYS = "Drawn by python -m tools.dashboards.show from what Prometheus answered. Not a screenshot of Grafana."
SCALES = {
    "percentunit": (100, "%"),
    "bytes": (1 / 2**20, " MiB"),
    "s": (1_000, " ms"),
    "Kbits": (1, " kbit/s"),
}
"""Of units: what a value is multiplied by, and what is written behind it."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel."""

    name: str
    points: Sequence[tuple[float, float]]
    """Seconds from the start, and values."""


def draw(board: Board, found: Mapping[str, Sequence[Series]]) -> str:
    """The whole dashboard as SVG.

    Args:
        found: by ``row/panel``, their titles.
    """
    parts: list[str] = []
    top = HEAD
    for row in board.rows:
        parts.append(f'<text x="{GAP}" y="{top + 18}" font-size="15" fill="#333">{escape(row.title)}</text>')
        top, left = top + 26, 0
        height = row.height * UNIT
        for panel in row.panels:
            if left + panel.width > 24:
                top, left = top + height, 0
            body = _panel(panel, found.get(f"{row.title}/{panel.title}", ()), panel.width * COLUMN, height)
            parts.append(f'<g transform="translate({left * COLUMN} {top})">{body}</g>')
            left += panel.width
        top += height
    width = 24 * COLUMN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" '
            f'height="{top}" font-family="sans-serif" font-size="10">',
            f'<rect width="{width}" height="{top}" fill="#f4f5f7"/>',
            f'<text x="{GAP}" y="26" font-size="20" font-weight="bold">{escape(board.title)}</text>',
            f'<text x="{GAP}" y="46" font-size="12" fill="#a33">{SAYS}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _panel(panel: Panel, series: Sequence[Series], width: int, height: int) -> str:
    inner, tall = width - GAP, height - GAP
    shown = [each for each in series if each.points]
    parts = [
        f'<rect x="4" y="4" width="{inner}" height="{tall}" fill="#fff" stroke="#ddd"/>',
        f'<text x="12" y="20" font-weight="bold" font-size="11">{escape(panel.title)}</text>',
    ]
    if not shown:
        parts.append(f'<text x="12" y="{tall / 2:.0f}" fill="#999">no data</text>')
    elif panel.kind == "stat":
        last = shown[0].points[-1][1]
        parts.append(f'<text x="12" y="{tall - 22}" font-size="26">{escape(_told(last, panel.unit))}</text>')
    else:
        parts.append(_lines(panel, shown, inner, tall))
    return "".join(parts)


def _lines(panel: Panel, shown: Sequence[Series], width: int, height: int) -> str:
    left, right, top, bottom = 62, width - 8, 30, height - 32
    highest = max(value for each in shown for _, value in each.points)
    latest = max(at for each in shown for at, _ in each.points) or 1.0
    grid = steps(panel.bounds[1] if panel.bounds else highest)
    tall = bottom - top
    parts = []
    for value in grid:
        y = bottom - tall * value / grid[-1]
        parts.append(
            f'<path d="M{left} {y:.0f}H{right}" stroke="#eee"/><text x="{left - 4}" y="{y + 3:.0f}" '
            f'text-anchor="end" fill="#666">{escape(_told(value, panel.unit))}</text>'
        )
    for number, each in enumerate(shown):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(
            f"{left + (right - left) * at / latest:.0f},{bottom - tall * min(value / grid[-1], 1):.0f}"
            for at, value in each.points
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    room = (width - 16) // min(len(shown), MAX_LEGEND)
    for number, each in enumerate(shown[:MAX_LEGEND]):
        name = each.name if len(each.name) * 6 < room - 10 else each.name[: max(room // 6 - 2, 3)] + "…"
        parts.append(
            f'<text x="{12 + room * number}" y="{height - 6}" '
            f'fill="{COLOURS[number % len(COLOURS)]}">{escape(name)}</text>'
        )
    return "".join(parts)


def _told(value: float, unit: str) -> str:
    """A value as a person reads it."""
    factor, behind = SCALES.get(unit, (1, ""))
    scaled = value * factor
    if scaled and abs(scaled) < 1:
        return f"{scaled:.{1 - math.floor(math.log10(abs(scaled)))}f}{behind}"
    return f"{scaled:,.0f}{behind}" if abs(scaled) >= 100 else f"{scaled:.3g}{behind}"
