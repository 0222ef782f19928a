"""What was said as subtitle cues: SubRip and WebVTT."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rtc_stt.events import TranscriptFinal
from rtc_stt.hypothesis import Word

__all__ = ["Cue", "cues", "render_cue", "subtitle"]

LINE = 42
"""Characters; broadcasters and players agree on about so many."""

LINES = 2

LONGEST_MS = 7_000
"""Of one cue, as far as its words allow; longer ones are read twice."""

LEAST_MS = 1
"""A cue that ends where it begins is none to players."""

_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_CLAUSE_END = re.compile(r"[,;:、，；：][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class Cue:
    """A text, and when it is shown, in ms."""

    start_ms: int
    end_ms: int
    text: str


def subtitle(final: TranscriptFinal, form: str, number: int) -> str:
    """A final as one cue, ``form`` being ``srt`` or ``vtt``; a blank line follows it."""
    return render_cue(Cue(final.audio_start_ms, final.audio_end_ms, final.text), form, number)


def render_cue(cue: Cue, form: str, number: int) -> str:
    """One cue, ``form`` being ``srt`` or ``vtt``; a blank line follows it."""
    mark = "," if form == "srt" else "."
    end_ms = max(cue.end_ms, cue.start_ms + LEAST_MS)
    span = f"{_clock(cue.start_ms, mark)} --> {_clock(end_ms, mark)}"
    # An empty line ends a cue, and WebVTT has tags and character references (§3.4 of its recommendation).
    text = "\n".join(line for line in cue.text.splitlines() if line.strip())
    if form == "vtt":
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = [span, text, ""]
    return "\n".join([str(number), *lines] if form == "srt" else lines)


def cues(text: str, start_ms: int, end_ms: int, words: Sequence[Word]) -> list[Cue]:
    """A text as cues that can be read: at most two lines and about seven seconds each, cut where it pauses.

    Without the times of its words, or where they are of other words, it is one cue.
    """
    text = " ".join(text.split())
    if not text:
        return []
    pieces = _pieces(text, words)
    if not pieces:
        return [Cue(start_ms, end_ms, _in_lines(text))]
    return [
        Cue(group[0].start_ms, max(piece.end_ms for piece in group), _in_lines(_said(group)))
        for group in _groups(pieces)
    ]


def _pieces(text: str, words: Sequence[Word]) -> list[Cue]:
    """The text cut into its words, each with the white space before it; none where they do not make it up."""
    pieces, at = list[Cue](), 0
    for word in words:
        said = " ".join(word.word.split())
        found = text.find(said, at)
        if not said or text[at:found].strip():
            return []
        pieces.append(Cue(word.start_ms, word.end_ms, text[at : found + len(said)]))
        at = found + len(said)
    return pieces if not text[at:].strip() else []


def _groups(pieces: Sequence[Cue]) -> Iterator[list[Cue]]:
    """Each as much as fits into one cue, and ended at the best place that is not too early."""
    group: list[Cue] = []
    for piece in pieces:
        while group and not _fits([*group, piece]):
            cut = max(range(1, len(group) + 1), key=lambda i: (_worth(group, i, piece), i))
            yield group[:cut]
            group = group[cut:]
        group.append(piece)
    if group:
        yield group


def _fits(group: Sequence[Cue]) -> bool:
    text = _said(group)
    return (
        len(text) <= LINE * LINES
        and len(_in_lines(text).splitlines()) <= LINES
        and group[-1].end_ms - group[0].start_ms <= LONGEST_MS
    )


def _worth(group: Sequence[Cue], cut: int, following: Cue) -> float:
    """How good it is to end a cue after the first ``cut`` pieces: sentences first, then clauses and pauses.

    A cue of half the length is half as good, so no single word is left alone.
    """
    last = group[cut - 1].text
    after = group[cut] if cut < len(group) else following
    pause_s = max(0, after.start_ms - group[cut - 1].end_ms) / 1000
    value = 1.0 + min(pause_s, 1.0)
    value += 2.0 if _SENTENCE_END.search(last) else 1.0 if _CLAUSE_END.search(last) else 0.0
    return value * cut / len(group)


def _said(group: Sequence[Cue]) -> str:
    return "".join(piece.text for piece in group).strip()


def _in_lines(text: str) -> str:
    """In two lines of about one length where it is too long for one."""
    if len(text) <= LINE:
        return text
    spaces = [i for i, char in enumerate(text) if char == " "]
    fitting = [i for i in spaces if max(i, len(text) - i - 1) <= LINE]
    if fitting:
        cut = min(fitting, key=lambda i: abs(len(text) - 1 - 2 * i))
        return f"{text[:cut]}\n{text[cut + 1 :]}"
    return _wrap(text)


def _wrap(text: str) -> str:
    """As many lines as it takes; cut anywhere where there are no spaces."""
    lines = []
    while len(text) > LINE:
        cut = text.rfind(" ", 0, LINE + 1)
        cut = cut if cut > 0 else LINE
        lines.append(text[:cut])
        text = text[cut:].strip()
    return "\n".join([*lines, text])


def _clock(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"
