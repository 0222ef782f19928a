"""The form of ``POST /v1/audio/transcriptions``: which fields there are, and what may stand in them. Pure.

The OpenAPI description is made of the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtc_stt.errors import BadRequest
from rtc_stt.service.formats import Form
from rtc_stt.service.transcript import Options
from signaling.form import Field

__all__ = ["FIELDS", "LISTS", "RECORDING", "Asked", "read_form"]

RECORDING = "file"
"""The field that holds the recording, and has to be there."""

BOOLEAN = ("true", "false")

FIELDS: Mapping[str, Field] = {
    "model": Field("Any name: which models there are, the server knows."),
    "language": Field("ISO 639-1. Without it the language is detected."),
    "prompt": Field("What it is about, in the style and spelling that is wanted; at most 1,000 characters."),
    "response_format": Field("The form of the answer.", tuple(Form), Form.JSON),
    "temperature": Field("0, or left out: decoding is deterministic.", max_chars=16),
    "stream": Field("Tell the text as it becomes known, as server-sent events.", BOOLEAN, "false"),
    "chunking_strategy": Field("Recordings are always cut at silences.", ("auto",), "auto"),
}
"""All but :data:`RECORDING` and :data:`LISTS`, by name. An empty field is as one that is not there."""

LISTS: Mapping[str, Field] = {
    "timestamp_granularities": Field("With `verbose_json`.", ("word", "segment")),
    "include": Field("Log probabilities of words, with `json`.", ("logprobs",)),
    "languages": Field("Among which the language is detected."),
    "keywords": Field("Words that are likely to be said; all together at most 1,000 characters."),
}
"""Those that may be there more than once; with ``[]`` behind the name, or without."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the fields say."""

    options: Options
    form: Form
    is_streamed: bool
    words: bool
    """Whether ``verbose_json`` has words …"""
    segments: bool
    """… and segments."""
    logprobs: bool


def read_form(texts: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> Asked:
    """Understand the fields; each is one of :data:`FIELDS` or :data:`LISTS`.

    Raises:
        BadRequest: a value that may not stand there, or that is not offered beside others.
    """
    given = {name: _read(name, FIELDS[name], texts.get(name, "")) for name in FIELDS}
    several = {name: _read_list(name, lists) for name in LISTS}
    _check_temperature(given["temperature"])
    form, is_streamed = Form(given["response_format"] or Form.JSON), given["stream"] == "true"
    granularities, logprobs = several["timestamp_granularities"], bool(several["include"])
    if granularities and form is not Form.VERBOSE_JSON:
        raise BadRequest("timestamp_granularities go with response_format=verbose_json")
    if logprobs and form is not Form.JSON:
        raise BadRequest("include=logprobs goes with response_format=json")
    if is_streamed and form not in (Form.JSON, Form.TEXT):
        raise BadRequest("stream goes with response_format=json or text")
    words = "word" in granularities
    options = Options(
        language=_language(given["language"]),
        languages=_languages(given["language"], several["languages"]),
        prompt=given["prompt"],
        hotwords=", ".join(several["keywords"]) or None,
        word_timestamps=words or logprobs or form in (Form.SRT, Form.VTT),
    )
    return Asked(options, form, is_streamed, words, "segment" in granularities or not words, logprobs)


def _read(name: str, field: Field, text: str) -> str | None:
    if not field.choices and len(text) > field.max_chars:
        raise BadRequest(f"{name} has more than {field.max_chars} characters")
    text = text.strip()
    if not text:
        return field.default
    if field.choices and text.lower() not in field.choices:
        raise BadRequest(f"{name} is {' or '.join(field.choices)}")
    return text.lower() if field.choices else text


def _read_list(name: str, lists: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    told = (*lists.get(name, ()), *lists.get(f"{name}[]", ()))
    found = [_read(name, LISTS[name], text) for text in told]
    return tuple(text for text in dict.fromkeys(found) if text)


def _check_temperature(text: str | None) -> None:
    try:
        if text is None or float(text) == 0:
            return
    except ValueError:
        pass
    raise BadRequest("temperature is 0, or left out: decoding is deterministic here")


def _language(text: str | None) -> str | None:
    """Of a longer tag (BCP 47) what comes first."""
    return text.replace("_", "-").partition("-")[0].lower() if text else None


def _languages(one: str | None, several: Sequence[str]) -> tuple[str, ...]:
    if one and several:
        raise BadRequest("language and languages do not go together")
    return tuple(dict.fromkeys(code for code in map(_language, several) if code))
