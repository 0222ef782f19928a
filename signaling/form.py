"""The form of ``POST /v1/transcribe``: which fields there are, and what may stand in them. Pure.

The OpenAPI description is made of the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtc_stt.errors import BadRequest
from rtc_stt.service.formats import Form
from rtc_stt.service.transcript import Options

__all__ = ["AUDIO", "FIELDS", "MAX_FIELD_BYTES", "Asked", "Field", "read_form"]

AUDIO = "audio"
"""The field that holds the recording, and has to be there."""

MAX_FIELD_BYTES = 8 * 1024
"""Of any other field. A prompt has 1,000 characters, of at most four bytes each."""

BOOLEAN = ("true", "false")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of text."""

    about: str
    choices: tuple[str, ...] = ()
    """What may stand in it; empty: any text."""
    default: str | None = None
    max_chars: int = 1_000


FIELDS: Mapping[str, Field] = {
    "language": Field("Whisper language code. Without it the language is detected."),
    "prompt": Field("What it is about, in the style and spelling that is wanted; at most 1,000 characters."),
    "hotwords": Field("Words that are likely to be said; at most 1,000 characters."),
    "word_timestamps": Field("Tell the times of words (in `verbose_json`).", BOOLEAN, "false"),
    "response_format": Field("The form of the answer.", tuple(Form), Form.JSON),
    "cut": Field(
        "false: the recording is one stretch of speech of at most 30 s, and is decoded as it is: speech is "
        "not looked for, and what was heard is not doubted.",
        BOOLEAN,
        "true",
    ),
    "on_fallback_failure": Field(
        "Where the fallback was wanted and failed: `error` answers 502, `degrade` gives the primary's text.",
        ("error", "degrade"),
        "error",
    ),
}
"""All but :data:`AUDIO`, by name. An empty field is as one that is not there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the fields say."""

    options: Options
    form: Form
    degrade: bool
    """Whether the fast tier's text will do where the fallback fails."""


def read_form(texts: Mapping[str, str]) -> Asked:
    """Understand the fields; each is one of :data:`FIELDS`.

    Raises:
        BadRequest: a value that may not stand there.
    """
    given = {name: _read(name, texts.get(name, "").strip()) for name in FIELDS}
    options = Options(
        language=given["language"],
        prompt=given["prompt"],
        hotwords=given["hotwords"],
        word_timestamps=given["word_timestamps"] == "true",
        cut=given["cut"] == "true",
    )
    return Asked(
        options, Form(given["response_format"] or Form.JSON), given["on_fallback_failure"] == "degrade"
    )


def _read(name: str, text: str) -> str | None:
    field = FIELDS[name]
    if not text:
        return field.default
    if not field.choices:
        return text
    if text.lower() not in field.choices:
        raise BadRequest(f"{name} must be {' or '.join(field.choices)}")
    return text.lower()
