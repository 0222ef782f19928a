"""Word error rate without any dependency: other tools and tests import this."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["normalise", "word_error_rate", "word_errors"]

_NOT_WORD = re.compile(r"[^\w' ]")


def normalise(text: str) -> list[str]:
    """The words that count: lower case, hyphens as spaces, no punctuation except the apostrophe."""
    return _NOT_WORD.sub(" ", text.lower().replace("’", "'").replace("-", " ")).split()


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Fewest substitutions, insertions and deletions, and the number of words of the reference.

    >>> word_errors("Book a table for two.", "book the table two")
    (2, 5)
    """
    wanted, got = normalise(reference), normalise(hypothesis)
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            substitution = diagonal + (word != other)
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, substitution)
    return row[-1], len(wanted)


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Errors of all (reference, hypothesis) pairs over the references' words; 0.0 without words."""
    counts = [word_errors(reference, hypothesis) for reference, hypothesis in pairs]
    words = sum(count for _, count in counts)
    return sum(errors for errors, _ in counts) / words if words else 0.0
