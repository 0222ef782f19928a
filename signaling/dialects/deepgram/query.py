"""What is asked for in the query of ``/v1/listen``: every parameter is taken or refused by its name. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.errors import BadRequest
from signaling.audio_format import MAX_RATE, MIN_RATE, AudioFormat

__all__ = [
    "BOOLEANS",
    "ENCODINGS",
    "LABELS",
    "LEAST_ENDPOINTING_MS",
    "LEAST_UTTERANCE_END_MS",
    "LIVE",
    "LIVE_FLAGS",
    "MAX_ENDPOINTING_MS",
    "MAX_HOTWORDS_CHARS",
    "MAX_UTTERANCE_END_MS",
    "NO_EFFECT",
    "RECORDED",
    "RECORDED_FLAGS",
    "REFUSED",
    "WORDS",
    "Live",
    "Recorded",
    "hotwords_of",
    "language_told",
    "read_live",
    "read_recorded",
]

ENCODINGS: Mapping[str, str] = {"linear16": "pcm_s16le", "mulaw": "mulaw", "alaw": "alaw"}

BOOLEANS = ("true", "false", "True", "False")
"""As clients write them."""

NO_EFFECT = ("punctuate", "smart_format", "numerals", "no_delay", "filler_words", "mip_opt_out")
"""Booleans that are taken and change nothing: the models punctuate and format by themselves, and nothing that
was said is kept."""

LABELS = ("model", "version", "tier", "tag")
"""Texts that are taken and change nothing. Which models there are, the server's operator says."""

WORDS = ("keyterm", "keywords")
"""Words that are likely to be said; may be there several times."""

LIVE_FLAGS = ("interim_results", "vad_events", *NO_EFFECT)
LIVE = (
    *("encoding", "sample_rate", "channels", "language", "language_hint", "endpointing", "utterance_end_ms"),
    *("access_token", *LIVE_FLAGS, *WORDS, *LABELS),
)
"""All that may be asked of a live stream."""

RECORDED_FLAGS = ("detect_language", "utterances", "paragraphs", *NO_EFFECT)
RECORDED = ("language", *RECORDED_FLAGS, *WORDS, *LABELS)
"""All that may be asked about a recording."""

_ONE_SPEAKER = "who speaks is not told"
_NO_ANALYSIS = "texts are not analysed"
_NO_CHANGES = "texts are not changed"

REFUSED: Mapping[str, str] = {
    "callback": "this server calls nobody",
    "callback_method": "this server calls nobody",
    "custom_intent": _NO_ANALYSIS,
    "custom_intent_mode": _NO_ANALYSIS,
    "custom_topic": _NO_ANALYSIS,
    "custom_topic_mode": _NO_ANALYSIS,
    "detect_entities": _NO_ANALYSIS,
    "diarize": _ONE_SPEAKER,
    "diarize_model": _ONE_SPEAKER,
    "diarize_version": _ONE_SPEAKER,
    "dictation": _NO_CHANGES,
    "extra": "nothing is attached to answers",
    "intents": _NO_ANALYSIS,
    "measurements": _NO_CHANGES,
    "multichannel": "channels are mixed into one",
    "profanity_filter": _NO_CHANGES,
    "redact": _NO_CHANGES,
    "replace": _NO_CHANGES,
    "search": _NO_ANALYSIS,
    "sentiment": _NO_ANALYSIS,
    "summarize": _NO_ANALYSIS,
    "topics": _NO_ANALYSIS,
    "utt_split": "utterances are cut where the server finds silence",
}
"""What of the protocol is not offered, and why. To say ``false`` to it is allowed."""

LEAST_ENDPOINTING_MS, MAX_ENDPOINTING_MS = 300, 5_000
"""Silence that ends an utterance. A whole utterance is decoded at once, so one that is cut at every breath
costs words: less silence is taken for the least."""

SPECULATE_AFTER_MS = 200
"""Within the least of them: the final is begun before the silence is over."""

LEAST_UTTERANCE_END_MS, MAX_UTTERANCE_END_MS = 1_000, 60_000
"""As the protocol has it; and more than anybody waits for."""

MAX_HOTWORDS_CHARS = 1_000
"""As of ``configure``."""

_TO_WHISPER = {"jv": "jw", "nb": "no"}
_FROM_WHISPER = {"jw": "jv"}


@dataclass(frozen=True, slots=True)
class Live:
    """What a live stream asks for."""

    form: AudioFormat
    changes: Mapping[str, object] = field(default_factory=dict, repr=False)
    """For ``configure``."""
    interim_results: bool = False
    vad_events: bool = False
    has_endpointing: bool = True
    """Whether the end of an utterance is told as ``speech_final``."""
    utterance_end_ms: int | None = None
    """Silence after the last word, after which ``UtteranceEnd`` is told."""
    is_multilingual: bool = False
    """Whether results tell their language."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is asked about a recording."""

    language: str | None = None
    """Whisper language code; None: it is detected."""
    hotwords: str | None = field(default=None, repr=False)
    detect_language: bool = False
    is_multilingual: bool = False
    utterances: bool = False
    paragraphs: bool = False


def read_live(query: Iterable[tuple[str, str]], languages: Collection[str]) -> Live:
    """Understand the query of a WebSocket.

    Args:
        query: names and values in their order.
        languages: Whisper codes of those that the models know.

    Raises:
        BadRequest: a parameter is not known, not offered, or has a value that it may not have.
    """
    asked = _Asked(query, LIVE)
    interim_results = asked.flag("interim_results", default=False)
    changes: dict[str, Any] = {"word_timestamps": True, "partials": interim_results}
    language = asked.one("language")
    if language and language.lower() != "multi":
        changes["language"] = _known(language, languages)
    if hints := asked.many("language_hint"):
        changes["languages"] = [_known(hint, languages) for hint in hints]
    if hotwords := asked.hotwords():
        changes["hotwords"] = hotwords
    has_endpointing, silence_ms = _read_endpointing(asked)
    if silence_ms is not None:
        changes["endpointing"] = {
            "min_silence_ms": max(LEAST_ENDPOINTING_MS, silence_ms),
            "speculate_after_ms": SPECULATE_AFTER_MS,
        }
    return Live(
        form=_read_form(asked),
        changes=changes,
        interim_results=interim_results,
        vad_events=asked.flag("vad_events", default=False),
        has_endpointing=has_endpointing,
        utterance_end_ms=asked.number("utterance_end_ms", LEAST_UTTERANCE_END_MS, MAX_UTTERANCE_END_MS),
        is_multilingual=(language or "").lower() == "multi",
    )


def read_recorded(query: Iterable[tuple[str, str]]) -> Recorded:
    """Understand the query of a recording. Whether the language is known, who transcribes it says.

    Raises:
        BadRequest: see :func:`read_live`.
    """
    asked = _Asked(query, RECORDED)
    language, detects = asked.one("language") or None, asked.flag("detect_language", default=False)
    if language and detects:
        raise BadRequest("language and detect_language exclude each other")
    is_multilingual = language is not None and language.lower() == "multi"
    return Recorded(
        language=None if language is None or is_multilingual else _code(language),
        hotwords=asked.hotwords(),
        detect_language=detects,
        is_multilingual=is_multilingual,
        utterances=asked.flag("utterances", default=False),
        paragraphs=asked.flag("paragraphs", default=False),
    )


def hotwords_of(terms: Iterable[str]) -> str | None:
    """Words that are likely to be said, as ``configure`` takes them; None where there are none.

    Raises:
        ValueError: too many, or no text.
    """
    words = ", ".join(term.strip() for term in terms if term.strip())
    if len(words) > MAX_HOTWORDS_CHARS:
        raise ValueError(f"all of them together have at most {MAX_HOTWORDS_CHARS} characters")
    if any("\ud800" <= c <= "\udfff" for c in words):  # JSON lets half characters in
        raise ValueError("they are no text")
    return words or None


def language_told(code: str) -> str:
    """A Whisper language code as the protocol has it."""
    return _FROM_WHISPER.get(code, code)


class _Asked:
    """The query: what is not known or not offered is refused at once."""

    def __init__(self, query: Iterable[tuple[str, str]], known: Sequence[str]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in query:
            if name in REFUSED:
                if value not in ("false", "False"):
                    raise BadRequest(f"{name} is not offered: {REFUSED[name]}")
            elif name in RECORDED_FLAGS and name not in known:
                if value not in ("false", "False"):
                    raise BadRequest(f"{name} is offered for recordings only")
            elif name not in known:
                raise BadRequest(f"there is no parameter {name[:40]!r} here; there are {', '.join(known)}")
            else:
                self._values.setdefault(name, []).append(value)
        for name in NO_EFFECT:
            self.flag(name, default=False)

    def many(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        values = self._values.get(name, [None])
        if len(values) > 1:
            raise BadRequest(f"{name} is there twice")
        return values[0]

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.one(name)
        if value is None:
            return default
        if value not in BOOLEANS:
            raise BadRequest(f"{name} is true or false")
        return value in ("true", "True")

    def number(self, name: str, low: int, high: int) -> int | None:
        value = self.one(name)
        if value is None:
            return None
        # No more digits than the largest has: int() takes time that grows with their square.
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(high))
        if not is_number or not low <= int(value) <= high:
            raise BadRequest(f"{name} is a whole number from {low} to {high}")
        return int(value)

    def hotwords(self) -> str | None:
        words = [*self.many("keyterm"), *map(_without_boost, self.many("keywords"))]
        try:
            return hotwords_of(words)
        except ValueError as error:
            raise BadRequest(f"keyterm and keywords: {error}") from None


def _read_form(asked: _Asked) -> AudioFormat:
    encoding = asked.one("encoding") or ""
    if encoding not in ENCODINGS:
        raise BadRequest(
            f"encoding is {', '.join(ENCODINGS)}: live audio comes without a container, and is not compressed"
        )
    rate = asked.number("sample_rate", MIN_RATE, MAX_RATE)
    if rate is None:
        raise BadRequest(f"sample_rate is needed: a whole number from {MIN_RATE} to {MAX_RATE}")
    return AudioFormat(ENCODINGS[encoding], rate, asked.number("channels", 1, 2) or 1)


def _read_endpointing(asked: _Asked) -> tuple[bool, int | None]:
    """Whether ends of utterances are told, and after how much silence; None: the server's own."""
    value = asked.one("endpointing")
    if value is None or value in BOOLEANS:
        return value not in ("false", "False"), None
    return True, asked.number("endpointing", 0, MAX_ENDPOINTING_MS)


def _without_boost(keyword: str) -> str:
    """``word:2.5`` without its boost, which a prompt cannot weigh."""
    word, colon, boost = keyword.rpartition(":")
    try:
        strength = float(boost) if colon else 0.0
    except ValueError:
        return keyword
    if strength < 0:
        raise BadRequest("keywords with a negative boost are not offered: a word cannot be made less likely")
    return word if colon else keyword


def _known(language: str, languages: Collection[str]) -> str:
    if (code := _code(language)) not in languages:
        known = ", ".join(sorted(map(language_told, languages)))
        raise BadRequest(f"the language {language[:40]!r} is not known here; there are multi, {known}")
    return code


def _code(language: str) -> str:
    """The Whisper code of a BCP 47 tag: regions are not told apart."""
    code = language.partition("-")[0].lower()
    return _TO_WHISPER.get(code, code)
