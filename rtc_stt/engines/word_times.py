"""When each word was said: from the alignment of tokens to audio, held to where there is sound.

The alignment is CTranslate2's (dynamic time warping over the cross-attention, as OpenAI's Whisper does). It
hands every frame to some token, so silence before, between and behind words belongs to a word too; here it is
taken away again. How near the times come is measured by ``python -m tools.decode_engine word_times``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtc_stt.engines.mel import Mel
from rtc_stt.hypothesis import Word

__all__ = [
    "FRAMES_PER_SECOND",
    "UNSPACED_LANGUAGES",
    "longest_token",
    "sound",
    "sound_after",
    "time_words",
    "token_times",
]

FRAMES_PER_SECOND = 100

SECONDS_PER_POSITION = 0.02
"""The encoder's second convolution has a stride of two."""

PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Whisper's tokenizer splits these at characters; in all others a word begins with white space."""

FLOOR_QUANTILE = 0.2
"""A fifth of what is decoded is no speech (the pre-roll, the pause at the end): so this is a band's noise."""

FLOOR_MARGIN = 0.15
"""6 dB, in the scale of Whisper's log-mel (a quarter of the decimal logarithm of power)."""

SOUND_SHARE = 0.1
"""Of the loudest: what is weaker is no sound of a word."""

SOUND_RUN = 8
"""Frames. Clicks and the peaks of noise are shorter than 80 ms, syllables are longer."""


SOUNDS_ON = 30
"""Frames. Longer than 300 ms no last word sounds on behind where it was said to end."""


LEAST_GAP_S = 0.03
"""A silence as short as this parts two words, where the alignment has their boundary near it …"""

NEAR_S = 0.2
"""… which is as near as this. More helps no further (tried: 0.1 to 0.4, with the demo models) …"""

LEAST_WORD_S = 0.06
"""… and leaves as much to each of the two."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Tokens that make a word or a part of one; times in seconds from the start of the audio."""

    text: str
    start: float
    end: float
    probability: float


def token_times(alignment: Any, tokens: int) -> npt.NDArray[np.float64]:
    """Where each of the first ``tokens`` text tokens begins, and where the last of them ends, in seconds.

    Args:
        alignment: What ``ctranslate2.models.Whisper.align`` gave for at least so many tokens.
    """
    pairs = np.array(alignment.alignments, np.int64).reshape(-1, 2)
    first = np.concatenate([[True], np.diff(pairs[:, 0]) > 0])
    return np.asarray(pairs[first, 1][: tokens + 1] * SECONDS_PER_POSITION, np.float64)


def sound(mel: Mel) -> npt.NDArray[np.bool_]:
    """Which frames hold sound that stands out of the noise, shape ``(frames,)``.

    Band by band against that band's own floor, so that hum and hiss count little.
    """
    floor = np.quantile(mel, FLOOR_QUANTILE, axis=1, keepdims=True)
    above = np.clip(mel - floor - FLOOR_MARGIN, 0, None).mean(axis=0)
    smooth = np.convolve(above, np.full(3, 1 / 3), "same")[: mel.shape[1]]
    loud = (smooth > 0) & (smooth >= SOUND_SHARE * np.quantile(smooth, 0.9))
    for start, end in _runs(loud):
        if end - start < SOUND_RUN:
            loud[start:end] = False
    return np.asarray(loud, np.bool_)


def _runs(loud: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Starts and ends of what is loud, shape ``(runs, 2)``."""
    return np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]))).reshape(-1, 2)


def sound_after(loud: npt.NDArray[np.bool_], seconds: float) -> float:
    """From there to the last sound, in seconds; 0 where what sounds there is the last.

    Where a text ends is told only roughly, so a word that sounds on there counts as its own.
    """
    runs = _runs(loud)
    if not len(runs):
        return 0.0
    end = seconds * FRAMES_PER_SECOND
    sounding = [stop for start, stop in runs if start <= end < stop]
    end = min([*sounding, end + SOUNDS_ON]) if sounding else end
    return max(0.0, float(runs[-1][1] - end) / FRAMES_PER_SECOND)


def longest_token(loud: npt.NDArray[np.bool_], times: npt.NDArray[np.float64]) -> float:
    """Seconds of sound in the token that holds most, of :func:`token_times`."""
    frames = np.round(times * FRAMES_PER_SECOND).astype(np.int64)
    held = [int(loud[start:end].sum()) for start, end in itertools.pairwise(frames)]
    return max(held, default=0) / FRAMES_PER_SECOND


def time_words(
    tokenizer: Any, tokens: Sequence[int], alignment: Any, mel: Mel, origin_ms: int
) -> tuple[Word, ...]:
    """The words of these text tokens, with media times.

    Args:
        tokenizer: Of the language of the text.
        alignment: As for :func:`token_times`.
        mel: The real frames, without padding.
        origin_ms: Media time of the first frame.
    """
    if not tokens:
        return ()
    pieces = _pieces(tokenizer, tokens, alignment)
    if tokenizer.language_code not in UNSPACED_LANGUAGES:
        pieces = _join(pieces)
    loud = sound(mel)
    pieces = _to_gaps(pieces, loud)
    words = []
    for piece in pieces:
        start, end = _within_sound(piece, loud)
        words.append(
            Word(
                word=piece.text.strip(),
                start_ms=origin_ms + round(start * 1000),
                end_ms=origin_ms + round(end * 1000),
                probability=round(piece.probability, 4),
            )
        )
    return tuple(words)


def _pieces(tokenizer: Any, tokens: Sequence[int], alignment: Any) -> list[_Piece]:
    """What the tokenizer takes for words, each with its punctuation."""
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    times = token_times(alignment, len(tokens))
    pieces: list[_Piece] = []
    position = 0
    for text, group in zip(texts[:-1], groups[:-1], strict=True):
        after = position + len(group)
        probability = float(np.mean(alignment.text_token_probs[position:after]))
        piece = _Piece(text, float(times[position]), float(times[after]), probability)
        position = after
        if pieces and (text in APPENDED_PUNCTUATION or _opens(pieces[-1].text)):
            pieces[-1] = _joined(pieces[-1], piece)
        else:
            pieces.append(piece)
    return [piece for piece in pieces if piece.text.strip()]


def _opens(text: str) -> bool:
    """Whether this is punctuation that belongs to the next word."""
    return text.startswith(" ") and bool(text.strip()) and text.strip() in PREPENDED_PUNCTUATION


def _joined(one: _Piece, other: _Piece) -> _Piece:
    """Two as one, as probable as the less probable; punctuation is no word and does not count."""
    spoken = [piece.probability for piece in (one, other) if any(c.isalnum() for c in piece.text)]
    return _Piece(one.text + other.text, one.start, other.end, min(spoken, default=one.probability))


def _join(pieces: Sequence[_Piece]) -> list[_Piece]:
    """One piece a word: an apostrophe or a hyphen within a word makes two of it (``o'clock``)."""
    words: list[_Piece] = []
    for piece in pieces:
        if words and not piece.text[0].isspace():
            words[-1] = _joined(words[-1], piece)
        else:
            words.append(piece)
    return words


def _to_gaps(pieces: Sequence[_Piece], loud: npt.NDArray[np.bool_]) -> list[_Piece]:
    """Move each boundary between two words to the nearest gap in the sound, if one is near."""
    runs = _runs(loud) / FRAMES_PER_SECOND
    gaps = [(one[1], other[0]) for one, other in itertools.pairwise(runs) if other[0] - one[1] >= LEAST_GAP_S]
    moved = list(pieces)
    for i in range(len(moved) - 1):
        left, right = moved[i], moved[i + 1]
        best = min(gaps, key=lambda gap: max(gap[0] - right.start, left.end - gap[1], 0.0), default=None)
        if best is None:
            break
        far = max(best[0] - right.start, left.end - best[1], 0.0)
        keeps_both = best[0] - left.start >= LEAST_WORD_S and right.end - best[1] >= LEAST_WORD_S
        if far <= NEAR_S and keeps_both:
            moved[i] = replace(left, end=best[0])
            moved[i + 1] = replace(right, start=best[1])
    return moved


def _within_sound(piece: _Piece, loud: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Start and end without the silence at either side; as they are where there is no sound."""
    first, last = (round(seconds * FRAMES_PER_SECOND) for seconds in (piece.start, piece.end))
    # A sliver at the edge is the neighbour's sound.
    runs = [run for run in _runs(loud[first:last]) if run[1] - run[0] >= SOUND_RUN]
    if not runs:
        return piece.start, piece.end
    return (first + runs[0][0]) / FRAMES_PER_SECOND, (first + runs[-1][1]) / FRAMES_PER_SECOND
