"""The options of :class:`~rtc_stt.plugins.pipecat.RtcSTTService` that may change while the pipeline runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from pipecat.services.settings import STTSettings
from pipecat.transcriptions.language import Language
from pipecat.utils.types import NOT_GIVEN, NotGiven

__all__ = ["RtcSTTSettings", "language_code", "options", "server_defaults", "spoken"]


@dataclass
class RtcSTTSettings(STTSettings):
    """Settings for ``RtcSTTService``. ``model`` is the server's affair and stays None.

    ``language`` forces one; None lets the server decide, by its own default or by detection. Each of the
    others is as the command ``configure`` of ``docs/reference/events.md`` has it; None: the server's default.
    """

    languages: list[Language | str] | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    """Among which the language is detected."""
    prompt: str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    """What the talk is about, in the words that are to be expected."""
    hotwords: list[str] | str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    """Names and terms that are to be expected."""
    word_timestamps: bool | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    """Whether ``frame.result.words`` has the times of the words."""
    partials: bool | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    """Whether there are interim transcriptions."""
    endpointing: dict[str, float | None] | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    """When an utterance ends: ``{"min_silence_ms": 300}``. With ``server_turns`` so does the turn."""


def server_defaults() -> RtcSTTSettings:
    """All as the server has it."""
    unset: dict[str, Any] = {f.name: None for f in fields(RtcSTTSettings) if f.name != "extra"}
    return RtcSTTSettings(**unset)


def options(settings: RtcSTTSettings, names: Iterable[str]) -> dict[str, object]:
    """Those settings as ``configure`` takes them; names of others are left out."""
    given: dict[str, object] = {}
    for name in names:
        if name in _CONFIGURED:
            given[name] = _CONFIGURED[name](getattr(settings, name))
    return given


def _codes(languages: object) -> object:
    if not isinstance(languages, list):
        return languages
    return list(dict.fromkeys(language_code(language) for language in languages))


def _terms(hotwords: object) -> object:
    return ", ".join(map(str, hotwords)) if isinstance(hotwords, list) else hotwords


def _as_it_is(value: object) -> object:
    return value


_CONFIGURED = {
    "language": _as_it_is,  # the base class has made it a code
    "languages": _codes,
    "prompt": _as_it_is,
    "hotwords": _terms,
    "word_timestamps": _as_it_is,
    "partials": _as_it_is,
    "endpointing": _as_it_is,
}


def language_code(language: Language | str) -> str:
    """Whisper's code: the language without its region, and a few by names of its own.

    >>> language_code("pt-BR")
    'pt'
    """
    base = str(language).replace("_", "-").lower().partition("-")[0]
    return {"nb": "no", "fil": "tl", "jv": "jw"}.get(base, base)


def spoken(code: str | None) -> Language | None:
    """Pipecat's name of a language that was detected; None where it has none."""
    try:
        return Language(code) if code else None
    except ValueError:
        return None
