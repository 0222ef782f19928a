"""The answer about a recording. Pure. Times are seconds from its start."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from rtc_stt.hypothesis import Word
from rtc_stt.service.transcript import Segment, Transcript
from signaling.dialects.deepgram.query import Recorded, language_told
from signaling.dialects.deepgram.results import (
    Message,
    alternative,
    encode,
    model_info,
    model_uuid,
    seconds,
    words_of,
)

__all__ = ["write_transcript"]

_SENTENCE_ENDS = ".?!…。？！"

DEGRADED = "the second opinion that was wanted failed: part of the text is what the fast model heard"


def write_transcript(
    transcript: Transcript, asked: Recorded, *, request_id: str, sha256: str, now: float
) -> str:
    """The body of the answer.

    Args:
        sha256: of the recording as it came, in hex.
        now: when it came, in seconds since 1970.
    """
    segments = [segment for segment in transcript.segments if segment.text]
    channel: Message = {"alternatives": [_alternative(segments, transcript, asked)]}
    if asked.detect_language and transcript.language:
        channel["detected_language"] = language_told(transcript.language)
    results: Message = {"channels": [channel]}
    if asked.utterances:
        results["utterances"] = [_utterance(segment, request_id) for segment in segments]
    return encode({"metadata": _metadata(transcript, request_id, sha256, now), "results": results})


def _metadata(transcript: Transcript, request_id: str, sha256: str, now: float) -> Message:
    names = list(dict.fromkeys(segment.model for segment in transcript.segments)) or [transcript.model]
    created = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    told: Message = {
        "transaction_key": "deprecated",
        "request_id": request_id,
        "sha256": sha256,
        "created": created.replace("+00:00", "Z"),
        "duration": seconds(transcript.duration_ms),
        "channels": 1,
        "models": [model_uuid(name) for name in names],
        "model_info": {model_uuid(name): model_info(name) for name in names},
    }
    if transcript.fallback_failed:
        told["warnings"] = [{"parameter": "model", "type": "degraded", "message": DEGRADED}]
    return told


def _alternative(segments: Sequence[Segment], transcript: Transcript, asked: Recorded) -> Message:
    words = [word for segment in segments for word in segment.words]
    language = transcript.language if asked.is_multilingual else None
    told = alternative(transcript.text, _confidence(segments), words, language)
    if asked.paragraphs:
        told["paragraphs"] = {
            "transcript": "\n\n".join(segment.text for segment in segments),
            "paragraphs": [_paragraph(segment) for segment in segments],
        }
    return told


def _confidence(segments: Sequence[Segment]) -> float:
    """Of all: the geometric mean by duration, as that of a segment is one over its tokens."""
    lengths = [max(1, segment.end_ms - segment.start_ms) for segment in segments]
    if not lengths:
        return 0.0
    weighed = sum(s.avg_logprob * length for s, length in zip(segments, lengths, strict=True))
    return min(1.0, math.exp(weighed / sum(lengths)))


def _utterance(segment: Segment, request_id: str) -> Message:
    return {
        "start": seconds(segment.start_ms),
        "end": seconds(segment.end_ms),
        "confidence": round(segment.confidence, 4),
        "channel": 0,
        "transcript": segment.text,
        "words": words_of(segment.words),
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"rtc-stt:{request_id}:{segment.id}")),
    }


def _paragraph(segment: Segment) -> Message:
    return {
        "sentences": _sentences(segment),
        "num_words": len(segment.words) or len(segment.text.split()),
        "start": seconds(segment.start_ms),
        "end": seconds(segment.end_ms),
    }


def _sentences(segment: Segment) -> list[Message]:
    """A segment at its full stops; whole where the times of its words are not known."""
    if not segment.words:
        times = {"start": seconds(segment.start_ms), "end": seconds(segment.end_ms)}
        return [{"text": segment.text, **times}]
    told: list[Message] = []
    said: list[Word] = []
    for word in segment.words:
        said.append(word)
        if word.word.strip()[-1:] in _SENTENCE_ENDS:
            told.append(_sentence(said))
            said = []
    return [*told, *([_sentence(said)] if said else [])]


def _sentence(words: Sequence[Word]) -> Message:
    text = " ".join(word.word.strip() for word in words)
    return {"text": text, "start": seconds(words[0].start_ms), "end": seconds(words[-1].end_ms)}
