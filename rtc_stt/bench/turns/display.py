"""What was on show for a turn at each moment, and how steady it was. Pure.

On show are the texts of all utterances of the turn, one after the other: of each its final, or else its last
partial, or the eager text that was not taken back. Words are compared: a capital letter or a comma that
changes is no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rtc_stt.bench.turns.told import Eager, Partial
from rtc_stt.bench.turns.utterances import Utterance
from rtc_stt.bench.words import align, normalise

__all__ = ["FLICKER_S", "Show", "Standing", "displays", "erased", "seen", "standing"]

FLICKER_S = 0.001
"""A final and the partial behind it may be told one after the other: what stood between them, nobody saw."""


@dataclass(frozen=True, slots=True)
class Show:
    """All that is on show for a turn from a moment on."""

    at: float
    """Monotonic seconds."""
    words: tuple[str, ...]
    is_partial: bool
    """What changed it is a partial or an eager text with a word in it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of one word of the finals."""

    since: float | None
    """When it was first shown never to go away again; None: it is not on show."""
    is_revised: bool
    """Another word was shown in its place before."""


def displays(utterances: Sequence[Utterance]) -> list[Show]:
    """What is on show at each change.

    Args:
        utterances: those of one turn, in the order in which they came.
    """
    changes = sorted(
        ((shown.at, place, shown) for place, own in enumerate(utterances) for shown in own.shown),
        key=lambda change: change[0],
    )
    texts: list[list[str]] = [[] for _ in utterances]
    shows = []
    for at, place, shown in changes:
        texts[place] = normalise(shown.text)
        is_partial = isinstance(shown.told, Partial | Eager) and bool(texts[place])
        shows.append(Show(at, tuple(word for text in texts for word in text), is_partial))
    return shows


def seen(shows: Sequence[Show]) -> list[Show]:
    """Those that stood for at least :data:`FLICKER_S`."""
    return [show for show, after in pairwise(shows) if after.at - show.at >= FLICKER_S] + list(shows[-1:])


def erased(shows: Iterable[Show]) -> int:
    """Words that were taken back: of each change, all behind the first word that differs.

    The erasure of Arivazhagan et al. 2020, "Re-translation versus Streaming for Simultaneous Translation"
    (section 2.3), whose sum over the words of the final is the normalized erasure.
    """
    return sum(len(before.words) - _common(before.words, after.words) for before, after in pairwise(shows))


def standing(shows: Sequence[Show], final: Sequence[str]) -> list[Standing]:
    """Of each word of the finals, since when it stands, and whether another stood in its place.

    A word is followed from each show to the next by the fewest edits, and so into the final.
    """
    words: Sequence[str] = ()
    known: list[Standing] = []
    for show in shows:
        known = _follow(words, known, show.words, show.at)
        words = show.words
    return _follow(words, known, final, None)


def _follow(
    before: Sequence[str], known: Sequence[Standing], after: Sequence[str], at: float | None
) -> list[Standing]:
    followed = []
    for i, j in align(before, after):
        if j is None:
            continue
        if i is not None and before[i] == after[j]:
            followed.append(known[i])
        else:
            followed.append(Standing(at, i is not None))
    return followed


def _common(before: Sequence[str], after: Sequence[str]) -> int:
    """How many words they begin with alike."""
    alike = 0
    while alike < min(len(before), len(after)) and before[alike] == after[alike]:
        alike += 1
    return alike
