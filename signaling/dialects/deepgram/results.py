"""The messages that a client of the live stream gets. Pure. Times are seconds of media time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rtc_stt import __version__
from rtc_stt.hypothesis import Word
from signaling.dialects.deepgram.query import language_told

__all__ = ["Message", "alternative", "encode", "model_info", "model_uuid", "results", "seconds", "words_of"]

Message = dict[str, Any]

CHANNELS = [0, 1]
"""Index and number: channels are mixed into one."""

_EDGES = "\"'“”‘’«»„¿¡.,!?;:…()[]{}-–—。、，！？；：「」『』"
"""Punctuation around a word."""


def encode(message: Mapping[str, Any]) -> str:
    """As it goes over the wire: in ASCII, since what a client said may be half a character."""
    return json.dumps(message, allow_nan=False, separators=(",", ":"))


def seconds(ms: int) -> float:
    """Of milliseconds."""
    return ms / 1000


def words_of(words: Sequence[Word]) -> list[Message]:
    """Words as spoken and as written, with their times."""
    return [
        {
            "word": _bare(word.word),
            "start": seconds(word.start_ms),
            "end": seconds(word.end_ms),
            "confidence": round(word.probability, 4),
            "punctuated_word": word.word.strip(),
        }
        for word in words
    ]


def alternative(
    text: str, confidence: float, words: Sequence[Word] = (), language: str | None = None
) -> Message:
    """The one alternative that there is.

    Args:
        language: Whisper code, where it is to be told.
    """
    told: Message = {"transcript": text, "confidence": round(confidence, 4), "words": words_of(words)}
    if language:
        told["languages"] = [language_told(language)]
    return told


def model_uuid(name: str) -> str:
    """Names a model to those who want no name: the same for the same model, everywhere."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"rtc-stt:model:{name}"))


def model_info(name: str) -> Message:
    """What made a text."""
    return {"name": name, "version": __version__, "arch": "whisper"}


def results(
    heard: Message,
    *,
    start_ms: int,
    end_ms: int,
    request_id: str,
    model: str,
    is_final: bool,
    speech_final: bool = False,
    from_finalize: bool = False,
) -> Message:
    """One ``Results``.

    Args:
        heard: see :func:`alternative`.
        model: whose text it is.
    """
    return {
        "type": "Results",
        "channel_index": CHANNELS,
        "duration": seconds(max(0, end_ms - start_ms)),
        "start": seconds(start_ms),
        "is_final": is_final,
        "speech_final": speech_final,
        "channel": {"alternatives": [heard]},
        "metadata": {
            "request_id": request_id,
            "model_info": model_info(model),
            "model_uuid": model_uuid(model),
        },
        "from_finalize": from_finalize,
    }


def _bare(word: str) -> str:
    bare = word.strip()
    return (bare.strip(_EDGES) or bare).lower()
