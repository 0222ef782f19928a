"""Where is a long utterance committed? Between two words that will not change any more, where it is quiet.

What lies before the point is decoded once more, as a final, and its audio is let go; partials then cover
what lies behind it. Times of words are good to a tenth of a second, and speech that flows has no gap between
words. So the times only say which words a gap is between; where exactly the cut goes, the loudness says. A
pause is waited for; as the segment grows, a lesser and lesser dip will do; and where even that is not found
in time, the quietest place.

Which words lie before the point matters to partials only. Finals are decoded from the audio of either side,
which adjoins, and are never put together from the words of a partial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from rtc_stt.audio import ms_to_samples, samples_to_ms
from rtc_stt.endpointer import Dip, Endpointer
from rtc_stt.hypothesis import Hypothesis
from rtc_stt.stabilizer import normalise_word, split_words

__all__ = ["Commit", "Lengths", "at_any_price", "between_words"]

KEEP_S = 2.0
"""Audio kept behind a cut: a hypothesis of less than this is worth little."""

BOUND_FACTOR = 2.5
BOUND_S = 25.0
"""No segment is longer. Whisper sees 30 s, of which a hangover may take 5."""

PATIENCE_FACTOR = 2.0
"""Up to this multiple of ``commit_after_s`` a dip has to be there: at first a clear one, then a lesser."""

CLEAR_DEPTH = 0.7
"""A dip of 10 dB over 160 ms is a pause. Tried with the demo models, on sentences strung together with 20 to
120 ms between them: of 0.5 to 0.8 it led to the fewest errors."""

PLAUSIBLE_MS = 40, 1_000
"""How long a word takes. Where an alignment goes wrong, many words share a moment or one takes seconds; then
only a clear dip is believed."""

SLACK_MS = 100
"""How far the times of words may be wrong."""

WIDE_SLACK_MS = 200
"""How far from them a clear dip is taken for the gap that is meant: small models are wrong by as much."""

WIDE_GAP_MS = 300
"""A gap between words that is as good as any wider one."""

GAP_BONUS = 0.5
LATE_BONUS = 0.5
"""What a wide gap and a late point are worth, in units of ``Dip.noise``: a pause beats both."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The decision."""

    position: int
    """Where to cut, in samples of media time."""
    words: int
    """How many of the stabilizer's words lie before it."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long a segment may be, in samples."""

    after: int
    """From here on a point is looked for."""
    patient: int
    """Up to here it has to be in a dip."""
    bound: int
    """And here the segment ends wherever it can."""
    keep: int
    """What is kept behind a point."""

    @classmethod
    @lru_cache(maxsize=64)  # it is asked with every window, and nearly all streams have the same option
    def of(cls, commit_after_s: float) -> Lengths:
        """What follows from the option."""
        bound_s = min(BOUND_FACTOR * commit_after_s, BOUND_S)
        return cls(
            after=ms_to_samples(commit_after_s * 1000),
            patient=ms_to_samples(min(PATIENCE_FACTOR * commit_after_s, bound_s) * 1000),
            bound=ms_to_samples(bound_s * 1000),
            keep=ms_to_samples(min(KEEP_S, commit_after_s / 3) * 1000),
        )

    def depth(self, length: int) -> float:
        """How deep a dip has to be in a segment that is so long already."""
        return CLEAR_DEPTH * max(0, self.patient - length) / max(1, self.patient - self.after)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a word of the stabilizer is in the hypothesis, and when it was said, in samples."""

    index: int
    start: int
    end: int

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2

    @property
    def is_plausible(self) -> bool:
        shortest, longest = PLAUSIBLE_MS
        return shortest <= samples_to_ms(self.end - self.start) <= longest


def between_words(
    words: Sequence[str], stable: int, heard: Hypothesis, endpointer: Endpointer, lengths: Lengths
) -> Commit | None:
    """The best point between two of the words that the newest hypothesis has side by side, if there is one.

    Args:
        words: of the stabilizer; only behind one of the first ``stable`` a point may lie.
        heard: the hypothesis for all audio since the last commit, asked for with word times.
    """
    start, end = heard.request.audio_start, heard.request.audio_end
    if end - start <= lengths.after:
        return None
    if not heard.words:  # an engine that does not tell times
        is_known = stable and heard.text.strip()
        return at_any_price(words, heard, endpointer, lengths, start, end) if is_known else None
    first, last = start + lengths.after // 4, end - lengths.keep
    places = _places(words, heard)
    pause = endpointer.quietest(first, last)
    if pause and pause.depth >= CLEAR_DEPTH:  # what sounds like a pause is one, whatever the times say
        count = _words_before(places, pause.position)
        if 0 < count <= stable and _are_neighbours(places[count - 1 : count + 1]):
            return Commit(pause.position, count)
    best: tuple[float, Commit] | None = None
    for count, (left, right) in enumerate(pairwise(places), 1):
        if count > stable:
            break
        if left is None or right is None or not _are_neighbours((left, right)):
            continue
        dip = _dip(endpointer, left, right, first, last)
        if dip is None or dip.depth < lengths.depth(end - start):
            continue
        cost = _cost(dip, right.start - left.end, (dip.position - first) / (last - first))
        if best is None or cost <= best[0]:
            best = cost, Commit(dip.position, count)
    return best[1] if best else None


def at_any_price(
    words: Sequence[str],
    heard: Hypothesis | None,
    endpointer: Endpointer,
    lengths: Lengths,
    start: int,
    end: int,
) -> Commit:
    """The quietest point in the second half of ``[start, end)``, whatever is said there.

    ``heard``: the newest hypothesis for audio from ``start`` on, if there is one. Words are taken to be
    before the point by their times, and where there are none, by proportion.
    """
    last = min(end - lengths.keep, start + lengths.bound)
    dip = endpointer.quietest((start + last) // 2, last)
    position = dip.position if dip else last
    if heard is None:  # what is known is of an earlier window, long ago
        return Commit(position, len(words))
    places = _places(words, heard)
    if not any(places):
        share = (position - start) / (heard.request.audio_end - start)
        return Commit(position, min(len(words), round(share * len(words))))
    return Commit(position, _words_before(places, position))


def _are_neighbours(pair: Sequence[_Place | None]) -> bool:
    """Whether the hypothesis has two words, and side by side."""
    return len(pair) == 2 and all(pair) and pair[1].index == pair[0].index + 1  # type: ignore[union-attr]


def _words_before(places: Sequence[_Place | None], position: int) -> int:
    return max((i for i, place in enumerate(places, 1) if place and place.middle < position), default=0)


def _dip(endpointer: Endpointer, left: _Place, right: _Place, first: int, last: int) -> Dip | None:
    """The place to cut at between two words, within ``[first, last]``."""
    slack, wide = ms_to_samples(SLACK_MS), ms_to_samples(WIDE_SLACK_MS)
    dip = endpointer.quietest(max(first, left.end - wide), min(last, right.start + wide))
    if dip is None or dip.depth >= CLEAR_DEPTH:
        return dip
    if not (left.is_plausible and right.is_plausible):
        return None
    return endpointer.quietest(max(first, left.end - slack), min(last, right.start + slack))


def _cost(dip: Dip, gap: int, lateness: float) -> float:
    width = min(1.0, max(0, gap) / ms_to_samples(WIDE_GAP_MS))
    return dip.noise - GAP_BONUS * width - LATE_BONUS * lateness


def _places(words: Sequence[str], heard: Hypothesis) -> list[_Place | None]:
    """For each word its place in the hypothesis; None where the hypothesis has another one there."""
    units = _units(heard)
    places: list[_Place | None] = [None] * len(words)
    ours, theirs = [normalise_word(w) for w in words], [normalise_word(unit) for unit, _, _ in units]
    for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        for i in range(block.size):
            _, start, end = units[block.b + i]
            places[block.a + i] = _Place(block.b + i, start, end)
    return places


def _units(heard: Hypothesis) -> list[tuple[str, int, int]]:
    """The hypothesis in the stabilizer's units of text, each with its start and end in samples."""
    timed = [(word.word, ms_to_samples(word.start_ms), ms_to_samples(word.end_ms)) for word in heard.words]
    if not timed:
        timed = [(heard.text, heard.request.audio_start, heard.request.audio_end)]
    units = []
    for text, start, end in timed:
        parts = split_words(text.strip())
        length, at = sum(map(len, parts)), 0
        for part in parts:
            unit_start = start + (end - start) * at // length
            at += len(part)
            units.append((part, unit_start, start + (end - start) * at // length))
    return units
