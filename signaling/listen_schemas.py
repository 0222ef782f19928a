"""``/v1/listen`` as OpenAPI has it: parameters and body. Pure.

The parameters come from the tables that read them (:mod:`signaling.dialects.deepgram.query`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from signaling.audio_format import MAX_RATE, MIN_RATE
from signaling.dialects.deepgram.query import (
    BOOLEANS,
    ENCODINGS,
    LABELS,
    LEAST_UTTERANCE_END_MS,
    LIVE,
    LIVE_FLAGS,
    MAX_ENDPOINTING_MS,
    MAX_HOTWORDS_CHARS,
    MAX_UTTERANCE_END_MS,
    NO_EFFECT,
    RECORDED,
    RECORDED_FLAGS,
    WORDS,
)

__all__ = ["LIVE_PARAMETERS", "RECORDED_PARAMETERS", "recording_body"]

Schema = dict[str, Any]

_BOOLEAN: Schema = {"type": "string", "enum": list(BOOLEANS)}
_TEXTS: Schema = {"type": "array", "items": {"type": "string", "maxLength": MAX_HOTWORDS_CHARS}}

_SCHEMAS: Mapping[str, Schema] = {
    **dict.fromkeys((*LIVE_FLAGS, *RECORDED_FLAGS), _BOOLEAN),
    **dict.fromkeys(WORDS, _TEXTS),
    "language_hint": _TEXTS,
    "encoding": {"type": "string", "enum": list(ENCODINGS)},
    "sample_rate": {"type": "integer", "minimum": MIN_RATE, "maximum": MAX_RATE},
    "channels": {"type": "integer", "minimum": 1, "maximum": 2},
    "endpointing": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_ENDPOINTING_MS}, _BOOLEAN]},
    "utterance_end_ms": {
        "type": "integer",
        "minimum": LEAST_UTTERANCE_END_MS,
        "maximum": MAX_UTTERANCE_END_MS,
    },
}
"""Of parameters that are more than a text."""

_NEEDED = ("encoding", "sample_rate")


def _parameters(names: Sequence[str]) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "query",
            "description": "It changes nothing." if name in (*NO_EFFECT, *LABELS) else "As Deepgram's.",
            "schema": _SCHEMAS.get(name, {"type": "string"}),
            "required": name in _NEEDED,
        }
        for name in names
    ]


LIVE_PARAMETERS = _parameters(LIVE)
RECORDED_PARAMETERS = _parameters(RECORDED)


def recording_body(limit: int) -> Schema:
    """The body that is a recording, of so many bytes at most."""
    return {
        "type": "string",
        "format": "binary",
        "description": "Any common format (WAV, FLAC, MP3, Ogg, WebM, MP4 …), whatever `Content-Type` says, "
        f"at most {limit / 2**20:g} MiB.",
    }
