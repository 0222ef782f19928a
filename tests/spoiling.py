"""Texts of lines (SDP, SIP), spoiled in many ways: the same for the same draw."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Spoiler"]

Mistake = Callable[[list[str], int, random.Random], None]
"""Made to lines, at one of them."""


@dataclass(frozen=True, slots=True)
class Spoiler:
    """Makes mistakes.

    Args:
        words: what may come in the place of a word or a value, or into the middle of a line.
        lines: what may come as a line, or in the place of one.
        more: mistakes that only this protocol knows.
    """

    words: Sequence[str]
    lines: Sequence[str]
    more: Sequence[Mistake] = ()

    def spoil(self, text: str, draw: random.Random, *, head: int | None = None) -> str:
        """One to six mistakes.

        Args:
            text: its lines end with CR LF.
            head: mistakes are made in the first so many lines; None: anywhere.
        """
        ways = (self._drop, self._repeat, self._insert, self._replace, self._word, self._value, self._within)
        lines = text.split("\r\n")
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(min(len(lines), head or len(lines)))
            draw.choice((*ways, *self.more))(lines, at, draw)
            # A mistake may have made two lines of one, or none of any.
            lines = "\r\n".join(lines).split("\r\n")
        return "\r\n".join(lines)

    def _drop(self, lines: list[str], at: int, draw: random.Random) -> None:
        del lines[at]

    def _repeat(self, lines: list[str], at: int, draw: random.Random) -> None:
        lines.insert(at, lines[draw.randrange(len(lines))])

    def _insert(self, lines: list[str], at: int, draw: random.Random) -> None:
        lines.insert(at, draw.choice(self.lines))

    def _replace(self, lines: list[str], at: int, draw: random.Random) -> None:
        lines[at] = draw.choice(self.lines)

    def _word(self, lines: list[str], at: int, draw: random.Random) -> None:
        words = lines[at].split(" ")
        words[draw.randrange(len(words))] = draw.choice(self.words)
        lines[at] = " ".join(words)

    def _value(self, lines: list[str], at: int, draw: random.Random) -> None:
        name, colon, value = lines[at].partition(":")
        lines[at] = name + colon + draw.choice((draw.choice(self.words), value + draw.choice(self.words)))

    def _within(self, lines: list[str], at: int, draw: random.Random) -> None:
        cut = draw.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:cut] + draw.choice(self.words) + lines[at][cut:]
