"""What a gateway and a replica say to each other over their WebSocket, as bytes and read again. Pure.

To a replica: ``decode`` (binary: one batch), ``forget``, ``alive``. From it: ``answers``, ``alive``,
``draining``. All but ``decode`` are JSON texts. ``decode`` is a header and the audio of its requests, one
after the other::

    0               4
    +---------------+-------------+---------------------------+
    | header length | JSON header | samples, int16            |
    +---------------+-------------+---------------------------+

The length is unsigned and big endian, the samples are little endian. Audio goes as int16: what people send
was int16 before it was float32, and it is half as many bytes. Where a resampler was in between, quiet audio
is doubled before it is rounded. The log-mel spectrogram that the model sees is as large, and making it costs
the gateway more than all the rest (``python -m tools.replicas payload``).

Who reads has it from a network: each reader raises :class:`BadPayload` for what it does not understand, and
what it takes is bounded in size and count.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.hypothesis import DecodeRequest, Draft, Tier, Urgency
from rtc_stt.replicas.reading import (
    MAX_ID,
    MAX_TEXT,
    BadPayload,
    careful,
    dump_json,
    load_json,
    read_count,
    read_figure,
    read_flag,
    read_list,
    read_maybe,
    read_name,
    read_names,
    read_text,
    read_whole,
)

__all__ = [
    "Batch",
    "largest_batch",
    "read_batch",
    "write_batch",
]

PREFIX = struct.Struct("!I")
SAMPLE = np.dtype("<i2")
SCALE = 32_768
"""Of int16, as everywhere in here: what came as int16 is the same again."""

MAX_SHIFT = 8
"""Quiet audio is doubled so often at most before it is rounded. Where a resampler has made floats of it the
steps are finer then, and a model in doubt says the same as before."""

MAX_HEADER = 4 * 1024 * 1024
"""Bytes: 256 requests with all the text that one may have."""

MAX_REQUESTS = 256
MAX_SECONDS = 60
"""Of audio in one request: twice the longest that a model is ever asked to decode."""

SECONDS_PER_REQUEST = 6
"""Of audio in a batch, beyond the longest one, for each request that it may have: what the queue fills a
batch with (``decode_queue.AUDIO_PER_REQUEST``)."""

MAX_DRAFT = 4_000
"""Characters of a draft: one that is longer goes unchecked, and is decoded anew."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One call of an engine."""

    number: int
    """Given by the gateway, once on a link."""
    requests: tuple[DecodeRequest, ...]


def largest_batch(max_batch: int) -> int:
    """Bytes of a ``decode`` with so many requests, at most."""
    seconds = MAX_SECONDS + SECONDS_PER_REQUEST * max_batch
    return PREFIX.size + MAX_HEADER + seconds * SAMPLE_RATE * SAMPLE.itemsize


# ── A batch ────────────────────────────────────────────────────────────


def write_batch(batch: Batch) -> bytes:
    """As bytes. 8 utterances of 6 s take about a millisecond.

    Raises:
        BadPayload: the other side would not take it.
    """
    requests = batch.requests
    if len(requests) > MAX_REQUESTS or any(len(r.audio) > MAX_SECONDS * SAMPLE_RATE for r in requests):
        raise BadPayload("a batch has too many requests, or one has too much audio")
    peaks = [_peak(request.audio) for request in requests]
    shifts = [_shift(peak) for peak in peaks]
    told = [_request(request, shift) for request, shift in zip(requests, shifts, strict=True)]
    header = dump_json({"number": batch.number, "requests": told}).encode()
    if len(header) > MAX_HEADER:
        raise BadPayload("a batch has too much text")
    audios = map(_pack, (request.audio for request in requests), peaks, shifts)
    return b"".join((PREFIX.pack(len(header)), header, *audios))


def _peak(audio: Samples) -> float:
    """Of its loudest sample; NaN where there is one."""
    return float(max(np.max(audio, initial=0.0), -np.min(audio, initial=0.0)))


def _shift(peak: float) -> int:
    """How often audio with this peak can be doubled before it is too loud."""
    if not 0 < peak < 1:  # NaN too
        return 0
    return min(MAX_SHIFT, -math.frexp(peak)[1])


def _pack(audio: Samples, peak: float, shift: int) -> bytes:
    if not peak <= 1:  # NaN is no sample; whatever becomes of it is as good
        audio = np.nan_to_num(np.clip(audio, np.float32(-1), np.float32(1)), copy=False)
    scaled = audio * np.float32(SCALE << shift)
    np.rint(scaled, out=scaled)
    np.minimum(scaled, SCALE - 1, out=scaled)
    return scaled.astype(SAMPLE).tobytes()


def _request(request: DecodeRequest, shift: int) -> dict[str, Any]:
    draft = request.draft
    return {
        "stream_id": request.stream_id,
        "utterance_id": request.utterance_id,
        "revision": request.revision,
        "tier": request.tier.value,
        "urgency": int(request.urgency),
        "samples": len(request.audio),
        "shift": shift,
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
    header = load_json(data[PREFIX.size : at])
    requests = []
    for fields in read_list(header["requests"], max_batch):
        samples = read_count(fields["samples"])
        if samples > MAX_SECONDS * SAMPLE_RATE:
            raise BadPayload("a request has too much audio")
        audio = np.frombuffer(data, SAMPLE, samples, at).astype(np.float32)
        audio /= SCALE << _read_shift(fields["shift"])
        at += samples * SAMPLE.itemsize
        requests.append(_read_request(fields, audio))
    if at != len(data) or not requests:
        raise BadPayload("a batch is empty, or has audio that is nobody's")
    return Batch(read_count(header["number"]), tuple(requests))


def _read_shift(value: Any) -> int:
    shift = read_count(value)
    if shift > MAX_SHIFT:
        raise BadPayload("audio is doubled too often")
    return shift


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
