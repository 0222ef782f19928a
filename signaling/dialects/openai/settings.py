"""What a transcription session may be told to be, in the words of both generations of the protocol. Pure.

``ga`` nests what ``beta`` has flat::

    ga     session.audio.input{format{type, rate}, transcription, noise_reduction, turn_detection}
    beta   session.{input_audio_format, input_audio_transcription, input_audio_noise_reduction,
                    turn_detection}

An update changes what it names; the rest stays. What is not offered is refused by name. What would change
nothing about a transcript is taken, and ``session.updated`` tells what is in force.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from signaling.audio_format import AudioFormat
from signaling.dialects.openai.errors import Refusal
from signaling.dialects.openai.reading import (
    boolean,
    check_fields,
    integer,
    language,
    number,
    object_of,
    one_of,
    text,
    texts,
)

__all__ = ["LOGPROBS", "Detection", "Form", "Settings", "describe", "update"]

LOGPROBS: Final = "item.input_audio_transcription.logprobs"

PCM: Final = "audio/pcm"
RATE: Final = 24_000

FORMATS: Final[Mapping[str, tuple[str, AudioFormat]]] = {
    PCM: ("pcm16", AudioFormat("pcm_s16le", RATE, 1)),
    "audio/pcmu": ("g711_ulaw", AudioFormat("mulaw", 8_000, 1)),
    "audio/pcma": ("g711_alaw", AudioFormat("alaw", 8_000, 1)),
}
"""By the name of today: the name of before, and what it is."""

MIN_SILENCE_MS, MAX_SILENCE_MS = 100, 5_000
MIN_PADDING_MS, MAX_PADDING_MS = 300, 2_000
"""Bounds of ``min_silence_ms`` and ``preroll_ms``. Less padding than there is is no harm: it is raised."""

SPECULATE_MS: Final = 200
"""Silence after which the final decode begins, where the hangover is longer."""

MAX_PROMPT_CHARS: Final = 1_000
"""Likewise of all keywords together."""

MAX_NAME_CHARS: Final = 200

TURNLESS: Final = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""Models of OpenAI that find no turns: who names one commits, and says nothing of detection."""


class Form(enum.StrEnum):
    """Which generation of the protocol a client speaks."""

    GA = "ga"
    BETA = "beta"


@dataclass(frozen=True, slots=True)
class Detection:
    """``server_vad``: the server says when somebody speaks. None: as the server is configured."""

    silence_ms: int | None = None
    padding_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session is to be."""

    format: str = PCM
    """One of :data:`FORMATS`."""
    model: str | None = None
    """As the client calls it; which models there are, the server knows."""
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = field(default=None, repr=False)
    keywords: tuple[str, ...] = field(default=(), repr=False)
    detection: Detection | None = field(default_factory=Detection)
    """None: the client says what belongs together, by ``input_audio_buffer.commit``."""
    detection_is_told: bool = False
    """By the client, so that the name of its model does not matter."""
    logprobs: bool = False

    @property
    def audio(self) -> AudioFormat:
        """What is in ``input_audio_buffer.append``."""
        return FORMATS[self.format][1]

    def changes(self) -> Mapping[str, object]:
        """All of it as the command ``configure`` takes it."""
        detection = self.detection or Detection()
        silence = detection.silence_ms
        return {
            "language": self.language,
            "languages": list(self.languages) or None,
            "prompt": self.prompt,
            "hotwords": ", ".join(self.keywords) or None,
            "word_timestamps": self.logprobs,
            "endpointing": {
                "min_silence_ms": silence,
                "speculate_after_ms": None if silence is None else min(silence, SPECULATE_MS),
                "preroll_ms": detection.padding_ms,
            },
        }


# ── Reading ────────────────────────────────────────────────────────────


def update(
    settings: Settings, body: object, form: Form, languages: Collection[str] | None = None
) -> Settings:
    """The settings with what the object ``session`` of a client changes.

    Args:
        languages: those that the models know, where that is known: others are refused.

    Raises:
        Refusal: something in it is wrong or not offered; nothing of it is taken.
    """
    session = object_of(body, "session")
    changed = _update_beta(settings, session) if form is Form.BETA else _update_ga(settings, session)
    for code in (changed.language, *changed.languages):
        if code and languages is not None and code not in languages:
            known = ", ".join(sorted(languages))
            at = "input_audio_transcription" if form is Form.BETA else "audio.input.transcription"
            raise Refusal(
                f"the models do not know the language {code!a}; they know {known}",
                param=f"session.{at}.language",
            )
    return changed


def _update_ga(settings: Settings, session: Mapping[str, Any]) -> Settings:
    kind = session.get("type", "transcription")
    if kind != "transcription":
        raise Refusal(
            "this server transcribes and has no model that answers: session.type is 'transcription'",
            param="session.type",
        )
    check_fields(session, "session", ("type", "audio", "include"))
    if "audio" in session:
        audio = object_of(session["audio"], "session.audio")
        check_fields(audio, "session.audio", ("input",))
        if "input" in audio:
            settings = _update_input(settings, object_of(audio["input"], "session.audio.input"))
    return _update_include(settings, session)


def _update_input(settings: Settings, body: Mapping[str, Any]) -> Settings:
    at = "session.audio.input"
    check_fields(body, at, ("format", "transcription", "noise_reduction", "turn_detection"))
    if "format" in body:
        settings = replace(settings, format=_read_format(body["format"], f"{at}.format"))
    return _update_common(settings, body, at, "transcription", "noise_reduction")


def _update_beta(settings: Settings, body: Mapping[str, Any]) -> Settings:
    prefix = "input_audio_"
    names = (f"{prefix}format", f"{prefix}transcription", f"{prefix}noise_reduction", "turn_detection")
    check_fields(body, "session", (*names, "include", "modalities"))
    if f"{prefix}format" in body:
        names_before = {before: name for name, (before, _) in FORMATS.items()}
        told = one_of(body[f"{prefix}format"], f"session.{prefix}format", tuple(names_before))
        settings = replace(settings, format=names_before[told])
    settings = _update_common(settings, body, "session", f"{prefix}transcription", f"{prefix}noise_reduction")
    return _update_include(settings, body)


def _read_format(body: object, at: str) -> str:
    told = object_of(body, at)
    check_fields(told, at, ("type", "rate"))
    name = one_of(told.get("type", PCM), f"{at}.type", tuple(FORMATS))
    rate = told.get("rate")
    if rate is not None and rate != FORMATS[name][1].sample_rate:
        wanted = FORMATS[name][1].sample_rate
        raise Refusal(f"{at}.rate of {name} is {wanted}", param=f"{at}.rate")
    return name


def _update_common(
    settings: Settings, body: Mapping[str, Any], at: str, transcription: str, noise_reduction: str
) -> Settings:
    """What both generations have in common, but for its names."""
    if transcription in body:
        settings = _update_transcription(settings, body[transcription], f"{at}.{transcription}")
    if body.get(noise_reduction) is not None:
        _check_noise_reduction(body[noise_reduction], f"{at}.{noise_reduction}")
    if "turn_detection" in body:
        detection = _read_detection(settings.detection, body["turn_detection"], f"{at}.turn_detection")
        return replace(settings, detection=detection, detection_is_told=True)
    if settings.detection_is_told:
        return settings
    return replace(settings, detection=None if (settings.model or "").startswith(TURNLESS) else Detection())


def _update_transcription(settings: Settings, body: object, at: str) -> Settings:
    if body is None:
        raise Refusal("transcripts are all that there is here: they cannot be turned off", param=at)
    told = object_of(body, at)
    check_fields(told, at, ("model", "language", "languages", "prompt", "keywords", "delay"))
    changed: dict[str, Any] = {}
    for name, limit in (("model", MAX_NAME_CHARS), ("prompt", MAX_PROMPT_CHARS)):
        if name in told:
            changed[name] = text(told[name], f"{at}.{name}", limit) or None
    if "language" in told:
        changed["language"] = language(told["language"], f"{at}.language")
        changed["languages"] = ()
    if told.get("languages") is not None:
        found = [language(one, f"{at}.languages") for one in texts(told["languages"], f"{at}.languages")]
        several = tuple(code for code in dict.fromkeys(found) if code)
        changed["language"] = several[0] if len(several) == 1 else None
        changed["languages"] = several if len(several) > 1 else ()
    if "keywords" in told:
        changed["keywords"] = tuple(filter(None, texts(told["keywords"] or [], f"{at}.keywords")))
        if len(", ".join(changed["keywords"])) > MAX_PROMPT_CHARS:
            raise Refusal(
                f"{at}.keywords has more than {MAX_PROMPT_CHARS} characters", param=f"{at}.keywords"
            )
    if told.get("delay") is not None:
        one_of(told["delay"], f"{at}.delay", ("minimal", "low", "medium", "high", "xhigh"))
    return replace(settings, **changed)


def _check_noise_reduction(body: object, at: str) -> None:
    """It is taken and not in force: the models hear noise as it is, and ``session.updated`` says so."""
    told = object_of(body, at)
    check_fields(told, at, ("type", "strength"))
    if told.get("type") is not None:
        one_of(told["type"], f"{at}.type", ("near_field", "far_field"))
    if told.get("strength") is not None:
        number(told["strength"], f"{at}.strength", 0, 1)


def _read_detection(before: Detection | None, body: object, at: str) -> Detection | None:
    if body is None:
        return None
    told = object_of(body, at)
    kind = told.get("type", "server_vad")
    if kind != "server_vad":
        raise Refusal(f"{at}.type is 'server_vad', or {at} is null", param=f"{at}.type")
    answers = ("create_response", "interrupt_response", "idle_timeout_ms")
    check_fields(told, at, ("type", "threshold", "silence_duration_ms", "prefix_padding_ms", *answers))
    for name in answers[:2]:  # there is none to create or to interrupt
        if told.get(name) is not None:
            boolean(told[name], f"{at}.{name}")
    if told.get("idle_timeout_ms") is not None:
        raise Refusal(f"{at}.idle_timeout_ms is not offered", param=f"{at}.idle_timeout_ms")
    if told.get("threshold") is not None:  # a figure of another detector
        number(told["threshold"], f"{at}.threshold", 0, 1)
    found = before or Detection()
    silence, padding = f"{at}.silence_duration_ms", f"{at}.prefix_padding_ms"
    if told.get("silence_duration_ms") is not None:
        milliseconds = integer(told["silence_duration_ms"], silence, MIN_SILENCE_MS, MAX_SILENCE_MS)
        found = replace(found, silence_ms=milliseconds)
    if told.get("prefix_padding_ms") is not None:
        milliseconds = integer(told["prefix_padding_ms"], padding, 0, MAX_PADDING_MS)
        found = replace(found, padding_ms=max(MIN_PADDING_MS, milliseconds))
    return found


def _update_include(settings: Settings, body: Mapping[str, Any]) -> Settings:
    if "include" not in body:
        return settings
    wanted = texts(body["include"] or [], "session.include")
    for name in wanted:
        one_of(name, "session.include", (LOGPROBS,))
    return replace(settings, logprobs=LOGPROBS in wanted)


# ── Telling ────────────────────────────────────────────────────────────


def describe(settings: Settings, form: Form, session_id: str, model: str | None = None) -> dict[str, Any]:
    """What is in force, as the object ``session`` of ``session.created`` and ``session.updated``.

    Args:
        model: what the server calls its own, where the client has named none.
    """
    transcription: dict[str, Any] = {
        "model": settings.model or model,
        "language": settings.language,
        "prompt": settings.prompt,
    }
    if settings.languages:
        transcription["languages"] = list(settings.languages)
    if settings.keywords:
        transcription["keywords"] = list(settings.keywords)
    detection = _describe_detection(settings.detection)
    include = [LOGPROBS] if settings.logprobs else None
    head = {"id": f"sess_{session_id}", "object": "realtime.transcription_session"}
    if form is Form.BETA:
        return {
            **head,
            "input_audio_format": FORMATS[settings.format][0],
            "input_audio_transcription": transcription,
            "input_audio_noise_reduction": None,
            "turn_detection": detection,
            "include": include,
        }
    audio = {"type": settings.format} | ({"rate": RATE} if settings.format == PCM else {})
    heard = {
        "format": audio,
        "transcription": transcription,
        "noise_reduction": None,
        "turn_detection": detection,
    }
    return {**head, "type": "transcription", "audio": {"input": heard}, "include": include}


def _describe_detection(detection: Detection | None) -> dict[str, Any] | None:
    """Without what the server's own configuration decides."""
    if detection is None:
        return None
    told: dict[str, Any] = {"type": "server_vad"}
    if detection.silence_ms is not None:
        told["silence_duration_ms"] = detection.silence_ms
    if detection.padding_ms is not None:
        told["prefix_padding_ms"] = detection.padding_ms
    return told
