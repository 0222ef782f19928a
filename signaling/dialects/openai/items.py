"""Items of a conversation, and the text that they show while it grows. Pure.

An item is what was said in one turn: one utterance where the server finds the turns, all utterances between
two commits where the client does. Its deltas are appended and never taken back, so they hold stable text
only, in the order of speech. What the final changed is in the whole transcript.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.hypothesis import Word
from rtc_stt.stabilizer import join_texts

__all__ = ["Item", "Piece", "logprob"]

LEAST_PROBABILITY = 1e-9
"""The logarithm of nothing is no number."""


@dataclass(slots=True)
class Piece:
    """One utterance."""

    id: int
    start_ms: int
    end_ms: int | None = None
    text: str = ""
    """What is stable of it; all of it once it is over."""
    shown: str = ""
    """What deltas have told of it."""
    words: tuple[Word, ...] = ()
    is_over: bool = False
    is_lost: bool = False
    """It was said and could not be decoded."""

    @property
    def seconds(self) -> float:
        """Of speech."""
        return max(0, (self.start_ms if self.end_ms is None else self.end_ms) - self.start_ms) / 1000

    def conclude(self, text: str, words: Iterable[Word] = (), *, is_lost: bool = False) -> None:
        """It is over, with this text."""
        self.text = unicodedata.normalize("NFC", text).strip()
        self.words, self.is_lost, self.is_over = tuple(words), is_lost, True


@dataclass(slots=True)
class Item:
    """See above."""

    id: str
    pieces: list[Piece] = field(default_factory=list)
    seconds: float | None = None
    """Of its audio, where that was counted."""
    is_void: bool = False
    """Its audio was cleared: nothing more is told of it."""
    is_committed: bool = False
    """It has been told of, and waits for its transcript."""
    is_done: bool = False
    """Its whole transcript has been told."""
    _next: int = 0  # which piece is to be shown
    _last: str = ""  # the last character that was

    def grow(self) -> str:
        """What can be told now and was not told before; may be empty."""
        if self.is_void or self.is_done:
            return ""
        grown = ""
        while self._next < len(self.pieces):
            piece = self.pieces[self._next]
            if len(piece.text) > len(piece.shown) and piece.text.startswith(piece.shown):
                new = piece.text[len(piece.shown) :]
                if not piece.shown and self._last:
                    new = join_texts((self._last, new[0]))[1:-1] + new
                grown += new
                piece.shown, self._last = piece.text, new[-1]
            if not piece.is_over:
                break
            self._next += 1
        return grown

    @property
    def transcript(self) -> str:
        """All of it, NFC."""
        return join_texts(piece.text for piece in self.pieces if piece.is_over and piece.text)

    @property
    def is_lost(self) -> bool:
        """Whether something was said and nothing of it could be decoded."""
        return not self.transcript and any(piece.is_lost for piece in self.pieces)

    @property
    def usage(self) -> dict[str, Any]:
        """How much audio it is."""
        spoken = sum(piece.seconds for piece in self.pieces)
        return {"type": "duration", "seconds": round(spoken if self.seconds is None else self.seconds, 3)}

    @property
    def logprobs(self) -> list[dict[str, Any]]:
        """Of each word."""
        return [logprob(word) for piece in self.pieces for word in piece.words]


def logprob(word: Word) -> dict[str, Any]:
    """A word where the protocol has a token."""
    token = unicodedata.normalize("NFC", word.word)
    probability = min(1.0, max(LEAST_PROBABILITY, word.probability))
    return {"token": token, "bytes": list(token.encode()), "logprob": round(math.log(probability), 4)}
