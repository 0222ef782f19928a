"""The timeline of a turn: what was spoken, and below it what was shown and told, each at its time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rtc_stt.bench.plot import steps
from rtc_stt.bench.turns.report.figures import clean, number
from rtc_stt.bench.turns.report.svg import drawing, line, text, text_width, trimmed
from rtc_stt.bench.turns.rows import TurnRow
from rtc_stt.bench.words import normalise

__all__ = ["Focus", "draw", "focus"]

Timeline = Mapping[str, Any]
Event = Mapping[str, Any]

BEFORE_MS, AFTER_MS = 250.0, 300.0
LONGEST_MS = 8_000.0
"""Of a longer turn its end is shown: there is where one waits."""

SIZE = 11.0
WAVE = 44.0
STEP = 16.0
"""Between lines of text."""


@dataclass(frozen=True, slots=True)
class Focus:
    """The turn of a timeline that is shown."""

    index: int
    row: TurnRow | None
    """Its figures; None where the result has no row for it."""


@dataclass(frozen=True, slots=True)
class _Room:
    """How wide it is, and which time is where."""

    width: float
    left: float
    first: float
    last: float
    most_partials: int

    def x(self, ms: float) -> float:
        """The place of a moment of the scene."""
        share = (ms - self.first) / (self.last - self.first)
        return self.left + (self.width - self.left - 10) * min(1.0, max(0.0, share))

    def shows(self, ms: float) -> bool:
        """Whether a moment is within."""
        return self.first <= ms <= self.last


def focus(timeline: Timeline, rows: Sequence[TurnRow]) -> Focus:
    """The turn that is worth a look: one cut off, else the slowest."""
    turns = timeline["turns"]
    own = _own_rows(timeline, rows)
    if len(own) != len(turns):
        return Focus(0, None)
    index = max(range(len(own)), key=lambda number: (own[number].is_cut_off, own[number].ttfs_ms))
    return Focus(index, own[index])


def _own_rows(timeline: Timeline, rows: Sequence[TurnRow]) -> list[TurnRow]:
    """Those of the scene, of the round in which the finals came when they came here."""
    finals = [event["at_ms"] for event in timeline["events"] if event["type"] == "final"]
    rounds: dict[int, list[TurnRow]] = {}
    for row in rows:
        if row.scene == timeline["scene"] and row.speaker == timeline["speaker"]:
            rounds.setdefault(row.round, []).append(row)

    def apart(own: Sequence[TurnRow]) -> float:
        ends = [
            turn["end_ms"] + row.ttfs_ms
            for turn, row in zip(timeline["turns"], own, strict=False)
            if not row.is_timed_out
        ]
        return sum(min((abs(end - final) for final in finals), default=0.0) for end in ends)

    return min(rounds.values(), key=apart, default=[])


def draw(name: str, timeline: Timeline, shown: Focus, hangover_ms: float, *, is_narrow: bool) -> str:
    """One picture.

    Args:
        name: of the picture, one of its own on the page.
        is_narrow: for a phone.
    """
    turn = timeline["turns"][shown.index]
    room = _room(timeline, shown, is_narrow=is_narrow)
    events = [event for event in timeline["events"] if room.shows(event["at_ms"])]
    y = 28.0
    parts = list(_wave(timeline, room, y))
    words, y = _words(timeline, room, y + WAVE + 14)
    parts += words
    partials, y = _partials(timeline, events, room, y)
    told, y = _told(events, room, y)
    parts += [*partials, *told]
    parts = [
        *_hangover(turn, hangover_ms, room, y),
        *_axis(turn, room, y),
        *_bounds(turn, room, y),
        *parts,
        *_arrows(turn, shown.row, room),
    ]
    return drawing(room.width, y + 34, _title(timeline, turn), _about(turn, shown.row, events), name, parts)


def _room(timeline: Timeline, shown: Focus, *, is_narrow: bool) -> _Room:
    turn = timeline["turns"][shown.index]
    later = timeline["turns"][shown.index + 1 :]
    end = turn["end_ms"]
    if shown.row is not None and not shown.row.is_timed_out:
        end += shown.row.ttfs_ms
    else:
        limit = later[0]["start_ms"] if later else math.inf
        end = max([end + 1500, *(e["at_ms"] for e in timeline["events"] if end < e["at_ms"] < limit)])
    last = end + AFTER_MS
    first = max(turn["start_ms"] - BEFORE_MS, last - (LONGEST_MS / 2 if is_narrow else LONGEST_MS))
    return _Room(
        360.0 if is_narrow else 920.0, 50.0 if is_narrow else 66.0, first, last, 8 if is_narrow else 11
    )


def _wave(timeline: Timeline, room: _Room, top: float) -> Iterator[str]:
    """The loudness, mirrored about its middle."""
    envelope, middle = timeline["envelope"], top + WAVE / 2
    first, last = max(0, int(room.first // 20)), min(len(envelope), math.ceil(room.last / 20))
    stretch = envelope[first:last]
    yield _lane("spoken", middle + 4)
    if not stretch:
        return
    loudest = max(0.05, *stretch)
    every = max(1, len(stretch) // 260)
    points = [
        (room.x((first + n) * 20), max(0.6, max(stretch[n : n + every]) / loudest * WAVE / 2))
        for n in range(0, len(stretch), every)
    ]
    upper = " ".join(f"{x:.1f},{middle - size:.1f}" for x, size in points)
    lower = " ".join(f"{x:.1f},{middle + size:.1f}" for x, size in reversed(points))
    yield f'<polygon points="{upper} {lower}" class="wave"/>'


def _words(timeline: Timeline, room: _Room, y: float) -> tuple[list[str], float]:
    """What is said, each word below its time, in as many lines as they need."""
    parts: list[str] = []
    free: list[float] = []
    for turn in timeline["turns"]:
        spoken = turn["words"] or [[turn["text"], turn["start_ms"], turn["end_ms"]]]
        for word, start, end in spoken:
            if end < room.first or start > room.last:
                continue
            x1, x2 = room.x(start), room.x(end)
            said = trimmed(clean(word), SIZE, room.width - room.left - 12)
            half = text_width(said, SIZE) / 2
            centre = min(max((x1 + x2) / 2, room.left + half), room.width - 4 - half)
            row = next((n for n, until in enumerate(free) if until <= centre - half), len(free))
            free[row : row + 1] = [centre + half + 3]
            parts.append(line(x1 + 1, y - 10, max(x1 + 2, x2 - 1), y - 10, "word"))
            parts.append(text(centre, y + 3 + row * 13, said, "said", "middle"))
    return parts, y + 13 * max(1, len(free)) + 6


def _partials(timeline: Timeline, events: Sequence[Event], room: _Room, y: float) -> tuple[list[str], float]:
    """A line for each change of what is shown, below each other as the text grows."""
    changes = [e for e in events if e["type"] == "partial" and e.get("text")]
    changes = [e for n, e in enumerate(changes) if n == 0 or e["text"] != changes[n - 1]["text"]]
    kept = _thinned(changes, room.most_partials)
    parts = [_rule(room, y)]
    y += STEP
    parts.append(_lane("partials", y))
    if len(kept) < len(changes):
        parts.append(_lane(f"{len(kept)} of {len(changes)}", y + 12))
    elif not kept:
        parts.append(text(room.left, y, "none", "tick"))
    for event in kept:
        parts += _shown(event, _next_final(timeline, event), room, y)
        y += STEP
    return parts, (y if kept else y + STEP) - 6


def _thinned(changes: Sequence[Event], most: int) -> list[Event]:
    """The first, the last and some between."""
    if len(changes) <= most:
        return list(changes)
    return [changes[round(n * (len(changes) - 1) / (most - 1))] for n in range(most)]


def _next_final(timeline: Timeline, event: Event) -> str | None:
    return next(
        (
            e.get("text", "")
            for e in timeline["events"]
            if e["type"] == "final" and e["at_ms"] >= event["at_ms"]
        ),
        None,
    )


def _shown(event: Event, final: str | None, room: _Room, y: float) -> Iterator[str]:
    """A partial: what was declared stable, what may change, and what did change."""
    said = clean(event["text"])
    stable, last = event.get("stable_chars") or 0, normalise(final or "")
    words: list[tuple[str, str]] = []
    at = place = 0
    for word in said.split():
        at = said.index(word, at) + len(word)
        plain = normalise(word)
        is_changed = final is not None and last[place : place + len(plain)] != plain
        place += len(plain)
        words.append((word, "changed" if is_changed else "stable" if at <= stable else "open"))
    x = room.x(event["at_ms"])
    yield f'<circle cx="{x:.1f}" cy="{y - 4:.1f}" r="2.6" class="told"/>'
    yield _line_of_words(words, x, y, room)


def _line_of_words(words: list[tuple[str, str]], x: float, y: float, room: _Room) -> str:
    """Right of its time, or left of it where there is more room; too long a one without its beginning."""
    ahead, behind = room.width - 4 - (x + 8), (x - 8) - room.left
    is_ahead = _wide(words) <= ahead or ahead >= behind
    cut = False
    while len(words) > 1 and 14 * cut + _wide(words) > max(ahead, behind):
        words, cut = words[1:], True
    joined = " ".join(["…"] * cut + [f'<tspan class="{css}">{escape(word)}</tspan>' for word, css in words])
    if is_ahead:
        return f'<text x="{x + 8:.1f}" y="{y:.1f}" class="shown">{joined}</text>'
    return f'<text x="{x - 8:.1f}" y="{y:.1f}" text-anchor="end" class="shown">{joined}</text>'


def _wide(words: Sequence[tuple[str, str]]) -> float:
    """How much room they take; strong letters are wider."""
    return sum(text_width(f"{word} ", SIZE * (1.08 if css in _STRONG else 1.0)) for word, css in words)


_STRONG = frozenset({"stable", "final"})

_LANES = (
    ("eager", ("eager", "resumed")),
    ("endpoint", ("endpoint",)),
    ("final", ("final", "dropped", "failed")),
)
_NAMES = {"resumed": "taken back", "dropped": "dropped", "failed": "failed", "endpoint": ""}


def _told(events: Sequence[Event], room: _Room, y: float) -> tuple[list[str], float]:
    """Lanes of what is told beside partials; one that has nothing is left out, but for the final."""
    parts: list[str] = []
    for name, types in _LANES:
        own = [event for event in events if event["type"] in types]
        if not own and name != "final":
            continue
        parts.append(_rule(room, y))
        y += STEP
        parts.append(_lane(name, y))
        for event in own:
            x = room.x(event["at_ms"])
            parts.append(_symbol(event["type"], x, y - 4))
            said = _NAMES.get(event["type"]) if event["type"] in _NAMES else event.get("text", "")
            if said:
                parts.append(_line_of_words([(w, event["type"]) for w in clean(said).split()], x, y, room))
                y += STEP
        if not own:
            parts.append(text(room.left, y, "none", "tick"))
        if not own or not (own[-1].get("text") or _NAMES.get(own[-1]["type"])):
            y += STEP
        y -= 6
    return parts, y


def _symbol(type: str, x: float, y: float) -> str:
    if type in {"eager", "resumed"}:
        css = "told" if type == "eager" else "told hollow"
        return f'<path d="M{x:.1f},{y - 4.6:.1f}l4.6,4.6l-4.6,4.6l-4.6,-4.6z" class="{css}"/>'
    if type == "endpoint":
        return f'<path d="M{x - 4.5:.1f},{y - 4:.1f}h9l-4.5,8z" class="told"/>'
    if type == "final":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" class="final-mark"/>'
    return f'<path d="M{x - 4:.1f},{y - 4:.1f}l8,8m0,-8l-8,8" class="lost"/>'


def _bounds(turn: Mapping[str, Any], room: _Room, bottom: float) -> Iterator[str]:
    """Where the turn begins and ends."""
    for ms, said, anchor in ((turn["start_ms"], "speech begins", ""), (turn["end_ms"], "speech ends", "end")):
        if room.shows(ms):
            x = room.x(ms)
            yield line(x, 18, x, bottom + 4, "bound")
            yield text(x, bottom + 29, said, "bound-name", "end" if anchor and x > 80 else "")


def _hangover(turn: Mapping[str, Any], hangover_ms: float, room: _Room, bottom: float) -> Iterator[str]:
    x1, x2 = room.x(turn["end_ms"]), room.x(turn["end_ms"] + hangover_ms)
    if x2 > x1:
        yield f'<rect x="{x1:.1f}" y="28" width="{x2 - x1:.1f}" height="{bottom - 28:.1f}" class="hangover"/>'
        if text_width("hangover", 10) + 6 < x2 - x1:
            yield text((x1 + x2) / 2, 40, "hangover", "tick", "middle")


def _arrows(turn: Mapping[str, Any], row: TurnRow | None, room: _Room) -> Iterator[str]:
    """TTFP and TTFS as they are measured."""
    if row is None:
        return
    taken = 0.0
    measured = [("TTFP", turn["start_ms"], row.ttfp_ms)]
    measured.append(("TTFS", turn["end_ms"], None if row.is_timed_out else row.ttfs_ms))
    for name, start, length in measured:
        if length is None or not room.shows(start):
            continue
        x1, x2 = sorted((room.x(start), room.x(start + length)))
        said = f"{name} {number(length)} ms"
        wide = text_width(said, SIZE) + 4
        centre = min(max((x1 + x2) / 2, wide / 2), room.width - wide / 2)
        centre = max(centre, taken + wide / 2 + 4)
        taken = centre + wide / 2
        yield line(x1, 21, x2, 21, "arrow")
        yield f'<path d="M{x1 + 5:.1f},18l-5,3l5,3M{x2 - 5:.1f},18l5,3l-5,3" class="arrow"/>'
        yield text(centre, 13, said, "measured", "middle")


def _axis(turn: Mapping[str, Any], room: _Room, bottom: float) -> Iterator[str]:
    """Seconds from the start of the turn."""
    origin = turn["start_ms"]
    step = steps((room.last - room.first) / 1000 * (2.2 if room.width < 500 else 1.1))[1]
    for count in range(math.ceil((room.first - origin) / 1000 / step), 1000):
        ms = origin + count * step * 1000
        if ms > room.last:
            break
        yield line(room.x(ms), 28, room.x(ms), bottom, "grid")
        yield text(room.x(ms), bottom + 14, f"{count * step:g} s".replace("-", "−"), "tick", "middle")
    yield line(room.left, bottom, room.width - 10, bottom, "axis")


def _lane(name: str, y: float) -> str:
    return text(0, y, name, "lane")


def _rule(room: _Room, y: float) -> str:
    return line(0, y + 1, room.width - 10, y + 1, "grid")


def _title(timeline: Timeline, turn: Mapping[str, Any]) -> str:
    return f"A turn of the set {timeline['set']}: {turn['text']}"


def _about(turn: Mapping[str, Any], row: TurnRow | None, events: Sequence[Event]) -> str:
    told = "; ".join(
        f"{(event['at_ms'] - turn['start_ms']) / 1000:.2f} s {event['type']} {event.get('text', '')}".rstrip()
        for event in events
    )
    length = (turn["end_ms"] - turn["start_ms"]) / 1000
    figures = f" TTFS {number(row.ttfs_ms)} ms, TTFP {number(row.ttfp_ms)} ms." if row else ""
    return f"Speech lasts {length:.2f} s.{figures} From its start: {told}."
