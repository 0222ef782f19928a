"""How requests, answers, calls and errors are written into headers, and read again.

Worker to front: ``ready``, ``status``, ``submit`` (body: float32 samples), ``detach``, ``watch``, ``audio``,
``reply``. Front to worker: ``begin``, ``state``, ``answer``, ``dropped``, ``call``, ``expel``, ``end``. Every
reader raises :class:`~signaling.workers.frames.BadFrame` for what it does not understand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from rtc_stt import errors
from rtc_stt.audio import Samples
from rtc_stt.decoding import Answer, Decoder
from rtc_stt.errors import ClientError, RtcSttError, TooMany, Unavailable
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Draft, Hypothesis, Tier, Urgency, Word
from rtc_stt.load import Step
from signaling.calls import Call, Connected, Fragment, Resume
from signaling.dialects.dialect import Beginning
from signaling.workers.frames import BadFrame, Frame

__all__ = [
    "NumberedRequest",
    "PoolState",
    "call_from",
    "call_to",
    "connected_from",
    "connected_to",
    "error_from",
    "error_to",
    "fragment_from",
    "fragment_to",
    "read_answer",
    "read_submit",
    "state_from",
    "state_of",
    "state_to",
    "write_answer",
    "write_submit",
]

T = TypeVar("T")

SAMPLE = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class NumberedRequest(DecodeRequest):
    """A request as the front has it: it knows what its worker calls it."""

    number: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a session needs to know of a decode pool that is elsewhere."""

    models: dict[str, str | None]
    languages: frozenset[str]
    has_accurate_tier: bool
    step: Step = Step.NORMAL
    is_ready: bool = True
    troubles: tuple[str, ...] = ()


# ── Reading with care ────────────────────────────────────────────────────────────


def _reader(read: Callable[..., T]) -> Callable[..., T]:
    """Whatever a header lacks or has too much of becomes a :class:`BadFrame`."""

    def careful(*arguments: Any) -> T:
        try:
            return read(*arguments)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadFrame(f"a message cannot be understood: {type(error).__name__}") from error

    careful.__doc__ = read.__doc__
    return careful


def _check(value: Any, *kinds: type) -> Any:
    """JSON does not say which type a field has. A bool is no number here."""
    if type(value) not in kinds:
        raise TypeError(type(value).__name__)
    return value


def _text(value: Any) -> str:
    return str(_check(value, str))


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _count(value: Any) -> int:
    return int(_check(value, int))


def _number(value: Any) -> float:
    return float(_check(value, int, float))


def _flag(value: Any) -> bool:
    return bool(_check(value, bool))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _check(value, list))


# ── Requests ────────────────────────────────────────────────────────────


def write_submit(request: DecodeRequest, number: int) -> tuple[dict[str, Any], Samples]:
    """Header and body of ``submit``. The body is the audio itself where it is float32 and in one piece."""
    draft = request.draft
    header = {
        "type": "submit",
        "number": number,
        "stream_id": request.stream_id,
        "utterance_id": request.utterance_id,
        "revision": request.revision,
        "tier": request.tier.value,
        "urgency": int(request.urgency),
        "audio_start": request.audio_start,
        "language": request.language,
        "languages": request.languages,
        "prompt": request.prompt,
        "context": request.context,
        "hotwords": request.hotwords,
        "word_timestamps": request.word_timestamps,
        "draft": draft and [draft.text, draft.language, draft.language_probability],
        "trail": [request.request_id, request.traceparent],
    }
    return header, np.ascontiguousarray(request.audio, SAMPLE)


@_reader
def read_submit(frame: Frame) -> NumberedRequest:
    """The request of a ``submit``; its audio is the body itself."""
    header = frame.header
    draft = header["draft"]
    request_id, traceparent = _texts(header["trail"])
    return NumberedRequest(
        stream_id=_text(header["stream_id"]),
        utterance_id=_count(header["utterance_id"]),
        revision=_count(header["revision"]),
        tier=Tier(_text(header["tier"])),
        urgency=Urgency(_count(header["urgency"])),
        audio=np.frombuffer(frame.body, SAMPLE),
        audio_start=_count(header["audio_start"]),
        language=_text_or_none(header["language"]),
        languages=_texts(header["languages"]),
        prompt=_text_or_none(header["prompt"]),
        context=_text_or_none(header["context"]),
        hotwords=_text_or_none(header["hotwords"]),
        word_timestamps=_flag(header["word_timestamps"]),
        draft=None if draft is None else _read_draft(*_check(draft, list)),
        request_id=request_id,
        traceparent=traceparent,
        number=_count(header["number"]),
    )


def _read_draft(text: Any, language: Any, probability: Any) -> Draft:
    return Draft(_text(text), _text(language), _number(probability))


# ── Answers ────────────────────────────────────────────────────────────

_FIGURES: Mapping[str, Callable[[Any], Any]] = {
    "text": _text,
    "language": _text,
    "language_probability": _number,
    "avg_logprob": _number,
    "no_speech_prob": _number,
    "compression_ratio": _number,
    "tokens": _count,
    "model": _text,
    "verified": _flag,
    "queue_ms": _count,
    "infer_ms": _count,
    "batch": _count,
}
"""Fields of a hypothesis besides its request and words."""


def write_answer(answer: Answer, number: int) -> dict[str, Any]:
    """Header of ``answer``. The request itself is not sent back: who asked has it."""
    header: dict[str, Any] = {"type": "answer", "number": number}
    if isinstance(answer, DecodeFailure):
        return header | {"error": answer.error, "shed": answer.shed}
    header |= {name: getattr(answer, name) for name in _FIGURES}
    header["words"] = [[w.word, w.start_ms, w.end_ms, w.probability] for w in answer.words]
    return header


@_reader
def read_answer(header: Mapping[str, Any], request: DecodeRequest) -> Answer:
    """The answer to ``request``."""
    if "error" in header:
        return DecodeFailure(request, _text(header["error"]), _flag(header["shed"]))
    figures = {name: read(header[name]) for name, read in _FIGURES.items()}
    words = tuple(_read_word(*word) for word in _check(header["words"], list))
    return Hypothesis(request=request, words=words, **figures)


def _read_word(word: Any, start_ms: Any, end_ms: Any, probability: Any) -> Word:
    return Word(_text(word), _count(start_ms), _count(end_ms), _number(probability))


# ── The state of the pool ────────────────────────────────────────────────────────────


def state_of(pool: Decoder) -> PoolState:
    """How it is."""
    return PoolState(
        models={str(tier): name for tier, name in pool.models.items()},
        languages=pool.languages,
        has_accurate_tier=pool.has_accurate_tier,
        step=pool.step,
        is_ready=pool.is_ready,
        troubles=tuple(pool.troubles),
    )


def state_to(state: PoolState) -> dict[str, Any]:
    """As JSON."""
    return {
        "models": state.models,
        "languages": sorted(state.languages),
        "has_accurate_tier": state.has_accurate_tier,
        "step": int(state.step),
        "is_ready": state.is_ready,
        "troubles": state.troubles,
    }


@_reader
def state_from(fields: Mapping[str, Any]) -> PoolState:
    """And back."""
    return PoolState(
        models={_text(tier): _text_or_none(name) for tier, name in fields["models"].items()},
        languages=frozenset(_texts(fields["languages"])),
        has_accurate_tier=_flag(fields["has_accurate_tier"]),
        step=Step(_count(fields["step"])),
        is_ready=_flag(fields["is_ready"]),
        troubles=_texts(fields["troubles"]),
    )


# ── Calls ────────────────────────────────────────────────────────────


def call_to(call: Call) -> dict[str, Any]:
    """An offer as JSON."""
    resume, beginning = call.resume, call.beginning
    return {
        "sdp": call.sdp,
        "resume": resume and [resume.token, resume.last_seq],
        "beginning": [beginning.request_id, beginning.now, beginning.text],
        "ids": dict(call.ids),
    }


@_reader
def call_from(fields: Mapping[str, Any]) -> Call:
    """And back."""
    request_id, now, text = fields["beginning"]
    beginning = Beginning(_text(request_id), _number(now), _text(text))
    ids = {_text(name): _text(value) for name, value in _check(fields["ids"], dict).items()}
    if fields["resume"] is None:
        return Call(_text(fields["sdp"]), beginning=beginning, ids=ids)
    token, last_seq = fields["resume"]
    return Call(_text(fields["sdp"]), Resume(_text(token), _count(last_seq)), beginning, ids)


def connected_to(connected: Connected) -> dict[str, Any]:
    """An answer to an offer as JSON."""
    return dataclasses.asdict(connected)


@_reader
def connected_from(fields: Mapping[str, Any]) -> Connected:
    """And back."""
    return Connected(_text(fields["peer_id"]), _text(fields["session_id"]), _text(fields["sdp"]))


def fragment_to(fragment: Fragment) -> dict[str, Any]:
    """Trickled candidates as JSON."""
    return {"candidates": fragment.candidates, "ufrag": fragment.ufrag, "end": fragment.end}


@_reader
def fragment_from(fields: Mapping[str, Any]) -> Fragment:
    """And back."""
    return Fragment(_texts(fields["candidates"]), _text_or_none(fields["ufrag"]), _flag(fields["end"]))


# ── Errors ────────────────────────────────────────────────────────────

_ERRORS: Mapping[str, type[RtcSttError]] = {
    kind.__name__: kind
    for name in errors.__all__
    if isinstance(kind := getattr(errors, name), type) and issubclass(kind, ClientError | Unavailable)
}


def error_to(error: BaseException) -> dict[str, Any]:
    """What the door would make of an error. One that is not meant for clients loses its message."""
    if type(error).__name__ not in _ERRORS:
        return {"kind": "", "message": ""}
    told: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, TooMany | Unavailable):
        told["retry_after_s"] = error.retry_after_s
    return told


@_reader
def error_from(fields: Mapping[str, Any]) -> Exception:
    """And back, to be raised."""
    kind = _ERRORS.get(_text(fields["kind"]))
    message = _text(fields["message"])
    if kind is None:
        return RuntimeError("a media worker made a mistake; its log tells where")
    if issubclass(kind, TooMany | Unavailable):
        return kind(message, retry_after_s=_count(fields["retry_after_s"]))
    return kind(message)
