"""Whether two texts say the same. Pure."""

from __future__ import annotations

import unicodedata

__all__ = ["same_words"]


def same_words(one: str, other: str) -> bool:
    """Whether two texts differ in case, punctuation and spaces at most.

    >>> same_words("Book a table, please.", "book a table please")
    True
    """
    return _words(one) == _words(other)


def _words(text: str) -> str:
    """Letters with their marks, digits and symbols, and the signs that are spoken; all else is a space."""
    kept = (
        c if unicodedata.category(c)[0] in "LMNS" or c in "'%#&@" else " " for c in text.replace("’", "'")
    )
    return " ".join("".join(kept).casefold().split())
