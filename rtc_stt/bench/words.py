"""What words are, and the fewest edits from one text to another: word and character errors.

Pure, and nothing but the standard library is imported: tools and tests use it wherever they run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "Edits",
    "align",
    "char_errors",
    "edits",
    "normalise",
    "word_error_rate",
    "word_errors",
]

_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
"""Thai to Khmer, Kana and Han letters: writing without spaces between words."""


@dataclass(frozen=True, slots=True)
class Edits:
    """How one text became another, in words."""

    lost: int
    added: int
    changed: int
    words: int
    """Of the reference."""

    @property
    def errors(self) -> int:
        """All of them."""
        return self.lost + self.added + self.changed


def normalise(text: str) -> list[str]:
    """The words that count: without case, punctuation and hyphens, apostrophes only inside a word.

    Where words are not written apart, each letter is one.

    >>> normalise("It's a ‘well-known’ place.")
    ["it's", 'a', 'well', 'known', 'place']
    """
    plain = unicodedata.normalize("NFC", text).casefold().replace("’", "'")
    kept = "".join(c if c.isalnum() or c == "'" or unicodedata.category(c)[0] == "M" else " " for c in plain)
    parts = (part.strip("'") for part in _UNSPACED.sub(r" \1 ", kept).split())
    return [part for part in parts if part]


def word_errors(reference: str, heard: str) -> tuple[int, int]:
    """Fewest substitutions, insertions and deletions, and the number of words of the reference.

    >>> word_errors("Book a table for two.", "book the table two")
    (2, 5)
    """
    words = normalise(reference)
    return _distance(words, normalise(heard)), len(words)


def char_errors(reference: str, heard: str) -> tuple[int, int]:
    """The same over the characters of the words; spaces do not count.

    >>> char_errors("Good night", "goodnite")
    (3, 9)
    """
    characters = "".join(normalise(reference))
    return _distance(characters, "".join(normalise(heard))), len(characters)


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Errors of all (reference, heard) pairs over the references' words; 0.0 without words."""
    counts = [word_errors(reference, heard) for reference, heard in pairs]
    words = sum(count for _, count in counts)
    return sum(errors for errors, _ in counts) / words if words else 0.0


def edits(reference: str, heard: str) -> Edits:
    """Words that were lost, added and changed, by the fewest edits; among equals fewest are lost."""
    before, after = normalise(reference), normalise(heard)
    # Of the best way from before[:i] to after[:j]: edits · unit + words kept; a row for each i.
    unit = len(before) + len(after) + 1
    row = [unit * j for j in range(len(after) + 1)]
    for word in before:
        above, row = row, [row[0] + unit]
        for j, other in enumerate(after):
            row.append(min(above[j] + (1 if word == other else unit), above[j + 1] + unit, row[j] + unit))
    errors, kept = divmod(row[-1], unit)
    added = errors - len(before) + kept
    lost = len(before) - len(after) + added
    return Edits(lost, added, errors - lost - added, len(before))


def align(before: Sequence[str], after: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Which word became which, by the fewest edits; among equals most words are kept, as early as can be.

    Returns:
        Pairs of indices in order: ``(i, j)`` kept or changed, ``(i, None)`` lost, ``(None, j)`` added.
    """
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    pairs: list[tuple[int | None, int | None]] = []
    ways = _ways(before[same:], after[same:])
    i, j = len(before), len(after)
    while i > same or j > same:
        way = ways[i - same][j - same]
        i, j = i - (way != _ADDED), j - (way != _LOST)
        pairs.append((None if way == _ADDED else i, None if way == _LOST else j))
    return [(i, i) for i in range(same)] + pairs[::-1]


_ADDED, _LOST, _PAIRED = range(3)


def _ways(before: Sequence[str], after: Sequence[str]) -> list[bytes]:
    """The last step of the best way from ``before[:i]`` to ``after[:j]``, shape ``(i + 1, j + 1)``."""
    # edits · unit - words kept, as in edits(). Leaving words out comes last, so that what is kept is early.
    unit = len(before) + len(after) + 1
    row = [unit * j for j in range(len(after) + 1)]
    ways = [bytes([_ADDED]) * len(row)]
    for word in before:
        above, row = row, [row[0] + unit]
        steps = bytearray([_LOST])
        for j, other in enumerate(after):
            paired = above[j] + (-1 if word == other else unit)
            cost = min(row[j], above[j + 1]) + unit
            steps.append(_PAIRED if paired < cost else _ADDED if row[j] <= above[j + 1] else _LOST)
            row.append(min(paired, cost))
        ways.append(bytes(steps))
    return ways


def _distance(before: Sequence[Hashable], after: Sequence[Hashable]) -> int:
    """Fewest edits. A column of the table is the bits of two numbers (Myers 1999; Hyyrö 2003, figure 3)."""
    if not before:
        return len(after)
    places: dict[Hashable, int] = {}
    for i, item in enumerate(before):
        places[item] = places.get(item, 0) | 1 << i
    every, last = (1 << len(before)) - 1, 1 << (len(before) - 1)
    more, less, distance = every, 0, len(before)
    for item in after:
        equal = places.get(item, 0)
        down = equal | less
        across = (((equal & more) + more) ^ more) | equal
        rises, falls = less | (every & ~(across | more)), more & across
        distance += bool(rises & last) - bool(falls & last)
        rises, falls = rises << 1 | 1, falls << 1
        more, less = (falls | ~(down | rises)) & every, rises & down & every
    return distance
