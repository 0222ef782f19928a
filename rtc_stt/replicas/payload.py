"""What a gateway and a replica say to each other over their WebSocket, as bytes and read again. Pure.

To a replica: ``decode`` (binary: one batch), ``forget``, ``alive``. From it: ``answers``, ``alive``,
``draining``. All but ``decode`` are JSON texts. ``decode`` is a header and the audio of its requests, one
after the other::

    0               4
    +---------------+-------------+---------------------------+
    | header length | JSON header | samples, int16            |
    +---------------+-------------+---------------------------+

The length is unsigned and big endian, the samples are little endian. Audio goes as int16: what people send
was int16 before it was float32, and it is half as many bytes. The log-mel spectrogram that the model sees is
as large, and making it costs the gateway more than all the rest (``python -m tools.replicas payload``).

Who reads has it from a network: each reader raises :class:`BadPayload` for what it does not understand, and
what it takes is bounded in size and count.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.decoding import Answer
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Draft, Hypothesis, Tier, Urgency, Word
from rtc_stt.replicas.reading import (
    MAX_ID,
    MAX_TEXT,
    BadPayload,
    careful,
    read_count,
    read_figure,
    read_flag,
    read_list,
    read_maybe,
    read_name,
    read_names,
    read_seconds,
    read_text,
    read_whole,
    typed,
)

__all__ = [
    "DRAINING",
    "MAX_TEXT_BYTES",
    "Answers",
    "BadPayload",
    "Batch",
    "GatewayAlive",
    "ReplicaAlive",
    "largest_batch",
    "read_batch",
    "read_forget",
    "read_gateway_alive",
    "read_message",
    "read_reply",
    "write_answers",
    "write_batch",
    "write_forget",
    "write_gateway_alive",
    "write_replica_alive",
]

PREFIX = struct.Struct("!I")
SAMPLE = np.dtype("<i2")
SCALE = 32_768
"""Of int16, as everywhere in here: what came as int16 is the same again."""

MAX_HEADER = 4 * 1024 * 1024
"""Bytes: 256 requests with all the text that one may have."""

MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Of a message without audio; answers to 256 requests of 30 s with the times of all their words."""

MAX_REQUESTS = 256
MAX_SECONDS = 60
"""Of audio in one request: twice the longest that a model is ever asked to decode."""

SECONDS_PER_REQUEST = 6
"""Of audio in a batch, beyond the longest one, for each request that it may have: what the queue fills a
batch with (``decode_queue.AUDIO_PER_REQUEST``)."""

MAX_DRAFT = 4_000
"""Characters of a draft: one that is longer goes unchecked, and is decoded anew."""

MAX_ANSWER = 16_000
"""Characters of an answer; 448 tokens are far fewer."""

MAX_WORDS = 1_000


@dataclass(frozen=True, slots=True)
class Batch:
    """One call of an engine."""

    number: int
    """Given by the gateway, once on a link."""
    requests: tuple[DecodeRequest, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of a batch."""

    number: int
    answers: tuple[dict[str, Any], ...]
    """Not yet read: see :meth:`read`."""
    decode_s: float
    """That it took in the replica, from its arrival there."""
    is_at_fault: bool
    """Whether failures are the replica's (it is broken, hangs, drains, or has too much to do) and not the
    requests': another one may do better."""

    def read(self, requests: Sequence[DecodeRequest]) -> list[Answer]:
        """The answers to these, in their order.

        Raises:
            BadPayload: it answers other ones.
        """
        if len(self.answers) != len(requests):
            raise BadPayload("there are more or fewer answers than requests")
        return [_read_answer(fields, request) for fields, request in zip(self.answers, requests, strict=True)]


@dataclass(frozen=True, slots=True)
class GatewayAlive:
    """A sign of life of a gateway."""

    queued_s: float
    """Audio that waits in its queue for this tier, in seconds."""


@dataclass(frozen=True, slots=True)
class ReplicaAlive:
    """A sign of life of a replica."""

    running: int
    """Calls that it decodes."""
    waiting: int
    """Calls that wait for those."""
    is_healthy: bool
    is_draining: bool


Reply = Answers | ReplicaAlive


def largest_batch(max_batch: int) -> int:
    """Bytes of a ``decode`` with so many requests, at most."""
    seconds = MAX_SECONDS + SECONDS_PER_REQUEST * max_batch
    return PREFIX.size + MAX_HEADER + seconds * SAMPLE_RATE * SAMPLE.itemsize


def _dump(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"), default=lambda value: value.item())  # numpy's numbers


# ── A batch ────────────────────────────────────────────────────────────


def write_batch(batch: Batch) -> bytes:
    """As bytes. 8 utterances of 6 s take about a millisecond.

    Raises:
        BadPayload: the other side would not take it.
    """
    requests = batch.requests
    if len(requests) > MAX_REQUESTS or any(len(r.audio) > MAX_SECONDS * SAMPLE_RATE for r in requests):
        raise BadPayload("a batch has too many requests, or one has too much audio")
    header = _dump({"number": batch.number, "requests": [_request(request) for request in requests]}).encode()
    if len(header) > MAX_HEADER:
        raise BadPayload("a batch has too much text")
    return b"".join((PREFIX.pack(len(header)), header, *(_pack(request.audio) for request in requests)))


def _pack(audio: Samples) -> bytes:
    scaled = np.clip(audio, np.float32(-1), np.float32(1 - 1 / SCALE))
    np.nan_to_num(scaled, copy=False)  # no sample; whatever becomes of it is as good
    scaled *= SCALE
    np.rint(scaled, out=scaled)
    return scaled.astype(SAMPLE).tobytes()


def _request(request: DecodeRequest) -> dict[str, Any]:
    draft = request.draft
    return {
        "stream_id": request.stream_id,
        "utterance_id": request.utterance_id,
        "revision": request.revision,
        "tier": request.tier.value,
        "urgency": int(request.urgency),
        "samples": len(request.audio),
        "audio_start": request.audio_start,
        "language": request.language,
        "languages": request.languages,
        "prompt": _end(request.prompt),
        "context": _end(request.context),
        "hotwords": request.hotwords and request.hotwords[:MAX_TEXT],
        "word_timestamps": request.word_timestamps,
        "draft": [draft.text, draft.language, draft.language_probability]
        if draft and len(draft.text) <= MAX_DRAFT
        else None,
        "trail": [request.request_id[:MAX_ID], request.traceparent[:MAX_ID]],
    }


def _end(text: str | None) -> str | None:
    """Of too much, what was said last."""
    return text and text[-MAX_TEXT:]


@careful
def read_batch(data: bytes, max_batch: int) -> Batch:
    """And back.

    Args:
        max_batch: requests in it, at most.

    Raises:
        BadPayload: it is none, or a larger one.
    """
    if len(data) > largest_batch(max_batch):
        raise BadPayload("a batch is too large")
    (length,) = PREFIX.unpack_from(data)
    at = PREFIX.size + length
    if length > MAX_HEADER or at > len(data):
        raise BadPayload("a batch is not whole")
    header = _load(data[PREFIX.size : at])
    requests = []
    for fields in read_list(header["requests"], max_batch):
        samples = read_count(fields["samples"])
        if samples > MAX_SECONDS * SAMPLE_RATE:
            raise BadPayload("a request has too much audio")
        audio = np.frombuffer(data, SAMPLE, samples, at).astype(np.float32)
        audio /= SCALE
        at += samples * SAMPLE.itemsize
        requests.append(_read_request(fields, audio))
    if at != len(data) or not requests:
        raise BadPayload("a batch is empty, or has audio that is nobody's")
    return Batch(read_count(header["number"]), tuple(requests))


def _read_request(fields: Mapping[str, Any], audio: Samples) -> DecodeRequest:
    request_id, traceparent = read_names(fields["trail"], 2)
    return DecodeRequest(
        stream_id=read_name(fields["stream_id"]),
        utterance_id=read_whole(fields["utterance_id"]),
        revision=read_whole(fields["revision"]),
        tier=Tier(read_name(fields["tier"])),
        urgency=Urgency(read_count(fields["urgency"])),
        audio=audio,
        audio_start=read_whole(fields["audio_start"]),
        language=read_maybe(fields["language"], read_name),
        languages=read_names(fields["languages"]),
        prompt=read_maybe(fields["prompt"], read_text),
        context=read_maybe(fields["context"], read_text),
        hotwords=read_maybe(fields["hotwords"], read_text),
        word_timestamps=read_flag(fields["word_timestamps"]),
        draft=read_maybe(fields["draft"], lambda draft: _read_draft(*read_list(draft, 3))),
        request_id=request_id,
        traceparent=traceparent,
    )


def _read_draft(text: Any, language: Any, probability: Any) -> Draft:
    return Draft(read_text(text, MAX_DRAFT), read_name(language), read_figure(probability))


# ── Answers ────────────────────────────────────────────────────────────

_FIGURES: Mapping[str, Callable[[Any], Any]] = {
    "text": lambda value: read_text(value, MAX_ANSWER),
    "language": read_name,
    "language_probability": read_figure,
    "avg_logprob": read_figure,
    "no_speech_prob": read_figure,
    "compression_ratio": read_figure,
    "tokens": read_count,
    "model": read_name,
    "verified": read_flag,
}
"""Fields of a hypothesis besides its request and words, and times, which the gateway takes itself."""


def write_answers(number: int, answers: Sequence[Answer], decode_s: float, *, is_at_fault: bool) -> str:
    """See :class:`Answers`. The requests themselves are not sent back: who asked has them."""
    told = [_answer(answer) for answer in answers]
    return _dump(
        {"type": "answers", "number": number, "at_fault": is_at_fault, "decode_s": decode_s, "answers": told}
    )


def _answer(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, DecodeFailure):
        return {"error": answer.error[:MAX_TEXT], "shed": answer.shed}
    words = [[w.word, w.start_ms, w.end_ms, w.probability] for w in answer.words]
    return {name: getattr(answer, name) for name in _FIGURES} | {"words": words}


@careful
def _read_answer(fields: Mapping[str, Any], request: DecodeRequest) -> Answer:
    if "error" in fields:
        return DecodeFailure(request, read_text(fields["error"]), read_flag(fields["shed"]))
    figures = {name: read(fields[name]) for name, read in _FIGURES.items()}
    words = tuple(_read_word(*read_list(word, 4)) for word in read_list(fields["words"], MAX_WORDS))
    return Hypothesis(request=request, words=words, **figures)


def _read_word(word: Any, start_ms: Any, end_ms: Any, probability: Any) -> Word:
    return Word(read_text(word), read_whole(start_ms), read_whole(end_ms), read_figure(probability))


# ── Signs of life, and the rest ────────────────────────────────────────────────────────────

DRAINING = _dump({"type": "draining"})
"""A replica takes nothing more, and answers what it has."""


def write_gateway_alive(alive: GatewayAlive) -> str:
    """As JSON."""
    return _dump({"type": "alive", "queued_s": alive.queued_s})


def write_replica_alive(alive: ReplicaAlive) -> str:
    """As JSON."""
    return _dump({"type": "alive", **dataclasses.asdict(alive)})


def write_forget(number: int) -> str:
    """Nobody waits for the answer to this batch: leave it out, if it is not begun."""
    return _dump({"type": "forget", "number": number})


@careful
def read_message(text: str) -> dict[str, Any]:
    """Any of the JSON messages: an object with a ``type``.

    Raises:
        BadPayload: it is none.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise BadPayload("a message is too long")
    message = _load(text)
    read_name(message["type"])
    return message


@careful
def read_gateway_alive(message: Mapping[str, Any]) -> GatewayAlive:
    """And back."""
    return GatewayAlive(read_seconds(message["queued_s"]))


@careful
def read_forget(message: Mapping[str, Any]) -> int:
    """The number of the batch."""
    return read_count(message["number"])


@careful
def read_reply(message: Mapping[str, Any]) -> Reply | None:
    """What a replica says; None for ``draining``.

    Raises:
        BadPayload: something else.
    """
    match message["type"]:
        case "draining":
            return None
        case "alive":
            return ReplicaAlive(
                read_count(message["running"]),
                read_count(message["waiting"]),
                read_flag(message["is_healthy"]),
                read_flag(message["is_draining"]),
            )
        case "answers":
            return Answers(
                read_count(message["number"]),
                tuple(typed(fields, dict) for fields in read_list(message["answers"], MAX_REQUESTS)),
                read_seconds(message["decode_s"]),
                read_flag(message["at_fault"]),
            )
    raise BadPayload("a message is of no kind that is known")


def _load(text: str | bytes) -> dict[str, Any]:
    fields: dict[str, Any] = typed(json.loads(text), dict)
    return fields
