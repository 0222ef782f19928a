"""Reading ``verbose_json``, as a place that decodes for others answers it. Pure; trusts nothing in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from rtc_stt.hypothesis import Word

__all__ = ["Heard", "read_heard", "read_segment", "read_word"]

MAX_NAME = 200
"""Characters of a model's name."""

MAX_LANGUAGE = 8
"""Of a language's code; Whisper's have two or three."""

MOST_MS = 10**9
"""More than the longest recording; a number of any length would be good JSON."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model made of one stretch of audio. Fields as in :class:`~rtc_stt.hypothesis.Hypothesis`."""

    text: str = field(repr=False)
    language: str
    language_probability: float
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    model: str
    words: tuple[Word, ...] = field(default=(), repr=False)
    """Times are from the beginning of the audio."""


def read_heard(body: object) -> Heard:
    """The answer to a request with ``cut=false``: exactly one segment, whose text may be empty.

    Raises:
        ValueError: it is something else.
    """
    segments = _field(body, "segments")
    if not isinstance(segments, list) or len(segments) != 1:
        raise ValueError("one segment was expected")
    return read_segment(segments[0])


def read_segment(fields: object) -> Heard:
    """One entry of ``segments``.

    Raises:
        ValueError: it is none.
    """
    language, model = _text(fields, "language"), _text(fields, "model")
    if not 0 < len(language) <= MAX_LANGUAGE or not language.isprintable():
        raise ValueError("language is no code of a language")
    if not 0 < len(model) <= MAX_NAME or not model.isprintable():
        raise ValueError("model is no name")
    words = _field(fields, "words", [])
    if not isinstance(words, list):
        raise ValueError("words is no list")
    return Heard(
        text=_text(fields, "text"),
        language=language,
        language_probability=_number(fields, "language_probability", 0.0, 1.0),
        avg_logprob=_number(fields, "avg_logprob", -math.inf, 0.0),
        no_speech_prob=_number(fields, "no_speech_prob", 0.0, 1.0),
        compression_ratio=_number(fields, "compression_ratio", 0.0, math.inf),
        model=model,
        words=tuple(map(read_word, words)),
    )


def read_word(fields: object) -> Word:
    """One entry of ``words``.

    Raises:
        ValueError: it is none.
    """
    start_ms, end_ms = _field(fields, "start_ms"), _field(fields, "end_ms")
    if type(start_ms) is not int or type(end_ms) is not int or not 0 <= start_ms <= end_ms <= MOST_MS:
        raise ValueError("a word has no times")
    return Word(_text(fields, "word"), start_ms, end_ms, _number(fields, "probability", 0.0, 1.0))


_REQUIRED = object()


def _field(fields: object, name: str, default: object = _REQUIRED) -> object:
    value = fields.get(name, default) if isinstance(fields, Mapping) else _REQUIRED
    if value is _REQUIRED:
        raise ValueError(f"there is no {name}")
    return value


def _text(fields: object, name: str) -> str:
    value = _field(fields, name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    value.encode()  # JSON lets half characters in: UnicodeEncodeError is a ValueError
    return value


def _number(fields: object, name: str, low: float, high: float) -> float:
    value = _field(fields, name)
    if type(value) is float or (type(value) is int and abs(value) < MOST_MS):
        number = float(value)
        if math.isfinite(number) and low <= number <= high:
            return number
    raise ValueError(f"{name} is no number from {low:g} to {high:g}")
