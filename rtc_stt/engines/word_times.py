"""When each word was said: from the alignment of tokens to audio, held to where there is sound.

The alignment is CTranslate2's (dynamic time warping over the cross-attention, as OpenAI's Whisper does). It
hands every frame to some token, so silence before, between and behind words belongs to a word too; here it is
taken away again. How near the times come is measured by ``python -m tools.decode_engine word_times``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper.transcribe import merge_punctuations

from rtc_stt.hypothesis import Word

__all__ = ["FRAMES_PER_SECOND", "Mel", "sound", "sound_after", "time_words", "token_times"]

Mel = npt.NDArray[np.float32]
"""Log-mel spectrogram, shape ``(n_mels, frames)``, 100 frames a second."""

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
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]])))
    for start, end in edges.reshape(-1, 2):
        if end - start < SOUND_RUN:
            loud[start:end] = False
    return np.asarray(loud, np.bool_)


def sound_after(mel: Mel, seconds: float) -> float:
    """From there to the last sound, in seconds; 0 where there is none behind it."""
    loud = np.flatnonzero(sound(mel))
    return max(0.0, (int(loud[-1]) + 1) / FRAMES_PER_SECOND - seconds) if len(loud) else 0.0


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
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    times = token_times(alignment, len(tokens))
    items: list[dict[str, Any]] = []
    position = 0
    for text, group in zip(texts[:-1], groups[:-1], strict=True):
        after = position + len(group)
        items.append(
            {
                "word": text,
                "tokens": group,
                "start": times[position],
                "end": times[after],
                "probability": float(np.mean(alignment.text_token_probs[position:after])),
            }
        )
        position = after
    merge_punctuations(items, PREPENDED_PUNCTUATION, APPENDED_PUNCTUATION)
    return [
        _Piece(item["word"], float(item["start"]), float(item["end"]), item["probability"])
        for item in items
        if item["word"].strip()
    ]


def _join(pieces: Sequence[_Piece]) -> list[_Piece]:
    """One piece a word: an apostrophe or a hyphen within a word makes two of it (``o'clock``)."""
    words: list[_Piece] = []
    for piece in pieces:
        if words and not piece.text[0].isspace():
            last = words[-1]
            probability = min(last.probability, piece.probability)
            words[-1] = _Piece(last.text + piece.text, last.start, piece.end, probability)
        else:
            words.append(piece)
    return words


def _within_sound(piece: _Piece, loud: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Start and end without the silence at either side; as they are where there is no sound."""
    first, last = (round(seconds * FRAMES_PER_SECOND) for seconds in (piece.start, piece.end))
    frames = first + np.flatnonzero(loud[first:last])
    # A sliver of the neighbour's sound is no word of its own.
    if len(frames) < SOUND_RUN // 2:
        return piece.start, min(piece.end, len(loud) / FRAMES_PER_SECOND)
    return frames[0] / FRAMES_PER_SECOND, (frames[-1] + 1) / FRAMES_PER_SECOND
